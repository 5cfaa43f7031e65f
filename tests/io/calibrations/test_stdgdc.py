"""STDGDC files: our own read back exactly, foreign ones as they are meant."""

import os
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table

from jwst_hpastrom.distortion import (
    DistortionCorrection,
    PixelMapCorrection,
    PolynomialCorrection,
    TableCorrection,
    pixel_area_magnitude,
)
from jwst_hpastrom.errors import BadFileError, BadReferenceFileError
from jwst_hpastrom.io.calibrations.conversion import convert_distortion
from jwst_hpastrom.io.calibrations.stdgdc import read_stdgdc, write_stdgdc

SHAPE = (96, 128)


@pytest.fixture
def correction():
    rng = np.random.default_rng(4)
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    fine = 0.03 * np.stack([np.sin(x / 9), np.cos(y / 8)], -1).astype(np.float32)
    return DistortionCorrection(
        PolynomialCorrection(
            5, *rng.normal(0, 0.3, (2, 20)), np.array([63.0, 47.0]), 64.0, "center", np.eye(40) * 1e-6
        ),
        TableCorrection(*rng.normal(0, 0.02, (4, 6, 8)), count=np.full((6, 8), 31), shape=SHAPE),
        PixelMapCorrection(fine, np.full_like(fine, 0.002), np.full(SHAPE, 48, np.int16)),
        shape=SHAPE,
    )


def test_our_own_reads_back_bit_for_bit(correction, tmp_path):
    path = write_stdgdc(
        tmp_path / "a_stdgdc.fits", correction, meta={"instrument": "NIRISS", "filter": "F277W"}
    )
    again = read_stdgdc(path)
    assert again == correction
    np.testing.assert_array_equal(again.polynomial.covariance, correction.polynomial.covariance)
    np.testing.assert_array_equal(again.pixel_map.count, correction.pixel_map.count)
    for a, b in zip(again.error(3.0, 5.0), correction.error(3.0, 5.0), strict=True):
        assert a == b


def test_layers_of_format_1(correction, tmp_path):
    with fits.open(write_stdgdc(tmp_path / "a.fits", correction)) as hdus:
        assert [h.name for h in hdus[1:6]] == ["XGC", "YGC", "MGC", "XCG", "YCG"]
        assert hdus[1].header["BITPIX"] == 32
        head = hdus[0].header
        # pixel (x, y) = (11, 21), 1-based
        u, v = correction.forward(10.0, 20.0)
        assert hdus["XGC"].data[20, 10] == pytest.approx(u + 1, abs=6e-6)
        assert hdus["YGC"].data[20, 10] == pytest.approx(v + 1, abs=6e-6)
        assert hdus["MGC"].data[20, 10] == pytest.approx(
            float(pixel_area_magnitude(correction, 10.0, 20.0)), abs=6e-5
        )
        # the inverse, sampled as its readers do: corrected position minus first grid position
        xc, yc = 60, 50
        x, y = correction.inverse(xc - 1.0, yc - 1.0)
        j, i = yc - head["YGC_0"], xc - head["XGC_0"]
        assert hdus["XCG"].data[j, i] == pytest.approx(float(x) + 1, abs=6e-6)
        assert hdus["YCG"].data[j, i] == pytest.approx(float(y) + 1, abs=6e-6)
        assert hdus["XCG"].header["LTV1"] == 1 - head["XGC_0"]
        assert hdus["XCG"].data.shape == (head["NDIM_YCG"], head["NDIM_XCG"])
        assert np.isclose(hdus["XCG"].data, -20000).any()


@pytest.mark.parametrize("layout", [1, 2])
def test_without_the_parts_the_layers_are_enough(correction, tmp_path, layout):
    path = write_stdgdc(tmp_path / "a.fits", correction, layout=layout, parts=False)
    again = read_stdgdc(path)
    x, y = np.meshgrid(np.arange(128.0), np.arange(96.0))
    for a, b in zip(again.forward(x, y), correction.forward(x, y), strict=True):
        np.testing.assert_allclose(a, b, atol=6e-6 if layout == 1 else 1e-6)


def test_a_data_cube_is_read_too(correction, tmp_path):
    x, y = np.meshgrid(np.arange(128.0), np.arange(96.0))
    cube = np.stack([*correction.delta(x, y), np.zeros(SHAPE)]).astype(">f4")
    fits.PrimaryHDU(cube).writeto(tmp_path / "cube.fits")
    again = read_stdgdc(tmp_path / "cube.fits")
    np.testing.assert_allclose(again.forward(x, y)[0], correction.forward(x, y)[0], atol=1e-6)


def test_unmeasured_pixels_do_not_poison(correction, tmp_path):
    path = write_stdgdc(tmp_path / "a.fits", correction, parts=False)
    with fits.open(path, mode="update") as hdus:
        for k in (1, 2):
            hdus[k].data[:, :4] = 0.0
    again = read_stdgdc(path)
    inside = again.forward(50.0, 40.0)[0] - correction.forward(50.0, 40.0)[0]
    assert abs(inside) < 6e-6
    assert np.abs(again.delta(np.zeros(96), np.arange(96.0))[0]).max() < 5


def test_pixel_area_sign():
    # a pixel that covers more of the sky counts less surface brightness: its magnitude must come out brighter
    grows = PolynomialCorrection(2, np.array([0, 0, 0.5, 0, 0.0]), np.zeros(5), np.array([63.0, 47.0]), 64.0)
    correction = DistortionCorrection(grows, shape=SHAPE)
    assert pixel_area_magnitude(correction, 120.0, 47.0) < 0 < pixel_area_magnitude(correction, 5.0, 47.0)
    assert pixel_area_magnitude(correction, 63.0, 47.0) == pytest.approx(0, abs=1e-12)


def test_bad_files_are_named(tmp_path):
    with pytest.raises(BadFileError, match="no such file"):
        read_stdgdc(tmp_path / "none.fits")
    (tmp_path / "bad.fits").write_bytes(b"not fits")
    with pytest.raises(BadReferenceFileError, match="bad.fits"):
        read_stdgdc(tmp_path / "bad.fits")
    fits.PrimaryHDU(np.ones((64, 64))).writeto(tmp_path / "one.fits")
    with pytest.raises(BadReferenceFileError, match="1 image layers"):
        read_stdgdc(tmp_path / "one.fits")
    fits.HDUList([fits.PrimaryHDU(), *[fits.ImageHDU(np.full((64, 64), 900.0)) for _ in "ab"]]).writeto(
        tmp_path / "far.fits"
    )
    with pytest.raises(BadReferenceFileError, match="far from their pixels"):
        read_stdgdc(tmp_path / "far.fits")


def test_conversion_between_the_formats(correction, tmp_path):
    first = write_stdgdc(tmp_path / "a_stdgdc.fits", correction, meta={"filter": "F277W"})
    second = convert_distortion(first, tmp_path / "a_gdc.fits")
    assert fits.getheader(second)["GDCFMT"] == 2
    assert fits.getheader(second)["FILTER"] == "F277W"
    with pytest.raises(BadReferenceFileError, match="where its frame lies"):
        convert_distortion(first, tmp_path / "a_distortion.asdf")


def test_real_values_follow_the_conventions():
    """25 values of a real file: x is the fast axis, 1-based, magnitudes follow the area of its own maps."""
    root = Path(os.environ.get("HPASTROM_DATA", Path(__file__).parents[3] / ".." / "shared" / "data"))
    path = root / "stdgdc_nrcb1_f212n_spots" / "stdgdc_nrcb1_f212n_spots.ecsv"
    if not path.exists():
        pytest.skip("no shared data: set HPASTROM_DATA")
    t = Table.read(path)
    x, y = np.asarray(t["x_raw_1based"], float) - 1, np.asarray(t["y_raw_1based"], float) - 1
    p, q = (x - 1023) / 1024, (y - 1023) / 1024
    terms = [(i, n - i) for n in range(5) for i in range(n, -1, -1)]
    design = np.stack([p**i * q**j for i, j in terms], 1)
    a, b = (
        np.linalg.lstsq(design, np.asarray(t[c]) - 1 - v, rcond=None)[0] for c, v in (("xgc", x), ("ygc", y))
    )
    part = PolynomialCorrection(4, _ours(a, terms), _ours(b, terms))
    model = DistortionCorrection(part)
    np.testing.assert_allclose(pixel_area_magnitude(model, x, y), t["mgc_mag"], atol=0.0025)


def _ours(c, terms):
    from jwst_hpastrom.geometry import polynomial_terms

    return np.array([c[terms.index(t)] for t in polynomial_terms(4, 1)])
