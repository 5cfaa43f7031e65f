"""Functions say what they were given, where it is no table, and do not take one unit or mask for another."""

import astropy.units as u
import numpy as np
import pytest
from astropy.table import Column, MaskedColumn, QTable, Table
from astropy.time import Time

from jwst_hpastrom.distortion import solve_distortion
from jwst_hpastrom.errors import BadCatalogError
from jwst_hpastrom.frame import build_master
from jwst_hpastrom.geometry import TangentPlane
from jwst_hpastrom.io import read_star_list
from jwst_hpastrom.motion import fit_epochs, two_epoch_motions
from jwst_hpastrom.tables import as_catalog, as_star_lists, as_table, set_list_facts

PLANE = TangentPlane(80.0, -69.5)


def star_lists(n=120, n_lists=4):
    rng = np.random.default_rng(2)
    xi, eta = rng.uniform(-30, 30, (2, n))
    mag = rng.uniform(-8, -4, n)
    out = []
    for k in range(n_lists):
        x, y = 1024 - xi / 0.0656 + 20.3 * k, 1024 + eta / 0.0656 - 15.7 * k
        t = Table({"x": x + rng.normal(0, 0.01, n), "y": y + rng.normal(0, 0.01, n), "mag": mag})
        t["ra"], t["dec"] = PLANE.to_sky(xi, eta)
        t["x_err"] = t["y_err"] = t["mag_err"] = np.full(n, 0.01)
        t.meta = {"filename": f"e{k}_cal.fits", "epoch": 2022.4}
        out.append(t)
    return out


@pytest.mark.parametrize(
    "given",
    ["a.ecsv", {"x": [1.0]}, np.zeros(3), Table({"x": [1.0]}).to_pandas(), Table({"x": [1.0]})[0]],
    ids=type,
)
def test_what_is_no_table_is_refused(given):
    lists = star_lists(20)
    for call in (
        lambda: build_master([given]), lambda: build_master(lists, reference=given),
        lambda: solve_distortion([given]), lambda: solve_distortion(lists, given),
        lambda: two_epoch_motions(given, lists[0]), lambda: two_epoch_motions(lists[0], given),
        lambda: fit_epochs([given], lists[0]), lambda: fit_epochs(lists, given),
    ):  # fmt: skip
        with pytest.raises(BadCatalogError, match="needed an astropy table; jwst_hpastrom.read_"):
            call()
    with pytest.raises(BadCatalogError, match="needed a list of star lists"):
        as_star_lists(lists[0])


def test_results_stand_for_their_tables():
    frame = build_master(star_lists())
    assert as_table(frame, "frame") is frame.table


def test_masked_positions_do_not_count():
    masked, unknown = star_lists(), star_lists()
    for a, b in zip(masked, unknown, strict=True):
        bad = np.arange(len(a)) % 5 == 0
        b["x"][bad] = np.nan
        a["x"] = MaskedColumn(np.where(bad, a["x"] + 0.3, a["x"]), mask=bad)
    frames = [build_master(lists).table for lists in (masked, unknown)]
    assert len(frames[0]) == len(frames[1]) == 96
    np.testing.assert_array_equal(frames[0]["x"], frames[1]["x"])


def test_places_on_the_sky_may_have_any_unit():
    lists, wanted = star_lists(), build_master(star_lists()).table
    for t in lists:
        t["ra"], t["dec"] = (Column(np.deg2rad(t[c]), unit="rad") for c in ("ra", "dec"))
    found = build_master(lists).table
    np.testing.assert_allclose(found["ra"], wanted["ra"], rtol=0, atol=1e-9)


@pytest.mark.parametrize("column", ["x", "x_err"])
def test_pixels_in_another_unit_are_refused(column):
    for make in (Table, QTable):
        lists = [make(t) for t in star_lists(20)]
        lists[1][column] = np.asarray(lists[1][column]) * 65.6 * u.mas
        for call in (
            lambda lists=lists: build_master(lists),
            lambda lists=lists: fit_epochs(lists, lists[0]),
        ):
            with pytest.raises(BadCatalogError, match=f"e1_cal.fits: found {column} in mas, needed pixels"):
                call()


def test_epochs_that_are_no_years_are_refused():
    lists = star_lists()
    for t in lists:
        t.meta["epoch"] = Time(2022.4, format="jyear")
    assert build_master(lists).table.meta["epoch"] == pytest.approx(2022.4)
    for epoch in ("2022-05-26", 59725.0, 22.4, 2022.4 * u.yr):
        lists[2].meta["epoch"] = epoch
        with pytest.raises(BadCatalogError, match="e2_cal.fits: found epoch .*needed a Julian year"):
            build_master(lists)
    frame, catalog = build_master(star_lists()).table, star_lists(20)[0]
    catalog["ref_epoch"] = 53878.0
    with pytest.raises(BadCatalogError, match="ref_epoch 53878.0, needed a Julian year"):
        two_epoch_motions(frame, catalog)


def test_a_list_without_the_others_epoch_is_named(caplog):
    lists = star_lists()
    del lists[1].meta["epoch"]
    as_star_lists(lists)
    assert caplog.messages == ["no metadata epoch in e1_cal.fits: taken to be of the others' epoch"]


def test_single_precision_is_refused_by_functions_too():
    lists = star_lists()
    good = Table({c: lists[0][c] for c in ("ra", "dec", "mag")}, meta={"epoch": 2012.4})
    rounded = Table({c: good[c].astype("f4") for c in good.colnames}, meta=good.meta)
    rounded_list = lists[0].copy()
    for name in ("ra", "dec"):
        rounded_list[name] = rounded_list[name].astype("f4")
    for call in (
        lambda: build_master(lists, reference=rounded), lambda: two_epoch_motions(good, rounded),
        lambda: fit_epochs(lists, rounded), lambda: solve_distortion(lists, rounded),
        lambda: build_master([rounded_list]), lambda: read_star_list(rounded_list),
    ):  # fmt: skip
        with pytest.raises(BadCatalogError, match="in single precision, rounded to"):
            call()


def test_errors_that_are_none_are_counted(caplog):
    lists = star_lists()
    lists[1]["x_err"][:7] = 0.0
    lists[1]["x_err"][7:9] = -1.0
    lists[2]["x_err"][:5] = np.nan  # says itself that it is unknown
    as_star_lists(lists)
    told = [r.getMessage() for r in caplog.records]
    assert told == ["e1_cal.fits: x_err is zero or less in 9 of 120 rows: taken to be unknown"]
    caplog.clear()
    catalog = Table({"ra": [80.0, 80.1], "dec": [-69.5, -69.4], "pmra_error": [0.1, 0.0]})
    as_catalog(catalog, "first epoch")
    assert "first epoch: pmra_error is zero or less in 1 of 2 rows" in caplog.text


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("xstart", "abc"), ("xstart", [865]), ("ystart", 865.5), ("ystart", -5), ("pixel_area_sr", "x"),
        ("mjsr_per_dns", np.nan), ("v2_ref", "x"), ("ra_ref", "05:21:00"), ("detector", 5),
        ("detector", "NRCB1"), ("filter", 200),
    ],
)  # fmt: skip
def test_metadata_that_cannot_be(key, value):
    lists = star_lists()
    lists[1].meta |= {"instrument": "NIRISS", key: value}
    with pytest.raises(BadCatalogError, match=f"e1_cal.fits: found {key}"):
        as_star_lists(lists)


def test_metadata_have_one_form():
    meta = {"instrument": "niriss", "detector": "nis", "filter": "f200w", "xstart": "865", "roll_ref": "38"}
    set_list_facts(meta, "a")
    assert meta == {
        "instrument": "NIRISS", "detector": "NIS", "filter": "F200W", "xstart": 865, "roll_ref": 38.0
    }  # fmt: skip
