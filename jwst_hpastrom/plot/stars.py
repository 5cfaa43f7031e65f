"""Figures of star lists (L23 Fig. 1, 3, 5, 6)."""

from typing import Any

import numpy as np
from astropy.table import Table

from jwst_hpastrom.columns import values
from jwst_hpastrom.plot.drawing import bright_rows, one_axes, points, running_median, show_bright

__all__ = ["phase_density", "phase_residuals", "qfit", "radxs"]


def _against_magnitude(stars, name, limits, ax):
    mag, value = values(stars, "mag"), values(stars, name)
    ax = one_axes(ax, figsize=(6, 4.2))
    saturated = values(stars, "n_saturated", 0.0) > 0
    points(ax, mag, value)
    if saturated.any():
        ax.plot(mag[saturated], value[saturated], "x", color="C3", ms=3, label=f"{saturated.sum()} saturated")
        ax.legend(loc="upper left", fontsize=8)
    level = show_bright(ax, mag, np.where(saturated, np.nan, value))
    size = np.abs(value[np.isfinite(value)])
    # as far as most stars reach, and no further than the limits: a few galaxies would squeeze all others
    reach = 1.5 * np.quantile(size, 0.98) / max(np.abs(limits)) if size.size else 1.0
    low, high = np.clip(reach, 0.1, 1.0) * np.array(limits)
    ax.set_ylim(low, high)
    beyond = np.sum(np.isfinite(mag) & ((value < low) | (value > high)))
    ax.set_title(
        f"{name.upper()}, median of the bright stars {level:z.3f}"
        + (f"; {beyond} beyond the axes" if beyond else ""),
        fontsize=10,
    )
    ax.set_xlabel("magnitude (mag)")
    ax.set_ylabel(name.upper())
    return ax


def qfit(stars: Table, ax: Any = None) -> Any:
    """QFIT, the fractional misfit, against magnitude; L23 Fig. 5.

    Parameters
    ----------
    stars : `~astropy.table.Table`
        Star list: mag, qfit, n_saturated.

    ax : `~matplotlib.axes.Axes`, optional
        New ones where none are given.

    Returns
    -------
    `~matplotlib.axes.Axes`

    Examples
    --------
    >>> from astropy.table import Table
    >>> from jwst_hpastrom.plot import qfit
    >>> qfit(Table({"mag": [-6.0, -5.5], "qfit": [0.01, 0.02]})).get_ylabel()
    'QFIT'
    """
    return _against_magnitude(stars, "qfit", (0, 0.5), ax)


def radxs(stars: Table, ax: Any = None) -> Any:
    """RADXS, light beyond the ePSF's, against magnitude; L23 Fig. 6.

    Parameters
    ----------
    stars : `~astropy.table.Table`
        Star list: mag, radxs, n_saturated.

    ax : `~matplotlib.axes.Axes`, optional
        New ones where none are given.

    Returns
    -------
    `~matplotlib.axes.Axes`

    Examples
    --------
    >>> from astropy.table import Table
    >>> from jwst_hpastrom.plot import radxs
    >>> radxs(Table({"mag": [-6.0, -5.5], "radxs": [0.01, 0.02]})).get_ylabel()
    'RADXS'
    """
    return _against_magnitude(stars, "radxs", (-0.5, 0.5), ax)


def _phase(residuals, name):
    return (values(residuals, name) + 0.5) % 1 - 0.5


def phase_density(residuals: Table, ax: Any = None) -> Any:
    """Where stars fall in the pixel, over the mean; L23 Fig. 1.

    Parameters
    ----------
    residuals : `~astropy.table.Table`
        Columns x and y, as of a star list.

    ax : `~matplotlib.axes.Axes`, optional
        New ones where none are given.

    Returns
    -------
    `~matplotlib.axes.Axes`
    """
    ax = one_axes(ax, figsize=(5, 4.2))
    x, y = _phase(residuals, "x"), _phase(residuals, "y")
    n = int(np.clip(np.sqrt(x.size / 20), 4, 20))  # twenty stars a cell
    counts, _, _ = np.histogram2d(y, x, bins=n, range=((-0.5, 0.5), (-0.5, 0.5)))
    extent = (-0.5, 0.5, -0.5, 0.5)
    shown = ax.imshow(counts / max(counts.mean(), 1e-9), origin="lower", extent=extent, vmin=0.5, vmax=1.5)
    ax.figure.colorbar(shown, ax=ax, shrink=0.85, label="density / mean")
    ax.set_title("where stars fall in the pixel", fontsize=10)
    ax.set_xlabel("x phase (pixel)")
    ax.set_ylabel("y phase (pixel)")
    return ax


def phase_residuals(residuals: Table, ax: Any = None, *, axis: str = "x") -> Any:
    """Residuals of the bright stars against their place in the pixel; L23 Fig. 3.

    Parameters
    ----------
    residuals : `~astropy.table.Table`
        As `~jwst_hpastrom.io.products.frame_residuals` gives it: x, y, dx, dy, mag.

    ax : `~matplotlib.axes.Axes`, optional
        New ones where none are given.

    axis : {"x", "y"}
        Of the detector.

    Returns
    -------
    `~matplotlib.axes.Axes`
    """
    ax = one_axes(ax, figsize=(5, 4.2))
    bright = bright_rows(residuals)
    phase, delta = _phase(residuals, axis)[bright], values(residuals, f"d{axis}")[bright]
    points(ax, phase, delta)
    ax.plot(*running_median(phase, delta, np.linspace(-0.5, 0.5, 21)), "--", color="C2", lw=2, label="median")
    ax.axhline(0, color="C3", lw=1)
    ax.set_ylim(-0.06, 0.06)
    ax.set_xlabel(f"{axis} phase (pixel)")
    ax.set_ylabel(f"Δ{axis} (pixel)")
    ax.legend(loc="upper right", fontsize=8)
    return ax
