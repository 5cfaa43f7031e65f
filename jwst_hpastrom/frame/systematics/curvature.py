"""The quadratic error of a field, which only a catalog can show: dithers take it for transformations."""

import numpy as np

from jwst_hpastrom.frame.systematics.spread import Profile, Spread, shown_terms, weighted_noise
from jwst_hpastrom.numerics import polynomial_basis, polynomial_terms

__all__ = ["curvature_error"]

#: catalog stars below which nothing is told: six parameters of the tie and as many of the curvature, twice
FEWEST = 12


def curvature_error(x, y, dx, dy, weights, spread=None):
    """Error by a quadratic pattern, which only a catalog can show: dithers take it for transformations.

    Parameters
    ----------
    x, y, dx, dy : ndarray, shape (n,)
        Stars of the catalog in the master frame, and their residuals about the six-parameter tie.

    weights : tuple of ndarray
        1/σ² of dx and dy.

    spread : `~jwst_hpastrom.frame.systematics.spread.Spread`, optional
        What is known of the size of the coefficients, those of higher terms say.

    Returns
    -------
    `~jwst_hpastrom.frame.systematics.spread.Profile` or None
        Expected error, what residuals' noise leaves unknown included; None where stars are too few.
    """
    if x.size < FEWEST:
        return None
    half = 0.5 * max(np.ptp(x), np.ptp(y))
    p, q = (x - x.mean()) / half, (y - y.mean()) / half
    linear, bent = (polynomial_basis(p, q, polynomial_terms(d, lowest)) for d, lowest in ((1, 0), (2, 2)))
    root = np.sqrt(np.mean(weights, axis=0))
    base = np.linalg.qr(linear * root[:, None])[0]
    terms, data = bent * root[:, None], np.stack([dx, dy]) * root
    terms, data = terms - base @ (base.T @ terms), data - (base @ (base.T @ data.T)).T
    turn, found, noise, _ = shown_terms(terms, data, weighted_noise, 3)
    spread = (spread or Spread.unknown(1 / np.median(root))).given(found, noise)
    own = (
        bent - linear @ np.linalg.lstsq(linear * root[:, None], bent * root[:, None], rcond=None)[0]
    ) @ turn
    return Profile.of(x, y, spread.variances(own, found, noise))
