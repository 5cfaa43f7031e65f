"""From relative to absolute motions."""

import numpy as np

__all__ = ["zero_point"]


def zero_point(relative, error, absolute, absolute_error, *, sigma=3.0, min_stars=3):
    """Clipped weighted mean of (absolute − relative).

    Parameters
    ----------
    relative, error, absolute, absolute_error : ndarray, shape (2, n)
        Motions and standard errors in the two axes, mas/yr; NaN where unknown. Where no absolute error is
        known all weigh as their relative errors say.

    sigma : float
        Clipping, in either axis drops a star from both.

    min_stars : int
        Fewest stars.

    Returns
    -------
    zero, zero_error : ndarray, shape (2,)
        NaN where there are fewer than ``min_stars``. The error is that of the weights, scaled up where
        the scatter is larger than they say.

    n : int
        Stars used.
    """
    difference = np.asarray(absolute, float) - np.asarray(relative, float)
    extra = np.where(np.isfinite(absolute_error), absolute_error, 0.0)
    var = np.asarray(error, float) ** 2 + extra**2
    ok = np.all(np.isfinite(difference) & np.isfinite(var) & (var > 0), axis=0)
    none = np.full(2, np.nan)
    for _ in range(20):
        if ok.sum() < min_stars:
            return none, none.copy(), int(ok.sum())
        w = 1.0 / var[:, ok]
        zero = np.sum(w * difference[:, ok], axis=1) / w.sum(axis=1)
        pull = np.abs(difference - zero[:, None]) / np.sqrt(var)
        spread = 1.4826 * np.median(pull[:, ok], axis=1)
        new = np.all(np.isfinite(difference) & (var > 0), axis=0)
        new &= np.all(pull <= sigma * np.maximum(spread, 1e-12)[:, None], axis=0)
        if np.array_equal(new, ok) or new.sum() < min_stars:
            break
        ok = new
    excess = np.maximum(np.mean(pull[:, ok] ** 2, axis=1), 1.0)
    return zero, np.sqrt(excess / w.sum(axis=1)), int(ok.sum())
