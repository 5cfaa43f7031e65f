"""Masks of hot pixels: written by the ePSF build, read with the exposures."""

import numpy as np
import pytest

from jwst_hpastrom.errors import BadFileError, BadReferenceFileError
from jwst_hpastrom.io.exposures.detector_mask import read_detector_mask, write_detector_mask

META = {"instrument": "NIRISS", "detector": "NIS", "xstart": 1, "ystart": 1}
PIXELS = np.array([[3, 5], [20, 31]])


@pytest.fixture
def mask(tmp_path):
    return write_detector_mask(tmp_path / "p_detector_mask.fits", PIXELS, (40, 50), META)


def test_there_and_back(mask):
    found = read_detector_mask(mask, META, (40, 50))
    assert np.argwhere(found).tolist() == PIXELS.tolist()


def test_subarray_of_a_full_frame(mask):
    found = read_detector_mask(mask, META | {"xstart": 11, "ystart": 16}, (20, 30))
    assert np.argwhere(found).tolist() == [[5, 21]]


@pytest.mark.parametrize(
    ("meta", "shape", "text"),
    [
        ({"detector": "NRCA1"}, (40, 50), "NIS"),
        ({"instrument": "NIRCAM"}, (40, 50), "NIRISS"),
        ({"xstart": 11}, (40, 50), "covers"),
        ({}, (41, 50), "covers"),
    ],
)
def test_of_another_detector_or_place(mask, meta, shape, text):
    with pytest.raises(BadReferenceFileError, match=text):
        read_detector_mask(mask, META | meta, shape)


def test_of_the_detector_by_another_name(tmp_path):
    meta = META | {"instrument": "NIRCAM", "detector": "NRCA5"}
    path = write_detector_mask(tmp_path / "a_detector_mask.fits", PIXELS, (40, 50), meta)
    assert read_detector_mask(path, meta | {"detector": "NRCALONG"}, (40, 50)).sum() == len(PIXELS)


def test_no_mask(tmp_path):
    with pytest.raises(BadFileError, match=r"no_such\.fits"):
        read_detector_mask(tmp_path / "no_such.fits", META, (40, 50))
