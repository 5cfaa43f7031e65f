"""What few epochs, or epochs in an unlucky order, cannot tell: flags, warnings."""

import numpy as np
from scipy.special import chdtrc

__all__ = ["group_share_of_time", "inconsistent_few"]

#: probability of a straight line's chi-square below which a star of three or four epochs is inconsistent
IMPROBABLE = 1e-3


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
