"""Positions of another system than the ICRS are refused by what metadata, header or COOSYS state."""

import numpy as np
import pytest
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.io.votable import from_table
from astropy.io.votable.tree import CooSys
from astropy.table import QTable, Table

from jwst_hpastrom.errors import BadCatalogError
from jwst_hpastrom.io import read_catalog
from jwst_hpastrom.io.tables.systems import system_of_columns

RA, DEC = np.array([80.1, 80.2, 80.3]), np.array([-69.5, -69.4, -69.3])


def catalog(**meta):
    return Table({"ra": RA, "dec": DEC}, meta={"epoch": 2006.4} | meta)


def votable(path, system, epoch=None):
    file = from_table(Table({"ra": RA, "dec": DEC}))
    file.resources[0].coordinate_systems.append(CooSys(ID="here", system=system, epoch=epoch))
    for field in file.resources[0].tables[0].fields:
        field.ref = "here"
    file.to_xml(str(path))
    return path


@pytest.mark.parametrize(
    ("meta", "told"),
    [
        ({"frame": "FK4"}, "the FK4"),
        ({"RADESYS": "FK4-NO-E"}, "the FK4"),
        ({"RADECSYS": "GALACTIC"}, "Galactic"),
        ({"coosys": "ecl_FK5"}, "ecliptic"),
        ({"EQUINOX": 1950.0}, "FK4, equinox B1950.0.*needed the ICRS; SkyCoord.*equinox='B1950.0'"),
        ({"equinox": "J1991.25"}, "FK5, equinox J1991.25"),
    ],
)
def test_another_system_is_refused_by_name(meta, told):
    with pytest.raises(BadCatalogError, match=rf"found positions in .*{told}"):
        read_catalog(catalog(**meta))


@pytest.mark.parametrize(
    "meta",
    [{}, {"RADESYS": "ICRS"}, {"RADESYS": "FK5", "EQUINOX": 2000.0}, {"RADESYS": "ICRS", "EQUINOX": 1950},
     {"frame": "master"}, {"EQUINOX": "J2000"}],
)  # fmt: skip
def test_the_icrs_is_taken(meta):
    assert read_catalog(catalog(**meta))["ra"].tolist() == RA.tolist()


def test_headers_and_votables_state_it_too(tmp_path):
    catalog().write(tmp_path / "a.fits")
    fits.setval(tmp_path / "a.fits", "RADESYS", value="FK4", ext=1)
    for path in (tmp_path / "a.fits", votable(tmp_path / "a.vot", "eq_FK4")):
        with pytest.raises(BadCatalogError, match="the FK4"):
            read_catalog(path)


def test_the_epoch_of_a_votables_system_is_that_of_its_positions(tmp_path):
    assert read_catalog(votable(tmp_path / "a.vot", "ICRS", "J2006.4")).meta["epoch"] == 2006.4


@pytest.mark.parametrize("frame", ["fk4", "galactic", "fk5"])
def test_sky_coordinates_are_converted_and_an_equinox_is_no_epoch(tmp_path, frame):
    places = QTable({"place": getattr(SkyCoord(RA * u.deg, DEC * u.deg), frame)})
    places.write(tmp_path / "a.ecsv")
    for given in (places, tmp_path / "a.ecsv"):
        found = read_catalog(given, epoch=2006.4)
        np.testing.assert_allclose(found["ra"], RA, atol=1e-9)
        assert found.meta["epoch"] == 2006.4


@pytest.mark.parametrize("names", [("l", "b"), ("GLON", "GLAT"), ("_Glon", "_Glat")])
def test_longitudes_are_no_right_ascensions(names):
    with pytest.raises(BadCatalogError, match=f"{names[0]} is a longitude of Galactic coordinates"):
        read_catalog(Table(dict(zip(names, (RA, DEC), strict=True))), epoch=2006.4)
    assert not system_of_columns(["x", "y"])
