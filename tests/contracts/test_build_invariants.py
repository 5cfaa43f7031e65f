"""What an ePSF library does not depend on: the order, number and units of exposures, and where the origin is.

Tolerances are of the library's peak. A library of other noise differs by 0.05, in cores by 0.007.
"""

import numpy as np
import pytest

from jwst_hpastrom.epsf.build import build_library
from jwst_hpastrom.epsf.image import Image

SIDE, STARS, SIGMA, MESH = 200, 90, 0.75, 50
OPTIONS = {"n_iterations": 4, "n_global": 2, "n_fitted": 1, "grid": 2, "choose_grid": False, "mesh": MESH}


def exposures(n=4, seed=4):
    """Images of Gaussian stars, and what brings their pixels to a common plane."""
    rng = np.random.default_rng(seed)
    u, v = rng.uniform(-15, SIDE + 15, (2, STARS))
    flux = rng.uniform(60, 300, STARS)
    images, planes = [], []
    for k in range(n):
        dx, dy = rng.uniform(-12, 12, 2)
        jj, ii = np.mgrid[:SIDE, :SIDE]
        data = np.full((SIDE, SIDE), 0.3)
        for a, b, f in zip(u + dx, v + dy, flux, strict=True):
            data += f * np.exp(-((ii - a) ** 2 + (jj - b) ** 2) / (2 * SIGMA**2)) / (2 * np.pi * SIGMA**2)
        err = np.sqrt(0.03**2 + data / 400.0)
        data = data + rng.normal(0, err)
        bad = np.zeros(data.shape, bool)
        images.append(Image(data.astype(np.float32), err.astype(np.float32), bad, bad.copy(), f"e{k}"))
        planes.append(lambda x, y, dx=dx, dy=dy: (x - dx, y - dy))
    return images, planes


@pytest.fixture(scope="module")
def made():
    images, planes = exposures()
    return images, planes, build_library(images, planes, **OPTIONS).library


def off(found, whole):
    """Largest difference, in units of the peak."""
    return np.abs(found.data - whole.data).max() / whole.data.max()


def off_in_cores(found, whole, shift=0.0):
    """The same within 3 pixels, at the field's middle, which ``found`` has elsewhere."""
    x, y = np.meshgrid(*2 * [np.arange(-3, 3.1, 0.5)])
    core = whole.evaluate(x, y, SIDE / 2, SIDE / 2)
    return np.abs(found.evaluate(x, y, SIDE / 2 + shift, SIDE / 2 + shift) - core).max() / core.max()


@pytest.mark.parametrize("scale", [0.25, 1e-3, 300.0])
def test_units_of_the_pixels(made, scale):
    """DN/s, MJy/sr or electrons: to the rounding of pixels in single precision."""
    images, planes, whole = made
    scale = np.float32(scale)
    scaled = [Image(i.data * scale, i.err * scale, i.bad, i.saturated, i.name) for i in images]
    assert off(build_library(scaled, planes, **OPTIONS).library, whole) < 1e-6


def test_order_of_the_exposures(made):
    images, planes, whole = made
    order = [2, 0, 3, 1]
    found = build_library([images[k] for k in order], [planes[k] for k in order], **OPTIONS).library
    assert off(found, whole) < 1e-9


def test_origin_of_the_common_plane(made):
    images, planes, whole = made

    def beyond(plane):
        def to_plane(x, y):
            u, v = plane(x, y)
            return u + 1000.0, v - 300.0

        return to_plane

    moved = [beyond(plane) for plane in planes]
    assert off(build_library(images, moved, **OPTIONS).library, whole) < 1e-9


def test_all_exposures_twice():
    """They tell nothing new. Smoothed by the number of samples, the library changes within its noise."""
    x, y = np.meshgrid(*2 * [np.arange(-3, 3.1, 0.5)])
    true = np.exp(-(x**2 + y**2) / (2 * SIGMA**2)) / (2 * np.pi * SIGMA**2)
    once, twice = [], []
    for seed in (4, 5, 6):
        images, planes = exposures(seed=seed)
        whole = build_library(images, planes, **OPTIONS).library
        found = build_library([*images, *images], [*planes, *planes], **OPTIONS).library
        assert off(found, whole) < 0.05
        for errors, library in ((once, whole), (twice, found)):
            errors.append(np.mean((library.evaluate(x, y, SIDE / 2, SIDE / 2) - true) ** 2))
    assert np.sqrt(np.mean(twice)) < 1.1 * np.sqrt(np.mean(once))
    assert np.sqrt(np.mean(once)) < 5e-3 * true.max()


def test_translation_by_whole_pixels(made):
    """A detector that begins a sky box earlier, with bad pixels: edges that are none any more."""
    images, planes, whole = made

    def padded(array, value):
        return np.pad(array, ((MESH, 0), (MESH, 0)), constant_values=value)

    wide = [
        Image(
            padded(i.data, np.nan),
            padded(i.err, np.nan),
            padded(i.bad, True),
            padded(i.saturated, False),
            i.name,
        )
        for i in images
    ]
    moved = [lambda x, y, p=p: p(x - MESH, y - MESH) for p in planes]
    assert off_in_cores(build_library(wide, moved, **OPTIONS).library, whole, MESH) < 4e-3
