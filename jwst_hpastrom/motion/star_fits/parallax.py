"""Parallax factors: the place of the Earth, or of an observatory at L2, seen along a line of sight."""

import numpy as np
from astropy import units as u
from astropy.coordinates import get_body_barycentric, solar_system_ephemeris
from astropy.time import Time

__all__ = ["parallax_factors"]


def parallax_factors(epochs, ra, dec, *, l2=False):
    """Displacement of a star of unit parallax.

    Parameters
    ----------
    epochs : ndarray, shape (n,)
        Julian years (TDB; the difference from UTC, a minute, is of no account).

    ra, dec : float
        Line of sight, degrees.

    l2 : bool or ndarray of bool, shape (n,)
        Observatory at the Sun–Earth L2 point (JWST, Gaia: 1.01 times the Earth's distance from the Sun)
        instead of near the Earth (HST).

    Returns
    -------
    ndarray, shape (2, n)
        Towards East and North, in units of the parallax.
    """
    with solar_system_ephemeris.set("builtin"):
        time = Time(np.asarray(epochs, float), format="jyear", scale="tdb")
        earth = get_body_barycentric("earth", time).xyz.to_value(u.au)
        sun = get_body_barycentric("sun", time).xyz.to_value(u.au)
        earth = np.where(l2, sun + 1.01 * (earth - sun), earth)
    a, d = np.deg2rad(ra), np.deg2rad(dec)
    x, y, z = earth
    return np.stack(
        [x * np.sin(a) - y * np.cos(a), x * np.cos(a) * np.sin(d) + y * np.sin(a) * np.sin(d) - z * np.cos(d)]
    )
