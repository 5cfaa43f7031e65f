"""Robust scatter against scipy, clipping against known outliers."""

import numpy as np
import pytest
from scipy import stats

from jwst_hpastrom.numerics import (
    MAD_TO_SIGMA,
    clipped_mean,
    clipped_median,
    median_chi2,
    robust_limits,
    robust_sigma,
    shortest_half,
    sigma_about_zero,
    weighted_median,
)


def test_robust_sigma_is_scipys():
    x = np.random.default_rng(2).normal(5, 3, 501)
    assert robust_sigma(x) == pytest.approx(stats.median_abs_deviation(x, scale=1 / 1.4826))
    assert np.isnan(robust_sigma([]))


def test_clipping_removes_outliers():
    rng = np.random.default_rng(3)
    x = np.r_[rng.normal(7, 1, 500), np.full(40, 50.0), np.nan]
    for function in (clipped_mean, clipped_median):
        value, error, keep = function(x)
        assert abs(value - 7) < 4 * error
        assert keep[:500].mean() > 0.98
        assert not keep[500:].any()


def test_shortest_half_against_all_halves():
    rng = np.random.default_rng(6)
    for n in (1, 2, 7, 60):
        x = rng.normal(3, 1, n) + 10 * (np.arange(n) < 0.4 * n)
        s = np.sort(x)
        # more than half of the values
        halves = [s[k : k + n // 2 + 1] for k in range(n - n // 2)]
        best = min(halves, key=np.ptp)
        middle, sigma = shortest_half(x)
        assert middle == pytest.approx((best[0] + best[-1]) / 2)
        assert sigma == pytest.approx(np.ptp(best) / 2 * 1.4826, rel=1e-4)


def test_median_chi2_against_scipy():
    for dof in (1, 2, 5, 60):
        assert median_chi2(dof) == pytest.approx(stats.chi2.median(dof) / dof, rel=0.04)


def test_weighted_mean_and_its_error():
    value, error, _ = clipped_mean([1.0, 2.0], [3.0, 1.0])
    assert value == pytest.approx(1.25)
    assert error == pytest.approx(0.5)


def test_nothing_to_average():
    for function in (clipped_mean, clipped_median):
        value, error, keep = function([np.nan, np.nan])
        assert np.isnan(value)
        assert np.isnan(error)
        assert not keep.any()


def test_scatter_about_zero_is_that_of_a_normal_distribution():
    x = np.random.default_rng(4).normal(0, 2, (3, 20001))
    np.testing.assert_allclose(sigma_about_zero(x, axis=1), 2, rtol=0.03)
    assert sigma_about_zero(x[0] - 100) > 100  # about zero, not about the median
    assert pytest.approx(1 / stats.norm.ppf(0.75), abs=1e-4) == MAD_TO_SIGMA


def test_weighted_median_against_repetition():
    rng = np.random.default_rng(2)
    values, weight = rng.normal(size=(9, 5)), rng.integers(1, 6, 9)
    values[2, 1] = values[:, 4] = np.nan
    got = weighted_median(values, weight.astype(float))
    for k in range(4):
        many = np.sort(np.repeat(values[:, k], weight)[~np.isnan(np.repeat(values[:, k], weight))])
        assert got[k] == many[(many.size - 1) // 2]
    assert got[4] == 0


def test_limits_leave_outliers_out():
    values = np.r_[np.random.default_rng(4).normal(2, 1, 999), 1e4, np.nan, np.inf]
    low, high = robust_limits(values, sigma=6.0, floor=1e-3)
    sigma = stats.median_abs_deviation(values[:1000], scale=1 / 1.4826)
    assert (high - low) / 2 == pytest.approx(6 * sigma)
    assert (high + low) / 2 == pytest.approx(np.median(values[:1000]))
    assert robust_limits([3.0], sigma=6.0, floor=0.5) == (2.5, 3.5)
    assert robust_limits([np.nan], sigma=6.0, floor=0.5) is None
