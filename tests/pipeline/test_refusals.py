"""What cannot be measured: the cause on the last line, a failing exit status, and nothing written."""

import json
import re

import numpy as np
import pytest
from astropy.io import fits

LAST = re.compile(r"^(\w+Error): (\S+): found .+, needed .+")


def spoil_type(path):
    fits.setval(path, "EXP_TYPE", value="NIS_SOSS")


def spoil_instrument(path):
    fits.setval(path, "INSTRUME", value="NIRCAM")
    fits.setval(path, "EXP_TYPE", value="NRC_IMAGE")


def spoil_stars(path):
    with fits.open(path, mode="update") as hdus:
        rng = np.random.default_rng(1)
        hdus["SCI"].data = rng.normal(0.2, 0.01, hdus["SCI"].data.shape).astype("f4")
        hdus["ERR"].data = np.full(hdus["SCI"].data.shape, 0.01, "f4")


def spoil_wcs(path):
    with fits.open(path, mode="update") as hdus:
        del hdus["ASDF"]


def spoil_err(path):
    with fits.open(path, mode="update") as hdus:
        del hdus["ERR"]


def spoil_length(path):
    content = path.read_bytes()
    path.write_bytes(content[: int(0.3 * len(content))])


@pytest.mark.parametrize(
    ("spoil", "error"),
    [
        (spoil_type, "UnsupportedExposureError"),
        (spoil_instrument, "UnsupportedExposureError"),
        (spoil_stars, "NotEnoughStarsError"),
        (spoil_wcs, "MissingDataError"),
        (spoil_err, "MissingDataError"),
        (spoil_length, "BadFileError"),
    ],
)
def test_an_exposure_that_cannot_be_built_from(strun, exposure, tmp_path, spoil, error):
    spoil(exposure)
    (tmp_path / "out").mkdir()
    done = strun("hp_epsf_build", exposure, cwd=tmp_path / "out", fails=True)
    last = LAST.match(done.stderr.splitlines()[-1])
    assert last, done.stderr.splitlines()[-1]
    assert last.group(1) == error
    assert last.group(2).endswith(exposure.name)
    assert list((tmp_path / "out").iterdir()) == []


def test_an_association_with_a_missing_member(strun, exposure, tmp_path):
    asn = tmp_path / "field_asn.json"
    members = [{"expname": n, "exptype": "science"} for n in (exposure.name, "gone_cal.fits")]
    asn.write_text(json.dumps({"products": [{"name": "field", "members": members}]}))
    (tmp_path / "out").mkdir()
    done = strun("calwebb_hpastrom", asn, cwd=tmp_path / "out", fails=True)
    last = done.stderr.splitlines()[-1]
    assert last.startswith("MissingMemberError: ")
    assert "gone_cal.fits" in last
    assert list((tmp_path / "out").iterdir()) == []
