"""Cut-outs of all exposures of one tile of the field."""

from dataclasses import dataclass

import numpy as np

from jwst_hpastrom.geometry import LinearTransform, Mapping
from jwst_hpastrom.measure.bundles import Exposures

__all__ = ["Stack", "ToRaw"]


@dataclass(frozen=True, eq=False)
class ToRaw:
    """From the common frame (corrected pixels of the central exposure) to one exposure's raw pixels.

    Parameters
    ----------
    linear : `~jwst_hpastrom.geometry.LinearTransform`
        Common frame to the exposure's corrected pixels.

    correction : `~jwst_hpastrom.geometry.Mapping` or None
        Raw to corrected pixels of the exposure.
    """

    linear: LinearTransform
    correction: Mapping | None

    def __call__(self, x, y):
        """Return raw positions."""
        u, v = self.linear.forward(x, y)
        return (u, v) if self.correction is None else self.correction.inverse(u, v)


@dataclass(eq=False)
class Stack:
    """What the measurement of one tile needs; see `jwst_hpastrom.measure.bundles`.

    Attributes
    ----------
    data, weight : ndarray of float32, shape (n_exposures, ny, nx)
        Pixels and 1/σ², zero where there is nothing.

    origin : ndarray, shape (n_exposures, 2)
        Raw (x, y) of each cut-out's first pixel.

    to_raw : list of `ToRaw`

    zp : ndarray
        Flux scale of each exposure: counts there per flux on the common scale.

    slope : ndarray
        Growth of a pixel's variance with its value, for artificial stars.

    lib : ndarray of int
        Library of each exposure among ``libraries``.

    libraries : list of `~jwst_hpastrom.epsf.EPSFLibrary`

    core : tuple of float
        x_min, x_max, y_min, y_max in the common frame: stars in here belong to this tile.

    halo : float
        Pixels around the core that are measured, too.

    given : ndarray, shape (n, 3)
        x, y, flux of stars that are subtracted as they are (saturated ones).

    wings : `~jwst_hpastrom.epsf.EPSFLibrary` or None
        Light of bright stars beyond the borders of ``libraries``; see `jwst_hpastrom.measure.wings`.
    """

    data: np.ndarray
    weight: np.ndarray
    origin: np.ndarray
    to_raw: list
    zp: np.ndarray
    slope: np.ndarray
    lib: np.ndarray
    libraries: list
    core: tuple
    halo: float
    given: np.ndarray
    wings: object = None

    @property
    def bounds(self):
        """Core and halo: x_min, x_max, y_min, y_max."""
        a, b, c, d = self.core
        return a - self.halo, b + self.halo, c - self.halo, d + self.halo

    def positions(self, x, y):
        """Positions in every cut-out, arrays of shape (n_stars, n_exposures)."""
        px, py = np.empty((x.size, len(self.to_raw))), np.empty((x.size, len(self.to_raw)))
        for e, to_raw in enumerate(self.to_raw):
            u, v = to_raw(x, y)
            px[:, e], py[:, e] = u - self.origin[e, 0], v - self.origin[e, 1]
        return px, py

    def jacobians(self, h=8.0):
        """∂(raw)/∂(common) of each exposure at the tile's center, shape (n_exposures, 2, 2)."""
        a, b, c, d = self.core
        x, y = 0.5 * (a + b), 0.5 * (c + d)
        px, py = self.positions(np.array([x + h, x - h, x, x]), np.array([y, y, y + h, y - h]))
        out = np.empty((len(self.to_raw), 2, 2))
        for row, p in enumerate((px, py)):
            out[:, row, 0], out[:, row, 1] = (p[0] - p[1]) / (2 * h), (p[2] - p[3]) / (2 * h)
        return out

    def exposures(self):
        """Libraries, shifted field positions, Jacobians and flux scales as the kernels want them."""
        coeff = np.stack([library.coefficients for library in self.libraries])
        gx = np.stack([self.libraries[k].x - o[0] for k, o in zip(self.lib, self.origin, strict=True)])
        gy = np.stack([self.libraries[k].y - o[1] for k, o in zip(self.lib, self.origin, strict=True)])
        return Exposures(self.lib, coeff, gx, gy, self.libraries[0].oversampling, self.jacobians(), self.zp)
