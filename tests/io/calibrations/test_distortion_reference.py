"""The official reference file, and the exposure with a refined WCS."""

import os
from dataclasses import replace

import asdf
import numpy as np
import pytest
from astropy.table import Table
from stdatamodels.jwst.datamodels import DistortionModel

from jwst_hpastrom.distortion import (
    DistortionCorrection,
    ErrorModel,
    FramePlacement,
    PixelMapCorrection,
    PolynomialCorrection,
    TableCorrection,
    place_frame,
    to_v2v3,
)
from jwst_hpastrom.distortion.model.ideal import IdealPlane
from jwst_hpastrom.distortion.model.standard_models import quantized
from jwst_hpastrom.errors import BadFileError, BadReferenceFileError, MissingDataError
from jwst_hpastrom.geometry import LinearTransform
from jwst_hpastrom.io.calibrations import distortion_reference
from jwst_hpastrom.io.calibrations.distortion_reference import (
    placement_like,
    read_distortion,
    reference_meta,
    write_distortion,
)
from jwst_hpastrom.io.calibrations.stdgdc import write_stdgdc

SHAPE = (256, 256)
META = {
    "instrument": "NIRISS", "detector": "NIS", "filter": "F150W", "epoch": 2022.3, "v2_ref": -290.0,
    "v3_ref": -698.0, "v3yangle": 0.56, "vparity": -1, "ra_ref": 80.5, "dec_ref": -69.5, "roll_ref": 35.0,
    "va_scale": 0.9999,
}  # fmt: skip


@pytest.fixture
def correction():
    rng = np.random.default_rng(4)
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    fine = 0.03 * np.stack([np.sin(x / 9), np.cos(y / 8)], -1)
    fine += rng.normal(0, 0.001, fine.shape)
    return DistortionCorrection(
        PolynomialCorrection(5, *rng.normal(0, 0.3, (2, 20)), np.array([127.0, 127.0]), 128.0),
        TableCorrection(*rng.normal(0, 0.02, (2, 8, 8)), shape=SHAPE),
        PixelMapCorrection(fine.astype(np.float32)),
        shape=SHAPE,
    )


@pytest.fixture
def placement():
    matrix = 0.0656 * np.array([[-1.0, 0.01], [0.01, 1.0]])
    return FramePlacement(
        LinearTransform(matrix, np.array([-290.0, -698.0]), np.array([127.0, 127.0])), 0.0, 0.0
    )


def test_the_file_says_what_the_correction_says(correction, placement, tmp_path):
    path = write_distortion(tmp_path / "x_distortion.asdf", correction, placement, META)
    x, y = np.random.default_rng(1).uniform(-0.5, 255.5, (2, 5000))
    # opened by nothing but asdf and astropy
    with asdf.open(path, memmap=False, lazy_load=False) as af:
        model = af.tree["model"]
        meta = af.tree["meta"]
    assert meta["reftype"] == "distortion"
    assert (meta["instrument"]["filter"], meta["instrument"]["pupil"]) == ("CLEAR", "F150W")
    v2, v3 = model(x, y)
    px, py = placement.transform.inverse(v2, v3)
    u, v = correction.forward(x, y)
    assert np.hypot(px - u, py - v).max() < 1e-6 + quantized(correction.pixel_map.data)[1]
    bx, by = model.inverse(v2, v3)
    assert np.hypot(bx - x, by - y).max() < 2e-4


def test_it_reads_back_as_a_correction(correction, placement, tmp_path):
    path = write_distortion(tmp_path / "x_distortion.asdf", correction, placement, META)
    again = read_distortion(path, shape=SHAPE)
    x, y = np.meshgrid(np.arange(256.0), np.arange(256.0))
    for a, b in zip(again.forward(x, y), correction.forward(x, y), strict=True):
        np.testing.assert_allclose(a, b, atol=2e-6)
    assert reference_meta(path)["filter"] == "F150W"


def test_a_polynomial_alone_reads_back_as_one(correction, placement, tmp_path):
    only = DistortionCorrection(correction.polynomial, shape=SHAPE)
    path = write_distortion(tmp_path / "x_distortion.asdf", only, placement, META)
    again = read_distortion(path, shape=SHAPE)
    assert again.pixel_map is None
    np.testing.assert_allclose(again.polynomial.a, only.polynomial.a, atol=1e-8)
    assert os.path.getsize(path) < 50_000
    like = placement_like(only, path)
    np.testing.assert_allclose(like.transform.matrix, placement.transform.matrix, atol=1e-9)


@pytest.mark.parametrize(
    ("epoch", "after"), [("2022-07-01T10:00:00", "2022-07-01"), (2022.5, "2022-07-02"), (None, "2022-01-01")]
)
def test_epochs_in_any_form(correction, placement, tmp_path, epoch, after):
    only = DistortionCorrection(correction.polynomial, shape=SHAPE)
    path = write_distortion(tmp_path / "x_distortion.asdf", only, placement, META | {"epoch": epoch})
    with asdf.open(path) as af:
        assert af.tree["meta"]["useafter"] == f"{after}T00:00:00"


def test_pointing_does_not_jump(correction):
    rng = np.random.default_rng(3)
    x, y = rng.uniform(0, 255, (2, 3000))
    own = IdealPlane(META, (80.5, -69.5))
    # a WCS without the fine structure, at its own scale
    u, v = (0.0656 * META["va_scale"] * (c - 127) for c in correction.polynomial.forward(x, y))
    from jwst_hpastrom.geometry import TangentPlane

    plane = TangentPlane(80.5, -69.5)
    inverse = np.linalg.inv(own.rotation(plane, 0.0, 0.0))
    xi, eta = np.zeros_like(u), np.zeros_like(u)
    for _ in range(6):
        a, b = own.from_sky(*plane.to_sky(xi, eta))
        d = inverse @ np.stack([u - a, v - b])
        xi, eta = xi + d[0], eta + d[1]
    ra, dec = plane.to_sky(xi, eta)
    table = Table({"x": x, "y": y, "ra": ra, "dec": dec}, meta=META)
    placed = place_frame(correction, [table])
    assert placed.mean_jump_mas < 1e-6
    assert placed.jump_mas < 10
    assert placed.transform.scale == pytest.approx(0.0656, rel=2e-5)
    v2, v3 = to_v2v3(correction, placed)(127.0, 127.0)
    assert np.hypot(v2 + 290, v3 + 698) < 0.01
    measured = place_frame(correction, [table], scale_mas=65.61)
    assert measured.transform.scale == pytest.approx(0.06561, rel=1e-9)
    assert measured.mean_jump_mas < 1e-3
    with pytest.raises(MissingDataError, match="pointing keywords"):
        place_frame(correction, [Table({"x": x, "y": y})])


def test_bad_files_are_named(tmp_path):
    with pytest.raises(BadFileError, match="no such file"):
        read_distortion(tmp_path / "none.asdf")
    (tmp_path / "bad.asdf").write_bytes(b"nothing")
    with pytest.raises(BadReferenceFileError, match="bad.asdf"):
        read_distortion(tmp_path / "bad.asdf")
    asdf.AsdfFile({"data": [1, 2]}).write_to(tmp_path / "other.asdf")
    with pytest.raises(BadReferenceFileError, match="no model of two"):
        read_distortion(tmp_path / "other.asdf")


def test_our_own_file_gives_parts_and_errors_back(correction, placement, tmp_path):
    rng = np.random.default_rng(3)
    variance, correlation = (rng.uniform(0, 1, s).astype(np.float32) for s in ((2, 9, 9), (32, 63)))
    errors = ErrorModel(1e-5 * variance, correlation, 4.0, SHAPE)
    solved = replace(correction, uncertainty=errors)
    path = write_distortion(tmp_path / "x_distortion.asdf", solved, placement, META)
    back = read_distortion(path, shape=SHAPE)
    assert back.polynomial == solved.polynomial
    assert back.table == solved.table
    assert back.uncertainty == errors
    x, y = rng.uniform(-0.5, 255.5, (2, 2000))
    difference = np.hypot(*np.subtract(back.forward(x, y), solved.forward(x, y)))
    assert difference.max() <= 1.5 * quantized(solved.pixel_map.data)[1]
    # a file whose model somebody has changed is read by its model
    with asdf.open(path, memmap=False, lazy_load=False) as af:
        af.tree["meta"]["hpastrom"]["polynomial"]["a"][3] += 0.1
        af.write_to(tmp_path / "changed.asdf")
    other = read_distortion(tmp_path / "changed.asdf", shape=SHAPE)
    assert other.uncertainty is None
    i, j = rng.integers(0, 256, (2, 500)).astype(float)
    assert np.hypot(*np.subtract(other.forward(i, j), solved.forward(i, j))).max() < 1e-4


@pytest.mark.parametrize(
    ("part", "value"),
    [
        ("polynomial", {"degree": 9}), ("polynomial", {"half_width": "x"}), ("linear", {"matrix": "x"}),
        ("linear", {"matrix": [[0, 0], [0, 0]]}), ("table", {"dx": [1], "dy": [2]}),
    ],
)  # fmt: skip
def test_damaged_parts_are_named(correction, placement, tmp_path, part, value):
    path = write_distortion(tmp_path / "x_distortion.asdf", correction, placement, META)
    with asdf.open(path, memmap=False, lazy_load=False) as af:
        af.tree["meta"]["hpastrom"].setdefault(part, {}).update(value)
        af.write_to(tmp_path / "changed.asdf")
    with pytest.raises(BadReferenceFileError, match=r"changed.asdf: found metadata that cannot be read"):
        read_distortion(tmp_path / "changed.asdf", shape=SHAPE)


@pytest.mark.parametrize(
    ("detector", "band", "wheels", "channel"),
    [("NRCB1", "F200W", ("F200W", "CLEAR"), "SHORT"), ("NRCALONG", "F405N", ("F444W", "F405N"), "LONG")],
)
def test_a_reference_of_nircam_is_valid(correction, placement, tmp_path, detector, band, wheels, channel):
    meta = META | {"instrument": "NIRCAM", "detector": detector, "filter": band}
    path = write_distortion(tmp_path / "x_distortion.asdf", correction, placement, meta)
    with DistortionModel(path, strict_validation=True) as model:
        model.validate()
        found = model.meta.instrument
        assert (found.filter, found.pupil, found.module, found.channel) == (*wheels, detector[3], channel)
        assert model.meta.exposure.type == "NRC_IMAGE"
    assert reference_meta(path)["filter"] == band


def test_the_detector_says_the_shape(placement, tmp_path):
    polynomial = PolynomialCorrection(1, np.zeros(2), np.zeros(2), np.array([515.0, 511.0]), 516.0)
    flat = DistortionCorrection(polynomial, shape=(1024, 1032))
    meta = META | {"instrument": "MIRI", "detector": "MIRIMAGE", "filter": "F560W"}
    path = write_distortion(tmp_path / "x_distortion.asdf", flat, placement, meta)
    assert read_distortion(path).shape == (1024, 1032)


def test_another_detector_is_refused_and_another_filter_warned_of(correction, placement, tmp_path, caplog):
    meta = META | {"instrument": "NIRCAM", "detector": "NRCB1", "filter": "F200W"}
    asdf_path = write_distortion(tmp_path / "x_distortion.asdf", correction, placement, meta)
    fits_path = write_stdgdc(tmp_path / "x_stdgdc.fits", correction, meta=meta)
    for path in (asdf_path, fits_path):
        with pytest.raises(BadReferenceFileError, match="a distortion of NRCB1 for exposures on NRCB2"):
            read_distortion(path, shape=SHAPE, exposures=meta | {"detector": "NRCB2"})
        read_distortion(path, shape=SHAPE, exposures=meta)
        assert not caplog.records
        read_distortion(path, shape=SHAPE, exposures=meta | {"filter": "F150W"})
        assert "a distortion of F200W for exposures in F150W" in caplog.text
        caplog.clear()


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("STDGDC_NRCB2_F200W.fits", "a distortion of NRCB2 for exposures on NRCB1"),
        ("my_nis_gdc.fits", "a distortion of NIS for exposures on NRCB1"),
        ("anything_gdc.fits", "a distortion of .* pixels, needed one of NRCB1, 2048 x 2048 pixels"),
        ("STDGDC_NRCB1_F150W.fits", None),
    ],
)
def test_published_files_say_in_their_names_what_they_are_for(correction, tmp_path, caplog, name, text):
    path = write_stdgdc(tmp_path / name, correction, parts=False)
    exposures, small = {"detector": "NRCB1", "filter": "F200W"}, {"shape": SHAPE}
    if text is None:
        read_distortion(path, exposures=exposures, **small)
        assert "a distortion of F150W for exposures in F200W" in caplog.text
        return
    with pytest.raises(BadReferenceFileError, match=text):
        read_distortion(path, exposures=exposures, **({} if "pixels" in text else small))


def test_an_unchanged_file_is_read_once(correction, placement, tmp_path, monkeypatch):
    one, other = tmp_path / "one.asdf", tmp_path / "other.asdf"
    write_distortion(one, correction, placement, META)
    write_distortion(other, replace(correction, table=None), placement, META)
    first = read_distortion(one, shape=SHAPE)
    monkeypatch.setattr(distortion_reference, "open_model", None)  # cannot be called
    assert read_distortion(one, shape=SHAPE) is first
    with pytest.raises(BadReferenceFileError):  # whatever is remembered, it must be for the exposures
        read_distortion(one, shape=SHAPE, exposures=META | {"instrument": "NIRCAM", "detector": "NRCB1"})
    monkeypatch.undo()
    assert read_distortion(one, shape=(64, 64)).shape == (64, 64)
    assert read_distortion(other, shape=SHAPE).table is None
    assert read_distortion(one, shape=SHAPE).table is not None
    os.replace(other, one)
    assert read_distortion(one, shape=SHAPE).table is None


def test_a_folder_with_signs_of_urls(correction, placement, tmp_path):
    path = write_distortion(tmp_path / "a#b?c%41" / "d.asdf", correction, placement, META)
    again = read_distortion(path, shape=SHAPE)
    np.testing.assert_allclose(again.forward(5.0, 6.0), correction.forward(5.0, 6.0), atol=2e-6)
