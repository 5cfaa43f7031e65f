import numpy as np
import pytest
from scipy import stats

from jwst_hpastrom.geometry import clipped_mean, clipped_median, group_means, robust_sigma


def group_means_twin(group, values, weights, n_groups, sigma):
    """The slow, obvious way."""
    out = np.full((n_groups, 5), np.nan)
    for g in range(n_groups):
        ok = (group == g) & np.isfinite(values) & (weights > 0)
        v, w = values[ok], weights[ok]
        out[g, 3], out[g, 4] = v.size, 0
        if not v.size:
            continue
        keep = np.ones(v.size, bool)
        for _ in range(10):
            if keep.sum() < 3:
                break
            middle = np.median(v[keep])
            scale = max(1.4826 * np.median(np.abs(v[keep] - middle)), np.median(1 / np.sqrt(w[keep])))
            new = np.abs(v - middle) <= sigma * scale
            if np.array_equal(new, keep):
                break
            keep = new
        mean = np.average(v[keep], weights=w[keep])
        out[g, 0], out[g, 2], out[g, 4] = mean, w[keep].sum() ** -0.5, keep.sum()
        if keep.sum() > 1:
            variance = np.average((v[keep] - mean) ** 2, weights=w[keep])
            out[g, 1] = np.sqrt(variance * keep.sum() / (keep.sum() - 1))
    return out


def test_group_means_equal_the_obvious_way():
    rng = np.random.default_rng(1)
    n, n_groups = 3000, 300
    group = rng.integers(-1, n_groups, n)
    values = rng.normal(0, 1, n) + np.where(rng.uniform(size=n) < 0.05, 30.0, 0.0)
    values[rng.integers(0, n, 20)] = np.nan
    weights = rng.uniform(0.5, 2, n)
    keep = np.zeros(n, bool)
    got = group_means(group, values, weights, n_groups, sigma=3.0, keep=keep)
    want = group_means_twin(group, values, weights, n_groups, 3.0)
    fields = (got.mean, got.rms, got.formal, got.n_found, got.n_used)
    for k, column in enumerate(fields):
        np.testing.assert_allclose(column, want[:, k], rtol=1e-12, atol=1e-14)
    assert keep.sum() == got.n_used.sum()
    assert not keep[group < 0].any()


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
