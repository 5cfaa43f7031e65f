"""The smooth part of a correction: what fields of the finest structure are about."""

from dataclasses import replace

import numpy as np
from scipy.interpolate import RectBivariateSpline

from jwst_hpastrom.distortion.model.correction import DistortionCorrection
from jwst_hpastrom.numerics import polynomial_basis, polynomial_terms

__all__ = ["SplineBase", "base_of", "smooth_part"]

#: places along either axis at which the smooth part of a table is taken: four in a cell of the default one
SAMPLED = 128


class SplineBase:
    """Polynomial plus table, the table interpolated by a cubic spline through its nodes.

    Parameters
    ----------
    correction : `DistortionCorrection`
    offset : tuple of float
        Added to x and y, pixels.
    """

    def __init__(self, correction, offset=(0.0, 0.0)):
        self.polynomial = DistortionCorrection(correction.polynomial, shape=correction.shape)
        self.table, self.splines, self.offset = correction.table, None, offset
        if self.table is not None:
            nodes_x, nodes_y = self.table.nodes
            self.splines = [RectBivariateSpline(nodes_y, nodes_x, t) for t in (self.table.dx, self.table.dy)]

    def fine(self, x, y):
        """The table's part, pixels."""
        if self.splines is None:
            return self.offset
        ny, nx = self.table.shape
        x, y = np.clip(x, 0, nx - 1), np.clip(y, 0, ny - 1)
        return tuple(s.ev(y, x) + v for s, v in zip(self.splines, self.offset, strict=True))

    def forward(self, x, y):
        """Corrected positions."""
        u, v = self.polynomial.forward(x, y)
        a, b = self.fine(x, y)
        return u + a, v + b

    def delta(self, x, y):
        """Corrected minus raw positions, shape (2, ...)."""
        return np.stack(self.forward(x, y)) - np.stack([x, y])


def base_of(correction, *, first):
    """What the field is about: the first filter's smooth part, another one's polynomial and table."""
    if not first or correction.table is None:
        return SplineBase(correction)
    return SplineBase(*smooth_part(correction))


def smooth_part(correction):
    """What a polynomial of the same degree follows of polynomial and table together.

    The stars tell the sum of both; which of them has what of it is told by the kinks of the table alone.

    Parameters
    ----------
    correction : `DistortionCorrection`
        With a table.

    Returns
    -------
    correction : `DistortionCorrection`
        Polynomial alone.
    offset : ndarray, shape (2,)
        The table's constant part, pixels.
    """
    p, (ny, nx) = correction.polynomial, correction.shape
    x, y = (v.ravel() for v in np.meshgrid(*(np.linspace(0.0, n - 1.0, SAMPLED) for n in (nx, ny))))
    u, v = ((w - c) / p.half_width for w, c in zip((x, y), p.center, strict=True))
    basis = polynomial_basis(u, v, polynomial_terms(p.degree))
    offset, *more = np.linalg.lstsq(basis, np.stack(correction.table.delta(x, y), 1), rcond=None)[0]
    a, b = np.transpose(more)
    return replace(correction, polynomial=replace(p, a=p.a + a, b=p.b + b), table=None), offset
