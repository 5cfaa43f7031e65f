"""Whole runs of hp_proper_motion: a catalog in any kind of file gives the motions of its ECSV, to the bit."""

import gzip
import json
import shutil

import numpy as np
import pytest
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.table import Table
from astropy.time import Time

from jwst_hpastrom.columns import MASTER, make_table
from jwst_hpastrom.geometry import TangentPlane
from jwst_hpastrom.io import write_table
from jwst_hpastrom.steps import ProperMotionStep

PLANE = TangentPlane(80.4, -69.5)
N = 150
UNITS = {"ra": "deg", "dec": "deg", "ra_error": "mas", "dec_error": "mas", "pmra": "mas / yr",
         "pmdec": "mas / yr", "pmra_error": "mas / yr", "pmdec_error": "mas / yr", "mag": "mag",
         "ref_epoch": "yr"}  # fmt: skip
VIZIER = {"ra": "RA_ICRS", "dec": "DE_ICRS", "ra_error": "e_RA_ICRS", "dec_error": "e_DE_ICRS",
          "pmra": "pmRA", "pmdec": "pmDE", "pmra_error": "e_pmRA", "pmdec_error": "e_pmDE", "mag": "Gmag",
          "ref_epoch": "Epoch"}  # fmt: skip


@pytest.fixture(scope="module")
def field(tmp_path_factory):
    """A master frame, a first epoch with a few gaps, and the motions from its ECSV."""
    folder = tmp_path_factory.mktemp("kinds")
    rng = np.random.default_rng(6)
    x, y = rng.uniform(9500, 10500, (2, N))
    mag = rng.uniform(-8, -4, N)
    u1, v1 = x + rng.normal(0, 0.3, N), y + rng.normal(0, 0.3, N)
    ra, dec = PLANE.to_sky(*PLANE.from_pixels(u1, v1))
    first = Table({"ra": ra, "dec": dec})
    for name, unit in UNITS.items():
        if name not in first.colnames:
            first[name] = rng.uniform(0.3, 0.6, N)
        first[name].unit = unit
    first["mag"], first["ref_epoch"] = mag, np.where(np.arange(N) % 2, 2006.4, 2005.9)
    first["pmra"][::9] = first["pmdec"][::9] = np.nan
    ra, dec = PLANE.to_sky(*PLANE.from_pixels(x, y))
    data = {c.name: np.full(N, 0.01) for c in MASTER}
    data |= {"id": np.arange(N), "x": x, "y": y, "ra": ra, "dec": dec, "mag": mag}
    data |= {"n_found": np.full(N, 8), "n_used": np.full(N, 8), "flags": np.zeros(N)}
    make_table(MASTER, data, PLANE.to_meta() | {"epoch": 2022.6}).write(folder / "field_master.ecsv")
    first.write(folder / "first.ecsv")
    return folder, first, motions(folder, "first.ecsv", "field_master.ecsv")


def motions(folder, name, master):
    out = folder / f"out-{name}-{master}"
    step = ProperMotionStep(first_epoch=str(folder / name), output_dir=str(out))
    step.run(str(folder / master))
    (path,) = out.glob("*_pm.ecsv")
    return [line for line in path.read_text().splitlines() if not line.startswith("#")]


def plain(t, path):
    t.write(path)


def votable(t, path):
    t.write(path, format="votable")


def csv(t, path, delimiter=","):
    text = [delimiter.join(t.colnames)]
    text += [delimiter.join("null" if np.isnan(v) else repr(float(v)) for v in row) for row in t]
    with gzip.open(path, "wt") if path.suffix == ".gz" else open(path, "w") as file:
        file.write("\n".join(text) + "\n")


def vizier(t, path):
    t = t.copy()
    t.rename_columns(list(VIZIER), list(VIZIER.values()))
    csv(t, path, "\t")
    head, *rows = path.read_text().splitlines()
    units = "\t".join(unit.replace(" ", "") for unit in UNITS.values())
    dashes = "\t".join("-" * 8 for _ in UNITS)
    rows = [row.replace("null", "") for row in rows]
    path.write_text("\n".join(["#RESOURCE=J/A+A/1/1", head, units, dashes, *rows]) + "\n")


def upper(t, path):
    t = t.copy()
    t.rename_columns(t.colnames, [c.upper() for c in t.colnames])
    csv(t, path)


def text(t, path):
    csv(t, path, " ")
    path.write_text(path.read_text().replace("null", "nan"))


def packed(t, path):
    t.write(path.with_suffix(""), format="ascii.ecsv")
    with open(path.with_suffix(""), "rb") as file, gzip.open(path, "wb") as out:
        shutil.copyfileobj(file, out)
    path.with_suffix("").unlink()


def mixins(t, path):
    t = t.copy()
    t["place"] = SkyCoord(t["ra"], t["dec"])
    t["ref_epoch"] = Time(np.asarray(t["ref_epoch"]), format="jyear", scale="tcb")
    t.remove_columns(["ra", "dec"])
    t.write(path)


def masked(t, path):
    t = Table(t, masked=True)
    t["pmra"].mask = t["pmdec"].mask = np.isnan(np.asarray(t["pmra"]))
    t.write(path)


def quantities(t, path):
    t = t.copy()
    for name in t.colnames:
        t[name] = np.asarray(t[name]) * u.Unit(UNITS[name])
    t.write(path)


KINDS = {
    "a.fits": plain, "a.parquet": plain, "a.vot": votable, "a.csv": csv, "b.CSV": csv, "a.csv.gz": csv,
    "viz.tsv": vizier, "upper.csv": upper, "a.txt": text, "a.dat": text, "z.ecsv.gz": packed,
    "masked.fits": masked, "masked.ecsv": masked, "quantities.ecsv": quantities,
}  # fmt: skip


@pytest.mark.parametrize("name", KINDS)
def test_first_epoch(field, name):
    folder, first, expected = field
    KINDS[name](first, folder / name)
    assert motions(folder, name, "field_master.ecsv") == expected
    assert len(expected) > N / 2


@pytest.mark.parametrize("name", ["m_master.fits", "p_master.parquet"])
def test_master_frame(field, name):
    folder, _, expected = field
    write_table(Table.read(folder / "field_master.ecsv"), folder / name)
    assert motions(folder, "first.ecsv", name) == expected


@pytest.mark.parametrize("name", ["mixins.ecsv", "mixins.fits"])
def test_coordinates_and_times_as_such(field, name):
    folder, first, expected = field
    mixins(first, folder / name)
    assert motions(folder, name, "field_master.ecsv") == expected


@pytest.mark.parametrize("kind", ["fits", "parquet", "csv", "vot"])
def test_many_epochs(tmp_path, kind):
    """Lists and Gaia table of one kind each."""
    rng = np.random.default_rng(4)
    n = 60
    e, h, pm = rng.uniform(-20, 20, n), rng.uniform(-20, 20, n), rng.normal(0, 2, (n, 2))
    tables = {}
    for k, t in enumerate((2014.0, 2016.0, 2018.0, 2020.0)):
        x = 300 - (e * 1e3 + pm[:, 0] * (t - 2016)) / 65 + rng.normal(0, 0.003, n)
        y = 300 + (h * 1e3 + pm[:, 1] * (t - 2016)) / 65 + rng.normal(0, 0.003, n)
        tables[f"e{k}"] = Table({"x": x, "y": y, "x_err": [0.003] * n, "y_err": [0.003] * n, "mag": h})
    gaia = Table({"source_id": np.arange(20), "ra": 80 + e[:20] / 3600, "dec": h[:20] / 3600})
    for name in ("ra_error", "dec_error", "pmra_error", "pmdec_error"):
        gaia[name] = 0.05
    gaia["pmra"], gaia["pmdec"], gaia["ref_epoch"] = pm[:20, 0], pm[:20, 1], 2016.0
    lines = []
    for ending in ("ecsv", kind):
        form = {"vot": "votable", "csv": "ascii.csv", "ecsv": "ascii.ecsv"}.get(ending, ending)
        for name, table in (tables | {"gaia": gaia}).items():
            table.write(tmp_path / f"{name}.{ending}", format=form)
        members = [{"expname": f"{name}.{ending}", "exptype": "science"} for name in tables]
        asn = tmp_path / f"{ending}_asn.json"
        asn.write_text(json.dumps({"products": [{"name": "field", "members": members}]}))
        step = ProperMotionStep(
            gaia_catalog=str(tmp_path / f"gaia.{ending}"), output_dir=str(tmp_path / ending),
            epochs=[2014.0, 2016.0, 2018.0, 2020.0], pixel_scale_mas=65.0,
        )  # fmt: skip
        step.run(str(asn))
        text = (tmp_path / ending / "field_pm.ecsv").read_text().splitlines()
        lines.append([line for line in text if not line.startswith("#")])
    assert lines[0] == lines[1]
    assert len(lines[0]) > n / 2
