"""Common planes of exposures that look at one field with their own WCS."""

import numpy as np

from jwst_hpastrom.geometry import TangentPlane
from jwst_hpastrom.geometry.planes import common_planes

SCALE = 65.0  # mas per pixel


def seen(x, y, ra, dec, roll):
    """Where a camera without distortion has pixels."""
    plane, turn = TangentPlane(ra, dec, scale_mas=SCALE), np.deg2rad(roll)
    u = np.cos(turn) * (x - 1000) - np.sin(turn) * (y - 1000)
    v = np.sin(turn) * (x - 1000) + np.cos(turn) * (y - 1000)
    return plane.to_sky(*(c * SCALE / 1e3 for c in (u, v)))


def test_one_place_has_one_position_in_all():
    y, x = (a.ravel() for a in np.mgrid[0:2000:25j, 0:2000:25j])
    pointings = [(80.0, -69.5, 0.0), (80.02, -69.505, 0.3), (79.99, -69.49, 117.0)]
    planes, pixel = common_planes(x, y, [seen(x, y, *p) for p in pointings])
    assert np.isclose(pixel, SCALE / 1e3, rtol=1e-6)
    ra, dec = 80.005, -69.501
    found = []
    for p, plane in zip(pointings, planes, strict=True):
        xi, eta = (1e3 / SCALE * c for c in TangentPlane(*p[:2]).from_sky(np.array([ra]), np.array([dec])))
        turn = np.deg2rad(p[2])
        at_x = 1000 + np.cos(turn) * xi + np.sin(turn) * eta
        at_y = 1000 - np.sin(turn) * xi + np.cos(turn) * eta
        found.append(np.ravel(plane(at_x, at_y)))
    np.testing.assert_allclose(found[1:], [found[0]] * 2, atol=1e-4)
    u, v = planes[0](np.array([100.0, 101.0]), np.array([100.0, 100.0]))
    assert np.isclose(np.hypot(*np.diff([u, v])), 1.0, atol=1e-4)  # a pixel is one of the plane
