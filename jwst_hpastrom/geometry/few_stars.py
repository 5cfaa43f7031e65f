"""Where a handful of stars lies in a long list, when scale and angle are known: by their geometry."""

from itertools import combinations

import numpy as np
from scipy.spatial import cKDTree
from scipy.stats import poisson

__all__ = ["find_few"]

#: a list of at most so many stars is looked for pair by pair: more of them decide by votes
FEW = 30
#: hypotheses (two stars of the short list on two of the long one) after which the search is given up
TOO_MANY = 2_000_000
#: of them at a time, and those whose surroundings are looked at
BLOCK, BEST = 100_000, 50
#: logarithm of a probability of chance that needs no further pairs
CERTAIN = -30.0
#: list stars that measure the density round a place
NEIGHBORS = 10
#: radius below which coincidences count no more, as a share of the mean distance of stars (rounded positions)
CLOSEST = 1e-4


def find_few(short, long, *, scale, scale_tolerance, max_rotation, max_shift=None, min_stars=5):
    """Find a short list in a long one of known scale and orientation.

    Every pair of stars of the short list is laid on every pair of the long list that is alike in length and
    direction; where the others then come to lie on stars closer than chance would bring them, given the
    stars' density there and the number of trials, that is the place.

    Parameters
    ----------
    short, long : ndarray of complex
        Positions x + iy, all finite.

    scale, scale_tolerance : float
        Units of the long list per unit of the short one, and its largest relative error.

    max_rotation : float
        Largest rotation, degrees.

    max_shift : float, optional
        Largest offset of the short list's center as it stands, units of the long list.

    min_stars : int
        Fewest pairs.

    Returns
    -------
    tuple or None
        ``(z, offset, radius, n, chance, log_p)``: short · z + offset lies on ``n`` stars of the long list
        within ``radius``; ``chance`` of them were expected beyond the two, and ``log_p`` is the logarithm of
        the probability of as many, the number of trials included. None where no place has ``min_stars``.

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> long = rng.uniform(0, 1000, 500) + 1j * rng.uniform(0, 1000, 500)
    >>> z, offset, radius, n, *_ = find_few(
    ...     long[:6] - 40j, long, scale=1.0, scale_tolerance=0.001, max_rotation=0.5
    ... )
    >>> n, abs(offset - 40j) < 1e-6
    (6, True)
    """
    n = short.size
    pairs = sorted(combinations(range(n), 2), key=lambda p: -abs(short[p[1]] - short[p[0]]))
    tree = cKDTree(np.c_[long.real, long.imag])
    area = max(np.ptp(long.real), 1e-300) * max(np.ptp(long.imag), 1e-300)
    density = long.size / area
    tolerance = np.hypot(scale_tolerance, 2 * np.sin(0.5 * np.deg2rad(max_rotation)))
    middle, best, trials = short.mean(), [], 0
    for a, b in pairs:
        step = (short[b] - short[a]) * scale
        if step == 0 or long.size * (1 + np.pi * (abs(step) * tolerance) ** 2 * density) > TOO_MANY:
            continue
        i, j = _alike(long, tree, step, abs(step) * tolerance)
        z = (long[j] - long[i]) / (short[b] - short[a])
        turn, size = np.angle(z, deg=True), np.abs(z) / scale - 1
        offset = long[i] - z * short[a]
        ok = (np.abs(turn) <= max_rotation) & (np.abs(size) <= scale_tolerance)
        if max_shift is not None:
            ok &= np.abs(z * middle + offset - middle) <= np.sqrt(2) * max_shift
        z, offset = z[ok], offset[ok]
        trials += z.size
        others = np.delete(short, (a, b))
        for s in (slice(k, k + BLOCK) for k in range(0, z.size, BLOCK)):
            best += _best(others, z[s], offset[s], tree, density, CLOSEST * density**-0.5, min_stars)
        sure = best and min(b[0] for b in best) + np.log(trials * n) < CERTAIN
        if sure or trials > TOO_MANY:
            break
    best.sort(key=lambda found: found[0])
    out = None
    for _, z, offset, radius, m in best[:BEST]:
        at = short * z + offset
        k = min(NEIGHBORS, long.size)
        far = tree.query(np.c_[at.real, at.imag], k=k)[0].reshape(n, k)[:, -1]
        chance = float(np.sum(k * (radius / np.maximum(far, radius)) ** 2)) * (n - 2) / n
        log_p = float(poisson.logsf(m - 1, chance)) + np.log(trials * (n - 2))
        if out is None or log_p < out[-1]:
            out = z, offset, radius, m + 2, chance, log_p
    return out


def _alike(long, tree, step, reach):
    """Pairs (i, j) of the long list whose difference is ``step`` within ``reach``."""
    to = long + step
    found = tree.query_ball_point(np.c_[to.real, to.imag], reach)
    count = np.fromiter(map(len, found), np.int64, len(found))
    j = np.concatenate([np.asarray(f, np.int64) for f in found]) if count.any() else np.zeros(0, np.int64)
    i = np.repeat(np.arange(long.size), count)
    return i[i != j], j[i != j]


def _best(others, z, offset, tree, density, closest, min_stars):
    """The most improbable hypotheses: (log of the probability, z, offset, radius, other stars found)."""
    if z.size == 0 or others.size < min_stars - 2:
        return []
    at = z[:, None] * others + offset[:, None]
    d, index = tree.query(np.stack([at.real, at.imag], -1))
    order = np.argsort(d, axis=1)
    d, index = np.take_along_axis(d, order, 1), np.take_along_axis(index, order, 1)
    for k in range(1, d.shape[1]):  # one star of the long list for one of the short
        d[:, k] = np.where((index[:, :k] == index[:, k : k + 1]).any(1), np.inf, d[:, k])
    d = np.maximum(np.sort(d, axis=1), closest)
    found = np.arange(1, d.shape[1] + 1)
    with np.errstate(over="ignore", invalid="ignore"):
        log_p = poisson.logsf(found - 1, np.minimum(np.pi * d**2 * density * others.size, 1e6))
    log_p[:, : max(min_stars - 3, 0)] = 0.0
    log_p[~np.isfinite(d)] = 0.0
    m = np.argmin(log_p, axis=1)
    rows = np.arange(z.size)
    top = np.argsort(log_p[rows, m])[:BEST]
    return [
        (float(log_p[r, m[r]]), complex(z[r]), complex(offset[r]), float(d[r, m[r]]), int(m[r] + 1))
        for r in top
        if log_p[r, m[r]] < 0
    ]
