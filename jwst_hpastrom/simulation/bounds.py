"""The Cramér–Rao bound: the smallest errors that any unbiased measurement can have."""

import numpy as np
from scipy.spatial import cKDTree

from jwst_hpastrom.simulation._kernels import star_fisher

__all__ = ["cramer_rao", "isolated"]


def cramer_rao(exposure, *, half=2):
    """Smallest standard errors of the stars of a simulated exposure, from the true PSF and the true noise.

    Parameters
    ----------
    exposure : `~jwst_hpastrom.simulation.SimulatedExposure`

    half : int
        Half side of the square of pixels that a fit may use; 2 for 5 x 5.

    Returns
    -------
    x_err, y_err : ndarray
        Pixels, in the order of ``exposure.truth``; NaN where the pixels do not determine a star.

    flux_err : ndarray
        MJy/sr.

    Notes
    -----
    Position and flux are unknown, the sky is known. A star's own and the sky's photons and read noise count;
    neighbors' photons do not, so the bound is of isolated stars.
    """
    field, truth = exposure.parent, exposure.truth
    noise, n = field.config.noise, len(truth)
    per = noise.electrons
    x, y, flux = (np.asarray(truth[c], float) for c in ("x", "y", "flux"))
    good = field.sensor.flag == 0
    floor = (
        noise.background / per + (noise.read_noise / per) ** 2 + (noise.flat_error * noise.background) ** 2
    )
    fisher = np.zeros((n, 3, 3))
    epsf = field.epsf
    star_fisher(
        epsf.coefficients,
        epsf.x,
        epsf.y,
        epsf.oversampling,
        field.config.origin,
        x,
        y,
        flux,
        good,
        per,
        floor,
        half,
        fisher,
    )
    errors = np.full((n, 3), np.nan)
    solvable = np.linalg.cond(fisher) < 1e14
    errors[solvable] = np.sqrt(np.diagonal(np.linalg.inv(fisher[solvable]), axis1=1, axis2=2))
    return errors[:, 0], errors[:, 1], errors[:, 2]


def isolated(truth, *, radius=8.0, magnitudes=4.0):
    """Stars without a neighbor within ``radius`` pixels that is brighter than they are plus ``magnitudes``.

    Parameters
    ----------
    truth : `~astropy.table.Table`
        ``x y mag``.

    radius : float
        Pixels.

    magnitudes : float
        How much fainter a neighbor may be at least.

    Returns
    -------
    ndarray of bool
    """
    x, y, mag = (np.asarray(truth[c], float) for c in ("x", "y", "mag"))
    alone = np.ones(x.size, bool)
    pairs = cKDTree(np.c_[x, y]).query_pairs(radius, output_type="ndarray")
    for one, other in (pairs.T, pairs.T[::-1]) if len(pairs) else ():
        alone[one[mag[other] < mag[one] + magnitudes]] = False
    return alone
