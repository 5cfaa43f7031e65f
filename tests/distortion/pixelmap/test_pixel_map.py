"""The published pixel map against the clipped median of a tree's nearest residuals."""

import numpy as np
import pytest
from scipy.spatial import cKDTree

from jwst_hpastrom.distortion import build_pixel_map
from jwst_hpastrom.errors import NotEnoughStarsError


@pytest.fixture
def rng():
    return np.random.default_rng(3)


def test_pixel_map_is_the_clipped_median_of_the_nearest(rng, clipped):
    shape, n = (40, 56), 700
    x, y = rng.uniform(-0.5, 55.5, n), rng.uniform(-0.5, 39.5, n)
    dx, dy = rng.normal(0, 0.01, (2, n)).astype(np.float32).astype(float)
    dx[::9] += 0.1
    found = build_pixel_map(x, y, dx, dy, n_nearest=30, shape=shape, rows=16)
    gy, gx = np.mgrid[:40, :56]
    _, near = cKDTree(np.c_[x, y]).query(np.c_[gx.ravel(), gy.ravel()], 30)
    for k, values in enumerate((dx, dy)):
        twin = np.array([clipped(values[i], 2.5) for i in near])
        same = np.isclose(found.data[..., k].ravel(), twin[:, 0], atol=1e-7)
        assert same.mean() > 0.995  # equal distances to float32 may go either way
        # by the scatter that the first clipping leaves, wider by Student's distribution
        ratio = found.errors[..., k].ravel()[same] * np.sqrt(twin[same, 2]) / (1.2533 * twin[same, 1])
        assert 1.0 < np.median(ratio) < 1.2
    assert found.count.max() <= 31


def test_pixel_map_with_fewer_residuals_than_it_needs():
    with pytest.raises(NotEnoughStarsError, match="found 10 residuals"):
        build_pixel_map(*np.zeros((4, 10)), shape=(16, 16))


def test_pixel_map_with_a_hole_reaches_across_it(rng):
    x, y = rng.uniform(0, 63, (2, 3000))
    keep = np.hypot(x - 32, y - 32) > 25
    found = build_pixel_map(x[keep], y[keep], 0.01 * x[keep], 0 * y[keep], shape=(64, 64))
    assert np.isfinite(found.data).all()
