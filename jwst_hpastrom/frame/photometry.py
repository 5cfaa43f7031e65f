"""Photometric zero points of the exposures, and mean magnitudes."""

import numpy as np

from jwst_hpastrom.geometry import GroupMean, clipped_median, group_means

__all__ = ["mean_magnitudes", "zero_points"]

PER_MAG = 2.5 / np.log(10)
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
    model = np.maximum(var + _slopes(exposure, flux, var) * (level - flux), 0.25 * var)
    # A floor of 1 mmag keeps one exposure from outweighing all others at the bright end.
    weight = 1.0 / (model + 1e-6 * (level / PER_MAG) ** 2)
    out = group_means(star, flux, weight, n_stars, sigma=sigma)
    with np.errstate(invalid="ignore", divide="ignore"):
        scale = PER_MAG / out.mean
        mean = -2.5 * np.log10(out.mean)
    return GroupMean(mean, out.rms * scale, out.formal * scale, out.n_found, out.n_used)


def _slopes(exposure, flux, var):
    """Variance per flux of each measurement's exposure, from its stars of moderate S/N."""
    with np.errstate(invalid="ignore", divide="ignore"):
        snr = flux / np.sqrt(var)
    moderate = (snr > MODERATE[0]) & (snr < MODERATE[1])
    slopes = np.zeros(flux.size)
    for k in np.unique(exposure):
        mine = exposure == k
        rows = np.flatnonzero(mine & moderate)
        if rows.size >= 20:
            low, high = np.array_split(rows[np.argsort(flux[rows], kind="stable")], 2)
            rise = np.median(var[high]) - np.median(var[low])
            slopes[mine] = max(rise / (np.median(flux[high]) - np.median(flux[low])), 0.0)
    return slopes


def zero_points(m, star, n_stars, central, *, iterations=3):
    """Find what to add to each exposure's magnitudes to bring them to those of the central exposure.

    Parameters
    ----------
    m : `~jwst_hpastrom.frame.measurements.Measurements`

    star : ndarray of int
        Star of each detection; negative for none.

    n_stars : int

    central : int
        Exposure that keeps its magnitudes.

    iterations : int
        Of averaging and comparing.

    Returns
    -------
    zero, error : ndarray, shape (n_exposures,)
        Magnitudes to add, and the standard errors of the comparison.
    """
    zero, error = np.zeros(m.n_exposures), np.full(m.n_exposures, np.nan)
    count = np.bincount(star[star >= 0], minlength=n_stars)
    use = (star >= 0) & (count[star] > 1) & m.reference
    if not use.any():
        use = star >= 0
    error_of = np.sqrt(np.where(np.isfinite(m.mag_var), m.mag_var, 0.0))
    if use.sum() > 50 * m.n_exposures:  # the better half is more than enough
        use &= error_of <= np.median(error_of[use])
    for _ in range(iterations):
        mags = m.mag[use] + zero[m.exposure[use]]
        mean = mean_magnitudes(star[use], mags, m.mag_var[use], n_stars, exposure=m.exposure[use]).mean
        for k in range(m.n_exposures):
            s = np.flatnonzero(use & (m.exposure == k))
            if s.size:
                step, error[k], _ = clipped_median(mean[star[s]] - m.mag[s] - zero[k])
                zero[k] += step if np.isfinite(step) else 0.0
        zero -= zero[central]
    return zero, error
