"""Figures of master frames and motions (L23 Fig. 16, 20, 21)."""

from typing import Any

import numpy as np
from astropy.table import Table

from jwst_hpastrom.columns import Flag, values
from jwst_hpastrom.geometry import TangentPlane, sky_middle
from jwst_hpastrom.numerics import robust_sigma
from jwst_hpastrom.plot.drawing import (
    clip_limits,
    color_limits,
    color_magnitude_points,
    one_axes,
    points,
    show_bright,
)

__all__ = ["color_magnitude", "frame_rms", "motion_diagram", "motion_errors", "sky_map"]

#: motions with an error of so many times the bright stars' typical one are drawn pale
PALE = 5.0


def _one_axis(table, first, second):
    """Quadratic mean of two columns; NaN where not positive."""
    size = np.hypot(values(table, first), values(table, second)) / np.sqrt(2)
    return np.where(size > 0, size, np.nan)


def frame_rms(
    master: Table, ax: Any = None, *, scale_mas: float | None = None, pixel_mas: float | None = None
) -> Any:
    """One-dimensional RMS of a master frame's positions against magnitude; L23 Fig. 16.

    Parameters
    ----------
    master : `~astropy.table.Table`

    ax : `~matplotlib.axes.Axes`, optional
        New ones where none are given.

    scale_mas : float, optional
        Master pixels; from the metadata where not given.

    pixel_mas : float, optional
        The detector's pixels, to give the result in; master pixels where not given.

    Returns
    -------
    `~matplotlib.axes.Axes`

    Examples
    --------
    >>> from astropy.table import Table
    >>> from jwst_hpastrom.plot import frame_rms
    >>> frame_rms(Table({"mag": [-6.0, -5.5], "x_rms": [0.01, 0.02], "y_rms": [0.01, 0.02]})).get_ylabel()
    '1-D RMS (master pixel)'
    """
    scale = float(scale_mas or master.meta.get("scale_mas") or 50.0)
    pixel = float(pixel_mas or scale)
    rms, mag = _one_axis(master, "x_rms", "y_rms") * scale / pixel, values(master, "mag")
    ax = one_axes(ax, figsize=(6.5, 4.6))
    ax.set_yscale("log")
    points(ax, mag, rms)
    level = show_bright(ax, mag, rms)
    kind = "pixel" if pixel_mas else "master pixel"
    ax.set_title(f"1-D RMS of the bright stars: {level:.4f} {kind} = {level * pixel:.2f} mas", fontsize=10)
    known = rms[np.isfinite(rms)]
    if known.size:
        low, high = np.quantile(known, (0.005, 0.995))
        ax.set_ylim(low / 1.5, high * 1.5)
    ax.set_xlabel("magnitude (mag)")
    ax.set_ylabel(f"1-D RMS ({kind})")
    return ax


def motion_errors(motions: Table, ax: Any = None) -> Any:
    """Errors of the proper motions against magnitude; L23 Fig. 20.

    Parameters
    ----------
    motions : `~astropy.table.Table`

    ax : `~matplotlib.axes.Axes`, optional
        New ones where none are given.

    Returns
    -------
    `~matplotlib.axes.Axes`

    Examples
    --------
    >>> from astropy.table import Table
    >>> from jwst_hpastrom.plot import motion_errors
    >>> motions = Table({"mag": [-6.0, -5.5], "pmra_error": [0.1, 0.2], "pmdec_error": [0.1, 0.2]})
    >>> motion_errors(motions).get_xlabel()
    '1-D error (mas/yr)'
    """
    mag, error = values(motions, "mag"), _one_axis(motions, "pmra_error", "pmdec_error")
    ax = one_axes(ax, figsize=(5, 5))
    ax.set_xscale("log")
    points(ax, error, mag)
    level = show_bright(ax, mag, error, upright=True)
    ax.set_title(f"bright stars: median {level:.4f} mas/yr", fontsize=10)
    ax.xaxis.set_minor_formatter("")
    ax.set_xlabel("1-D error (mas/yr)")
    ax.set_ylabel("magnitude (mag)")
    known = mag[np.isfinite(mag + error)]
    if known.size:
        ax.set_ylim(known.max() + 0.2, known.min() - 0.2)
    return ax


def color_magnitude(motions: Table, ax: Any = None) -> Any:
    """Color-magnitude diagram, reference stars marked; L23 Fig. 20.

    Parameters
    ----------
    motions : `~astropy.table.Table`
        With mag and color.

    ax : `~matplotlib.axes.Axes`, optional
        New ones where none are given.

    Returns
    -------
    `~matplotlib.axes.Axes`
    """
    mag, index = values(motions, "mag"), values(motions, "color")
    reference = np.nan_to_num(values(motions, "flags", 0.0)).astype(np.int64) & int(Flag.REFERENCE) != 0
    ax = one_axes(ax, figsize=(5, 5))
    color_magnitude_points(ax, mag, index, color="0.4")
    color_magnitude_points(ax, mag, index, reference, color="C3", label=f"{reference.sum()} reference stars")
    if np.isfinite(mag + index).any():
        color_limits(ax, mag, index)
    if reference.any():
        ax.legend(markerscale=4, loc="upper right", fontsize=8)
    return ax


def motion_diagram(motions: Table, ax: Any = None, *, most_error: float | None = None) -> Any:
    """Vector-point diagram; L23 Fig. 21.

    Stars of large errors are pale; the title says how many are beyond the axes.

    Parameters
    ----------
    motions : `~astropy.table.Table`

    ax : `~matplotlib.axes.Axes`, optional
        New ones where none are given.

    most_error : float, optional
        Stars with larger errors (mas/yr, one axis) are pale; five times the brighter stars' by default.

    Returns
    -------
    `~matplotlib.axes.Axes`

    Examples
    --------
    >>> import numpy as np
    >>> from astropy.table import Table
    >>> from jwst_hpastrom.plot import motion_diagram
    >>> pm = np.random.default_rng(1).normal(0, 0.1, (2, 200))
    >>> table = Table({"pmra": pm[0], "pmdec": pm[1], "mag": np.linspace(15, 20, 200)})
    >>> motion_diagram(table).get_title().split(";")[0].splitlines()[0]
    '200 stars'
    """
    a, b = values(motions, "pmra"), values(motions, "pmdec")
    error = _one_axis(motions, "pmra_error", "pmdec_error")
    known = np.isfinite(a + b)
    if most_error is None and np.isfinite(error[known]).any():
        most_error = PALE * np.nanquantile(error[known], 0.1)
    # without errors all are alike
    good = known & ((error <= most_error) if most_error is not None else True)
    ax = one_axes(ax, figsize=(5.5, 5.2))
    pale = known & ~good
    points(ax, a[pale], b[pale], color="0.75", zorder=1)
    points(ax, a[good], b[good], color="0.1", zorder=2)
    shown = good if good.sum() >= 10 else known
    for set_limits, value in ((ax.set_xlim, a), (ax.set_ylim, b)):
        clip_limits(set_limits, value[shown])
    (x0, x1), (y0, y1) = sorted(ax.get_xlim()), sorted(ax.get_ylim())
    beyond = int(np.sum(known & ~((a >= x0) & (a <= x1) & (b >= y0) & (b <= y1))))
    ax.invert_xaxis()
    ax.set_aspect("equal", adjustable="box")
    ax.set_xlabel("pmra, µα cos δ (mas/yr)")
    ax.set_ylabel("pmdec (mas/yr)")
    words = [f"{known.sum()} stars"]
    words += [f"pale: {pale.sum()} with errors > {most_error:.3g} mas/yr"] if pale.any() else []
    words += [f"{beyond} beyond the axes"] if beyond else []
    title = "; ".join(words)
    if shown.any():
        title += f"\nσ = {robust_sigma(a[shown]):.3f}, {robust_sigma(b[shown]):.3f} mas/yr"
    ax.set_title(title, fontsize=9)
    return ax


def sky_map(table: Table, ax: Any = None) -> Any:
    """Stars on the sky, East to the left, brighter ones larger.

    Parameters
    ----------
    table : `~astropy.table.Table`
        With ra, dec and mag.

    ax : `~matplotlib.axes.Axes`, optional
        New ones where none are given.

    Returns
    -------
    `~matplotlib.axes.Axes`

    Examples
    --------
    >>> from astropy.table import Table
    >>> from jwst_hpastrom.plot import sky_map
    >>> sky_map(Table({"ra": [10.0, 10.001], "dec": [0.0, 0.001], "mag": [18.0, 19.0]})).get_title()
    '2 stars about ra 10.00050, dec +0.00050'
    """
    ax = one_axes(ax, figsize=(5.5, 5.2))
    ra, dec, mag = (values(table, c) for c in ("ra", "dec", "mag"))
    seen = np.isfinite(ra + dec)
    size = np.full(len(table), 3.0)
    if np.isfinite(mag).any():
        size = np.clip(
            10 ** (-0.15 * (np.nan_to_num(mag, nan=np.nanmax(mag)) - np.nanmin(mag))) * 30, 1.5, 30
        )
    if seen.any():
        middle = sky_middle(ra[seen], dec[seen])
        xi, eta = TangentPlane(*middle).from_sky(ra[seen], dec[seen])
        ax.scatter(xi, eta, s=size[seen], color="0.2", lw=0, rasterized=True)
        ax.set_title(f"{seen.sum()} stars about ra {middle[0]:.5f}, dec {middle[1]:+.5f}", fontsize=9)
    ax.set_aspect("equal", adjustable="box")
    ax.invert_xaxis()
    ax.set_xlabel("to the East (arcsec)")
    ax.set_ylabel("to the North (arcsec)")
    return ax
