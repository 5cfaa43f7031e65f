"""Names of ePSF files, and errors of the system, by cause."""

import errno
import shutil
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import numpy as np
import pytest
from astropy.table import Table

from jwst_hpastrom.distortion import DistortionCorrection, PolynomialCorrection
from jwst_hpastrom.epsf import EPSFLibrary
from jwst_hpastrom.errors import BadFileError, BadReferenceFileError, WorkerLostError
from jwst_hpastrom.geometry import polynomial_terms
from jwst_hpastrom.io.calibrations.stdgdc import write_stdgdc
from jwst_hpastrom.io.calibrations.stdpsf import read_stdpsf, write_stdpsf
from jwst_hpastrom.io.exposures.exposure import _check_wcs
from jwst_hpastrom.io.files.writing import write_table
from jwst_hpastrom.report.information import describe
from jwst_hpastrom.steps._errors import errors_by_cause

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
    import gzip

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


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EROFS, errno.EDQUOT])
def test_a_full_or_read_only_disk(tmp_path, monkeypatch, code):
    def fail(*_):
        raise OSError(code, "No space left on device")

    monkeypatch.setattr("os.fsync", fail)
    with pytest.raises(BadFileError, match=r"a\.ecsv: found a product that cannot be written"):
        write_table(Table({"x": [1.0]}), tmp_path / "a.ecsv")
    assert not list(tmp_path.iterdir())
    shutil.rmtree(tmp_path)


@pytest.mark.parametrize("cause", [BrokenProcessPool("died"), MemoryError()])
def test_a_dead_worker_is_named(cause):
    with (
        pytest.raises(WorkerLostError, match=r"^a_asn\.json: found .*fewer workers"),
        errors_by_cause("a_asn.json"),
    ):
        raise cause


def test_information_on_a_distortion(tmp_path):
    n = len(polynomial_terms(3, 1))
    p = PolynomialCorrection(3, *np.full((2, n), 0.1), np.array([31.0, 31.0]), 32.0, "file")
    path = write_stdgdc(tmp_path / "x.fits", DistortionCorrection(p, shape=(64, 64)))
    assert "STDGDC distortion of 64 x 64 pixels" in describe(path)


@pytest.mark.parametrize("wcs", [{}, lambda x, y, **_: x / None, lambda x, y, **_: (x, y, x)])
def test_a_wcs_that_cannot_be_called(wcs):
    from jwst_hpastrom.errors import MissingDataError

    with pytest.raises(MissingDataError, match="installed gwcs cannot read"):
        _check_wcs(wcs, (8, 8), "a_cal.fits")
