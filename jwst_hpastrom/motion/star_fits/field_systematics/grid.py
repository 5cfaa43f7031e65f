"""The grid of systematics that a field's stars may have, and how likely the field makes each."""

import numpy as np
from scipy.special import softmax

from jwst_hpastrom.motion.kinematic_models import KERNELS, MODEL_CODES, fill
from jwst_hpastrom.motion.star_fits._gp_kernels import NO
from jwst_hpastrom.motion.star_fits.field_systematics._marginal_kernels import (
    AxisData,
    Grid,
    grid_likelihoods,
    grid_means,
)

__all__ = ["SystematicsField", "field_prior"]

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
#: of systematics that epochs share each amplitude adds as much to the variance: large ones that time hides
#: (epochs of two seasons) would decide the errors. What epochs do not share is seen
STARTS = AMPLITUDES**-2 / np.sum(AMPLITUDES**-2)
#: where choices tell wrong measurements: typical errors from which a systematic may be these, and the share
#: of such stars that is more than wrong ones can feign where a tenth is wrong
LARGEST, SEEN = 5.0, 0.2
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
            among = np.full(AMPLITUDES.size, 1 / AMPLITUDES.size) if name == "additive" else STARTS
            start += list((1 - LINE) / len(families) / len(scales) * among)
    return np.array(shapes), np.array(start) / np.sum(start)


def _bins(brightness, rows, n):
    """Bin of every star by brightness, with as many of these rows each; one bin where it is unknown."""
    known = np.zeros(n) if brightness is None else np.asarray(brightness, float)
    known = np.where(np.isfinite(known), known, np.inf)
    n_bins = int(np.clip(rows.size // STARS_PER_BIN, 1, MOST_BINS)) if brightness is not None else 1
    here = known[rows][np.isfinite(known[rows])]
    edges = np.quantile(here, np.linspace(0, 1, n_bins + 1)[1:-1]) if n_bins > 1 else []
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


class SystematicsField:
    """Stars of many epochs, and the grid of systematics that they may have."""

    def __init__(
        self, fits, measured, names, group, extra, brightness, min_epochs, executor, known=None
    ):  # fmt: skip
        self.t, self.position, self.error = measured
        self.rows = np.flatnonzero((fits.model >= 0) & (fits.used.sum(1) >= min_epochs))
        self.fits, self.extra, self.executor = fits, extra, executor
        self.shapes, self.start = _rows(names, np.asarray(group, np.int64), self.t)
        self.min_epochs = min_epochs
        if known is not None:
            self.bins, self.typical = known.bins, known.typical
        elif self.rows.size:
            self.bins = _bins(brightness, self.rows, fits.model.size)
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

    def start_beside_wrong(self, shares):
        """Shares to begin with where wrong measurements are told apart: most of what is large is these.

        Large systematics of one kind are kept where ``shares``, learned without, have many of them.
        """
        start, large = self.start.copy(), AMPLITUDES > LARGEST
        rows = start[1:].reshape(len(self.shapes), -1)
        rows[:] = rows.sum(1, keepdims=True) * STARTS
        learned = np.mean(np.concatenate(shares), axis=0)[1:].reshape(rows.shape)
        rows[np.ix_(learned[:, large].sum(1) < SEEN, large)] = 0.0
        return start / start.sum()

    def means(self, jobs, rows, like, shares):
        """Mean and covariance of these stars' linear terms over the grid."""
        weight = np.nan_to_num(_posterior(like, shares[self.bins[rows]]))
        starts = range(0, rows.size, CHUNK)
        jobs = [(*j, weight[i : i + CHUNK]) for j, i in zip(jobs, starts, strict=True)]
        return (np.concatenate(c) for c in zip(*_mapped(_means, jobs, self.executor), strict=True))

    def priors(self, like):
        """Shares of the grid's points in every bin, as the bin's stars tell them together."""
        here = self.bins[self.rows]
        shares = np.tile(self.start, (here.max() + 1, 1))
        for b in np.unique(here):
            shares[b] = field_prior(like[here == b], self.start)
        return shares
