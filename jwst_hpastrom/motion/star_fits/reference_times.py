"""Whether all lists' times, or the reference catalog's, are wrong: what the reference stars' motions say."""

from typing import NamedTuple

import numpy as np

from jwst_hpastrom.geometry import robust_sigma

__all__ = ["ReferenceLines", "reference_time", "time_error"]

#: fewest stars that tell
LEAST = 20
#: clipping of the fit of the time, in robust widths, and its iterations
CLIP, ROUNDS = 4.0, 6
#: share of all that the time was made from beyond which one star's residual says nothing
MOST = 0.9
#: a normal distribution's width that a star of outstanding motion takes for that of all, in its own motion
OUTSTANDING = 1 / 3
#: least share of a motion that is not error: what is less tells no time
REAL = 0.05


class ReferenceLines(NamedTuple):
    """Straight lines of reference stars, measured and in their catalog; arrays of shape (n, 2), mas, years.

    Attributes
    ----------
    difference, change : ndarray
        Measured minus the catalog's positions at ``epoch``, and motions.

    epoch : ndarray, shape (n,) or float

    motion : ndarray
        The catalog's.

    ours, theirs : ndarray, shape (n, 2, 3)
        Mean epoch of each line, and the variances of position there and of motion: those of the
        measurements, and the catalog's.
    """

    difference: np.ndarray
    change: np.ndarray
    epoch: np.ndarray
    motion: np.ndarray
    ours: np.ndarray
    theirs: np.ndarray


def time_error(residual, motion, weight):
    """Fit residuals = time × motion.

    Parameters
    ----------
    residual, motion, weight : ndarray, shape (n, 2)
        Measured minus expected positions, mas, motions about their mean, mas/yr, and inverse variances.

    Returns
    -------
    time, error : float
        Years by which the measurements are later than their time says; NaN for fewer than 20 stars.

    Notes
    -----
    The error is the largest of what the weights say, what all residuals say, and what those of the stars
    say that the time hangs on: few of outstanding motion.

    Examples
    --------
    >>> motion = np.random.default_rng(1).normal(0, 2, (100, 2))
    >>> [round(v, 3) + 0.0 for v in time_error(3 * motion, motion, np.ones((100, 2)))]
    [3.0, 0.0]
    """
    good = np.isfinite(residual + motion + weight) & (weight > 0)
    if good.all(1).sum() < LEAST:
        return np.nan, np.nan
    r, v, root = residual[good], motion[good], np.sqrt(weight[good])
    # the median of the ratios first: as many wrong as right ones do not turn it
    far = np.abs(v) > np.median(np.abs(v))
    time, keep = float(np.median(r[far] / v[far])), np.ones(r.size, bool)
    for _ in range(ROUNDS):
        pull = (r - time * v) * root
        width = max(robust_sigma(pull), 1e-12)
        keep = np.abs(pull) < CLIP * width
        power = np.sum((v * root)[keep] ** 2)
        time = float(np.sum((r * v * root**2)[keep]) / power)
    if width <= 1e-11:
        return time, 0.0
    pull, lever = ((r - time * v) * root)[keep], ((v * root)[keep]) ** 2 / power
    even = max(np.sum(pull**2) / max(pull.size - 1, 1), 1.0)
    own = np.sum(lever * (pull / (1 - np.minimum(lever, MOST))) ** 2)
    return time, float(np.sqrt(max(even, own) / power))


def lines(epochs, weight):
    """Mean epoch, variance of the position there, and of the motion, of weighted lines; (..., 3)."""
    total = weight.sum(-1)
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = weight @ epochs / total
        power = np.sum(weight * (epochs - mean[..., None]) ** 2, -1)
        return np.stack([mean, 1 / total, 1 / power], -1)


def reference_time(stars):
    """Years by which all lists are later than they say, against the reference stars' motions.

    Parameters
    ----------
    stars : `ReferenceLines`

    Returns
    -------
    time, error : float
        NaN for fewer than 20 stars, and where no motions are larger than their errors.

    Notes
    -----
    Where all times are late by T, stars are ahead by T times their motion. Positions that are carried to
    another epoch have errors in common with the motion that carried them: compared with that motion, they
    look late or early by the whole time between. So positions are compared at an epoch where they have no
    error in common with the motion: the measured motions at the mean epoch of the measurements, the
    catalog's at that of the catalog, whatever the size of either's errors. Of the two, the one that says it
    better is returned. A motion's own error makes a time look small; each is replaced by what is
    expected of it, given the dispersion of all. Stars whose two motions disagree are left out.
    """
    found = [
        _at_epoch(stars, stars.motion + stars.change, stars.ours),
        _at_epoch(stars, stars.motion, stars.theirs),
    ]
    return min(found, key=lambda f: f[1] if np.isfinite(f[1]) else np.inf)


def _at_epoch(stars, motion, line):
    """Time from the positions at the epoch of a line, against the motions of the same."""
    epoch, error2 = line[..., 0], line[..., 2]
    d = stars.difference + stars.change * (epoch - np.reshape(stars.epoch, (-1, 1)))
    variance = sum(at[..., 1] + at[..., 2] * (epoch - at[..., 0]) ** 2 for at in (stars.ours, stars.theirs))
    ok = np.isfinite(d + motion + variance + error2).all(1) & (variance > 0).all(1) & _agree(stars)
    if ok.sum() < LEAST:
        return np.nan, np.nan
    d, motion = (a[ok] - np.median(a[ok], axis=0) for a in (d, motion))
    real = np.array([robust_sigma(m) for m in motion.T]) ** 2 - np.median(error2[ok], axis=0)
    real = np.maximum(real, (OUTSTANDING * motion) ** 2 - error2[ok])
    share = np.maximum(real, 0.0) / (np.maximum(real, 0.0) + error2[ok])
    return time_error(d, motion * share, np.where(share > REAL, variance[ok], np.inf) ** -1.0)


def _agree(stars):
    """Stars whose two motions agree: a wrong measurement moves motion and position together."""
    pull = stars.change / np.sqrt(stars.ours[..., 2] + stars.theirs[..., 2])
    ok = np.isfinite(pull).all(1)
    if not ok.any():
        return ok
    pull = np.where(ok[:, None], pull - np.median(pull[ok], axis=0), np.inf)
    return (np.abs(pull) < CLIP * max(robust_sigma(pull[ok]), 1.0)).all(1)
