"""The random field against dense linear algebra, and the errors that it states against the true ones."""

import numpy as np
import pytest
from scipy.interpolate import RegularGridInterpolator

from jwst_hpastrom.distortion.pixelmap.random_field import (
    LENGTHS,
    Grid,
    RandomField,
    autocorrelation,
    fit_power,
    solve_field,
)


def test_bands_along_x_are_those_along_y_of_the_transposed_detector():
    rng = np.random.default_rng(8)
    x, y = rng.uniform(-0.5, 23.5, 200), rng.uniform(-0.5, 31.5, 200)
    turned, plain = Grid((32, 24), 2, 3, "x"), Grid((24, 32), 2, 3)
    assert turned.size == plain.size
    assert abs(turned.bilinear(x, y) - plain.bilinear(y, x)).max() == 0
    image = rng.normal(size=plain.size)
    np.testing.assert_array_equal(turned.full(image), plain.full(image).T)
    assert turned.full(image).shape == (32, 24)
    np.testing.assert_array_equal(turned.upright(turned.upright(image)), image)


def test_bilinear_stays_within_its_band():
    grid = Grid((32, 24), 2, 2)
    rng = np.random.default_rng(1)
    image = rng.normal(size=grid.size)
    x, y = rng.uniform(-0.5, 23.5, 300), rng.uniform(-0.5, 31.5, 300)
    out = grid.bilinear(x, y) @ image.ravel()
    for band, rows in (((y < 15.5), slice(0, 8)), ((y >= 15.5), slice(8, 16))):
        cx = np.clip((x[band] + 0.5) / 2 - 0.5, 0, 11)
        cy = np.clip((y[band] + 0.5) / 2 - 0.5, rows.start, rows.stop - 1)
        twin = RegularGridInterpolator((np.arange(rows.start, rows.stop), np.arange(12)), image[rows])
        np.testing.assert_allclose(out[band], twin(np.c_[cy, cx]), atol=2e-6)


def covariance(grid, deviation):
    """Prior covariance of all bins, one axis, written out."""
    ny, nx = grid.size
    j, i = (v.ravel() for v in np.mgrid[:ny, :nx])
    d2 = grid.bin**2 * ((i[:, None] - i) ** 2 + (j[:, None] - j) ** 2)
    band = j // (ny // grid.bands)
    together = band[:, None] == band
    total = np.zeros(d2.shape)
    for length, s in zip(LENGTHS, deviation, strict=True):
        total += np.outer(s.ravel(), s.ravel()) * np.exp(-0.5 * d2 / length**2) * together
    return total


def test_posterior_mean_is_that_of_dense_algebra():
    grid, rng = Grid((64, 48), 2, 2), np.random.default_rng(2)
    ny, nx = grid.size
    deviation = rng.uniform(0.5, 1.5, (3, 2, ny, nx)) * np.array([0.3, 0.5, 1.0])[:, None, None, None]
    prior = RandomField(grid, deviation.astype(np.float32))
    n = 150
    evaluate = grid.bilinear(rng.uniform(0, 47, n), rng.uniform(0, 63, n))
    w, r = rng.uniform(1, 4, n), rng.normal(size=(2, n))
    out = solve_field(prior, evaluate, lambda v: w * v, r, tolerance=1e-5, max_iterations=500).sum(0)
    dense = evaluate.toarray().astype(float)
    for k in (0, 1):
        c = covariance(grid, deviation[:, k])
        direct = c @ dense.T @ np.linalg.solve(dense @ c @ dense.T + np.diag(1 / w), r[k])
        np.testing.assert_allclose(out[k].ravel(), direct, atol=1e-3)


def test_transpose():
    prior = RandomField(
        Grid((32, 32), 2, 2), np.random.default_rng(3).uniform(size=(3, 2, 16, 16)).astype("f4")
    )
    rng = np.random.default_rng(4)
    z, f = rng.normal(size=prior.white).astype("f4"), rng.normal(size=(2, 16, 16)).astype("f4")
    assert np.vdot(prior.field(z), f) == pytest.approx(np.vdot(z, prior.transposed(f)), rel=1e-4)


def test_variances_are_found_again():
    grid, rng = Grid((512, 512), 4, 2), np.random.default_rng(5)
    power = np.array([0.0, 4e-6, 9e-6])
    prior = RandomField(grid, np.broadcast_to(np.sqrt(power)[:, None, None, None], (3, 2, 128, 128)))
    fields = [prior.field(rng.standard_normal(prior.white, np.float32))[0] for _ in range(6)]
    found = np.mean(
        [fit_power(*autocorrelation(f, np.ones(grid.size), grid), least=0.0) for f in fields], axis=0
    )
    np.testing.assert_allclose(found, power, atol=2.5e-6)
    assert fit_power(*autocorrelation(fields[0], np.ones(grid.size), grid))[0] > 1e-7
