"""Exposures of one field, and catalogs in other systems, which errors name."""

import numpy as np
import pytest
from astropy import units as u
from astropy.coordinates import FK4, SkyCoord
from astropy.table import Table

from jwst_hpastrom.errors import NoOverlapError
from jwst_hpastrom.steps.pipeline.fields import (
    check_catalog_field,
    check_catalog_of,
    check_one_field,
    stars_in_field,
)

RA, DEC, HALF = 80.5, -69.5, 66.0 / 3600


def corners(*offsets, ra=RA, dec=DEC):
    """Corners of exposures at offsets in degrees of declination."""
    x, y = np.array([[-1, 1, 1, -1], [-1, -1, 1, 1]]) * HALF
    return np.array([[ra + x / np.cos(np.deg2rad(dec)), dec + d + y] for d in offsets])


def stars(n=200):
    rng = np.random.default_rng(2)
    return SkyCoord(RA + rng.uniform(-0.03, 0.03, n), DEC + rng.uniform(-0.01, 0.01, n), unit="deg")


def catalog(ra, dec):
    return Table({"ra": ra, "dec": dec}, meta={"catalog": "c.ecsv"})


def test_a_mosaic_is_one_field_and_two_targets_are_not():
    check_one_field(corners(0.0, 0.03, 0.06, 0.09), list("abcd"))
    with pytest.raises(NoOverlapError, match=r"2 of 5 exposures that look .* away from the others") as error:
        check_one_field(
            np.r_[corners(0.0, 0.01, 0.02), corners(0.0, 0.01, ra=120.0, dec=-30.0)], list("abcde")
        )
    assert "each target" in str(error.value)
    assert "d: " in str(error.value)
    # across the meridian of right ascension zero
    check_one_field(np.r_[corners(0.0, ra=0.001), corners(0.0, ra=359.999)], list("ab"))


def test_a_catalog_of_the_field():
    here = stars()
    table = catalog(here.ra.deg, here.dec.deg)
    check_catalog_field(table, corners(0.0, 0.01))
    assert stars_in_field(table, table) == len(table)
    assert stars_in_field(table["dec",], table) == 0
    check_catalog_of([table[:5], table["dec",]], table)
    check_catalog_of(
        [catalog(here.dec.deg, here.ra.deg), table], table
    )  # of which the Step says what is wrong
    check_catalog_of([table["dec",]], table)
    check_catalog_of([table], None)
    with pytest.raises(NoOverlapError, match="look like hours of right ascension"):
        check_catalog_of([table], catalog(here.ra.hour, here.dec.deg))


@pytest.mark.parametrize(
    ("system", "columns"),
    [
        ("B1950", lambda s: ((b := s.transform_to(FK4(equinox="B1950"))).ra.deg, b.dec.deg)),
        ("galactic", lambda s: (s.galactic.l.deg, s.galactic.b.deg)),
        ("ecliptic", lambda s: ((e := s.barycentricmeanecliptic).lon.deg, e.lat.deg)),
        ("hours", lambda s: (s.ra.hour, s.dec.deg)),
        ("radians", lambda s: (s.ra.to_value(u.rad), s.dec.to_value(u.rad))),
        ("declinations of the other sign", lambda s: (s.ra.deg, -s.dec.deg)),
        ("right ascensions to the West", lambda s: (-s.ra.deg, s.dec.deg)),
        ("exchanged", lambda s: (s.dec.deg, s.ra.deg)),
        ("check the catalog's columns", lambda s: (s.ra.deg + 40, s.dec.deg)),
    ],
)
def test_a_catalog_in_another_system(system, columns):
    with pytest.raises(NoOverlapError, match=system):
        check_catalog_field(catalog(*columns(stars())), corners(0.0, 0.01))
