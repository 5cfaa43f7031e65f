"""Which stars of dithered exposures are the same, before anything is known of them but rough positions."""

import logging

import numpy as np

from jwst_hpastrom.errors import NotEnoughStarsError
from jwst_hpastrom.geometry import fit_linear, match_nearest

__all__ = ["POINTING", "cross_identify", "pointing_error"]

log = logging.getLogger("stpipe.hpastrom.epsf")

#: largest error of an exposure's pointing, pixels: 4 arcsec of NIRISS, beyond any but a wrong guide star
POINTING = 60.0


def cross_identify(planes, mags, *, max_shift=POINTING, radius=1.5):
    """Number the stars of several exposures, given approximate common coordinates.

    Parameters
    ----------
    planes : list of (x, y)
        Positions of each exposure's stars in approximately common coordinates (pixels).

    mags : list of ndarray
        Their magnitudes.

    max_shift : float
        Largest error of an exposure's pointing, pixels.

    radius : float
        Largest distance of two measurements of one star once the pointing is corrected, pixels.

    Returns
    -------
    list of ndarray of int
        Number of each star, the same for the same star; -1 throughout for an exposure that matches no other.
    """
    middles = np.array([[np.median(x), np.median(y)] if len(x) else [np.nan] * 2 for x, y in planes])
    distance = np.hypot(*(middles - np.nanmedian(middles, 0)).T)
    order = np.argsort(np.where(np.isfinite(distance), distance, np.inf), kind="stable")
    ids = [np.full(len(m), -1) for m in mags]
    first = order[0]
    ids[first] = np.arange(len(mags[first]))
    mx, my, mm = (np.array(a, float) for a in (*planes[first], mags[first]))
    for e in order[1:]:
        x, y = planes[e]
        shift = pointing_error(x, y, mags[e], mx, my, mm, max_shift)
        if shift is None:
            log.warning("exposure %d matches no other: its own positions are used", e)
            continue
        px, py = _align(x + shift[0], y + shift[1], mx, my, radius)
        i, k, _ = match_nearest(px, py, mx, my, radius)
        ids[e][i] = k
        new = np.flatnonzero(ids[e] < 0)
        ids[e][new] = mx.size + np.arange(new.size)
        mx, my, mm = np.r_[mx, px[new]], np.r_[my, py[new]], np.r_[mm, mags[e][new]]
    return ids


def pointing_error(x1, y1, mag1, x2, y2, mag2, max_shift, *, n_bright=400, cell=3.0):
    """Offset that brings most bright stars of list 1 onto list 2; None if chance explains as many."""
    k1, k2 = np.argsort(mag1, kind="stable")[:n_bright], np.argsort(mag2, kind="stable")[: 2 * n_bright]
    if k1.size < 3 or k2.size < 3:
        return None
    edges = np.arange(-max_shift - cell, max_shift + 2 * cell, cell)
    dx, dy = x2[k2] - x1[k1][:, None], y2[k2] - y1[k1][:, None]
    some = (dx >= edges[0]) & (dx < edges[-1]) & (dy >= edges[0]) & (dy < edges[-1])
    dx, dy = dx[some], dy[some]
    cells, n = [((d - edges[0]) / cell).astype(int) for d in (dy, dx)], edges.size - 1
    votes = np.bincount(cells[0] * n + cells[1], minlength=n * n).reshape(n, n)
    votes = votes[:-1] + votes[1:]
    votes = votes[:, :-1] + votes[:, 1:]
    j, i = np.unravel_index(votes.argmax(), votes.shape)
    chance = votes.mean()
    if votes[j, i] < chance + 5 * np.sqrt(chance) + 5:
        return None
    sx, sy = edges[i + 1], edges[j + 1]
    for reach in (1.5 * cell, cell, 0.5 * cell):
        near = np.hypot(dx - sx, dy - sy) < reach
        if near.any():
            sx, sy = np.median(dx[near]), np.median(dy[near])
    return sx, sy


def _align(x, y, mx, my, radius):
    """Take rotation and scale out, too, where there are enough stars to find them by."""
    for reach in (4 * radius, radius):
        i, k, _ = match_nearest(x, y, mx, my, reach)
        if i.size >= 20:
            try:
                fit = fit_linear(x[i], y[i], mx[k], my[k], parameters=6, sigma=5.0)
            except NotEnoughStarsError:
                break
            x, y = fit.transform.forward(x, y)
    return x, y
