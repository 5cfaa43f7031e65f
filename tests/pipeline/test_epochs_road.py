"""Exposures of three epochs through real strun, judged against the truth."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from astropy.table import Table

from jwst_hpastrom.geometry import TangentPlane, match_nearest
from jwst_hpastrom.io.files.manifest_reading import read_manifest
from jwst_hpastrom.simulation import positions_at
from tests.pipeline.three_epochs import write_epochs_of_exposures

VISITS = ((2022.33, 10.0, "F150W"), (2023.60, 107.0, "F150W"), (2025.20, 46.0, "F150W"))


@pytest.fixture(scope="module")
def exposures(tmp_path_factory):
    """Association, Gaia-like table, true stars, folder: small exposures without fine structure."""
    folder = tmp_path_factory.mktemp("epochs")
    small = {
        "size": 512,
        "n_exposures": 3,
        "n_stars": 500,
        "mag_faint": -4.0,
        "dither_arcsec": 4.0,
        "seed": 5,
    }
    flat = {"wave_pix": 0.0, "void_pix": 0.0, "filter_pix": 0.0}
    return *write_epochs_of_exposures(folder, VISITS, n_gaia=40, **small, **flat), folder


@pytest.fixture(scope="module")
def products(strun, exposures, tmp_path_factory):
    asn, gaia, _, folder = exposures
    out = tmp_path_factory.mktemp("products")
    done = strun(
        "calwebb_hpastrom", asn, f"--gaia_catalog={gaia}", f"--epsf_file={folder / 'epsf.fits'}", cwd=out
    )
    assert "no distortion was solved" in done.stdout + done.stderr  # subarrays: said aloud
    return out


def test_every_epoch_has_its_frame(products):
    names = {p.name for p in products.iterdir()}
    assert {f"lmc_e{k}_{s}" for k in (1, 2, 3) for s in ("asn.json", "master.ecsv")} <= names
    assert {"lmc_pm.ecsv", "lmc_proper_motion_quality.ecsv", "lmc_epochs_asn.json"} <= names
    chosen = {row["part"]: row["chosen"] for row in Table.read(products / "lmc_choices_quality.ecsv")}
    assert chosen == {"ePSF": "given", "distortion of lmc": "the exposures' WCS"}
    epochs = [Table.read(products / f"lmc_e{k}_master.ecsv").meta["epoch"] for k in (1, 2, 3)]
    np.testing.assert_allclose(epochs, [v[0] for v in VISITS], atol=0.01)
    assert "membership" in Table.read(products / "lmc_proper_motion_quality.ecsv").colnames


def test_resume_makes_nothing_anew(products, strun, exposures):
    asn, gaia, _, folder = exposures
    before = {p: p.stat().st_mtime_ns for p in products.iterdir()}
    done = strun(
        "calwebb_hpastrom", asn, f"--gaia_catalog={gaia}", f"--epsf_file={folder / 'epsf.fits'}",
        "--resume=true", cwd=products,
    )  # fmt: skip
    assert "no distortion could be solved from these inputs" in done.stdout + done.stderr
    assert {p: p.stat().st_mtime_ns for p in products.iterdir()} == before


def test_resume_makes_lists_of_another_mode(products, strun, exposures, tmp_path):
    asn, gaia, _, folder = exposures
    out = shutil.copytree(products, tmp_path / "copy")
    how = ("calwebb_hpastrom", asn, f"--gaia_catalog={gaia}", f"--epsf_file={folder / 'epsf.fits'}")
    done = strun(*how, "--mode=isolated", "--resume=true", cwd=out)
    said = [line for line in (done.stdout + done.stderr).splitlines() if "hp_epsf_fit runs: " in line]
    assert len(said) == 3
    assert all("mode is isolated, was catalog" in line for line in said)
    modes = [read_manifest(p)["parameters"]["mode"] for p in out.glob("*_stars.ecsv")]
    assert modes == ["isolated"] * 9


def test_motions_and_their_errors(products, exposures):
    stars, motions = exposures[2], Table.read(products / "lmc_pm.ecsv")
    plane = TangentPlane(80.5, -69.5, 1.0)
    at = positions_at(stars, float(np.nanmedian(motions["ref_epoch"])))
    x, y = plane.to_pixels(*plane.from_sky(*at))
    u, v = plane.to_pixels(*plane.from_sky(np.asarray(motions["ra"]), np.asarray(motions["dec"])))
    i, j, _ = match_nearest(u, v, x, y, 10.0)
    found, true = motions[i], stars[j]
    alone = (np.asarray(found["n_epochs"]) == 3) & (np.asarray(found["flags"]) & 64 == 0)
    assert alone.sum() > 100
    d = np.stack([np.asarray(found[c]) - np.asarray(true[c]) for c in ("pmra", "pmdec")])[:, alone]
    own, total = (
        np.stack([np.asarray(found[c + s]) for c in ("pmra", "pmdec")])[:, alone]
        for s in ("_error", "_error_total")
    )
    spread = 1.4826 * np.median(np.abs(d - np.median(d, axis=1)[:, None]) / own)
    assert 0.75 < spread < 1.25
    assert 1.4826 * np.median(np.abs(d / total)) < 1.4
    assert np.median(own[:, np.asarray(true["mag"])[alone] < -5.5]) < 0.2  # mas/yr


def test_one_epoch_is_no_motion(strun, exposures, tmp_path):
    asn, gaia, _, folder = exposures
    members = json.loads(Path(asn).read_text())["products"][0]["members"][:3]
    (tmp_path / "one_asn.json").write_text(json.dumps({"products": [{"name": "one", "members": members}]}))
    done = strun(
        "calwebb_hpastrom", "one_asn.json", f"--gaia_catalog={gaia}", f"--epsf_file={folder / 'epsf.fits'}",
        cwd=tmp_path, fails=True,
    )  # fmt: skip
    assert done.stderr.strip().splitlines()[-1].startswith("DegenerateSolutionError")
    assert not list(tmp_path.glob("*_stars.ecsv"))
