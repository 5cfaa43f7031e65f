"""Errors of two-epoch motions from the scatter of the exposures' positions, whatever is stated."""

import numpy as np

from jwst_hpastrom.columns import values
from jwst_hpastrom.frame.errors import scatter_of_one
from jwst_hpastrom.instrument import pixel_mas
from jwst_hpastrom.numerics import median_chi2

__all__ = ["scatter_errors", "structure_error"]

#: stars of like magnitude whose scatter is one
BIN = 60


def structure_error(motions, master):
    """Error of motions by the structure that a distortion leaves which nothing but few references tell of.

    Parameters
    ----------
    motions, master : `~astropy.table.Table`

    Returns
    -------
    float
        mas/yr; 0 where nothing limited the distortion.
    """
    years = abs(float(motions.meta.get("baseline", np.nan)))
    if master is None or not master.meta.get("distortion_limited_by") or not years > 0:
        return 0.0
    error = float(master.meta.get("correction_error_pix") or 0.0) * pixel_mas(master.meta) / years
    return error if np.isfinite(error) else 0.0


def scatter_errors(motions, first_epoch, master=None):
    """Errors of motions from the catalog's stated position errors and the frame's scatter.

    Parameters
    ----------
    motions : `~astropy.table.Table`
        With ``first_epoch_row`` and ``master_row``.

    first_epoch, master : `~astropy.table.Table`
        Catalog and master frame that they are of.

    Returns
    -------
    ndarray, shape (2, n)
        mas/yr; NaN for stars of fewer than three exposures, or without errors in the catalog.
    """
    none = np.full((2, len(motions)), np.nan)
    years = abs(float(motions.meta.get("baseline", np.nan)))
    if master is None or not {"n_used", "mag"} <= set(master.colnames) or not years > 0:
        return none
    if not {"ra_error", "dec_error"} <= set(first_epoch.colnames):
        return none
    row, of = (np.asarray(motions[c], int) for c in ("first_epoch_row", "master_row"))
    catalog = np.stack([values(first_epoch, f"{c}_error")[row] for c in ("ra", "dec")])
    n, mag = values(master, "n_used")[of], values(master, "mag")[of]
    empirical = np.stack([scatter_of_one(master, c)[of] for c in "xy"])
    seen = np.flatnonzero((n >= 3) & np.isfinite(empirical).all(0) & np.isfinite(mag))
    if not seen.size:
        return none
    single = empirical / median_chi2(np.maximum(n - 1, 1))
    out = none.copy()
    for rows in np.array_split(seen[np.argsort(mag[seen])], max(1, seen.size // BIN)):
        out[:, rows] = np.sqrt(np.median(single[:, rows], axis=1)[:, None] / n[rows])
    scale = float(master.meta.get("scale_mas", np.nan))
    return np.hypot(out * scale, catalog) / years
