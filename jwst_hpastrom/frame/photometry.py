"""Photometric zero points of the exposures, and mean magnitudes."""

import numpy as np

from jwst_hpastrom.geometry import clipped_median, group_means

__all__ = ["mean_magnitudes", "zero_points"]


def mean_magnitudes(star, mag, mag_var, n_stars, *, sigma=3.0):
    """Clipped mean magnitude of each star.

    Returns
    -------
    `~jwst_hpastrom.geometry.GroupMean`
    """
    var = np.where(np.isfinite(mag_var) & (mag_var > 0), mag_var, np.nan)
    typical = np.nanmedian(var) if np.isfinite(var).any() else 1e-4
    # A floor of 1 mmag keeps one exposure from outweighing all others at the bright end.
    return group_means(
        star, mag, 1.0 / (np.where(np.isfinite(var), var, typical) + 1e-6), n_stars, sigma=sigma
    )


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
        mean = mean_magnitudes(star[use], m.mag[use] + zero[m.exposure[use]], m.mag_var[use], n_stars).mean
        for k in range(m.n_exposures):
            s = np.flatnonzero(use & (m.exposure == k))
            if s.size:
                step, error[k], _ = clipped_median(mean[star[s]] - m.mag[s] - zero[k])
                zero[k] += step if np.isfinite(step) else 0.0
        zero -= zero[central]
    return zero, error
