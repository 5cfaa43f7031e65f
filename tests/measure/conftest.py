import numpy as np
import pytest
from astropy.table import Table

from jwst_hpastrom.epsf.image import Image
from jwst_hpastrom.epsf.library import EPSFLibrary
from jwst_hpastrom.frame import build_master
from jwst_hpastrom.geometry import IdentityMapping, TangentPlane

PLANE = TangentPlane(80.0, -69.0, scale_mas=65.0)
SIZE = 150
NOISE = 0.05
GAIN = 40.0  # electrons per unit of flux


def gaussian_library(sigma=0.75, half=25, oversampling=4):
    offset = np.arange(-half, half + 1) / oversampling
    psf = np.exp(-0.5 * (offset[:, None] ** 2 + offset**2) / sigma**2)
    nodes = np.array([0.0, SIZE - 1.0])
    return EPSFLibrary(np.repeat(psf[None], 4, axis=0), nodes, nodes, oversampling).normalized()


class Scene:
    """Dithered images of known stars."""

    def __init__(self, seed=1, n_stars=160, n_exposures=6, bright=100, faintest=0.0):
        rng = np.random.default_rng(seed)
        self.library = gaussian_library()
        self.x, self.y = rng.uniform(-5, SIZE + 5, (2, n_stars))
        self.mag = np.sort(rng.uniform(-8, faintest, n_stars))
        self.flux = 10 ** (-0.4 * self.mag)
        self.images, self.places, lists = [], [], []
        for e in range(n_exposures):
            shift, angle = rng.uniform(-8, 8, 2), np.deg2rad(rng.normal(0, 0.05))
            dx, dy = self.x - SIZE / 2, self.y - SIZE / 2
            px = np.cos(angle) * dx - np.sin(angle) * dy + SIZE / 2 + shift[0]
            py = np.sin(angle) * dx + np.cos(angle) * dy + SIZE / 2 + shift[1]
            self.images.append(self.image(rng, px, py))
            self.places.append((px, py))
            lists.append(self.star_list(rng, e, px, py, bright))
        self.lists = lists
        self.frame = build_master(lists, correction=IdentityMapping(), plane=PLANE, match_radius=65.0)

    def image(self, rng, px, py):
        signal = np.full((SIZE, SIZE), 0.5)
        jj, ii = np.mgrid[:SIZE, :SIZE]
        for x, y, f in zip(px, py, self.flux, strict=True):
            i0, j0 = max(int(x) - 6, 0), max(int(y) - 6, 0)
            box = np.s_[j0 : max(int(y) + 8, 0), i0 : max(int(x) + 8, 0)]
            dx, dy = ii[box] - x, jj[box] - y
            signal[box] += f * self.library.evaluate(dx, dy, np.full(dx.shape, x), np.full(dx.shape, y))
        err = np.sqrt(NOISE**2 + signal / GAIN)
        data = signal + rng.normal(0, 1, signal.shape) * err
        bad = rng.uniform(size=signal.shape) < 0.002
        hot = rng.uniform(size=signal.shape) < 0.0005
        data[hot] += 30.0
        return Image(data, err, bad, np.zeros_like(bad), "made")

    def star_list(self, rng, e, px, py, bright):
        ok = (np.arange(px.size) < bright) & (px > 2) & (py > 2) & (px < SIZE - 3) & (py < SIZE - 3)
        error = np.full(ok.sum(), 0.003)
        ra, dec = PLANE.to_sky(*PLANE.from_pixels(self.x[ok] + 10000, self.y[ok] + 10000))
        return Table(
            {
                "x": px[ok] + rng.normal(0, 0.003, ok.sum()), "y": py[ok] + rng.normal(0, 0.003, ok.sum()),
                "x_err": error, "y_err": error, "mag": self.mag[ok], "mag_err": error, "ra": ra, "dec": dec,
                "qfit": 0 * error, "flags": np.zeros(ok.sum(), int),
            },
            meta={"filename": f"made_{e}_cal.fits", "filter": "F150W", "epoch": 2022.3},
        )  # fmt: skip

    def truth(self):
        """Master pixels of the stars."""
        return self.x + 10000, self.y + 10000


@pytest.fixture(scope="session")
def scene():
    return Scene()
