"""Telling stars from cosmic rays, hot pixels and galaxies by the shape of their residuals."""

import numpy as np

from jwst_hpastrom.columns import Flag

__all__ = ["mark_shapes", "radxs_band"]

N_SIGMA = 3.0


def radxs_band(mag, radxs, radxs_err, *, per_bin=200):
    """Centre and standard deviation of RADXS for stars, as functions of magnitude.

    The centre is the running median; the deviation is the larger of a running 1.4826 MAD and the error that
    the pixels' noise gives.

    Parameters
    ----------
    mag, radxs, radxs_err : ndarray, shape (n,)
        Columns of a star list.

    per_bin : int
        Stars in a bin of the running median, at most.

    Returns
    -------
    centre, sigma : ndarray, shape (n,)
    """
    centre, extra = np.zeros(mag.size), np.zeros(mag.size)
    ok = np.isfinite(mag) & np.isfinite(radxs) & np.isfinite(radxs_err)
    if ok.sum() >= 20:
        rows = np.flatnonzero(ok)[np.argsort(mag[ok])]
        bins = np.array_split(rows, max(1, rows.size // per_bin))
        at = np.array([np.median(mag[b]) for b in bins])
        middle = np.array([np.median(radxs[b]) for b in bins])
        spread = [1.4826 * np.median(np.abs(radxs[b] - m)) for b, m in zip(bins, middle, strict=True)]
        centre, extra = np.interp(mag, at, middle), np.interp(mag, at, spread)
    return centre, np.fmax(extra, radxs_err)


def mark_shapes(table):
    """Set the flags EXTENDED and COSMIC_RAY of a star list, in place.

    A source is extended where its RADXS lies more than 3σ above the stars' (see `radxs_band`), sharper than a
    star where it lies as much below.

    Parameters
    ----------
    table : `~astropy.table.Table`
        Star list with ``radxs_err``.
    """
    mag, radxs, err = (np.asarray(table[c], float) for c in ("mag", "radxs", "radxs_err"))
    centre, sigma = radxs_band(mag, radxs, err)
    with np.errstate(invalid="ignore"):
        high, low = radxs - centre > N_SIGMA * sigma, radxs - centre < -N_SIGMA * sigma
    table["flags"][high] |= int(Flag.EXTENDED)
    table["flags"][low] |= int(Flag.COSMIC_RAY)
