"""What a star list shows by itself, and its bright stars among the others'."""

import numpy as np
from scipy.spatial import cKDTree

from jwst_hpastrom.columns import values
from jwst_hpastrom.numerics import robust_sigma

__all__ = ["bright_residuals", "double_shares", "error_ranges", "twice_shares"]

#: fewest stars; magnitudes that they must span for errors to differ; share that is bright
LEAST, SPAN, BRIGHT = 30, 1.5, 0.3
#: pixels within which stars have second images, and by which these agree; most stars that are looked at
APART, ALIKE, MOST = 15.0, 0.3, 4000
#: standard deviations of what chance brings together; share of the pairs that another step may have
CHANCE, SECOND = 5.0, 0.5


def twice_shares(star_lists):
    """Share of each list's rows at the very pixels of another row of it.

    Parameters
    ----------
    star_lists : sequence of `~astropy.table.Table`

    Returns
    -------
    list of float
    """
    out = []
    for stars in star_lists:
        place = np.stack([values(stars, c) for c in "xy"])
        place = place[:, np.isfinite(place).all(0)]
        out.append(1 - np.unique(place, axis=1).shape[1] / place.shape[1] if place.shape[1] else np.nan)
    return out


def double_shares(star_lists):
    """Share of each list's stars that have a second image one and the same step away.

    Parameters
    ----------
    star_lists : sequence of `~astropy.table.Table`

    Returns
    -------
    list of float
        Beyond what chance makes; 0 where several steps do, as those of a regular grid of stars.
    """
    out = []
    for stars in star_lists:
        x, y = (values(stars, c) for c in "xy")
        mag = values(stars, "mag") if "mag" in stars.colnames else np.zeros(x.size)
        rows = np.flatnonzero(np.isfinite(x + y))
        rows = rows[np.argsort(mag[rows], kind="stable")[:MOST]]
        out.append(_double_share(np.stack([x[rows], y[rows]], 1)) if rows.size >= LEAST else np.nan)
    return out


def _double_share(place):
    """Share of places that have another the commonest step away."""
    one, other = cKDTree(place).query_pairs(APART, output_type="ndarray").T
    step = place[other] - place[one]
    if not len(step):
        return 0.0
    step *= np.where((step[:, 1] > 0) | ((step[:, 1] == 0) & (step[:, 0] > 0)), 1.0, -1.0)[:, None]
    number = cKDTree(step).query_ball_point(step, ALIKE, return_length=True)
    most = int(np.argmax(number))
    expected = len(step) * 2 * ALIKE**2 / APART**2
    chance = expected + CHANCE * np.sqrt(max(expected, 1.0))
    others = number[np.hypot(*(step - step[most]).T) > 2 * ALIKE]
    if others.size and others.max() - chance > SECOND * (number[most] - chance):
        return 0.0
    return float(max(number[most] - chance, 0.0) / len(place))


def error_ranges(star_lists):
    """Ratio of large to small stated errors of each list (90 to 10 percent), where its stars' light differs.

    Parameters
    ----------
    star_lists : sequence of `~astropy.table.Table`

    Returns
    -------
    list of float
        NaN for lists without errors, with few stars, or with stars of like magnitudes.
    """
    out = []
    for stars in star_lists:
        named = {"x_err", "y_err", "mag"} <= set(stars.colnames)
        error, mag = (values(stars, c) if named else np.array([np.nan]) for c in ("x_err", "mag"))
        ok = np.isfinite(error + mag) & (error > 0)
        if ok.sum() < LEAST or np.ptp(np.quantile(mag[ok], [0.1, 0.9])) < SPAN:
            out.append(np.nan)
            continue
        low, high = np.quantile(error[ok], [0.1, 0.9])
        out.append(float(high / low))
    return out


def bright_residuals(frame, n):
    """Scatter of the bright stars' residuals of each exposure, rejected ones too, pixels of the frame.

    Parameters
    ----------
    frame : `~jwst_hpastrom.frame.MasterFrame`

    n : int
        Number of exposures.

    Returns
    -------
    ndarray, shape (n,)
        NaN for exposures with fewer than 30 bright stars in the frame.
    """
    m, mag = frame.measurements, values(frame.table, "mag")
    if not np.isfinite(mag).any():
        return np.full(n, np.nan)
    bright = (mag <= np.nanquantile(mag, BRIGHT)) & (values(frame.table, "n_used") >= 3)
    star, exposure = np.asarray(m["star"]), np.asarray(m["exposure"])
    d, out = np.stack([values(m, c) for c in ("dx", "dy")]), np.full(n, np.nan)
    for k in range(n):
        mine = (exposure == k) & bright[star] & np.isfinite(d).all(0)
        if mine.sum() >= LEAST:
            out[k] = np.hypot(*(robust_sigma(c) for c in d[:, mine])) / np.sqrt(2)
    return out
