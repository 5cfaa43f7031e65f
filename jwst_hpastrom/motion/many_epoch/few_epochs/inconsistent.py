"""What few epochs, or epochs in an unlucky order, cannot tell: flags, warnings."""

import numpy as np
from scipy.special import chdtrc

__all__ = ["group_share_of_time", "hangs_on_one", "inconsistent_few"]

#: probability of a straight line's chi-square below which a star of three or four epochs is inconsistent
IMPROBABLE = 1e-3
#: standard errors of its residual from which on a wrong measurement shows; and by how many of its own errors
#: one that does not may move a motion. Of three and four epochs of which a tenth of one epoch's measurements
#: are wrong by 6 errors, motions below that have pulls up to 1.2 (3 % beyond 3), above it 1.3 to 1.9
SHOWN, MOST_MOVED = 4.0, 9.0


def inconsistent_few(fits, epochs, position, error, *, fewest=3, most=4):
    """Stars whose few epochs do not lie on a line within their errors.

    Parameters
    ----------
    fits : `~jwst_hpastrom.motion.star_fits.models.MotionFits`

    epochs : ndarray

    position, error : ndarray, shape (2, n, n_epochs)
        mas.

    fewest, most : int
        Epochs of the stars that are looked at.

    Returns
    -------
    ndarray of bool
    """
    n_used = fits.used.sum(1)
    chi2 = np.zeros(n_used.size)
    for k, epoch in enumerate(epochs):
        here = fits.used[:, k]
        d = (position[:, here, k] - fits.at(epoch)[0][here].T) / error[:, here, k]
        chi2[here] += np.sum(d**2, axis=0)
    dof = 2 * n_used - fits.coefficients.shape[1]
    tested = (fits.model >= 0) & (n_used >= fewest) & (n_used <= most) & (dof > 0) & np.isfinite(chi2)
    inconsistent = np.zeros(n_used.size, bool)
    inconsistent[tested] = chdtrc(dof[tested], chi2[tested]) < IMPROBABLE
    return inconsistent


def hangs_on_one(used, epochs, error):
    """Stars whose motions hang on one epoch so much that a wrong measurement there would not show.

    The residual of a measurement is its error less what the line takes of it (its leverage), and the more
    that is, the more the motion moves: of one epoch far from all others the line takes everything
    ("external reliability", Baarda 1968).

    Parameters
    ----------
    used : ndarray of bool, shape (n, n_epochs)

    epochs : ndarray

    error : ndarray, shape (2, n, n_epochs)
        mas.

    Returns
    -------
    ndarray of bool
        False for stars of fewer than three epochs.
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        w = np.where(used, 2 / np.sum(np.square(error), axis=0), 0.0)
        total = w.sum(1, keepdims=True)
        dt = np.asarray(epochs, float) - (w @ epochs)[:, None] / total
        # what an error of its own size moves the motion by, in the motion's errors, squared
        of_motion = w * dt**2
        of_motion /= of_motion.sum(1, keepdims=True)
        left = 1 - w / total - of_motion
        moved = SHOWN * np.sqrt(of_motion / np.maximum(left, 1e-12))
    return (used.sum(1) > 2) & (np.nanmax(np.nan_to_num(moved), axis=1) > MOST_MOVED)


def group_share_of_time(epochs, group):
    """Share of the variance of the epochs that lies between groups: 1 where group and time coincide.

    Parameters
    ----------
    epochs, group : ndarray, shape (n_epochs,)

    Returns
    -------
    float
        NaN for one group, or a group an epoch.
    """
    labels, index, count = np.unique(group, return_inverse=True, return_counts=True)
    if not 1 < labels.size < len(epochs):
        return np.nan
    means = np.bincount(index, epochs) / count
    return float(np.var(means[index]) / np.var(epochs))
