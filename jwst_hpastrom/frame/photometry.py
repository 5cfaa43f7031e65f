"""Mean magnitudes."""

import logging

import numpy as np

from jwst_hpastrom.geometry import GroupMean, group_means
from jwst_hpastrom.numerics import rows_by_group

__all__ = ["mean_magnitudes"]

log = logging.getLogger("stpipe.hpastrom.frame")

PER_MAG = 2.5 / np.log(10)
#: mag: error of a measurement that its noise does not hold, where stars do not tell: flat fields are known to
#: no better than a few thousandths, and one deep exposure would outweigh all others
FLAT = 1e-3
#: flat fields' errors that are tried, in units of that, degrees of freedom it counts for, and factors of the
#: variances: those of star fits are right to a twentieth
FLATS, BELIEF = np.r_[0.0, np.geomspace(0.1, 100.0, 60)], 4.0
FACTORS, FACTOR_ERROR = np.exp(np.linspace(-0.15, 0.15, 7)), 0.05
#: stars that tell of it, the share that may be variable or wrong, and their scatter in the others'
ENOUGH, STRAY, STRAY_SCATTER = 1000, 0.05, 5.0
#: share of an error's square by a flat field's that none tells, and of the stars with it, without a word
RESTS, UNTOLD = 0.25, 0.1
MODERATE = (8.0, 60.0)  # S/N in which the variance is linear in the flux: flat-field errors do not count yet


def mean_magnitudes(star, mag, mag_var, n_stars, *, exposure=None, sigma=3.0):
    """Magnitude of each star's clipped mean flux.

    Means of magnitudes are too faint, and weights from each measurement's own error favor those that
    fluctuated: both bias faint stars by some (N/S)². So fluxes are averaged, and each variance is carried
    along its exposure's law (a level, and a slope with flux) to the flux that the star has on average.

    Parameters
    ----------
    star : ndarray of int, shape (n,)
        Star of each measurement; negative for none.

    mag, mag_var : ndarray, shape (n,)
        Magnitudes and their variances.

    n_stars : int

    exposure : ndarray of int, shape (n,), optional
        Exposure of each measurement; one where not given.

    sigma : float
        Clipping limit.

    Returns
    -------
    `~jwst_hpastrom.geometry.GroupMean`
        In magnitudes.
    """
    star = np.asarray(star, np.int64)
    exposure = np.zeros(star.size, np.int64) if exposure is None else exposure
    known = np.isfinite(mag_var) & (mag_var > 0)
    typical = np.nanmedian(mag_var[known]) if known.any() else 1e-4
    flux = 10 ** (-0.4 * np.asarray(mag, float))
    var = np.where(known, mag_var, typical) * (flux / PER_MAG) ** 2
    first = group_means(star, flux, 1.0 / var, n_stars, sigma=sigma, keep=(kept := np.zeros(star.size, bool)))
    number = np.maximum(first.n_used, 1)
    plain = np.bincount(star[kept], flux[kept], n_stars) / number
    level = np.where(star >= 0, plain[star], flux)
    # no more of a variance rises with the flux than there is of it
    slope = np.minimum(_slopes(exposure, flux, var), var / flux)
    model = np.maximum(var + slope * (level - flux), 0.25 * var)
    told = np.flatnonzero(kept & (number[star] > 1))  # no star: -1, which is not kept
    flat, unknown = _flat_variance(star[told], (flux / level)[told], (model / level**2)[told])
    weight = 1.0 / (model + flat * level**2)
    if unknown > flat:
        _tell_untold(flat, star[kept], weight[kept], level[kept], n_stars)
    out = group_means(star, flux, weight, n_stars, sigma=sigma)
    with np.errstate(invalid="ignore", divide="ignore"):
        scale = PER_MAG / out.mean
        mean = -2.5 * np.log10(out.mean)
    return GroupMean(mean, out.rms * scale, out.formal * scale, out.n_found, out.n_used)


def _flat_variance(star, value, variance):
    """Variance of relative fluxes beyond ``variance`` that the scatter of each star's shows, and its error.

    Before, its root is `FLAT` or a few times that (half-t, of that mean square).
    """
    star = np.unique(star, return_inverse=True)[1]
    n = int(star.max(initial=-1)) + 1
    some = star % -(-max(n, 1) // ENOUGH) == 0
    star, value, variance = np.unique(star[some], return_inverse=True)[1], value[some], variance[some]
    n, documented = int(star.max(initial=-1)) + 1, FLAT / PER_MAG
    dof = np.bincount(star, minlength=n) - 1.0
    log = np.empty((FACTORS.size, FLATS.size))
    for j, factor in enumerate(FACTORS):
        for k, flat in enumerate(FLATS):
            v = factor * variance + (flat * documented) ** 2
            total = np.bincount(star, 1 / v, n)
            mean = np.bincount(star, value / v, n) / total
            squares = np.bincount(star, (value - mean[star]) ** 2 / v, n)
            good = np.log(1 - STRAY) - 0.5 * squares
            stray = np.log(STRAY) - dof * np.log(STRAY_SCATTER) - 0.5 * squares / STRAY_SCATTER**2
            log[j, k] = np.logaddexp(good, stray).sum() - 0.5 * (np.log(v).sum() + np.log(total).sum())
        log[j] -= 0.5 * (np.log(factor) / FACTOR_ERROR) ** 2
    scale = BELIEF / (BELIEF - 2)  # mean square of Student's t
    prior = (1 + scale * FLATS**2 / BELIEF) ** (-0.5 * (BELIEF + 1)) * np.gradient(FLATS)
    weight = prior * np.exp(log - log.max()).sum(axis=0)
    expected, square = (float(weight @ (FLATS * documented) ** k / weight.sum()) for k in (2, 4))
    return expected, float(np.sqrt(max(square - expected**2, 0.0)))


def _tell_untold(flat, star, weight, level, n_stars):
    """Warn where errors of many stars rest on a flat field's, which the scatter does not tell."""
    total = np.bincount(star, weight, n_stars)
    share = np.bincount(star, weight**2 * flat * level**2, n_stars)[total > 0] / total[total > 0]
    number = int(np.sum(share > RESTS))
    if number > UNTOLD * share.size:
        log.warning(
            "mag_err of %d of %d stars rests on errors of the flat fields that the exposures do not tell: "
            "%.1f mmag are expected", number, share.size, 1e3 * PER_MAG * np.sqrt(flat),
        )  # fmt: skip


def _slopes(exposure, flux, var):
    """Variance per flux of each measurement's exposure, from its stars of moderate S/N."""
    with np.errstate(invalid="ignore", divide="ignore"):
        snr = flux / np.sqrt(var)
    moderate = (snr > MODERATE[0]) & (snr < MODERATE[1])
    slopes = np.zeros(flux.size)
    for mine in rows_by_group(exposure, int(exposure.max(initial=-1)) + 1):
        rows = mine[moderate[mine]]
        if rows.size >= 20:
            low, high = np.array_split(rows[np.argsort(flux[rows], kind="stable")], 2)
            rise = np.median(var[high]) - np.median(var[low])
            slopes[mine] = max(rise / (np.median(flux[high]) - np.median(flux[low])), 0.0)
    return slopes
