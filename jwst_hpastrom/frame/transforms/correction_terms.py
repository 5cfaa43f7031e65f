"""What a detector's place has of the error of its distortion correction."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from jwst_hpastrom.frame.measurements import Measurements
from jwst_hpastrom.frame.transforms.mosaic import MosaicFit

__all__ = ["border_variances", "correction_terms", "with_corrections"]

#: stars that count, the heaviest ones: the sum over their pairs is exact
MOST = 2000
#: pixels within which errors of a correction are taken to be one, where dithers are reckoned with
CELL = 64
#: part of a detector that a border is at most; over more of it the errors of corrections average
BORDER = 0.1


def correction_terms(
    correction: Any, x: np.ndarray, y: np.ndarray, terms: np.ndarray, weights: np.ndarray, turn: np.ndarray
) -> np.ndarray:
    """Covariance of an exposure's offset and slopes by the error of its correction.

    Over the whole detector that error has no offset and slope; where few stars carry most of the weight it
    has, and it is the same in all dithers, so that their scatter does not show it.

    Parameters
    ----------
    correction : `~jwst_hpastrom.geometry.Mapping`
        Of raw pixels, or one on a window.

    x, y : ndarray, shape (n,)
        Raw positions of the stars that the transformation rests on.

    terms : ndarray, shape (n, 3)
        (1, p, q) there, see `~jwst_hpastrom.frame.transforms.mosaic.MosaicFit.terms`.

    weights : ndarray, shape (n,)

    turn : ndarray, shape (2, 2)
        Corrected pixels to master pixels.

    Returns
    -------
    ndarray, shape (6, 6)
        Of offset and slopes of u, then of v; zero where the correction states no errors.
    """
    model, x, y = _error_model(correction, x, y)
    out = np.zeros((6, 6))
    if model is None or len(x) < 3:
        return out
    heavy = np.argsort(-weights)[:MOST]
    design = terms[heavy] * weights[heavy, None]
    coefficients = np.linalg.pinv(terms[heavy].T @ design) @ design.T
    for axis, part in enumerate(model.covariance_of_sums(x[heavy], y[heavy], coefficients)):
        out += np.kron(np.outer(turn[:, axis], turn[:, axis]), part)
    return out


def _error_model(correction, x, y):
    """The correction's `ErrorModel`, None where it states no errors, and where positions lie in that."""
    full = getattr(correction, "full", correction)
    if full is not correction:
        x, y = correction.origin.forward(x, y)
    return getattr(full, "uncertainty", None), x, y


def with_corrections(
    fit: MosaicFit, m: Measurements, star: np.ndarray, corrections: Sequence, which: np.ndarray
) -> MosaicFit:
    """Return the solution with what the corrections' errors do to each detector's transformations.

    Parameters
    ----------
    fit : `~jwst_hpastrom.frame.transforms.mosaic.MosaicFit`
        Without a catalog dithers decide on scales and skews, and these see each star at other places of the
        detector: what that does goes into ``covariance``.

    m : `~jwst_hpastrom.frame.measurements.Measurements`

    star : ndarray of int
        Star of each detection; negative for none.

    corrections : sequence of `~jwst_hpastrom.geometry.Mapping` or None
        Of each exposure.

    which : ndarray of int, shape (n_exposures,)
        Detector of each exposure.
    """
    if fit.tie is None:
        return replace(fit, covariance=fit.covariance + _of_dithers(fit, m, star, corrections, which))
    detection, _, _, weights = fit.tie
    shared = fit.shared.copy()
    for d in np.unique(which):
        k = int(np.flatnonzero(which == d)[0])
        mine = which[m.exposure[detection]] == d
        s = detection[mine]
        shared[which == d] = correction_terms(
            corrections[k], m.raw_x[s], m.raw_y[s], fit.terms(k, m.x[s], m.y[s]),
            (weights[0] + weights[1])[mine], fit.transforms[k].matrix,
        )  # fmt: skip
    return replace(fit, shared=shared)


def _of_dithers(fit, m, star, corrections, which):
    """Covariance of all parameters of u and of v by the corrections' errors, as `MosaicFit.covariance`."""
    out, detector = np.zeros_like(fit.covariance), which[m.exposure[fit.rows]]
    for d in np.unique(which):
        k = int(np.flatnonzero(which == d)[0])
        mine = np.flatnonzero(detector == d)
        model, x, y = _error_model(corrections[k], m.raw_x[fit.rows[mine]], m.raw_y[fit.rows[mine]])
        if model is None or not mine.size:
            continue
        cells = np.stack([x // CELL, y // CELL]).astype(int)
        _, cell, number = np.unique(cells, axis=1, return_inverse=True, return_counts=True)
        group = np.full(fit.rows.size, -1)
        group[mine] = cell.ravel()
        x, y = (np.bincount(cell.ravel(), c) / number for c in (x, y))
        responses = fit.responses(m, star, group)
        for axis, turned in enumerate(fit.transforms[k].matrix.T):
            sums = zip(responses, turned, strict=True)
            out += [model.covariance_of_sums(x, y, h * part)[axis] for h, part in sums]
    return out


def border_variances(
    m: Measurements, star: np.ndarray, corrections: Sequence, which: np.ndarray
) -> np.ndarray:
    """Variances that make a border's stars together say what one place says with its correction's error.

    Stars in two detectors all lie along the border of each, where its correction errs in one way for all of
    them and in all dithers: however many they are, they tell the detectors' distance no better. Of detectors
    that share more than a border nothing is added.

    Parameters
    ----------
    m : `~jwst_hpastrom.frame.measurements.Measurements`

    star : ndarray of int, shape (n,)
        Star of each measurement; negative for none.

    corrections : sequence of `~jwst_hpastrom.geometry.Mapping`
        Of each exposure.

    which : ndarray of int, shape (n_exposures,)
        Detector of each exposure.

    Returns
    -------
    ndarray, shape (n,)
        To add to the variance of each measurement, along either axis; corrected pixels squared.
    """
    out, detector = np.zeros(star.size), which[m.exposure]
    n_stars, n_detectors = int(star.max(initial=-1)) + 1, int(which.max()) + 1
    of = star * n_detectors + detector
    seen = np.bincount(of[star >= 0], minlength=n_stars * n_detectors).reshape(n_stars, n_detectors)
    together = np.minimum(seen.T, 1) @ seen  # measurements by the second one of stars that the first one has
    together[together > BORDER * seen.sum(0)] = 0
    for k, c in enumerate(corrections):
        d, s = which[k], m.of(k)
        others = seen[star[s]] * (star[s] >= 0)[:, None] > 0
        others[:, d] = False
        number = np.max(others * together[:, d], axis=1, initial=0)
        rows = np.flatnonzero(number)
        error = np.nan_to_num(c.error(m.raw_x[s][rows], m.raw_y[s][rows]))
        out[s][rows] = number[rows] * np.mean(error**2, axis=0)
    return out
