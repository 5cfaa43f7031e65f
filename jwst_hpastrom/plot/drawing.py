"""What the figures share."""

import numpy as np

from jwst_hpastrom.columns import BRIGHT
from jwst_hpastrom.errors import ParameterError
from jwst_hpastrom.numerics import robust_limits

__all__ = [
    "BRIGHT", "bright_range", "bright_rows", "clip_limits", "color_limits", "color_magnitude_points",
    "new_figure", "one_axes", "points", "running_median", "show_bright", "symmetric_limit", "thin",
]  # fmt: skip

#: stars in that range, at least, for it to be the one of a list; else it is the list's own
ENOUGH_BRIGHT = 20
#: part of the stars, from the brightest on, that are its own bright ones: the very brightest may be saturated
OWN_BRIGHT = (0.02, 0.25)


def one_axes(ax, **kwargs):
    """Return ``ax``, or new axes of pyplot, which notebooks show."""
    if ax is not None:
        return ax
    try:
        import matplotlib.pyplot as plt
    except ImportError as err:
        raise ParameterError("no matplotlib", "pip install 'jwst_hpastrom[report]'") from err
    return plt.subplots(layout="constrained", **kwargs)[1]


def new_figure(width, height, rows=1, columns=1, **kwargs):
    """A figure without pyplot's state, and its axes (rows × columns)."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.subplots(rows, columns, squeeze=False, **kwargs)


def points(axis, x, y, *, most=20000, color="0.25", **kwargs):
    """Draw points that people can see: the larger the fewer they are; at most so many."""
    x, y = np.asarray(x, float), np.asarray(y, float)
    rows = thin(np.random.default_rng(0), x.size, most)
    size = float(np.clip(60 / np.sqrt(max(rows.size, 1)), 1.2, 4.0))
    style = {"marker": "o", "ms": size, "mec": "none", "ls": "none", "rasterized": True} | kwargs
    return axis.plot(x[rows], y[rows], color=color, **style)


def running_median(x, y, bins):
    """Bin centers and medians of y in bins of x; NaN where fewer than five."""
    index = np.digitize(x, bins) - 1
    center = 0.5 * (bins[1:] + bins[:-1])
    value = [np.median(y[index == k]) if np.sum(index == k) > 4 else np.nan for k in range(len(center))]
    return center, np.array(value)


def thin(rng, n, most=20000):
    """Indices of at most so many points: a plot needs no more."""
    return np.arange(n) if n <= most else rng.choice(n, most, replace=False)


def bright_range(mag):
    """Range of magnitudes that precision is judged by: L23's, or the list's own bright stars.

    Parameters
    ----------
    mag : ndarray
        Any system: calibrated magnitudes have no star in L23's instrumental range.

    Returns
    -------
    low, high : float
    """
    mag = np.asarray(mag, float)
    mag = mag[np.isfinite(mag)]
    if np.sum((mag > BRIGHT[0]) & (mag < BRIGHT[1])) >= ENOUGH_BRIGHT or mag.size == 0:
        return BRIGHT
    low, high = np.quantile(mag, OWN_BRIGHT)
    return float(low), float(max(high, low + 0.1))


def bright_rows(residuals):
    """Rows in the bright range, or all where fewer than 50 are."""
    mag = np.asarray(residuals["mag"], float)
    low, high = bright_range(mag)
    chosen = (mag > low) & (mag < high)
    return chosen if chosen.sum() >= 50 else np.ones(mag.size, bool)


def show_bright(axis, mag, value, *, upright=False):
    """Shade the bright range and draw its median, which is returned (NaN where no star is in it)."""
    shade, line = (axis.axhspan, axis.axvline) if upright else (axis.axvspan, axis.axhline)
    low, high = bright_range(np.where(np.isfinite(value), mag, np.nan))
    inside = (mag >= low) & (mag <= high) & np.isfinite(value)
    if not inside.any():
        return np.nan
    shade(low, high, color="pink", alpha=0.4, zorder=0)
    level = np.median(value[inside])
    line(level, color="C3", lw=1)
    return level


def symmetric_limit(values, percentile=99.0):
    """Largest absolute value of a color scale about zero, outliers aside; never 0."""
    values = np.abs(np.asarray(values, float))
    values = values[np.isfinite(values)]
    return max(float(np.percentile(values, percentile)), 1e-9) if values.size else 1.0


def clip_limits(set_limits, values, *, sigma=6.0, floor=1e-3):
    """Set limits about the median that leave far outliers out; return how many values they leave out."""
    limits = robust_limits(values, sigma=sigma, floor=floor)
    if limits is None:
        return 0
    set_limits(*limits)
    return int(np.sum(np.isfinite(values) & ((values < limits[0]) | (values > limits[1]))))


def color_magnitude_points(axis, mag, index, rows=None, **kwargs):
    """Points in a color-magnitude diagram; ``index`` is the star's color, ``color`` the point's."""
    rows = np.ones(mag.size, bool) if rows is None else rows
    points(axis, index[rows], mag[rows], **kwargs)
    axis.set_xlabel("color (mag)")
    axis.set_ylabel("magnitude (mag)")


def color_limits(axis, mag, color):
    """Limits of a color-magnitude diagram without outliers, bright stars at the top."""
    ok = np.isfinite(mag + color)
    blue, red = np.quantile(color[ok], [0.005, 0.995])
    axis.set_xlim(blue - 0.2, red + 0.2)
    axis.set_ylim(np.max(mag[ok]) + 0.2, np.min(mag[ok]) - 0.2)
