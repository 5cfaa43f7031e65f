"""Residuals that may be of two kinds: which are of the larger one."""

import numpy as np

__all__ = ["larger_kind"]

#: distance of two kinds of pairs in their standard deviations, above which they are told apart: normal ones
#: cross at half of it, so that clipping at 4.2 errors keeps 4 % of those that are 6 off, all on one side
APART = 4.0
#: share of the other kind below which what clipping keeps of it is less than the fit's error, and how much
#: wider it may be (wider ones are a tail, which clipping is for)
LEAST_KIND, WIDEST_KIND = 0.05, 3.0
#: twice the gain of the logarithm of the likelihood by its five parameters, which chance reaches in one
#: sample of 10⁵
GAIN = 30.0
#: distance and gain above which there may be two kinds, so that the fit is unsure: chance makes of one in a
#: hundred samples of 20
MAYBE_APART, MAYBE_GAIN = 3.0, 20.0
#: third and fourth moments of residuals in their standard deviation between which one kind is all there is:
#: of normal ones 0 and 3; with 5 to 25 % of them off by 6 errors the third is above 0.9, from there to a half
#: the fourth below 2.1
SKEW, FLAT = 0.5, 2.2
#: pairs that tell a mixture as well as more would; steps of its solution
ENOUGH, STEPS = 2000, 60


def larger_kind(z, good, tiny):
    """Return which of residuals (2, n) are of the larger of two kinds, or None; and if that is sure.

    Kinds are two normal distributions (a mixture as in Hogg, Bovy & Lang 2010, section 3).

    Parameters
    ----------
    z : ndarray, shape (2, n)
        Residuals.

    good : ndarray of bool, shape (n,)
        Those that may be the larger kind, to start with.

    tiny : float
        Rounding error.

    Examples
    --------
    >>> import numpy as np
    >>> from jwst_hpastrom.geometry.wrong_pairs import larger_kind
    >>> z = np.random.default_rng(1).normal(size=(2, 300))
    >>> z[0, :90] += 6.0
    >>> good, sure = larger_kind(z, z[0] < 2.0, 1e-9)
    >>> int(good[:90].sum()), int(good.sum()), sure
    (0, 210, True)
    """
    n = z.shape[1]
    if n < 2:  # of no two kinds
        return None, True
    if _one_kind(z, tiny):
        return None, True
    step = max(n // ENOUGH, 1)
    some = z[:, ::step]
    starts = [good[::step], *(_two_means(c) for c in some)]
    found = [_mixture(some, start, tiny) for start in starts if 2 <= start.sum() <= start.size - 2]
    if not found:
        return None, True
    share, parts, either = max(found, key=lambda mixture: mixture[2])
    (middle, size), (others, width) = parts
    apart = np.max(np.abs(middle - others) / np.sqrt(0.5 * (size**2 + width**2)))
    gain = 2 * (either - float(_density(some, *_normal(some, np.ones(some.shape[1]), tiny)).sum()))
    negligible = min(share, 1 - share) < LEAST_KIND
    if negligible or apart < APART or gain < GAIN:
        return None, negligible or apart < MAYBE_APART or gain < MAYBE_GAIN
    first = np.log(share) + _density(z, *parts[0]) > np.log(1 - share) + _density(z, *parts[1])
    return (first if share >= 0.5 else ~first), True


def _one_kind(z, tiny):
    """Whether third and fourth moments of residuals (2, n) are those of one kind."""
    z = z - z.mean(axis=1, keepdims=True)
    square = z * z
    size = np.maximum(np.sqrt(square.mean(axis=1)), max(tiny, 1e-300))
    third, fourth = (np.einsum("ij,ij->i", square, c) / z.shape[1] for c in (z, square))
    return bool(np.all(np.abs(third) <= SKEW * size**3) and np.all(fourth >= FLAT * size**4))


def _mixture(z, good, tiny):
    """Share of the first of two normal distributions, middles and sizes of both, and the log likelihood."""
    p = np.where(good, 0.99, 0.01)
    for _ in range(STEPS):
        parts = [_normal(z, w, tiny) for w in (p, 1 - p)]
        least = np.maximum(parts[0][1], parts[1][1]) / WIDEST_KIND
        parts = [(middle, np.maximum(size, least)) for middle, size in parts]
        share = float(np.clip(p.mean(), 1e-6, 1 - 1e-6))
        one, other = np.log(share) + _density(z, *parts[0]), np.log(1 - share) + _density(z, *parts[1])
        new = 1.0 / (1.0 + np.exp(np.minimum(other - one, 700.0)))  # more is beyond the numbers there are
        moved, p = np.abs(new - p).max(), new
        if moved < 1e-3:
            break
    return share, parts, float(np.logaddexp(one, other).sum())


def _two_means(values):
    """Return which values are above the cut with the most variance between its sides."""
    order = np.sort(values)
    below = np.arange(1, order.size)
    total = np.cumsum(order - order.mean())[:-1]
    cut = int(np.argmax(total**2 / (below * (order.size - below))))
    return values > order[cut]


def _normal(z, w, tiny):
    """Mean and standard deviation of weighted residuals (2, n)."""
    total = max(w.sum(), 1.0)
    middle = z @ w / total
    size = np.maximum(np.sqrt((z - middle[:, None]) ** 2 @ w / total), max(tiny, 1e-300))
    return middle, size


def _density(z, middle, size):
    return -0.5 * np.sum(((z - middle[:, None]) / size[:, None]) ** 2, axis=0) - np.log(size).sum()
