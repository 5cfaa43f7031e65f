"""Motions averaged over the hyper-parameters of systematics, with a prior that the whole field teaches."""

from dataclasses import replace

import numpy as np
from scipy.special import logsumexp, softmax

from jwst_hpastrom.motion.kinematic_models import KERNELS, MODEL_CODES, fill
from jwst_hpastrom.motion.star_fits._gp_kernels import NO
from jwst_hpastrom.motion.star_fits._marginal_kernels import AxisData, Grid, grid_likelihoods, grid_means

__all__ = ["field_prior", "marginalize", "restored"]

#: amplitudes of the grid in units of the bin's typical error: below, a systematic is noise; above, an outlier
AMPLITUDES = np.geomspace(0.4, 16.0, 7)
#: time scales in units of the baseline: shorter ones are noise, longer ones cannot be told from a motion
TIME_SCALES = (0.08, 0.15, 0.3)
#: stars that teach a prior in a bin of magnitudes, and the most bins
STARS_PER_BIN, MOST_BINS = 150, 8
#: stars that a straight line's and the systematics' share of the prior are worth before anything was seen
PRIOR_STARS = 2.0
#: share of stars without a systematic, before anything was seen
LINE = 0.8
#: steps of the prior's solution, and the change below which it is done
MOST_STEPS, CHANGE = 200, 1e-4
#: stars that teach a prior as well as more would
ENOUGH = 1000
#: stars at a time
CHUNK = 500
#: share of wrong measurements, and the typical errors within which a wrong one may be anywhere: a star's own
#: neighbors are that far. Without systematics these reject from 4.8 errors on, in both axes together
WRONG, WRONG_WITHIN = 0.01, 50.0


def field_prior(log_likelihood, start):
    """Shares of a field's stars at the points of a grid, by expectation and maximization.

    Parameters
    ----------
    log_likelihood : ndarray, shape (n_stars, n_points)

    start : ndarray, shape (n_points,)
        Shares to begin with, which also stand for a few stars of their own.

    Returns
    -------
    ndarray, shape (n_points,)

    Examples
    --------
    >>> field_prior(np.log([[0.9, 0.1]] * 50), np.array([0.5, 0.5])).round(2)
    array([0.98, 0.02])
    """
    share = start.copy()
    usable = log_likelihood[np.isfinite(log_likelihood).any(1)]
    usable = usable[:: max(len(usable) // ENOUGH, 1)]
    for _ in range(MOST_STEPS):
        p = _posterior(usable, share)
        new = (p.sum(0) + PRIOR_STARS * start) / (len(p) + PRIOR_STARS)
        moved = np.abs(new - share).max()
        share = new
        if moved < CHANGE:
            break
    return share


def _posterior(log_likelihood, share):
    with np.errstate(divide="ignore"):
        return softmax(log_likelihood + np.log(share), axis=1)


def _rows(names, group, t):
    """Covariances of amplitude one of the systematics that take part, and the shares to begin with."""
    families = [("additive", (1.0,)), ("sqexp", TIME_SCALES), ("group", (1.0,))]
    several = np.unique(group).size > 1
    families = [f for f in families if f[0] in names and (several or not KERNELS[f[0]].grouped)]
    shapes, start = [], [LINE]
    for name, scales in families:
        for scale in scales:
            k, theta = np.empty((t.size, t.size)), np.array([0.0, np.log(scale * np.ptp(t))])
            fill(MODEL_CODES[name], t, group, np.zeros(5), theta, k, np.empty((0, 1, 1)), NO)
            shapes.append(k)
            start += [(1 - LINE) / len(families) / len(scales) / AMPLITUDES.size] * AMPLITUDES.size
    return np.array(shapes), np.array(start) / np.sum(start)


def _bins(brightness, n):
    """Bin of every star by brightness, equal in number; one bin where it is unknown."""
    known = np.zeros(n) if brightness is None else np.asarray(brightness, float)
    known = np.where(np.isfinite(known), known, np.inf)
    n_bins = int(np.clip(n // STARS_PER_BIN, 1, MOST_BINS)) if brightness is not None else 1
    edges = np.quantile(known[np.isfinite(known)], np.linspace(0, 1, n_bins + 1)[1:-1]) if n_bins > 1 else []
    return np.searchsorted(edges, known, side="right").astype(np.int64)


def _typical(error, used, bins):
    """Median over the stars of each bin of their used epochs' median error."""
    with np.errstate(invalid="ignore"):
        typical = np.nanmedian(np.where(used, error, np.nan), axis=1)
    return [np.median(typical[bins == b]) if (bins == b).any() else 1.0 for b in range(bins.max() + 1)]


def _mapped(function, jobs, executor):
    if executor is None:
        return [function(*job) for job in jobs]
    return [f.result() for f in [executor.submit(function, *job) for job in jobs]]


def _likelihoods(data, grid):
    out = np.empty((len(data.y), 1 + grid.shapes.shape[0] * AMPLITUDES.size))
    grid_likelihoods(data, grid, out)
    return out


def _means(data, grid, weight):
    p = data.degree + 1
    beta, covariance = np.full((len(weight), p), np.nan), np.full((len(weight), p, p), np.nan)
    grid_means(data, grid, weight, beta, covariance)
    return beta, covariance


class _Field:
    """Stars of many epochs, and the grid of systematics that they may have."""

    def __init__(self, fits, measured, names, group, extra, brightness, min_epochs, executor):
        self.t, self.position, self.error = measured
        self.rows = np.flatnonzero((fits.model >= 0) & (fits.used.sum(1) >= min_epochs))
        self.fits, self.extra, self.executor = fits, extra, executor
        self.shapes, self.start = _rows(names, np.asarray(group, np.int64), self.t)
        self.bins = np.zeros(fits.model.size, np.int64)
        if self.rows.size:
            self.bins[self.rows] = _bins(
                None if brightness is None else brightness[self.rows], self.rows.size
            )
            here, used = self.bins[self.rows], fits.used[self.rows]
            self.typical = [_typical(e[self.rows], used, here) for e in self.error]

    def __bool__(self):
        return bool(self.rows.size and len(self.shapes))

    def jobs(self, axis, rows, used):
        """Arguments of the kernels for these stars and epochs, chunk by chunk."""
        squares, none = np.outer(self.typical[axis], AMPLITUDES) ** 2, np.zeros((0, 1, 1))
        jobs = []
        for r, u in ((rows[i : i + CHUNK], used[i : i + CHUNK]) for i in range(0, rows.size, CHUNK)):
            y, e = (np.ascontiguousarray(a[axis][r]) for a in (self.position, self.error))
            x = none if self.extra is None else np.ascontiguousarray(self.extra[r, axis])
            data = AxisData(self.t, y, e, x, np.ascontiguousarray(u), self.fits.t0[r], self.fits.degree)
            jobs.append((data, Grid(self.shapes, squares, self.bins[r])))
        return jobs

    def likelihoods(self, jobs):
        return np.concatenate(_mapped(_likelihoods, jobs, self.executor))

    def priors(self, like):
        """Shares of the grid's points in every bin, as the bin's stars tell them together."""
        here = self.bins[self.rows]
        shares = np.tile(self.start, (here.max() + 1, 1))
        for b in np.unique(here):
            shares[b] = field_prior(like[here == b], self.start)
        return shares


def restored(fits, t, position, error, use, **known):
    """Measurements that were rejected, but are likely in view of the systematics that the field has.

    A drift shared by some epochs makes single ones look wrong; motions and errors without them are those of
    a star that has no drift. A measurement counts again where its density, as the star's other epochs
    foretell it with the field's systematics, is higher than that of a wrong one: a share of `WRONG`, evenly
    within `WRONG_WITHIN` typical errors. One is tried at a time, the likeliest first.

    Parameters
    ----------
    fits : `~jwst_hpastrom.motion.star_fits.models.MotionFits`

    use : ndarray of bool, shape (n_stars, n_epochs)
        Measurements before any was rejected.

    t, position, error, **known
        As in `marginalize`.

    Returns
    -------
    ndarray of bool, shape (n_stars, n_epochs)
        Measurements to use.
    """
    used = fits.used.copy()
    field = _Field(fits, (t, position, error), **known)
    if not field or np.array_equal(used[field.rows], use[field.rows]):
        return used
    every = [field.likelihoods(field.jobs(axis, field.rows, used[field.rows])) for axis in (0, 1)]
    shares = [np.log(np.maximum(field.priors(like), 1e-300)) for like in every]
    least = np.log(WRONG / (1 - WRONG)) - np.sum(np.log(2 * WRONG_WITHIN * np.array(field.typical)), axis=0)
    rows = field.rows
    while True:
        star, epoch = np.nonzero(use[rows] & ~used[rows])
        if star.size == 0:
            return used
        star = rows[star]
        before = _evidence(field, shares, *(a[star] for a in (np.arange(len(used)), used)))
        more = used[star]
        more[np.arange(star.size), epoch] = True
        gain = _evidence(field, shares, star, more) - before - least[field.bins[star]]
        best = np.lexsort((-gain, star))
        best = best[np.unique(star[best], return_index=True)[1]]
        best = best[gain[best] > 0]
        if best.size == 0:
            return used
        used[star[best], epoch[best]] = True
        rows = star[best]


def _evidence(field, shares, rows, used):
    """Logarithm of the probability of both axes' measurements of these stars, the grid summed over."""
    total = np.zeros(rows.size)
    for axis, share in enumerate(shares):
        like = field.likelihoods(field.jobs(axis, rows, used))
        total += logsumexp(like + share[field.bins[rows]], axis=1)
    return total


def marginalize(
    fits, t, position, error, *, names, group, extra=None, brightness=None, min_epochs=5, executor=None
):
    """Average stars' motions over the systematics that the field makes likely.

    Parameters
    ----------
    fits : `~jwst_hpastrom.motion.star_fits.models.MotionFits`
        Stars of few epochs stay as they are.

    t : ndarray, shape (n_epochs,)

    position, error : ndarray, shape (2, n_stars, n_epochs)
        mas.

    names : sequence of str
        Models that take part: additive, sqexp, group; a straight line always.

    group : ndarray of int, shape (n_epochs,)

    extra : ndarray, shape (n_stars, 2, n_epochs, n_epochs), optional
        Covariance of the errors between epochs.

    brightness : ndarray, shape (n_stars,), optional
        Magnitudes: stars of similar ones share a prior.

    min_epochs : int
        Stars of fewer epochs stay as they are.

    executor : `concurrent.futures.Executor`, optional

    Returns
    -------
    `~jwst_hpastrom.motion.star_fits.models.MotionFits`
        With the means and covariances over the grid in place of those at the best hyper-parameters.

    Notes
    -----
    One star's epochs hardly tell how large its systematics are, and the best value is often zero: then the
    error is too small. The prior is the field's distribution over a grid of models, amplitudes and time
    scales, per axis and bin of magnitude, by maximum likelihood (`field_prior`).
    """
    field = _Field(fits, (t, position, error), names, group, extra, brightness, min_epochs, executor)
    if not field:
        return fits
    rows, k = field.rows, fits.degree + 1
    coefficients, covariance = fits.coefficients.copy(), fits.covariance.copy()
    for axis in (0, 1):
        jobs = field.jobs(axis, rows, fits.used[rows])
        like = field.likelihoods(jobs)
        weight = np.nan_to_num(_posterior(like, field.priors(like)[field.bins[rows]]))
        starts = range(0, rows.size, CHUNK)
        parts = _mapped(
            _means, [(*j, weight[i : i + CHUNK]) for j, i in zip(jobs, starts, strict=True)], executor
        )
        beta, cov = (np.concatenate(c) for c in zip(*parts, strict=True))
        done = np.isfinite(beta).all(1)
        columns = np.arange(axis * k, axis * k + k)
        coefficients[rows[done][:, None], columns] = beta[done]
        covariance[rows[done][:, None, None], columns[:, None], columns] = cov[done]
    return replace(fits, coefficients=coefficients, covariance=covariance)
