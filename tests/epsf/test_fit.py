"""Star fits against truth, a slow least-squares twin and the Cramér–Rao bound."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.optimize import least_squares

from jwst_hpastrom.columns import STAR_LIST, Flag
from jwst_hpastrom.epsf import Image, fit_stars, sky_map
from jwst_hpastrom.epsf.detect import saturated_counts
from jwst_hpastrom.epsf.fit import Pixels, fit_positions, local_sky
from jwst_hpastrom.errors import ParameterError
from tests.epsf.conftest import make_field, make_library


def slow_fit(image, library, x, y, sky, start, half=2):
    """Obvious twin: scipy's least squares; the field position of the ePSF is the start's, as in the core."""
    px, py = round(x), round(y)
    jj, ii = np.mgrid[py - half : py + half + 1, px - half : px + half + 1]
    data, err = image.data[jj, ii], image.err[jj, ii]

    def residuals(p):
        return ((data - sky - p[2] * library.evaluate(ii - p[0], jj - p[1], *start)) / err).ravel()

    fit = least_squares(residuals, [x, y, data.sum()], xtol=1e-14, ftol=1e-14, gtol=1e-14)
    return fit.x, np.linalg.inv(fit.jac.T @ fit.jac), 2 * fit.cost


def test_against_the_slow_twin(grid_field, library):
    f = grid_field
    n = f.x.size
    fit = fit_positions(Pixels.of(f.image), library, f.x, f.y, np.full(n, f.sky), np.zeros(n), 2)
    assert fit.converged.all()
    for k in range(0, n, 5):
        p, cov, chi2 = slow_fit(f.image, library, fit.x[k], fit.y[k], f.sky, (f.x[k], f.y[k]))
        np.testing.assert_allclose((fit.x[k], fit.y[k]), p[:2], atol=2e-5)
        assert fit.flux[k] == pytest.approx(p[2], rel=1e-4)
        np.testing.assert_allclose((fit.x_var[k], fit.y_var[k], fit.flux_var[k]), np.diag(cov), rtol=5e-3)
        assert fit.xy_cov[k] == pytest.approx(cov[0, 1], abs=0.01 * cov[0, 0])
        assert fit.chi2[k] == pytest.approx(chi2, rel=1e-3)


def test_the_start_does_not_matter(grid_field, library):
    f, rng = grid_field, np.random.default_rng(9)
    n, pixels = f.x.size, Pixels.of(grid_field.image)
    fits = [
        fit_positions(pixels, library, f.x + dx, f.y + dy, np.full(n, f.sky), np.zeros(n), 2)
        for dx, dy in (np.zeros((2, n)), *rng.uniform(-0.6, 0.6, (5, 2, n)))
    ]
    for other in fits[1:]:
        assert other.converged.all()
        same_box = (np.rint(other.x) == np.rint(fits[0].x)) & (np.rint(other.y) == np.rint(fits[0].y))
        assert same_box.mean() > 0.9
        # the field's ePSF is the start's, and here it changes 20 times faster than a real one
        assert np.abs(other.x - fits[0].x).max() < 0.1
        assert np.percentile(np.abs(other.x - fits[0].x), 80) < 2e-3


def test_noiseless_stars_come_back():
    rng = np.random.default_rng(3)
    y, x = (g.ravel() + rng.uniform(-0.5, 0.5, 36) for g in np.mgrid[10:117:6j, 10:117:6j])
    field = make_field(x, y, np.full(36, 100.0), one_sigma=0.8)
    table = fit_stars(field.image, make_library(0.8), np.rint(x), np.rint(y))
    assert np.abs(table["x"] - x).max() < 1e-4
    assert np.abs(table["y"] - y).max() < 1e-4
    np.testing.assert_allclose(table["flux"], 100, rtol=3e-4)
    assert np.max(table["qfit"]) < 1e-3
    assert np.abs(table["radxs"]).max() < 1e-3
    assert not np.any(np.asarray(table["flags"]) & ~int(Flag.NEAR_EDGE))


def test_errors_are_the_scatter():
    library = make_library(0.8)
    pulls = []
    for seed in range(12):
        rng = np.random.default_rng(seed)
        y, x = (g.ravel() + rng.uniform(-0.5, 0.5, 36) for g in np.mgrid[14:113:6j, 14:113:6j])
        field = make_field(x, y, np.full(36, 30.0), one_sigma=0.8, rng=rng)
        t = fit_stars(field.image, library, x, y)
        pulls.append(
            [
                (t["x"] - x) / t["x_err"],
                (t["y"] - y) / t["y_err"],
                (t["flux"] - 30) / t["flux_err"],
                t["chi2"],
            ]
        )
    x, y, flux, chi2 = np.concatenate(pulls, axis=1)
    for pull in (x, y, flux):
        assert abs(pull.mean()) < 0.2
        assert 0.9 < pull.std() < 1.1
    assert chi2.mean() == pytest.approx(1, abs=0.05)


def test_sky_error_is_carried_into_the_flux_error(grid_field, library):
    f = grid_field
    pixels, n = Pixels.of(f.image), f.x.size
    args = pixels, library, f.x, f.y, np.full(n, f.sky)
    without, with_sky = (fit_positions(*args, np.full(n, e), 2) for e in (0.0, 0.02))
    shifted = fit_positions(pixels, library, f.x, f.y, np.full(n, f.sky + 0.02), np.zeros(n), 2)
    extra = np.sqrt(with_sky.flux_var - without.flux_var)
    np.testing.assert_allclose(extra, without.flux - shifted.flux, rtol=0.02)


def test_fitted_sky(grid_field, library):
    f = grid_field
    table = fit_stars(f.image, library, f.x, f.y, sky="fit", fit_box=9)
    assert np.median(table["sky"]) == pytest.approx(f.sky, abs=0.01)
    assert np.std((table["x"] - f.x) / table["x_err"]) < 1.3
    assert 0.85 < np.std((table["sky"] - f.sky) / table["sky_err"]) < 1.25
    with_more = fit_stars(f.image, library, f.x, f.y, sky="fit", fit_box=5)
    assert np.all(with_more["sky_err"] > table["sky_err"])


def test_annulus_sky_is_read_without_the_stars():
    # a star of 12 pixels' reach: its own wings lie in the annulus
    field = make_field([64.0], [64.0], [1e4], one_sigma=3.0, sky=0.5, noise=0.01)
    table = fit_stars(field.image, make_library(3.0), [64.2], [63.9], fit_box=9, sky_inner=5, sky_outer=10)
    assert table["sky"][0] == pytest.approx(0.5, abs=0.02)
    assert table["flux"][0] == pytest.approx(1e4, rel=1e-3)


def test_local_sky_clips_and_falls_back(grid_field):
    image = grid_field.image
    mesh = sky_map(image)
    data = np.full(image.shape, 2.0) + np.random.default_rng(0).normal(0, 0.1, image.shape)
    data[60:64, 52:56] = 1e3
    none = np.zeros(image.shape, bool)
    pixels = Pixels.of(Image(data, np.ones(image.shape), none, none))
    sky, err, fallback = local_sky(pixels, np.array([62.0]), np.array([62.0]), mesh)
    assert sky[0] == pytest.approx(2.0, abs=4 * err[0])
    assert err[0] == pytest.approx(0.1 / np.sqrt(235), rel=0.2)
    assert not fallback[0]
    blind = Pixels(pixels.data, np.zeros_like(pixels.weight), pixels.saturated)
    sky, err, fallback = local_sky(blind, np.array([62.0]), np.array([62.0]), mesh)
    assert fallback[0]
    assert sky[0] == mesh.at(62.0, 62.0)[0]


def test_bad_pixels_have_no_weight():
    field = make_field([40.3], [50.4], [500.0], one_sigma=0.8)
    bad = np.zeros(field.image.shape, bool)
    bad[50, 41] = bad[51, 40] = True
    data = np.where(bad, 1e6, field.image.data)
    table = fit_stars(Image(data, field.image.err, bad, ~bad & False), make_library(0.8), [40.0], [50.0])
    assert table["x"][0] == pytest.approx(40.3, abs=2e-4)
    assert table["y"][0] == pytest.approx(50.4, abs=2e-4)
    assert table["n_pixels"][0] == 23
    assert table["flags"][0] == int(Flag.BAD_PIXELS)


def test_nan_outside_the_mask_cannot_spread():
    field = make_field([40.3], [50.4], [500.0], one_sigma=0.8)
    data, err = field.image.data.copy(), field.image.err.copy()
    data[49, 41], err[51, 39] = np.nan, np.nan
    none = np.zeros(data.shape, bool)
    table = fit_stars(Image(data, err, none, none), make_library(0.8), [40.0], [50.0])
    assert table["x"][0] == pytest.approx(40.3, abs=2e-4)
    assert table["n_pixels"][0] == 23


def test_saturated_star_is_fitted_on_its_wings():
    field = make_field([63.7], [60.2], [3e4], one_sigma=1.5, noise=0.02)
    saturated = field.image.data > 800
    assert saturated.sum() > 9
    data = np.where(saturated, 800.0, field.image.data)
    image = Image(data, field.image.err, np.zeros(data.shape, bool), saturated)
    table = fit_stars(image, make_library(1.5), [63.0], [60.5])
    assert table["x"][0] == pytest.approx(63.7, abs=1e-3)
    assert table["y"][0] == pytest.approx(60.2, abs=1e-3)
    assert table["flux"][0] == pytest.approx(3e4, rel=1e-3)
    assert table["n_saturated"][0] > 9
    assert table["flags"][0] & int(Flag.SATURATED)
    assert not table["flags"][0] & int(Flag.BAD_PIXELS)


def test_stars_that_cannot_be_fitted_say_so(library):
    field = make_field([64.0], [64.0], [100.0])
    bad = np.zeros(field.image.shape, bool)
    bad[20:40, 20:40] = True
    image = Image(field.image.data, field.image.err, bad, ~bad & False)
    table = fit_stars(image, library, [30.0, -40.0, 64.0, np.nan], [30.0, 10.0, 64.0, 5.0])
    lost = np.isnan(table["flux"])
    assert lost.tolist() == [True, True, False, True]
    assert np.isnan(table["x_err"][lost]).all()
    assert (np.asarray(table["flags"][lost]) & int(Flag.NOT_CONVERGED)).all()


def test_table_has_the_contract_columns(grid_field, library):
    table = fit_stars(grid_field.image, library, grid_field.x, grid_field.y)
    assert table.colnames[: len(STAR_LIST) - 4] == [c.name for c in STAR_LIST[:-4]]
    np.testing.assert_allclose(table["mag"], -2.5 * np.log10(table["flux"]))
    np.testing.assert_allclose(table["mag_err"], 1.0857 * table["flux_err"] / table["flux"], rtol=1e-4)


def test_no_stars_is_an_empty_table(library, grid_field):
    assert len(fit_stars(grid_field.image, library, [], [])) == 0


@pytest.mark.parametrize(
    ("x", "kwargs", "message"),
    [
        ([1.0, 2.0], {}, "shapes"),
        ([1.0], {"fit_box": 4}, "fit_box=4"),
        ([1.0], {"sky_inner": 9, "sky_outer": 9}, "annulus"),
        ([1.0], {"sky": "guess"}, "'guess'"),
    ],
)
def test_parameters_that_make_no_sense(library, grid_field, x, kwargs, message):
    with pytest.raises(ParameterError, match=message):
        fit_stars(grid_field.image, library, x, [1.0], **kwargs)


def test_saturated_counts():
    rng = np.random.default_rng(0)
    saturated = rng.uniform(size=(40, 50)) < 0.05
    x, y = rng.uniform(0, 49, 20), rng.uniform(0, 39, 20)
    half = rng.integers(1, 4, 20)
    got = saturated_counts(saturated, x, y, half)
    for k in range(20):
        i, j, h = round(x[k]), round(y[k]), half[k]
        assert got[k] == saturated[max(j - h, 0) : j + h + 1, max(i - h, 0) : i + h + 1].sum()
    assert not saturated_counts(saturated & False, x, y, half).any()


def test_a_subarray_is_fitted_with_the_epsf_of_its_place(grid_field):
    image, library = grid_field.image, make_library()
    here = {c: getattr(image, c)[40:, 30:] for c in ("data", "err", "bad", "saturated")}
    part = replace(image, **here)
    x, y = (v[(grid_field.x > 50) & (grid_field.y > 60)] for v in (grid_field.x, grid_field.y))
    wanted = fit_stars(part, library.shifted(-30, -40), x - 30, y - 40)
    found = fit_stars(replace(part, origin=(30, 40)), library, x - 30, y - 40)
    np.testing.assert_array_equal(found["qfit"], wanted["qfit"])
    assert not np.array_equal(fit_stars(part, library, x - 30, y - 40)["qfit"], wanted["qfit"])
