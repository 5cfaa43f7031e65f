"""Stars too fast for the linking of many epochs: straight tracks through what it left in pieces."""

import logging

import numpy as np
from scipy.spatial import cKDTree
from scipy.stats import poisson

__all__ = ["join_fast"]

log = logging.getLogger("stpipe.hpastrom.motion")

#: rows found in at most this share of the lists may be pieces of a fast star
PIECES = 0.75
#: fewest entries of a track: three have one degree of freedom an axis
FEWEST = 3
#: share of the baseline between the two entries that a track is laid through: nearer ones tell no direction
FAR_APART = 0.25
#: largest distance of an entry from its track, in predicted errors
TRACK_SIGMA = 4.0
#: displaced copies of the lists that measure how many tracks are chance, their displacement in units of the
#: fastest star's path, and the probability below which as many are no chance
N_CONTROL, DISPLACED, IMPROBABLE = 16, (2.0, 4.0), 0.02
#: of the displacements
SEED = 1
#: pairs of entries that are tried; where there would be more, the search stops at slower stars
TOO_MANY = 200_000


def join_fast(
    index, epochs, uv, err, mags, *, slow, fast, floor, max_mag_difference, false_share=0.2
):  # fmt: skip
    """Join the pieces of fast stars.

    Two entries of leftover rows give a track; the other lists' leftover entries that lie on it and are alike
    in magnitude support it. Tracks are taken by their number of entries, as far as no more than a share of
    them are chance, which the same search in lists displaced against each other measures. A track takes
    entries only from rows with fewer entries than it has.

    Parameters
    ----------
    index : ndarray of int, shape (n_stars, n_lists)
        Entries of each star, -1 where it is not found.

    epochs : ndarray, shape (n_lists,)

    uv : list of tuple of two ndarray
        Positions of all entries of each list in the common frame, mas.

    err, mags : list of ndarray
        Errors (mas) and magnitudes.

    slow, fast : float
        Slowest and fastest motion that is looked for, mas/yr.

    floor : float
        Systematic error of a position, mas.

    max_mag_difference : float
        Largest difference of magnitude from the track's first two.

    false_share : float
        Largest share of chance tracks among those that are taken.

    Returns
    -------
    index : ndarray of int
        With the fast stars as rows at the end, without the rows that they emptied.

    is_fast : ndarray of bool
    """
    n = index.shape[1]
    none = np.zeros(len(index), bool)
    if n < FEWEST or not fast > slow:
        return index, none
    found = (index >= 0).sum(1)
    left = found <= PIECES * n
    rows, entries = _left_over(index, left, uv, err, mags, floor)
    fast = min(fast, _affordable(entries, epochs, uv))
    search = {"slow": slow, "fast": fast, "max_mag_difference": max_mag_difference}
    tracks = _tracks(entries, epochs, **search) if fast > slow else []
    tracks = [t for t in tracks if all(found[rows[k][i]] < len(t) for k, i in t)]
    if not tracks:
        return index, none
    chance = _by_chance(entries, epochs, search)
    taken = _fewest_entries(np.array([len(t) for t in tracks]), chance, false_share)
    tracks = [t for t in tracks if len(t) >= taken]
    log.info(
        "fast stars: %d tracks of %s or more entries; chance brings %.1f",
        len(tracks), taken if tracks else FEWEST, chance[int(taken) if tracks else FEWEST] / N_CONTROL,
    )  # fmt: skip
    index, new = index.copy(), np.full((len(tracks), n), -1)
    for s, track in enumerate(tracks):
        for k, i in track:
            new[s, k] = index[rows[k][i], k]
        for k, i in track:
            index[rows[k][i], k] = -1
    keep = (index >= 0).any(1)
    return np.vstack([index[keep], new]), np.r_[none[keep], np.ones(len(new), bool)]


def _left_over(index, left, uv, err, mags, floor):
    """Rows of the stars in pieces in every list, and their entries there: u, v, error, magnitude."""
    rows, entries = [], []
    for k in range(index.shape[1]):
        r = np.flatnonzero(left & (index[:, k] >= 0))
        e = index[r, k]
        ok = np.isfinite(uv[k][0][e] + uv[k][1][e])
        rows.append(r[ok])
        e = e[ok]
        entries.append((uv[k][0][e], uv[k][1][e], np.hypot(err[k][e], floor), mags[k][e]))
    return rows, entries


def _by_chance(entries, epochs, search):
    """Tracks of so many entries or more (the index) in all copies of the lists displaced at random."""
    n, rng, path = len(entries), np.random.default_rng(SEED), search["fast"] * np.ptp(epochs)
    chance = np.zeros(n + 1)
    for _ in range(N_CONTROL):
        a, r = rng.uniform(0, 2 * np.pi, n), path * rng.uniform(*DISPLACED, n)
        moved = [
            (e[0] + r[k] * np.cos(a[k]), e[1] + r[k] * np.sin(a[k]), *e[2:]) for k, e in enumerate(entries)
        ]
        for t in _tracks(moved, epochs, **search):
            chance[: len(t) + 1] += 1
    return chance


def _fewest_entries(sizes, chance, false_share):
    """Entries from which tracks are taken: the fewest of which chance brings few enough; inf for none."""
    taken = np.inf
    for m in range(chance.size - 1, FEWEST - 1, -1):
        count, false = np.sum(sizes >= m), (chance[m] + 1) / N_CONTROL
        if count and false <= max(false_share * count, 1 / N_CONTROL):
            taken = m if poisson.sf(count - 1, false) < max(IMPROBABLE, 1 / N_CONTROL) else taken
    return taken


def _affordable(entries, epochs, uv):
    """Fastest motion for which the pairs of entries are not too many, mas/yr."""
    area = np.prod([np.ptp(np.concatenate([f[np.isfinite(f)] for f in c])) for c in zip(*uv, strict=True)])
    count = np.array([e[0].size for e in entries], float)
    pairs = np.triu(
        count[:, None] * count * np.pi * (epochs[:, None] - epochs) ** 2 / max(area, 1e-12), 1
    ).sum()
    return np.sqrt(TOO_MANY / max(pairs, 1e-12))


def _tracks(entries, epochs, *, slow, fast, max_mag_difference):
    """Disjoint tracks, the most supported first: lists of (list, entry)."""
    n = len(entries)
    trees = [cKDTree(np.c_[e[0], e[1]]) if e[0].size else None for e in entries]
    seeds = []
    for p in range(n):
        for q in range(p + 1, n):
            dt = epochs[q] - epochs[p]
            if trees[p] is None or trees[q] is None or abs(dt) < FAR_APART * np.ptp(epochs):
                continue
            near = trees[p].sparse_distance_matrix(trees[q], fast * abs(dt), output_type="coo_matrix")
            i, j = near.row[near.data > slow * abs(dt)], near.col[near.data > slow * abs(dt)]
            ok = ~(np.abs(entries[p][3][i] - entries[q][3][j]) > max_mag_difference)
            i, j = i[ok], j[ok]
            if i.size:
                seeds.append(_supported(p, q, i, j, entries, epochs, trees, max_mag_difference))
    if not seeds:
        return []
    hits, cost = (np.concatenate(c) for c in zip(*seeds, strict=True))
    count = (hits >= 0).sum(1)
    order = np.lexsort((cost, -count))
    used = [np.zeros(e[0].size, bool) for e in entries]
    out = []
    for s in order[: np.searchsorted(-count[order], -FEWEST, side="right")]:
        track = [(k, int(hits[s, k])) for k in np.flatnonzero(hits[s] >= 0)]
        if not any(used[k][i] for k, i in track):
            out.append(track)
            for k, i in track:
                used[k][i] = True
    return out


def _supported(p, q, i, j, entries, epochs, trees, max_mag_difference):
    """Entries on the lines through entries i of list p and j of list q, and their chi-squares."""
    hits, cost = np.full((i.size, len(entries)), -1), np.zeros(i.size)
    hits[:, p], hits[:, q] = i, j
    (u1, v1, e1, m1), (u2, v2, e2, m2) = ([c[r] for c in entries[k]] for k, r in ((p, i), (q, j)))
    mag = 0.5 * (np.where(np.isfinite(m1), m1, m2) + np.where(np.isfinite(m2), m2, m1))
    for k, (_, _, e, m) in enumerate(entries):
        if k in (p, q) or trees[k] is None:
            continue
        w = (epochs[k] - epochs[p]) / (epochs[q] - epochs[p])
        at = np.c_[u1 + w * (u2 - u1), v1 + w * (v2 - v1)]
        d, r = trees[k].query(at)
        sigma = np.sqrt(((1 - w) * e1) ** 2 + (w * e2) ** 2 + e[r] ** 2)
        on = (d < TRACK_SIGMA * sigma) & ~(np.abs(m[r] - mag) > max_mag_difference)
        hits[on, k] = r[on]
        cost[on] += (d[on] / sigma[on]) ** 2
    return hits, cost
