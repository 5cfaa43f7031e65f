"""The brighter-fatter effect: its size, its correction, and that it is learned where it is there."""

from dataclasses import replace

import numpy as np
import pytest

from jwst_hpastrom.columns import Flag
from jwst_hpastrom.epsf import GriddedEPSFModel, Image, fit_stars, measure_stars
from jwst_hpastrom.epsf.brighter_fatter import (
    alone,
    charge_effect,
    shift_from_stamps,
    shifted_by_charge,
    stars_tell,
    without_charge,
)
from jwst_hpastrom.epsf.build import build_library
from jwst_hpastrom.epsf.stamps.frames import frame_from_list
from jwst_hpastrom.epsf.stamps.neighbors import Stamps, cut_again
from jwst_hpastrom.epsf.stamps.samples import fit_in_stamps
from jwst_hpastrom.errors import ParameterError
from jwst_hpastrom.storage import Store

from .build.test_build import OPTIONS, dithered
from .conftest import make_field, make_library

CHARGE = 50.0  # DN for a rate of one


def pushed(data, shift, charge=CHARGE, steps=50):
    """Light as it arrives, one boundary after the other, while the charge grows."""
    stored, time = np.zeros_like(data), charge / steps
    for _ in range(steps):
        arrives = data * time
        for axis in (0, 1):
            light = np.diff(stored, axis=axis) * shift * time  # towards the pixel with less
            upper, lower = (
                np.take(data, np.arange(data.shape[axis])[k], axis) for k in (np.s_[1:], np.s_[:-1])
            )
            light *= 0.5 * (upper + lower)
            end = np.take(light, [0], axis) * 0
            arrives += np.concatenate([light, end], axis) - np.concatenate([end, light], axis)
        stored += arrives
    return stored / charge


def test_effect_is_that_of_growing_charge():
    data = np.random.default_rng(1).uniform(0, 20, (8, 9))
    shift = 2e-6
    change = (pushed(data, shift, steps=400) - data) / shift
    expected = charge_effect(data, CHARGE)
    np.testing.assert_allclose(change, expected, atol=0.01 * np.abs(expected).max())
    assert abs(expected.sum()) < 1e-9 * np.abs(expected).max()  # no light is lost


def test_what_stars_gain_is_that_of_their_images():
    """In pixels of one charge and of several, inside the image and at its border."""
    library, charge = make_library(), np.random.default_rng(1).uniform(20, 60, (40, 50))
    x, y, offset = np.array([12.3, 31.8, 1.2]), np.array([20.1, 9.6, 30.4]), np.arange(-2, 3)
    i = np.rint(x).astype(int)[:, None, None] + offset
    j = np.rint(y).astype(int)[:, None, None] + offset[:, None]
    for c in (CHARGE, charge):
        found = shifted_by_charge(library, x, y, i, j, c)
        for k, (a, b) in enumerate(zip(x, y, strict=True)):
            v, u = np.mgrid[:40, -4:50]
            image = charge_effect(
                library.evaluate(u - a, v - b, np.full(u.shape, a), np.full(u.shape, b)), 1.0
            )
            at = np.broadcast_arrays(j[k], i[k])
            expected = image[at[0], at[1] + 4] * (c[at[0], np.maximum(at[1], 0)] if np.ndim(c) else c)
            np.testing.assert_allclose(found[k], expected, atol=1e-6 * np.abs(expected).max())


def test_bad_pixels_move_no_light():
    data = np.random.default_rng(1).uniform(0, 20, (6, 6))
    bad = np.zeros_like(data, bool)
    bad[2, 3] = True
    found = charge_effect(data, np.full((6, 6), 4.0), bad)
    data[2, 3] = 1e6
    np.testing.assert_array_equal(charge_effect(data, 4.0, bad), found)
    assert found[2, 3] == 0


def image_of(data, err=0.05, charge=CHARGE):
    none = np.zeros(data.shape, bool)
    return Image(data, np.full(data.shape, err), none, none.copy(), "made", charge)


def test_correction_undoes_it():
    data = np.random.default_rng(2).uniform(0, 20, (9, 9))
    shift = 2e-5  # 2 % at the contrasts of this image
    image = image_of(pushed(data, shift, steps=800))
    left = without_charge(image, shift)
    before, after = (np.abs(i.data - data)[1:-1, 1:-1].max() for i in (image, left))
    assert after < 0.01 * before  # 0.03 with the mean charge of the first order
    assert without_charge(left, shift) is left  # never twice
    assert without_charge(image, 0.0) is image


@pytest.mark.parametrize("fit", ["fit_stars", "measure_stars"])
def test_fits_of_bright_stars(fit):
    library = make_library()
    x, y = np.meshgrid(np.linspace(20.2, 107.4, 6), np.linspace(20.7, 106.9, 6))
    field = make_field(x.ravel(), y.ravel(), np.full(36, 2000.0))
    shift, c = 1e-6, CHARGE
    image = image_of(
        pushed(field.image.data, shift, c), charge=c
    )  # equal weights: with those of photons widths hardly move a fit

    def worst(lib):
        if fit == "fit_stars":
            table = fit_stars(image, lib, field.x, field.y)
        else:
            table = measure_stars(image, lib)
            table = table[np.argsort(np.round(table["y"]) * 1000 + table["x"])]
        order = np.argsort(np.round(field.y) * 1000 + field.x) if fit == "measure_stars" else np.arange(36)
        return [
            np.abs(np.asarray(table[n]) / s - 1 if n == "flux" else np.asarray(table[n]) - s).max()
            for n, s in (("x", field.x[order]), ("y", field.y[order]), ("flux", field.flux[order]))
        ]

    plain, known = worst(library), worst(replace(library, brighter_fatter=shift))
    assert plain[2] > 0.004
    assert all(k < 0.15 * p for k, p in zip(known, plain, strict=True))


@pytest.mark.parametrize("fit", [fit_stars, measure_stars])
def test_magnitudes_without_core(fit):
    """The full pixel's charge pushes light into its neighbors, and has no value that tells how much."""
    x, y = (a.ravel() for a in np.meshgrid(np.linspace(20.2, 107.4, 6), np.linspace(20.7, 106.9, 6)))
    field = make_field(x, y, np.full(36, 2000.0), one_sigma=0.9)
    shift = 3e-6
    image = image_of(pushed(field.image.data, shift, steps=4))
    j, i = np.rint(y).astype(int), np.rint(x).astype(int)
    image.saturated[j, i] = True
    image.data[j, i] = 0

    library = replace(make_library(sigma=0.9), brighter_fatter=shift)
    table = fit(image, library, x, y) if fit is fit_stars else fit(image, library, drop_cosmic_rays=False)
    assert len(table) == 36
    assert np.all(table["flags"] & int(Flag.SATURATED))
    assert abs(np.median(table["flux"]) / 2000 - 1) < 0.001  # 0.0105 if no light is moved


def test_model_of_photutils_has_it():
    shift = 1e-6
    library = replace(make_library(sigma=0.8), brighter_fatter=shift)
    model = GriddedEPSFModel(library, flux=3000.0, x_0=30.3, y_0=31.6, charge=CHARGE)
    y, x = np.mgrid[20:42, 20:42]
    plain = GriddedEPSFModel(library, flux=3000.0, x_0=30.3, y_0=31.6)(x, y)
    np.testing.assert_allclose(model(x, y), plain + shift * charge_effect(plain, CHARGE), atol=1e-6)
    assert model.copy().charge == CHARGE
    values = [3000.0, 30.3, 31.6]
    for k, derivative in enumerate(model.fit_deriv(x, y, *values)):
        step = np.zeros(3)
        step[k] = 1e-3
        difference = model.evaluate(x, y, *(values + step)) - model.evaluate(x, y, *(values - step))
        np.testing.assert_allclose(derivative, difference / 2e-3, atol=2e-4 * np.abs(derivative).max())


@pytest.fixture(scope="module")
def field():
    return dithered(6, 260, 350)


@pytest.mark.parametrize("shift", [0.0, 1.5e-5])
def test_build_learns_it(field, shift):
    images = []
    for image in field.images:
        data = np.where(image.bad, 0, image.data)
        data = np.where(image.bad, np.nan, pushed(data, shift, steps=20))
        images.append(replace(image, data=data.astype(np.float32), charge=CHARGE))
    result = build_library(images, field.planes, **OPTIONS)
    found = result.library.brighter_fatter
    assert result.convergence["brighter_fatter"][-1] == found
    if shift:
        assert found == pytest.approx(shift, rel=0.05)
        given = build_library(images, field.planes, **OPTIONS, brighter_fatter=0.0)
        assert given.library.brighter_fatter == 0
    else:
        assert found < 2e-6


@pytest.mark.parametrize("sigma", [0.8, 1.1])
@pytest.mark.parametrize("wrong", ["neighbors", "sky", "both"])
def test_what_is_no_effect_of_charge(sigma, wrong):
    """Unseen neighbors' light is the same beside all stars, as a wrong sky is: faint ones look wider."""
    rng, n, library, shift = np.random.default_rng(4), 400, make_library(sigma=sigma), 1e-6
    x, y = rng.uniform(20, 100, (2, n))
    flux = 10 ** rng.uniform(2, 3.5, n)
    side = np.arange(27)
    ox, oy = (np.rint(p).astype(int) - 13 for p in (x, y))
    i, j = ox[:, None, None] + side, oy[:, None, None] + side[:, None]

    def light(u, v, z):
        at = np.broadcast_arrays(i - u[:, None, None], j - v[:, None, None])
        return z[:, None, None] * library.evaluate(*at, u[:, None, None], v[:, None, None])

    angle = rng.uniform(0, 2 * np.pi, n)
    near = light(x + 1.2 * np.cos(angle), y + 1.2 * np.sin(angle), np.full(n, 1.0))
    star = light(x, y, flux)
    clean = star + shift * charge_effect(star, CHARGE)
    clean += (near if wrong != "sky" else 0) + (0.05 if wrong != "neighbors" else 0)
    stamps = Stamps(clean.astype(np.float32), np.full(clean.shape, 0.01, np.float32), ox, oy)
    fit = fit_in_stamps(stamps, library, x, y, flux, 0.01)
    told = stars_tell(stamps, library, *fit.T[:3], np.ones(n, bool), 0.01, CHARGE)
    found, error = shift_from_stamps(*told, np.arange(n))
    assert error < 0.02 * shift
    assert abs(found - shift) < 0.03 * shift


def test_stars_with_close_neighbors_do_not_tell():
    x, y = np.array([20.0, 60.0, 22.0, 66.0, 64.0]), np.full(5, 20.0)
    flux = np.array([100.0, 100.0, 2.0, 50.0, 0.5])
    np.testing.assert_array_equal(alone(x, y, flux, 2), [False, True])
    np.testing.assert_array_equal(alone(x[:1], y[:1], flux[:1], 1), [True])


def test_stamps_know_what_lost_pixels_pushed_out():
    library, shift = make_library(sigma=0.8), 1e-6
    x, y = (a.ravel() for a in np.meshgrid(np.linspace(20.2, 107.4, 6), np.linspace(20.7, 106.9, 6)))
    flux = np.full(36, 3000.0)
    field = make_field(x, y, flux, one_sigma=0.8)
    image = image_of(pushed(field.image.data, shift))
    j, i = np.rint(y).astype(int), np.rint(x).astype(int)
    image.bad[j, i] = True
    frame = frame_from_list(image, x, y, flux, np.arange(36))
    frame = replace(frame, sky=np.full((2, 2), field.sky), radius=np.full(36, 12.5), charge=CHARGE)
    worst = []
    for undo in (0.0, shift):
        with Store() as store:
            stamps = cut_again(frame.put_away(store).whole(undo), library)
        k = np.arange(36), j - stamps.oy, i - stamps.ox + 1  # right of the lost pixel
        worst.append(np.abs(stamps.clean[k] + field.sky - field.image.data[j, i + 1]).max())
        assert np.isnan(stamps.clean[k[0], k[1], k[2] - 1]).all()
    assert worst[1] < 0.1 * worst[0]


def test_few_stars_tell_nothing():
    assert shift_from_stamps(np.ones((5, 3, 3)), np.ones((5, 3)), np.arange(5)) == (0.0, np.inf)


def test_no_library_with_a_shift_of_nan():
    with pytest.raises(ParameterError, match="brighter_fatter=nan"):
        replace(make_library(sigma=0.8), brighter_fatter=np.nan)
