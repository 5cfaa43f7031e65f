"""The pipeline opens every input before any work; good products survive a start that fails."""

import json
import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table

from jwst_hpastrom.epsf import EPSFLibrary
from jwst_hpastrom.errors import HPAstromError, MixedExposuresError, NoBaselineError, NotEnoughStarsError
from jwst_hpastrom.io.calibrations.epsf_reference import write_epsf_reference
from jwst_hpastrom.io.gaia import archive
from jwst_hpastrom.simulation import simulate_field, write_field
from jwst_hpastrom.steps import HPAstromPipeline
from jwst_hpastrom.steps.pipeline import frame
from jwst_hpastrom.steps.pipeline.inputs import check_inputs

pytestmark = pytest.mark.usefixtures("offline")


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    sky = simulate_field(size=128, n_exposures=2, n_stars=60, mag_faint=-5.0, dither_arcsec=2.0, seed=8)
    library = EPSFLibrary(*sky.epsf.sampled(), meta={"filter": "F090W"}).normalized()
    files = write_field(sky, tmp_path_factory.mktemp("small"))
    return files, str(write_epsf_reference(library, Path(files.association).parent / "other_epsf.asdf"))


def catalog(files, path, change):
    table = Table.read(files.reference_catalog)
    change(table)
    table.write(path)
    return str(path)


def without_positions(table):
    table.remove_columns(["ra", "x"])


def no_epoch(table):
    del table.meta["epoch"]


def elsewhere(table):
    table["ra"] += 3.0


def same_epoch(table):
    table.meta["epoch"] = 2022.33


@pytest.mark.parametrize(
    ("given", "needed"),
    [
        (lambda f, e, d: {"reference_catalog": str(d / "gone.ecsv")}, "gone.ecsv: found no such file"),
        (lambda f, e, d: {"reference_catalog": catalog(f, d / "c.ecsv", without_positions)},
         "c.ecsv: found columns"),
        (lambda f, e, d: {"reference_catalog": catalog(f, d / "c.ecsv", no_epoch)}, "c.ecsv: found no epoch"),
        (lambda f, e, d: {"reference_catalog": catalog(f, d / "c.ecsv", elsewhere)},
         "where the exposures look"),
        (lambda f, e, d: {"epsf_file": str(d / "gone_epsf.fits")}, "gone_epsf.fits: found"),
        (lambda f, e, d: {"epsf_file": e}, "an ePSF of F090W for exposures in F150W"),
        (lambda f, e, d: {"distortion_file": str(d / "gone.asdf")}, "gone.asdf: found no such file"),
    ],
)  # fmt: skip
def test_an_input_that_is_wrong_stops_it_before_any_work(small, tmp_path, monkeypatch, given, needed):
    files, other = small
    out = tmp_path / "out"
    out.mkdir()
    kept = [out / f"field_{name}" for name in ("epsf.fits", "master.ecsv", "pm.ecsv", "checks.ecsv")]
    for path in kept:
        path.write_text("a good product")
    for name in HPAstromPipeline.step_defs:  # no Step may begin
        monkeypatch.setattr(HPAstromPipeline.step_defs[name], "run_step", lambda *a: pytest.fail("began"))
    given = {"reference_catalog": files.reference_catalog} | given(files, other, tmp_path)
    with pytest.raises(HPAstromError, match=needed.replace(".", r"\.")):
        HPAstromPipeline.call(files.association, output_dir=str(out), **given)
    assert sorted(out.iterdir()) == sorted(kept)
    assert {p.read_text() for p in kept} == {"a good product"}


def test_a_catalog_of_the_exposures_own_epoch_is_good_for_frame_and_distortion(small, tmp_path, caplog):
    files, _ = small
    own = catalog(files, tmp_path / "c.ecsv", same_epoch)
    assert check_inputs([str(p) for p in files.exposures], reading={}, catalog=own)
    assert "no motions can be had" in caplog.text
    assert "epochs that differ" in caplog.text


@pytest.mark.parametrize("error", [NoBaselineError, NotEnoughStarsError])
def test_frames_are_made_without_motions(monkeypatch, error, tmp_path):
    noted = []

    def motions(*_):
        raise error("rows of one epoch", "epochs that differ")

    pipe = SimpleNamespace(
        reference_catalog="c.ecsv", hp_proper_motion=SimpleNamespace(skip=False),
        choices=SimpleNamespace(note=lambda *what: noted.append(what)),
    )  # fmt: skip
    run = SimpleNamespace(pipeline=pipe, motions=motions, path=lambda name: tmp_path / name)
    monkeypatch.setattr(frame, "_tied", lambda *_: True)
    frame.frame_and_motions(run, None)
    assert noted[0][:2] == ("motions", "none")


def test_members_are_opened_first(small, tmp_path, monkeypatch):
    files, _ = small
    monkeypatch.setattr(
        HPAstromPipeline.step_defs["hp_epsf_build"], "run_step", lambda *a: pytest.fail("began")
    )
    broken = tmp_path / "broken_cal.fits"
    with fits.open(files.exposures[1]) as hdus:
        del hdus["ERR"]
        hdus.writeto(broken)
    good = Path(shutil.copy(files.exposures[0], tmp_path))
    members = [{"expname": p.name, "exptype": "science"} for p in (good, broken)]
    asn = tmp_path / "field_asn.json"
    asn.write_text(json.dumps({"products": [{"name": "field", "members": members}]}))
    with pytest.raises(HPAstromError, match=r"broken_cal\.fits: found"):
        HPAstromPipeline.call(str(asn), output_dir=str(tmp_path / "out"))
    assert np.all([p.suffix != ".fits" for p in (tmp_path / "out").glob("*")])


def test_gaia_around_the_exposures(small, tmp_path, monkeypatch):
    """From the file of an earlier query where it covers them; else the archive is asked, or missed."""
    files, _ = small
    members = [str(p) for p in files.exposures]
    monkeypatch.setenv("HPASTROM_GAIA_TAP", "http://127.0.0.1:9/tap")
    asked = {"reading": {}, "catalog": "gaia", "folder": tmp_path, "product": "field"}
    pytest.importorskip("astroquery")
    with pytest.raises(HPAstromError, match=r"field_gaia.ecsv: found no answer from http://127.0.0.1:9"):
        check_inputs(members, **asked)
    table = Table.read(files.reference_catalog)
    table["ref_epoch"] = 2016.0
    table.meta = {"query": "all", "circle_deg": [80.5, -69.5, 0.5], "release": "gaiadr3"}
    monkeypatch.setattr(archive, "_ask", lambda query, path: table)
    check_inputs(members, **asked)
    assert (tmp_path / "field_gaia.ecsv").exists()
    monkeypatch.setattr(archive, "_ask", lambda query, path: 1 / 0)
    check_inputs(members, **asked)


def test_exposures_of_two_units_are_refused(small, tmp_path):
    members = sorted(Path(small[0].association).parent.glob("*_cal.fits"))
    other = tmp_path / members[1].name
    shutil.copy(members[1], other)
    fits.setval(other, "BUNIT", value="DN/s", extname="SCI")
    for several in (False, True):
        with pytest.raises(MixedExposuresError, match="DN/s and MJy/sr"):
            check_inputs([str(members[0]), str(other)], reading={}, several_filters=several)
