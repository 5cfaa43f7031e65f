"""Stars chosen in a color-magnitude diagram."""

from typing import Any

import numpy as np
from astropy.table import Table

from jwst_hpastrom.columns import Flag
from jwst_hpastrom.errors import ParameterError

__all__ = ["inside_polygon", "parse_polygon", "select_cmd", "well_measured"]

#: stars that were not measured, or are not single stars
POOR = (
    Flag.SATURATED
    | Flag.NOT_CONVERGED
    | Flag.FEW_EXPOSURES
    | Flag.COSMIC_RAY
    | Flag.EXTENDED
    | Flag.QUALITY_CUT
)


def parse_polygon(text):
    """Read a polygon from text such as ``"0.5:-7 1.2:-7 1.2:-4 0.5:-4"`` (color:magnitude).

    Parameters
    ----------
    text : str or sequence of (float, float) or None

    Returns
    -------
    ndarray, shape (n, 2), or None
    """
    if text is None or (isinstance(text, str) and text.strip() in ("", "None")):
        return None
    try:
        if isinstance(text, str):
            text = [tuple(float(v) for v in pair.split(":")) for pair in text.split()]
        polygon = np.asarray(text, float)
        if polygon.ndim != 2 or polygon.shape[1] != 2 or len(polygon) < 3 or not np.isfinite(polygon).all():
            raise ValueError
    except (TypeError, ValueError):
        raise ParameterError(
            f"polygon {text!r}", "three or more corners color:magnitude, separated by blanks"
        ) from None
    return polygon


def inside_polygon(x, y, polygon):
    """Whether points lie inside a polygon (even-odd rule).

    Parameters
    ----------
    x, y : ndarray

    polygon : ndarray, shape (n, 2)

    Returns
    -------
    ndarray of bool
    """
    x, y = np.asarray(x, float), np.asarray(y, float)
    inside = np.zeros(x.shape, bool)
    for (ax, ay), (bx, by) in zip(polygon, np.roll(polygon, -1, axis=0), strict=True):
        if ay == by:
            continue
        crosses = (ay > y) != (by > y)
        inside ^= crosses & (x < (bx - ax) * (y - ay) / (by - ay) + ax)
    return inside


def select_cmd(mag, color=None, *, mag_range=(None, None), color_range=(None, None), polygon=None):
    """Choose stars by magnitude, color, and a polygon in the color-magnitude diagram.

    Parameters
    ----------
    mag : ndarray

    color : ndarray, optional
        Needed for anything but a magnitude range.

    mag_range, color_range : tuple of float or None
        Faint and bright, blue and red limits.

    polygon : str or sequence of (color, magnitude), optional

    Returns
    -------
    ndarray of bool
    """
    mag = np.asarray(mag, float)
    keep = np.isfinite(mag)
    polygon = parse_polygon(polygon)
    if color is None and (polygon is not None or any(v is not None for v in color_range)):
        raise ParameterError("a selection by color, but no colors", "a column 'color' in either catalog")
    limits = [(mag, mag_range)] + ([(np.asarray(color, float), color_range)] if color is not None else [])
    for values, (low, high) in limits:
        if low is not None:
            keep &= values >= low
        if high is not None:
            keep &= values <= high
    if polygon is not None:
        keep &= inside_polygon(color, mag, polygon)
    return keep


def well_measured(table: Table, *, share: float = 0.9, width: float = 0.5, flags: Any = POOR) -> np.ndarray:
    """Choose stars by their flags and, at each magnitude, by QFIT.

    Blends that were fitted as one star move with neither of the two: a few per cent of them widen a
    population's dispersion by more than its error.

    Parameters
    ----------
    table : `~astropy.table.Table`
        mag; flags and qfit where it has them.

    share : float
        Share of the stars with the best QFIT that is kept at each magnitude.

    width : float
        Magnitudes that are taken together.

    flags : int
        Stars with any of these bits of `jwst_hpastrom.columns.Flag` are left out.

    Returns
    -------
    ndarray of bool

    Examples
    --------
    >>> import numpy as np
    >>> from astropy.table import Table
    >>> from jwst_hpastrom.columns import Flag
    >>> from jwst_hpastrom.motion import well_measured
    >>> flags = np.zeros(50, int)
    >>> flags[0] = Flag.SATURATED
    >>> well_measured(Table({"mag": np.linspace(18, 19, 50), "flags": flags}))[:3]
    array([False,  True,  True])
    """
    mag = np.asarray(table["mag"], float)
    keep = np.isfinite(mag)
    if "flags" in table.colnames:
        keep &= np.asarray(table["flags"], np.int64) & int(flags) == 0
    if "qfit" in table.colnames:
        qfit = np.asarray(table["qfit"], float)
        keep &= np.isfinite(qfit)
        if keep.any():
            part = np.floor(mag / width)
            for k in np.unique(part[keep]):
                here = keep & (part == k)
                keep[here] = qfit[here] <= np.quantile(qfit[here], share)
    return keep
