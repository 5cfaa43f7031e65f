"""Which detections of which exposures are one star."""

import numpy as np
from scipy.spatial import cKDTree

from jwst_hpastrom.geometry import match_nearest

__all__ = ["drop_doubles", "identify"]


def identify(measurements, order, radius, x=None, y=None):
    """Assign every detection to a star of the list (x, y), appending those that fit none.

    Exposures are gone through in turn; a detection belongs to the star that is nearest to it, if it is also
    the nearest detection to that star and closer than ``radius``. Detections left over become new stars,
    which later exposures may match.

    Parameters
    ----------
    measurements : `~jwst_hpastrom.frame.measurements.Measurements`
        With u, v filled.

    order : sequence of int
        Exposures in the order they are gone through.

    radius : float
        Master pixels.

    x, y : ndarray, optional
        Stars known so far, master pixels.

    Returns
    -------
    star : ndarray of int
        Star of each detection.

    n_stars : int
        Number of stars, old and new; new ones come after the old.
    """
    m = measurements
    x = np.zeros(0) if x is None else np.asarray(x, float)
    y = np.zeros(0) if y is None else np.asarray(y, float)
    star = np.full(m.u.size, -1)
    for k in order:
        s = m.of(k)
        u, v = m.u[s], m.v[s]
        i, j, _ = match_nearest(u, v, x, y, radius)
        mine = np.full(u.size, -1)
        mine[i] = j
        new = np.flatnonzero(mine < 0)
        mine[new] = x.size + np.arange(new.size)
        star[s] = mine
        x, y = np.r_[x, u[new]], np.r_[y, v[new]]
    return star, x.size


def drop_doubles(x, y, count, radius):
    """Find stars that are another star again: closer to it than ``radius``, with fewer detections.

    Parameters
    ----------
    x, y : ndarray
        Master pixels.

    count : ndarray of int
        Detections of each star.

    radius : float
        Master pixels.

    Returns
    -------
    ndarray of bool
        Stars to keep.
    """
    keep = np.isfinite(x) & np.isfinite(y)
    where = np.flatnonzero(keep)
    pairs = cKDTree(np.c_[x[where], y[where]]).query_pairs(radius, output_type="ndarray")
    if pairs.size:
        a, b = where[pairs[:, 0]], where[pairs[:, 1]]
        keep[np.where(count[a] >= count[b], b, a)] = False
    return keep
