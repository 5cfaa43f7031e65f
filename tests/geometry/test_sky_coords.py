"""Tables as astropy's own objects."""

import astropy.units as u
import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from astropy.table import QTable, Table
from erfa import ErfaWarning

from jwst_hpastrom.columns import MOTION, make_table
from jwst_hpastrom.errors import BadCatalogError
from jwst_hpastrom.geometry import as_qtable, sky_coords


@pytest.fixture
def motions():
    n = 4
    names = ("ra_error", "dec_error", "ra_error_total", "dec_error_total", "pmra_error", "pmdec_error")
    data = {c: np.full(n, 0.1) for c in names} | {"ra": np.arange(n) * 1.0, "dec": np.full(n, 60.0)}
    data |= {"pmra": np.full(n, 3600.0), "pmdec": np.full(n, -100.0), "ref_epoch": np.full(n, 2020.0)}
    return make_table(MOTION, data, {"epoch": 2022.0})


def test_positions_move_with_their_motions(motions):
    coords = sky_coords(motions)
    assert coords.obstime.jyear == pytest.approx(2020.0)
    with pytest.warns(ErfaWarning, match="distance overridden"):  # none is known
        later = coords.apply_space_motion(dt=10 * u.yr)
    east = (later.ra - coords.ra) * np.cos(coords.dec)
    np.testing.assert_allclose(east.to_value("arcsec"), 36, atol=0.02)
    np.testing.assert_allclose((later.dec - coords.dec).to_value("mas"), -1000, atol=10)


def test_epochs_row_by_row_masters_and_tables_without(motions):
    motions["ref_epoch"][1] = 2016.0
    assert sky_coords(motions).obstime.shape == (4,)
    motions.remove_columns(["ref_epoch", "pmra"])
    coords = sky_coords(motions)
    assert coords.obstime.jyear == pytest.approx(2022.0)
    assert "s" not in coords.data.differentials
    with pytest.raises(BadCatalogError, match="no columns ra and dec"):
        sky_coords(Table({"x": [1.0]}))


def test_astropy_guesses(motions):
    with pytest.raises(ValueError, match="at least two matches"):
        SkyCoord.guess_from_table(motions)
    guessed = SkyCoord.guess_from_table(as_qtable(motions, guessable=True))
    np.testing.assert_allclose(guessed.pm_ra_cosdec.to_value("mas/yr"), 3600)
    np.testing.assert_allclose(guessed.dec.deg, 60)
    out = as_qtable(motions)
    assert isinstance(out, QTable)
    assert out.colnames == motions.colnames
    assert out["ra_error"].unit == u.mas
