"""Robust scatter against scipy, clipping against known outliers."""

import numpy as np
import pytest
from scipy import stats

from jwst_hpastrom.numerics import MAD_TO_SIGMA, clipped_mean, clipped_median, robust_sigma, sigma_about_zero


def test_robust_sigma_is_scipys():
    x = np.random.default_rng(2).normal(5, 3, 501)
    assert robust_sigma(x) == pytest.approx(stats.median_abs_deviation(x, scale=1 / 1.4826))
    assert np.isnan(robust_sigma([]))


def test_clipping_removes_outliers():
    rng = np.random.default_rng(3)
    x = np.r_[rng.normal(0, 1, 500), np.full(40, 50.0), np.nan]
    for function in (clipped_mean, clipped_median):
        value, error, keep = function(x)
        assert abs(value) < 4 * error
        assert not keep[500:].any()


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
