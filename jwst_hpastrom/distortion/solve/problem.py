"""The linear system of distortion, exposures and stars about a starting solution (Methods §2).

It is never there as a whole: the rows of a block of stars are made, added up and let go.
"""

from typing import NamedTuple

import numpy as np
from scipy.linalg import blas

from jwst_hpastrom.distortion.solve import _kernels
from jwst_hpastrom.distortion.solve.design import pair_rows
from jwst_hpastrom.numerics import rows_by_group
from jwst_hpastrom.numerics.threads import in_halves
from jwst_hpastrom.storage import Store

__all__ = ["Problem"]

#: share of the dispersion's square below which a star's own error tells of it, stars that it takes,
#: and the least dispersion, pixels a year
TOLD, FEW, STILL = 0.5, 50, 1e-5
#: pairs of a block, whose rows take 2 kB each while they are made
BLOCK = 1 << 13
#: share of the unknowns that a star's pairs reach from which on products of dense rows are faster
DENSE = 0.25
#: bytes of memory that the work takes at most: copies of the matrix; a pair
MATRICES, WORK = 2, 160.0


class Part(NamedTuple):
    """A block of stars: its pairs, among those that take part, and its first star and the next block's."""

    pairs: slice
    first: int
    last: int


class Problem:
    """The linear system about a starting solution.

    Parameters
    ----------
    pairs : `~jwst_hpastrom.distortion.Pairs`
    correction : `DistortionCorrection`
        Start.
    transforms : list of `LinearTransform`
        Start.
    layout : `Layout`
    use : ndarray of bool
        Pairs that take part.
    scale : float
        Arcsec per unit of a star's displacement (about a pixel).
    store : `~jwst_hpastrom.storage.Store`, optional
        Has what is kept of each pair.

    Raises
    ------
    ParameterError
        The equations take more memory than the store says there is.
    """

    def __init__(self, pairs, correction, transforms, layout, use, scale, store=None):
        store = store or Store()
        store.require(
            MATRICES * 8.0 * layout.n**2 + WORK * len(pairs),
            f"the equations of {layout.n_exposures} exposures with {len(pairs)} stars of the reference",
        )
        self.layout = layout
        k = np.flatnonzero(use)
        k = k[np.argsort(pairs.star[k], kind="stable")]  # star by star
        self.use = k = store.copy(k)
        self.exposure, star = store.copy(pairs.exposure[k]), pairs.star[k]
        self.stars, first, number = np.unique(star, return_index=True, return_inverse=True)
        self.star = store.copy(number)
        self.bounds = np.append(first, k.size)
        self.x, self.y = store.copy(pairs.x[k]), store.copy(pairs.y[k])
        base = store.array((2, k.size))
        center = np.zeros((2, layout.n_exposures))
        self.by_exposure = rows_by_group(self.exposure, layout.n_exposures)
        for e, (m, t) in enumerate(zip(self.by_exposure, transforms, strict=True)):
            base[:, m] = t.forward(pairs.u[k[m]], pairs.v[k[m]])
            center[:, e] = base[:, m].mean(1) if m.size else 0.0
        self.center = center
        self.r = store.array(base.shape)
        for first in range(0, k.size, BLOCK):
            s = slice(first, first + BLOCK)
            self.r[:, s] = base[:, s] - np.stack(correction.forward(self.x[s], self.y[s]))
            base[:, s] -= center[:, self.exposure[s]]
        base /= layout.half_width
        self.arm = base
        self.matrices = (
            np.stack([t.matrix @ r for t, r in zip(transforms, pairs.rotations, strict=True)]) * scale
        )
        self.motion = pairs.motion / scale  # of a star about the common one, pixels a year
        self.years = pairs.years
        self.own = 4 if self.motion > 0 else 2  # unknowns of a star
        self.star_covariance = None
        self.parts = self._divide()
        variance = (pairs.sigma[self.stars] / scale) ** 2
        typical = np.nanmedian(variance) if np.isfinite(variance).any() else np.inf
        self.star_variance = np.where(np.isfinite(variance), variance, typical)

    def _divide(self):
        """Blocks of stars, each with all its pairs."""
        first, out = 0, []
        while first < self.stars.size:
            end = np.searchsorted(self.bounds, self.bounds[first] + BLOCK, "right") - 1
            last = max(int(end), first + 1)
            out.append(Part(slice(self.bounds[first], self.bounds[last]), first, last))
            first = last
        return out

    def rows_of(self, number):
        """Return the derivatives of a block's residuals by all unknowns but the stars', x and y."""
        k = self.parts[number].pairs
        exposure = self.exposure[k]
        return pair_rows(self.layout, self.x[k], self.y[k], exposure, self.arm[:, k], self.years[exposure])

    def arms_of(self, number):
        """Return the pixels, x and y, of a block's pairs per unit of each of their stars' unknowns."""
        exposure = self.exposure[self.parts[number].pairs]
        arms = np.swapaxes(self.matrices[exposure], 0, 1)
        if self.own > 2:
            arms = np.concatenate([arms, arms * self.years[exposure][:, None]], axis=2)
        return np.ascontiguousarray(arms)

    def normal(self, weights, star_weight):
        """Return the reduced normal matrix; the stars' covariances are kept, for what follows."""
        n, own = self.layout.n, self.own
        c = np.zeros((self.stars.size, own, own))
        c[:, [0, 1], [0, 1]] = star_weight
        for a in range(2, own):
            c[:, a, a] = self.motion**-2.0

        def of_parts(numbers):
            matrix = np.zeros((n, n))
            for number in numbers:
                k, first, last = self.parts[number]
                rows = [_kernels.Rows(j.indptr, j.indices, j.data) for j in self.rows_of(number)]
                arms, w = self.arms_of(number), np.ascontiguousarray(weights[:, k])
                for j, m, v in zip(rows, arms, w, strict=True):
                    _kernels.add_gram(j, v, matrix)
                    for a in range(own):
                        for d in range(own):
                            c[first:last, a, d] += self._sums(number, v * m[:, a] * m[:, d])
                root = np.linalg.inv(np.linalg.cholesky(c[first:last]))
                c[first:last] = np.swapaxes(root, 1, 2) @ root
                self._eliminate(self.parts[number], rows, w, arms, root, matrix)
            return matrix

        matrix, more = in_halves(of_parts, range(len(self.parts)))
        matrix += more
        self.star_covariance = c
        for i in range(n):  # one triangle was written only
            matrix[i, i + 1 :] = matrix[i + 1 :, i]
        return matrix

    def _eliminate(self, part, rows, weights, arms, root, matrix):
        """Subtract what the own unknowns of a block's stars take from the lower triangle of the matrix."""
        k, first, last = part
        bounds, n, layout = self.bounds[first : last + 1] - self.bounds[first], self.layout.n, self.layout
        of_pair = layout.per_exposure + (4 if layout.n_cells else 0)
        reached = layout.n_polynomial + of_pair * (k.stop - k.start) / (last - first)
        if reached < DENSE * n:
            _kernels.eliminate_stars(bounds, *rows, weights, arms, root, matrix)
            return
        cross = np.zeros((last - first, self.own, n))
        _kernels.cross_of_stars(bounds, *rows, weights, arms, cross)
        cross = (root @ cross).reshape(-1, n)
        blas.dsyrk(-1.0, cross.T, beta=1.0, c=matrix.T, overwrite_c=True)  # upper triangle of the transposed

    def _sums(self, number, values):
        """Sums of a block's values over each star's pairs, which lie side by side."""
        k, first, last = self.parts[number]
        return np.add.reduceat(values, self.bounds[first:last] - k.start)

    def right_side(self, r, weights):
        """Return the reduced right side for residuals r (2, n)."""
        moved = self.of_stars(self.stars_of(r, weights))
        np.subtract(r, moved, out=moved)

        def of_parts(numbers):
            side = np.zeros(self.layout.n)
            for number in numbers:
                k = self.parts[number].pairs
                for j, w, v in zip(self.rows_of(number), weights[:, k], moved[:, k], strict=True):
                    side += j.T @ (w * v)
            return side

        return sum(in_halves(of_parts, range(len(self.parts))))

    def of_unknowns(self, theta):
        """Return what unknowns but the stars' are in the pairs' residuals, shape (2, n)."""
        out = np.empty_like(self.r)
        for number, (k, _, _) in enumerate(self.parts):
            out[:, k] = [j @ theta for j in self.rows_of(number)]
        return out

    def stars_of(self, r, weights):
        """Return the stars' displacements, and motions, (n, 2) or (n, 4), that residuals leave."""
        out = np.zeros((self.stars.size, self.own))
        for number, (k, first, last) in enumerate(self.parts):
            for m, v in zip(self.arms_of(number), weights[:, k] * r[:, k], strict=True):
                for a in range(self.own):
                    out[first:last, a] -= self._sums(number, m[:, a] * v)
        return np.einsum("nab,nb->na", self.star_covariance, out)

    def of_stars(self, displacement):
        """Return what stars' displacements and motions are in the pairs' residuals, shape (2, n)."""
        out = np.empty_like(self.r)
        for number, (k, _, _) in enumerate(self.parts):
            out[:, k] = -np.einsum("anu,nu->an", self.arms_of(number), displacement[self.star[k]])
        return out

    def improve_motion(self, found):
        """Find the dispersion of the stars' motions anew; return how many unknowns a star has on an axis."""
        if not self.motion > 0:
            return 1.0
        variance = np.diagonal(self.star_covariance, axis1=1, axis2=2)[:, 2:]
        told = variance < TOLD * self.motion**2
        known = 1.0 + float(np.mean(1.0 - np.minimum(variance / self.motion**2, 1.0)))
        if told.sum() >= FEW:
            self.motion = max(float(np.sqrt(np.mean((found[:, 2:] ** 2 + variance)[told]))), STILL)
        return known
