"""Quadratic terms of what a WCS lacks, by how much dithered exposures stretch to fit each other.

A quadratic error of the distortion is linear in how far two exposures lie apart: the stars of both agree
after one of them is stretched and sheared, as no telescope does it. Their WCS say how they should fit.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from jwst_hpastrom.frame.systematics.spread import Spread
from jwst_hpastrom.geometry import fit_linear
from jwst_hpastrom.instrument import SCALE_CHANGE

__all__ = ["Bends", "Strains"]

#: part of the largest singular value below which dithers do not tell a combination of terms; its variance is
#: then far beyond any size that is tried, square master pixels
TOLD, NOTHING = 1e-6, 1e6
#: hours in a Julian year; those from first to last of exposures without times
HOURS, UNKNOWN = 8766.0, 12.0


class Bends(NamedTuple):
    """Coefficients of quadratic terms, in combinations of those of both axes whose errors are independent."""

    #: (2 k, 2 k): the coefficients of x, then those of y, are turn @ found
    turn: np.ndarray
    #: (2 k,)
    found: np.ndarray
    variance: np.ndarray

    def squares(self, spread, terms):
        """Expected squares (n, 2) of sums of terms (n, k): of what is seen of them, and of what is not."""
        whole, unseen = (self._of_axes(spread, f, terms) for f in (self.found, np.zeros(self.found.size)))
        return whole - unseen, unseen

    def _of_axes(self, spread, found, terms):
        products, k = self.turn @ spread.products(found, self.variance) @ self.turn.T, found.size // 2
        each = products[:k, :k], products[k:, k:]
        return np.stack([np.einsum("nj,jk,nk->n", terms, c, terms) for c in each], 1)


@dataclass(frozen=True, eq=False)
class Strains:
    """Transformations of the exposures to a frame beside those that their WCS have.

    Attributes
    ----------
    found, wcs : ndarray, shape (n_exposures, 2, 2)
        Matrices of corrected pixels to master pixels: the frame's, and the WCS's.

    middle : ndarray, shape (n_exposures, 2)
        Where the middle of the frame lies in each exposure, corrected pixels.

    hours : float
        From the first exposure to the last.
    """

    found: np.ndarray
    wcs: np.ndarray
    middle: np.ndarray
    hours: float

    @classmethod
    def of(cls, m, transforms, wcs_uv, epochs):
        """Strains of dithers with six-parameter transformations; None where one has no WCS.

        None of a mosaic, too, exposures that lie more than half a detector apart: the errors of its
        transformations add up along it, and bend it more than a detector does.

        Parameters
        ----------
        m : `~jwst_hpastrom.frame.measurements.Measurements`
        transforms : list of `~jwst_hpastrom.geometry.LinearTransform`
        wcs_uv : tuple of ndarray
            Places of the detections by their WCS, master pixels; NaN for none.
        epochs : ndarray, shape (n_exposures,)
            Julian years; NaN for unknown ones.
        """
        middle = np.mean([t.offset for t in transforms], axis=0)
        back = np.array([t.inverted().forward(*middle) for t in transforms])
        if np.ptp(back, axis=0).max() > 0.5 * max(np.ptp(m.x), np.ptp(m.y)):
            return None
        wcs = []
        for k in range(m.n_exposures):
            own = m.x[m.of(k)], m.y[m.of(k)], *(c[m.of(k)] for c in wcs_uv)
            own = [c[np.isfinite(own[2] + own[3])] for c in own]
            if own[0].size < 4:
                return None
            wcs.append(fit_linear(*own, parameters=6).transform.matrix)
        hours = HOURS * float(np.ptp(epochs))
        hours = hours if np.isfinite(hours) else UNKNOWN
        return cls(np.array([t.matrix for t in transforms]), np.array(wcs), back, hours)

    def bends(self, center, half, terms, factor, variance):
        """Find the coefficients of quadratic terms.

        Parameters
        ----------
        center : array-like, shape (2,)
        half : float
            Of the terms' coordinates, p = (x - center) / half.

        terms : sequence of (i, j)
            ``factor`` p^i q^j, of either axis of the master frame.

        factor : float

        variance : float
            Of an exposure's slopes by its stars' errors, square master pixels at p = 1.

        Returns
        -------
        `Bends`
            Their errors are those of the stars, and of a telescope that stretches at random: as much as
            documented, and as the exposures' transformations leave beside the terms.
        """
        n = len(self.found)
        p, q = (self.middle - center).T / half
        design = np.zeros((n, 2, 2, 2, len(terms)))
        for c, (i, j) in enumerate(terms):
            slope = np.stack([i * p ** max(i - 1, 0) * q**j, j * p**i * q ** max(j - 1, 0)], 1)
            for axis in (0, 1):
                design[:, axis, :, axis, c] = -factor * slope
        base = self._free()
        design, strain = (
            v - base @ (base.T @ v)
            for v in (design.reshape(4 * n, -1), half * (self.found - self.wcs).reshape(-1))
        )
        left, size, right = np.linalg.svd(design, full_matrices=False)
        told = size > TOLD * max(size[0], 1e-300)
        left, size = left[:, told], size[told]
        rest = strain - left @ (left.T @ strain)
        stretch = self._stretch(half, rest, 4 * n - base.shape[1] - size.size, variance)
        found, noise = np.zeros(told.size), np.full(told.size, NOTHING)
        found[told], noise[told] = left.T @ strain / size, (variance + stretch) / size**2
        return Bends(right.T, found, noise)

    def _free(self):
        """Basis of what is free: an exposure's turn, which its WCS does not know well, and a map of all."""
        n = len(self.wcs)
        free = np.zeros((n, 2, 2, n + 4))
        free[np.arange(n), :, :, np.arange(n)] = np.array([[0.0, -1.0], [1.0, 0.0]]) @ self.wcs
        free[..., n:] = np.einsum("cij,njk->nikc", np.eye(4).reshape(4, 2, 2), self.wcs)
        left, size, _ = np.linalg.svd(free.reshape(4 * n, -1), full_matrices=False)
        return left[:, size > 1e-9 * size[0]]  # a turn of all is in both

    def _stretch(self, half, rest, dof, variance):
        """Expected variance of slopes by the telescope, from what strains hold beside the stars' own."""
        scale = half * np.sqrt(np.mean(np.abs(np.linalg.det(self.wcs))))
        spread = Spread.believed(max(SCALE_CHANGE * np.sqrt(self.hours / 12), 1e-9) * scale)
        if dof > 0:
            spread = spread.given(np.full(dof, np.sqrt(rest @ rest / dof)), np.full(dof, variance))
        return spread.square
