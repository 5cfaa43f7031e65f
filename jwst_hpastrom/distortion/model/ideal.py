"""Sky positions in an exposure's ideal frame: V2V3 turned to the detector's axes, arcseconds."""

from dataclasses import dataclass

import numpy as np

from jwst_hpastrom.errors import MissingDataError
from jwst_hpastrom.geometry import TangentPlane
from jwst_hpastrom.geometry.tangent import ARCSEC

__all__ = ["IdealPlane", "v2v3_from_ideal"]

_KEYS = ("v2_ref", "v3_ref", "v3yangle", "vparity", "ra_ref", "dec_ref", "roll_ref")


def _unit(longitude, latitude):
    a, d = np.deg2rad(longitude), np.deg2rad(latitude)
    return np.stack([np.cos(d) * np.cos(a), np.cos(d) * np.sin(a), np.sin(d) * np.ones_like(a)])


def _triad(longitude, latitude):
    a, d = np.deg2rad(longitude), np.deg2rad(latitude)
    radial = np.array([np.cos(d) * np.cos(a), np.cos(d) * np.sin(a), np.sin(d)])
    east = np.array([-np.sin(a), np.cos(a), 0.0])
    north = np.array([-np.sin(d) * np.cos(a), -np.sin(d) * np.sin(a), np.cos(d)])
    return radial, east, north


def v2v3_from_ideal(meta):
    """Return matrix and offset of the planar rotation ideal -> V2V3 (arcsec) of the official files."""
    a, p = np.deg2rad(float(meta["v3yangle"])), float(meta["vparity"])
    matrix = np.array([[p * np.cos(a), np.sin(a)], [-p * np.sin(a), np.cos(a)]])
    return matrix, np.array([float(meta["v2_ref"]), float(meta["v3_ref"])])


@dataclass(frozen=True)
class IdealPlane:
    """The plane in which an exposure's corrected positions are a similarity of the sky.

    With the pointing keywords in ``meta`` this is the official pipeline's ideal frame (velocity aberration
    not removed); without them a tangent plane about ``center``.

    Parameters
    ----------
    meta : mapping
        Metadata of a star list.

    center : tuple of float
        Right ascension and declination of the exposure, degrees, used where the keywords are missing.
    """

    meta: dict
    center: tuple

    @property
    def has_pointing(self):
        """Whether the ideal frame's keywords are there."""
        return all(self.meta.get(k) is not None for k in _KEYS)

    def from_sky(self, ra, dec):
        """Project sky positions (degrees); returns x and y in arcseconds."""
        ra, dec = np.asarray(ra, float), np.asarray(dec, float)
        if not self.has_pointing:
            if not np.all(np.isfinite(self.center)):
                raise MissingDataError("a star list without pointing and sky positions", "ra and dec columns")
            return TangentPlane(*self.center).from_sky(ra, dec)
        m = {k: float(self.meta[k]) for k in _KEYS}
        radial, east, north = _triad(m["ra_ref"], m["dec_ref"])
        r = np.deg2rad(m["roll_ref"])
        t3 = np.cos(r) * north + np.sin(r) * east
        t2 = np.cos(r) * east - np.sin(r) * north
        own = np.stack([radial, t2, t3]) @ _unit(ra.ravel(), dec.ravel())
        tel = np.stack(_triad(m["v2_ref"] / 3600, m["v3_ref"] / 3600), 1) @ own
        dv2 = np.arctan2(tel[1], tel[0]) * ARCSEC - m["v2_ref"]
        dv3 = np.arcsin(np.clip(tel[2], -1, 1)) * ARCSEC - m["v3_ref"]
        matrix, _ = v2v3_from_ideal(m)
        x, y = np.linalg.inv(matrix) @ np.stack([dv2, dv3])
        return x.reshape(ra.shape), y.reshape(ra.shape)

    @property
    def sky_area(self):
        """Solid angle per unit of area in this plane: V2 is an angle about a pole, so cos(V3), not one."""
        return np.cos(np.deg2rad(float(self.meta["v3_ref"]) / 3600)) if self.has_pointing else 1.0

    def rotation(self, plane, xi, eta):
        """Return ∂(ideal)/∂(xi, eta) of a tangent plane at one point, shape (2, 2)."""
        h = 1.0
        points = [(xi + h, eta), (xi - h, eta), (xi, eta + h), (xi, eta - h)]
        x, y = self.from_sky(*plane.to_sky(*np.transpose(points)))
        return np.array([[x[0] - x[1], x[2] - x[3]], [y[0] - y[1], y[2] - y[3]]]) / (2 * h)
