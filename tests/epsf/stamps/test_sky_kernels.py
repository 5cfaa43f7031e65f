"""The sky's cores against whole images of numpy."""

import numpy as np
import pytest

from jwst_hpastrom.epsf.stamps import _sky_kernels as kernels
from jwst_hpastrom.epsf.stamps.sky import level_at, mesh_sky, sky_between_stars, sky_image

SHAPE = (96, 130)


@pytest.fixture
def frame():
    """Pixels, residual image, sky, bad pixels of a frame with one star."""
    rng = np.random.default_rng(1)
    mesh = rng.uniform(1, 2, (3, 4))
    j, i = np.mgrid[: SHAPE[0], : SHAPE[1]]
    star = 100 * np.exp(-((i - 70) ** 2 + (j - 40) ** 2) / 8.0)
    resid = rng.normal(0, 0.1, SHAPE)
    data = (resid + star + sky_image(mesh, SHAPE)).astype(np.float32)
    return data, resid, mesh, rng.random(SHAPE) < 0.02


@pytest.mark.parametrize("boxes", [(3, 4), (1, 1), (2, 1)])
def test_a_sky_is_added_as_its_image(boxes):
    mesh = np.random.default_rng(2).normal(size=boxes)
    image = np.ones(SHAPE)
    kernels.add_level(image, mesh)
    np.testing.assert_allclose(image, 1 + sky_image(mesh, SHAPE), atol=1e-12)
    j, i = np.array([0, 50, 95]), np.array([129, 3, 0])
    np.testing.assert_allclose(level_at(mesh, SHAPE, j, i), sky_image(mesh, SHAPE)[j, i], atol=1e-12)


def test_starlight_and_weights(frame):
    data, resid, mesh, bad = frame
    light, weight = np.empty(SHAPE, np.float32), np.empty(SHAPE, np.float32)
    kernels.star_light(data, resid, mesh, bad, light)
    expected = np.where(bad, 0, data - resid - sky_image(mesh, SHAPE))
    np.testing.assert_allclose(light, expected, atol=1e-5)
    kernels.weights_of(data, resid, bad, 0.01, 0.1, weight)
    expected = np.where(bad, 0, 1 / (0.01 + 0.1 * np.maximum(data - resid, 0)))
    np.testing.assert_allclose(weight, expected, rtol=1e-6)


def test_sky_between_stars(frame):
    data, resid, mesh, bad = frame
    light = (data - resid - sky_image(mesh, SHAPE)).astype(np.float32)
    found = sky_between_stars(resid, light, bad, mesh, 0.3, 32)
    expected = mesh_sky(resid + sky_image(mesh, SHAPE), bad | (light > 0.3), 32)
    np.testing.assert_allclose(found, expected, rtol=1e-12)


@pytest.mark.parametrize("m", [11, 400, 2048])
def test_some_of_the_values_tell_where_to_clip_and_all_make_the_mean(m):
    values = np.random.default_rng(3).normal(5, 1, m)
    values[::7] += 50
    some = values[:: (m // kernels.ENOUGH) | 1]
    off = np.abs(values - np.median(some))
    kept = off <= 3 * 1.4826 * np.median(np.abs(some - np.median(some)))
    found = kernels.clipped_mean(values, np.empty(m), m, 3.0)
    assert found == pytest.approx(values[kept].mean(), rel=1e-12)
    assert found == pytest.approx(5, abs=4 / np.sqrt(m))
