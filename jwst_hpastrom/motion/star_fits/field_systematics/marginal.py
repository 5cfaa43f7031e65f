"""Motions averaged over the hyper-parameters of systematics, with a prior that the whole field teaches."""

from dataclasses import replace

import numpy as np
from scipy.special import erfc

from jwst_hpastrom.motion.star_fits.field_systematics.grid import SystematicsField

__all__ = ["beyond", "marginalize"]


def marginalize(
    fits, measured, *, names, group, extra=None, brightness=None, min_epochs=5, executor=None, choices=None
):  # fmt: skip
    """Average stars' motions over the systematics that the field makes likely.

    Parameters
    ----------
    fits : `~jwst_hpastrom.motion.star_fits.models.MotionFits`
        Stars of few epochs stay as they are.

    measured : tuple of ndarray
        Times, shape (n_epochs,), positions and errors, shape (2, n_stars, n_epochs), mas.

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

    choices : `Choices`, optional
        Of stars over whose measurements there is doubt: their motions are averages over these, too.

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
    known = None if choices is None else choices.field
    field = SystematicsField(fits, measured, names, group, extra, brightness, min_epochs, executor, known)
    if not field:
        return fits
    rows, k = field.rows, fits.degree + 1
    coefficients, covariance, doubt = fits.coefficients.copy(), fits.covariance.copy(), fits.doubt.copy()
    for axis in (0, 1):
        jobs = field.jobs(axis, rows, fits.used[rows])
        like = field.likelihoods(jobs)
        shares = field.priors(like) if choices is None else choices.shares[axis]
        beta, cov = field.means(jobs, rows, like, shares)
        done = np.isfinite(beta).all(1)
        columns = np.arange(axis * k, axis * k + k)
        coefficients[rows[done][:, None], columns] = beta[done]
        covariance[rows[done][:, None, None], columns[:, None], columns] = cov[done]
        if choices is not None:
            jobs = field.jobs(axis, choices.star, choices.used)
            beta, cov = field.means(jobs, choices.star, field.likelihoods(jobs), shares)
            star, beta, cov, doubt[:, axis] = _averaged(choices, beta, cov, len(doubt))
            coefficients[star[:, None], columns] = beta
            covariance[star[:, None, None], columns[:, None], columns] = cov
    return replace(fits, coefficients=coefficients, covariance=covariance, doubt=doubt)


def _averaged(choices, beta, cov, n):
    """Stars, means and covariances over their choices, and the probabilities of all stars to be beyond 3."""
    star, of = np.unique(choices.star, return_inverse=True)
    weight = np.where(np.isfinite(beta).all(1), choices.weight, 0.0)
    weight /= np.bincount(of, weight)[of]
    beta, cov = np.nan_to_num(beta), np.nan_to_num(cov)

    def summed(values):
        out = np.zeros((star.size, *values.shape[1:]))
        np.add.at(out, of, values * weight.reshape(-1, *[1] * (values.ndim - 1)))
        return out

    mean = summed(beta)
    off = beta - mean[of]
    total = summed(cov + off[:, :, None] * off[:, None])
    doubt = np.full(n, np.nan)
    doubt[star] = summed(beyond(off[:, 1], np.sqrt(cov[:, 1, 1]), np.sqrt(total[of, 1, 1])))
    return star, mean, total, doubt


def beyond(off, error, stated):
    """Probability that a normal value with this mean and error is more than three stated errors from zero.

    Parameters
    ----------
    off, error, stated : ndarray

    Returns
    -------
    ndarray

    Examples
    --------
    >>> float(beyond(0.0, 1.0, 1.0).round(4))
    0.0027
    """
    width = np.sqrt(2) * np.maximum(error, 1e-150)
    return 0.5 * (erfc((3 * stated - off) / width) + erfc((3 * stated + off) / width))
