"""The whole pipeline through real strun, judged against the truth."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from astropy.table import Table
from astropy.units import Unit

from jwst_hpastrom.checks import check_folder
from jwst_hpastrom.columns import MASTER, MOTION, STAR_LIST
from jwst_hpastrom.geometry import match_nearest, robust_sigma
from jwst_hpastrom.simulation.comparison import compare_proper_motions


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
    done = strun(
        "calwebb_hpastrom", files.association, f"--reference_catalog={files.reference_catalog}", cwd=out
    )
    # a good run gives no cause to worry
    lines = (done.stdout + done.stderr).splitlines()
    assert not [line for line in lines if "stpipe.hpastrom" in line and "WARNING" in line]
    return out


def test_its_verdict_is_good(products):
    checks = check_folder(products)
    assert {c.step for c in checks} == {
        "hp_epsf_build", "hp_epsf_fit", "hp_distortion_refine", "hp_master_frame", "hp_proper_motion",
    }  # fmt: skip
    noted = [c for c in checks if c.verdict != "ok"]
    assert len(noted) <= 1
    assert all(c.verdict == "look" for c in noted)
    stored = Table.read(products / "field_checks.ecsv")
    assert list(stored["check"]) == [c.name for c in checks]


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
            assert (table[name].unit or Unit("")) == Unit(units[name])
        epoch = table["ref_epoch"][0] if suffix == "pm" else table.meta["epoch"]
        assert epoch == pytest.approx(2022.33, abs=0.01)


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
    pairs = compare_proper_motions(field[1], Table.read(products / "field_pm.ecsv"))
    good = pairs["isolated"] & (pairs["mag"] > -6.5) & (pairs["mag"] < -4.5)
    assert good.sum() > 100
    for name in ("pmra", "pmdec"):
        pull = np.asarray(pairs[f"d{name}"] / pairs[f"{name}_error"])[good]
        assert 0.7 < robust_sigma(pull) < 1.4
        assert abs(np.median(pairs[f"d{name}"][good])) < 0.02


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


def test_given_epsf_and_few_reference_stars(products, strun, field, tmp_path):
    """What few stars cannot solve they refine; what was chosen and why is said and written."""
    files, _ = field
    catalog = Table.read(files.reference_catalog)
    catalog.sort("mag")
    catalog[:40].write(tmp_path / "few.ecsv")
    given = shutil.copy(products / "field_epsf.fits", tmp_path / "STDPSF_NIS_F150W.fits")
    done = strun(
        "calwebb_hpastrom",
        files.association,
        "--reference_catalog=few.ecsv",
        f"--epsf_file={given}",
        "--mode=isolated",
        cwd=tmp_path,
    )
    assert "that of the exposures' WCS is refined" in done.stdout + done.stderr
    chosen = {row["part"]: row["chosen"] for row in Table.read(tmp_path / "field_choices_quality.ecsv")}
    assert chosen["ePSF"] == "given"
    assert chosen["distortion"].startswith("the exposures' WCS")
    assert chosen["frame"].startswith("tied to ")
    names = {p.name for p in tmp_path.iterdir()}
    assert {"field_master.ecsv", "field_pm.ecsv", "field_distortion.asdf"} <= names
    assert "field_epsf.fits" not in names
    assert len(Table.read(tmp_path / "field_pm.ecsv")) >= 10


def test_members_are_only_read(products, field):
    assert {p.name for p in Path(field[0].association).parent.iterdir()} == {
        *(Path(p).name for p in field[0].exposures),
        "field_asn.json",
        "first_epoch.ecsv",
        "field_official_distortion.asdf",
        "truth",
    }
