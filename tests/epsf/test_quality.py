"""RADXS and the flags made from it: stars, galaxies, cosmic rays."""

import numpy as np
import pytest

from jwst_hpastrom.columns import Flag
from jwst_hpastrom.epsf import Image, fit_stars
from jwst_hpastrom.epsf.quality import mark_shapes, radxs_band
from tests.epsf.conftest import make_field, make_library


@pytest.fixture(scope="module")
def mixed():
    """100 stars, 20 discs of stars' brightness and 20 cosmic rays, all on a grid: (table, kind)."""
    rng = np.random.default_rng(7)
    n = 140
    y, x = (g.ravel()[:n] + rng.uniform(-0.4, 0.4, n) for g in np.mgrid[14:242:12j, 14:242:12j])
    kind = np.array([0] * 100 + [1] * 20 + [2] * 20)
    flux = 10 ** rng.uniform(1.6, 2.5, n)
    field = make_field(x[kind == 0], y[kind == 0], flux[kind == 0], shape=(256, 256), one_sigma=0.8)
    data = field.image.data.copy()
    jj, ii = np.mgrid[:256, :256]
    for a, b, f in zip(x[kind == 1], y[kind == 1], flux[kind == 1], strict=True):
        data += f / (2 * np.pi * 4) * np.exp(-np.hypot(ii - a, jj - b) / 2)
    for a, b, f in zip(x[kind == 2], y[kind == 2], flux[kind == 2], strict=True):
        data[round(b), round(a)] += 0.5 * f
    err = np.sqrt(0.05**2 + data / 300)
    none = np.zeros(data.shape, bool)
    image = Image(data + rng.normal(0, err), err, none, none)
    table = fit_stars(image, make_library(0.8, np.array([0.0, 128, 255])), x, y)
    mark_shapes(table)
    return table, kind


def test_radxs_tells_them_apart(mixed):
    table, kind = mixed
    flags = np.asarray(table["flags"])
    extended, cosmic = ((flags & int(f)) > 0 for f in (Flag.EXTENDED, Flag.COSMIC_RAY))
    assert (extended | cosmic)[kind == 0].mean() <= 0.05
    assert extended[kind == 1].mean() >= 0.9
    assert cosmic[kind == 2].mean() >= 0.9
    assert np.median(table["radxs"][kind == 1]) > 0.1
    assert np.median(table["radxs"][kind == 2]) < -0.1


def test_radxs_error_is_its_scatter(mixed):
    table, kind = mixed
    pull = (table["radxs"] / table["radxs_err"])[kind == 0]
    assert 0.7 < np.std(pull) < 1.2  # the fit takes a part of the noise away


def test_band_follows_the_stars():
    rng = np.random.default_rng(0)
    mag = rng.uniform(-8, -2, 4000)
    err = 0.01 * 10 ** (0.2 * (mag + 5))
    radxs = 0.02 * (mag + 5) + rng.normal(0, 2 * err)  # a brighter-fatter trend, twice the formal scatter
    centre, sigma = radxs_band(mag, radxs, err)
    np.testing.assert_allclose(np.median(centre - 0.02 * (mag + 5)), 0, atol=2e-3)
    inside = np.abs(radxs - centre) < 3 * sigma
    assert 0.98 < inside.mean() < 1


def test_few_stars_have_a_band_from_their_errors():
    centre, sigma = radxs_band(np.array([-5.0, -4]), np.array([0.5, 0.0]), np.array([0.01, 0.02]))
    assert centre.tolist() == [0, 0]
    assert sigma.tolist() == [0.01, 0.02]
