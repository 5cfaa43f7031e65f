"""A field of analytic stars: Gaussians whose width changes over the detector, known to the last digit."""

from dataclasses import dataclass

import numpy as np
import pytest

from jwst_hpastrom.epsf import EPSFLibrary, Image

NODES = np.array([0.0, 64.0, 127.0])


def width(x, y):
    """Standard deviations of the stars' images in pixels; linear in x and y as bilinear interpolation is."""
    return 0.75 + 0.0006 * x + 0.0003 * y


def psi(dx, dy, sigma):
    """Effective PSF at an offset."""
    return np.exp(-(dx**2 + dy**2) / (2 * sigma**2)) / (2 * np.pi * sigma**2)


@dataclass
class Field:
    """Stars and their image."""

    image: Image
    x: np.ndarray
    y: np.ndarray
    flux: np.ndarray
    sky: float


def make_field(x, y, flux, *, shape=(128, 128), sky=0.3, noise=0.05, gain=300.0, rng=None, one_sigma=None):
    """Render stars; with a Generator also their noise."""
    x, y, flux = (np.asarray(a, float) for a in (x, y, flux))
    jj, ii = np.mgrid[: shape[0], : shape[1]]
    model = np.full(shape, sky)
    for a, b, f in zip(x, y, flux, strict=True):
        model += f * psi(ii - a, jj - b, width(a, b) if one_sigma is None else one_sigma)
    err = np.sqrt(noise**2 + np.maximum(model, 0) / gain)
    data = model if rng is None else model + rng.normal(0, err)
    none = np.zeros(shape, bool)
    return Field(Image(data, err, none, none.copy(), "field"), x, y, flux, sky)


def make_library(sigma=None, nodes=NODES):
    """Sample the analytic stars on the 4x grid."""
    offset = (np.arange(101) - 50) / 4
    data = [psi(offset, offset[:, None], sigma or width(a, b)) for b in nodes for a in nodes]
    return EPSFLibrary(np.array(data), nodes, nodes, 4)


@pytest.fixture(scope="session")
def library():
    """3 x 3 ePSFs of the analytic field."""
    return make_library()


@pytest.fixture(scope="session")
def grid_field():
    """64 stars far from each other, noisy."""
    rng = np.random.default_rng(5)
    y, x = (g.ravel() + rng.uniform(-0.5, 0.5, 64) for g in np.mgrid[8:121:8j, 8:121:8j])
    flux = 10 ** rng.uniform(1.5, 2.5, 64)
    return make_field(x, y, flux, rng=rng)
