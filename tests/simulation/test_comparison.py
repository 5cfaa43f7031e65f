"""The comparison finds the errors that were put in, and none that were not."""

import numpy as np
import pytest

from jwst_hpastrom.columns import MASTER, MOTION, STAR_LIST, make_table
from jwst_hpastrom.errors import NoOverlapError
from jwst_hpastrom.io.files.writing import write_table
from jwst_hpastrom.io.tables.reading import read_table
from jwst_hpastrom.simulation import OpticsConfig, cramer_rao, simulate_field, write_official_distortion
from jwst_hpastrom.simulation.comparison import compare, compare_master, distortion_residuals, format_summary
from jwst_hpastrom.simulation.sky import positions_at


@pytest.fixture(scope="module")
def field():
    return simulate_field(
        size=1024, n_exposures=2, n_stars=3000, seed=3, min_separation=9.0, pointing_error_arcsec=0.3,
        optics=OpticsConfig(n_field=2, n_wavelengths=1),
    )  # fmt: skip


@pytest.fixture(scope="module")
def products(field, tmp_path_factory):
    """Products made of the truth and of noise: twice the bound, honest errors; motions stated too small."""
    folder, rng = tmp_path_factory.mktemp("products"), np.random.default_rng(1)
    for e in field.exposures:
        t = e.truth
        keep = np.flatnonzero((rng.uniform(size=len(t)) < 0.9) & np.isfinite(cramer_rao(e)[0]))
        x_err, y_err, _ = (2 * b[keep] for b in cramer_rao(e))
        n = keep.size
        data = {
            "x": t["x"][keep] + rng.normal(0, 1, n) * x_err,
            "y": t["y"][keep] + rng.normal(0, 1, n) * y_err + 0.004,
            "x_err": x_err, "y_err": y_err, "flux": t["flux"][keep], "mag": t["mag"][keep],
            "qfit": np.zeros(n), "radxs": np.zeros(n),
        }  # fmt: skip
        table = make_table(STAR_LIST, data, {"filename": e.meta["filename"]})
        write_table(table, folder / f"{e.name}_stars.ecsv")
    write_official_distortion(folder / "field_distortion.asdf", field.config.filter)
    epoch, n = field.config.epoch, len(field.stars)
    ra, dec = positions_at(field.stars, epoch)
    xi, eta = field.plane.from_sky(ra, dec)
    ra, dec = field.plane.to_sky(xi + rng.normal(0, 3e-4, n) + 0.002, eta + rng.normal(0, 3e-4, n))
    common = {"id": np.arange(n), "ra": ra, "dec": dec, "mag": np.asarray(field.stars["mag"])}
    data = common | {"x_err": np.full(n, 0.006), "y_err": np.full(n, 0.006), "n_used": np.full(n, 2)}
    meta = {"epoch": epoch, **field.plane.to_meta()}
    write_table(make_table(MASTER, data, meta), folder / "field_master.ecsv")
    data = common | {"ref_epoch": np.full(n, epoch)}
    for name in ("pmra", "pmdec"):
        data[name] = np.asarray(field.stars[name]) + rng.normal(0, 0.05, n)
        data[f"{name}_error"] = np.full(n, 0.025)
    write_table(make_table(MOTION, data), folder / "field_pm.ecsv")
    return folder


def test_summary(field, products):
    summary, details = compare(field, products, official=products / "field_distortion.asdf")
    rows = {r["quantity"]: r for r in summary}
    star = next(r for q, r in rows.items() if q.startswith("star x"))
    assert abs(star["pull"] - 1) < 0.15
    assert abs(star["over_bound"] - 2) < 0.3
    star = next(r for q, r in rows.items() if q.startswith("star y"))
    assert abs(star["offset"] - 0.004) < 0.002
    # the common shift of a frame is taken out, the scatter stays
    assert abs(rows["master position East"]["scatter"] - 0.3) < 0.05
    assert abs(rows["master position East"]["pull"] - 1) < 0.15
    assert abs(details["master"].meta["median_dx"] - 2.0) < 0.05
    # motions with errors stated by half
    assert abs(rows["pmra"]["scatter"] - 0.05) < 0.008
    assert abs(rows["pmdec"]["pull"] - 2) < 0.3
    assert rows["pmra"]["over_bound"] > 1
    assert abs(summary.meta["found_bright"] - 0.9) < 0.06
    text = format_summary(summary)
    assert "pmdec" in text
    assert "found of the true isolated stars" in text


@pytest.mark.parametrize("off", [0.15, -0.6])
def test_a_frame_without_a_catalog_is_off_as_a_whole(field, products, off):
    """By its pointing, more than stars of one frame are from each other."""
    frame = read_table(products / "field_master.ecsv")
    xi, eta = field.plane.from_sky(frame["ra"], frame["dec"])
    frame["ra"], frame["dec"] = field.plane.to_sky(xi + off, eta - 0.4 * off)
    pairs = compare_master(field, frame)
    assert len(pairs) == len(frame)
    assert abs(pairs.meta["median_dx"] - 2.0 - 1e3 * off) < 0.05
    assert abs(np.std(pairs["dx"]) - 0.3) < 0.05
    frame["dec"] += 0.1
    with pytest.raises(NoOverlapError, match="none of"):
        compare_master(field, frame)


def test_stars_have_the_numbers_of_the_truth(field, products):
    stars = compare(field, products)[1]["stars"]
    assert np.array_equal(np.asarray(field.stars["mag"])[stars["id"]], stars["mag"])
    first, second = (stars["id"][stars["exposure"] == k] for k in (0, 1))
    assert np.unique(first).size == first.size
    assert np.isin(first, second).sum() > 0.5 * first.size


def test_official_distortion_differs_by_the_fine_structure(field, products):
    r = distortion_residuals(field, products / "field_distortion.asdf")
    dx, dy = field.distortion.fine.forward(r["x"], r["y"])
    # apart from offset, rotation and scale, file minus truth is minus the fine structure
    design = np.c_[np.ones(len(r)), r["x"] / 1024, r["y"] / 1024]
    for got, put in ((r["dx"], -dx), (r["dy"], -dy)):
        rest = np.asarray(got) - put
        rest = rest - design @ np.linalg.lstsq(design, rest, rcond=None)[0]
        assert rest.std() < 0.02 * np.std(put) + 1e-3


def test_missing_products_have_no_rows(field, products, tmp_path):
    for p in products.glob("*_stars.ecsv"):
        (tmp_path / p.name).write_text(p.read_text())
    summary, details = compare(field, tmp_path)
    assert set(details) == {"stars"}
    assert all(q.startswith("star") for q in summary["quantity"])
