"""Weights of pixels: errors that follow their own noise, or that leave noise out."""

from dataclasses import replace

import numpy as np
import pytest

from jwst_hpastrom.epsf import EPSFLibrary, Image, fit_stars, measure_stars
from jwst_hpastrom.epsf.fit import Pixels, add_models, fit_positions, subtract
from jwst_hpastrom.epsf.weights import (
    LIMITING,
    expected_weights,
    model_error,
    sky_excess,
    sky_ratio,
    warn_of_epsf,
    wing_light,
    with_model_error,
)

from .conftest import make_field, make_library, psi

SIGMA, SKY, READ, GAIN = 0.85, 0.25, 0.025, 450.0
SIDE, STEP, FLUX = 1100, 18, 12.0


@pytest.fixture(scope="module")
def field():
    rng = np.random.default_rng(8)
    place = np.arange(20, SIDE - 20, STEP)
    x, y = (g.ravel() + rng.uniform(-0.5, 0.5, g.size) for g in np.meshgrid(place, place))
    light = np.full((SIDE, SIDE), SKY)
    for a, b in zip(x, y, strict=True):
        i, j = int(a), int(b)
        jj, ii = np.mgrid[j - 6 : j + 8, i - 6 : i + 8]
        light[j - 6 : j + 8, i - 6 : i + 8] += FLUX * psi(ii - a, jj - b, SIGMA)
    return x, y, light, rng


def exposure(light, rng, *, noisy):
    data = light + rng.normal(0, np.sqrt(READ**2 + light / GAIN))
    err = np.sqrt(READ**2 + np.maximum(data if noisy else light, 0) / GAIN)
    none = np.zeros(light.shape, bool)
    return Image(data.astype("f4"), err.astype("f4"), none, none.copy(), "made")


@pytest.mark.parametrize("way", ["fit_stars", "isolated", "catalog"])
def test_fluxes_have_no_bias(field, way):
    x, y, light, rng = field
    library, found = make_library(sigma=SIGMA), []
    for _ in range(2):
        image = exposure(light, np.random.default_rng(rng.integers(1 << 30)), noisy=True)
        if way == "fit_stars":
            found.append(np.asarray(fit_stars(image, library, x, y)["flux"]))
        else:
            table = measure_stars(image, library, mode=way)
            found.append(np.asarray(table["flux"])[np.asarray(table["flux"]) > 0.7 * FLUX])
    ratio = np.concatenate(found) / FLUX
    assert ratio.size > 6000
    error = ratio.std() / np.sqrt(ratio.size)
    # the flux at the best position is higher than at the true one, by the square of this scatter: taken out
    assert abs(ratio.mean() - 1) < 3 * error


def test_errors_that_do_not_follow_the_noise_stay(field):
    _, _, light, rng = field
    image = exposure(light, rng, noisy=False)
    pixels = Pixels.of(image)
    level = np.full(light.shape, SKY, "f4")
    assert expected_weights(pixels, pixels.data - (light - SKY).astype("f4"), level) is pixels


def test_weights_are_those_of_the_expected_light(field):
    _, _, light, rng = field
    pixels = Pixels.of(exposure(light, rng, noisy=True))
    stars = (light - SKY).astype("f4")
    better = expected_weights(pixels, pixels.data - stars, np.full(light.shape, SKY, "f4"))
    true = 1 / (READ**2 + light / GAIN)
    before, after = (np.std(p.weight / true) for p in (pixels, better))
    assert after < 0.3 * before


def test_noise_that_errors_leave_out_is_found(field):
    _, _, light, rng = field
    image = exposure(light, rng, noisy=False)
    pixels, level = Pixels.of(image), np.full(light.shape, SKY, "f4")
    left = pixels.data - (light - SKY).astype("f4")
    assert sky_excess(pixels, left, level) == 0
    more = rng.normal(0, 0.02, light.shape).astype("f4")
    assert np.sqrt(sky_excess(replace(pixels, data=pixels.data + more), left + more, level)) == pytest.approx(
        0.02, rel=0.05
    )


@pytest.mark.parametrize("factor", [0.1, 1 / 3, 1.0, 3.0])
def test_a_common_factor_on_the_errors_is_found(field, factor):
    _, _, light, rng = field
    image = exposure(light, rng, noisy=False)
    image = replace(image, err=factor * image.err)
    table = measure_stars(image, make_library(sigma=SIGMA))
    assert table.meta["sky_noise_ratio"] == pytest.approx(1 / factor, rel=0.15)
    few = replace(image, data=image.data[:24, :24], err=image.err[:24, :24], bad=image.bad[:24, :24])
    pixels = Pixels.of(replace(few, saturated=image.saturated[:24, :24]))
    assert np.isnan(sky_ratio(pixels, pixels.data, np.full((24, 24), SKY, "f4")))


def flat_field(flat, seed=3, flux=4000.0):
    """Bright stars on pixels whose sensitivities scatter, whose stated errors do not know it."""
    rng = np.random.default_rng(seed)
    place = np.arange(16, 497, 20)
    x, y = (g.ravel() + rng.uniform(-0.5, 0.5, g.size) for g in np.meshgrid(place, place))
    made = make_field(
        x, y, np.full(x.size, flux), shape=(512, 512), gain=1000.0, one_sigma=SIGMA, rng=rng, noise=0.02
    )
    return x, y, replace(made.image, data=made.image.data * rng.normal(1, flat, (512, 512)))


@pytest.mark.parametrize("flat", [0.01, 0.0])
def test_errors_in_proportion_to_the_light_are_learned(flat):
    x, y, image = flat_field(flat)
    for table in (
        fit_stars(image, make_library(sigma=SIGMA), x, y),
        measure_stars(image, make_library(sigma=SIGMA), mode="catalog"),
    ):
        table = table[np.asarray(table["flux"]) > 100]
        pair = np.hypot(np.asarray(table["x"])[:, None] - x, np.asarray(table["y"])[:, None] - y)
        k = pair.argmin(1)
        for axis, true in (("x", x[k]), ("y", y[k]), ("flux", np.full(k.size, 4000.0))):
            pull = (np.asarray(table[axis]) - true) / np.asarray(table[f"{axis}_err"])
            assert 0.88 < np.std(pull[np.abs(pull) < 5]) < 1.15


def test_errors_of_the_light_are_told():
    image = flat_field(0.02)[2]
    told = measure_stars(image, make_library(sigma=SIGMA), mode="catalog").meta
    assert told["light_error"] == pytest.approx(0.02, rel=0.15)
    assert told["light_error_pixels"] == pytest.approx(0.02, rel=0.2)
    # neighbors are in what isolated stars leave
    assert np.isnan(measure_stars(image, make_library(sigma=SIGMA), mode="isolated").meta["light_error"])


@pytest.mark.parametrize("share", [1.0, 0.5, 0.0])
def test_light_around_stars(share):
    rng = np.random.default_rng(4)
    offset = np.hypot(*np.meshgrid(*2 * [(np.arange(101) - 50) / 4]))
    psi = 0.12 * (1 + offset**2) ** -1.7
    library = EPSFLibrary(psi[None], [100.0], [100.0])
    x, y = (g.ravel() + rng.uniform(-0.5, 0.5, 64) for g in np.meshgrid(*2 * [np.arange(15, 190, 23)]))
    flux, model = np.full(x.size, 4000.0), np.zeros((200, 200), "f4")
    add_models(model, library, x, y, flux, 1.0, np.full(x.size, 12.0))
    j, i = np.mgrid[:200, :200]
    far = np.min([np.hypot(j - b, i - a) for a, b in zip(x, y, strict=True)], axis=0) > 3
    noise = rng.normal(0, 0.5, model.shape)
    residual = (noise + (share - 1) * model * far).astype("f4")
    pixels = Pixels(model + residual, np.full(model.shape, 4.0, "f4"), np.zeros(model.shape, bool))
    stars = library, x, y, flux, np.full(x.size, 10.0)
    value, error = wing_light(pixels, residual, *stars)
    assert value == pytest.approx(share, abs=0.05)
    assert abs(value - share) < 3 * error < 0.05
    assert np.isnan(wing_light(pixels, residual, library, *(v[:5] for v in stars[1:]))).all()
    assert np.isnan(wing_light(pixels, residual, *stars[:-1], np.full(x.size, 5.0))).all()


def test_what_tells_nothing_is_nan_and_changes_nothing():
    x, y, image = flat_field(0.01)
    pixels, library = Pixels.of(image), make_library(sigma=SIGMA)
    fit = fit_positions(pixels, library, x[:4], y[:4], np.full(4, 0.3), np.zeros(4), 2)
    shares = model_error(pixels, pixels.data, library, fit.x, fit.y, fit.flux, fit.sky)
    assert np.isnan(shares).all()
    assert with_model_error(fit, pixels, pixels.data, library, shares) is fit


@pytest.mark.parametrize("fit_sky", [False, True])
def test_kernel_of_errors_in_proportion_to_the_light(fit_sky):
    x, y, image = flat_field(0.01)
    pixels, library = Pixels.of(image), make_library(sigma=SIGMA)
    fit = fit_positions(pixels, library, x[:4], y[:4], np.full(4, 0.3), np.zeros(4), 2, fit_sky=fit_sky)
    sky = np.full(image.shape, 0.3, np.float32)
    more = with_model_error(fit, pixels, sky, library, (0.02, 0.02))
    for s in range(4):
        i, j = np.rint(fit.x[s]).astype(int), np.rint(fit.y[s]).astype(int)
        jj, ii = np.mgrid[j - 2 : j + 3, i - 2 : i + 3]
        psi_, by_x, by_y = library.evaluate(ii - fit.x[s], jj - fit.y[s], fit.x[s], fit.y[s], gradient=True)
        ones = [np.ones_like(psi_)] if fit_sky else []
        own = np.stack([psi_, -fit.flux[s] * by_x, -fit.flux[s] * by_y, *ones], -1).reshape(25, -1)
        w = np.diag(pixels.weight[jj, ii].ravel().astype(float))
        inverse = np.linalg.inv(own.T @ w @ own)
        light = np.diag(0.02 * (pixels.data - sky)[jj, ii].ravel().astype(float))
        twin = inverse @ own.T @ w @ light @ light @ w @ own @ inverse
        found = [getattr(more, n)[s] - getattr(fit, n)[s] for n in ("flux_var", "x_var", "y_var", "xy_cov")]
        np.testing.assert_allclose(found, [*np.diag(twin)[:3], twin[1, 2]], rtol=1e-5)


def test_errors_of_the_epsf_count_for_positions_and_not_for_fluxes():
    x, y, image = flat_field(0.0)
    pixels, library = Pixels.of(image), make_library(sigma=1.03 * SIGMA)
    fit = fit_positions(pixels, library, x, y, np.full(x.size, 0.3), np.zeros(x.size), 2)
    left = subtract(pixels, library, fit).data
    total, of_pixels = model_error(pixels, left, library, fit.x, fit.y, fit.flux, fit.sky)
    assert total > 0.01
    assert of_pixels < 0.3 * total


def test_hot_pixels_do_not_count_as_bright_stars():
    x, y, image = flat_field(0.0)
    rng, data = np.random.default_rng(2), image.data.copy()
    i, j = (x + 10).astype(int)[: x.size - 26], (y + 10).astype(int)[: x.size - 26]
    data[j, i] += rng.uniform(500, 3000, i.size)
    hot = replace(image, data=data, err=np.sqrt(image.err**2 + np.maximum(data - image.data, 0) / 1000))
    pixels, library = Pixels.of(hot), make_library(sigma=SIGMA)
    found = np.r_[x, i], np.r_[y, j]
    fit = fit_positions(pixels, library, *found, np.full(found[0].size, 0.3), np.zeros(found[0].size), 2)
    left = subtract(pixels, library, fit).data
    assert model_error(pixels, left, library, fit.x, fit.y, fit.flux, fit.sky)[0] < 0.002


@pytest.mark.parametrize(
    ("flat", "wider", "said"),
    [(0.0, 1.0, ""), (0.01, 1.0, ""), (0.0, 1.005, "limits"), (0.0, 1.02, "differs from")],
)
def test_an_epsf_that_limits_bright_stars_is_named(flat, wider, said, caplog):
    x, y, image = flat_field(flat)
    pixels, library = Pixels.of(image), make_library(sigma=wider * SIGMA)
    fit = fit_positions(pixels, library, x, y, np.full(x.size, 0.3), np.zeros(x.size), 2)
    left = subtract(pixels, library, fit).data
    shares = model_error(pixels, left, library, fit.x, fit.y, fit.flux, fit.sky)
    ratio = warn_of_epsf("made.fits", fit, pixels, left, library, shares)
    assert said in caplog.text
    assert bool(said) == (ratio > LIMITING) == ("made.fits" in caplog.text)


@pytest.mark.parametrize(("of", "least", "most"), [(12, 0.0032, 0.0048), (90, 0.0027, 0.0055)])
def test_few_stars_prove_no_error_and_yet_tell_how_large_it_is(of, least, most):
    found = []
    for seed in range(6):
        x, y, image = flat_field(0.004, seed=seed, flux=120.0)
        few = slice(seed, None, of)  # 52 of them, and 7
        pixels, library = Pixels.of(image), make_library(sigma=SIGMA)
        fit = fit_positions(
            pixels, library, x[few], y[few], np.full(x[few].size, 0.3), np.zeros(x[few].size), 2
        )
        left = subtract(pixels, library, fit).data
        found.append(model_error(pixels, left, library, fit.x, fit.y, fit.flux, fit.sky))
    for part in np.transpose(found):  # of the whole light, and of the pixels alone
        assert least < np.sqrt(np.mean(np.square(part))) < most
        assert np.median(part) > 0.9 * least


def test_few_bright_stars_tell_nothing_of_the_epsf():
    x, y, image = flat_field(0.0)
    pixels, library = Pixels.of(image), make_library(sigma=1.02 * SIGMA)
    fit = fit_positions(pixels, library, x[:5], y[:5], np.full(5, 0.3), np.zeros(5), 2)
    assert warn_of_epsf("made.fits", fit, pixels, pixels.data, library, (0.02, 0.0)) == 1
    assert warn_of_epsf("made.fits", fit, pixels, pixels.data, library, (np.nan, np.nan)) == 1


@pytest.mark.parametrize(("factor", "told"), [(1.0, False), (0.5, True), (2.0, True), (30.0, True)])
def test_errors_off_by_a_factor_are_told(caplog, factor, told):
    image = exposure(np.full((300, 300), SKY), np.random.default_rng(6), noisy=False)
    pixels = Pixels.of(replace(image, err=factor * image.err))
    sky_ratio(pixels, image.data, np.full(image.shape, SKY, "f4"), "made")
    assert ("made: pixels" in caplog.text) == told


@pytest.mark.parametrize("turn", [False, True])
def test_errors_of_another_image_are_told_by_the_fit_itself(caplog, turn):
    y, x = np.mgrid[:200, :200]
    true = np.full((200, 200), SKY)
    for i, j in np.random.default_rng(3).uniform(8, 192, (60, 2)):
        true += 500.0 * psi(x - i, y - j, SIGMA)
    image = exposure(true, np.random.default_rng(7), noisy=False)
    image = replace(image, err=np.ascontiguousarray(image.err.T)) if turn else image
    stars = measure_stars(image, make_library(sigma=SIGMA), mode="isolated")
    assert len(stars) > 30
    assert ("do not go with their light" in caplog.text) == turn


@pytest.mark.parametrize("power", [1.0, 2.0, 0.5])
def test_variances_given_as_errors_are_told(caplog, power):
    rng = np.random.default_rng(5)
    image = exposure(np.full((400, 400), SKY), rng, noisy=False)
    image = replace(image, err=image.err**power)
    pixels = Pixels.of(image)
    ratio = sky_ratio(pixels, image.data, np.full(image.shape, SKY, "f4"), "made")
    wanted = np.median(image.err ** (1 / power)) / np.median(image.err)
    assert ratio == pytest.approx(wanted, rel=0.03)  # 4 standard errors
    assert ("made: pixels" in caplog.text and "variances?" in caplog.text) == (power == 2.0)
