"""Kernels of medians and clipping against numpy."""

import numpy as np
import pytest

from jwst_hpastrom.numerics import MAD_TO_SIGMA
from jwst_hpastrom.numerics.robust_kernels import clip, clip_sorted, median, select, sigma_about


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
    np.testing.assert_allclose(clip_sorted(np.sort(v), n, 2.5), want, rtol=1e-14, atol=1e-15)


@pytest.mark.parametrize("n", [1, 2, 5, 40, 41])
def test_ranks_and_medians_are_numpys(n):
    v = np.random.default_rng(n).integers(0, 9, n).astype(float)
    assert [select(v.copy(), n, k) for k in range(n)] == sorted(v)
    assert median(v.copy(), n) == np.median(v)
    assert sigma_about(v, 4.0) == MAD_TO_SIGMA * np.median(np.abs(v - 4.0))
