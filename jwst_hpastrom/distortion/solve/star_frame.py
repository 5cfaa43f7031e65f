"""Residuals of pairs about the stars' own positions, and motions where these are unknown."""

import numpy as np

from jwst_hpastrom.distortion.solve import _kernels
from jwst_hpastrom.numerics import sort_into_groups

__all__ = ["StarFrame", "star_frame"]


class StarFrame:
    """Residuals about the stars' own positions: means over their exposures, the catalog counting too.

    Parameters
    ----------
    pairs : `~jwst_hpastrom.distortion.Pairs`
    transforms : list of `LinearTransform`
        Ideal plane to corrected pixels.
    weights : tuple of ndarray
        Of the pairs' x and y; a pair with weight zero does not count.
    prior : bool
        Whether the catalog counts.
    scale : float
        Arcsec per pixel, for the catalog's errors; by default `Pairs.pixel_scale`.
    noise : ndarray, shape (2, n), optional
        Variances of the measurements; by default the inverse of the weights.
    """

    def __init__(self, pairs, transforms, weights, *, prior=True, scale=None, noise=None):
        scale = pairs.pixel_scale if scale is None else scale
        self.pairs, self.transforms, self.scale = pairs, transforms, scale
        self.w = np.minimum(*weights)
        self.noise = np.where(self.w > 0, 1.0 / np.maximum(self.w, 1e-30), 0.0) if noise is None else noise
        self.matrices = np.stack(
            [t.matrix @ r * scale for t, r in zip(transforms, pairs.rotations, strict=True)]
        )
        self.inverses = np.linalg.inv(self.matrices)
        variance = np.mean((pairs.sigma / scale) ** 2, axis=1) if prior else np.full(len(pairs.sigma), np.inf)
        self.variance = np.where(np.isfinite(variance), np.maximum(variance, 1e-12), np.inf)
        self.motion = pairs.motion / scale  # unknown, pixels a year
        years = pairs.years[pairs.exposure]
        self.basis = np.stack([np.ones_like(years), years][: 2 if self.motion > 0 else 1], 1)
        self.back = self._back()
        self.order = sort_into_groups(pairs.star, self.variance.size)

    def _back(self):
        """Inverse normal matrices of the stars' unknowns on one axis, (n_stars, k, k); zero: no weight."""
        n, k = self.variance.size, self.basis.shape[1]
        normal = np.zeros((n, k, k))
        for a in range(k):
            for b in range(k):
                normal[:, a, b] = np.bincount(
                    self.pairs.star, self.w * self.basis[:, a] * self.basis[:, b], n
                )
        normal[:, 0, 0] += 1.0 / self.variance
        if k > 1:
            normal[:, 1, 1] += self.motion**-2.0
        empty = ~(normal[:, 0, 0] > 0)
        normal[empty] = np.eye(k)
        out = np.linalg.inv(normal)
        out[empty] = 0.0
        return out

    @property
    def share(self):
        """Weight of each pair in its own star's position at its time, 0..1."""
        own = np.einsum("na,nab,nb->n", self.basis, self.back[self.pairs.star], self.basis)
        return self.w * own

    def raw(self, correction):
        """Catalog (transformed) minus corrected position, shape (2, n)."""
        p = self.pairs
        out = -np.stack(correction.forward(p.x, p.y))
        for k, t in zip(p.by_exposure, self.transforms, strict=True):
            out[:, k] += t.forward(p.u[k], p.v[k])
        return out

    def about(self, r):
        """Residuals (2, n) as of `raw` about the stars' own positions, and motions where unknown."""
        out = np.empty((2, len(self.pairs)))
        _kernels.without_stars(
            *self.order, np.ascontiguousarray(r, float), self.w, self.basis, self.back, self.pairs.exposure,
            self.matrices, self.inverses, out,
        )  # fmt: skip
        return out

    def simulate(self, rng):
        """Draw `raw` residuals of pure noise: errors of the catalog and of the measurements."""
        return sum(self.simulate_both(rng))

    def simulate_both(self, rng):
        """Draw what the stars' catalog errors and motions are, and the measurements' errors, (2, n) each."""
        p = self.pairs
        d = rng.normal(size=(2, self.variance.size)) * np.sqrt(
            np.where(np.isfinite(self.variance), self.variance, 0.0)
        )
        m, d = self.matrices[p.exposure], d[:, p.star]
        if self.motion > 0:
            d = d + rng.normal(size=(2, self.variance.size))[:, p.star] * self.motion * self.basis[:, 1]
        noise = rng.normal(size=(2, len(p))) * np.sqrt(self.noise)
        return np.stack([m[:, k, 0] * d[0] + m[:, k, 1] * d[1] for k in (0, 1)]), noise


def star_frame(pairs, transforms, good, *, noise=0.005, prior=True):
    """`StarFrame` of some of the pairs, weighted by their stated errors and ``noise`` (pixels)."""
    weights = tuple(np.where(good, 1.0 / (e**2 + noise**2), 0.0) for e in (pairs.x_err, pairs.y_err))
    return StarFrame(pairs, transforms, weights, prior=prior)
