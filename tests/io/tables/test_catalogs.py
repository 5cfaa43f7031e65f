"""Catalogs of any origin: names, units, epochs, masks, and what cannot be used."""

from datetime import date

import astropy.units as u
import numpy as np
import pytest
from astropy.table import Column, MaskedColumn, QTable, Table
from astropy.time import Time

from jwst_hpastrom.columns import row_epochs
from jwst_hpastrom.errors import BadCatalogError, BadFileError
from jwst_hpastrom.geometry import TangentPlane
from jwst_hpastrom.io.files.writing import write_table
from jwst_hpastrom.io.tables.catalogs import read_catalog


def test_gaia_names_units_and_masks(tmp_path):
    t = Table(
        {
            "source_id": [1, 2],
            "ra": [10.0, 11.0],
            "dec": [1.0, 2.0],
            "pmra": MaskedColumn([1.0, 0.0], mask=[False, True]),
            "ref_epoch": [2016.0, 2016.0],
            "phot_g_mean_mag": [18.0, 19.0],
        }
    )
    path = tmp_path / "g.ecsv"
    t.write(path)
    cat = read_catalog(path)
    assert cat.meta["epoch"] == 2016.0
    assert np.isnan(cat["pmra"][1])
    assert list(cat["mag"]) == [18.0, 19.0]
    assert list(cat["id"]) == [1, 2]


def test_units_are_converted(tmp_path):
    t = QTable({"ra": [1.0] * u.rad, "dec": [0.1] * u.rad, "pos_error": [1e-3] * u.arcsec})
    path = tmp_path / "q.ecsv"
    t.write(path)
    cat = read_catalog(path, epoch=2000.0)
    assert cat["ra"][0] == pytest.approx(np.rad2deg(1.0))
    assert cat["ra_error"][0] == pytest.approx(1.0)
    assert cat["dec_error"][0] == pytest.approx(1.0)
    assert cat.meta["epoch"] == 2000.0


def test_positions_from_the_tangent_plane(tmp_path):
    plane = TangentPlane(80.0, -69.0)
    t = Table({"x": [10000.0, 9000.0], "y": [10000.0, 11000.0]}, meta=plane.to_meta() | {"epoch": 2006.4})
    path = tmp_path / "p.ecsv"
    t.write(path)
    cat = read_catalog(path)
    np.testing.assert_allclose([cat["ra"][0], cat["dec"][0]], [80.0, -69.0])
    np.testing.assert_allclose(plane.from_sky(cat["ra"][1], cat["dec"][1]), [50.0, 50.0])


def test_xym_lists(tmp_path):
    path = tmp_path / "a.xymq"
    path.write_text("# hst1pass\n10.5 20.5 -9.3 0.02\n11.5 21.5 -8.3 0.03\n")
    cat = read_catalog(path, need_sky=False)
    assert list(cat["x"]) == [10.5, 11.5]
    assert list(cat["mag"]) == [-9.3, -8.3]


def test_what_cannot_be_used_is_named(tmp_path):
    path = tmp_path / "e.ecsv"
    Table({"ra": np.zeros(0), "dec": np.zeros(0)}).write(path)
    with pytest.raises(BadCatalogError, match="empty table"):
        read_catalog(path)
    Table({"a": [1.0]}).write(path, overwrite=True)
    with pytest.raises(BadCatalogError, match="ra and dec"):
        read_catalog(path)
    path.write_text("# %ECSV 1.0\n# broken")
    with pytest.raises(BadFileError, match=r"e\.ecsv"):
        read_catalog(path)
    with pytest.raises(BadFileError, match="no such file"):
        read_catalog(tmp_path / "none.fits")


@pytest.mark.parametrize(
    ("column", "text"),
    [
        (["05:22:00"], "column ra .* needed numbers in deg"),
        ([[1.0, 2.0]], "column ra .*2,"),
        ([1.0] * u.m, "column ra .*not convertible"),
    ],
)
def test_columns_that_are_no_numbers(tmp_path, column, text):
    path = tmp_path / "e.ecsv"
    QTable({"ra": column, "dec": [1.0]}).write(path)
    with pytest.raises(BadCatalogError, match=rf"e\.ecsv: found {text}"):
        read_catalog(path)


@pytest.mark.parametrize(("epoch", "year"), [("2006-05-26", 2006.4), (2006.4, 2006.4), (np.nan, None)])
def test_epochs(tmp_path, epoch, year):
    path = tmp_path / "e.ecsv"
    Table({"ra": [1.0], "dec": [1.0]}, meta={"epoch": epoch}).write(path)
    assert read_catalog(path).meta["epoch"] == (year and pytest.approx(year, abs=0.01))


@pytest.mark.parametrize("epoch", [53880.0, "some time ago"])
def test_epochs_that_are_no_years(tmp_path, epoch):
    path = tmp_path / "e.ecsv"
    Table({"ra": [1.0], "dec": [1.0]}, meta={"epoch": epoch}).write(path)
    with pytest.raises(BadCatalogError, match=f"epoch {epoch}, needed a Julian year"):
        read_catalog(path)


@pytest.mark.parametrize("extension", ["ecsv", "fits", "parquet"])
def test_formats_keep_epoch_and_tangent_plane(tmp_path, extension):
    plane = TangentPlane(80.0, -69.0)
    t = Table({"ra": [80.0], "dec": [-69.0]}, meta=plane.to_meta() | {"epoch": 2006.4})
    out = read_catalog(write_table(t, tmp_path / f"e.{extension}"))
    assert out.meta["epoch"] == 2006.4
    assert TangentPlane.from_meta(out.meta) == plane


@pytest.mark.parametrize(
    "names",
    [
        "RA DEC RA_ERROR DEC_ERROR PMRA PMDEC PMRA_ERROR PMDEC_ERROR MAG",
        "ra dec sigma_ra sigma_dec mu_ra mu_dec sigma_mu_ra sigma_mu_dec mag",
        "RA_ICRS DE_ICRS e_RA_ICRS e_DE_ICRS pmRA pmDE e_pmRA e_pmDE Gmag",
        "MatchRA MatchDec ra_err dec_err mu_alpha* mu_delta mu_alpha*_err mu_delta_err Mag",
    ],
)
def test_names_of_other_catalogs(tmp_path, names):
    standard = ["ra", "dec", "ra_error", "dec_error", "pmra", "pmdec", "pmra_error", "pmdec_error", "mag"]
    path = tmp_path / "a.ecsv"
    Table({n: [float(k + 1)] for k, n in enumerate(names.split())}).write(path)
    table = read_catalog(path)
    assert [table[n][0] for n in standard] == list(range(1, 10))


def test_what_is_not_found_is_said(tmp_path, caplog):
    path = tmp_path / "a.ecsv"
    Table({"ra": [1.0], "dec": [2.0], "pm_galactic": [3.0]}).write(path)
    with caplog.at_level("INFO", logger="stpipe.hpastrom.io"):
        read_catalog(path)
    assert "a.ecsv: no column for" in caplog.text
    assert "pmra" in caplog.text
    assert [r.message for r in caplog.records if r.levelname == "WARNING" and "pm_galactic" in r.message]


def test_sexagesimal_text_beside_degrees(tmp_path):
    path = tmp_path / "a.ecsv"
    Table({"RAJ2000": ["05:20"], "DEJ2000": ["-69"], "_RA": [80.0], "_DE": [-69.0]}).write(path)
    assert read_catalog(path)["ra"][0] == 80.0


@pytest.mark.parametrize(
    "epochs",
    [
        [2006.4] * 3, Time([2006.4] * 3, format="jyear"), [2006.4] * 3 * u.yr,
        Time([2006.4] * 3, format="jyear").mjd * u.d, ["J2006.4"] * 3,
        Time([2006.4] * 3, format="jyear").isot,
    ],
)  # fmt: skip
def test_epochs_of_rows(tmp_path, epochs):
    path = tmp_path / "e.ecsv"
    QTable({"ra": [1.0, 2, 3], "dec": [1.0, 2, 3], "ref_epoch": epochs}).write(path)
    table = read_catalog(path)
    np.testing.assert_allclose(table["ref_epoch"], 2006.4, atol=1e-6)
    assert table.meta["epoch"] == pytest.approx(2006.4)


def test_rows_keep_their_epochs_and_disagreement_is_refused(tmp_path):
    path = tmp_path / "e.ecsv"
    t = Table({"ra": [1.0, 2.0], "dec": [1.0, 2.0], "ref_epoch": [1991.25, 2006.4]})
    t.write(path)
    assert list(row_epochs(read_catalog(path))) == [1991.25, 2006.4]
    t.meta["epoch"] = 2006.4
    t.write(path, overwrite=True)
    with pytest.raises(BadCatalogError, match=r"e\.ecsv: found epoch 2006.4 in the metadata and 1991.25"):
        read_catalog(path)


def test_positions_that_say_their_epoch_in_words():
    """VizieR computes positions at J2000 for everyone, beside those of the catalog."""
    own, at_2000 = Column([1.0], description="Right ascension (ICRS) at Ep=2016.0"), Column([2.0])
    at_2000.description = "Right ascension (FK5, Equinox=J2000.0) at Epoch=J2000, proper motions taken into"
    table = read_catalog(Table({"_RAJ2000": at_2000, "_DEJ2000": [3.0], "RA_ICRS": own, "DE_ICRS": [3.0]}))
    assert (table["ra"][0], table.meta["epoch"]) == (1.0, 2016.0)
    computed = Table({"_RAJ2000": at_2000, "_DEJ2000": [3.0]})
    assert read_catalog(computed).meta["epoch"] == 2000.0
    for where in ("column", "metadata"):
        wrong = computed.copy()
        wrong.meta |= {"epoch": 2016.0} if where == "metadata" else {}
        wrong["ref_epoch"] = [2016.0 if where == "column" else np.nan]
        with pytest.raises(BadCatalogError, match=r"2016.0.*2000.0|2000.0.*2016.0"):
            read_catalog(wrong)


def test_the_equinox_is_no_epoch(tmp_path, caplog):
    path = tmp_path / "e.fits"
    t = Table({"ra": [1.0, 2.0], "dec": [1.0, 2.0], "ref_epoch": [2006.4, 2006.4]}, meta={"EPOCH": 2000.0})
    t.write(path)
    assert read_catalog(path).meta["epoch"] == 2006.4
    t["ra", "dec"].write(path, overwrite=True)
    assert read_catalog(path).meta["epoch"] is None
    assert "equinox" in caplog.text


def plain_catalog(n=20):
    rng = np.random.default_rng(8)
    t = Table({"ra": 80.4 + rng.uniform(-0.02, 0.02, n), "dec": -69.5 + rng.uniform(-0.02, 0.02, n)})
    for name in ("ra_error", "dec_error", "pmra", "pmdec", "pmra_error", "pmdec_error", "mag"):
        t[name] = rng.uniform(0.1, 2, n)
    t.meta["epoch"] = 2006.4
    return t


@pytest.mark.parametrize("value", [-99.0, 99.0, 99.99, -999.0, -9999.0, 1e20, -1e30, np.inf])
@pytest.mark.parametrize("name", ["ra_error", "pmra", "pmdec_error", "mag"])
def test_sentinels_become_unknown(tmp_path, caplog, name, value):
    t = plain_catalog()
    t[name][3] = value
    t.write(tmp_path / "s.ecsv")
    table = read_catalog(tmp_path / "s.ecsv")
    assert list(np.flatnonzero(np.isnan(table[name]))) == [3]
    assert f"{name} of 1" in caplog.text


@pytest.mark.parametrize("value", [0.0, -0.3])
def test_errors_that_are_not_positive_are_unknown(tmp_path, value):
    t = plain_catalog()
    t["dec_error"] = value
    t.write(tmp_path / "s.ecsv")
    assert np.isnan(read_catalog(tmp_path / "s.ecsv")["dec_error"]).all()


@pytest.mark.parametrize("pair", [(-999.0, -999.0), (0.0, 0.0), (1e20, 0.0), (80.0, -99.0)])
def test_rows_at_no_place(tmp_path, pair):
    t = plain_catalog()
    t["ra"][5], t["dec"][5] = pair
    t.write(tmp_path / "s.ecsv")
    table = read_catalog(tmp_path / "s.ecsv")
    assert list(np.flatnonzero(np.isnan(table["ra"].value + table["dec"].value))) == [5]


@pytest.mark.parametrize(
    ("name", "value"), [("ra", 0.0), ("dec", -1.0), ("mag", 0.0), ("mag", 50.0), ("x", -1.0)]
)
def test_one_value_of_many_rows_is_no_measurement(caplog, name, value):
    """Whatever number it is; what is rounded, on a grid, or one and the same in all rows stays."""
    rng = np.random.default_rng(6)
    ra, dec = 80 + rng.uniform(-0.02, 0.02, (2, 200)) - [[0.0], [149.5]]
    t = Table({"ra": ra, "dec": dec, "mag": np.round(rng.normal(20, 2, 200), 1)}, meta={"epoch": 2006.4})
    t["x"], t["y"] = np.repeat(np.arange(20) * 50.0, 10), rng.uniform(0, 1000, 200)
    t["mag_err"] = np.full(200, 0.02)
    assert not any(np.isnan(read_catalog(t)[c]).any() for c in ("ra", "dec", "mag", "x", "y", "mag_err"))
    assert not caplog.records
    t["x"] += rng.normal(0, 1, 200)
    t[name][:30] = value
    assert np.isnan(read_catalog(t)[name]).sum() == 30
    assert f"{name} of 30" in caplog.text


def test_no_motion_is_no_measurement(tmp_path):
    t = plain_catalog()
    t["pmra"][2], t["pmdec"][2] = 0.0, 0.0
    t.write(tmp_path / "s.ecsv")
    assert list(np.flatnonzero(np.isnan(read_catalog(tmp_path / "s.ecsv")["pmra"]))) == [2]


def test_single_precision_is_refused(tmp_path):
    t = plain_catalog()
    t["ra"] = t["ra"].astype(np.float32)
    for name in ("s.ecsv", "s.fits"):
        t.write(tmp_path / name)
        with pytest.raises(BadCatalogError, match=rf"{name}: found ra in single precision"):
            read_catalog(tmp_path / name)


@pytest.mark.parametrize(("name", "unit"), [("mag", "Jy"), ("x_err", "mas"), ("pmra", "mas")])
def test_units_of_something_else_are_refused(tmp_path, name, unit):
    t = plain_catalog()
    t["x_err"] = 0.1
    t[name].unit = unit
    t.write(tmp_path / "s.ecsv")
    with pytest.raises(BadCatalogError, match=rf"s\.ecsv: found column {name} .*not convertible"):
        read_catalog(tmp_path / "s.ecsv")


def test_a_motion_is_not_its_own_error(tmp_path):
    Table({"RA_ICRS": [10.5], "DE_ICRS": [-3.0], "pmRA": [1.0], "pmDE": [5.0]}).write(tmp_path / "v.csv")
    assert "pmdec_error" not in read_catalog(tmp_path / "v.csv", epoch=2016.0).colnames


@pytest.mark.parametrize(("release", "epoch"), [("DR2", 2016.0), ("EDR3", 2015.5)])
def test_the_epoch_of_another_gaia_release_is_refused(release, epoch):
    """Half a year of all motions."""
    sources = Table({"ra": [80.1, 80.2], "dec": [-69.5, -69.4], "designation": [f"Gaia {release} 1"] * 2})
    sources["ref_epoch"] = epoch
    with pytest.raises(BadCatalogError, match=f"Gaia {release}, 100 % of them at epoch {epoch}"):
        read_catalog(sources)


@pytest.mark.parametrize(
    ("name", "value"), [("jd", 2453881.5), ("date", date(2006, 5, 26)), ("mjd", 53881.0)]
)
def test_days_are_epochs(name, value):
    stars = Table({"ra": [80.1, 80.2], "dec": [-69.5, -69.4], name: [value] * 2})
    assert read_catalog(stars).meta["epoch"] == pytest.approx(2006.397, abs=1e-3)


@pytest.mark.parametrize("turns", [-360.0, 360.0])
def test_right_ascensions_that_count_on_are_turned_back(tmp_path, caplog, turns):
    t = plain_catalog()
    wanted = np.asarray(t["ra"], float)
    t["ra"] = wanted + turns
    t.write(tmp_path / "s.ecsv")
    np.testing.assert_allclose(read_catalog(tmp_path / "s.ecsv")["ra"].value % 360, wanted, atol=1e-9)
    assert ("brought to 0 to 360 degrees: 20 rows" in caplog.text) == (turns > 0 or wanted[0] < 180)
