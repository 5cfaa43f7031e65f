"""Stars too fast for the first search of two epochs: wide pairs, and how many of them are chance."""

import logging

import numpy as np
from scipy.spatial import cKDTree
from scipy.stats import poisson

from jwst_hpastrom.geometry import robust_sigma

__all__ = ["fast_pairs"]

log = logging.getLogger("stpipe.hpastrom.motion")

#: displaced copies of the second list that measure how many pairs are chance, and their displacements in
#: units of the search radius: beyond it, and near enough to see the same density of stars
N_CONTROL, NEAR, FAR = 64, 2.0, 4.0
#: probability below which as many pairs are no chance
IMPROBABLE = 0.02
#: largest difference from the matched stars' relation of the magnitudes, in its scatter
MAG_SIGMA = 4.0
#: least scatter of that relation, magnitudes: what variable stars and other filters leave in any case
LEAST_SPREAD = 0.02
#: largest share of chance among pairs that are worth telling as doubtful: one in five is a star
DOUBTFUL = 0.8
#: pairs a star that are looked at, the best by distance and magnitude
KEEP = 200


def fast_pairs(xy1, xy2, mag1, mag2, relation, *, inner, outer, false_share=0.1):
    """Pair stars that two aligned lists have left over, far from each other but alike in magnitude.

    Pairs are ranked by the number of better ones that chance would bring; as many are taken, best first, as
    leave no more than a share of chance pairs among them, and as chance alone would hardly bring. What it
    brings is measured: the same search with the second list displaced, in 64 ways. Further ones follow, of
    larger shares of chance, as long as one in five is a star.

    Parameters
    ----------
    xy1, xy2 : tuple of two ndarray
        Positions of the leftover stars, in one frame.

    mag1, mag2 : ndarray
        Magnitudes.

    relation : ndarray
        Differences mag2 − mag1 of stars known to be the same.

    inner, outer : float
        Distances between which pairs are looked for.

    false_share : float
        Largest share of chance pairs among those that are taken.

    Returns
    -------
    i, j : ndarray of int
        Rows of the first and the second list.

    chance : ndarray
        Share of chance pairs among those that are as good as this one or better; above ``false_share`` for
        those that follow.
    """
    middle, spread = np.nanmedian(relation), robust_sigma(relation)
    none = np.zeros(0, int)
    if not (np.isfinite(middle + spread) and outer > inner):
        return none, none.copy(), np.zeros(0)
    limit = MAG_SIGMA * max(spread, LEAST_SPREAD)
    first = [np.asarray(c, float) for c in (*xy1, mag1 + middle)]
    second = [np.asarray(c, float) for c in (*xy2, mag2)]
    first, index1 = _finite(first)
    second, index2 = _finite(second)
    if index1.size == 0 or index2.size == 0:
        return none, none.copy(), np.zeros(0)
    i, j, score = _ranked(first, second, inner, outer, limit)
    control = []
    angles, lengths = 2 * np.pi * np.arange(N_CONTROL) / N_CONTROL, np.linspace(NEAR, FAR, 5)
    for k, a in enumerate(angles):
        r = lengths[k % 5]
        moved = [second[0] + outer * r * np.cos(a), second[1] + outer * r * np.sin(a), second[2]]
        share = max(_inside(moved, first) / max(_inside(second, first), 1e-9), 0.1)
        found = _ranked(first, moved, inner, outer, limit)[2]
        control.append((found, np.full(found.size, 1 / share)))
    scores, weight = (np.concatenate(c) for c in zip(*control, strict=True))
    order = np.argsort(scores)
    scores, total = scores[order], np.r_[0.0, np.cumsum(weight[order])]
    # one more than were seen: copies without any do not tell that there are none
    false = (total[np.searchsorted(scores, score, side="right")] + 1.0) / N_CONTROL
    rank = np.arange(1, score.size + 1)
    no_chance = poisson.sf(rank - 1, false) < IMPROBABLE
    shares = (false_share, max(false_share, DOUBTFUL))
    n, most = (np.max(rank, where=no_chance & (false <= s * rank), initial=0) for s in shares)
    log.info(
        "fast stars: %d candidates, of which chance would bring %.1f; %d taken, of which %.1f; %d doubtful",
        score.size, total[-1] / N_CONTROL, n, false[n - 1] if n else 0.0, most - n,
    )  # fmt: skip
    chance = np.minimum.accumulate((false / rank)[::-1])[::-1]
    return index1[i[:most]], index2[j[:most]], np.minimum(chance[:most], 1.0)


def _finite(columns):
    index = np.flatnonzero(np.isfinite(np.sum(columns, axis=0)))
    return [c[index] for c in columns], index


def _inside(points, box):
    """Share of points within the extent of others."""
    ok = np.ones(points[0].size, bool)
    for c, b in zip(points[:2], box[:2], strict=True):
        ok &= (c >= b.min()) & (c <= b.max())
    return float(ok.mean())


def _ranked(first, second, inner, outer, limit):
    """Mutually best pairs and their scores, rising: what chance would bring, over what a star would."""
    a, b = cKDTree(np.c_[first[0], first[1]]), cKDTree(np.c_[second[0], second[1]])
    k = min(KEEP, second[0].size)
    d, j = b.query(a.data, k=k, distance_upper_bound=outer)
    d, j = d.reshape(-1, k), j.reshape(-1, k)
    i, column = np.nonzero(np.isfinite(d) & (d >= inner))
    d, j = d[i, column], j[i, column]
    dm = np.abs(first[2][i] - second[2][j])
    ok = dm <= limit
    i, j, d, dm = i[ok], j[ok], d[ok], dm[ok]
    # stars of every speed up to the largest are as likely in equal steps of its logarithm; chance pairs go
    # with the area and with the number of stars of that magnitude
    ranks = np.sort(second[2])
    like = np.searchsorted(ranks, first[2][i] + limit) - np.searchsorted(ranks, first[2][i] - limit)
    score = d**2 * like * np.exp(0.5 * (MAG_SIGMA * dm / limit) ** 2)
    order = np.argsort(score, kind="stable")
    i, j, score = i[order], j[order], score[order]
    best = np.zeros(i.size, bool)
    best[np.intersect1d(np.unique(i, return_index=True)[1], np.unique(j, return_index=True)[1])] = True
    return i[best], j[best], score[best]
