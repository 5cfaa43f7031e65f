"""Errors that follow each pixel's own noise, as those of ramp fits do, must not draw fluxes down."""

import numpy as np
import pytest

from jwst_hpastrom.epsf import Image, fit_stars, measure_stars
from jwst_hpastrom.epsf.fit import Pixels, expected_weights

from .conftest import make_library, psi

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
    best = ratio.std() ** 2  # the flux at the best position is a little higher than at the true one
    assert abs(ratio.mean() - 1 - best) < 3 * error


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
