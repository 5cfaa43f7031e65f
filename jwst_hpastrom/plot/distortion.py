"""Figures of distortions and of residuals about the master frame (L23 Fig. 9-16)."""

from typing import Any

import numpy as np
from astropy.table import Table

from jwst_hpastrom.columns import values
from jwst_hpastrom.numerics import robust_sigma
from jwst_hpastrom.plot.drawing import bright_rows, one_axes, points, symmetric_limit

__all__ = [
    "distortion_arrows", "pixel_map", "position_rms", "residual_arrows", "residual_map", "residual_scatter",
    "residual_trend",
]  # fmt: skip

#: fewest residuals of a cell that is shown
CELL_STARS = 3
#: stars of a cell on the mean, where its size is free, and the range of that size
MEAN_STARS, CELL_SIZES = 8, (32, 256)


def cell_size(x, y):
    """Side in pixels of cells in which residuals are enough to have a median."""
    side = np.sqrt(MEAN_STARS * np.ptp(x) * np.ptp(y) / max(len(x), 1))
    return int(np.clip(16 * np.ceil(side / 16), *CELL_SIZES))


def cell_medians(x, y, delta, edges_x, edges_y):
    """Medians of several values in rectangular cells, NaN for fewer than three stars; shape (n, ny, nx)."""
    nx, ny = len(edges_x) - 1, len(edges_y) - 1
    i = np.clip(np.digitize(x, edges_x) - 1, 0, nx - 1)
    j = np.clip(np.digitize(y, edges_y) - 1, 0, ny - 1)
    order = np.argsort(j * nx + i, kind="stable")
    start = np.searchsorted((j * nx + i)[order], np.arange(nx * ny + 1))
    out = np.full((len(delta), nx * ny), np.nan)
    for k in np.flatnonzero(np.diff(start) >= CELL_STARS):
        rows = order[start[k] : start[k + 1]]
        out[:, k] = [np.median(d[rows]) for d in delta]
    return out.reshape(len(delta), ny, nx)


def _arrows(ax, x, y, dx, dy, spacing):
    longest = np.nanmax(np.hypot(dx, dy), initial=1e-9)
    factor = 0.9 * spacing / longest
    ax.quiver(x, y, factor * dx, factor * dy, angles="xy", scale_units="xy", scale=1, width=0.004)
    ax.set_aspect("equal")
    ax.set_xlabel("x (pixel)")
    ax.set_ylabel("y (pixel)")
    return factor


def _rms(dx, dy):
    return float(np.sqrt(0.5 * (robust_sigma(dx) ** 2 + robust_sigma(dy) ** 2)))


def residual_arrows(residuals: Table, ax: Any = None, *, raw: bool = False, cells: int = 16) -> Any:
    """Medians of the residuals in cells of the detector, as arrows; L23 Fig. 9, 11.

    Parameters
    ----------
    residuals : `~astropy.table.Table`
        As `~jwst_hpastrom.io.products.frame_residuals` gives it.

    ax : `~matplotlib.axes.Axes`, optional
        New ones where none are given.

    raw : bool
        Of the raw positions, before the correction.

    cells : int
        A side.

    Returns
    -------
    `~matplotlib.axes.Axes`

    Examples
    --------
    >>> import numpy as np
    >>> from astropy.table import Table
    >>> from jwst_hpastrom.plot import residual_arrows
    >>> rng = np.random.default_rng(1)
    >>> x, y = rng.uniform(0, 100, (2, 500))
    >>> table = Table({"x": x, "y": y, "dx": 0.01 * x, "dy": 0 * y, "mag": 0 * x})
    >>> residual_arrows(table, cells=4).get_xlabel()
    'x (pixel)'
    """
    ax = one_axes(ax, figsize=(6, 6))
    r = residuals[bright_rows(residuals)]
    x, y = values(r, "x"), values(r, "y")
    dx, dy = (values(r, f"{c}_raw" if raw else c) for c in ("dx", "dy"))
    edges = [np.linspace(v.min(), v.max(), cells + 1) for v in (x, y)]
    mean_x, mean_y = cell_medians(x, y, (dx, dy), *edges)
    u, v = np.meshgrid(*(0.5 * (e[1:] + e[:-1]) for e in edges))
    factor = _arrows(ax, u, v, mean_x, mean_y, np.ptp(x) / cells)
    when = "before" if raw else "after the correction"
    ax.set_title(f"{when}: RMS {_rms(dx, dy):.4f} pixel per axis; arrows × {factor:.0f}", fontsize=9)
    return ax


def residual_map(residuals: Table, ax: Any = None, *, axis: str = "x", size: int | None = None) -> Any:
    """Medians of the residuals in square cells, as colors; L23 Fig. 15.

    Parameters
    ----------
    residuals : `~astropy.table.Table`
        As `~jwst_hpastrom.io.products.frame_residuals` gives it.

    ax : `~matplotlib.axes.Axes`, optional
        New ones where none are given.

    axis : {"x", "y"}
        Of the residuals.

    size : int, optional
        Of a cell, pixels; by default such that most cells have enough stars.

    Returns
    -------
    `~matplotlib.axes.Axes`
    """
    ax = one_axes(ax, figsize=(6, 5.2))
    x, y = values(residuals, "x"), values(residuals, "y")
    size = size or cell_size(x, y)
    edges = [np.arange(-0.5, v.max() + size, size) for v in (x, y)]
    (shown,) = cell_medians(x, y, (values(residuals, f"d{axis}"),), *edges)
    return _colors(ax, shown, f"residuals, Δ{axis}", (edges[0][0], edges[0][-1], edges[1][0], edges[1][-1]))


def _colors(ax, data, title, extent):
    limit = 1e3 * symmetric_limit(data)
    shown = ax.imshow(
        1e3 * data, origin="lower", extent=extent, vmin=-limit, vmax=limit, cmap="RdBu_r",
        interpolation="nearest",
    )  # fmt: skip
    ax.figure.colorbar(shown, ax=ax, label="0.001 pixel", shrink=0.8)
    ax.set_title(title, fontsize=10)
    ax.set_xlabel("x (pixel)")
    ax.set_ylabel("y (pixel)")
    return ax


def pixel_map(correction: Any, ax: Any = None, *, axis: str = "x") -> Any:
    """The finest part of a correction; L23 Fig. 13.

    Parameters
    ----------
    correction : `~jwst_hpastrom.distortion.DistortionCorrection`
        With a pixel map.

    ax : `~matplotlib.axes.Axes`, optional
        New ones where none are given.

    axis : {"x", "y"}
        Of the correction.

    Returns
    -------
    `~matplotlib.axes.Axes`
    """
    data = np.asarray(correction.pixel_map.data, float)
    step = max(data.shape[0] // 512, 1)
    extent = (-0.5, data.shape[1] - 0.5, -0.5, data.shape[0] - 0.5)
    ax = one_axes(ax, figsize=(6, 5.2))
    return _colors(ax, data[::step, ::step, "xy".index(axis)], f"pixel map, {axis}", extent)


def distortion_arrows(correction: Any, ax: Any = None, *, cells: int = 16) -> Any:
    """What a correction does, as arrows from raw to corrected positions.

    Parameters
    ----------
    correction : `~jwst_hpastrom.distortion.DistortionCorrection`

    ax : `~matplotlib.axes.Axes`, optional
        New ones where none are given.

    cells : int
        A side.

    Returns
    -------
    `~matplotlib.axes.Axes`
    """
    ax = one_axes(ax, figsize=(6, 6))
    ny, nx = correction.shape
    x, y = np.meshgrid(*((np.arange(cells) + 0.5) * n / cells for n in (nx, ny)))
    dx, dy = (np.reshape(d, x.shape) for d in correction.delta(x.ravel(), y.ravel()))
    factor = _arrows(ax, x, y, dx, dy, nx / cells)
    ax.set_title(f"up to {np.hypot(dx, dy).max():.3f} pixel; arrows × {factor:.3g}", fontsize=9)
    return ax


def residual_trend(
    residuals: Table, ax: Any = None, *, along: str = "x", of: str = "x", raw: bool = False
) -> Any:
    """Residuals of one axis along the same or the other; L23 Fig. 9, 11.

    Parameters
    ----------
    residuals : `~astropy.table.Table`
        As `~jwst_hpastrom.io.products.frame_residuals` gives it.

    ax : `~matplotlib.axes.Axes`, optional
        New ones where none are given.

    along, of : {"x", "y"}

    raw : bool
        Of the raw positions, before the correction.

    Returns
    -------
    `~matplotlib.axes.Axes`
    """
    ax = one_axes(ax, figsize=(6, 2.6))
    r = residuals[bright_rows(residuals)]
    end = "_raw" if raw else ""
    points(ax, values(r, along), values(r, f"d{of}{end}"), most=8000)
    ax.axhline(0, color="C3", lw=1)
    limit = 3.5 * max(robust_sigma(values(r, f"d{c}{end}")) for c in "xy")
    ax.set_ylim(-limit, limit)
    ax.set_xlabel(f"{along} (pixel)")
    ax.set_ylabel(f"Δ{of} (pixel)")
    return ax


def residual_scatter(residuals: Table, ax: Any = None, *, scale_mas: float | None = None) -> Any:
    """Δy against Δx of the bright stars about the master frame; L23 Fig. 12.

    Parameters
    ----------
    residuals : `~astropy.table.Table`
        As `~jwst_hpastrom.io.products.frame_residuals` gives it.

    ax : `~matplotlib.axes.Axes`, optional
        New ones where none are given.

    scale_mas : float, optional
        Pixel scale, for the title.

    Returns
    -------
    `~matplotlib.axes.Axes`

    Examples
    --------
    >>> import numpy as np
    >>> from astropy.table import Table
    >>> from jwst_hpastrom.plot import residual_scatter
    >>> dx, dy = np.random.default_rng(1).normal(0, 0.01, (2, 100))
    >>> table = Table({"x": 1e3 * dx, "y": 1e3 * dy, "dx": dx, "dy": dy, "mag": 0 * dx})
    >>> residual_scatter(table).get_ylabel()
    'Δy (pixel)'
    """
    ax = one_axes(ax, figsize=(5.2, 5.2))
    r = residuals[bright_rows(residuals)]
    dx, dy = values(r, "dx"), values(r, "dy")
    sx, sy = robust_sigma(dx), robust_sigma(dy)
    limit = 5 * max(sx, sy, 1e-9)
    points(ax, dx, dy)
    ax.set_xlim(-limit, limit)
    ax.set_ylim(-limit, limit)
    ax.set_aspect("equal")
    ax.set_xlabel("Δx (pixel)")
    ax.set_ylabel("Δy (pixel)")
    mas = f" ({sx * scale_mas:.2f}, {sy * scale_mas:.2f} mas)" if scale_mas else ""
    ax.set_title(f"σ(Δx) = {sx:.4f}, σ(Δy) = {sy:.4f} pixel{mas}", fontsize=10)
    return ax


def position_rms(residuals: Table, ax: Any = None, *, scale_mas: float | None = None) -> Any:
    """One-dimensional RMS of single positions about the master frame against magnitude; L23 Fig. 16.

    Parameters
    ----------
    residuals : `~astropy.table.Table`
        As `~jwst_hpastrom.io.products.frame_residuals` gives it.

    ax : `~matplotlib.axes.Axes`, optional
        New ones where none are given.

    scale_mas : float, optional
        Pixel scale, for the legend.

    Returns
    -------
    `~matplotlib.axes.Axes`
    """
    ax = one_axes(ax, figsize=(7, 4.6))
    mag, dx, dy = (values(residuals, c) for c in ("mag", "dx", "dy"))
    size = np.hypot(dx, dy) / np.sqrt(2)
    ax.set_yscale("log")
    points(ax, mag, size, color="0.5")
    edges = np.arange(np.floor(2 * mag.min()) / 2, mag.max() + 0.25, 0.25)
    index = np.digitize(mag, edges) - 1
    used = [k for k in range(len(edges) - 1) if np.sum(index == k) > 20]
    rms = [_rms(dx[index == k], dy[index == k]) for k in used]
    ax.plot(edges[used] + 0.125, rms, "o-", color="C0", ms=4, label="robust RMS per axis")
    best = bright_rows(residuals)
    value = _rms(dx[best], dy[best])
    mas = f" = {value * scale_mas:.2f} mas" if scale_mas else ""
    ax.axhline(value, color="C3", lw=1, label=f"bright stars: {value:.4f} pixel{mas}")
    ax.set_ylim(max(value / 10, 1e-4), max(np.percentile(size, 99.5), 5 * value))
    ax.set_xlabel("magnitude (mag)")
    ax.set_ylabel("distance from the master frame (pixel, per axis)")
    ax.legend(fontsize=8)
    return ax
