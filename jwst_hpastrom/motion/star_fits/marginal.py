"""Motions averaged over the hyper-parameters of systematics, with a prior that the whole field teaches."""

from dataclasses import replace

import numpy as np
from scipy.special import softmax

from jwst_hpastrom.motion.kinematic_models import KERNELS, MODEL_CODES, fill
from jwst_hpastrom.motion.star_fits._gp_kernels import NO
from jwst_hpastrom.motion.star_fits._marginal_kernels import AxisData, Grid, grid_likelihoods, grid_means

__all__ = ["field_prior", "marginalize"]

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


def _weights(like, bins, start):
    """Each star's probabilities over the grid, with the prior that the stars of its bin tell together."""
    weight = np.zeros(like.shape)
    for b in np.unique(bins):
        weight[bins == b] = _posterior(like[bins == b], field_prior(like[bins == b], start))
    return np.nan_to_num(weight)


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
    n_used = fits.used.sum(1)
    rows = np.flatnonzero((fits.model >= 0) & (n_used >= min_epochs))
    if rows.size == 0:
        return fits
    degree, k = fits.degree, fits.degree + 1
    shapes, start = _rows(names, np.asarray(group, np.int64), t)
    if len(shapes) == 0:
        return fits
    bins = _bins(None if brightness is None else brightness[rows], rows.size)
    used = np.ascontiguousarray(fits.used[rows])
    coefficients, covariance = fits.coefficients.copy(), fits.covariance.copy()
    none, slices = np.zeros((0, 1, 1)), [slice(i, i + CHUNK) for i in range(0, rows.size, CHUNK)]
    for axis in (0, 1):
        y, e = (np.ascontiguousarray(a[axis][rows]) for a in (position, error))
        squares = np.outer(_typical(e, used, bins), AMPLITUDES) ** 2
        x = none if extra is None else np.ascontiguousarray(extra[rows, axis])
        jobs = [
            (
                AxisData(t, y[s], e[s], x[s] if len(x) else none, used[s], fits.t0[rows[s]], degree),
                Grid(shapes, squares, bins[s]),
            )
            for s in slices
        ]
        like = np.concatenate(_mapped(_likelihoods, jobs, executor))
        weight = _weights(like, bins, start)
        parts = _mapped(_means, [(*j, weight[s]) for j, s in zip(jobs, slices, strict=True)], executor)
        beta, cov = (np.concatenate(c) for c in zip(*parts, strict=True))
        done = np.isfinite(beta).all(1)
        columns = np.arange(axis * k, axis * k + k)
        coefficients[rows[done][:, None], columns] = beta[done]
        covariance[rows[done][:, None, None], columns[:, None], columns] = cov[done]
    return replace(fits, coefficients=coefficients, covariance=covariance)
