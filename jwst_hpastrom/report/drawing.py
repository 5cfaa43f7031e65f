"""What the figures share."""

import numpy as np

__all__ = ["BRIGHT", "bright_rows", "new_figure", "running_median", "thin"]

BRIGHT = (-6.5, -5.0)


def new_figure(width, height, rows=1, columns=1, **kwargs):
    """A figure without pyplot's state, and its axes (rows × columns)."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.subplots(rows, columns, squeeze=False, **kwargs)


def running_median(x, y, bins):
    """Bin centres and medians of y in bins of x; NaN where fewer than five."""
    index = np.digitize(x, bins) - 1
    centre = 0.5 * (bins[1:] + bins[:-1])
    value = [np.median(y[index == k]) if np.sum(index == k) > 4 else np.nan for k in range(len(centre))]
    return centre, np.array(value)


def thin(rng, n, most=20000):
    """Indices of at most so many points: a plot needs no more."""
    return np.arange(n) if n <= most else rng.choice(n, most, replace=False)


def bright_rows(residuals):
    """Rows in the bright range, or all where fewer than 50 are."""
    mag = np.asarray(residuals["mag"])
    chosen = (mag > BRIGHT[0]) & (mag < BRIGHT[1])
    return chosen if chosen.sum() >= 50 else np.ones(mag.size, bool)
