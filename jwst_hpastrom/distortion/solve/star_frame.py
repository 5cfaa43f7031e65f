"""Residuals of pairs about the stars' own positions."""

import numpy as np

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
        self.total = np.bincount(pairs.star, self.w, self.variance.size) + 1.0 / self.variance
        self.safe = np.where(self.total > 0, self.total, 1.0)

    @property
    def share(self):
        """Weight of each pair in its own star's position, 0..1."""
        return self.w / self.safe[self.pairs.star]

    def raw(self, correction):
        """Catalog (transformed) minus corrected position, shape (2, n)."""
        p = self.pairs
        out = -np.stack(correction.forward(p.x, p.y))
        for e, t in enumerate(self.transforms):
            k = p.exposure == e
            out[:, k] += t.forward(p.u[k], p.v[k])
        return out

    def displacement(self, r):
        """Stars' own positions minus the catalog's, shape (2, n_stars), pixels along xi and eta."""
        p, n = self.pairs, self.variance.size
        back = self.inverses[p.exposure]
        sky = [back[:, k, 0] * r[0] + back[:, k, 1] * r[1] for k in (0, 1)]
        return np.stack([np.bincount(p.star, self.w * s, n) / self.safe for s in sky])

    def about(self, r, displacement):
        """Residuals of `raw` about the displaced stars."""
        m, d = self.matrices[self.pairs.exposure], displacement[:, self.pairs.star]
        return np.stack([r[k] - m[:, k, 0] * d[0] - m[:, k, 1] * d[1] for k in (0, 1)])

    def simulate(self, rng):
        """Draw `raw` residuals of pure noise: errors of the measurements and of the catalog."""
        p = self.pairs
        d = rng.normal(size=(2, self.variance.size)) * np.sqrt(
            np.where(np.isfinite(self.variance), self.variance, 0.0)
        )
        m = self.matrices[p.exposure]
        noise = rng.normal(size=(2, len(p))) * np.sqrt(self.noise)
        return np.stack([m[:, k, 0] * d[0, p.star] + m[:, k, 1] * d[1, p.star] for k in (0, 1)]) + noise


def star_frame(pairs, transforms, good, *, noise=0.005, prior=True):
    """`StarFrame` of some of the pairs, weighted by their stated errors and ``noise`` (pixels)."""
    weights = tuple(np.where(good, 1.0 / (e**2 + noise**2), 0.0) for e in (pairs.x_err, pairs.y_err))
    return StarFrame(pairs, transforms, weights, prior=prior)
