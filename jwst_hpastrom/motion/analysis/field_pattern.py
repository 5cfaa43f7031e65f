"""What differences of motions have in common over the field: a distortion that does not fit leaves it."""

import numpy as np

from jwst_hpastrom.geometry import robust_sigma
from jwst_hpastrom.numerics import polynomial_basis, polynomial_terms

__all__ = ["field_pattern"]

#: degree of the pattern, and number of the terms that a tie takes
DEGREE, LINEAR = 3, 3
#: fewest stars: some for each of the terms
LEAST = 60
#: robust widths beyond which a star is left out, and times that they are looked for
CLIP, TIMES = 4.0, 5


def field_pattern(x, y, difference, error):
    """Size of a smooth pattern of differences over the field, beyond a linear one.

    Parameters
    ----------
    x, y : ndarray, shape (n,)
        Positions, in any unit.

    difference, error : ndarray, shape (2, n)
        Along both axes.

    Returns
    -------
    dict
        pattern, the RMS of what the second and third degree take up along the worse axis, without what noise
        alone makes of it, in units of the differences; pattern_sigma, by how many standard deviations its
        chi-square exceeds that of noise. Empty for fewer than 60 stars. The linear terms are free: the tie
        of two epochs finds them from stars that move.

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> x, y = rng.uniform(-1, 1, (2, 500))
    >>> found = field_pattern(x, y, rng.normal(0, 0.1, (2, 500)) + x**2, np.full((2, 500), 0.1))
    >>> round(found["pattern"], 1), found["pattern_sigma"] > 100
    (0.3, True)
    """
    ok = np.isfinite(x + y + difference.sum(0)) & (error > 0).all(0)
    if ok.sum() < LEAST:
        return {}
    x, y, difference, error = x[ok], y[ok], difference[:, ok], error[:, ok]
    u, v = (2 * (c - c.min()) / max(np.ptp(c), 1e-30) - 1 for c in (x, y))
    basis = polynomial_basis(u, v, polynomial_terms(DEGREE))
    worst = {"pattern": 0.0, "pattern_sigma": -np.inf}
    for d, e in zip(difference, error, strict=True):
        size, excess = _one_axis(basis, d, e)
        if excess > worst["pattern_sigma"]:
            worst = {"pattern": size, "pattern_sigma": excess}
    return worst


def _one_axis(basis, difference, error):
    weight = 1 / np.maximum(error, 0.3 * np.median(error))
    keep = np.ones(difference.size, bool)
    for _ in range(TIMES):
        w = weight[keep, None]
        line = basis[:, :LINEAR]
        low = np.linalg.lstsq(line[keep] * w, np.c_[basis[keep, LINEAR:], difference[keep]] * w, rcond=None)[
            0
        ]
        free = np.c_[basis[:, LINEAR:], difference] - line @ low
        terms, target = free[:, :-1], free[:, -1]
        covariance = np.linalg.pinv((terms[keep] * w**2).T @ terms[keep])
        c = covariance @ (terms[keep].T @ (target[keep] * w[:, 0] ** 2))
        left = (target - terms @ c) * weight
        keep = np.abs(left) <= CLIP * max(robust_sigma(left), 1e-30)
    covariance = covariance * robust_sigma(left) ** 2
    chi2 = float(c @ np.linalg.pinv(covariance) @ c)
    noise = float(np.mean(np.einsum("ij,jk,ik->i", terms, covariance, terms)))
    size = float(np.mean((terms @ c) ** 2)) - noise
    return float(np.sqrt(max(size, 0.0))), float((chi2 - c.size) / np.sqrt(2 * c.size))
