"""Names of ePSF files tell camera, detector and filter, however they are spelled."""

import gzip
from pathlib import Path

import numpy as np
import pytest

from jwst_hpastrom.epsf import EPSFLibrary
from jwst_hpastrom.errors import BadReferenceFileError
from jwst_hpastrom.io.calibrations.stdpsf import read_stdpsf, write_stdpsf

NIS = {"instrument": "NIRISS", "detector": "NIS", "filter": "F150W"}
NRC = {"instrument": "NIRCAM", "detector": "NRCA1", "filter": "F150W"}


def library():
    r2 = np.add.outer(*2 * [np.linspace(-6, 6, 49) ** 2])
    return EPSFLibrary(np.tile(np.exp(-r2 / 2), (4, 1, 1)), [0, 2047], [0, 2047]).normalized()


@pytest.mark.parametrize(
    "name",
    ["STDPSF_NRCA1_F150W_x.fits", "stdpsf_nrca1_f150w.fits", "STDPSF_NRCA1_F150W (1).fits",
     "STDPSF_F150W_NRCA1.FITS", "STDPSF-NRCA1-F150W.fits.gz"],
)  # fmt: skip
def test_names_say_camera_and_filter(tmp_path, name):
    path = Path(write_stdpsf(library(), tmp_path / "x.fits"))
    content = path.read_bytes()
    (tmp_path / name).write_bytes(gzip.compress(content) if name.endswith("gz") else content)
    read = read_stdpsf(tmp_path / name)
    assert (read.meta["detector"], read.meta["filter"]) == ("NRCA1", "F150W")
    read.check_made_for(NRC)
    for other in (NIS, NRC | {"filter": "F200W"}):
        with pytest.raises(BadReferenceFileError):
            read.check_made_for(other)


@pytest.mark.parametrize("camera", ["WFC3UV", "ACSWFC", "wfc3ir"])
def test_cameras_of_hubble_are_refused(tmp_path, camera):
    path = tmp_path / f"STDPSF_{camera}_F150W.fits"
    write_stdpsf(library(), path)
    with pytest.raises(BadReferenceFileError, match="an ePSF of"):
        read_stdpsf(path).check_made_for(NIS)
