"""Intrinsic mean and dispersion by maximum likelihood."""

from dataclasses import dataclass

import numpy as np
from scipy.optimize import brentq

from jwst_hpastrom.errors import NotEnoughStarsError

__all__ = ["Dispersion", "fit_dispersion", "fit_isotropic"]


@dataclass(frozen=True)
class Dispersion:
    """Mean and intrinsic dispersion, in the units of the motions.

    Attributes
    ----------
    mean, mean_error : float or ndarray
        Mean motion (of each axis).

    sigma, sigma_error : float
        Dispersion freed of the errors, and its standard error from the likelihood's curvature; the latter
        is NaN where ``sigma`` is zero.

    upper : float
        Upper limit of the dispersion (one-sided, of the confidence asked for) from the profile likelihood.

    n : int
        Stars.
    """

    mean: float
    mean_error: float
    sigma: float
    sigma_error: float
    upper: float
    n: int


def _mean(v, var):
    w = 1.0 / var
    return np.sum(w * v, axis=-1) / w.sum(axis=-1)


def _log_likelihood(s, v, e2):
    """Profile log likelihood of the variance s; rows of v are axes."""
    var = s + e2
    m = _mean(v, var)[..., None]
    return -0.5 * float(np.sum((v - m) ** 2 / var + np.log(var)))


def _slope(s, v, e2):
    var = s + e2
    m = _mean(v, var)[..., None]
    return 0.5 * float(np.sum((v - m) ** 2 / var**2 - 1.0 / var))


def _fit(v, e, confidence, min_stars, clip):
    """Fit, leaving out stars that are off by ``clip`` of their own total widths, until none is."""
    v, e = np.atleast_2d(np.asarray(v, float)), np.atleast_2d(np.asarray(e, float))
    ok = np.all(np.isfinite(v) & np.isfinite(e) & (e >= 0), axis=0)
    for _ in range(50):
        result = _fit_all(v[:, ok], e[:, ok], confidence, min_stars)
        if clip is None:
            break
        width = np.sqrt(result[2] ** 2 + e**2)
        with np.errstate(invalid="ignore", divide="ignore"):
            new = ok & np.all(np.abs(v - result[0][:, None]) <= clip * width, axis=0)
        if np.array_equal(new, ok):
            break
        ok = new
    return result


def _fit_all(v, e, confidence, min_stars):
    e2, n = e**2, v.shape[1]
    if n < min_stars:
        raise NotEnoughStarsError(f"{n} stars with motions and errors", f"{min_stars} for a dispersion")
    # Exact zeros in the errors would make the likelihood infinite at zero dispersion.
    spread = float(np.mean(np.var(v, axis=1)))
    e2 = np.maximum(e2, 1e-12 * max(spread, 1e-30))
    high = 4 * spread + 1e-300
    s = brentq(_slope, 0.0, high, args=(v, e2), xtol=1e-14 * high) if _slope(0.0, v, e2) > 0 else 0.0
    var = s + e2
    sigma = float(np.sqrt(s))
    mean, mean_error = _mean(v, var), np.sum(1.0 / var, axis=1) ** -0.5
    if s > 0:
        # Curvature in sigma of the profile likelihood, by a second difference in sigma.
        h = 1e-3 * sigma
        values = [_log_likelihood((sigma + k * h) ** 2, v, e2) for k in (-1, 0, 1)]
        curvature = -(values[0] - 2 * values[1] + values[2]) / h**2
        error = curvature**-0.5 if curvature > 0 else np.nan
    else:
        error = np.nan
    top = _log_likelihood(s, v, e2)
    drop = 0.5 * _one_sided(confidence) ** 2

    def below(x):
        return _log_likelihood(x, v, e2) - top + drop

    limit = 2 * s + np.median(e2)
    while below(limit) > 0:
        limit *= 2
    upper = float(np.sqrt(brentq(below, s, limit)))
    return mean, mean_error, sigma, float(error), upper, n


def _one_sided(confidence):
    from scipy.special import ndtri

    return ndtri(confidence)


def fit_dispersion(motion, error, *, confidence=0.95, min_stars=3, clip=4.0):
    """Mean and intrinsic dispersion of one axis: maximum of Π N(v; mean, σ² + e²).

    Parameters
    ----------
    motion, error : ndarray, shape (n,)
        Motions and their standard errors; NaN are left out.

    confidence : float
        Of the one-sided upper limit.

    min_stars : int
        Fewest stars.

    clip : float or None
        Stars further from the mean than this, in units of √(σ² + e²), are left out, and the fit is
        repeated: blends and wrong pairs have errors that no column tells. None: all stars.

    Returns
    -------
    `Dispersion`

    Notes
    -----
    What the errors do not contain (systematic errors of either epoch) is part of σ: where σ is not much
    larger than the errors it is an upper limit of the true dispersion.
    """
    mean, mean_error, *rest = _fit(motion, error, confidence, min_stars, clip)
    return Dispersion(float(mean[0]), float(mean_error[0]), *rest)


def fit_isotropic(pmra, pmdec, pmra_error, pmdec_error, *, confidence=0.95, min_stars=3, clip=4.0):
    """Mean motion and one dispersion common to both axes.

    Parameters
    ----------
    pmra, pmdec, pmra_error, pmdec_error : ndarray, shape (n,)

    confidence, min_stars, clip
        As `fit_dispersion`.

    Returns
    -------
    `Dispersion`
        ``mean`` and ``mean_error`` have two elements.
    """
    return Dispersion(
        *_fit(np.stack([pmra, pmdec]), np.stack([pmra_error, pmdec_error]), confidence, min_stars, clip)
    )
