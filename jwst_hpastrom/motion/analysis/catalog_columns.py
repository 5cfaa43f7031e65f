"""What a catalog's columns tell by themselves: stars that are there twice, units, columns of other stars."""

import numpy as np
from scipy.spatial import cKDTree
from scipy.stats import spearmanr

from jwst_hpastrom.columns import values

__all__ = ["catalog_columns"]

AXES = ("pmra", "pmdec")
ERRORS = {
    "position_error_mas": ("ra_error", "dec_error"),
    "motion_error_mas_yr": ("pmra_error", "pmdec_error"),
}
#: fewest stars to say what they have in common
LEAST = 30
#: magnitudes and errors within which two rows at one place are one star, measured twice
SAME_MAG, SAME_SIGMA = 0.5, 3.0
#: mas: no two stars that a catalog tells apart are so near, whatever their errors
NEAREST = 30.0
MAS = 3.6e6  # in a degree
#: steps within which neighboring numbers must be multiples of one, to be rounded to it; and fewest of them
REACH, MULTIPLES = 20, 10


def catalog_columns(motions, catalog, row):
    """Return what the columns of a first-epoch catalog tell.

    Parameters
    ----------
    motions : `~astropy.table.Table`
        Measured with it.

    catalog : `~astropy.table.Table`

    row : ndarray of int, shape (n,)
        The catalog's row of each motion.

    Returns
    -------
    dict
        cos_dec, at the middle of the field; alike, the share of stars whose catalog motion is the commonest;
        mag_correlation, of the ranks of both magnitudes, and n_mag; twice, the share of catalog rows that are
        another row's star; position_error_mas, motion_error_mas_yr, the medians of the stated errors, and
        position_errors_ratio, motion_errors_ratio, those along right ascension over those along declination;
        with_errors, the share of rows that state errors of their positions, and with_motions, that of rows
        that have motions, where there are columns of them; position_rounding, motion_rounding, the errors
        that rounded numbers make over the stated ones.
    """
    out = {"cos_dec": float(np.cos(np.deg2rad(np.median(values(motions, "dec")))))} if len(motions) else {}
    theirs = _column(catalog, "mag", np.nan)[row]
    out |= _magnitudes(values(motions, "mag"), theirs)
    if set(AXES) <= set(catalog.colnames):
        motion = np.stack([values(catalog, c) for c in AXES])
        known = np.isfinite(motion).all(0)
        out["with_motions"] = float(known.mean())
        if known[row].sum() >= LEAST:
            _, count = np.unique(motion[:, row][:, known[row]], axis=1, return_counts=True)
            out["alike"] = float(count.max() / count.sum())
    for name, columns in ERRORS.items():
        error = np.hypot(*(_column(catalog, c, np.nan) for c in columns)) / np.sqrt(2)
        if np.isfinite(error).any():
            out[name] = float(np.nanmedian(error))
            ra, dec = (float(np.nanmedian(_column(catalog, c, np.nan))) for c in columns)
            out[f"{name.split('_')[0]}_errors_ratio"] = ra / dec if dec > 0 else np.nan
        if name.startswith("position") and set(columns) & set(catalog.colnames):
            out["with_errors"] = float(np.isfinite(error).mean())
    out |= _roundings(catalog, out)
    return out | _twice(catalog)


def _magnitudes(ours, theirs):
    ok = np.isfinite(ours + theirs)
    if ok.sum() < LEAST or np.ptp(ours[ok]) == 0 or np.ptp(theirs[ok]) == 0:
        return {}
    return {"mag_correlation": float(spearmanr(ours[ok], theirs[ok]).statistic), "n_mag": int(ok.sum())}


def _roundings(catalog, known):
    """Errors of numbers with too few digits, over those that are stated."""
    out = {}
    for name, columns, unit in (("position", ("ra", "dec"), MAS), ("motion", AXES, 1.0)):
        stated = known.get("position_error_mas" if name == "position" else "motion_error_mas_yr", np.nan)
        sizes = [unit * _step(_column(catalog, c, np.nan)) for c in columns]
        if name == "position":
            sizes[0] *= known.get("cos_dec", 1.0)
        if stated > 0 and np.isfinite(sizes).all():
            out[f"{name}_rounding"] = float(max(sizes) / np.sqrt(12) / stated)
    return out


def _step(numbers):
    """Step that neighboring numbers are multiples of; 0 where there is none, NaN where too few tell."""
    known = numbers[np.isfinite(numbers)]
    gaps = np.diff(np.unique(known))
    if known.size < LEAST or not gaps.size:
        return np.nan
    step = gaps.min()
    near = gaps[gaps < REACH * step] / step
    told = near.size >= MULTIPLES or gaps.size < known.size / MULTIPLES
    return float(step) if told and np.ptp(near - np.round(near)) < 0.05 else 0.0


def _twice(catalog):
    """Rows at the place of an earlier one: the same numbers, or a second measurement of one star."""
    if not {"ra", "dec"} <= set(catalog.colnames):
        return {}
    ra, dec = (values(catalog, c) for c in ("ra", "dec"))
    ok = np.isfinite(ra + dec)
    if not ok.any():
        return {}
    x = (ra[ok] - ra[ok][0] + 180) % 360 - 180
    x = x * np.cos(np.deg2rad(np.median(dec[ok]))) * MAS
    y = (dec[ok] - np.median(dec[ok])) * MAS
    error = _column(catalog, "ra_error", 0.0)[ok], _column(catalog, "dec_error", 0.0)[ok]
    mag = _column(catalog, "mag", np.nan)[ok]
    i, j = cKDTree(np.stack([x, y], 1)).query_pairs(NEAREST, output_type="ndarray").reshape(-1, 2).T
    reach = [SAME_SIGMA * np.hypot(e[i], e[j]) for e in error]
    near = (np.abs(x[i] - x[j]) <= reach[0]) & (np.abs(y[i] - y[j]) <= reach[1])
    same = (x[i] == x[j]) & (y[i] == y[j])
    one = same | (near & ~(np.abs(mag[i] - mag[j]) > SAME_MAG))
    return {"twice": float(np.unique(j[one]).size / ok.sum())}


def _column(catalog, name, default):
    if name not in catalog.colnames:
        return np.full(len(catalog), default)
    return np.where(np.isfinite(v := values(catalog, name)), v, default)
