"""Which measurements of a star count, in view of the systematics that the field has."""

from itertools import combinations
from typing import NamedTuple

import numpy as np
from scipy.special import logsumexp

from jwst_hpastrom.motion.star_fits.field_systematics.grid import (
    CHANGE,
    ENOUGH,
    MOST_STEPS,
    PRIOR_STARS,
    SystematicsField,
)

__all__ = ["Choices", "reconsidered"]

#: share of wrong measurements, and the typical errors within which a wrong one may be anywhere: a star's own
#: neighbors are that far. Without systematics these reject from 4.8 errors on, in both axes together
WRONG, WRONG_WITHIN = 0.01, 50.0
#: measurements that this share is worth where a field's own is learned
WRONG_SEEN = 100.0
#: epochs up to which all choices of a doubtful star's measurements are weighed: of more, as many wrong ones
#: as lead to another motion are rarer than one star in a thousand; and the least weight of a choice
MOST_WEIGHED, LEAST_WEIGHT = 8, 1e-3
#: epochs up to which any number of a doubtful star's measurements may be wrong: rejecting the worst stops
#: where two wrong ones lie in line with a good one
ANY_NUMBER = 6
#: squared residual of a measurement, both axes, in errors of what the others foretell, from which a star may
#: have one more wrong than were rejected: of less, the others cannot gain what a wrong one costs
ODD = 6.0
#: what the field's own wrong measurements are within: this share of them within this part of it; and where
#: they are not told from good ones
MOST, WIDER, NARROWEST = 0.9, 1.25, 10.0
#: stars weighed at a time
CHUNK = 2000


class Choices(NamedTuple):
    """Choices of stars' measurements that are likely, some rows a star, the likeliest first."""

    star: np.ndarray  # (m,)
    used: np.ndarray  # (m, n_epochs)
    wrong: np.ndarray  # (m,) number of measurements that are not used
    weight: np.ndarray  # (m,) together 1 for each star
    shares: list  # of the grid's points by axis, (n_bins, n_points), learned with them
    field: SystematicsField  # whose bins these are


def reconsidered(fits, measured, use, **known):
    """Measurements that count in view of the systematics that the field has, and what else may count.

    A drift shared by some epochs makes single ones look wrong; motions and errors without them are those of
    a star that has no drift. A measurement counts again where its density, as the star's other epochs
    foretell it with the field's systematics, is higher than that of a wrong one: a share of `WRONG`, evenly
    within `WRONG_WITHIN` typical errors. One is tried at a time, the likeliest first.

    Rejecting the worst first goes astray where several of a few are wrong, and wrong ones that were kept look
    like systematics of the field. Of stars of at most `MOST_WEIGHED` epochs all choices are therefore weighed
    that call as many as were rejected wrong, or one more where another is off a straight line, of at most
    `ANY_NUMBER` epochs all that leave a line; the shares of
    systematics and of wrong measurements are learned with them, and the likeliest is used.

    Parameters
    ----------
    fits : `~jwst_hpastrom.motion.star_fits.models.MotionFits`

    use : ndarray of bool, shape (n_stars, n_epochs)
        Measurements before any was rejected.

    measured, **known
        As in `~jwst_hpastrom.motion.star_fits.field_systematics.marginal.marginalize`.

    Returns
    -------
    used : ndarray of bool, shape (n_stars, n_epochs)
        Measurements to use.

    choices : `Choices`, or None
        What may be used instead, of doubtful stars.
    """
    used = fits.used.copy()
    field = SystematicsField(fits, measured, **known)
    many = (fits.model >= 0) & (use.sum(1) >= field.min_epochs)
    if not field or np.array_equal(used[many], use[many]):
        return used, None
    every = [field.likelihoods(field.jobs(axis, field.rows, used[field.rows])) for axis in (0, 1)]
    shares = [field.priors(like) for like in every]
    within = np.sum(np.log(2 * WRONG_WITHIN * np.array(field.typical)), axis=0)
    _restore(field, shares, _odds(0, 0) - within, use, used)
    wrong, good = np.sum(use[many] & ~used[many]), np.sum(used[many])
    residual, left = _from_lines(*measured, used)
    odd = (np.where(used, residual**2 / left, 0.0).sum(0) > ODD).any(1)
    doubtful = (use & ~used).any(1) | (odd & (wrong > WRONG / 2 * good))
    rows = np.flatnonzero(many & (use.sum(1) <= MOST_WEIGHED) & doubtful)
    if rows.size == 0:
        return used, None
    rejected = np.nan_to_num(abs(residual).max(0)[many[:, None] & use & ~used])
    within += 2 * np.log(_reach(rejected) / WRONG_WITHIN)
    odds = np.full(len(shares[0]), _odds(wrong, good))
    start = field.start_beside_wrong(shares)
    shares = [np.tile(start, (odds.size, 1))] * 2  # wrong ones that were kept are in what was learned
    parts = [
        _weighed(
            field, shares, odds - within, *_all_choices(rows[i : i + CHUNK], use, used, odd, fits.degree)
        )
        for i in range(0, rows.size, CHUNK)
    ]
    star, masks, n_wrong = (np.concatenate([p[k] for p in parts]) for k in range(3))
    other = np.setdiff1d(field.rows, rows)
    teach = np.r_[star, other], np.r_[masks, used[other]], np.r_[n_wrong, (use & ~used)[other].sum(1)]
    shares, odds = _learned(field, start, within, *teach)
    choices = Choices(*_weighed(field, shares, odds - within, star, masks, n_wrong), shares, field)
    first = np.unique(choices.star, return_index=True)[1]
    used[choices.star[first]] = choices.used[first]
    return used, choices


def _odds(wrong, good):
    """Logarithmic odds of a wrong measurement where so many were seen."""
    return np.log(WRONG_SEEN * WRONG + wrong) - np.log(WRONG_SEEN * (1 - WRONG) + good)


def _restore(field, shares, least, use, used):
    """Set those of ``used`` that are likelier to be good than wrong."""
    rows = field.rows
    while True:
        star, epoch = np.nonzero(use[rows] & ~used[rows])
        if star.size == 0:
            return
        star = rows[star]
        before = _evidence(field, shares, *(a[star] for a in (np.arange(len(used)), used)))
        more = used[star]
        more[np.arange(star.size), epoch] = True
        gain = _evidence(field, shares, star, more) - before - least[field.bins[star]]
        best = np.lexsort((-gain, star))
        best = best[np.unique(star[best], return_index=True)[1]]
        best = best[gain[best] > 0]
        if best.size == 0:
            return
        used[star[best], epoch[best]] = True
        rows = star[best]


def _reach(residuals):
    """Errors within which wrong measurements are, as those that were rejected show."""
    return np.clip(WIDER * np.quantile(np.r_[residuals, WRONG_WITHIN], MOST), NARROWEST, WRONG_WITHIN)


def _from_lines(t, position, error, used):
    """Residuals from straight lines of what is used, in errors, and what lines leave of their variances."""
    with np.errstate(invalid="ignore", divide="ignore"):
        w = np.where(used, 1 / error**2, 0.0)
        total = w.sum(2, keepdims=True)
        dt = t - (w @ t)[..., None] / total
        along = np.sum(w * dt**2, 2, keepdims=True)
        y = np.where(used, position, 0.0)
        line = np.sum(w * y, 2, keepdims=True) / total + dt * np.sum(w * dt * y, 2, keepdims=True) / along
        return (position - line) / error, 1 - w / total - w * dt**2 / along


def _all_choices(rows, use, used, odd, degree):
    """Stars, measurements and numbers of wrong ones: of as many as were rejected, of odd stars one more.

    Of few epochs, of any number.
    """
    star, masks, n_wrong = [], [], []
    n, k = use[rows].sum(1), (use & ~used)[rows].sum(1) + odd[rows]
    k = np.where(n <= ANY_NUMBER, n, k)
    for size, most in np.unique(np.stack([n, np.minimum(k, n - degree - 1)], 1), axis=0):
        here = rows[(n == size) & (np.minimum(k, n - degree - 1) == most)]
        out = [c for i in range(most + 1) for c in combinations(range(size), i)]
        epochs = np.argsort(~use[here], axis=1, kind="stable")[:, :size]
        mask = np.repeat(use[here][:, None], len(out), axis=1)
        for i, c in enumerate(out):
            np.put_along_axis(mask[:, i], epochs[:, list(c)], False, axis=1)
        star.append(np.repeat(here, len(out)))
        masks.append(mask.reshape(-1, use.shape[1]))
        n_wrong.append(np.tile([len(c) for c in out], here.size))
    return [np.concatenate(a) for a in (star, masks, n_wrong)]


def _weighed(field, shares, least, star, masks, n_wrong):
    """Likely choices, the likeliest of a star first, and their weights.

    ``least``: logarithmic density of a wrong measurement, by bin.
    """
    value = _evidence(field, shares, star, masks) + n_wrong * least[field.bins[star]]
    order = np.lexsort((-value, star))
    star, masks, n_wrong, value = (a[order] for a in (star, masks, n_wrong, value))
    likely = _normalized(value, star) > LEAST_WEIGHT
    star, masks, n_wrong, value = (a[likely] for a in (star, masks, n_wrong, value))
    return star, masks, n_wrong, _normalized(value, star)


def _normalized(value, star):
    """Weights of choices, together 1 for each star, from their logarithms; rows of a star are neighbors."""
    first = np.flatnonzero(np.r_[True, star[1:] != star[:-1]])
    of = np.repeat(np.arange(first.size), np.diff(np.r_[first, star.size]))
    weight = np.exp(value - np.maximum.reduceat(value, first)[of])
    return weight / np.add.reduceat(weight, first)[of]


def _learned(field, start, within, star, masks, n_wrong):
    """Shares of the grid's points by axis, and odds of a wrong measurement, by bin (see `field_prior`)."""
    bins = within.size
    shares, odds = [np.tile(start, (bins, 1)) for _ in range(2)], np.full(bins, _odds(0, 0))
    for b in range(bins):
        ids = np.unique(star[field.bins[star] == b])
        here = np.flatnonzero(np.isin(star, ids[:: max(ids.size // ENOUGH, 1)]))
        here = here[np.argsort(star[here], kind="stable")]
        like = [field.likelihoods(field.jobs(axis, star[here], masks[here])) for axis in (0, 1)]
        ok = np.isfinite(like).any(2).all(0)
        if ok.any():
            rows, like = here[ok], [a[ok] for a in like]
            counts = n_wrong[rows], masks[rows].sum(1)
            shares[0][b], shares[1][b], odds[b] = _learned_together(
                like, star[rows], *counts, start, within[b]
            )
    return shares, odds


def _learned_together(like, star, wrong, good, start, within):
    """Shares of both axes and odds, by expectation and maximization over grid and choices."""
    shares, odds, n = [start, start], _odds(0, 0), np.unique(star).size
    for _ in range(MOST_STEPS):
        value, posteriors = wrong * (odds - within), []
        for a, share in zip(like, shares, strict=True):
            a = a + np.log(np.maximum(share, 1e-300))
            total = logsumexp(a, axis=1)
            value = value + total
            posteriors.append(np.exp(a - total[:, None]))
        weight = _normalized(value, star)
        before, odds = shares, _odds(weight @ wrong, weight @ good)
        shares = [(weight @ p + PRIOR_STARS * start) / (n + PRIOR_STARS) for p in posteriors]
        if np.abs(np.subtract(shares, before)).max() < CHANGE:
            break
    return *shares, odds


def _evidence(field, shares, rows, used):
    """Logarithm of the probability of both axes' measurements of these stars, the grid summed over."""
    total = np.zeros(rows.size)
    for axis, share in enumerate(shares):
        like = field.likelihoods(field.jobs(axis, rows, used))
        total += logsumexp(like + np.log(np.maximum(share, 1e-300))[field.bins[rows]], axis=1)
    return total
