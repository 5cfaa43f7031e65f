"""EPSFBuildStep on an association of small exposures."""

import inspect
import json
import os
import threading
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from astropy.table import Table
from scipy.ndimage import gaussian_filter

from jwst_hpastrom.epsf.build import build_library, iterations
from jwst_hpastrom.epsf.build.smoothing import recenter
from jwst_hpastrom.epsf.library import EPSFLibrary
from jwst_hpastrom.errors import (
    BadReferenceFileError,
    FolderInUseError,
    MixedExposuresError,
    NotEnoughStarsError,
    ParameterError,
)
from jwst_hpastrom.io.calibrations.epsf_reference import read_epsf_reference, write_epsf_reference
from jwst_hpastrom.io.calibrations.stdpsf import read_stdpsf
from jwst_hpastrom.io.files.folder import one_run
from jwst_hpastrom.simulation import simulate_field, write_field
from jwst_hpastrom.steps import EPSFBuildStep
from jwst_hpastrom.steps.products import seen

QUICK = {"n_iterations": 6, "n_global": 3, "n_fitted": 1, "grid": 2, "choose_grid": False, "mesh": 50}


@pytest.fixture(scope="module")
def field():
    return simulate_field(size=300, n_exposures=4, n_stars=200, mag_faint=-4.0, filter="F200W", seed=4)


@pytest.fixture(scope="module")
def files(field, tmp_path_factory):
    return write_field(field, tmp_path_factory.mktemp("field"))


def test_every_parameter_of_the_builder_is_one_of_the_step():
    step = EPSFBuildStep()
    for p in inspect.signature(build_library).parameters.values():
        if p.kind is p.KEYWORD_ONLY and p.name not in (
            "config",
            "correction",
            "start",
            "made_for",
            "checkpoint",
            "store",
            "executor",
            "progress",
        ):
            assert getattr(step, p.name) == p.default, p.name


def test_products(field, files, tmp_path):
    table = EPSFBuildStep(output_dir=str(tmp_path), **QUICK).run(files.association)
    product = json.loads(Path(files.association).read_text())["products"][0]["name"]
    library = read_stdpsf(tmp_path / f"{product}_epsf.fits")
    reference = read_epsf_reference(tmp_path / f"{product}_epsf.asdf")
    np.testing.assert_allclose(library.data, reference.data, atol=1e-6)
    assert reference.meta["filter"] == "F200W"
    # field positions are on the full detector
    x0 = field.config.origin[0]
    np.testing.assert_allclose(reference.x, [x0, x0 + 299])
    offset = (np.arange(101) - 50) / 4
    true = field.epsf.evaluate(offset, offset[:, None], 1023.5, 1023.5)
    r = np.hypot(offset, offset[:, None])
    true /= true[r <= 5].sum() / 16
    error = (reference.at(1023.5, 1023.5) - true) / true.max()
    assert np.sqrt(np.mean(error[r < 2] ** 2)) < 0.01
    quality = Table.read(tmp_path / f"{product}_epsf_build_quality.ecsv")
    assert len(quality) == len(table) == 6
    assert len(Table.read(tmp_path / f"{product}_epsf_build_phase_quality.ecsv")) == 20
    assert quality["x_rms"][-1] < 0.02


def test_mixed_filters_and_no_stars(files, tmp_path):
    other = simulate_field(size=300, n_exposures=1, n_stars=30, mag_faint=-4.0, filter="F277W", seed=4)
    member = write_field(other, tmp_path / "other").exposures[0]
    member = Path(member).rename(
        Path(member).with_name("jw09999002001_02101_00001_nis_cal.fits")
    )  # two of one name are refused earlier
    asn = json.loads(Path(files.association).read_text())
    names = [str(member), str(files.exposures[0])]
    asn["products"][0]["members"] = [{"expname": n, "exptype": "science"} for n in names]
    path = tmp_path / "mixed_asn.json"
    path.write_text(json.dumps(asn))
    with pytest.raises(MixedExposuresError, match=r"F200W.*F277W"):
        EPSFBuildStep(output_dir=str(tmp_path)).run(str(path))
    with pytest.raises(NotEnoughStarsError, match="bright isolated"):
        EPSFBuildStep(output_dir=str(tmp_path), min_sn=1e6).run(files.association)
    # what no STDPSF file can hold is refused before the work
    for wrong in ({"oversampling": 5}, {"grid": 11, "refine": False}, {"grid": 6}):
        with pytest.raises(ParameterError, match="STDPSF"):
            EPSFBuildStep(output_dir=str(tmp_path), **wrong).run(files.association)
    # an error in the middle leaves nothing behind
    with pytest.raises(NotEnoughStarsError, match="field position"):
        EPSFBuildStep(output_dir=str(tmp_path), min_cell_stars=1e6, **QUICK).run(files.association)
    assert {p.name for p in tmp_path.iterdir()} == {"other", "mixed_asn.json"}


def test_an_interrupted_build_goes_on(files, tmp_path, monkeypatch):
    quick = QUICK | {"n_iterations": 5, "n_global": 2}
    whole = EPSFBuildStep(output_dir=str(tmp_path / "whole"), **quick).run(files.association)
    report, calls = iterations.report_row, []

    def noted(run, *args):
        calls.append(run.it)
        return report(run, *args)

    def killed(run, *args):
        if run.it == 3:
            raise KeyboardInterrupt
        return noted(run, *args)

    folder = tmp_path / "resumed"
    monkeypatch.setattr(iterations, "report_row", killed)
    with pytest.raises(KeyboardInterrupt):
        EPSFBuildStep(output_dir=str(folder), memory="1GB", **quick).run(files.association)
    assert calls == [0, 1, 2]
    (checkpoint,) = folder.iterdir()  # and no folder of the files that pixels were in
    monkeypatch.setattr(iterations, "report_row", noted)
    table = EPSFBuildStep(output_dir=str(folder), resume=True, **quick).run(files.association)
    assert calls == [0, 1, 2, 3, 4]
    assert not checkpoint.exists()
    np.testing.assert_array_equal(table["central_value"], whole["central_value"])
    product = json.loads(Path(files.association).read_text())["products"][0]["name"]
    one, two = (read_epsf_reference(d / f"{product}_epsf.asdf").data for d in (folder, tmp_path / "whole"))
    np.testing.assert_array_equal(one, two)
    # without --resume, or with other parameters, it begins anew
    monkeypatch.setattr(iterations, "report_row", killed)
    with pytest.raises(KeyboardInterrupt):
        EPSFBuildStep(output_dir=str(folder), **quick).run(files.association)
    for changed in ({}, {"resume": True, "clip": 4.0}):
        calls.clear()
        monkeypatch.setattr(iterations, "report_row", noted)
        EPSFBuildStep(output_dir=str(folder), **quick, **changed).run(files.association)
        assert calls[0] == 0


def _sampled(field, blur):
    """The field's true ePSF, made wider: a library of another date."""
    x0 = field.config.origin[0]
    offset = (np.arange(101) - 50) / 4
    nodes = np.array([x0, x0 + 299.0])
    true = np.array([field.epsf.evaluate(offset, offset[:, None], x, y) for y in nodes for x in nodes])
    wider = np.array([gaussian_filter(t, blur * 4) for t in true])
    meta = {"filter": "F200W", "instrument": "NIRISS", "detector": "NIS"}
    true, wider = (EPSFLibrary(d, nodes, nodes, 4, meta=meta).normalized() for d in (true, wider))
    return true, wider


def _error(library, true):
    offset = (np.arange(101) - 50) / 4
    core = np.hypot(offset, offset[:, None]) < 2
    made = np.array([library.at(x, y) for y in true.y for x in true.x])
    made = recenter(made, 4)[0]
    wanted = recenter(true.data, 4)[0]
    return np.sqrt(np.mean((made - wanted)[:, core] ** 2)) / wanted.max()


def test_a_given_library_is_adapted_as_far_as_the_stars_can_tell(field, files, tmp_path):
    true, wider = _sampled(field, 0.25)
    start = tmp_path / "start_epsf.asdf"
    write_epsf_reference(wider, start)
    product = json.loads(Path(files.association).read_text())["products"][0]["name"]
    errors = {"start": _error(wider, true)}
    for name, options in (
        ("own", QUICK),
        ("many", {"start_epsf": str(start), "n_iterations": 8, "mesh": 50}),
        ("few", {"start_epsf": str(start), "n_iterations": 8, "mesh": 50, "max_stars": 20}),
    ):
        out = tmp_path / name
        out.mkdir()
        EPSFBuildStep(output_dir=str(out), **options).run(files.association)
        errors[name] = _error(read_epsf_reference(out / f"{product}_epsf.asdf"), true)
    assert errors["many"] < 1.1 * errors["own"], errors
    assert errors["few"] < 0.1 * errors["start"], errors


def test_a_perfect_start_loses_nothing(field, files, tmp_path):
    true, _ = _sampled(field, 0.25)
    start = tmp_path / "start_epsf.asdf"
    write_epsf_reference(true, start)
    product = json.loads(Path(files.association).read_text())["products"][0]["name"]
    EPSFBuildStep(output_dir=str(tmp_path), start_epsf=str(start), n_iterations=8, mesh=50).run(
        files.association
    )
    assert _error(read_epsf_reference(tmp_path / f"{product}_epsf.asdf"), true) < 0.002


def test_a_start_of_another_filter_is_refused(field, files, tmp_path):
    _, wider = _sampled(field, 0.25)
    start = tmp_path / "start_epsf.asdf"
    write_epsf_reference(replace(wider, meta=wider.meta | {"filter": "F150W"}), start)
    with pytest.raises(BadReferenceFileError, match="F150W"):
        EPSFBuildStep(output_dir=str(tmp_path), start_epsf=str(start)).run(files.association)


def test_the_deciding_file_comes_last(files, tmp_path, monkeypatch):
    """A run that dies before it leaves the old library with nothing of the new one to be taken for it."""
    written, rename = [], os.replace
    monkeypatch.setattr(os, "replace", lambda a, b: written.append(Path(b).name) or rename(a, b))
    EPSFBuildStep(output_dir=str(tmp_path), **QUICK | {"n_iterations": 2}).run(files.association)
    products = [n for n in written if "checkpoint" not in n and "_checks" not in n]
    assert products[-1] == "field_epsf.fits"
    assert {"field_epsf.asdf", "field_epsf_build_quality.ecsv"} <= set(products)


def test_one_run_a_folder(files, tmp_path):
    step = EPSFBuildStep(output_dir=str(tmp_path), **QUICK)
    with ExitStack() as stack:
        held = threading.Thread(target=lambda: stack.enter_context(one_run(tmp_path)))
        held.start()
        held.join()
        with pytest.raises(FolderInUseError, match="another run in this folder"):
            step.run(files.association)


def test_an_exposure_is_read_again_only_where_it_changed(files, tmp_path, monkeypatch):
    calls, read = [], seen.read_exposure
    monkeypatch.setattr(seen, "read_exposure", lambda *args, **how: calls.append(args) or read(*args, **how))
    path = tmp_path / "jw09999001001_02101_00001_nis_cal.fits"
    path.write_bytes((Path(files.association).parent / path.name).read_bytes())
    one, two = (seen.look(path, {"bad_bits": 1}) for _ in range(2))
    assert len(calls) == 1
    assert one.entry == two.entry
    assert one.meta is not two.meta
    x, y = np.array([0, 299, 299, 0]), np.array([0, 0, 299, 299])
    np.testing.assert_allclose(one.corners, read(path).to_sky(x, y), rtol=0, atol=1e-12)
    os.utime(path)
    seen.look(path, {"bad_bits": 1})
    seen.look(path, {"bad_bits": 5})
    assert len(calls) == 3
