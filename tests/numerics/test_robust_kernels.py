"""Kernels of medians and clipping against numpy."""

import numpy as np
import pytest

from jwst_hpastrom.numerics import MAD_TO_SIGMA
from jwst_hpastrom.numerics.robust_kernels import (
    clip,
    clip_sorted,
    kept_median,
    kept_sigma,
    median,
    select,
    sigma_about,
    sort_with,
)


def clipped(v, sigma):
    """The slow, obvious way: number kept, median, scale."""
    for _ in range(10):
        middle = np.median(v)
        scale = MAD_TO_SIGMA * np.median(np.abs(v - middle))
        keep = np.abs(v - middle) <= sigma * scale
        if v.size < 4 or scale == 0 or keep.all():
            break
        v = v[keep]
    return v.size, middle, scale


@pytest.mark.parametrize("n", [1, 2, 3, 4, 10, 51, 200])
def test_clipping_is_the_obvious_one(n):
    rng = np.random.default_rng(n)
    v = rng.standard_t(2, n)
    want = clipped(v, 2.5)
    np.testing.assert_allclose(clip(v.copy(), n, 2.5, np.empty(n)), want, rtol=1e-14)
    np.testing.assert_allclose(clip_sorted(np.sort(v), n, 2.5)[:2], want[:2], rtol=1e-14, atol=1e-15)


@pytest.mark.parametrize("share", [0.0, 0.2])
@pytest.mark.parametrize(("n", "sigma"), [(30, 3.0), (50, 2.5), (100, 2.5)])
def test_errors_of_clipped_medians(n, sigma, share):
    """By the median deviation of those kept in the end pulls were 1.1 to 1.25, 1.3 with a fifth wrong."""
    rng, pulls = np.random.default_rng([n, 5]), []
    for _ in range(1500):
        v = rng.normal(size=n)
        v[: int(share * n)] += 50.0
        kept, middle, scatter = clip_sorted(np.sort(v), n, sigma)
        pulls.append(middle * np.sqrt(kept) / (1.2533 * scatter))
    assert 0.85 < np.sqrt(np.mean(np.square(pulls))) < 1.12
    assert np.mean(np.abs(pulls) > 3) < 0.012


@pytest.mark.parametrize("n", [1, 2, 5, 40, 41])
def test_ranks_and_medians_are_numpys(n):
    v = np.random.default_rng(n).integers(0, 9, n).astype(float)
    assert [select(v.copy(), n, k) for k in range(n)] == sorted(v)
    assert median(v.copy(), n) == np.median(v)
    assert sigma_about(v, 4.0) == MAD_TO_SIGMA * np.median(np.abs(v - 4.0))


@pytest.mark.parametrize("n", [0, 1, 2, 5, 40, 1000])
@pytest.mark.parametrize("kind", ["ties", "rising", "falling", "random"])
def test_sorting_is_numpys(n, kind):
    rng = np.random.default_rng(n)
    v = {"ties": rng.integers(0, 9, n), "rising": np.arange(n), "falling": -np.arange(n)}.get(
        kind, rng.random(n)
    )
    v = v.astype(np.float32)
    out, rows = np.r_[v, np.float32(-1)], np.arange(n + 1)
    sort_with(out, rows, n)
    np.testing.assert_array_equal(out, np.r_[np.sort(v), -1])
    np.testing.assert_array_equal(v[rows[:n]], out[:n])
    sort_with(v, np.empty(0, np.int64), n)
    np.testing.assert_array_equal(v, out[:n])


@pytest.mark.parametrize("n", [3, 8, 61])
def test_medians_of_what_is_kept(n):
    rng = np.random.default_rng(n)
    v, ok, work = rng.normal(size=n), rng.random(n) < 0.6, np.empty(n)
    ok[:2] = True
    assert kept_median(v, ok, n, work) == np.median(v[ok])
    assert kept_sigma(v, ok, n, 0.3, work) == MAD_TO_SIGMA * np.median(np.abs(v[ok] - 0.3))
