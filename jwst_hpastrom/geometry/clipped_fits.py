"""Fits of transformations to pairs, clipped until they agree."""

from typing import Any, NamedTuple

import numpy as np

from jwst_hpastrom.errors import NotEnoughStarsError
from jwst_hpastrom.geometry.wrong_pairs import larger_kind, likely_choices, mixed_fit
from jwst_hpastrom.numerics import robust_sigma, shortest_half

__all__ = ["FEW", "Clipped", "Clipping", "Pairs", "fit_clipped"]

#: with fewer stars the scatter of a fit is that of both axes, and covariances are Student's
FEW = 30
#: pairs below which halves of the residuals are too uncertain to show a majority
FEWEST_HALVES = 20
#: pairs from which on wrong ones tilt a linear fit and can be told, and those from which on they do not
FEWEST_TOLD, MANY = 7, 200
#: standard deviation of the pairs kept over that of the shortest half's, of many: of a normal distribution 1,
#: of Student's with three degrees of freedom, clipped, 1.3; with 40 % off by 6 errors 1.6, by 20 errors 5.
#: Above it another start is tried
WIDER = 1.25
#: the same over the standard deviation of what clipping makes of that start, above which it is taken: of good
#: pairs both are the same, with 40 % off by 6 errors 3
MUCH_WIDER = 1.5
#: mean of the others over their standard deviation, above which they are a kind of their own. Among fewer
#: than `FEW` pairs chance finds narrow groups, with others on both sides
ALIKE = 0.75
#: fits to the best half of the pairs, each choosing the next half (Rousseeuw and van Driessen 1999)
HALVINGS = 10
#: share of the pairs that is gathered first: of two equal kinds, which chance makes of two in five, a half
#: has some of both. With 0.3 chance gathers a dozen pairs of twenty good ones
SHARE = 0.4
#: majorities over half of the pairs, in roots of their number, below which the others may be the right ones:
#: 2.3 standard deviations of a count
SURE = 1.15
#: fourth moment over the square of the second, below which residuals are of two equal groups: of two points
#: 1, of halves 10 errors apart 1.2, of an even distribution 1.8
TWO_POINTS = 1.2
#: times the shortest half's standard deviation within which the majority is gathered, the usual limit after
#: a high-breakdown start (Rousseeuw and Leroy 1987, section 1.2); the clipping that follows takes back others
NEAR = 2.5
#: the same beyond which pairs are so far off that clipping leaves them out
FAR = 7.0
#: steps of fits to the pairs of the larger of two kinds
PARTINGS = 5
#: majorities over half of the pairs, in roots of their number, below which kinds this near stay together: of
#: equal halves one in a thousand has such a one by chance
CLEAR = 1.65


def _weights(weights, n):
    if weights is None:
        return np.ones(n), np.ones(n)
    if isinstance(weights, tuple):
        return np.broadcast_to(weights[0], n).astype(float), np.broadcast_to(weights[1], n).astype(float)
    w = np.broadcast_to(weights, n).astype(float)
    return w, w


class Pairs(NamedTuple):
    """Positions and where they go, with weights; ``finite``: which pairs can be used."""

    x: np.ndarray
    y: np.ndarray
    u: np.ndarray
    v: np.ndarray
    wu: np.ndarray
    wv: np.ndarray
    finite: np.ndarray

    @classmethod
    def of(cls, x, y, u, v, weights):
        x, y, u, v = (np.asarray(c, float) for c in (x, y, u, v))
        wu, wv = _weights(weights, x.size)
        finite = np.isfinite(x + y + u + v) & (wu > 0) & (wv > 0) & np.isfinite(wu + wv)
        return cls(x, y, u, v, wu, wv, finite)

    def roots(self):
        """Square roots of the weights: residuals are clipped in units of their own errors."""
        return tuple(np.sqrt(np.where(self.finite, w, 0.0)) for w in (self.wu, self.wv))

    def rounding(self, root):
        """Rounding error in the same units."""
        size = max(np.max(np.abs(c[self.finite]), initial=0.0) for c in (self.u, self.v))
        return 1e-11 * (1 + size) * max(np.max(r, initial=0.0) for r in root)


class Clipping(NamedTuple):
    """How pairs are clipped; ``n_free``: parameters per axis that few residuals are smaller for.

    It is 0 of polynomials, which are fitted to many. ``majority``: whether a larger group that agrees is
    looked for, which takes several times as long as the fit.
    """

    what: str
    sigma: float | None
    max_iterations: int
    min_stars: int
    keep: np.ndarray | None
    n_free: float = 0
    majority: bool = True

    def tilted(self, n):
        """Whether wrong pairs may tilt a fit to ``n``: a linear one; polynomials are given more stars."""
        return 0 < self.n_free <= 3 and FEWEST_TOLD <= n < MANY


class Clipped(NamedTuple):
    """A fit without outliers: transformation, pairs used, residuals (2, n), and whether it is `divided`.

    ``others``: probabilities, transformations, pairs used and residuals of other likely choices of pairs.
    ``covariance``: of the solver's columns, where many pairs of two kinds were weighed, else None.
    """

    transform: Any
    keep: np.ndarray
    residuals: np.ndarray
    divided: bool
    others: list
    covariance: np.ndarray | None = None

    @property
    def rms(self):
        """Scatter per axis of the pairs used."""
        return float(np.sqrt(np.mean(self.residuals[:, self.keep] ** 2)))


def fit_clipped(solve, pairs, how):
    """Fit ``solve`` to pairs without outliers.

    Parameters
    ----------
    solve : callable
        Pairs to use (ndarray of bool) -> transformation, residuals of all pairs in u and in v.

    pairs : `Pairs`

    how : `Clipping`

    Returns
    -------
    `Clipped`
        It is divided where a narrow group of the pairs stands against others that are nearly as many.

    Raises
    ------
    NotEnoughStarsError
    """
    keep = pairs.finite.copy() if how.keep is None else pairs.finite & how.keep
    if keep.sum() < how.min_stars:
        raise NotEnoughStarsError(f"{int(keep.sum())} stars in common", f"{how.min_stars} for {how.what}")
    root = pairs.roots()
    tiny = pairs.rounding(root)
    keep, fitted = _clip(solve, pairs, how, keep, root, tiny)
    n, divided, others, covariance = int(pairs.finite.sum()), False, [], None
    if how.sigma is not None and how.majority and how.tilted(n):
        keep, fitted, others = _likeliest(solve, pairs, how, keep, fitted, root, tiny)
    elif how.sigma is not None and how.majority and n >= FEWEST_HALVES:
        better, divided, off = _majority(solve, pairs, how, keep, fitted, root, tiny)
        if better is not None:
            keep, fitted = _clip(solve, pairs, how, better, root, tiny)
        keep, fitted, unsure, near = _parted(solve, pairs, how, keep, fitted, root, tiny, off)
        divided |= unsure
        if near is not None and how.n_free > 0:
            keep, fitted, covariance = _mixed(solve, keep, fitted, near, root, tiny)
    if how.sigma is not None and how.majority and n >= FEWEST_HALVES:
        divided |= keep.sum() < 0.5 * n + SURE * np.sqrt(n)
    return Clipped(fitted[0], keep, np.stack(fitted[1:]), bool(divided), others, covariance)


def _likeliest(solve, pairs, how, keep, fitted, root, tiny):
    """Return the most probable pairs and their fit, or what clipping left, and the other likely choices."""
    k = np.flatnonzero(pairs.finite)
    roots = np.stack(root)[:, k]
    choices = likely_choices(
        solve.columns(fitted[0])[:, k] * roots[:, :, None], np.stack(fitted[1:])[:, k] * roots, pairs.x[k],
        keep[k], int(np.ceil(how.n_free)), tiny,
    )  # fmt: skip
    found = []
    for good, probability in choices:
        new = np.zeros(keep.size, bool)
        new[k[good]] = True
        if new.sum() >= how.min_stars:
            transform, *residuals = fitted if np.array_equal(new, keep) else solve(new)
            found.append((probability, transform, new, np.stack(residuals)))
    if not found:
        return keep, fitted, []
    _, transform, keep, residuals = found[0]
    return keep, (transform, *residuals), found[1:]


def _clip(solve, pairs, how, keep, root, tiny):
    """Return the pairs that agree with the transformation which is fitted to them, and that fit."""
    finite, sigma, min_stars, what = pairs.finite, how.sigma, how.min_stars, how.what
    fitted = solve(keep)
    for _ in range(how.max_iterations):
        # with two residuals to spare, before or after, no wrong pair can be told from the good ones
        if sigma is None or keep.sum() - how.n_free <= 2:
            break
        nu, nv = fitted[1] * root[0], fitted[2] * root[1]
        # residuals of few stars are smaller than the errors, and their median deviation is uncertain
        m = int(keep.sum())
        wider = np.sqrt(m / max(m - how.n_free, 1)) * (1 + 3 / m) if m < FEW else 1.0
        su, sv = wider * robust_sigma(nu[keep]), wider * robust_sigma(nv[keep])
        # about the median, as the scale is: about zero, skewed residuals would lose the good pairs
        nu, nv = nu - np.median(nu[keep]), nv - np.median(nv[keep])
        new = finite & (np.hypot(nu / max(su, tiny), nv / max(sv, tiny)) <= sigma * np.sqrt(2))
        if new.sum() < min_stars:
            raise NotEnoughStarsError(
                f"{int(new.sum())} of {finite.size} pairs left after clipping", f"{min_stars} for {what}"
            )
        if np.array_equal(new, keep) or new.sum() - how.n_free <= 2:
            break
        keep = new
        fitted = solve(keep)
    return keep, fitted


def _majority(solve, pairs, how, keep, fitted, root, tiny):
    """Return pairs of a majority that agree better than what clipping left, or None; and if that is unsure.

    The third value are distances from the narrowest group, in units of its size.
    Two pairs in five that are wrong alike draw the fit to themselves and widen the median deviation, so that
    nothing is clipped. The shortest half of the residuals is narrow all the same. Halves that differ have no
    majority: both stay.
    """
    finite, n = pairs.finite, int(pairs.finite.sum())
    residuals = [(d * r)[keep] for d, r in zip(fitted[1:], root, strict=True)]
    wide = [float(np.std(z)) for z in residuals]
    # the shortest half of two equal groups is as wide as all
    fourth = [np.mean(np.square(np.square(z - z.mean()))) for z in residuals]
    equal = any(w > tiny and m < TWO_POINTS * w**4 for m, w in zip(fourth, wide, strict=True))
    sizes, off = _from_halves(fitted, root, keep, tiny)
    if all(w < WIDER * (1 + 1.5 / np.sqrt(n)) * s for w, s in zip(wide, sizes, strict=True)):
        return None, equal, off
    off = _best_halves(solve, off, root, pairs, tiny)
    new = finite & (off <= NEAR)
    if new.sum() < how.min_stars:
        return None, equal, off
    try:
        new, own = _clip(solve, pairs, how, new, root, tiny)
    except NotEnoughStarsError:
        return None, equal, off
    m = int(new.sum())
    wider = MUCH_WIDER * (1 + 3 / np.sqrt(n)) * np.sqrt(m / max(m - how.n_free, 1))
    residuals = [d * r for d, r in zip(own[1:], root, strict=True)]
    narrow = [z for w, z in zip(wide, residuals, strict=True) if w > wider * np.std(z[new])]
    if n < FEW:
        others = finite & ~new
        narrow = [z for z in narrow if abs(np.mean(z[others])) > ALIKE * np.std(z[others])]
    # more than chance makes of halves
    clear, sure = (0.5 * n + c * np.sqrt(n) for c in (0.5, SURE))
    chosen = new if narrow and new.sum() >= max(clear, how.min_stars) else None
    return chosen, equal or (bool(narrow) and 0.5 * n - SURE * np.sqrt(n) < new.sum() < sure), off


def _parted(solve, pairs, how, keep, fitted, root, tiny, off):
    """Return pairs, their fit, if it is unsure, and those of both kinds, where another kind stands near.

    Residuals are a mixture of two normal distributions (as in Hogg, Bovy & Lang 2010, section 3): pairs that
    are rather of the larger one are kept: clipping would not part them. Without two kinds all stays as it
    was, and there are none of both.
    """
    near = pairs.finite & (off <= FAR)
    good = off <= NEAR
    was = keep, fitted
    for _ in range(PARTINGS):
        z = np.stack([(d * r)[near] for d, r in zip(fitted[1:], root, strict=True)])
        good, sure = larger_kind(z, good[near], tiny)
        if good is None:
            return *was, not sure, None
        new = np.zeros(near.size, bool)
        new[near] = good
        n, m = int(near.sum()), int(new.sum())
        if m < max(0.5 * n + CLEAR * np.sqrt(n), how.min_stars):
            return *was, True, None
        if np.array_equal(new, keep):
            break
        keep, good = new, new
        fitted = solve(keep)
    return keep, fitted, False, near


def _mixed(solve, keep, fitted, near, root, tiny):
    """Return the pairs that are rather good, the fit in which all count as far as they are, its covariance.

    Among ``near`` ones, of two kinds: a cut between them takes some of either for the other.
    """
    roots = np.stack(root)[:, near]
    columns = solve.columns(fitted[0])[:, near] * roots[:, :, None]
    beta, covariance, good = mixed_fit(columns, np.stack(fitted[1:])[:, near] * roots, keep[near], tiny)
    new = np.zeros(keep.size, bool)
    new[near] = good > 0.5
    return new, solve.moved(fitted[0], beta), covariance


def _best_halves(solve, off, root, pairs, tiny):
    """Return distances of all pairs from the narrowest group near a start, in units of its size."""
    finite, inside = pairs.finite, np.flatnonzero(pairs.finite)
    half = np.zeros(finite.size, bool)
    for _ in range(HALVINGS + 1):
        new = _nearest(off, inside)
        if np.array_equal(new, half):
            break
        half = new
        off = _from_halves(solve(half), root, finite, tiny, SHARE)[1]
    return off


def _nearest(off, inside):
    """Return the nearest `SHARE` of the pairs."""
    new = np.zeros(off.size, bool)
    new[inside[np.argsort(off[inside], kind="stable")[: int(SHARE * inside.size) + 1]]] = True
    return new


def _from_halves(fitted, root, among, tiny, share=0.5):
    """Return the sizes of the shortest halves in either axis, and distances of all pairs in units of them."""
    residuals = [d * r for d, r in zip(fitted[1:], root, strict=True)]
    halves = [shortest_half(r[among], share) for r in residuals]
    sizes = [max(s, tiny) for _, s in halves]
    off = [(r - middle) / s for r, (middle, _), s in zip(residuals, halves, sizes, strict=True)]
    return sizes, np.hypot(*off)
