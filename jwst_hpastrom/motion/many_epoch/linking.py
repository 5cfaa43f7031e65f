"""Which entries of registered lists are the same star: by name, or by tracks through their positions."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.spatial import cKDTree

from jwst_hpastrom._display import Displayed
from jwst_hpastrom.columns import values
from jwst_hpastrom.errors import BadCatalogError
from jwst_hpastrom.motion.many_epoch.fast_tracks import join_fast
from jwst_hpastrom.motion.many_epoch.registration import pixel_size

__all__ = ["LinkedStars", "link_by_name", "link_by_position"]


@dataclass(frozen=True)
class LinkedStars(Displayed):
    """Stars and their entries in every list; arrays have shape (n_stars, n_epochs).

    Attributes
    ----------
    index : ndarray of int
        Row in each list, -1 where the star was not found.

    x, y, x_err, y_err, mag : ndarray
        What the lists say, pixels and magnitudes; NaN where missing.

    usable : ndarray of bool
        Found, with finite positive errors.

    fast : ndarray of bool, shape (n_stars,)
        Found by the search for fast stars.
    """

    index: np.ndarray
    x: np.ndarray
    y: np.ndarray
    x_err: np.ndarray
    y_err: np.ndarray
    mag: np.ndarray
    usable: np.ndarray
    fast: np.ndarray

    def take(self, rows: Any) -> "LinkedStars":
        """Return some of the stars."""
        names = ("index", "x", "y", "x_err", "y_err", "mag", "usable", "fast")
        return LinkedStars(*(getattr(self, n)[rows] for n in names))


def _gather(lists, index, fast=None):
    shape = index.shape
    columns = {c: np.full(shape, np.nan) for c in ("x", "y", "x_err", "y_err", "mag")}
    for k, table in enumerate(lists):
        has = index[:, k] >= 0
        for c, out in columns.items():
            out[has, k] = values(table, c)[index[has, k]]
    ex, ey = columns["x_err"], columns["y_err"]
    with np.errstate(invalid="ignore"):
        good = np.isfinite(columns["x"] + columns["y"]) & (ex > 0) & (ey > 0) & np.isfinite(ex + ey)
    fast = np.zeros(len(index), bool) if fast is None else fast
    return LinkedStars(index, usable=(index >= 0) & good, fast=fast, **columns)


def link_by_name(lists, column="name"):
    """Take equal names as one star.

    Parameters
    ----------
    lists : list of `~astropy.table.Table`
    column : str

    Returns
    -------
    `LinkedStars`

    Raises
    ------
    BadCatalogError
        A list has no such column, or a name twice.
    """
    known = {}
    for k, table in enumerate(lists):
        label = table.meta.get("filename", f"list {k + 1}")
        if column not in table.colnames:
            raise BadCatalogError(f"no column {column}", "names in every list", "match by position", label)
        names = [str(n) for n in table[column]]
        if len(set(names)) < len(names):
            twice = sorted(n for n in set(names) if names.count(n) > 1) if len(names) < 3000 else ["several"]
            raise BadCatalogError(
                f"duplicate names ({', '.join(twice[:3])})", "each name once", "match by position", label
            )
        for i, n in enumerate(names):
            known.setdefault(n, np.full(len(lists), -1))[k] = i
    return _gather(lists, np.array(list(known.values())))


class _Tracks:
    """Straight lines through the entries found so far, with a prior on the motion (a ridge)."""

    def __init__(self, t0, sigma_v):
        self.t0, self.prior, self.size = t0, sigma_v**-2.0, 0
        self.sums = np.zeros((0, 5))  # w, w t, w t², and below w u, w t u per axis
        self.moments = np.zeros((0, 2, 2))
        self.mag = np.zeros((0, 2))

    def grow(self, n):
        first, self.size = self.size, self.size + n
        self.sums = np.vstack([self.sums, np.zeros((n, 5))])
        self.moments = np.concatenate([self.moments, np.zeros((n, 2, 2))])
        self.mag = np.vstack([self.mag, np.zeros((n, 2))])
        return np.arange(first, self.size)

    def add(self, rows, t, u, v, error, mag, sign=1.0):
        dt, w = t - self.t0, sign / error**2
        self.sums[rows, 0] += w
        self.sums[rows, 1] += w * dt
        self.sums[rows, 2] += w * dt * dt
        for axis, c in enumerate((u, v)):
            self.moments[rows, axis, 0] += w * c
            self.moments[rows, axis, 1] += w * dt * c
        ok = np.isfinite(mag)
        self.mag[rows[ok], 0] += sign
        self.mag[rows[ok], 1] += sign * mag[ok]

    def predict(self, t):
        s0, s1, s2 = self.sums[:, 0], self.sums[:, 1], self.sums[:, 2] + self.prior
        det = s0 * s2 - s1 * s1
        dt = t - self.t0
        with np.errstate(divide="ignore", invalid="ignore"):
            p = (s2[:, None] * self.moments[..., 0] - s1[:, None] * self.moments[..., 1]) / det[:, None]
            q = (s0[:, None] * self.moments[..., 1] - s1[:, None] * self.moments[..., 0]) / det[:, None]
            variance = (s2 - 2 * dt * s1 + dt * dt * s0) / det
            mag = np.where(self.mag[:, 0] > 0.5, self.mag[:, 1] / self.mag[:, 0], np.nan)
        return p + q * dt, variance, mag


def _pair(predicted, variance, mag, u, v, error, list_mag, floor, radius, max_mag_difference):
    """Mutually nearest pairs in units of the expected error."""
    ok1 = np.flatnonzero(np.isfinite(predicted).all(1))
    ok2 = np.flatnonzero(np.isfinite(u + v))
    if ok1.size == 0 or ok2.size == 0:
        return np.zeros(0, int), np.zeros(0, int)
    tree = cKDTree(np.c_[u, v][ok2])
    k = min(4, ok2.size)
    d, j = tree.query(predicted[ok1], k=k, distance_upper_bound=radius)
    d, j = d.reshape(ok1.size, k), j.reshape(ok1.size, k)
    rows, cols = np.nonzero(np.isfinite(d))
    i, j, d = ok1[rows], ok2[j[rows, cols]], d[rows, cols]
    scale = np.sqrt(variance[i] + error[j] ** 2 + floor**2)
    dm = np.abs(mag[i] - list_mag[j])
    fits = (d < np.minimum(radius, 6 * scale)) & ~(dm > max_mag_difference)
    i, j, cost = i[fits], j[fits], (d / scale)[fits] + np.nan_to_num(dm[fits] / max_mag_difference)
    order = np.argsort(cost, kind="stable")
    i, j = i[order], j[order]
    # Best first: a pair is taken where neither partner has a better one that is taken.
    taken_i, taken_j, out = set(), set(), []
    for a, b in zip(i.tolist(), j.tolist(), strict=True):
        if a not in taken_i and b not in taken_j:
            taken_i.add(a)
            taken_j.add(b)
            out.append((a, b))
    pairs = np.array(out, int).reshape(-1, 2)
    return pairs[:, 0], pairs[:, 1]


def _adopt(index, k, predicted, mag, u, v, list_mag, max_mag_difference):
    """Give stray entries of list k to the star that they lie on and that is missing there.

    A stray belongs to a star seen in fewer lists, never in one with the other; it lies on that one if it is
    closer than half the distance that 95 % of the list's entries keep from each other.
    """
    found = index >= 0
    n_found = found.sum(1)
    stray = np.flatnonzero(found[:, k] & (n_found < index.shape[1] / 2))
    star = np.flatnonzero(~found[:, k] & (n_found > 2) & np.isfinite(predicted).all(1))
    entries = np.c_[u, v][np.isfinite(u + v)]
    if stray.size == 0 or star.size == 0 or len(entries) < 20:
        return
    reach = 0.5 * np.quantile(cKDTree(entries).query(entries, k=2)[0][:, 1], 0.05)
    entry = index[stray, k]
    distance, nearest = cKDTree(predicted[star]).query(np.c_[u, v][entry], distance_upper_bound=reach)
    for a in np.argsort(distance, kind="stable")[: np.isfinite(distance).sum()]:
        old, new = stray[a], star[nearest[a]]
        apart = n_found[old] < n_found[new] and not (found[old] & found[new]).any()
        if apart and index[new, k] < 0 and not abs(mag[new] - list_mag[entry[a]]) > max_mag_difference:
            index[old, k], index[new, k] = -1, entry[a]


def _placed(table, mapping, unit_mas, floor):
    """Positions (u, v) of a list in the common frame, their errors, mas, and magnitudes."""
    u, v = mapping.forward(values(table, "x"), values(table, "y"))
    scale = pixel_size(mapping, table) * unit_mas / np.sqrt(2)
    e = np.hypot(values(table, "x_err"), values(table, "y_err")) * scale
    bad = ~(np.isfinite(e) & (e > 0))
    e[bad] = np.median(e[~bad]) if np.any(~bad) else floor
    uv = np.asarray(u) * unit_mas, np.asarray(v) * unit_mas
    return uv, np.maximum(e, 1e-3 * floor), values(table, "mag")


def _in_order(index):
    """Stars that have entries, in the order of the first list that has them."""
    index = index[(index >= 0).any(1)]
    first = np.argmax(index >= 0, axis=1)
    return index[np.lexsort((index[np.arange(len(index)), first], first))]


def link_by_position(
    lists, epochs, mappings, anchor, unit_mas, *, max_motion=15.0, position_floor=3.0, max_mag_difference=1.0,
    fast_motion=200.0, fast_false_share=0.2,
):  # fmt: skip
    """Follow every star through the lists along straight lines that sharpen as epochs come in.

    Parameters
    ----------
    lists, epochs
        From `~jwst_hpastrom.motion.many_epoch.registration.check_lists`.

    mappings, anchor
        From `~jwst_hpastrom.motion.many_epoch.registration.register_lists`.

    unit_mas : float
        mas per unit of the common frame.

    max_motion : float
        Largest motion in the common frame, mas/yr.

    position_floor : float
        Systematic error of a position in the common frame, mas.

    max_mag_difference : float
        Largest difference from the star's mean magnitude.

    fast_motion, fast_false_share : float
        Largest motion, mas/yr, of stars whose pieces are joined afterwards, and the largest share of chance
        among them: `~jwst_hpastrom.motion.many_epoch.fast_tracks.join_fast`.

    Returns
    -------
    `LinkedStars`
        Every entry of every list belongs to one star.

    Notes
    -----
    The lists join in order of their distance in time from the anchor; a second pass along the fitted motions
    corrects early mistakes. Pairs are taken best first, in units of the predicted error, so that a star with
    a well known motion is not lost to a chance neighbor. The search radius is six predicted errors. Last,
    strays on a star that is missing in their list become the star's, for its fit to judge as outliers: left
    alone they would join to stars of two or three epochs with motions wrong by any amount.
    """
    order = np.argsort(np.abs(epochs - epochs[anchor]), kind="stable")
    t0, n = float(np.mean(epochs)), len(lists)
    placed = [_placed(t, m, unit_mas, position_floor) for t, m in zip(lists, mappings, strict=True)]
    uv, err, mags = (list(part) for part in zip(*placed, strict=True))
    tracks = _Tracks(t0, max_motion / 2.5)
    index = np.full((0, n), -1)
    for again in (False, True):
        for k in order:
            u, v = uv[k]
            if again:
                old = np.flatnonzero(index[:, k] >= 0)
                j = index[old, k]
                tracks.add(old, epochs[k], u[j], v[j], np.hypot(err[k][j], position_floor), mags[k][j], -1.0)
                index[old, k] = -1
            alive = tracks.sums[:, 0] > 1e-12
            predicted, variance, mag = tracks.predict(epochs[k])
            predicted[~alive] = np.nan
            radius = max_motion * np.max(np.abs(epochs[k] - epochs)) + 6 * position_floor
            stars, entries = (predicted, np.abs(variance), mag), (u, v, err[k], mags[k])
            i, j = _pair(*stars, *entries, position_floor, radius, max_mag_difference)
            fresh = np.setdiff1d(np.flatnonzero(np.isfinite(u + v)), j)
            rows = tracks.grow(fresh.size)
            index = np.vstack([index, np.full((fresh.size, n), -1)])
            i, j = np.r_[i, rows], np.r_[j, fresh]
            index[i, k] = j
            tracks.add(i, epochs[k], u[j], v[j], np.hypot(err[k][j], position_floor), mags[k][j])
    for k in order:
        _adopt(index, k, *tracks.predict(epochs[k])[::2], *uv[k], mags[k], max_mag_difference)
    index, fast = join_fast(
        _in_order(index), epochs, uv, err, mags, slow=max_motion, fast=fast_motion, floor=position_floor,
        max_mag_difference=max_mag_difference, false_share=fast_false_share,
    )  # fmt: skip
    return _gather(lists, index, fast)
