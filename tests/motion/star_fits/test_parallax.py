"""Parallax factors against astropy's own apparent places, and at L2."""

import numpy as np
from astropy import units as u
from astropy.coordinates import SkyCoord, get_body_barycentric
from astropy.time import Time

from jwst_hpastrom.motion.star_fits.parallax import parallax_factors

EPOCHS = np.array([2022.1, 2022.35, 2022.6, 2022.85])


def test_against_the_shift_of_a_near_star():
    ra, dec, parallax = 80.5, -69.5, 0.01
    time = Time(EPOCHS, format="jyear", scale="tdb")
    place = get_body_barycentric("earth", time).xyz.to_value(u.pc).T
    star = SkyCoord(ra * u.deg, dec * u.deg, distance=(1 / parallax) * u.pc).cartesian.xyz.to_value(u.pc)
    seen = SkyCoord(*(star - place).T, unit=u.pc, representation_type="cartesian").spherical
    east = (seen.lon.wrap_at(180 * u.deg).deg - ra) * np.cos(np.deg2rad(dec)) * 3600 / parallax
    north = (seen.lat.deg - dec) * 3600 / parallax
    np.testing.assert_allclose(parallax_factors(EPOCHS, ra, dec), [east, north], atol=2e-4)


def test_at_l2_factors_are_a_hundredth_larger():
    ground, space = (parallax_factors(EPOCHS, 266.4, -29.0, l2=l2) for l2 in (False, True))
    sun = get_body_barycentric("sun", Time(EPOCHS, format="jyear", scale="tdb")).xyz.to_value(u.au)
    assert np.abs(sun).max() < 0.012  # the Sun's own way about the barycenter, which does not grow
    np.testing.assert_allclose(space, 1.01 * ground, atol=2e-4)
    mixed = parallax_factors(EPOCHS, 266.4, -29.0, l2=np.array([True, False, True, False]))
    np.testing.assert_array_equal(mixed[:, 1::2], ground[:, 1::2])
    np.testing.assert_array_equal(mixed[:, ::2], space[:, ::2])
