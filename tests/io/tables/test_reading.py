"""Tables as archives deliver them, and every way to write one catalog."""

import gzip

import numpy as np
import pytest
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.table import MaskedColumn, QTable, Table
from astropy.time import Time

from jwst_hpastrom.errors import BadCatalogError, BadFileError
from jwst_hpastrom.io import read_epoch_lists, read_star_list
from jwst_hpastrom.io.gaia.table import read_gaia
from jwst_hpastrom.io.tables.catalogs import read_catalog

UNITS = {"ra": "deg", "dec": "deg", "ref_epoch": "yr"}
UNITS |= dict.fromkeys(("ra_error", "dec_error"), "mas")
UNITS |= dict.fromkeys(("pmra", "pmdec", "pmra_error", "pmdec_error"), "mas / yr")


def clean_table(n=12):
    rng = np.random.default_rng(8)
    t = Table({"source_id": 4655349652394811136 + np.arange(n)})
    t["ra"], t["dec"] = 80.4 + rng.uniform(-0.02, 0.02, n), -69.5 + rng.uniform(-0.02, 0.02, n)
    for name in ("ra_error", "dec_error", "pmra", "pmdec", "pmra_error", "pmdec_error"):
        t[name] = MaskedColumn(rng.uniform(0.1, 2, n), mask=np.arange(n) == 4 if "pm" in name else None)
    t["phot_g_mean_mag"], t["ref_epoch"] = rng.uniform(13, 20, n), 2016.0
    t["duplicated_source"] = np.arange(n) % 3 == 0
    for name, unit in UNITS.items():
        t[name].unit = unit
    return t


def lines(table, delimiter, null="null"):
    rows = [[null if np.ma.is_masked(v) else str(v) for v in row] for row in table.as_array().tolist()]
    masks = [[bool(np.ma.is_masked(table[n][k])) for n in table.colnames] for k in range(len(table))]
    return [
        delimiter.join(null if m else v for v, m in zip(row, mask, strict=True))
        for row, mask in zip(rows, masks, strict=True)
    ]


def archive_csv(t):
    return "\n".join([",".join(t.colnames), *lines(t, ",")]) + "\n"


def bulk_csv(t):
    kinds = {"i": "int64", "f": "float64", "b": "bool"}
    head = ["# %ECSV 1.0", "# ---", "# delimiter: ','", "# datatype:"]
    head += [f"# - {{name: {n}, datatype: {kinds[t[n].dtype.kind]}}}" for n in t.colnames]
    return "\n".join(head) + "\n" + archive_csv(t)


def vizier_tsv(t):
    names = {"source_id": "Source", "ra": "RA_ICRS", "dec": "DE_ICRS", "ra_error": "e_RA_ICRS"}
    names |= {"dec_error": "e_DE_ICRS", "pmra": "pmRA", "pmdec": "pmDE", "pmra_error": "e_pmRA"}
    names |= {"pmdec_error": "e_pmDE", "phot_g_mean_mag": "Gmag", "ref_epoch": "Epoch"}
    names["duplicated_source"] = "Dup"
    t = t.copy()
    t["duplicated_source"] = t["duplicated_source"].astype(int)
    units = "\t".join({"mas / yr": "mas/yr"}.get(str(t[n].unit), str(t[n].unit or "")) for n in t.colnames)
    dashes = "\t".join("-" * 5 for _ in t.colnames)
    head = ["#RESOURCE=yCat", "", "\t".join(names[n] for n in t.colnames), units, dashes]
    return "\n".join([*head, *lines(t, "\t", " ")]) + "\n"


WRITERS = {
    "a.csv": archive_csv, "b.CSV": archive_csv, "c.csv.gz": archive_csv, "d.csv": bulk_csv,
    "e.csv.gz": bulk_csv, "f.tsv": vizier_tsv,
}  # fmt: skip


def write(t, path):
    name = path.name
    if name in WRITERS:
        text = WRITERS[name](t).encode()
        path.write_bytes(gzip.compress(text) if name.endswith(".gz") else text)
    elif name == "g.ecsv.gz":
        t.write(path.with_name("g.ecsv"))
        path.write_bytes(gzip.compress(path.with_name("g.ecsv").read_bytes()))
    elif name in ("h.vot", "i.xml"):
        t.write(path, format="votable")
    elif name == "j.fits":  # SkyCoord and Time
        q = QTable(t)
        q["where"] = SkyCoord(np.asarray(t["ra"]) * u.deg, np.asarray(t["dec"]) * u.deg)
        q["ref_epoch"] = Time(np.asarray(t["ref_epoch"]), format="jyear")
        del q["ra"], q["dec"]
        q.write(path)
    else:
        t.write(path)


@pytest.mark.parametrize(
    "name", [*WRITERS, "g.ecsv.gz", "h.vot", "i.xml", "j.fits", "k.fits.gz", "l.FITS", "m.parquet"]
)
@pytest.mark.parametrize("reader", [read_gaia, read_catalog])
def test_every_kind_of_file_is_the_same_table(tmp_path, name, reader):
    t = clean_table()
    t.write(tmp_path / "clean.ecsv")
    write(t, tmp_path / name)
    want, got = reader(tmp_path / "clean.ecsv"), reader(tmp_path / name)
    for column in (*UNITS, "mag" if reader is read_catalog else "phot_g_mean_mag"):
        np.testing.assert_array_equal(np.asarray(got[column]), np.asarray(want[column]), err_msg=column)
        assert got[column].unit == want[column].unit
    if reader is read_gaia:
        np.testing.assert_array_equal(got["source_id"], want["source_id"])
        np.testing.assert_array_equal(got["duplicated_source"], want["duplicated_source"])
    assert got.meta["epoch"] == want.meta["epoch"] == 2016.0


def test_positions_twice_are_refused(tmp_path):
    q = QTable(clean_table())
    q["where"] = SkyCoord(np.full(12, 10.0) * u.deg, np.full(12, 3.0) * u.deg)
    q.write(tmp_path / "two.ecsv")
    with pytest.raises(BadCatalogError, match=r"two\.ecsv: found ra, dec as columns and in where"):
        read_catalog(tmp_path / "two.ecsv")


def test_tables_in_memory_are_read_like_files(tmp_path):
    sky = SkyCoord(
        [80.0, 80.1] * u.deg, [-69.5, -69.4] * u.deg, pm_ra_cosdec=[1.0, 2.0] * u.mas / u.yr,
        pm_dec=[0.0, 1.0] * u.mas / u.yr, obstime=Time(2006.4, format="jyear"),
    )  # fmt: skip
    plain = Table({"RA_ICRS": sky.ra.deg, "DE_ICRS": sky.dec.deg, "pmRA": [1.0, 2.0], "pmDE": [0.0, 1.0]})
    plain.write(tmp_path / "a.csv")
    wanted = read_catalog(tmp_path / "a.csv", epoch=2006.4)
    given = (
        plain, QTable(plain), plain.to_pandas(), plain.as_array(), dict(plain.columns), sky, sky.galactic,
        QTable({"coord": sky}),
    )  # fmt: skip
    for one in given:
        found = read_catalog(one, epoch=2006.4)
        assert found.meta["epoch"] == pytest.approx(2006.4)
        for name in ("ra", "dec", "pmra", "pmdec"):
            np.testing.assert_allclose(found[name], wanted[name], rtol=0, atol=1e-9)
    assert plain.colnames[0] == "RA_ICRS"  # the user's stays as it is
    for one in (5, None, "nothing.csv"):
        with pytest.raises(BadFileError):
            read_catalog(one)


def test_lists_and_gaia_tables_in_memory(tmp_path):
    given = Table({"xcentroid": [3.0], "ycentroid": [4.0], "mag": [12.0], "sigma_x": [5.0], "y_err": [0.05]})
    given["sigma_x"].unit = "mas"
    given.meta = {"epoch": Time(2012.5, format="jyear"), "pixel_scale_mas": 100.0}
    (found,) = read_epoch_lists([given])
    assert (found["x"][0], found["x_err"][0], found.meta["epoch"]) == (3.0, pytest.approx(0.05), 2012.5)
    assert read_star_list(given["xcentroid", "ycentroid", "mag"].to_pandas())["y"][0] == 4.0
    gaia = {
        n: [1.0] for n in ("ra", "dec", "ra_error", "dec_error", "pmra", "pmdec", "pmra_error", "pmdec_error")
    }
    assert (
        read_gaia(Table({**gaia, "ref_epoch": [2016.0], "source_id": [5]}).to_pandas())["ref_epoch"][0]
        == 2016
    )


def test_pixels_of_sextractor_count_from_one():
    table = Table({"X_IMAGE": [1.0], "Y_IMAGE": [5.5], "MAG_AUTO": [12.0]})
    assert read_star_list(table)["x", "y"].as_array().tolist() == [(0.0, 4.5)]


@pytest.mark.parametrize(("x", "y", "first"), [
    ("XWIN_IMAGE", "YWIN_IMAGE", 1), ("XPSF_IMAGE", "YPSF_IMAGE", 1), ("X_IMAGE_DBL", "Y_IMAGE_DBL", 1),
    ("x_0", "y_0", 0),
])  # fmt: skip
def test_lists_of_other_programs_have_their_own_names_of_positions(x, y, first):
    table = Table({x: [1.0], y: [5.5], "mag": [12.0]})
    assert read_star_list(table)["x", "y"].as_array().tolist() == [(1.0 - first, 5.5 - first)]
    assert read_catalog(table, need_sky=False)["x"][0] == 1.0 - first


def test_the_first_of_several_tables_is_named(tmp_path, caplog):
    other = clean_table()
    other["ra"] += 1.0
    hdus = [fits.table_to_hdu(t) for t in (clean_table(), other)]
    for hdu, name in zip(hdus, ("STARS", "MORE"), strict=True):
        hdu.name = name
    for n in (1, 2):
        fits.HDUList([fits.PrimaryHDU(), *hdus[:n]]).writeto(tmp_path / f"{n}.fits")
        assert np.all(read_catalog(tmp_path / f"{n}.fits")["ra"] < 81)
        assert ("of the tables STARS, MORE the first" in caplog.text) == (n == 2)


@pytest.mark.parametrize("epoch", [1e9 * u.s, 1.4e6 * u.h, 0.02 * u.kyr])
def test_times_without_a_known_zero_are_no_epoch(epoch):
    with pytest.raises(BadCatalogError, match="epoch"):
        read_catalog(Table({"ra": [1.0], "dec": [2.0]}), epoch=epoch)
    assert read_catalog(Table({"ra": [1.0], "dec": [2.0]}), epoch=57388.5 * u.d).meta["epoch"] > 2015.9


def test_a_row_is_no_table():
    table = Table({"ra": [10.0, 11.0], "dec": [5.0, 6.0]}, meta={"epoch": 2016.0})
    with pytest.raises(BadFileError, match="found a Row, needed a catalog"):
        read_catalog(table[0])


def test_two_columns_of_a_name_are_said(tmp_path, caplog):
    path = tmp_path / "merged.csv"
    path.write_text("ra,dec,mag,ra,dec\n10.5,-3.25,18,80.5,-69.5\n")
    assert read_catalog(path, epoch=2016.0)["ra"].tolist() == [10.5]
    assert "of several columns dec, ra the first is read" in caplog.text
