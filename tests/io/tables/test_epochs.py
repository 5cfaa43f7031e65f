"""Star lists and Gaia tables of other origin."""

import os
from pathlib import Path

import numpy as np
import pytest
from astropy import units as u
from astropy.table import QTable, Table

from jwst_hpastrom.errors import BadCatalogError, BadFileError, ParameterError
from jwst_hpastrom.io.gaia.table import convert_flystar_gaia, read_gaia
from jwst_hpastrom.io.tables.epochs import (
    convert_flystar_list,
    epoch_from_name,
    read_epoch_list,
    read_epoch_lists,
)

DATA = (
    Path(os.environ.get("HPASTROM_DATA", Path(__file__).parents[4] / "shared" / "data")) / "flystar_mb10364"
)
real = pytest.mark.skipif(
    not DATA.is_dir(), reason="no flystar_mb10364 under $HPASTROM_DATA or ../shared/data"
)


def gaia_table(n=5):
    t = QTable({"source_id": np.arange(n), "ra": np.full(n, 10.0) * u.deg, "dec": np.full(n, -5.0) * u.deg})
    for name in ("ra_error", "dec_error"):
        t[name] = np.full(n, 1e-4) * u.arcsec
    for name in ("pmra", "pmdec", "pmra_error", "pmdec_error"):
        t[name] = np.full(n, 0.5) * u.mas / u.yr
    t["ref_epoch"] = np.full(n, 2016.0) * u.yr
    return t


def flystar_lines():
    rows = ["x y m xe ye me name t", "343.1946 104.3795 20.9 0.029 0.0202 0.0283 N000001 2019.7"]
    return "\n".join([*rows, "1 2 3 0.1 0.1 0.1 N2 2019.7", ""])


def test_epochs_from_names():
    assert epoch_from_name("2011_10_31_F606W.calib") == pytest.approx(2011.83, abs=0.005)
    assert epoch_from_name("obs-20131024.txt") == pytest.approx(2013.81, abs=0.005)
    assert epoch_from_name("F606W_9999.txt") is None


def test_flystar_list_ignores_its_times(tmp_path):
    path = tmp_path / "2012_09_25_F606W_final.calib"
    path.write_text(flystar_lines())
    table = convert_flystar_list(path)
    assert table.meta["epoch"] == pytest.approx(2012.73, abs=0.005)
    assert table.meta["pixel_scale_mas"] == 39.77
    assert "t" not in table.colnames
    assert list(table.colnames[:5]) == ["x", "y", "x_err", "y_err", "mag"]
    assert read_epoch_list(path, epoch=2001.5).meta["epoch"] == 2001.5


def test_generic_lists_and_what_is_refused(tmp_path):
    good = tmp_path / "a.ecsv"
    t = QTable({"X": [1.0, 2] * u.pix, "Y": [1.0, 2] * u.pix, "xerr": [0.1, 0.1], "yerr": [0.1, 0.1]})
    t.meta = {"epoch": 2015.5, "PA": -45.3}
    t.write(good)
    table = read_epoch_list(good)
    assert table.meta["position_angle"] == -45.3
    assert table["x"][1] == 2
    with pytest.raises(ParameterError, match="one epoch a list"):
        read_epoch_lists([good], epochs=[1.0, 2.0])
    bare = tmp_path / "bare.ecsv"
    t.meta = {}
    t.write(bare)
    with pytest.raises(BadCatalogError, match="no epoch"):
        read_epoch_list(bare)
    assert read_epoch_lists([bare], epochs=[2010.0])[0].meta["epoch"] == 2010.0
    short = tmp_path / "short.ecsv"
    t["X", "Y"].write(short)
    with pytest.raises(BadCatalogError, match="x_err"):
        read_epoch_list(short, epoch=2010.0)
    (tmp_path / "junk.ecsv").write_text("no table")
    with pytest.raises(BadFileError, match="no readable table"):
        read_epoch_list(tmp_path / "junk.ecsv")
    with pytest.raises(BadFileError, match="no such file"):
        read_epoch_list(tmp_path / "none.ecsv")


@pytest.mark.parametrize(
    "meta",
    [{"epoch": "tomorrow"}, {"epoch": 56000.0}, {"epoch": 2015.5, "PA": "N"}, {"epoch": 2015.5, "bad": 1}],
)
def test_metadata_and_columns_that_are_no_numbers(tmp_path, meta):
    x = ["a"] if "bad" in meta else [1.0]
    Table({"x": x, "y": [1.0], "x_err": [0.1], "y_err": [0.1]}, meta=meta).write(tmp_path / "a.ecsv")
    with pytest.raises(BadCatalogError, match=r"a\.ecsv: found (epoch|PA|column x)"):
        read_epoch_list(tmp_path / "a.ecsv")


def test_gaia_units_are_converted(tmp_path):
    gaia_table().write(tmp_path / "g.ecsv")
    table = read_gaia(tmp_path / "g.ecsv")
    assert table["ra_error"][0] == pytest.approx(0.1)
    assert table["source_id"].dtype.kind == "U"


def test_gaia_tables_without_motions_are_refused(tmp_path):
    t = gaia_table()
    t.remove_column("pmra")
    t.write(tmp_path / "a.ecsv")
    with pytest.raises(BadCatalogError, match="no column pmra"):
        read_gaia(tmp_path / "a.ecsv")
    t = gaia_table()
    t["pmra"] = np.nan * u.mas / u.yr
    t.write(tmp_path / "b.ecsv")
    with pytest.raises(BadCatalogError, match="without motions"):
        read_gaia(tmp_path / "b.ecsv")
    (tmp_path / "c.fits").write_bytes(b"SIMPLE")
    with pytest.raises(BadFileError):
        read_gaia(tmp_path / "c.fits")
    with pytest.raises(BadFileError, match="no such file"):
        read_gaia(tmp_path / "d.fits")


def test_flystar_gaia_runs_west():
    table = Table(
        {
            "name": ["1", "2"], "x0": [10.0, 1.0], "y0": [5.0, 1.0], "x0e": [1e-4] * 2, "y0e": [1e-4] * 2,
            "vx": [0.002, 0.0], "vy": [0.003, 0.0], "vxe": [1e-4, 0.0], "vye": [1e-4, 0.0],
            "t0": [2015.5] * 2, "m": [17.0] * 2,
        }
    )  # fmt: skip
    out = convert_flystar_gaia(table, ra_ref=100.0, dec_ref=0.0)
    assert len(out) == 1
    assert out["pmra"][0] == pytest.approx(-2.0)
    assert out["pmdec"][0] == pytest.approx(3.0)
    assert (out["ra"][0] - 100.0) * 3600 == pytest.approx(-10.0)
    east = convert_flystar_gaia(table, ra_ref=100.0, x_positive="east")
    assert east["pmra"][0] == pytest.approx(2.0)
    with pytest.raises(ParameterError):
        convert_flystar_gaia(table, x_positive="north")


@real
def test_real_flystar_files():
    lists = [convert_flystar_list(p) for p in sorted(DATA.glob("*.calib"))]
    assert [round(t.meta["epoch"], 2) for t in lists] == [2011.83, 2012.73, 2013.81]
    gaia = read_gaia(DATA / "my_gaia.fits")
    assert len(gaia) == 815 - 309


def test_gaia_table_with_names_of_vizier(tmp_path):
    names = "RA_ICRS DE_ICRS e_RA_ICRS e_DE_ICRS pmRA pmDE e_pmRA e_pmDE RUWE Gmag Plx e_Plx"
    Table(
        {"Source": [7], "Epoch": ["J2016"]} | {n: [float(k + 1)] for k, n in enumerate(names.split())}
    ).write(tmp_path / "v.ecsv")
    table = read_gaia(tmp_path / "v.ecsv")
    assert table["source_id"][0] == "7"
    assert [table[n][0] for n in ("dec", "pmra", "pmdec_error", "ruwe", "phot_g_mean_mag")] == [
        2,
        5,
        8,
        9,
        10,
    ]
    assert table["parallax_error"][0] == 12


def test_units_of_lists_are_converted_or_refused(tmp_path):
    path = tmp_path / "a.ecsv"
    t = QTable({"x": [1.0] * u.pix, "y": [2.0] * u.pix, "x_err": [0.5] * u.mas, "y_err": [1e-3] * u.arcsec})
    t.meta = {"epoch": 2015.5}
    t.write(path)
    with pytest.raises(BadCatalogError, match=r"a\.ecsv: found column x_err .*not convertible"):
        read_epoch_list(path)
    table = read_epoch_list(path, pixel_scale_mas=50.0)
    assert table["x_err"][0] == pytest.approx(0.01)
    assert table["y_err"][0] == pytest.approx(0.02)
    t["x"] = [0.1] * u.arcsec
    t.write(path, overwrite=True)
    with pytest.raises(BadCatalogError, match=r"a\.ecsv: found column x .*not convertible"):
        read_epoch_list(path, pixel_scale_mas=50.0)


def test_a_fake_sky_is_said(tmp_path, caplog):
    columns = {n: [1e-3, 2e-3] for n in ("x0", "y0", "x0e", "y0e", "vx", "vy", "vxe", "vye")}
    Table(columns | {"name": ["a", "b"], "t0": [2015.5] * 2, "m": [17.0] * 2}).write(tmp_path / "g.ecsv")
    table = read_gaia(tmp_path / "g.ecsv")
    assert "(0, 0), with x0 to the West" in caplog.text
    assert "(0, 0)" in table.meta["sky"]
    caplog.clear()
    assert "sky" not in read_gaia(tmp_path / "g.ecsv", ra_ref=0.0, dec_ref=5.0).meta
    assert not caplog.text
