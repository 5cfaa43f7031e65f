"""One catalog in many guises: names, cases, units, epochs, sentinels and formats."""

import tempfile
import warnings
from pathlib import Path

import numpy as np
import pytest
from astropy import units as u
from astropy.table import MaskedColumn, Table
from astropy.time import Time
from astropy.utils.exceptions import AstropyWarning
from hypothesis import given, settings
from hypothesis import strategies as st

from jwst_hpastrom.columns import row_epochs
from jwst_hpastrom.errors import BadCatalogError
from jwst_hpastrom.io.tables.catalogs import read_catalog

STANDARD = ("ra", "dec", "ra_error", "dec_error", "pmra", "pmdec", "pmra_error", "pmdec_error", "mag")
NAMES = st.sampled_from(
    [
        STANDARD,
        ("RA_ICRS", "DE_ICRS", "e_RA_ICRS", "e_DE_ICRS", "pmRA", "pmDE", "e_pmRA", "e_pmDE", "Gmag"),
        ("RAJ2000", "DEJ2000", "e_RAJ2000", "e_DEJ2000", "pmRA", "pmDE", "e_pmRA", "e_pmDE", "mag"),
        ("alpha", "delta", "sigma_alpha", "sigma_delta", "mu_ra", "mu_dec", "mu_ra_err", "mu_dec_err", "m"),
        ("ra", "dec", "sigma_ra", "sigma_dec", "mu_alpha", "mu_delta", "e_mu_alpha", "e_mu_delta", "MAG"),
    ]
)
CASES = st.sampled_from([str, str.upper, str.lower, str.title])
#: factors by which the numbers grow in each unit; None is a unit of something else
POSITIONS = st.sampled_from([("deg", 1.0), ("rad", np.pi / 180), ("arcsec", 3600.0), ("m", None)])
ERRORS = st.sampled_from([("mas", 1.0), ("arcsec", 1e-3), ("deg", 1 / 3.6e6), ("pix", None)])
MOTIONS = st.sampled_from([("mas / yr", 1.0), ("arcsec / yr", 1e-3), ("mas / century", 100.0), ("mas", None)])
EPOCHS = st.sampled_from(
    ["meta", "column", "text", "iso", "mjd", "days", "both", "disagree", "mixed", "nonsense"]
)
SENTINELS = st.sampled_from([None, "mask", np.nan, -99.0, 99.99, -999.0, 9999.0, 1e20, -np.inf])
FORMATS = st.sampled_from(["ecsv", "fits", "csv", "vot", "parquet"])
N = 12


def clean():
    rng = np.random.default_rng(8)
    t = Table({"ra": 80.4 + rng.uniform(-0.02, 0.02, N), "dec": -69.5 + rng.uniform(-0.02, 0.02, N)})
    for name in STANDARD[2:]:
        t[name] = rng.uniform(0.1, 2, N)
    return t


def in_units(t, units):
    """Multiply columns into their units; False where one is of something else."""
    sound = True
    for names, (unit, factor) in zip((STANDARD[:2], (*STANDARD[2:4],), STANDARD[4:8]), units, strict=True):
        for name in names:
            t[name] = np.asarray(t[name]) * (factor or 1.0)
            t[name].unit = u.mas / (100 * u.yr) if unit == "mas / century" else unit
        sound &= factor is not None
    return sound


def with_epoch(t, kind):
    """Add the epoch 2006.4 (or several) in one of its forms; False where it cannot be read."""
    years = np.full(N, 2006.4)
    if kind == "mixed":
        years[::2] = 1991.25
    if kind in ("meta", "both", "disagree", "nonsense"):
        t.meta["ref_epoch"] = {"disagree": 1996.4, "nonsense": 53880.0}.get(kind, 2006.4)
    if kind in ("column", "both", "disagree", "mixed"):
        t["ref_epoch"] = years
    elif kind == "text":
        t["Epoch"] = ["J2006.4"] * N
    elif kind == "iso":
        t["EPOCH"] = Time(years, format="jyear").isot
    elif kind == "mjd":
        t["MJD"] = Time(years, format="jyear").mjd
    elif kind == "days":
        t["epoch"] = Time(years, format="jyear").mjd
        t["epoch"].unit = "d"
    return years, kind not in ("disagree", "nonsense")


@settings(max_examples=150, deadline=None, derandomize=True)
@given(
    names=NAMES, case=CASES, units=st.tuples(POSITIONS, ERRORS, MOTIONS), epoch=EPOCHS, unknown=SENTINELS,
    where=st.sampled_from(STANDARD[2:]), row=st.integers(0, N - 1), extension=FORMATS,
)  # fmt: skip
def test_equal_or_refused_by_name(names, case, units, epoch, unknown, where, row, extension):
    want = clean()
    t = clean()
    if extension == "csv":  # which has neither units nor metadata
        units = (("deg", 1.0), ("mas", 1.0), ("mas / yr", 1.0))
        epoch = {"meta": "column", "both": "column", "days": "mjd"}.get(epoch, epoch)
        epoch = "column" if epoch in ("disagree", "nonsense") else epoch
    elif extension == "vot" and epoch in ("meta", "both", "disagree", "nonsense"):
        epoch = "column"  # nor has a VOTable free metadata
    sound = in_units(t, units)
    years, epoch_sound = with_epoch(t, epoch)
    if unknown is not None:
        want[where][row] = np.nan
        if unknown == "mask":
            t[where] = MaskedColumn(t[where], mask=np.arange(N) == row)
        else:
            t[where][row] = unknown
    t.rename_columns(STANDARD, [case(n) for n in names])
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"guise.{extension}"
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", AstropyWarning)  # of long FITS keywords
            t.write(path, **({"format": "votable"} if extension == "vot" else {}))
        if not (sound and epoch_sound):
            with pytest.raises(BadCatalogError, match=path.name):
                read_catalog(path)
            return
        got = read_catalog(path)
    if where in ("pmra", "pmdec"):  # half a motion is none
        for name in ("pmra", "pmdec"):
            both = np.isnan(got[name])
            assert not both.any() or list(np.flatnonzero(both)) == [row]
            want[name][both] = np.nan
    for name in STANDARD:
        np.testing.assert_allclose(np.asarray(got[name]), np.asarray(want[name]), rtol=1e-12, err_msg=name)
    np.testing.assert_allclose(row_epochs(got), years, atol=1e-6)
