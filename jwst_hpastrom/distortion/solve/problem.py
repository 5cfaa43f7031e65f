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
        self.layout = layout
        k = np.flatnonzero(use)
        self.use = k = k[np.argsort(pairs.star[k], kind="stable")]  # star by star
        self.exposure, star = pairs.exposure[k], pairs.star[k]
        self.stars, first, self.star = np.unique(star, return_index=True, return_inverse=True)
        self.bounds = np.append(first, k.size)
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
        for rows in self.rows:
            rows.sort_indices()
        self.motion = pairs.motion / scale  # of a star about the common one, pixels a year
        self.years = pairs.years
        arms = np.swapaxes(self.matrices[self.exposure], 0, 1)
        if self.motion > 0:
            arms = np.concatenate([arms, arms * self.years[self.exposure][:, None]], axis=2)
        self.arms, self.star_covariance = np.ascontiguousarray(arms), None
        self.blocks = star_blocks(arms, self.star, self.stars.size)
        variance = (pairs.sigma[self.stars] / scale) ** 2
        typical = np.nanmedian(variance) if np.isfinite(variance).any() else np.inf
        self.star_variance = np.where(np.isfinite(variance), variance, typical)

    def normal(self, weights, star_weight):
        """Return the reduced normal matrix, and the stars' covariances, which `right_side` needs."""
        n, own = self.layout.n, self.arms.shape[2]
        c = np.zeros((self.stars.size, own, own))
        c[:, [0, 1], [0, 1]] = star_weight
        for a in range(2, own):
            c[:, a, a] = self.motion**-2.0
        matrix = np.zeros((n, n))
        weights = np.ascontiguousarray(weights)
        rows = [_kernels.Rows(j.indptr, j.indices, j.data) for j in self.rows]
        for k in (0, 1):
            _kernels.add_gram(rows[k], weights[k], matrix)
            m = self.arms[k]
            for a in range(own):
                for d in range(own):
                    c[:, a, d] += np.bincount(self.star, weights[k] * m[:, a] * m[:, d], self.stars.size)
        root = np.linalg.inv(np.linalg.cholesky(c))
        self.star_covariance = np.swapaxes(root, 1, 2) @ root
        _kernels.eliminate_stars(self.bounds, *rows, weights, self.arms, root, matrix)
        # one triangle is written only
        matrix += np.tril(matrix, -1).T
        return matrix, self.star_covariance

    def right_side(self, r, weights, stars):
        """Return the reduced right side for residuals r (2, n), and what back-substitution needs."""
        own = self._stars_of(r, weights, stars).ravel()
        left = (w * (v - b @ own) for b, w, v in zip(self.blocks, weights, r, strict=True))
        return sum(j.T @ v for j, v in zip(self.rows, left, strict=True)), (r, weights, stars)

    def stars_of(self, theta, back):
        """Stars' displacements, and motions, for given other unknowns, shape (n, 2) or (n, 4)."""
        r, weights, stars = back
        return self._stars_of([v - j @ theta for j, v in zip(self.rows, r, strict=True)], weights, stars)

    def _stars_of(self, r, weights, covariance):
        """Stars' unknowns that residuals leave, all else being known."""
        side = sum(b.T @ (w * v) for b, w, v in zip(self.blocks, weights, r, strict=True))
        return np.einsum("nab,nb->na", covariance, side.reshape(self.stars.size, -1))

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
