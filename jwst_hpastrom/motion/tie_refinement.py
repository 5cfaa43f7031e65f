"""All stars hold the epochs together: what is left of the transformations' errors is a drift of the frame."""

import logging
from dataclasses import replace

import numpy as np

from jwst_hpastrom.geometry import robust_sigma
from jwst_hpastrom.motion.models import fit_motions
from jwst_hpastrom.motion.reference_choice import group_shifts, measured

__all__ = ["add_frame_errors", "refine_ties"]

log = logging.getLogger("stpipe.hpastrom.motion")


def refine_ties(ties, links, epochs, group=None, *, outlier_sigma=5.0, n_iterations=5, executor=None):
    """Take out of each epoch's transformation what all stars' residuals from their motions have in common.

    Parameters
    ----------
    ties : list of `~jwst_hpastrom.motion.frame_tie.EpochTie`

    links : `~jwst_hpastrom.motion.linking.LinkedStars`

    epochs : ndarray

    group : ndarray of int, optional
        Groups of epochs with offsets of each star.

    outlier_sigma : float
        As in `~jwst_hpastrom.motion.models.fit_motions`.

    n_iterations : int
        Fits of motions and corrections in turn.

    executor : `concurrent.futures.Executor`, optional
        For the motions.

    Returns
    -------
    ties : list of `~jwst_hpastrom.motion.frame_tie.EpochTie`
        With corrected coefficients.

    refined : bool
        False, and the ties as they were, where an epoch has fewer than ten well measured stars a term.

    Notes
    -----
    Beyond H25, where every epoch's transformation stands on its reference stars alone (0.2-0.5 mas an epoch).
    A correction is the polynomial, of the ties' degree, through the residuals; those are free of anything
    linear in time, so the frame's position and motion stay those of the reference stars.
    """
    has_group = group is not None and 1 < np.unique(group).size < len(epochs)
    models = ("poly", "group") if has_group else ("poly",)
    n_terms = ties[0].response.shape[1]
    # A line (and an offset) takes part of a displacement with it: step over by that share.
    gain = len(epochs) / max(len(epochs) - (3 if has_group else 2), 1)
    ties = list(ties)
    for _ in range(n_iterations):
        position, error = measured(links, ties, len(epochs))
        fits = fit_motions(
            epochs, position[0], position[1], error[0], error[1],
            models=models, group=group, use=links.usable, outlier_sigma=outlier_sigma, executor=executor,
        )  # fmt: skip
        variance = np.zeros((len(fits.model), 2, len(epochs), len(epochs)))
        diagonal = np.arange(len(epochs))
        variance[:, :, diagonal, diagonal] = np.moveaxis(np.nan_to_num(error), 0, 1) ** 2
        shift = group_shifts(fits, position, variance, np.asarray(group), epochs) if has_group else 0.0
        k = fits.degree + 1
        dt = epochs[None, :] - fits.t0[:, None]
        at, rate = (fits.coefficients[:, [i, k + i]].T[:, :, None] for i in (0, 1))
        line = at + rate * dt
        residual = position - line - shift
        good = fits.used & (fits.used.sum(1) >= 5)[:, None]
        largest = 0.0
        for e, tie in enumerate(ties):
            rows = np.flatnonzero(good[:, e])
            if rows.size < 10 * n_terms:
                log.info(
                    "epoch %.3f has %d stars to hold it: transformations not refined", epochs[e], rows.size
                )
                return ties, False
            design = tie.design(links.x[rows, e], links.y[rows, e])
            coefficients = tie.coefficients.copy()
            for axis in (0, 1):
                r, s = residual[axis, rows, e], error[axis, rows, e]
                keep = np.abs(r / s - np.median(r / s)) < 4 * robust_sigma(r / s)
                w = 1 / s[keep]
                c = np.linalg.lstsq(design[keep] * w[:, None], r[keep] * w, rcond=None)[0]
                coefficients[axis] -= gain * c
                largest = max(largest, np.median(np.abs(design @ c)) / np.median(s))
            ties[e] = replace(tie, coefficients=coefficients)
        if largest < 0.01:
            break
    return ties, True


def add_frame_errors(fits, covariance, operator, epoch):
    """Add the frame's error at each star to the covariance of its position and motion.

    Parameters
    ----------
    fits : `~jwst_hpastrom.motion.models.MotionFits`

    covariance : ndarray, shape (n, 2, n_epochs, n_epochs)
        Of the transformations at the stars, mas².

    operator : ndarray, shape (2, 2, n_epochs)
        Per axis, from displacements of the epochs to position at ``epoch`` and motion.

    epoch : float

    Returns
    -------
    `~jwst_hpastrom.motion.models.MotionFits`
    """
    out, k = fits.covariance.copy(), fits.degree + 1
    shift = np.zeros((fits.t0.size, 2, 2))
    shift[:, 0, 0] = shift[:, 1, 1] = 1.0
    shift[:, 0, 1] = fits.t0 - epoch
    for axis in (0, 1):
        frame = np.einsum(
            "ie,nef,jf->nij", operator[axis], covariance[:, axis], operator[axis], optimize=True
        )
        rows = slice(k * axis, k * axis + 2)
        out[:, rows, rows] += shift @ frame @ np.swapaxes(shift, 1, 2)
    return replace(fits, covariance=out)
