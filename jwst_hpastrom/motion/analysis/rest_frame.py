"""Motions relative to an object that is to rest: the SgrA*-at-rest frame (H25 §3.4, eq. 13-18)."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from astropy.table import Table

from jwst_hpastrom.columns import row_epochs, values

__all__ = ["RADIO_SGRA", "RestPoint", "at_rest", "at_rest_table"]


@dataclass(frozen=True)
class RestPoint:
    """Position and motion of the object that is to be at rest at the origin.

    Attributes
    ----------
    ra, dec : float
        Degrees at ``epoch``.

    ra_error, dec_error : float
        mas.

    epoch : float
        Julian year.

    pmra, pmdec, pmra_error, pmdec_error : float
        mas/yr.
    """

    ra: float
    dec: float
    ra_error: float
    dec_error: float
    epoch: float
    pmra: float
    pmdec: float
    pmra_error: float
    pmdec_error: float

    def offset(self, fiducial: Any, epoch: float) -> tuple[float, float]:
        """Offset from a fiducial point (ra, dec) at an epoch, mas East and North (H25 eq. 15, 16)."""
        cos = np.cos(np.deg2rad(fiducial[1]))
        dt = np.asarray(epoch, float) - self.epoch
        x = _turn(self.ra - fiducial[0]) * cos * 3.6e6 + self.pmra * dt
        y = (self.dec - fiducial[1]) * 3.6e6 + self.pmdec * dt
        return x, y


def _turn(degrees):
    """Differences of right ascension, across 0 h too."""
    return (np.asarray(degrees, float) + 180.0) % 360.0 - 180.0


def _hms(h, m, s):
    return 15.0 * (h + m / 60.0 + s / 3600.0)


def _dms(d, m, s):
    return -(d + m / 60.0 + s / 3600.0)


#: Published ICRS positions and motions of SgrA*, as H25 quotes them. Reid & Brunthaler's error in right
#: ascension is 10 mas: the footnote's 0.011 s of time would be 144 mas. Gordon et al.'s is 0.0000175 s, which
#: rounds to the footnote's 0.000018 s and gives the error in Table 6.
RADIO_SGRA = {
    "xu2022": RestPoint(
        _hms(17, 45, 40.032863), _dms(29, 0, 28.24260), 0.21, 0.47, 2020.0, -3.152, -5.586, 0.011, 0.006
    ),
    "reid2020": RestPoint(
        _hms(17, 45, 40.0409), _dms(29, 0, 28.118), 10.0, 10.0, 1996.215, -3.156, -5.585, 0.006, 0.010
    ),
    "gordon2023": RestPoint(
        _hms(17, 45, 40.034047), _dms(29, 0, 28.21601), 0.23, 0.44, 2015.0, -3.128, -5.584, 0.042, 0.075
    ),
}


def at_rest(
    ra: Any,
    dec: Any,
    pmra: Any,
    pmdec: Any,
    epoch: Any,
    point: RestPoint = RADIO_SGRA["xu2022"],
    *,
    fiducial: Any = None,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Positions and motions relative to an object at rest.

    Parameters
    ----------
    ra, dec : ndarray
        Degrees at ``epoch``.

    pmra, pmdec : ndarray
        mas/yr.

    epoch : ndarray
        Reference epochs of the stars, Julian years.

    point : `RestPoint`
        The object.

    fiducial : pair of float, optional
        Origin of the offsets, degrees; by default Xu et al.'s SgrA*, as in H25.

    Returns
    -------
    x, y : ndarray
        Arcseconds East and North of the object at each star's epoch: offsets Δα cos δ_f and Δδ from the
        fiducial point less those of the object (not a gnomonic projection).

    vx, vy : ndarray
        mas/yr.

    Examples
    --------
    >>> import numpy as np
    >>> from jwst_hpastrom.motion import RADIO_SGRA, at_rest
    >>> point = RADIO_SGRA["xu2022"]
    >>> star = (np.array([v]) for v in (point.ra, point.dec, point.pmra + 1.0, point.pmdec, point.epoch))
    >>> x, y, vx, vy = at_rest(*star, point)
    >>> vx.round(6), vy.round(6) + 0.0
    (array([1.]), array([0.]))
    """
    first = RADIO_SGRA["xu2022"]
    fiducial = (first.ra, first.dec) if fiducial is None else fiducial
    x0, y0 = point.offset(fiducial, epoch)
    x = _turn(np.asarray(ra) - fiducial[0]) * np.cos(np.deg2rad(fiducial[1])) * 3600.0 - x0 / 1e3
    y = (np.asarray(dec) - fiducial[1]) * 3600.0 - y0 / 1e3
    return x, y, np.asarray(pmra) - point.pmra, np.asarray(pmdec) - point.pmdec


def at_rest_table(
    table: Table,
    point: RestPoint = RADIO_SGRA["xu2022"],
    *,
    fiducial: Any = None,
    frame_motion_error: tuple[float, float] = (0.0, 0.0),
    frame_position_error: tuple[float, float] = (0.0, 0.0),
) -> Table:
    """Turn a table of motions into the frame in which an object rests.

    Parameters
    ----------
    table : `~astropy.table.Table`
        Columns of `~jwst_hpastrom.columns.MOTION`.

    point : `RestPoint`

    fiducial : pair of float, optional
        As in `at_rest`: of a point elsewhere, its own position.

    frame_motion_error, frame_position_error : pair of float
        Errors of the table's frame against the ICRS, mas/yr and mas (H25 Table 5: 0.023, 0.018 and 0.033,
        0.031).

    Returns
    -------
    `~astropy.table.Table`
        x, y (arcsec), vx, vy (mas/yr) with the fits' errors, and ``*_error_total`` with the frame's and the
        object's errors in quadrature.
    """
    epoch = row_epochs(table)
    ra, dec, pmra, pmdec = (values(table, name) for name in ("ra", "dec", "pmra", "pmdec"))
    x, y, vx, vy = at_rest(ra, dec, pmra, pmdec, epoch, point, fiducial=fiducial)
    out = Table({"id": table["id"], "x": x, "y": y, "vx": vx, "vy": vy, "ref_epoch": epoch})
    dt = epoch - point.epoch
    for axis, (p, m) in enumerate((("ra", "x"), ("dec", "y"))):
        pos, pm = values(table, f"{p}_error"), values(table, f"pm{p}_error")
        point_pm = (point.pmra_error, point.pmdec_error)[axis]
        point_pos = np.hypot((point.ra_error, point.dec_error)[axis], point_pm * dt)
        out[f"{m}_error"], out[f"v{m}_error"] = pos, pm
        out[f"{m}_error_total"] = np.sqrt(pos**2 + point_pos**2 + frame_position_error[axis] ** 2)
        out[f"v{m}_error_total"] = np.sqrt(pm**2 + point_pm**2 + frame_motion_error[axis] ** 2)
    for name in out.colnames[1:]:
        velocity, error = name.startswith("v"), "error" in name
        out[name].unit = (
            "yr" if name == "ref_epoch" else "mas / yr" if velocity else "mas" if error else "arcsec"
        )
    return out
