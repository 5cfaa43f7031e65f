"""The linear system of distortion, exposures and stars about a starting solution (Methods §2)."""

import numpy as np
from scipy import sparse

from jwst_hpastrom.distortion.solve import _kernels
from jwst_hpastrom.distortion.solve.design import distortion_rows, drift_rows, exposure_rows, star_blocks

__all__ = ["Problem"]

#: share of the dispersion's square below which a star's own error tells of it, stars that it takes,
#: and the least dispersion, pixels a year
TOLD, FEW, STILL = 0.5, 50, 1e-5


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
    """

    def __init__(self, pairs, correction, transforms, layout, use, scale):
        self.layout, self.use = layout, np.flatnonzero(use)
        k = self.use
        self.exposure, star = pairs.exposure[k], pairs.star[k]
        self.stars, self.star = np.unique(star, return_inverse=True)
        base = np.empty((2, k.size))
        center = np.zeros((2, layout.n_exposures))
        for e, t in enumerate(transforms):
            m = self.exposure == e
            base[:, m] = t.forward(pairs.u[k][m], pairs.v[k][m])
            center[:, e] = base[:, m].mean(1) if m.any() else 0.0
        self.center = center
        cx, cy = correction.forward(pairs.x[k], pairs.y[k])
        self.r = np.stack([base[0] - cx, base[1] - cy])
        arm = (base - center[:, self.exposure]) / layout.half_width
        self.matrices = (
            np.stack([t.matrix @ r for t, r in zip(transforms, pairs.rotations, strict=True)]) * scale
        )
        parts = (
            distortion_rows(layout, pairs.x[k], pairs.y[k]),
            exposure_rows(layout, self.exposure, *arm),
            drift_rows(layout, pairs.x[k], pairs.y[k], pairs.years[self.exposure]),
        )
        self.rows = [sparse.hstack(v, "csr") for v in zip(*parts, strict=True)]
        self.motion = pairs.motion / scale  # of a star about the common one, pixels a year
        self.years = pairs.years
        arms = np.swapaxes(self.matrices[self.exposure], 0, 1)
        if self.motion > 0:
            arms = np.concatenate([arms, arms * self.years[self.exposure][:, None]], axis=2)
        self.arms, self.star_covariance = arms, None
        self.blocks = star_blocks(arms, self.star, self.stars.size)
        variance = (pairs.sigma[self.stars] / scale) ** 2
        typical = np.nanmedian(variance) if np.isfinite(variance).any() else np.inf
        self.star_variance = np.where(np.isfinite(variance), variance, typical)

    def normal(self, weights, star_weight):
        """Return the reduced normal matrix, and what `right_side` needs of the stars."""
        n, own = self.layout.n, self.arms.shape[2]
        c = np.zeros((self.stars.size, own, own))
        c[:, [0, 1], [0, 1]] = star_weight
        for a in range(2, own):
            c[:, a, a] = self.motion**-2.0
        matrix, cross = np.zeros((n, n)), None
        for k in (0, 1):
            j, w = self.rows[k], np.ascontiguousarray(weights[k])
            _add_gram(j, w, matrix)
            b = (self.blocks[k].T @ (sparse.diags_array(w) @ j)).tocsr()
            cross = b if cross is None else cross + b
            m = self.arms[k]
            for a in range(own):
                for d in range(own):
                    c[:, a, d] += np.bincount(self.star, weights[k] * m[:, a] * m[:, d], self.stars.size)
        root = np.linalg.inv(np.linalg.cholesky(c))
        self.star_covariance = np.swapaxes(root, 1, 2) @ root
        size = own * self.stars.size
        row = np.repeat(np.arange(size), own)
        column = (own * np.arange(self.stars.size)[:, None] + np.tile(np.arange(own), own)).ravel()
        lower = sparse.csr_array((root.reshape(-1), (row, column)), shape=(size, size))
        z = (lower @ cross).tocsr()
        _add_gram(z, np.full(size, -1.0), matrix)
        # one triangle is written only
        return matrix + np.tril(matrix, -1).T, (lower, z)

    def right_side(self, r, weights, stars):
        """Return the reduced right side for residuals r (2, n), and what back-substitution needs."""
        lower, z = stars
        star_side = sum(g.T @ (w * v) for g, w, v in zip(self.blocks, weights, r, strict=True))
        y = lower @ star_side
        side = sum(j.T @ (w * v) for j, w, v in zip(self.rows, weights, r, strict=True))
        return side - z.T @ y, (*stars, y)

    def stars_of(self, theta, back):
        """Stars' displacements, and motions, for given other unknowns, shape (n, 2) or (n, 4)."""
        lower, z, y = back
        return (lower.T @ (y - z @ theta)).reshape(self.stars.size, -1)

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

    def left(self, theta, displacement):
        """Residuals of the pairs, shape (2, n)."""
        d = displacement.ravel()
        return np.stack([self.r[k] - self.rows[k] @ theta - self.blocks[k] @ d for k in (0, 1)])


def _add_gram(rows, weights, matrix):
    """Add Σ w zᵀz of the rows of a sparse matrix to the lower triangle of a dense one."""
    rows.sort_indices()
    _kernels.add_gram(rows.indptr.astype(np.int64), rows.indices.astype(np.int64), rows.data, weights, matrix)
