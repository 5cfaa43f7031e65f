"""Which list of several epochs has a wrong time: what the stars' motions say of all times together."""

from typing import NamedTuple

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import logsumexp

from jwst_hpastrom.geometry import robust_sigma
from jwst_hpastrom.numerics import polynomial_basis, polynomial_terms

__all__ = ["list_times"]

#: fewest stars and measurements of each that tell
LEAST, EPOCHS = 30, 3
#: shifts of a list's time that are tried, in units of the baseline: fine about none; and how well it is found
SHIFTS = np.r_[-np.geomspace(4.0, 0.01, 24), 0.0, np.geomspace(0.01, 4.0, 24)]
PRECISE = 1e-4
#: squared dispersion of the motions over the spread that is measured, and least and largest factor on squared
#: errors
DISPERSIONS, FACTORS = np.geomspace(1e-3, 10.0, 13), (0.1, 10.0)
#: widths beyond which a motion, and multiples of the typical chi-square beyond which a star, is odd
FAST, WILD = 5.0, 9.0
#: of odd stars: shares of fast ones over slow ones and of wrong measurements, and widths of these in those of
#: motions and of errors. A wrong measurement is more likely than a fast star, or wrong ones would look like
#: fast stars of another time
FAST_SHARE, WRONG = 0.01, 0.02
FAST_WIDTHS, WIDE = (5.0, 25.0, 125.0, 625.0), 30.0
#: epochs from which on two of a star's measurements may be wrong: three others tell
TWO_WRONG = 5
#: share of odd stars, beside those with one of these wrong measurements, beyond which odd ones tell nothing:
#: two wrong measurements of a star look like fast motion of another time
ODD = 0.06
#: epochs from which on a star's median squared residual has nothing of wrong measurements, while most stars
#: have one; the median of squares over their mean, of a normal distribution
MANY, MEDIAN = 7, 0.455
#: years of their motion that odd stars may be off by: fast ones are near, with parallaxes of a tenth of what
#: they move in a year, and more than one measurement of others may be wrong
PARALLAX = 0.1
#: logarithm of the likelihood by which a list's time must be better for the next one to be sought, 4.5 sigma
SEEN = 10.0
#: and by which it is better at one standard error
ONE_SIGMA = 0.5
#: degree of the polynomials over the field that each list's transformation may be off by; stars a term
MOST_DEGREE, STARS_PER_TERM = 3, 15
#: stars that tell as well as more would, those of smallest errors
ENOUGH = 800


def list_times(epochs, position, error, fits, usable):
    """Years by which each list is later than it says, from how motions fit the times of all.

    Parameters
    ----------
    epochs : ndarray, shape (n_epochs,)

    position, error : ndarray, shape (2, n, n_epochs)
        mas.

    fits : `~jwst_hpastrom.motion.star_fits.models.MotionFits`

    usable : ndarray of bool, shape (n, n_epochs)

    Returns
    -------
    time, sigma : ndarray, shape (n_epochs,)
        NaN where stars are too few or do not move.

    Notes
    -----
    A star's displacements are its motion times the epochs' times; motions are normal about the field's, with
    a dispersion that is sought, and errors right up to a factor that is sought. Where a time is wrong, the
    displacements lie along another vector of times: no star's own motion is needed, so that a dispersion of
    the size of the errors tells as well as a larger one. Stars of outstanding motion or misfit tell most, or
    have a wrong measurement: each is a mixture, of slow and fast ones, with all measurements or without one,
    or without two of five and more. What lists' transformations may be off by, a polynomial over the field,
    is left out. Three epochs only tell that one time is wrong, not which: each is given as if the other two
    were right.
    """
    n_epochs = len(epochs)
    time, sigma = np.full(n_epochs, np.nan), np.full(n_epochs, np.nan)
    if n_epochs < EPOCHS:
        return time, sigma
    data = [_displacements(epochs, position[a], error[a], fits, usable) for a in (0, 1)]
    if min(np.sum(~axis.odd) for axis in data) < LEAST:
        return time, sigma
    baseline, known, found = float(np.ptp(epochs)), np.zeros(n_epochs), {}
    most = max((n_epochs - 1) // 2, 1)
    for done in range(most + 1):
        left = np.flatnonzero(known == 0)
        found |= {k: _best(data, epochs + known, k, baseline) for k in left}
        k = max(left, key=lambda i: found[i].gain)
        # which of three is not told: each as if the others were right
        if found[k].gain < SEEN or done == most or n_epochs == EPOCHS:
            break
        known[k] = found[k].time
    if not known.any() and found[k].gain < SEEN and not _moving(data, epochs):
        return time, sigma
    return tuple(np.array([found[k][i] for k in range(n_epochs)]) for i in (0, 1))


def _moving(data, epochs):
    """Whether motions are beyond the errors."""
    return _likelihood(data, epochs) - _likelihood(data, epochs, still=True) > SEEN


class _Displacements(NamedTuple):
    """Displacements of stars on one axis about each list's mean, inverse variances, and which are odd."""

    y: np.ndarray
    weight: np.ndarray
    odd: np.ndarray


def _displacements(epochs, position, error, fits, usable):
    """`_Displacements` of the stars that tell; (m, n_epochs)."""
    with np.errstate(invalid="ignore", divide="ignore"):
        weight = np.where(usable & np.isfinite(position) & (error > 0), error**-2.0, 0.0)
    rows = np.flatnonzero((fits.model >= 0) & ((weight > 0).sum(1) >= EPOCHS))
    if rows.size < LEAST:
        return _Displacements(*np.zeros((2, 0, len(epochs))), np.zeros(0, bool))
    # lines through all epochs: fits have left out, or doubt, the list that is wrong
    motion, spread = _lines(epochs, position[rows], weight[rows])[1:]
    best = np.argsort(spread)[:ENOUGH]
    rows, motion = rows[best], motion[best]
    weight = weight[rows]
    seen = weight > 0
    moving = motion - np.median(motion)
    residual = _lines(epochs, position[rows], weight)[0]
    residual = np.where(seen, residual - np.nanmedian(np.where(seen, residual, np.nan), axis=0), 0.0)
    square, freedom = residual**2 * weight, np.maximum(seen.sum(1) - 2, 1)
    chi2, wild = square.sum(1) / freedom, WILD
    typical = np.median(chi2)
    if len(epochs) >= MANY:
        middle = np.nanmedian(np.where(seen, square, np.nan), axis=1) / MEDIAN
        typical = min(typical, np.median(middle * seen.sum(1) / freedom))
        wild = 1 + (WILD - 1) / np.sqrt(freedom)
    good = (chi2 < wild * typical) & (np.abs(moving) < FAST * robust_sigma(moving))
    y = residual + moving[:, None] * (epochs - np.mean(epochs))
    place = fits.position[rows]
    place = (place - place.mean(0)) / np.abs(place - place.mean(0)).max()
    degree = MOST_DEGREE if good.sum() > STARS_PER_TERM * len(polynomial_terms(MOST_DEGREE)) else 1
    terms = polynomial_basis(*place.T, polynomial_terms(degree))
    for k in range(len(epochs)):
        here = seen[:, k] & good
        y[:, k] -= terms @ np.linalg.lstsq(terms[here], y[here, k], rcond=None)[0]
    near = np.where(good, 0.0, PARALLAX * moving)[:, None]
    weight = np.where(seen, 1 / (1 / np.where(seen, weight, 1.0) + near**2), 0.0)
    kept = good | (np.mean(~good) <= ODD + np.mean(1 - (1 - WRONG) ** seen.sum(1)))
    return _Displacements(*(v[kept] for v in (np.where(seen, y, 0.0), weight, ~good)))


def _lines(epochs, position, weight):
    """Residuals of weighted lines in time, their slopes and the slopes' errors."""
    y, total = np.where(weight > 0, position, 0.0), weight.sum(1)[:, None]
    dt = epochs - weight @ epochs[:, None] / total
    y = y - np.sum(weight * y, 1)[:, None] / total
    power = np.maximum(np.sum(weight * dt**2, 1), 1e-300)
    slope = np.sum(weight * dt * y, 1) / power
    return y - slope[:, None] * dt, slope, power**-0.5


def _sums(y, w, t):
    """Sums over the epochs that a line needs, less the mean: weight, power of time, cross term, squares."""
    a, b, p = w.sum(-1), w @ t, np.sum(w * y, -1)
    a = np.maximum(a, 1e-300)
    c, q, r = w @ t**2 - b**2 / a, (w * y) @ t - b * p / a, np.sum(w * y**2, -1) - p**2 / a
    return a, np.maximum(c, 0.0), q, np.maximum(r, 0.0)


def _likelihood(data, times, *, still=False):
    """Logarithm of the likelihood of all displacements at given times, best dispersion and error factor."""
    total, t = 0.0, times - times.mean()
    for y, w, odd in data:
        _, c, q, r = _sums(y[~odd], w[~odd], t)
        freedom = np.sum(w[~odd] > 0) - len(c)
        spread = max(np.median((q / np.maximum(c, 1e-300)) ** 2) / MEDIAN, 1e-300)
        v = (DISPERSIONS[:1] if still else DISPERSIONS)[:, None] * spread
        # at a given dispersion over the errors the factor on squared errors has its best value in closed form
        chi2 = np.sum(r - q**2 / (c + 1 / v), axis=1)
        factor = np.clip(chi2 / freedom, *FACTORS)
        value = -0.5 * (chi2 / factor + freedom * np.log(factor) + np.sum(np.log1p(v * c), axis=1))
        k = int(np.argmax(value))
        total += value[k] + _beside(value, k) + _odd_stars(y[odd], w[odd], t, (v[k, 0], spread), factor[k])
    return float(total)


def _beside(value, k):
    """Height above its highest point of the parabola through it and those beside it."""
    if not 0 < k < len(value) - 1:
        return 0.0
    low, top, high = value[k - 1 : k + 2]
    return (low - high) ** 2 / max(8 * (2 * top - low - high), 1e-300)


def _wrong(n):
    """Which measurements may be wrong, (m, n): none, each one, and each two where enough others are left."""
    one = np.eye(n)
    i, j = np.triu_indices(n, 1)
    return np.vstack([np.zeros((1, n)), one, (one[i] + one[j])[: i.size * (n >= TWO_WRONG)]])


def _odd_stars(y, w, t, speed, factor):
    """Logarithm of the likelihood of stars that move fast or have wrong measurements."""
    wrong, seen = _wrong(len(t)), (w > 0).astype(float)
    # (n, 1 + n_epochs + pairs): all, and without each one, or two
    a, c, q, r = _sums(y[:, None], w[:, None] * (1 - wrong), t)
    possible = seen @ wrong.T == wrong.sum(1)
    share = np.where(possible, np.log(WRONG / WIDE) * wrong.sum(1), -np.inf) - 0.5 * np.log(a / a[:, :1])
    parts = []
    fast = [(FAST_SHARE / len(FAST_WIDTHS), speed[1] * f**2) for f in FAST_WIDTHS]
    for weight, u in ((1.0, speed[0]), *fast):
        chi2 = (r - q**2 / (c + 1 / u)) / factor
        parts.append(np.log(weight) + share - 0.5 * (chi2 + np.log1p(u * c)))
    freedom = seen.sum() - len(y)
    return float(np.sum(logsumexp(np.concatenate(parts, axis=1), axis=1)) - 0.5 * freedom * np.log(factor))


class _Shift(NamedTuple):
    """Shift of a list's time that is most likely, its error, and the gain in likelihood over none."""

    time: float
    error: float
    gain: float


def _best(data, epochs, k, baseline):
    """`_Shift` of list k. The likelihood is flat far from its maximum: a grid finds where that lies."""
    unit = np.eye(len(epochs))[k]

    def loss(shift):
        return -_likelihood(data, epochs + shift * unit)

    none, shifts = loss(0.0), SHIFTS * baseline
    i = int(np.clip(np.argmin([loss(s) for s in shifts]), 1, len(shifts) - 2))
    way = {"method": "bounded", "options": {"xatol": PRECISE * baseline}}
    best = minimize_scalar(loss, bounds=(shifts[i - 1], shifts[i + 1]), **way)
    gain, step = none - best.fun, PRECISE * baseline
    if gain > ONE_SIGMA:
        return _Shift(float(best.x), float(abs(best.x) / np.sqrt(2 * gain)), gain)
    while step < shifts[-1] and (lower := loss(best.x + step) - best.fun) < ONE_SIGMA:
        step *= 2
    # no smaller than the shift itself, which is no better than none: medians make the likelihood jump
    error = max(step * np.sqrt(ONE_SIGMA / max(lower, 1e-3)), abs(best.x))
    return _Shift(float(best.x), float(error), 0.0)
