"""What the figures share."""

import numpy as np

from jwst_hpastrom.columns import BRIGHT

__all__ = [
    "bright_rows", "color_limits", "color_magnitude", "new_figure", "running_median",
    "show_bright", "thin",
]  # fmt: skip


def new_figure(width, height, rows=1, columns=1, **kwargs):
    """A figure without pyplot's state, and its axes (rows × columns)."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.subplots(rows, columns, squeeze=False, **kwargs)


def running_median(x, y, bins):
    """Bin centers and medians of y in bins of x; NaN where fewer than five."""
    index = np.digitize(x, bins) - 1
    center = 0.5 * (bins[1:] + bins[:-1])
    value = [np.median(y[index == k]) if np.sum(index == k) > 4 else np.nan for k in range(len(center))]
    return center, np.array(value)


def thin(rng, n, most=20000):
    """Indices of at most so many points: a plot needs no more."""
    return np.arange(n) if n <= most else rng.choice(n, most, replace=False)


def bright_rows(residuals):
    """Rows in the bright range, or all where fewer than 50 are."""
    mag = np.asarray(residuals["mag"])
    chosen = (mag > BRIGHT[0]) & (mag < BRIGHT[1])
    return chosen if chosen.sum() >= 50 else np.ones(mag.size, bool)


def show_bright(axis, mag, value, *, upright=False):
    """Shade the bright range and draw its median, which is returned (NaN where no star is in it)."""
    shade, line = (axis.axhspan, axis.axvline) if upright else (axis.axvspan, axis.axhline)
    shade(*BRIGHT, color="pink", alpha=0.4)
    inside = (mag > BRIGHT[0]) & (mag < BRIGHT[1]) & np.isfinite(value)
    if not inside.any():
        return np.nan
    level = np.median(value[inside])
    line(level, color="C3", lw=1)
    return level


def color_magnitude(axis, mag, index, rows=None, *, ms=1.2, **kwargs):
    """Points in a color-magnitude diagram."""
    rows = np.ones(mag.size, bool) if rows is None else rows
    axis.plot(index[rows], mag[rows], ".", ms=ms, mec="none", **kwargs)
    axis.set_xlabel("color (mag)")
    axis.set_ylabel("instrumental magnitude")


def color_limits(axis, mag, color):
    """Limits of a color-magnitude diagram without outliers, bright stars at the top."""
    ok = np.isfinite(mag + color)
    blue, red = np.quantile(color[ok], [0.005, 0.995])
    axis.set_xlim(blue - 0.2, red + 0.2)
    axis.set_ylim(np.max(mag[ok]) + 0.2, np.min(mag[ok]) - 0.2)
