"""Bright peaks of an image that a star list lacks."""

import numpy as np

from jwst_hpastrom.epsf.quality import lost_peaks

RNG = np.random.default_rng(5)
SIZE, NOISE = 300, 0.1


def image(x, y, flux=100.0, width=1.0):
    j, i = np.mgrid[:SIZE, :SIZE]
    light = sum(np.exp(-((i - a) ** 2 + (j - b) ** 2) / (2 * width**2)) for a, b in zip(x, y, strict=True))
    return 1.0 + flux * light + RNG.normal(0, NOISE, (SIZE, SIZE)), np.full((SIZE, SIZE), NOISE**-2)


def test_peaks_with_and_without_stars():
    x, y = (c.ravel() + RNG.uniform(-0.5, 0.5, 36) for c in np.mgrid[30:280:45, 30:280:45])
    pixels, weight = image(x, y)
    assert lost_peaks({"x": x, "y": y}, pixels, weight) == (36, 0)
    assert lost_peaks({"x": x[:20], "y": y[:20]}, pixels, weight) == (36, 16)
    assert lost_peaks({"x": [], "y": []}, pixels, weight) == (36, 36)
    assert lost_peaks({"x": x, "y": y}, np.full_like(pixels, np.nan), weight) == (0, 0)


def test_what_is_no_star_that_one_would_miss():
    x, y = np.array([60.0, 150.0, 153.0, 240.0]), np.array([60.0, 150.0, 150.0, 240.0])
    pixels, weight = image(x, y)
    pixels[100, 200] = 500.0  # a hot pixel
    weight[240, 240] = 0.0  # a saturated star
    n, lost = lost_peaks({"x": [], "y": []}, pixels, weight)
    assert n <= 2  # the single star, and the brighter of the pair at most
    assert lost == n
