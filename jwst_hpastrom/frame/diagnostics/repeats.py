"""Each exposure's errors from the differences of its positions from those of every other exposure."""

import numpy as np

from jwst_hpastrom.columns import values
from jwst_hpastrom.numerics import robust_sigma

__all__ = ["error_factors", "pair_ratios"]

#: fewest faint stars of a pair of exposures
LEAST = 25
#: share of the stars, the faintest, whose errors are those of their light and not of the ePSF or distortion
FAINT = 0.5
#: most exposures that are compared, evenly through them: pairs grow with the square
MOST = 12
#: scatter over errors of two exposures that are one, where no third tells
SAME = 0.01


def pair_ratios(frame, star_lists):
    """Scatter between pairs of exposures over their stated errors, of faint stars.

    Parameters
    ----------
    frame : `~jwst_hpastrom.frame.MasterFrame`

    star_lists : sequence of `~astropy.table.Table`
        What it was built from, in the same order.

    Returns
    -------
    found, stated : ndarray, shape (n, n)
        Variance of the differences, and what exposure i's own errors have of it, of the pair (i, j): found =
        stated + stated.T where the errors are right. NaN where fewer than 25 stars are in both.
    """
    n = len(star_lists)
    mag = values(frame.table, "mag")
    faint = np.isfinite(mag) & (mag >= np.nanquantile(mag, 1 - FAINT))
    chosen = np.unique(np.linspace(0, n - 1, min(n, MOST)).astype(int))
    of = {k: [c[:, faint] for c in _of_exposure(frame, star_lists[k], k)] for k in chosen}
    found, stated = np.full((n, n), np.nan), np.full((n, n), np.nan)
    for i in chosen:
        for j in chosen[chosen > i]:
            d = of[i][0] - of[j][0]
            both = np.isfinite(d + of[i][1] + of[j][1]).all(0)
            if both.sum() < LEAST:
                continue
            # in units of the pair's own errors, which differ from star to star
            total = of[i][1][:, both] + of[j][1][:, both]
            width = [robust_sigma(a) for a in d[:, both] / np.sqrt(total)]
            found[i, j] = found[j, i] = np.mean(np.square(width)) * np.mean(total)
            stated[i, j], stated[j, i] = (np.mean(of[k][1][:, both]) for k in (i, j))
    return found, stated


def _of_exposure(frame, stars, k):
    """Residuals and variances of one exposure for all stars, each (2, n); NaN for those it has not."""
    m = frame.measurements
    mine = slice(*np.searchsorted(m["exposure"], (k, k + 1)))
    star, row = (np.asarray(m[c][mine]) for c in ("star", "row"))
    position, variance = np.full((2, 2, len(frame.table)), np.nan)
    for axis, c in enumerate("xy"):
        position[axis, star] = np.asarray(m[f"d{c}"][mine], float)
        error = values(stars, f"{c}_err")[row] * frame.transforms[k].scale
        variance[axis, star] = np.where(error > 0, error**2, np.nan)
    return position, variance


def error_factors(found, stated):
    """Factor on each exposure's errors that the pairs show.

    Parameters
    ----------
    found, stated : ndarray, shape (n, n)
        Of `pair_ratios`.

    Returns
    -------
    factor : ndarray, shape (n,)
        NaN for fewer than three exposures that can be compared. Not below one for an exposure that differs
        from every other by more than the errors of both, which are not too large then.

    alike : ndarray, shape (n,)
        Scatter between the exposure and the one most like it, over that which the errors, and that which the
        other exposures let expect, whichever is less: small only for one exposure twice, not for two with
        overstated errors, or two much deeper ones. NaN for two exposures, unless they are the same.

    Examples
    --------
    >>> stated = np.ones((4, 4))
    >>> stated[0] /= 100  # the first states errors that are ten times too small
    >>> error_factors(np.full((4, 4), 2.0), stated)[0].round(2) + 0.0
    array([10.,  1.,  1.,  1.])
    """
    n = len(found)
    i, j = np.nonzero(np.triu(np.isfinite(found), 1))
    factor, alike = np.full((2, n), np.nan)
    with np.errstate(invalid="ignore", divide="ignore"):
        ratio = found / (stated + stated.T)
    for k, m in zip(i, j, strict=True):
        others = np.delete(found[[k, m]], [k, m], axis=1)
        typical = np.nanmedian(others) if np.isfinite(others).any() else np.nan
        both = max(ratio[k, m], found[k, m] / typical) if typical > 0 else ratio[k, m]
        if np.isfinite(typical) or both < SAME**2:
            alike[[k, m]] = np.fmin(alike[[k, m]], np.sqrt(both))
    seen = np.unique(np.r_[i, j])
    if seen.size < 3 or i.size < seen.size:
        return factor, alike
    design, scale = np.zeros((i.size, n)), 1.0 / (found[i, j] + 0.01 * (stated[i, j] + stated[j, i]))
    design[np.arange(i.size), i], design[np.arange(i.size), j] = stated[i, j], stated[j, i]
    f, *_ = np.linalg.lstsq(design[:, seen] * scale[:, None], found[i, j] * scale, rcond=None)
    factor[seen] = np.sqrt(np.maximum(f, 0.0))
    # differences beyond both errors from every other: where dithers see a distortion is no sum over exposures
    beyond = np.nanmin(ratio[seen], axis=1) > 1
    factor[seen[beyond]] = np.maximum(factor[seen[beyond]], 1.0)
    return factor, alike
