"""From the master frame to the first epoch: one transformation for the field, and local ones."""

import logging
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.spatial import cKDTree

from jwst_hpastrom.errors import NotEnoughStarsError
from jwst_hpastrom.geometry import fit_linear, robust_sigma
from jwst_hpastrom.motion.two_epoch._kernels import Offsets, Reference, local_offsets

__all__ = ["Tie", "local_transformations", "tie_epochs"]

log = logging.getLogger("stpipe.hpastrom.motion")

#: years within which rows of a catalog are of one epoch
SAME_EPOCH = 1e-3


@dataclass(frozen=True)
class Tie:
    """The global transformation, from `tie_epochs`.

    Attributes
    ----------
    fit : `~jwst_hpastrom.geometry.LinearFit`
    intrinsic : float
        Scatter of the reference stars beyond their errors, own motions included, pixels.
    rows : tuple of two ndarray of int
        The reference stars that were kept: rows of the master frame and of the catalog.
    xy, e1 : tuple of two ndarray
        The catalog's positions at one epoch, and their errors.
    """

    fit: Any
    intrinsic: float
    rows: tuple
    xy: tuple
    e1: tuple


def tie_epochs(epochs, rows, how):
    """Fit the global transformation to the reference stars.

    Parameters
    ----------
    epochs : `~jwst_hpastrom.motion.two_epoch.epochs.TwoEpochs`

    rows : tuple of two ndarray of int
        Reference stars: rows of the master frame and of the catalog.

    how : `~jwst_hpastrom.motion.two_epoch.config.Transformation`

    Returns
    -------
    `Tie`
    """
    xy, e1, settings = epochs.xy, epochs.e1, (int(how.parameters), how.sigma)
    fit, intrinsic = _global(*rows, epochs.uv, xy, e1, epochs.e2, *settings)
    if np.ptp(epochs.baselines) > SAME_EPOCH:
        # rows of several epochs: the reference stars' mean motion carries them all to one
        xy, fit, intrinsic = _one_epoch(fit, intrinsic, rows, epochs, settings)
    if fit.divided:
        log.warning(
            "the two epochs' %d reference stars are of two kinds, which differ by far more than their errors "
            "and are nearly as many; %d are taken for right",
            rows[0].size, fit.n_used,
        )  # fmt: skip
    if epochs.no_errors:  # what the reference stars scatter beyond the master's errors, own motions included
        e1 = tuple(np.full_like(e, intrinsic) for e in e1)
        log.warning(
            "%s states no errors of its positions: the scatter of the reference stars, %.3f mas, stands in",
            epochs.first.meta.get("catalog", "the first epoch"), intrinsic * epochs.plane.scale_mas,
        )  # fmt: skip
    return Tie(fit, intrinsic, tuple(r[fit.keep] for r in rows), xy, e1)


def _one_epoch(fit, intrinsic, rows, epochs, settings):
    """First-epoch positions moved to their median epoch by the reference stars' mean motion, and the fit."""
    (i, j), uv, xy = rows, epochs.uv, epochs.xy
    early = epochs.baselines - np.median(epochs.baselines)
    for _ in range(8):
        fu, fv = fit.transform.forward(uv[0][i], uv[1][i])
        b = early[j]
        new = []
        for k, at in enumerate((fu, fv)):
            d = (at - xy[k][j])[fit.keep]
            # what stars of early and late rows differ by, per year; medians of halves are robust
            w = b[fit.keep]
            late = w > 0.5 * (w.min() + w.max())
            ok = late.any() and not late.all()
            gap = w[late].mean() - w[~late].mean() if ok else 1.0
            rate = (np.median(d[late]) - np.median(d[~late])) / gap if ok else 0.0
            new.append(xy[k] + rate * early)
        xy = new
        fit, intrinsic = _global(*rows, uv, tuple(xy), epochs.e1, epochs.e2, *settings)
    return tuple(xy), fit, intrinsic


def _global(i, j, uv, xy, e1, e2, parameters, sigma):
    """Weighted fit of the reference stars; weights include the scatter of their own motions."""
    u, v, x, y = uv[0][i], uv[1][i], xy[0][j], xy[1][j]
    var = [a[j] ** 2 + b[i] ** 2 for a, b in zip(e1, e2, strict=True)]
    typical = [np.nanmedian(w[w > 0]) if np.any(w > 0) else 1.0 for w in var]
    var = [np.where(np.isfinite(w) & (w > 0), w, m) for w, m in zip(var, typical, strict=True)]
    intrinsic, fit = 0.0, None
    for _ in range(3):
        weights = tuple(1.0 / (w + intrinsic**2) for w in var)
        fit = fit_linear(u, v, x, y, parameters=parameters, weights=weights, sigma=sigma)
        fu, fv = fit.transform.forward(u, v)
        k = fit.keep
        excess = [
            robust_sigma(d[k]) ** 2 - np.median(w[k]) for d, w in zip((fu - x, fv - y), var, strict=True)
        ]
        intrinsic = np.sqrt(max(np.mean(excess), 0.0))
    return fit, float(intrinsic)


def local_transformations(xy, offsets, reference, variance, intrinsic, how):
    """Offsets of the nearest reference stars at every star.

    Parameters
    ----------
    xy, offsets, variance : tuple of two ndarray
        Positions, displacements and their variances, of all stars.

    reference : ndarray of bool

    intrinsic : float
        Scatter of the reference stars.

    how : `~jwst_hpastrom.motion.two_epoch.config.Transformation`

    Returns
    -------
    dx, dy, ex, ey : ndarray
        NaN where too few are near.

    n_used : ndarray of int
    """
    vx, vy = variance
    rows = np.flatnonzero(reference & np.isfinite(offsets[0] + offsets[1] + vx + vy))
    if rows.size < 5:
        raise NotEnoughStarsError(
            f"{rows.size} reference stars", "5 for local transformations", "use 'global'"
        )
    points = np.c_[xy[0], xy[1]]
    k = min(how.n_local + 1, rows.size)
    near = np.atleast_2d(cKDTree(points[rows]).query(points, k)[1]).astype(np.int64)
    own = np.full(points.shape[0], -1)
    own[rows] = np.arange(rows.size)
    mine = near == own[:, None]
    # without itself each star has exactly n_local: others drop their farthest
    near[~mine.any(1), -1] = -1 if k > how.n_local else near[~mine.any(1), -1]
    weights = 1.0 / (0.5 * (vx + vy)[rows] + intrinsic**2)
    some = Reference(*points[rows].T.copy(), offsets[0][rows], offsets[1][rows], weights)
    out = Offsets(*np.empty((4, len(points))), np.zeros(len(points), np.int64))
    local_offsets(*xy, own, near, some, float(how.sigma), out)
    return out
