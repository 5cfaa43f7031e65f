"""Headers that cannot be true are refused, and what they do not say is said: place, time, flat field."""

import logging

import numpy as np
import pytest
from astropy.io import fits

from jwst_hpastrom.errors import HPAstromError
from jwst_hpastrom.io.exposures.exposure import read_exposure
from tests.io.exposures.test_exposure import write

SIZES = {"SUBSIZE1": 30, "SUBSIZE2": 40}


@pytest.mark.parametrize(
    ("header", "text"),
    [
        (SIZES | {"SUBSIZE1": 2048}, "SUBSIZE1, SUBSIZE2 = 2048, 40 of an image of 30 x 40 pixels"),
        ({"SUBSTRT1": 2020}, "2020, 1 of an image of 30 x 40 pixels, needed a place on the detector of 2048"),
        ({"SUBSTRT2": 1.5}, "SUBSTRT1, SUBSTRT2 = 1, 1.5"),
        ({"EXPMID": 60500.0, "EXPSTART": 59700.4, "EXPEND": 59700.6}, "EXPMID = 60500.0, EXPSTART = 59700.4"),
        ({"EXPMID": 59690.0, "EXPSTART": 59700.4}, "needed the first between the others"),
        ({"VA_SCALE": 1.01}, "VA_SCALE = 1.01"),
        ({"VA_SCALE": 0.0}, "VA_SCALE = 0.0"),
        ({"NGROUPS": -3}, "NGROUPS = -3"),
        ({"TGROUP": -1.0}, "TGROUP = -1.0"),
        ({"PHOTMJSR": -0.3}, "PHOTMJSR = -0.3"),
        ({"PIXAR_SR": -1e-13}, "PIXAR_SR"),
        ({"BUNIT": "mag"}, "an image in mag"),
        ({"V2_REF": 1e9}, "V2_REF"),
        ({"VPARITY": 0}, "VPARITY = 0"),
        ({"DEC_REF": 100.0}, "DEC_REF = 100.0"),
        ({"ROLL_REF": 1e9}, "ROLL_REF"),
        ({"SUBSTRT1": True}, "SUBSTRT1 = True"),
    ],
)
def test_headers_that_cannot_be_true(tmp_path, header, text):
    with pytest.raises(HPAstromError, match=text) as info:
        read_exposure(write(tmp_path / "x_cal.fits", header))
    assert "x_cal.fits" in str(info.value)


def test_headers_that_can(tmp_path):
    header = SIZES | {"SUBSTRT1": 2019, "VA_SCALE": 1.0001, "EXPSTART": 59700.4, "EXPEND": 59700.6}
    assert read_exposure(write(tmp_path / "x_cal.fits", header)).meta["xstart"] == 2019


@pytest.mark.parametrize(
    ("header", "drop", "text"),
    [
        ({}, (), "no BUNIT"),
        ({"BUNIT": "MJy/sr", "S_FLAT": "SKIPPED"}, (), "S_FLAT = SKIPPED"),
        ({"BUNIT": "DN/s"}, (), "S_FLAT = None"),
        ({"BUNIT": "MJy/sr"}, ("DQ",), "no DQ array"),
    ],
)
def test_what_is_not_said_is_a_warning(tmp_path, caplog, header, drop, text):
    with caplog.at_level(logging.WARNING):
        read_exposure(write(tmp_path / "x_cal.fits", header, drop))
    assert f"x_cal.fits: {text}" in caplog.text


def test_nothing_is_said_of_a_whole_one(tmp_path, caplog):
    with caplog.at_level(logging.WARNING):
        read_exposure(write(tmp_path / "x_cal.fits", {"BUNIT": "DN/s", "S_FLAT": "COMPLETE"}))
    assert not caplog.text


def test_two_images_in_one_file(tmp_path):
    path = write(tmp_path / "x_cal.fits")
    with fits.open(path, mode="append") as hdus:
        hdus.append(fits.ImageHDU(np.ones((40, 30), "f4"), name="SCI", ver=2))
    with pytest.raises(HPAstromError, match=r"x_cal\.fits: found 2 extensions SCI, needed an image of one"):
        read_exposure(path)


def test_the_image_has_its_header_wherever_it_is(tmp_path):
    path = write(tmp_path / "x_cal.fits", SCI=np.ones((40, 30), "f4"))
    with fits.open(path, memmap=False) as hdus:
        hdus["SCI"].header.update(BUNIT="DN/s", PHOTMJSR=0.3)
        fits.HDUList([hdus[k].copy() for k in (0, 3, 2, 1)]).writeto(path, overwrite=True)
    meta = read_exposure(path).meta
    assert (meta["unit"], meta["mjsr_per_dns"]) == ("DN/s", 0.3)
