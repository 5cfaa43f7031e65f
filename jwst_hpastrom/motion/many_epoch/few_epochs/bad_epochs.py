"""Stars of few epochs of which some may be bad: a mixture over which, with the field's own share."""

import logging
from dataclasses import dataclass, fields, replace

import numpy as np
from scipy.special import softmax

from jwst_hpastrom.motion.many_epoch.few_epochs._bad_epoch_kernels import FewEpochs, choices
from jwst_hpastrom.motion.star_fits.field_systematics.marginal import beyond
from jwst_hpastrom.motion.star_fits.models import fit_motions

__all__ = ["BadEpochs", "average_over_bad_epochs"]

log = logging.getLogger("stpipe.hpastrom.motion")

#: errors of bad measurements in units of the stated ones, besides these: steps of two, from where they differ
#: from good ones to a wrong star at the edge of the search
FACTORS = 3.0 * 2.0 ** np.arange(8)
#: prior counts of bad and good measurements. One in a hundred, given up readily;
#: among the bad ones each factor adds as much to the variance, so that unseen ones do not decide it
PRIOR = 1.0, 99.0
WIDTHS = FACTORS**-2.0 / np.sum(FACTORS**-2.0)
#: stars that the share is learned from: its error is then below a tenth of itself
MOST_STARS = 3000
#: probability that a motion is further than 3 errors off, from which a star is ambiguous: a third of the most
#: that any distribution can have; and its largest mean over the others, of which fewer than one in a hundred
#: are to be off by more
TAIL, MEAN_TAIL = 0.037, 0.007
#: stars at a time: the choices' solutions of all would fill the memory
CHUNK = 500


@dataclass(frozen=True)
class BadEpochs:
    """What `average_over_bad_epochs` found.

    Attributes
    ----------
    share : float
        Share of bad measurements in the field; NaN where no star has an epoch to spare.

    probability : ndarray, shape (n_stars, n_epochs)
        That a measurement is bad; 0 for the stars that were not looked at.

    ambiguous : ndarray of bool, shape (n_stars,)
        Several motions, more than 3 errors apart, are likely.
    """

    share: float
    probability: np.ndarray
    ambiguous: np.ndarray


def average_over_bad_epochs(
    fits, epochs, position, error, *, extra=None, factors=None, most=4, executor=None
):  # fmt: skip
    """Motions and errors of stars of few epochs as averages over which of their epochs are bad.

    A measurement is bad with a probability, by an unknown factor, that all stars of few epochs tell together
    (most likely ones, by expectation maximization). A star's motion is the mean over all choices of bad
    epochs, its error their standard deviation, the differences between the choices included (a mixture, as in
    Hogg, Bovy & Lang 2010 §3, but with the choices summed instead of sampled). Where the choices are so far
    apart that no single error describes them, the star is ambiguous.

    Parameters
    ----------
    fits : `~jwst_hpastrom.motion.star_fits.models.MotionFits`

    epochs : ndarray

    position, error : ndarray, shape (2, n, n_epochs)
        mas.

    extra : ndarray, shape (n, 2, n_epochs, n_epochs), optional
        Covariances added to diag(error²).

    factors : ndarray, shape (2, n_epochs), optional
        Parallax factors, where a parallax was fitted.

    most : int
        Epochs of the stars that are looked at; with more the worst are rejected one by one.

    executor : `concurrent.futures.Executor`, optional
        For the fits without the bad epochs.

    Returns
    -------
    fits : `~jwst_hpastrom.motion.star_fits.models.MotionFits`
        Epochs that are rather bad than good are not among ``used``, and leave-one-out values are without
        them.

    found : `BadEpochs`

    Examples
    --------
    >>> import numpy as np
    >>> from jwst_hpastrom.motion import fit_motions
    >>> from jwst_hpastrom.motion.many_epoch.few_epochs.bad_epochs import average_over_bad_epochs
    >>> rng, t = np.random.default_rng(1), np.array([2012.0, 2014.0, 2018.0, 2022.0])
    >>> position = rng.normal(0, 1, (2, 200, 4))
    >>> position[:, :20, 2] += 30.0
    >>> error = np.ones(position.shape)
    >>> fits = fit_motions(t, *position, *error, models="linear")
    >>> better, found = average_over_bad_epochs(fits, t, position, error)
    >>> bool(np.all(found.probability[:20, 2] > 0.9)), round(found.share, 2)
    (True, 0.03)
    """
    n_used = fits.used.sum(1)
    rows = np.flatnonzero((fits.model >= 0) & (n_used >= 2) & (n_used <= most) & np.isnan(fits.doubt).any(1))
    found = BadEpochs(np.nan, np.zeros(fits.used.shape), _of_more_epochs(fits, rows))
    star = _Stars(fits, epochs, position, error, extra, factors, most)
    telling = rows[2 * n_used[rows] > fits.coefficients.shape[1]]
    if telling.size == 0:
        if rows.size:
            log.warning("no star has an epoch to spare (flag UNCHECKED): bad measurements cannot be seen")
        return fits, found
    share, widths = _learn(star, telling)
    prior = star.prior(share, widths)
    mean, covariance = fits.coefficients.copy(), fits.covariance.copy()
    tail = np.zeros((n_used.size, 2))
    for r in _chunks(rows):
        mean[r], covariance[r], found.probability[r], tail[r] = star.average(r, prior)
    found.ambiguous[rows] = _ambiguous(tail[rows])
    log.info(
        "stars of %d or fewer epochs: %.1f %% of their measurements are bad; %d of %d stars ambiguous",
        most, 100 * share, found.ambiguous[rows].sum(), rows.size,
    )  # fmt: skip
    t0 = fits.t0
    fits = _without(
        fits, fits.used & (found.probability > 0.5), epochs, position, error, extra, factors, executor
    )
    mean, covariance = _carried(mean, covariance, fits.t0 - t0, fits.degree)
    return replace(fits, coefficients=mean, covariance=covariance), replace(found, share=float(share))


class _Stars:
    """The choices of bad epochs of stars, their likelihoods and solutions."""

    def __init__(self, fits, epochs, position, error, extra, factors, most):
        self.fits, self.epochs, self.most = fits, np.asarray(epochs, float), most
        self.y, self.variance = np.moveaxis(position, 0, 1), np.moveaxis(error, 0, 1) ** 2
        self.extra = extra
        self.shared = np.zeros((0, 2, len(epochs))) if factors is None else np.asarray(factors)[None]
        masks = np.arange(1, 2**most)
        self.mask = np.r_[0, np.tile(masks, FACTORS.size)]
        self.width = np.r_[-1, np.repeat(np.arange(FACTORS.size), masks.size)]
        self.n_bad = np.array([m.bit_count() for m in self.mask.tolist()])

    def likelihoods(self, rows):
        fits = self.fits
        dt = self.epochs - fits.t0[rows, None]
        basis = np.stack([dt**r / max(r, 1) for r in range(fits.degree + 1)], 1)
        n, c, q = rows.size, self.mask.size, fits.coefficients.shape[1]
        loglik, beta, cov = np.empty((n, c)), np.zeros((n, c, q)), np.zeros((n, c, q, q))
        extra = np.zeros((0, 2, 1, 1)) if self.extra is None else np.ascontiguousarray(self.extra[rows])
        data = FewEpochs(
            np.ascontiguousarray(self.y[rows]), np.ascontiguousarray(self.variance[rows]), extra,
            fits.used[rows], basis, self.shared,
        )  # fmt: skip
        choices(data, self.most, FACTORS, loglik, beta, cov)
        return loglik, beta, cov

    def prior(self, share, widths):
        """Logarithms of the choices' prior weights, those of the good measurements left out."""
        odds = np.log(share) - np.log1p(-share)
        return self.n_bad * odds + np.where(self.width >= 0, np.log(widths)[self.width], 0.0)

    def average(self, rows, prior):
        """Mean, covariance, each epoch's probability to be bad, and that of being beyond 3 errors."""
        loglik, beta, cov = self.likelihoods(rows)
        weight = softmax(loglik + prior, axis=1)
        mean = np.einsum("nc,nci->ni", weight, beta)
        off = beta - mean[:, None]
        total = np.einsum("nc,ncij->nij", weight, cov) + np.einsum("nc,nci,ncj->nij", weight, off, off)
        probability = np.zeros(self.fits.used[rows].shape)
        order = np.cumsum(self.fits.used[rows], 1) - 1
        for i in range(self.most):
            at, epoch = np.nonzero((order == i) & self.fits.used[rows])
            probability[at, epoch] = (weight @ (self.mask >> i & 1))[at]
        motion = [1, self.fits.degree + 2]
        errors = np.sqrt(cov[:, :, motion, motion]), np.sqrt(total[:, motion, motion])[:, None]
        tail = beyond(off[..., motion], *errors)
        return mean, total, probability, np.einsum("nc,nci->ni", weight, tail)


def _learn(star, rows, iterations=200):
    """Share of bad measurements and the weights of their factors, most likely for some of these stars."""
    rows = rows[np.linspace(0, rows.size - 1, min(MOST_STARS, rows.size)).astype(int)]
    loglik = np.concatenate([star.likelihoods(r)[0] for r in _chunks(rows)])
    n = star.fits.used[rows].sum()
    share, widths = PRIOR[0] / sum(PRIOR), np.full(FACTORS.size, 1.0 / FACTORS.size)
    before = PRIOR[0] * WIDTHS
    for _ in range(iterations):
        weight = softmax(loglik + star.prior(share, widths), axis=1).sum(0)
        old, bad = share, weight @ star.n_bad
        share = (bad + PRIOR[0]) / (n + sum(PRIOR))
        some = np.bincount(star.width[1:], weight[1:], FACTORS.size) + before
        widths = some / some.sum()
        if abs(share - old) < 1e-3 * old:
            break
    return share, widths


def _ambiguous(tail):
    """Stars of a large tail, and the largest others, until the mean of what is left is small."""
    if tail.size == 0:
        return np.zeros(0, bool)
    worst, mean = tail.max(1), tail.mean(1)
    order = np.argsort(worst)
    below = np.cumsum(mean[order]) <= MEAN_TAIL * np.arange(1, worst.size + 1)
    last = worst[order][np.flatnonzero(below)[-1]] if below.any() else -1.0
    return worst > min(TAIL, last)


def _of_more_epochs(fits, few):
    """Ambiguous ones among the stars of more epochs, which have been averaged over their choices already."""
    rows = np.setdiff1d(np.flatnonzero(fits.model >= 0), few)
    out = np.zeros(fits.model.size, bool)
    if np.isfinite(fits.doubt).any():
        doubt = np.isfinite(fits.doubt[rows]).all(1)
        out[rows] = doubt & _ambiguous(np.nan_to_num(fits.doubt[rows], nan=beyond(0.0, 1.0, 1.0)))
    return out


def _without(fits, bad, epochs, position, error, extra, factors, executor):
    """Fits without the bad epochs, where the others suffice."""
    rows = np.flatnonzero(bad.any(1))
    if rows.size == 0:
        return fits
    again = fit_motions(
        epochs, *position[:, rows], *error[:, rows], models="linear", use=fits.used[rows] & ~bad[rows],
        extra_covariance=None if extra is None else extra[rows], factors=factors,
        acceleration=fits.degree == 2, executor=executor,
    )  # fmt: skip
    ok = again.model >= 0
    arrays = {}
    for f in fields(fits)[:-2]:
        arrays[f.name] = getattr(fits, f.name).copy()
        if f.name == "elpd":
            arrays["elpd"][rows[ok]] = np.nan
            arrays["elpd"][rows[ok], : again.elpd.shape[1]] = again.elpd[ok]
        else:
            arrays[f.name][rows[ok]] = getattr(again, f.name)[ok]
    return replace(fits, **arrays)


def _shift(dt, degree, q):
    """Matrices that bring coefficients to a reference epoch later by dt, (n, q, q)."""
    out = np.broadcast_to(np.eye(q), (dt.size, q, q)).copy()
    for axis in (0, degree + 1):
        out[:, axis, axis + 1] = dt
        if degree == 2:
            out[:, axis, axis + 2], out[:, axis + 1, axis + 2] = 0.5 * dt**2, dt
    return out


def _carried(mean, covariance, dt, degree):
    """Coefficients and their covariances at a reference epoch later by dt."""
    shift = _shift(dt, degree, mean.shape[1])
    return np.einsum("nij,nj->ni", shift, mean), shift @ covariance @ np.swapaxes(shift, 1, 2)


def _chunks(rows):
    return [rows[k : k + CHUNK] for k in range(0, rows.size, CHUNK)]
