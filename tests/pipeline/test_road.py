"""The whole road through real strun, judged against the truth."""

from pathlib import Path

import numpy as np
import pytest
from astropy.table import Table

from jwst_hpastrom.columns import MASTER, MOTION, STAR_LIST
from jwst_hpastrom.geometry import TangentPlane, match_nearest, robust_sigma


def matched(table, truth, radius=0.5):
    """Indices (table, truth) of the stars of a list that are true."""
    i, j, _ = match_nearest(
        np.asarray(table["x"]), np.asarray(table["y"]), np.asarray(truth["x"]), np.asarray(truth["y"]), radius
    )
    return i, j


@pytest.fixture(scope="module")
def products(strun, field, tmp_path_factory):
    """Folder with all products of one run of the pipeline."""
    files, _ = field
    out = tmp_path_factory.mktemp("products")
    strun("calwebb_hpastrom", files.association, f"--reference_catalog={files.reference_catalog}", cwd=out)
    return out


def test_all_products_are_there(products, field):
    names = {p.name for p in products.iterdir()}
    roots = [Path(p).name.removesuffix("_cal.fits") for p in field[0].exposures]
    wanted = {f"{r}_stars.ecsv" for r in roots} | {
        f"field_{s}"
        for s in (
            "epsf.fits",
            "epsf.asdf",
            "catfile.txt",
            "distortion.asdf",
            "stdgdc.fits",
            "gdc.fits",
            "master.ecsv",
            "pm.ecsv",
        )
    }
    assert wanted <= names
    assert {f"field_{s}_quality.ecsv" for s in ("epsf_build", "distortion_refine", "master_frame")} <= names


@pytest.mark.parametrize(
    ("suffix", "schema", "needed"),
    [
        (
            "stars",
            STAR_LIST,
            "id x y x_err y_err xy_cov flux flux_err mag mag_err qfit radxs chi2 flags ra dec",
        ),
        ("master", MASTER, "id x y xi eta ra dec x_rms y_rms x_err y_err mag n_found n_used flags"),
        ("pm", MOTION, "id ra dec ref_epoch pmra pmdec pmra_error pmdec_error pmra_rel pmdec_rel mag"),
    ],
)
def test_tables_have_the_contract_columns(products, suffix, schema, needed):
    units = {c.name: c.unit for c in schema}
    for path in products.glob(f"*_{suffix}.ecsv"):
        table = Table.read(path)
        assert len(table) > 100
        for name in needed.split():
            assert str(table[name].unit or "") == units[name].replace(" ", " ")
        assert table.meta["epoch"] == pytest.approx(2022.33, abs=0.01) or suffix == "pm"


def test_positions_are_near_the_cramer_rao_bound(products, field):
    pulls, errors = [], []
    for exposure in field[1].exposures:
        table = Table.read(products / f"{exposure.name}_stars.ecsv")
        truth = exposure.truth
        i, j = matched(table, truth)
        bright = (truth["mag"][j] > -6.5) & (truth["mag"][j] < -5)
        assert i.size > 0.8 * np.sum(
            (truth["x"] > 5) & (truth["x"] < 635) & (truth["y"] > 5) & (truth["y"] < 635)
        )
        for axis in "xy":
            d = np.asarray(table[axis][i] - truth[axis][j])[bright]
            pulls.append(robust_sigma(d / np.asarray(table[f"{axis}_err"])[i][bright]))
            errors.append(robust_sigma(d))
    assert 0.7 < np.mean(pulls) < 1.6
    assert np.mean(errors) < 0.02


def test_motions_agree_with_the_truth(products, field):
    motions, stars = Table.read(products / "field_pm.ecsv"), Table(field[1].stars)
    catalog = Table.read(field[0].reference_catalog)
    plane = TangentPlane.from_meta(catalog.meta) or TangentPlane(*field[1].config.target)
    sky = [plane.from_sky(np.asarray(t["ra"]), np.asarray(t["dec"])) for t in (motions, catalog)]
    i, j, _ = match_nearest(*sky[0], *sky[1], 0.05)
    assert i.size > 100
    order = {k: n for n, k in enumerate(np.asarray(stars["id"]))}
    true = stars[[order[k] for k in np.asarray(catalog["id"])[j]]]
    bright = np.asarray((true["mag"] > -6.5) & (true["mag"] < -4.5))
    for name in ("pmra", "pmdec"):
        d = (np.asarray(motions[name])[i] - np.asarray(true[name]))[bright]
        pull = d / np.asarray(motions[f"{name}_error"])[i][bright]
        assert 0.6 < robust_sigma(pull) < 1.5


def test_resume_makes_nothing_anew(products, strun, field):
    files, _ = field
    before = {p: p.stat().st_mtime_ns for p in products.iterdir()}
    strun(
        "calwebb_hpastrom",
        files.association,
        f"--reference_catalog={files.reference_catalog}",
        "--resume=true",
        cwd=products,
    )
    assert {p: p.stat().st_mtime_ns for p in products.iterdir()} == before


def test_members_are_only_read(products, field):
    assert {p.name for p in Path(field[0].association).parent.iterdir()} == {
        *(Path(p).name for p in field[0].exposures),
        "field_asn.json",
        "first_epoch.ecsv",
        "field_official_distortion.asdf",
        "truth",
    }
