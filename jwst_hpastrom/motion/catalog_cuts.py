"""Which stars are good enough to be published or used as reference (H25 §4.1.1)."""

import numpy as np

from jwst_hpastrom.columns import Flag, values
from jwst_hpastrom.geometry import TangentPlane, match_nearest, sky_middle
from jwst_hpastrom.motion.frame_quality import common_epoch, frame_bias
from jwst_hpastrom.ranges import in_range

__all__ = ["apply_quality_cuts", "compare_catalogs"]


@in_range
def apply_quality_cuts(
    table,
    *,
    min_epochs=4,
    max_chi2_loo=5.0,
    min_position_error=0.01,
    max_position_error=10.0,
    min_motion_error=0.01,
    max_motion_error=2.0,
    max_motion=15.0,
    max_mag=20.5,
):
    """Flag stars that fail the catalog cuts as ``QUALITY_CUT``.

    Parameters
    ----------
    table : `~astropy.table.Table`
        Columns of `~jwst_hpastrom.columns.MOTION`; its ``flags`` are changed.

    min_epochs : int
        Fewest epochs.

    max_chi2_loo : float
        Largest leave-one-out chi-square, either axis.

    min_position_error, max_position_error : float
        mas.

    min_motion_error, max_motion_error : float
        mas/yr; too small an error is the sign of a fit that failed.

    max_motion : float
        mas/yr.

    max_mag : float
        Faintest magnitude.

    Returns
    -------
    ndarray of bool
        Stars that pass.
    """
    keep = np.asarray(table["n_epochs"]) >= min_epochs
    with np.errstate(invalid="ignore"):
        for axis in ("ra", "dec"):
            chi2 = np.asarray(table[f"chi2_loo_{axis}"])
            position, motion = np.asarray(table[f"{axis}_error"]), np.asarray(table[f"pm{axis}_error"])
            keep &= (chi2 < max_chi2_loo) & (position > min_position_error) & (position < max_position_error)
            keep &= (motion > min_motion_error) & (motion < max_motion_error)
        keep &= np.hypot(table["pmra"], table["pmdec"]) < max_motion
        mag = np.asarray(table["mag"])
        keep &= ~(mag >= max_mag)
    flags = np.asarray(table["flags"], np.int64)
    table["flags"] = np.where(keep, flags & ~int(Flag.QUALITY_CUT), flags | int(Flag.QUALITY_CUT))
    return keep


@in_range
def compare_catalogs(table, other, *, radius_mas=100.0, epoch=2015.5):
    """Compare motions and positions with another catalog, such as one of masers (H25 §4.2.3).

    Parameters
    ----------
    table, other : `~astropy.table.Table`
        ``ra dec`` (deg), ``ra_error dec_error`` (mas), ``pmra pmdec`` and errors (mas/yr), ``ref_epoch``,
        in one frame.

    radius_mas : float
        Largest distance at ``epoch``.

    epoch : float
        At which stars are matched.

    Returns
    -------
    i, j : ndarray of int
        Matched rows.

    bias : `~jwst_hpastrom.motion.frame_quality.FrameBias`
        table − other, positions at the common epoch (H25 eq. 10-12); None without a match.
    """
    plane = TangentPlane(*sky_middle(values(table, "ra"), values(table, "dec")))

    def column(t, name):
        return np.asarray(t[name], float)

    def at(t, when):
        xi, eta = plane.from_sky(column(t, "ra"), column(t, "dec"))
        dt = when - column(t, "ref_epoch")
        return xi * 1e3 + column(t, "pmra") * dt, eta * 1e3 + column(t, "pmdec") * dt

    i, j, _ = match_nearest(*at(table, epoch), *at(other, epoch), radius_mas)
    if i.size == 0:
        return i, j, None
    a, b = table[i], other[j]

    def errors(t, kind):
        return np.stack([column(t, f"{kind}{n}_error") for n in ("ra", "dec")], -1)

    common = common_epoch(errors(a, "pm"), column(a, "ref_epoch"), errors(b, "pm"), column(b, "ref_epoch"))
    position = np.stack(at(a, common), -1) - np.stack(at(b, common), -1)
    motion = np.stack([column(a, n) - column(b, n) for n in ("pmra", "pmdec")], -1)
    variance = 0.0
    for t in (a, b):
        dt = (common - column(t, "ref_epoch"))[:, None]
        variance = variance + errors(t, "") ** 2 + (errors(t, "pm") * dt) ** 2
    error = np.c_[np.sqrt(variance), np.hypot(errors(a, "pm"), errors(b, "pm"))]
    return i, j, frame_bias(np.c_[position, motion], error, common)
