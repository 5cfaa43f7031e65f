"""Averages -> the columns of the master frame."""

from typing import NamedTuple

import numpy as np

from jwst_hpastrom.columns import AVERAGED, MASTER, Flag, make_table
from jwst_hpastrom.frame.errors import combine_errors
from jwst_hpastrom.frame.photometry import mean_magnitudes
from jwst_hpastrom.geometry import TangentPlane
from jwst_hpastrom.numerics.groups import quadratic_sums

__all__ = ["master_table"]


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
    zero, zero_covariance = zeros
    plane, n_min, min_exposures = asked
    zeroed = m.mag + zero[m.exposure]
    mags = mean_magnitudes(np.where(use, star, -1), zeroed, m.mag_var, n, exposure=m.exposure)
    scatter = np.where(mags.n_used > 1, mags.rms / np.sqrt(np.maximum(mags.n_used, 1)), np.nan)
    weight = np.nan_to_num(1.0 / m.mag_var[use], nan=1.0, posinf=1.0)
    total = np.maximum(np.bincount(star[use], weight, n), 1e-300)
    common = quadratic_sums(star[use], m.exposure[use], weight, n, zero_covariance)
    common = np.sqrt(np.maximum(common, 0.0)) / total
    mag_err = combine_errors(scatter, mags.formal, mags.n_used, mags.mean, common)
    root = np.sqrt(averages.n_used)[:, None]
    with np.errstate(invalid="ignore", divide="ignore"):
        empirical = (averages.rms / root).T
    mine = star >= 0
    flags = _common_flags(star, m.flags, use, n)
    flags[averages.n_used < averages.n_found] |= int(Flag.CLIPPED)
    if n_min < min_exposures:
        flags[averages.n_found < min_exposures] |= int(Flag.FEW_EXPOSURES)
    flags[np.bincount(star[mine & in_transform], minlength=n) > 0] |= int(Flag.REFERENCE)
    u, v = averages.mean.T
    common = systematic(u, v, mags.mean, flags)
    error = [
        combine_errors(
            empirical[k],
            averages.expected[:, k],
            averages.n_used,
            mags.mean,
            common[k],
            absorbed=systematic.stated,
        )
        for k in (0, 1)
    ]
    # the limit is more than half of the error's square
    limited = (systematic.limit & (2 * common**2 > np.square(error))).any(0)
    flags[limited] |= int(Flag.SYSTEMATIC_LIMIT)
    common = np.where(systematic.unknown, np.nan, common)
    xi, eta = plane.from_pixels(u, v)
    ra, dec = plane.to_sky(xi, eta)
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
