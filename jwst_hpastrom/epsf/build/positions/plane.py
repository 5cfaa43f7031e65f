"""Approximate plane coordinates of exposures as a distortion to begin with."""

import numpy as np

from jwst_hpastrom.geometry import LinearTransform, PolynomialTransform, fit_polynomial

__all__ = ["plane_polynomial"]


def plane_polynomial(to_plane, shape):
    """Return the distortion part of an exposure's plane coordinates, as raw -> corrected pixels.

    Parameters
    ----------
    to_plane : callable
        (x, y) -> approximate tangent-plane coordinates, pixels.

    shape : (int, int)
        Detector shape (ny, nx).

    Returns
    -------
    `~jwst_hpastrom.geometry.PolynomialTransform`
        Degree 5; the plane's offset, rotation, scale and parity at the detector's center are taken out.
    """
    ny, nx = shape
    y, x = (a.ravel() for a in np.mgrid[0 : ny - 1 : 25j, 0 : nx - 1 : 25j])
    u, v = to_plane(x, y)
    poly = fit_polynomial(x, y, u, v, 5, sigma=None).transform
    center = np.array([(nx - 1) / 2, (ny - 1) / 2])
    linear = LinearTransform(poly.jacobian(*center), np.array(poly.forward(*center)), center).inverted()
    a, b = linear.matrix @ np.stack([poly.a, poly.b])
    shift = linear.offset - linear.matrix @ linear.center
    a[0], b[0] = a[0] + shift[0], b[0] + shift[1]
    return PolynomialTransform(5, a, b, poly.center, poly.half_width)
