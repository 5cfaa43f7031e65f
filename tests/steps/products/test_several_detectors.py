"""Several detectors and filters in one association: products of each, and one frame over all."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table

from jwst_hpastrom.distortion import DistortionCorrection, FramePlacement, PolynomialCorrection
from jwst_hpastrom.epsf import EPSFLibrary
from jwst_hpastrom.errors import BadReferenceFileError, MixedExposuresError
from jwst_hpastrom.geometry import LinearTransform
from jwst_hpastrom.io.association import read_association, write_association
from jwst_hpastrom.io.calibrations.distortion_reference import open_model, write_distortion
from jwst_hpastrom.io.calibrations.epsf_reference import write_epsf_reference
from jwst_hpastrom.simulation import simulate_field, write_field
from jwst_hpastrom.steps import (
    DistortionRefineStep,
    EPSFBuildStep,
    EPSFFitStep,
    HPAstromPipeline,
    MasterFrameStep,
)
from tests.frame.visits import EPOCH, LAYOUT, WRONG, catalog_of, stars_of, visit
from tests.steps.test_other_imagers import disguised

pytestmark = pytest.mark.usefixtures("offline")


NAMES = ("visit_nrcb1_f200w", "visit_nrcblong_f277w")


@pytest.fixture(scope="module")
def mixed(tmp_path_factory):
    """An association of NRCB1 and NRCBLONG, two exposures each, and a folder with their ePSFs."""
    folder, libraries = (tmp_path_factory.mktemp(n) for n in ("mixed", "libraries"))
    field = simulate_field(size=160, n_exposures=2, n_stars=80, mag_faint=-5.0, filter="F200W", seed=4)
    files = write_field(field, folder / "field", truth=False)
    nircam = {"INSTRUME": "NIRCAM", "EXP_TYPE": "NRC_IMAGE", "PUPIL": "CLEAR"}
    members = []
    for name, detector, band in zip(NAMES, ("NRCB1", "NRCBLONG"), ("F200W", "F277W"), strict=True):
        asn, _ = disguised(files.association, folder / detector, DETECTOR=detector, FILTER=band, **nircam)
        for member in json.loads(Path(asn).read_text())["products"][0]["members"]:
            shutil.copy(asn.parent / member["expname"], folder)
            members.append(member)
        meta = {"instrument": "NIRCAM", "detector": detector, "filter": band}
        library = EPSFLibrary(*field.epsf.sampled(), meta=meta).normalized()
        write_epsf_reference(library, libraries / f"{name}_epsf.asdf")
    path = folder / "visit_asn.json"
    path.write_text(json.dumps({"products": [{"name": "visit", "members": members}]}))
    return path, libraries


def assert_catfile_of_all(folder):
    """One for tweakreg of the whole visit, whose lists are there."""
    rows = [line.split() for line in (folder / "visit_catfile.txt").read_text().splitlines()]
    assert sorted(row[0].split("_")[3] for row in rows) == ["nrcb1", "nrcb1", "nrcblong", "nrcblong"]
    assert all((folder / name).exists() for _, name in rows)


def test_a_step_makes_the_products_of_each_detector(mixed, tmp_path):
    asn, libraries = mixed
    out = {"output_dir": str(tmp_path)}
    EPSFFitStep(**out, epsf_file=str(libraries)).run(str(asn))
    for name in NAMES:
        assert len(Table.read(tmp_path / f"{name}_epsf_fit_quality.ecsv")) == 2
    assert_catfile_of_all(tmp_path)
    assert not (tmp_path / "visit_epsf_fit_quality.ecsv").exists()
    with pytest.raises(BadReferenceFileError, match="an ePSF of NRCB1 for exposures on NRCBLONG"):
        EPSFFitStep(**out, epsf_file=str(libraries / f"{NAMES[0]}_epsf.asdf")).run(str(asn))
    for step in (EPSFBuildStep, DistortionRefineStep):
        assert step.by_detector


def test_the_pipeline_makes_one_frame_with_both_filters(mixed, tmp_path):
    asn, libraries = mixed
    HPAstromPipeline.call(str(asn), output_dir=str(tmp_path), epsf_file=str(libraries), mode="isolated")
    lists = sorted(tmp_path.glob("*_stars.ecsv"))
    used = [Table.read(p).meta["epsf_file"] for p in lists]
    assert sorted(used) == sorted(2 * [f"{n}_epsf.asdf" for n in NAMES])
    sub = read_association(tmp_path / "visit_nrcblong_f277w_asn.json")
    assert len(sub.members) == 2
    master = Table.read(tmp_path / "visit_master.ecsv")
    assert master.meta["filters"] == ["F200W", "F277W"]
    both = np.isfinite(master["mag_f200w"]) & np.isfinite(master["mag_f277w"])
    assert both.sum() > 20
    assert len(Table.read(tmp_path / "visit_master_frame_quality.ecsv")) == 4
    assert_catfile_of_all(tmp_path)
    assert (tmp_path / "visit_f277w_master.ecsv").exists()
    with pytest.raises(MixedExposuresError, match="NRCB1 and NRCBLONG"):
        MasterFrameStep(output_dir=str(tmp_path), mode="many", epsf_file=str(libraries)).run(str(asn))


def test_two_filters_of_one_detector_are_named_before_a_library_is_looked_for(mixed, tmp_path):
    asn, libraries = mixed
    members = read_association(asn).members
    with fits.open(members[1]) as hdus:
        hdus[0].header["FILTER"] = "F150W"
        hdus.writeto(tmp_path / "other_nrcb1_cal.fits")
    path = write_association(
        tmp_path / "visit_asn.json", "visit", [*members, tmp_path / "other_nrcb1_cal.fits"]
    )
    with pytest.raises(MixedExposuresError, match=r"F150W and F200W.*filters of NRCB1 one by one"):
        EPSFFitStep(output_dir=str(tmp_path), epsf_file=str(libraries)).run(str(path))


def test_two_filters_of_one_detector_are_a_mistake():
    metas = [{"instrument": "NIRCAM", "detector": d, "filter": f}
             for d, f in (("NRCB1", "F200W"), ("NRCBLONG", "F277W"), ("NRCB2", "F200W"))]  # fmt: skip
    MixedExposuresError.unless_one_filter_a_detector(metas)
    for wrong in ({**metas[0], "filter": "F150W"}, {**metas[0], "instrument": "NIRISS", "detector": "NIS"}):
        with pytest.raises(MixedExposuresError):
            MixedExposuresError.unless_one_filter_a_detector([*metas, wrong])


def identity(path, meta):
    correction = DistortionCorrection(PolynomialCorrection(1, np.zeros(2), np.zeros(2)), shape=(2048, 2048))
    place = FramePlacement(LinearTransform(0.0311 * np.eye(2)), 0.0, 0.0)
    return write_distortion(path, correction, place, meta)


def make_frame(folder, rng, truth, tables):
    """Write star lists, distortions, association and catalog of a visit, and the Step's frame of them."""
    members = []
    for table in tables:
        name = table.meta["filename"]
        (folder / name).touch()
        table.meta["pupil"] = "CLEAR"
        table["flux"] = 10 ** (-0.4 * table["mag"])
        table.write(folder / name.replace("_cal.fits", "_stars.ecsv"))
        members.append({"expname": name, "exptype": "science"})
        file = folder / f"visit_{table.meta['detector'].lower()}_f200w_distortion.asdf"
        if not file.exists():
            identity(file, table.meta)
    asn = folder / "visit_asn.json"
    asn.write_text(json.dumps({"products": [{"name": "visit", "members": members}]}))
    catalog_of(rng, truth).write(folder / "catalog.ecsv")
    MasterFrameStep(
        output_dir=str(folder), distortion_file=str(folder / "visit_{detector}_{filter}_distortion.asdf"),
        reference_catalog=str(folder / "catalog.ecsv"),
    ).run(str(asn))  # fmt: skip


def test_the_detectors_places_are_solved_and_written(tmp_path):
    rng = np.random.default_rng(7)
    truth = stars_of(rng, density=0.15)
    make_frame(tmp_path, rng, truth, visit(rng, truth))
    table = Table.read(tmp_path / "visit_detectors.ecsv")
    assert list(table["detector"]) == list(LAYOUT)
    # how the detectors lie against each other in the sky's own axes, by what the WCS mistakes
    wrong = np.array([WRONG[d] for d in table["detector"]])
    middle = np.array([LAYOUT[d][:2] for d in table["detector"]])
    moved = -wrong[:, :2] + wrong[:, :2].mean(0)
    turn = np.sum(middle[:, 0] * moved[:, 1] - middle[:, 1] * moved[:, 0]) / np.sum(middle**2)
    moved = 1e3 * (moved - turn * np.stack([-middle[:, 1], middle[:, 0]], 1))
    for k, c in enumerate(("dv2", "dv3")):
        assert np.all(table[f"{c}_error"] < 0.1)
        pull = (table[c] - moved[:, k]) / table[f"{c}_error"]
        assert np.abs(pull).max() < 3.3
    assert np.abs((table["scale"] + wrong[:, 3]) / table["scale_error"]).max() < 3.5
    own = np.rad2deg(turn)
    assert np.abs((table["turn"] + wrong[:, 2] + own) / table["turn_error"]).max() < 3.5
    model, meta = open_model(tmp_path / "visit_nrcb2_f200w_placed_distortion.asdf")
    v2, v3 = model(1023.5, 1023.5)
    row = table[list(table["detector"]).index("NRCB2")]
    assert np.hypot(v2 - row["v2"], v3 - row["v3"]) < 0.3  # the middle of the stars, not of the pixels
    assert meta["hpastrom"]["place_errors"]["dv2_error"] == pytest.approx(row["dv2_error"])
    assert EPOCH == 2022.33
