"""MasterFrameStep: averaging star lists, measuring anew in all exposures, and what it refuses."""

import inspect

import numpy as np
import pytest
from astropy.table import Table

from jwst_hpastrom.epsf import EPSFLibrary
from jwst_hpastrom.errors import BadReferenceFileError, MissingDataError, MixedExposuresError, ParameterError
from jwst_hpastrom.frame import build_master
from jwst_hpastrom.geometry import match_nearest
from jwst_hpastrom.io.calibrations.epsf_reference import read_epsf, write_epsf_reference
from jwst_hpastrom.measure import measure_many
from jwst_hpastrom.simulation import simulate_field, write_field
from jwst_hpastrom.steps import EPSFFitStep, MasterFrameStep
from jwst_hpastrom.steps._spec import PROVIDED

SIZE = 256


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Exposures, their star lists and the true ePSF."""
    folder = tmp_path_factory.mktemp("field")
    field = simulate_field(size=SIZE, n_exposures=4, n_stars=200, mag_faint=-3.0, filter="F200W", seed=3)
    write_field(field, folder)
    library = EPSFLibrary(*field.epsf.sampled(), meta={"filter": "F200W"}).normalized()
    write_epsf_reference(library, folder / "true_epsf.asdf")
    EPSFFitStep(output_dir=str(folder), epsf_file=str(folder / "true_epsf.asdf")).run(
        str(folder / "field_asn.json")
    )
    return folder


def run(folder, output, **parameters):
    step = MasterFrameStep(output_dir=str(output), **parameters)
    return step.run(str(folder / "field_asn.json"))


def test_average(folder, tmp_path):
    table = run(folder, tmp_path, reference_catalog=str(folder / "first_epoch.ecsv"))
    written = Table.read(tmp_path / "field_master.ecsv")
    assert len(written) == len(table) > 30
    assert written["n_found"].min() >= 3
    assert np.median(written["x_rms"]) < 0.05
    assert written.meta["tied_to"] == "reference"
    quality = Table.read(tmp_path / "field_master_frame_quality.ecsv")
    assert len(quality) == 4


def test_many(folder, tmp_path):
    average = run(folder, tmp_path)
    epsf = str(folder / "true_epsf.asdf")
    table = run(folder, tmp_path, mode="many", epsf_file=epsf, n_artificial=20, workers=2)
    i, _, distance = match_nearest(average["x"], average["y"], table["x"], table["y"], 0.5)
    assert i.size > 0.9 * len(average)
    assert np.median(distance) < 0.02
    assert table.meta["mode"] == "many"
    made = Table.read(tmp_path / "field_artificial.ecsv")
    assert len(made) == 20
    assert (tmp_path / "field_completeness.ecsv").exists()
    alone = run(folder, tmp_path, mode="many", epsf_file=epsf)
    for name in ("x", "y", "mag", "x_rms", "x_err", "flags"):
        np.testing.assert_array_equal(alone[name], table[name])


def test_refusals(folder, tmp_path):
    with pytest.raises(ParameterError, match="epsf_file"):
        run(folder, tmp_path, mode="many")
    lonely = tmp_path / "lonely"
    lonely.mkdir()
    for name in ("field_asn.json", *(p.name for p in folder.glob("*_cal.fits"))):
        (lonely / name).symlink_to(folder / name)
    with pytest.raises(MissingDataError, match="no star list"):
        run(lonely, tmp_path / "empty")
    other = read_epsf(folder / "true_epsf.asdf")
    other.meta["filter"] = "F090W"
    write_epsf_reference(other, tmp_path / "other_epsf.asdf")
    with pytest.raises(BadReferenceFileError, match="an ePSF of F090W for exposures in F200W"):
        run(folder, tmp_path, mode="many", epsf_file=str(tmp_path / "other_epsf.asdf"))
    mixed = tmp_path / "mixed"
    mixed.mkdir()
    for path in folder.glob("field_asn.json"), folder.glob("*_cal.fits"), folder.glob("*_stars.ecsv"):
        for p in path:
            (mixed / p.name).symlink_to(p)
    one = sorted(mixed.glob("*_stars.ecsv"))[1]
    table = Table.read(one)
    table.meta["filter"] = "F150W"
    one.unlink()
    table.write(one)
    with pytest.raises(MixedExposuresError, match="field_asn.json: found exposures of F150W and F200W"):
        run(mixed, mixed)
    assert not list(tmp_path.rglob("*_master.ecsv"))


def test_defaults_are_those_of_the_functions():
    step = MasterFrameStep()
    for function in (build_master, measure_many):
        for p in inspect.signature(function).parameters.values():
            if (
                p.kind is p.KEYWORD_ONLY
                and hasattr(step, p.name)
                and p.name not in ("correction", "reference", *PROVIDED)
            ):
                assert str(getattr(step, p.name)) == str(p.default), p.name
