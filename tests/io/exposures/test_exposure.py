"""Exposures as they are read: pixels, masks, metadata, and what is refused."""

import numpy as np
import pytest
from astropy.io import fits

from jwst_hpastrom.errors import (
    BadFileError,
    MissingDataError,
    ParameterError,
    UnsupportedExposureError,
)
from jwst_hpastrom.io.exposures.detector_mask import write_detector_mask
from jwst_hpastrom.io.exposures.exposure import _check_wcs, exposure_root, read_exposure, read_image

HEADER = {
    "INSTRUME": "NIRISS",
    "DETECTOR": "NIS",
    "FILTER": "CLEAR",
    "PUPIL": "F150W",
    "EXP_TYPE": "NIS_IMAGE",
    "SUBSTRT1": 1,
    "SUBSTRT2": 1,
}


def write(path, header=None, drop=(), shape=(40, 30), **arrays):
    data = {
        "SCI": np.ones(shape, "f4"),
        "ERR": np.full(shape, 0.1, "f4"),
        "DQ": np.zeros(shape, "u4"),
    } | arrays
    hdus = [fits.PrimaryHDU()]
    hdus[0].header.update(HEADER | {"EXPMID": 59700.5} | (header or {}))
    hdus += [fits.ImageHDU(a, name=n) for n, a in data.items() if n not in drop]
    fits.HDUList(hdus).writeto(path, overwrite=True)
    return path


def test_arrays_masks_and_metadata(tmp_path):
    dq = np.zeros((40, 30), "u4")
    dq[0, 0], dq[1, 1], dq[2, 2], dq[4, 4], dq[5, 5] = 1, 2, 4, 2, 3
    sci = np.ones((40, 30), "f4")
    sci[[3, 4, 5], [3, 4, 5]] = np.nan
    exp = read_exposure(write(tmp_path / "jw1_nis_cal.fits", SCI=sci, DQ=dq))
    assert exp.name == "jw1_nis"
    assert exp.meta["filter"] == "F150W"
    assert exp.meta["epoch"] == pytest.approx(2022.33, abs=0.01)
    assert exp.image.bad[[0, 3], [0, 3]].all()
    assert exp.image.good[[1, 2], [1, 2]].all()  # flagged, but with a slope: measurements
    assert exp.image.saturated[[4, 5], [4, 5]].all()  # no slope is left
    assert not exp.image.bad[[4, 5], [4, 5]].any()
    assert exp.image.good.sum() == 40 * 30 - 4
    assert np.isfinite(exp.image.data).all()


@pytest.mark.parametrize(
    ("bits", "lost"),
    [
        ("DO_NOT_USE+JUMP_DET", [0, 2]),
        ("DO_NOT_USE,JUMP_DET,SATURATED", [0, 1, 2]),
        (5, [0, 2]),
        ("0", []),
        ("~JUMP_DET", [0, 1]),
    ],
)
def test_bits_to_leave_out(tmp_path, bits, lost):
    dq = np.zeros((40, 30), "u4")
    dq[0, 0], dq[1, 1], dq[2, 2] = 1, 2, 4
    image = read_exposure(write(tmp_path / "a_cal.fits", DQ=dq), bad_bits=bits).image
    assert np.flatnonzero(~np.diag(image.good[:3, :3])).tolist() == lost


def test_a_masked_pixel_is_bad_and_no_saturated_core(tmp_path):
    meta = {"instrument": "NIRISS", "detector": "NIS", "xstart": 1, "ystart": 1}
    mask = write_detector_mask(tmp_path / "mask.fits", np.array([[1, 1], [2, 2]]), (40, 30), meta)
    dq = np.zeros((40, 30), "u4")
    dq[1, 1] = 2  # in late groups: there is a slope
    image = read_exposure(write(tmp_path / "a_cal.fits", DQ=dq), detector_mask=mask).image
    assert image.bad[[1, 2], [1, 2]].all()
    assert not image.saturated.any()


@pytest.mark.parametrize("bits", ["NONSENSE", "DO_NOT_USE+X", 1.5, -4])
def test_bits_that_are_none(tmp_path, bits):
    with pytest.raises(ParameterError, match="names of JWST's DQ bits"):
        read_exposure(write(tmp_path / "a_cal.fits"), bad_bits=bits)


def test_red_filters_are_in_the_filter_wheel(tmp_path):
    path = write(tmp_path / "a_cal.fits", {"FILTER": "F277W", "PUPIL": "CLEARP"})
    assert read_exposure(path).meta["filter"] == "F277W"


def test_a_detector_has_one_name(tmp_path):
    keys = {"INSTRUME": "NIRCAM", "EXP_TYPE": "NRC_IMAGE", "FILTER": "F277W", "PUPIL": "CLEAR"}
    for name in ("NRCA5", "NRCALONG"):
        path = write(tmp_path / "a_cal.fits", keys | {"DETECTOR": name})
        assert read_exposure(path).meta["detector"] == "NRCALONG"


def test_no_dq_is_accepted(tmp_path):
    assert read_exposure(write(tmp_path / "a_cal.fits", drop=("DQ",))).image.good.all()


@pytest.mark.parametrize(
    ("change", "error", "text"),
    [
        ({"header": {"EXP_TYPE": "NIS_SOSS"}}, UnsupportedExposureError, "EXP_TYPE NIS_SOSS"),
        (
            {"header": {"INSTRUME": "NIRSPEC", "EXP_TYPE": "NIS_IMAGE"}},
            UnsupportedExposureError,
            "--force=true",
        ),
        ({"drop": ("ERR",)}, MissingDataError, "no ERR"),
        ({"drop": ("SCI",)}, MissingDataError, "no SCI"),
        ({"SCI": np.full((40, 30), np.nan, "f4")}, MissingDataError, "no pixel with weight"),
        ({"DQ": np.ones((40, 30), "u4")}, MissingDataError, "no pixel with weight"),
        ({"ERR": np.ones((20, 30), "f4")}, MissingDataError, "two images of one shape"),
        ({"header": {"S_RESAMP": "COMPLETE"}}, UnsupportedExposureError, "resampled"),
        ({"header": {"EXPMID": 2000.0}}, MissingDataError, "EXPMID = 2000.0, needed the MJD"),
        ({"header": {"EXPMID": "tomorrow"}}, MissingDataError, "EXPMID = 'tomorrow', needed a number"),
        ({"header": {"SUBSTRT2": -5}}, MissingDataError, "SUBSTRT1, SUBSTRT2 = 1, -5"),
        ({"header": {"PUPIL": "CLEARP"}}, MissingDataError, "FILTER CLEAR and PUPIL CLEARP"),
    ],
)
def test_what_cannot_be_measured_is_refused(tmp_path, change, error, text):
    path = write(tmp_path / "x_cal.fits", **change)
    with pytest.raises(error, match=text) as info:
        read_exposure(path)
    assert "x_cal.fits" in str(info.value)


def test_other_instruments_with_force(tmp_path):
    path = write(tmp_path / "a_cal.fits", {"INSTRUME": "WFI", "DETECTOR": "SCA01"})
    assert read_exposure(path, force=True).meta["instrument"] == "WFI"


@pytest.mark.parametrize("keyword", ["INSTRUME", "DETECTOR", "FILTER", "PUPIL", "EXP_TYPE", "SUBSTRT1"])
def test_missing_keyword_is_named(tmp_path, keyword):
    path = write(tmp_path / "a_cal.fits")
    fits.delval(path, keyword)
    with pytest.raises(MissingDataError, match=rf"a_cal\.fits: found .*{keyword}"):
        read_exposure(path)


def test_missing_wcs(tmp_path):
    path = write(tmp_path / "a_cal.fits")
    with pytest.raises(MissingDataError, match="no WCS"):
        read_exposure(path, need_wcs=True)
    with pytest.raises(MissingDataError, match="assign_wcs"):
        read_exposure(path).to_sky(1.0, 2.0)


@pytest.mark.parametrize(
    ("name", "keep"),
    [
        ("a_cal.fits", 0),
        ("a_cal.fits", 1000),
        ("a_cal.fits", 9000),
        ("a_cal.fits", 12000),
        ("a_cal.fits.gz", 200),
    ],
)
def test_truncated_file(tmp_path, name, keep):
    path = write(tmp_path / name)
    assert read_exposure(path).image.shape == (40, 30)
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(BadFileError, match="a_cal.fits"):
        read_exposure(path)


def test_no_file(tmp_path):
    with pytest.raises(BadFileError, match="no such file"):
        read_exposure(tmp_path / "no_cal.fits")


@pytest.mark.parametrize(
    ("name", "root"),
    [
        ("a1_nis_cal.fits", "a1_nis"),
        ("a/b/a1_nis_crf.fits", "a1_nis"),
        ("a1_nis", "a1_nis"),
        ("a1_nis_hpcal.fits.gz", "a1_nis"),
        ("a1_nis_image2pipeline.fits", "a1_nis"),
        ("x/jw01086004001_02101_00001_nis_a3001_crf.fits", "jw01086004001_02101_00001_nis"),
        ("jw01086004001_02101_00001-seg001_nrcblong_cal.fits", "jw01086004001_02101_00001-seg001_nrcblong"),
        ("jw01086-o001_t001_niriss_clear-f150w_master.ecsv", "jw01086-o001_t001_niriss_clear-f150w"),
    ],
)
def test_root(name, root):
    assert exposure_root(name) == root


def test_a_wcs_that_cannot_be_called(tmp_path):
    """A tag of a newer gwcs is read as a plain dictionary."""
    import io

    import asdf

    content = io.BytesIO()
    asdf.AsdfFile({"meta": {"wcs": {"steps": []}}}).write_to(content)
    tree = np.frombuffer(content.getvalue(), np.uint8)
    column = fits.Column("ASDF_METADATA", f"{tree.size}B", array=tree[None])
    image = np.ones((2048, 2048), "f4")
    hdus = fits.HDUList([fits.PrimaryHDU(), *(fits.ImageHDU(image, name=n) for n in ("SCI", "ERR"))])
    hdus.append(fits.BinTableHDU.from_columns([column], name="ASDF"))
    hdus[0].header.update(
        INSTRUME="NIRISS", DETECTOR="NIS", FILTER="CLEAR", PUPIL="F150W", EXP_TYPE="NIS_IMAGE"
    )
    hdus.writeto(tmp_path / "a_cal.fits")
    with pytest.raises(MissingDataError, match="gwcs"):
        read_exposure(tmp_path / "a_cal.fits")


def test_charge_at_the_end_of_the_ramp(tmp_path):
    header = {"NGROUPS": 6, "TGROUP": 10.0}
    sci, dq = np.full((40, 30), 0.2, "f4"), np.zeros((40, 30), "u4")
    sci[5:15, 5:15] = 20.0
    used = np.full((40, 30), 6)
    used[7, 7], used[8, 9] = 2, 4  # saturated, and left out in silence
    dq[7, 7] = 2
    variance = (sci / (3.0 * (used - 1))).astype("f4")
    with_units = {"unit": "MJy/sr", "PHOTMJSR": 0.25}

    def charge(name, keys, **arrays):
        path = write(tmp_path / f"{name}_cal.fits", header=header, SCI=sci, DQ=dq, **arrays)
        with fits.open(path, mode="update") as hdus:
            hdus["SCI"].header["BUNIT"] = keys.get("unit", "")
            if "PHOTMJSR" in keys:
                hdus["SCI"].header["PHOTMJSR"] = keys["PHOTMJSR"]
        return read_exposure(path).image.charge

    np.testing.assert_allclose(charge("full", with_units, VAR_POISSON=variance), 240.0 * used / 6, rtol=1e-6)
    assert charge("plain", with_units) == 240.0
    assert charge("rate", {"unit": "DN/s"}) == 60.0
    assert charge("unknown", {"unit": "MJy/sr"}) is None


@pytest.mark.parametrize("wcs", [{}, lambda x, y, **_: x / None, lambda x, y, **_: (x, y, x)])
def test_a_wcs_that_gives_no_two_coordinates(wcs):
    with pytest.raises(MissingDataError, match="installed gwcs cannot read"):
        _check_wcs(wcs, (8, 8), "a_cal.fits")


def test_pixels_alone_need_no_wcs(tmp_path):
    path = write(tmp_path / "a_cal.fits", ASDF=np.zeros((2, 2), "u1"))
    with pytest.raises(BadFileError, match="ASDF"):
        read_exposure(path)
    assert read_image(path, {"force": False, "bad_bits": 1, "detector_mask": None}).shape == (40, 30)
