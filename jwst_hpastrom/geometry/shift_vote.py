"""The offset between a long list and a short one of the same orientation and scale, by a vote."""

from typing import Any

import numpy as np
from scipy.spatial import cKDTree
from scipy.stats import poisson

from jwst_hpastrom.errors import NoOverlapError, NotEnoughStarsError
from jwst_hpastrom.geometry.matching import BlindMatch, match_blind, match_nearest
from jwst_hpastrom.geometry.transform import LinearTransform
from jwst_hpastrom.geometry.transform_fits import fit_linear

__all__ = ["FEW", "match_few", "match_shift"]

#: stars of a list below which an offset alone is looked for first
FEW = 60

#: probability by chance below which an offset counts
CHANCE = 1e-3
#: stars from which a rotation and a scale are fitted, too
TURNS = 4


def match_shift(
    x1: np.ndarray,
    y1: np.ndarray,
    x2: np.ndarray,
    y2: np.ndarray,
    *,
    max_shift: float,
    radius: float,
    min_stars: int = 3,
) -> BlindMatch:
    """Find the offset of two lists of which one is short: three stars may do where a pointing is good.

    A search for rotation and scale as well (`match_blind`) has so many trials that a dozen stars in a
    thousand do not stand out from chance.

    Parameters
    ----------
    x1, y1 : ndarray
        List to be moved.

    x2, y2 : ndarray
        List to be matched, in the same orientation and scale to within ``radius``.

    max_shift : float
        Largest offset.

    radius : float
        Within which pairs agree once the offset is taken out: errors, rotation, distortion.

    min_stars : int
        Fewest pairs.

    Returns
    -------
    `BlindMatch`
        Its transformation has four parameters from four pairs on, else an offset only.

    Raises
    ------
    NotEnoughStarsError
        A list is too short.

    NoOverlapError
        No offset stands out from chance.

    Examples
    --------
    >>> import numpy as np
    >>> from jwst_hpastrom.geometry import match_shift
    >>> x, y = np.random.default_rng(1).uniform(0, 500, (2, 40))
    >>> found = match_shift(x[:8], y[:8], x + 3.0, y - 2.0, max_shift=10.0, radius=0.2)
    >>> found.i2.tolist()
    [0, 1, 2, 3, 4, 5, 6, 7]
    """
    a, b = (np.c_[np.asarray(x, float), np.asarray(y, float)] for x, y in ((x1, y1), (x2, y2)))
    k1, k2 = (np.flatnonzero(np.isfinite(p).all(1)) for p in (a, b))
    if min(k1.size, k2.size) < min_stars:
        raise NotEnoughStarsError(f"lists of {k1.size} and {k2.size} stars", f"{min_stars} stars in each")
    offset, j = _offsets(a[k1], b[k2], max_shift)
    best, n, expected = _peak(offset, j, radius, max_shift, _density(a[k1]))
    trials = max((max_shift / radius) ** 2, 1.0)
    if n < min_stars or trials * poisson.sf(n - 2, expected) > CHANCE:  # one pair makes the offset
        raise NoOverlapError(
            f"at best {n} coinciding stars within {max_shift:.3g}, {expected:.2g} by chance, so no offset "
            "that stands out from chance",
            f"{min_stars} stars in common",
            "do both lists show the same field? if so, allow a larger max_shift",
        )  # fmt: skip
    transform, rms = _refined(a, b, best, radius)
    u, v = transform.forward(*a.T)
    i, j, _ = match_nearest(u, v, b[:, 0], b[:, 1], radius)
    if i.size < min_stars:
        raise NotEnoughStarsError(f"{i.size} pairs", f"{min_stars}")
    return BlindMatch(transform, i, j, max(rms, 1e-6), (n - expected) / np.sqrt(max(expected, 1.0)))


def _offsets(a, b, max_shift):
    """Offsets of all pairs that lie within the largest one, and the star of ``b`` of each."""
    near = cKDTree(a).query_ball_point(b, max_shift)
    j = np.repeat(np.arange(len(b)), [len(n) for n in near])
    i = np.concatenate([np.asarray(n, int) for n in near]) if j.size else np.zeros(0, int)
    return b[j] - a[i], j


def _refined(a, b, offset, radius):
    """Transformation of ``a`` to ``b`` by the pairs that an offset brings together, and their scatter."""
    u, v = (a + offset).T
    for _ in range(3):
        i, j, _ = match_nearest(u, v, b[:, 0], b[:, 1], radius)
        if i.size >= TURNS:
            fit = fit_linear(*a[i].T, *b[j].T, parameters=4, min_stars=3, sigma=3.0)
            transform, rms = fit.transform, fit.rms
        else:
            d = b[j] - a[i]
            transform, rms = LinearTransform(offset=d.mean(0)), float(np.sqrt(np.mean((d - d.mean(0)) ** 2)))
        u, v = transform.forward(*a.T)
    return transform, rms


def _density(points):
    """Points per area."""
    return len(points) / max(float(np.prod(np.ptp(points, axis=0))), 1e-12)


def _peak(offset, star, radius, max_shift, density):
    """Offset on which most stars of the short list agree, their number, and that by chance."""
    if len(offset) == 0:
        return np.zeros(2), 0, 0.0
    tree = cKDTree(offset)
    groups = tree.query_ball_point(offset, radius)
    count = np.array([np.unique(star[g]).size for g in groups])
    # of equals the tightest: the pairs of a true offset lie together
    size = [np.mean(np.sum((offset[g] - offset[k]) ** 2, axis=1)) for k, g in enumerate(groups)]
    k = np.lexsort((size, -count))[0]
    # of the others: the true ones are none of chance
    others = (len(offset) - count[k]) * (radius / max(max_shift, radius)) ** 2
    expected = max(others, np.unique(star).size * density * np.pi * radius**2)
    return np.median(offset[groups[k]], axis=0), int(count[k]), float(expected)


def match_few(
    x1: np.ndarray,
    y1: np.ndarray,
    x2: np.ndarray,
    y2: np.ndarray,
    *,
    max_shift: float,
    radius: float,
    min_stars: int = 4,
    **kwargs: Any,
) -> BlindMatch:
    """`match_shift` where a list has fewer than 60 stars, and `match_blind` where that finds nothing.

    Parameters
    ----------
    x1, y1, x2, y2, max_shift, radius, min_stars
        As of both.

    **kwargs
        Of `match_blind`.

    Returns
    -------
    `BlindMatch`
    """
    if min(np.size(x1), np.size(x2)) < FEW:
        # in a small circle fewer stars stand out
        for shift in (*(s for s in (3 * radius, 10 * radius, 30 * radius) if s < max_shift), max_shift):
            try:
                return match_shift(x1, y1, x2, y2, max_shift=shift, radius=radius, min_stars=min_stars)
            except (NoOverlapError, NotEnoughStarsError):
                continue
    return match_blind(x1, y1, x2, y2, max_shift=max_shift, radius=radius, min_stars=min_stars, **kwargs)
