"""Kernels of crowded fields against slow, obvious numpy."""

import numpy as np
import pytest

from jwst_hpastrom.epsf.fit import Pixels, fit_positions, residual_statistics
from jwst_hpastrom.epsf.kernels import crowded, render, star_fit
from jwst_hpastrom.epsf.kernels.crowded import PSFGrid
from tests.epsf.conftest import make_field

RING = (1.0, 2.5)


def lib(library):
    return library.coefficients, library.x, library.y, library.knots


def test_residual_statistics(grid_field, library):
    pixels, n = Pixels.of(grid_field.image), grid_field.x.size
    fit = fit_positions(pixels, library, grid_field.x, grid_field.y, np.full(n, 0.3), np.zeros(n), 2)
    got = residual_statistics(pixels, library, fit)
    jj, ii = np.mgrid[:128, :128]
    for k in range(0, n, 7):
        dx, dy = ii - fit.x[k], jj - fit.y[k]
        psi = library.evaluate(dx, dy, fit.x[k], fit.y[k])
        r = pixels.data - fit.sky[k] - fit.flux[k] * psi
        i, j = np.rint(fit.x[k]).astype(int), np.rint(fit.y[k]).astype(int)
        box = (np.abs(ii - i) <= 2) & (np.abs(jj - j) <= 2)
        ring = (np.hypot(dx, dy) > RING[0]) & (np.hypot(dx, dy) <= RING[1])
        twin = np.abs(r[box]).sum(), r[ring].sum(), (1 / pixels.weight[ring]).sum(), r[j, i], psi[box].sum()
        np.testing.assert_allclose(got[k], twin, rtol=1e-5, atol=1e-5)


def test_flux_changes(grid_field, library):
    pixels, n = Pixels.of(grid_field.image), grid_field.x.size
    out = np.empty(n)
    sky = np.full(n, grid_field.sky)
    counts = crowded.Counts(pixels.data, pixels.weight)
    crowded.flux_changes(counts, PSFGrid.of(library), grid_field.x, grid_field.y, sky, 2, out)
    jj, ii = np.mgrid[:128, :128]
    for k in range(0, n, 9):
        x, y = grid_field.x[k], grid_field.y[k]
        box = (np.abs(ii - np.rint(x)) <= 2) & (np.abs(jj - np.rint(y)) <= 2)
        psi = library.evaluate(ii[box] - x, jj[box] - y, x, y)
        w = pixels.weight[box]
        twin = np.sum(w * psi * (pixels.data[box] - 0.3)) / np.sum(w * psi**2)
        assert out[k] == pytest.approx(twin, rel=1e-5)


def test_sweep_is_a_fit_without_the_neighbors(library):
    """Two blended stars: the sweep's fixed point is where each is the fit to the image less the other."""
    field = make_field([60.2, 62.1], [60.1, 61.0], [200.0, 120.0], rng=np.random.default_rng(4))
    pixels = Pixels.of(field.image)
    x, y, flux = field.x + 0.1, field.y - 0.1, np.array([180.0, 100.0])
    residual = pixels.data.copy()
    wide = np.full(2, 12.5)
    render.add_many(residual, *lib(library), x, y, flux, -1.0, wide)
    sky, sky_err, half, error = np.full(2, 0.3), np.zeros(2), np.full(2, 2), np.zeros(2)
    none = np.empty((0, star_fit.N_OUT)), np.empty((0, crowded.N_QUALITY))
    profile = crowded.Profile(np.array([0.0, 12.5]), np.array([1.0, 1e-30]), 1e-20)
    counts = crowded.Counts(residual, pixels.weight)
    stars = crowded.Stars(x, y, flux, error, sky, sky_err, half, wide)
    fitting = crowded.Fitting(False, 30, 1e-5, 1.0)
    args = (counts, PSFGrid.of(library), np.arange(2), stars, fitting, profile)
    for _ in range(40):
        crowded.sweep(*args, True, RING, *none)
    for k in range(2):
        other = pixels.data.copy()
        render.add_many(other, *lib(library), *(a[[1 - k]] for a in (x, y, flux)), -1.0, wide[:1])
        fit = fit_positions(
            Pixels(other, pixels.weight, pixels.saturated), library, x[[k]], y[[k]], sky[:1], sky_err[:1], 2
        )
        np.testing.assert_allclose((fit.x[0], fit.y[0], fit.flux[0]), (x[k], y[k], flux[k]), atol=2e-3)
        assert error[k] == pytest.approx(np.sqrt(fit.flux_var[0]), rel=1e-3)
    model = np.zeros(residual.shape)
    render.add_many(model, *lib(library), x, y, flux, 1.0, wide)
    np.testing.assert_allclose(residual + model, pixels.data, atol=2e-4)  # float32 arithmetic
    fits, quality = np.empty((2, star_fit.N_OUT)), np.empty((2, crowded.N_QUALITY))
    before = residual.copy()
    crowded.sweep(*args, False, RING, fits, quality)
    np.testing.assert_array_equal(residual, before)
    np.testing.assert_allclose(fits[:, 0], x, atol=1e-3)
    for k in range(2):  # the pixels that are used are those with the whole model put back
        render.add_many(residual, *lib(library), *(a[[k]] for a in (x, y, flux)), 1.0, wide[:1])
        star = [np.ascontiguousarray(fits[[k], c]) for c in range(4)]
        again = np.empty((1, crowded.N_QUALITY))
        crowded.quality_many(counts, PSFGrid.of(library), *star, half[[k]], RING, again)
        np.testing.assert_allclose(quality[k], again[0], rtol=1e-3, atol=2e-4)
        residual[:] = before


def test_wing_levels():
    image = np.zeros((60, 70), np.float32)
    crowded.wing_levels(image, np.array([30.3]), np.array([25.8]), np.array([2.0]), 8.0, 16.0, 0.01)
    jj, ii = np.mgrid[:60, :70]
    r = np.hypot(ii - 30.3, jj - 25.8)
    np.testing.assert_allclose(image, np.where((r >= 8) & (r <= 16), 2 * (8 / r) ** 3, 0), rtol=1e-5)
