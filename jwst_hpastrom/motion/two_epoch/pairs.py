"""Which stars of the two epochs are the same: reference stars first, then all, then fast ones."""

from typing import NamedTuple

import numpy as np
from scipy.spatial import cKDTree

from jwst_hpastrom.columns import values
from jwst_hpastrom.errors import NotEnoughStarsError
from jwst_hpastrom.geometry import match_nearest, robust_sigma
from jwst_hpastrom.motion.selection import POOR, select_cmd
from jwst_hpastrom.motion.two_epoch.fast_pairs import LEAST_SPREAD, MAG_SIGMA, fast_pairs

__all__ = ["Pairs", "all_pairs", "reference_pairs"]


class Pairs(NamedTuple):
    """Rows of the master frame (i) and of the catalog (j) that are one star, from `all_pairs`."""

    i: np.ndarray
    j: np.ndarray
    chance: np.ndarray  # share of chance pairs among those as good or better; 0 where not a fast star
    uv: tuple  # all of the master frame's stars in the catalog's frame
    doubted: np.ndarray  # pairs of unlike magnitudes, where another star within the radius is alike

    @property
    def fast(self):
        """Pairs that the second search found."""
        return self.chance > 0


def reference_pairs(epochs, cuts, match_radius, parameters):
    """Pairs that are clean in the master frame, where the catalog's motions put them.

    Parameters
    ----------
    epochs : `~jwst_hpastrom.motion.two_epoch.epochs.TwoEpochs`

    cuts : `~jwst_hpastrom.motion.two_epoch.config.ReferenceCuts`

    match_radius : float
        mas.

    parameters : int
        Of the transformation.

    Returns
    -------
    i, j : ndarray of int
        Rows of the master frame and of the catalog.
    """
    master, first = epochs.master, epochs.first
    radius = match_radius / epochs.plane.scale_mas
    i, j, _ = match_nearest(*epochs.to_now.forward(*epochs.uv), *epochs.now, radius)
    color = None
    if "color" in master.colnames:
        color = values(master, "color")[i]
    elif "color" in first.colnames:
        color = values(first, "color")[j]
    clean = select_cmd(
        values(master, "mag")[i], color, mag_range=(cuts.mag_min, cuts.mag_max),
        color_range=(cuts.color_min, cuts.color_max), polygon=cuts.polygon,
    )  # fmt: skip
    chosen = clean & (epochs.flags[i] & int(POOR) == 0) & ~(values(master, "qfit")[i] > cuts.qfit_max)
    if chosen.sum() < max(cuts.min_reference, 10):  # all were saturated, say: better those than none
        chosen = clean
    fewest = max(cuts.min_reference, parameters // 2 + 1)
    if chosen.sum() < fewest:
        raise NotEnoughStarsError(
            f"{int(chosen.sum())} reference stars among {i.size} stars in common",
            f"{fewest}",
            "widen the reference stars' limits, or check the two fields",
        )
    return i[chosen], j[chosen]


def all_pairs(epochs, tie, match_radius, fast):
    """Pairs of all stars, matched where their known motion (less the reference stars' own) lets expect them.

    Parameters
    ----------
    epochs : `~jwst_hpastrom.motion.two_epoch.epochs.TwoEpochs`

    tie : `~jwst_hpastrom.motion.two_epoch.transformation.Tie`

    match_radius : float
        mas.

    fast : `~jwst_hpastrom.motion.fast_search.FastSearch`

    Returns
    -------
    `Pairs`
    """
    first, baselines, moved = epochs.first, epochs.baselines, epochs.moved
    uv = tie.fit.transform.forward(*epochs.uv)
    bulk = [np.nanmedian((m / baselines)[tie.rows[1]]) * baselines for m in moved]
    expect = [np.where(np.isfinite(m), m - b, 0.0) for m, b in zip(moved, bulk, strict=True)]
    known = np.isfinite(values(first, "pmra") + values(first, "pmdec"))
    px, py = (np.where(known, p + e, p) for p, e in zip(tie.xy, expect, strict=True))
    radius = match_radius / epochs.plane.scale_mas
    i, j, _ = match_nearest(*uv, px, py, radius)
    outer = fast.fast_motion * epochs.baseline / epochs.plane.scale_mas
    mags = values(epochs.master, "mag"), values(first, "mag")
    doubted = _doubted(i, j, uv, (px, py), *mags, radius)
    return _with_fast(
        Pairs(i, j, np.zeros(i.size), uv, doubted), (px, py), *mags, (radius, outer), fast.fast_false_share
    )


def _doubted(i, j, xy1, xy2, mag1, mag2, radius):
    """Return which pairs are unlike in magnitude although another star within the radius is alike.

    A nearer star by chance: among the few that have a neighbor within the radius at all.
    """
    out = np.zeros(i.size, bool)
    relation = mag2[j] - mag1[i]
    middle, spread = np.nanmedian(relation), robust_sigma(relation)
    if not np.isfinite(middle + spread):
        return out
    limit = MAG_SIGMA * max(spread, LEAST_SPREAD)
    unlike = np.flatnonzero(np.abs(relation - middle) > limit)
    for mine, at, others, expected, mags in (
        (i[unlike], xy1, xy2, mag1 + middle, mag2), (j[unlike], xy2, xy1, mag2 - middle, mag1)
    ):  # fmt: skip
        points = np.stack(others, 1)
        known = np.flatnonzero(np.isfinite(points).all(1))
        near = cKDTree(points[known]).query_ball_point(np.stack(at, 1)[mine], radius)
        for k, m, rows in zip(unlike, mine, near, strict=True):
            out[k] |= bool(np.any(np.abs(mags[known[rows]] - expected[m]) <= limit))
    return out


def _with_fast(pairs, expected, mag1, mag2, radii, false_share):
    """Pairs with those of fast stars among what is left over, and the share of these that are chance."""
    i, j, _, uv, doubted = pairs
    inner, outer = radii
    if not outer > abs(inner):
        return pairs
    rest1, rest2 = (np.setdiff1d(np.arange(c[0].size), k) for c, k in ((uv, i), (expected, j)))
    a, b, chance = fast_pairs(
        [c[rest1] for c in uv], [c[rest2] for c in expected], mag1[rest1], mag2[rest2], mag2[j] - mag1[i],
        inner=inner, outer=outer, false_share=false_share,
    )  # fmt: skip
    doubted = np.r_[doubted, np.zeros(a.size, bool)]
    i, j, chance = np.r_[i, rest1[a]], np.r_[j, rest2[b]], np.r_[np.zeros(i.size), chance]
    order = np.argsort(i, kind="stable")
    return Pairs(i[order], j[order], chance[order], uv, doubted[order])
