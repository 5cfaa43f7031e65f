"""What is left of systematic errors in two-epoch motions, and how they compare with another catalog's."""

from itertools import pairwise
from typing import Any

import numpy as np
from astropy.table import Table

from jwst_hpastrom.columns import row_epochs
from jwst_hpastrom.columns import values as column
from jwst_hpastrom.errors import NoOverlapError
from jwst_hpastrom.geometry import TangentPlane, clipped_mean, match_nearest, robust_sigma, sky_middle

__all__ = ["compare_motions", "match_motions", "motion_systematics"]


def _bins(values, n):
    """Edges of n bins with equal numbers of stars."""
    return np.unique(np.quantile(values, np.linspace(0, 1, n + 1)))


def motion_systematics(
    table: Table, *, by: Any = ("mag", "x", "y", "color"), n_bins: int = 8, sigma: float = 3.0
) -> Table:
    """Mean relative motions in bins of magnitude, position and color.

    Parameters
    ----------
    table : `~astropy.table.Table`
        Motions; one population (the reference stars, say), so that its means should not vary.

    by : sequence of str
        Columns; those that the table lacks are left out.

    n_bins : int
        Bins of equal numbers of stars.

    sigma : float
        Clipping of the means.

    Returns
    -------
    `~astropy.table.Table`
        by, low, high, n, and for either axis the clipped mean less that of all stars, and its standard
        error, mas/yr.
    """
    columns = ("pmra_rel", "pmdec_rel") if "pmra_rel" in table.colnames else ("pmra", "pmdec")
    motions = [np.asarray(table[c], float) for c in columns]
    whole = [clipped_mean(m, sigma=sigma)[0] for m in motions]
    rows = []
    for name in by:
        if name not in table.colnames:
            continue
        values = np.asarray(table[name], float)
        ok = np.isfinite(values)
        if ok.sum() < 2 * n_bins:
            continue
        edges = _bins(values[ok], n_bins)
        for low, high in pairwise(edges):
            b = ok & (values >= low) & ((values < high) | (high == edges[-1]))
            row = {"by": name, "low": low, "high": high, "n": int(b.sum())}
            for axis, m, mean in zip(("pmra", "pmdec"), motions, whole, strict=True):
                here, error, _ = clipped_mean(m[b], sigma=sigma)
                row[axis], row[f"{axis}_error"] = here - mean, error
            rows.append(row)
    return Table(rows=rows) if rows else Table(names=("by", "n"), dtype=(str, int))


def _read(other):
    return {
        c: np.ma.filled(np.ma.asarray(other[c]).astype(float), np.nan) for c in other.colnames if c in _NEEDED
    }


def match_motions(table, other, *, radius_mas=100.0):
    """Find the stars of two catalogs of motions in each other, at the epoch of the first.

    Parameters
    ----------
    table : `~astropy.table.Table`
        ra, dec (deg); column ``ref_epoch`` or not.

    other : `~astropy.table.Table`
        ra, dec (deg), pmra, pmdec (mas/yr); metadata ``epoch``.

    radius_mas : float
        Matching radius.

    Returns
    -------
    i, j : ndarray of int
        Rows of either.
    """
    plane = TangentPlane(*sky_middle(column(table, "ra"), column(table, "dec")), 1.0)
    x, y = plane.to_pixels(*plane.from_sky(np.asarray(table["ra"], float), np.asarray(table["dec"], float)))
    values = _read(other)
    epoch = np.nanmedian(np.asarray(table["ref_epoch"], float)) if "ref_epoch" in table.colnames else np.nan
    dt = np.nan_to_num(epoch - row_epochs(other))
    xi, eta = plane.from_sky(values["ra"], values["dec"])
    u, v = plane.to_pixels(
        xi + np.nan_to_num(values["pmra"]) * dt / 1e3, eta + np.nan_to_num(values["pmdec"]) * dt / 1e3
    )
    return match_nearest(x, y, u, v, radius_mas)[:2]


def compare_motions(
    table: Table, other: Any, *, radius_mas: float = 100.0, edges: Any = None, min_stars: int = 5
) -> Table:
    """Compare motions with those of another catalog, Gaia's for example (L23 Fig. 21).

    Parameters
    ----------
    table : `~astropy.table.Table`
        Motions, metadata ``ref_epoch`` column or not: positions are compared at its own epoch.

    other : `~astropy.table.Table`
        ra, dec (deg), pmra, pmdec and their errors (mas/yr), mag; metadata ``epoch``. Its motions carry it
        to the epoch of ``table``.

    radius_mas : float
        Matching radius.

    edges : sequence of float, optional
        Edges of bins in the other catalog's magnitude; by default one bin a magnitude.

    min_stars : int
        Bins with fewer are left out.

    Returns
    -------
    `~astropy.table.Table`
        mag_low, mag_high, n, and for either axis the mean difference (table minus other) with its error,
        the scatter of both catalogs' motions, and the scatter of the difference in units of its errors.
        The last row is all stars.

    Raises
    ------
    NoOverlapError
        If fewer than ``min_stars`` are in common.
    """
    values = _read(other)
    i, j = match_motions(table, other, radius_mas=radius_mas)
    known = np.isfinite(values["pmra"][j] + values["pmdec"][j])
    i, j = i[known], j[known]
    if i.size < min_stars:
        raise NoOverlapError(
            f"{i.size} stars with motions in common", f"{min_stars}", "check the field and epochs"
        )
    mag = values.get("mag", np.full(len(other), np.nan))[j]
    if edges is None:
        finite = mag[np.isfinite(mag)]
        edges = np.arange(np.floor(finite.min()), np.ceil(finite.max()) + 1) if finite.size else []
    chosen = [(low, high, (mag >= low) & (mag < high)) for low, high in pairwise(edges)]
    rows = []
    for low, high, b in [*chosen, (np.nan, np.nan, np.ones(i.size, bool))]:
        if b.sum() < min_stars:
            continue
        row = {"mag_low": float(low), "mag_high": float(high), "n": int(b.sum())}
        for c in ("pmra", "pmdec"):
            ours, theirs = np.asarray(table[c], float)[i][b], values[c][j][b]
            e1 = np.asarray(table[f"{c}_error"], float)[i][b]
            e2 = values.get(f"{c}_error", np.zeros(len(other)))[j][b]
            error = np.hypot(e1, np.nan_to_num(e2))
            mean, mean_error, _ = clipped_mean(ours - theirs, 1.0 / error**2)
            row[f"{c}_difference"], row[f"{c}_difference_error"] = mean, mean_error
            row[f"{c}_scatter"], row[f"{c}_scatter_other"] = robust_sigma(ours), robust_sigma(theirs)
            row[f"{c}_pull"] = robust_sigma((ours - theirs) / error)
        rows.append(row)
    return Table(rows=rows)


_NEEDED = ("ra", "dec", "pmra", "pmdec", "pmra_error", "pmdec_error", "mag")
