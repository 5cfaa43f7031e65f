"""What a star list shows by itself, and its bright stars among the others'."""

import numpy as np

from jwst_hpastrom.columns import values
from jwst_hpastrom.numerics import robust_sigma

__all__ = ["bright_residuals", "error_ranges", "twice_shares"]

#: fewest stars; magnitudes that they must span for errors to differ; share that is bright
LEAST, SPAN, BRIGHT = 30, 1.5, 0.3


def twice_shares(star_lists):
    """Share of each list's rows at the very pixels of another row of it.

    Parameters
    ----------
    star_lists : sequence of `~astropy.table.Table`

    Returns
    -------
    list of float
    """
    out = []
    for stars in star_lists:
        place = np.stack([values(stars, c) for c in "xy"])
        place = place[:, np.isfinite(place).all(0)]
        out.append(1 - np.unique(place, axis=1).shape[1] / place.shape[1] if place.shape[1] else np.nan)
    return out


def error_ranges(star_lists):
    """Ratio of large to small stated errors of each list (90 to 10 percent), where its stars' light differs.

    Parameters
    ----------
    star_lists : sequence of `~astropy.table.Table`

    Returns
    -------
    list of float
        NaN for lists without errors, with few stars, or with stars of like magnitudes.
    """
    out = []
    for stars in star_lists:
        named = {"x_err", "y_err", "mag"} <= set(stars.colnames)
        error, mag = (values(stars, c) if named else np.array([np.nan]) for c in ("x_err", "mag"))
        ok = np.isfinite(error + mag) & (error > 0)
        if ok.sum() < LEAST or np.ptp(np.quantile(mag[ok], [0.1, 0.9])) < SPAN:
            out.append(np.nan)
            continue
        low, high = np.quantile(error[ok], [0.1, 0.9])
        out.append(float(high / low))
    return out


def bright_residuals(frame, n):
    """Scatter of the bright stars' residuals of each exposure, rejected ones too, pixels of the frame.

    Parameters
    ----------
    frame : `~jwst_hpastrom.frame.MasterFrame`

    n : int
        Number of exposures.

    Returns
    -------
    ndarray, shape (n,)
        NaN for exposures with fewer than 30 bright stars in the frame.
    """
    m, mag = frame.measurements, values(frame.table, "mag")
    if not np.isfinite(mag).any():
        return np.full(n, np.nan)
    bright = (mag <= np.nanquantile(mag, BRIGHT)) & (values(frame.table, "n_used") >= 3)
    star, exposure = np.asarray(m["star"]), np.asarray(m["exposure"])
    d, out = np.stack([values(m, c) for c in ("dx", "dy")]), np.full(n, np.nan)
    for k in range(n):
        mine = (exposure == k) & bright[star] & np.isfinite(d).all(0)
        if mine.sum() >= LEAST:
            out[k] = np.hypot(*(robust_sigma(c) for c in d[:, mine])) / np.sqrt(2)
    return out
