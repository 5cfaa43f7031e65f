"""Approximate coordinates that exposures have in common, where each has only a WCS of its own."""

from collections.abc import Callable, Sequence

import numpy as np

from jwst_hpastrom.geometry.tangent import TangentPlane, sky_middle
from jwst_hpastrom.geometry.transform_fits import fit_polynomial

__all__ = ["common_planes"]

PLANE_DEGREE = 6  # of the polynomials that stand for the exposures' WCS; the flight polynomial has 5


def common_planes(
    x: np.ndarray, y: np.ndarray, skies: Sequence[tuple[np.ndarray, np.ndarray]]
) -> tuple[list[Callable], float]:
    """Maps from each exposure's raw pixels to pixels of one tangent plane, through where its WCS has them.

    Parameters
    ----------
    x, y : ndarray, shape (n,)
        Raw pixels all over the exposures.

    skies : sequence of (ra, dec)
        Per exposure where its WCS has these pixels, degrees, shape (n,) each.

    Returns
    -------
    planes : list of callable
        Per exposure, (x, y) -> plane pixels, a polynomial of degree 6.

    pixel_arcsec : float
        Side of a pixel: root of the median area.
    """
    middle = sky_middle(*(np.concatenate(c) for c in zip(*skies, strict=True)))
    flat = [TangentPlane(*middle).from_sky(*s) for s in skies]
    area = np.nanmedian([np.abs(np.linalg.det(_jacobian(x, y, *f))) for f in flat])
    plane = TangentPlane(*middle, scale_mas=1e3 * np.sqrt(area))
    targets = [plane.to_pixels(*plane.from_sky(*s)) for s in skies]
    planes = [fit_polynomial(x, y, u, v, PLANE_DEGREE, sigma=None).transform.forward for u, v in targets]
    return planes, float(np.sqrt(area))


def _jacobian(x, y, u, v):
    linear = fit_polynomial(x, y, u, v, 1, sigma=None).transform
    return linear.jacobian(np.mean(x), np.mean(y))
