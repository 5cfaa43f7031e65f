"""The Cramér–Rao bound: the smallest errors that any unbiased measurement can have."""

from typing import Any

import numpy as np
from astropy.table import Table
from scipy.spatial import cKDTree

from jwst_hpastrom.errors import NotEnoughStarsError
from jwst_hpastrom.geometry import polynomial_terms
from jwst_hpastrom.simulation._kernels import star_fisher

__all__ = ["cramer_rao", "frame_bound", "isolated"]


def cramer_rao(exposure: Any, *, half: int = 2) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
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
    neighbors' photons do not, so the bound is of isolated stars. Groups that saturation or a jump takes from
    a pixel are missing in it, too. Pixels are drawn, if they are not yet.
    """
    field, truth = exposure.parent, exposure.truth
    noise, n = field.config.noise, len(truth)
    per = noise.electrons
    x, y, flux = (np.asarray(truth[c], float) for c in ("x", "y", "flux"))
    # what saturation and jumps leave of the groups is in a pixel's variances
    pixels = exposure.pixels
    good = (field.sensor.flag == 0) & np.isfinite(pixels.data)
    whole = np.maximum(pixels.data, 1 / per) / per + (noise.read_noise / per) ** 2
    kept = np.where(good, whole / (pixels.var_poisson + pixels.var_rnoise), 0.0)
    floor = (
        noise.background / per + (noise.read_noise / per) ** 2 + (noise.flat_error * noise.background) ** 2
    )
    fisher = np.zeros((n, 3, 3))
    star_fisher(field.epsf.grid, field.config.origin, x, y, flux, kept, (per, floor), half, fisher)
    errors = np.full((n, 3), np.nan)
    solvable = np.linalg.cond(fisher) < 1e14
    errors[solvable] = np.sqrt(np.diagonal(np.linalg.inv(fisher[solvable]), axis1=1, axis2=2))
    return errors[:, 0], errors[:, 1], errors[:, 2]


def isolated(truth: Table, *, radius: float = 8.0, magnitudes: float = 4.0) -> np.ndarray:
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

    Examples
    --------
    >>> from astropy.table import Table
    >>> from jwst_hpastrom.simulation import isolated
    >>> isolated(Table({"x": [0.0, 4.0, 90.0], "y": [0.0, 0.0, 0.0], "mag": [-6.0, -5.0, -4.0]}))
    array([False, False,  True])
    """
    x, y, mag = (np.asarray(truth[c], float) for c in ("x", "y", "mag"))
    alone = np.ones(x.size, bool)
    pairs = cKDTree(np.c_[x, y]).query_pairs(radius, output_type="ndarray")
    for one, other in (pairs.T, pairs.T[::-1]) if len(pairs) else ():
        alone[one[mag[other] < mag[one] + magnitudes]] = False
    return alone


def frame_bound(
    x: np.ndarray,
    y: np.ndarray,
    error: Any,
    reference: np.ndarray,
    reference_error: Any,
    *,
    degree: int = 1,
    structure: float = 0.0,
) -> np.ndarray:
    """Smallest errors of stars in a frame that a few reference stars carry to the sky.

    Parameters
    ----------
    x, y : ndarray, shape (n,)
        Positions of the stars in the frame, pixels.

    error : ndarray, shape (n,)
        Their errors in the frame, per axis: of one exposure by `cramer_rao`, over the square root of the
        number of exposures.

    reference : ndarray of int, shape (m,)
        Rows of the stars that the catalog has.

    reference_error : float or ndarray, shape (m,)
        Errors of their catalog positions at the exposures' epoch, per axis, pixels.

    degree : int
        Of the polynomial between frame and sky: 0 an offset, 1 six parameters, and one for each degree of
        distortion that has to be found, too.

    structure : float
        Root mean square per axis, pixels, of the distortion that such a polynomial does not follow and no
        given distortion takes out; it is the same in exposures that hardly move.

    Returns
    -------
    ndarray, shape (n,)
        Pixels per axis: the stars' own errors, the polynomial's and the structure, in quadrature.

    Raises
    ------
    NotEnoughStarsError
        Fewer reference stars than the polynomial has terms.

    Examples
    --------
    >>> import numpy as np
    >>> from jwst_hpastrom.simulation import frame_bound
    >>> x, y = np.random.default_rng(1).uniform(0, 100, (2, 20))
    >>> bound = frame_bound(x, y, np.full(20, 0.01), np.arange(10), 0.02, degree=1)
    >>> bool(np.all(bound > 0.01))
    True
    """
    x, y, error = (np.asarray(v, float) for v in (x, y, error))
    terms = list(polynomial_terms(degree))
    reference = np.asarray(reference, int)
    if reference.size < len(terms):
        raise NotEnoughStarsError(f"{reference.size} reference stars", f"{len(terms)} for degree {degree}")
    half = max(np.ptp(x), np.ptp(y), 1e-9) / 2
    p, q = (x - x.mean()) / half, (y - y.mean()) / half
    design = np.stack([p**i * q**j for i, j in terms], 1)
    w = 1.0 / (np.square(reference_error) + error[reference] ** 2 + structure**2)
    a = design[reference]
    covariance = np.linalg.inv(a.T @ (a * np.broadcast_to(w, reference.shape)[:, None]))
    carried = np.einsum("ni,ij,nj->n", design, covariance, design)
    return np.sqrt(error**2 + carried + structure**2)
