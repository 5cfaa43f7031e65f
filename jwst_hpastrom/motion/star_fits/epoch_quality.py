"""What the motions of many epochs tell of each list: its time, its errors, what was thrown away."""

import numpy as np
from astropy.table import Table

from jwst_hpastrom.geometry import robust_sigma
from jwst_hpastrom.motion.star_fits.list_times import list_times
from jwst_hpastrom.motion.star_fits.reference_times import time_error
from jwst_hpastrom.numerics.groups import larger_half

__all__ = ["epoch_quality", "list_scatter"]

#: fewest stars of a list, and fewest epochs of a star, that its numbers are made from
LEAST, EPOCHS = 30, 4
#: share of the variance of a residual that must be left after the star's own fit
FREE = 0.2
#: the motions' dispersion over their errors below which they tell no time
MOVING = 3.0
#: ratio of large to small errors at one magnitude from which the two are compared
UNLIKE = 1.5


def epoch_quality(epochs, position, error, fits, usable, names, mag=None):
    """Measure each list against the motions that come out of all.

    Parameters
    ----------
    epochs : ndarray, shape (n_epochs,)

    position, error : ndarray, shape (2, n, n_epochs)
        mas; errors as the lists state them.

    fits : `~jwst_hpastrom.motion.star_fits.models.MotionFits`

    usable : ndarray of bool, shape (n, n_epochs)

    names : sequence of str
        Of the lists.

    mag : ndarray, shape (n, n_epochs), optional

    Returns
    -------
    `~astropy.table.Table`
        list, epoch, n_stars; share_used, of the measurements; scatter_over_error, robust width of the bright
        half's residuals from the motions over the lists' errors; loo_pull, the same of the leave-one-out
        predictions over their errors; small_over_large, of stars with small over that of stars with large
        errors, at one magnitude (NaN where errors are alike); time_error and time_error_error, years by
        which the stars are ahead of the epoch (`~jwst_hpastrom.motion.star_fits.list_times.list_times`; NaN
        where motions tell no time).
    """
    motion, size = fits.motion, np.hypot(*fits.motion_error.T)
    fitted, best = _best(fits)
    moving = motion - (np.median(motion[best], axis=0) if best.any() else 0.0)
    tells = best.any() and np.hypot(*[robust_sigma(m) for m in moving[best].T]) > MOVING * np.median(
        size[best]
    )
    rows, late = [], list_times(epochs, position, error, fits, usable)
    for k, epoch in enumerate(epochs):
        here = fitted & usable[:, k]
        share = float(fits.used[here, k].mean()) if here.any() else np.nan
        bright = best & here
        d, e = (position[:, :, k] - fits.at(epoch)[0].T).T, error[:, :, k].T
        scatter, pull, parts, time = np.nan, np.nan, np.nan, (np.nan, np.nan)
        if bright.sum() >= LEAST:
            d = d - np.median(d[bright], axis=0)
            scatter = _scatter(d, error, fits, epochs, k, bright)
            ahead = position[:, :, k].T - fits.loo_mean[:, :, k]
            pull = _width((ahead / fits.loo_error[:, :, k])[here])
            parts = np.nan if mag is None else _parts(ahead[here], e[here], mag[here, k])
            if tells:
                time = time_error(d[bright], moving[bright], e[bright] ** -2.0)
        if np.isfinite(late[0][k]):
            time = float(late[0][k]), float(late[1][k])
        rows.append((str(names[k]), float(epoch), int(here.sum()), share, scatter, pull, parts, *time))
    names = ("list", "epoch", "n_stars", "share_used", "scatter_over_error", "loo_pull", "small_over_large",
             "time_error", "time_error_error")  # fmt: skip
    out = Table(rows=rows, names=names)
    out["epoch"].unit = out["time_error"].unit = out["time_error_error"].unit = "yr"
    return out


def list_scatter(epochs, position, error, fits, usable):
    """Median of the lists' ``scatter_over_error``, as of `epoch_quality`, whose arguments these are.

    Returns
    -------
    float
        NaN where no list has stars enough.
    """
    best, out = _best(fits)[1], []
    for k, epoch in enumerate(epochs):
        bright = best & usable[:, k]
        if bright.sum() >= LEAST:
            d = (position[:, :, k] - fits.at(epoch)[0].T).T
            out.append(_scatter(d - np.median(d[bright], axis=0), error, fits, epochs, k, bright))
    return float(np.median(out)) if out else np.nan


def _best(fits):
    """Stars with motions of epochs enough, and the half of them with the smaller errors."""
    size = np.hypot(*fits.motion_error.T)
    fitted = (fits.model >= 0) & np.isfinite(size) & (fits.used.sum(1) >= EPOCHS)
    return fitted, fitted & (size <= np.median(size[fitted])) if fitted.any() else fitted


def _scatter(d, error, fits, epochs, k, rows):
    """Width of residuals over errors, with what a straight line of the star's own epochs takes of it."""
    w = np.where(fits.used, 1.0 / np.mean(error, axis=0) ** 2, 0.0)[rows]
    w = np.where(np.isfinite(w), w, 0.0)
    total = np.maximum(w.sum(1), 1e-300)
    dt = epochs[None, :] - (w @ epochs / total)[:, None]
    lever = w[:, k] * (1 / total + dt[:, k] ** 2 / np.maximum(np.sum(w * dt**2, 1), 1e-300))
    ok = (lever > 0) & (lever < 1 - FREE)
    if ok.sum() < LEAST:
        ok = w[:, k] == 0  # hardly any was used: they are what is to be seen
        lever = np.zeros_like(lever)
    pull = d[rows][ok] / error[:, rows, k].T[ok] / np.sqrt(1 - lever[ok])[:, None]
    return _width(pull)


def _width(pull):
    pull = pull[np.isfinite(pull).all(1)]
    return float(np.mean([robust_sigma(p) for p in pull.T])) if len(pull) >= 10 else np.nan


def _parts(ahead, error, mag):
    """Pull of the stars with the smaller over that of those with the larger errors of their magnitude."""
    ok = np.isfinite(ahead + error).all(1) & np.isfinite(mag)
    ahead, error, mag = ahead[ok], error[ok], mag[ok]
    if mag.size < 2 * LEAST:
        return np.nan
    size = np.hypot(*error.T)
    large = larger_half(mag, size)
    if not large.any() or np.median(size[large]) < UNLIKE * np.median(size[~large]):
        return np.nan
    return _width(ahead[~large] / error[~large]) / _width(ahead[large] / error[large])
