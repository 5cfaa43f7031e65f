"""Distortion references of NIRCam, FGS and MIRI in the official Steps: assign_wcs, tweakreg, resample."""

import json
from types import SimpleNamespace

import asdf
import numpy as np
import pytest
from astropy.table import Table
from jwst.assign_wcs import AssignWcsStep
from jwst.resample import ResampleStep
from jwst.tweakreg import TweakRegStep
from stdatamodels.jwst import datamodels

from jwst_hpastrom.distortion import (
    DistortionCorrection,
    FramePlacement,
    PixelMapCorrection,
    PolynomialCorrection,
)
from jwst_hpastrom.geometry import LinearTransform
from jwst_hpastrom.instrument import INSTRUMENTS, detector_of
from jwst_hpastrom.io.calibrations.distortion_reference import write_distortion
from jwst_hpastrom.simulation import simulate_field, write_field
from tests.pipeline.test_official_distortion import OTHERS
from tests.steps.test_other_imagers import disguised

pytestmark = [
    pytest.mark.usefixtures("offline"),
    pytest.mark.filterwarnings("ignore:Failed to achieve requested SIP"),
]

SIZE, START = 160, 401  # of the subarray, and its first pixel (1-based)
CASES = {
    "NRCB1": ("NIRCAM", "F200W", "CLEAR"),
    "NRCBLONG": ("NIRCAM", "F444W", "F405N"),
    "GUIDER1": ("FGS", None, None),
    "GUIDER2": ("FGS", None, None),
    "MIRIMAGE": ("MIRI", "F560W", None),
}


def a_distortion(meta):
    """A turned and bent frame with a fine map, in the detector's place."""
    row, rng = detector_of(meta), np.random.default_rng(3)
    ny, nx = row.shape
    center, half = np.array([nx / 2 - 1.0, ny / 2 - 1.0]), max(nx, ny) / 2.0
    polynomial = PolynomialCorrection(3, *(rng.normal(0, 2, (2, 9))), center, half)
    j, i = np.mgrid[:ny, :nx]
    fine = 0.05 * np.stack([np.sin(i / 40), np.cos(j / 30)], -1).astype(np.float32)
    correction = DistortionCorrection(polynomial, None, PixelMapCorrection(fine), shape=row.shape)
    c, s = np.cos(np.deg2rad(row.angle)), np.sin(np.deg2rad(row.angle))
    matrix = row.scale * np.array([[row.parity * c, s], [-row.parity * s, c]])
    linear = LinearTransform(matrix, np.array([row.v2, row.v3]), center)
    return correction, FramePlacement(linear, 0.0, 0.0)


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    field = simulate_field(size=SIZE, n_exposures=2, n_stars=60, mag_faint=-5.0, filter="F200W", seed=4)
    return write_field(field, tmp_path_factory.mktemp("small"), truth=False).association


@pytest.fixture(scope="module", params=CASES)
def case(request, small, tmp_path_factory):
    """Two exposures of a subarray of a detector, and a reference of ours for it."""
    detector, (instrument, wheel, pupil) = request.param, CASES[request.param]
    folder = tmp_path_factory.mktemp(detector.lower())
    row = INSTRUMENTS[instrument].detectors[detector]
    asn, _ = disguised(
        small, folder / "in", DETECTOR=detector, INSTRUME=instrument,
        EXP_TYPE=INSTRUMENTS[instrument].exp_type, FILTER=wheel, PUPIL=pupil,
        MODULE=row.keywords.get("module"), CHANNEL=row.keywords.get("channel"),
        SUBSTRT1=START, SUBSTRT2=START, SUBARRAY="GENERIC",
    )  # fmt: skip
    band = pupil if pupil and pupil.startswith("F") else wheel or INSTRUMENTS[instrument].unfiltered
    meta = {"instrument": instrument, "detector": detector, "filter": band, "pupil": pupil}
    correction, placement = a_distortion(meta)
    path = write_distortion(folder / "own_distortion.asdf", correction, placement, meta)
    members = json.loads(asn.read_text())["products"][0]["members"]
    files = [str(asn.parent / m["expname"]) for m in members]
    return SimpleNamespace(correction=correction, placement=placement, path=path, files=files, meta=meta)


def assign(case, **overrides):
    wanted = {f"override_{kind}": "N/A" for kind in OTHERS} | overrides
    return [
        AssignWcsStep.call(datamodels.open(f), override_distortion=case.path, **wanted) for f in case.files
    ]


@pytest.fixture(scope="module")
def assigned(case):
    return assign(case)


def test_assign_wcs_places_the_pixels_of_the_detector(case, assigned):
    x, y = np.random.default_rng(2).uniform(5, SIZE - 6, (2, 200))
    true = case.placement.transform.forward(*case.correction.forward(x + START - 1, y + START - 1))
    scale = detector_of(case.meta).scale
    for model in assigned:
        assert model.meta.cal_step.assign_wcs == "COMPLETE"
        v2v3 = model.meta.wcs.get_transform("detector", "v2v3")(x, y)
        assert np.hypot(v2v3[0] - true[0], v2v3[1] - true[1]).max() < 5e-5 * scale
        bx, by = model.meta.wcs.invert(*model.meta.wcs(x, y))
        assert np.hypot(bx - x, by - y).max() < 1e-3


def test_tweakreg_and_resample_run_on_it(assigned, tmp_path, monkeypatch, caplog):
    monkeypatch.chdir(tmp_path)
    x, y = np.random.default_rng(5).uniform(10, SIZE - 11, (2, 80))
    ra, dec = assigned[0].meta.wcs(x, y)
    rows = []
    for model in assigned:
        px, py = model.meta.wcs.invert(ra, dec, with_bounding_box=False)
        name = model.meta.filename.replace(".fits", "_list.ecsv")
        inside = (px > 0) & (px < SIZE - 1) & (py > 0) & (py < SIZE - 1)
        assert inside.sum() > 20
        Table({"x": px[inside], "y": py[inside], "mag": np.linspace(-9, -5, inside.sum())}).write(name)
        rows.append(f"{model.meta.filename} {name}")
    (tmp_path / "catfile.txt").write_text("\n".join(rows))
    Table({"RA": ra, "DEC": dec}).write("refcat.ecsv")
    options = {"fitgeometry": "rshift", "minobj": 10, "searchrad": 1.0, "tolerance": 0.3, "separation": 0.5}
    with caplog.at_level("INFO"):
        aligned = TweakRegStep.call(
            [m.copy() for m in assigned], use_custom_catalogs=True, catfile="catfile.txt",
            abs_refcat="refcat.ecsv", **options, **{f"abs_{k}": v for k, v in options.items()},
        )  # fmt: skip
    fits = [float(m.split("FIT MAE:")[1]) for m in caplog.messages if m.strip().startswith("FIT RMSE")]
    assert fits
    assert max(fits) < 1e-4
    combined = ResampleStep.call(aligned)
    assert combined.meta.cal_step.resample == "COMPLETE"
    assert np.isfinite(combined.data).mean() > 0.5


def test_an_official_filter_offset_would_count_twice(case, assigned, tmp_path):
    with datamodels.open(case.files[0]) as model:
        keys = {"filter": model.meta.instrument.filter, "pupil": model.meta.instrument.pupil}
    row = {k: v for k, v in keys.items() if v} | {"column_offset": 0.5, "row_offset": 0.0}
    path = tmp_path / "filteroffset.asdf"
    meta = {"reftype": "filteroffset", "instrument": {"name": case.meta["instrument"]}}
    asdf.AsdfFile({"filters": [row], "meta": meta}).write_to(path)
    (moved, *_) = assign(case, override_filteroffset=str(path))
    pixels = 0.5 if INSTRUMENTS[case.meta["instrument"]].filters else 0.0  # assign_wcs asks for none of FGS's
    half = np.stack(moved.meta.wcs(80.0, 80.0)) - np.stack(assigned[0].meta.wcs(80.0 + pixels, 80.0))
    assert np.abs(half).max() * 3600 < 0.02 * detector_of(case.meta).scale
