"""Stars added to an image against slow, obvious numpy."""

import numpy as np
import pytest

from jwst_hpastrom.epsf.kernels import render


def lib(library):
    return library.coefficients, library.x, library.y, library.knots


@pytest.fixture
def stars():
    rng = np.random.default_rng(2)
    return *rng.uniform(-3, 130, (2, 30)), rng.uniform(1, 100, 30)


def test_added_stars(library, stars):
    x, y, flux = stars
    flux[3] = np.nan
    radius = np.random.default_rng(1).uniform(1, 14, 30)
    image = np.zeros((128, 120))
    render.add_many(image, *lib(library), x, y, flux, -1.0, radius)
    jj, ii = np.mgrid[:128, :120]
    twin = np.zeros_like(image)
    for a, b, z, r in zip(x, y, flux, radius, strict=True):
        if np.isfinite(z):
            inside = np.hypot(ii - a, jj - b) <= min(r, 12.5)
            twin -= np.where(inside, z * library.evaluate(ii - a, jj - b, a, b), 0)
    np.testing.assert_allclose(image, twin, atol=1e-12)
