"""Transformations of exposures that are known already, fitted to pairs that have moved a little."""

import numpy as np

from jwst_hpastrom.geometry import LinearTransform
from jwst_hpastrom.numerics import MAD_TO_SIGMA

__all__ = ["aligned_again"]

CLIP = 3.0  # scatters per axis, as of the first fits
STEPS = 20  # fits at most until the same pairs are kept
FEWEST = 20  # pairs kept whose scatter is certain enough


def aligned_again(transform, x, y, u, v, weight, kept):
    """Fit a six-parameter transformation anew to pairs most of which agreed with it before.

    The search for a majority that agrees (`~jwst_hpastrom.geometry.fit_linear`) takes several times as long
    as the fit. It is not needed where it has been made: good pairs are known.

    Parameters
    ----------
    transform : `~jwst_hpastrom.geometry.LinearTransform`
        The last one.

    x, y, u, v, weight : ndarray, shape (n,)
        Pairs, and 1/σ² of each.

    kept : ndarray of bool, shape (n,)
        Pairs that agreed with it.

    Returns
    -------
    transform : `~jwst_hpastrom.geometry.LinearTransform`

    kept : ndarray of bool, shape (n,)
        Pairs within 3 scatters of those kept; or None in place of both, where too few are left of them or a
        minority agrees.
    """
    p, q = x - transform.center[0], y - transform.center[1]
    scale = max(np.ptp(p), np.ptp(q), 1e-30)
    design = np.stack([np.ones_like(p), p / scale, q / scale], 1)
    columns, weighted, root = np.stack([u, v], 1), design * weight[:, None], np.sqrt(weight)
    good = np.isfinite(columns).all(1) & np.isfinite(weight) & (weight > 0)
    fu, fv = transform.forward(x, y)
    off = np.stack([u - fu, v - fv], 1) * root[:, None]
    kept = kept & good
    for _ in range(STEPS):
        if kept.sum() < max(FEWEST, 0.6 * good.sum()):
            return None
        middle = np.median(off[kept], 0)
        spread = MAD_TO_SIGMA * np.median(np.abs(off[kept] - middle), 0)
        near = good & (np.square((off - middle) / np.maximum(spread, 1e-9)).sum(1) <= 2 * CLIP**2)
        if near.sum() < FEWEST:
            return None
        c = np.linalg.solve(design[near].T @ weighted[near], weighted[near].T @ columns[near])
        off = (columns - design @ c) * root[:, None]
        same, kept = np.array_equal(near, kept), near
        if same:
            break
    return LinearTransform(c[1:].T / scale, c[0], transform.center), kept
