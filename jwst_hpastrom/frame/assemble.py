"""Averages -> the columns of the master frame."""

import logging
from typing import NamedTuple

import numpy as np
from astropy.table import Table

from jwst_hpastrom.columns import AVERAGED, MASTER, Flag, make_table
from jwst_hpastrom.frame.errors import combine_errors, empirical_errors
from jwst_hpastrom.frame.photometry import mean_magnitudes
from jwst_hpastrom.geometry import TangentPlane
from jwst_hpastrom.numerics.groups import quadratic_sums

__all__ = ["Asked", "Zeros", "master_table", "measurement_table", "warn_of_limits", "with_tie_errors"]

log = logging.getLogger("stpipe.hpastrom.frame")


def _mean_over(star, values, use, n):
    ok = use & np.isfinite(values)
    count = np.bincount(star[ok], minlength=n)
    with np.errstate(invalid="ignore"):
        return np.bincount(star[ok], weights=values[ok], minlength=n) / np.where(count, count, np.nan)


def _common_flags(star, flags, use, n):
    """Bits that at least half of a star's used measurements carry."""
    count = np.bincount(star[use], minlength=n)
    out = np.zeros(n, np.int64)
    for bit in (int(f) for f in Flag):
        with_bit = use & (flags & bit != 0)
        if with_bit.any():
            has = np.bincount(star[with_bit], minlength=n)
            out[(has > 0) & (2 * has >= count)] |= bit
    return out


class Zeros(NamedTuple):
    """Zero points of the exposures, and their covariance, which is part of the magnitudes' errors."""

    points: np.ndarray
    covariance: np.ndarray


class Asked(NamedTuple):
    """The frame's plane, exposures that a star needed, and those that were asked for."""

    plane: TangentPlane
    n_min: int
    min_exposures: int


def _magnitudes(m, star, use, n, zeroed, zero_covariance):
    """Mean magnitudes at the zero points, and their errors, those of the zero points included."""
    mags = mean_magnitudes(np.where(use, star, -1), zeroed, m.mag_var, n, exposure=m.exposure)
    scatter = np.where(mags.n_used > 1, mags.rms / np.sqrt(np.maximum(mags.n_used, 1)), np.nan)
    weight = np.nan_to_num(1.0 / m.mag_var[use], nan=1.0, posinf=1.0)
    total = np.maximum(np.bincount(star[use], weight, n), 1e-300)
    common = quadratic_sums(star[use], m.exposure[use], weight, n, zero_covariance)
    common = np.sqrt(np.maximum(common, 0.0)) / total
    return mags, combine_errors(scatter, mags.formal, mags.n_used, mags.mean, common)


def _flags(m, star, averages, asked, in_transform):
    """Flags of the stars by their measurements, their number, and their part in the transformations."""
    n = averages.n_used.size
    flags = _common_flags(star, m.flags, averages.used, n)
    flags[averages.n_used < averages.n_found] |= int(Flag.CLIPPED)
    if asked.n_min < asked.min_exposures:
        flags[averages.n_found < asked.min_exposures] |= int(Flag.FEW_EXPOSURES)
    flags[np.bincount(star[(star >= 0) & in_transform], minlength=n) > 0] |= int(Flag.REFERENCE)
    return flags


def _position_errors(averages, mag, systematic, flags):
    """Empirical, whole and systematic errors (2, n); stars whose error is a limit are flagged in place."""
    root = np.sqrt(averages.n_used)[:, None]
    with np.errstate(invalid="ignore", divide="ignore"):
        empirical = (averages.rms / root).T
    common = systematic(*averages.mean.T, mag, flags)
    error = [
        combine_errors(
            empirical[k], averages.expected[:, k], averages.n_used, mag, common[k],
            absorbed=systematic.stated,
        )
        for k in (0, 1)
    ]  # fmt: skip
    # the limit is more than half of the error's square, or may be larger than all of it, or is not known
    limited = systematic.unknown | (systematic.limit & (2 * common**2 > np.square(error)))
    limited |= systematic.unseen > np.square(error)
    flags[limited.any(0)] |= int(Flag.SYSTEMATIC_LIMIT)
    empirical = empirical_errors(averages.rms.T, averages.n_used)
    return empirical, error, np.where(systematic.unknown, np.nan, common)


def master_table(m, star, averages, zeros, asked, in_transform, systematic, meta):
    """Fill the master table.

    Parameters
    ----------
    m : `~jwst_hpastrom.frame.measurements.Measurements`

    star : ndarray of int
        Row of each detection, negative for none.

    averages
        Means, RMS, formal errors (n, 2), counts, and the measurements used.

    zeros : `Zeros`

    asked : `Asked`

    in_transform : ndarray of bool
        Detections that defined transformations.

    systematic : `~jwst_hpastrom.frame.systematics.SharedErrors`
        (x, y, mag, flags) of the stars -> systematic errors (2, n), master pixels; where they are unknown the
        columns have NaN.

    meta : dict
        Metadata of the table.

    Returns
    -------
    table : `~astropy.table.Table`
        Sorted by magnitude; ``star`` is renumbered in place to its rows.

    residuals : tuple of ndarray
        u and v of each detection minus its star's mean, NaN for none.

    dmag : ndarray
        The same of the magnitudes.
    """
    n = averages.n_used.size
    use = averages.used
    mine = star >= 0
    zeroed = m.mag + zeros.points[m.exposure]
    mags, mag_err = _magnitudes(m, star, use, n, zeroed, zeros.covariance)
    flags = _flags(m, star, averages, asked, in_transform)
    empirical, error, common = _position_errors(averages, mags.mean, systematic, flags)
    u, v = averages.mean.T
    xi, eta = asked.plane.from_pixels(u, v)
    ra, dec = asked.plane.to_sky(xi, eta)
    order = np.argsort(mags.mean, kind="stable")
    data = {
        "x": u, "y": v, "xi": xi, "eta": eta, "ra": ra, "dec": dec,
        "x_rms": averages.rms[:, 0], "y_rms": averages.rms[:, 1], "x_err": error[0], "y_err": error[1],
        "x_err_empirical": empirical[0], "y_err_empirical": empirical[1],
        "x_err_formal": averages.formal[:, 0], "y_err_formal": averages.formal[:, 1],
        "x_err_systematic": common[0], "y_err_systematic": common[1],
        "mag": mags.mean, "mag_rms": mags.rms, "mag_err": mag_err,
        **{name: _mean_over(star, m.averaged[:, k], use, n) for k, name in enumerate(AVERAGED)},
        "n_found": averages.n_found, "n_used": averages.n_used, "flags": flags,
    }  # fmt: skip
    data = {name: np.asarray(values)[order] for name, values in data.items()}
    table = make_table(MASTER, {"id": np.arange(n), **data}, meta)
    rank = np.empty(n, int)
    rank[order] = np.arange(n)
    g = np.where(mine, star, 0)
    residuals = (np.where(mine, m.u - u[g], np.nan), np.where(mine, m.v - v[g], np.nan))
    dmag = np.where(mine, zeroed - mags.mean[g], np.nan)
    star[mine] = rank[star[mine]]
    return table, residuals, dmag


def warn_of_limits(table):
    """Warn where errors are mostly limits, and say what is without them."""
    limited = np.asarray(table["flags"]) & int(Flag.SYSTEMATIC_LIMIT) != 0
    limited &= np.isfinite(np.asarray(table["x_err_systematic"], float))  # of unknown ones was warned
    if limited.any():
        log.warning(
            "x_err of %d of %d stars is mostly a limit (flag SYSTEMATIC_LIMIT), of a pattern of the detector "
            "that few stars cannot tell from noise, or that dithers do not show and no catalog or given "
            "distortion tells; x_err_formal is without it",
            limited.sum(), len(table),
        )  # fmt: skip


def with_tie_errors(table, errors):
    """Return the table with the errors of the transformation to the catalog, star by star."""
    errors = dict(zip(("x_err_tie", "y_err_tie"), errors, strict=True))
    return make_table(MASTER, {**{c: table[c] for c in table.colnames}, **errors}, table.meta)


def measurement_table(m, star, averages, residuals, dmag, store):
    """Return the table of all detections of the frame's stars."""
    mine = star >= 0
    columns = {
        "star": star, "exposure": m.exposure, "row": m.row, "x": m.x, "y": m.y,
        "dx": residuals[0], "dy": residuals[1], "dmag": dmag, "used": averages.used,
    }  # fmt: skip
    return Table({name: store.copy(column[mine]) for name, column in columns.items()}, copy=False)
