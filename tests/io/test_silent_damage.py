"""Products that were cut or changed after writing are refused; those that users wrote again are not."""

import gzip
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table

from jwst_hpastrom.distortion import DistortionCorrection, FramePlacement, PolynomialCorrection
from jwst_hpastrom.epsf import EPSFLibrary
from jwst_hpastrom.errors import HPAstromError
from jwst_hpastrom.geometry import LinearTransform, polynomial_terms
from jwst_hpastrom.io.calibrations.distortion_reference import read_distortion, write_distortion
from jwst_hpastrom.io.calibrations.epsf_reference import read_epsf, write_epsf_reference
from jwst_hpastrom.io.calibrations.stdgdc import write_stdgdc
from jwst_hpastrom.io.calibrations.stdpsf import _checksum, write_stdpsf
from jwst_hpastrom.io.exposures.detector_mask import read_detector_mask, write_detector_mask
from jwst_hpastrom.io.files.opening import fits_sum
from jwst_hpastrom.io.files.writing import write_table
from jwst_hpastrom.io.tables.catalogs import read_catalog

META = {"instrument": "NIRISS", "detector": "NIS", "filter": "F150W", "xstart": 1, "ystart": 1}


def catalog(n=300):
    rng = np.random.default_rng(5)
    t = Table(
        {"id": np.arange(n), "ra": 80 + rng.random(n), "dec": -69 + rng.random(n), "mag": rng.random(n)}
    )
    t.meta["epoch"] = 2006.4
    return t


def library(borrowed=True):
    r2 = np.add.outer(*2 * [np.linspace(-6, 6, 49) ** 2])
    marks = np.arange(100) % 3 == 0 if borrowed else None
    nodes = np.linspace(0, 2047, 10)
    meta = META | {"epoch": 2022.5}
    return EPSFLibrary(np.tile(np.exp(-r2 / 2), (100, 1, 1)), nodes, nodes, 4, marks, meta).normalized()


def correction():
    n = len(polynomial_terms(3, 1))
    rng = np.random.default_rng(2)
    p = PolynomialCorrection(3, *rng.normal(0, 0.1, (2, n)), np.array([31.0, 31.0]), 32.0, "file")
    return DistortionCorrection(p, shape=(64, 64))


def placement():
    return FramePlacement(LinearTransform(0.065 * np.eye(2), np.zeros(2), np.zeros(2)), 0.0, 0.0)


def mask(path):
    return read_detector_mask(path, META, (64, 64))


PRODUCTS = {
    "a.ecsv": (lambda p: write_table(catalog(), p), read_catalog),
    "a.fits": (lambda p: write_table(catalog(), p), read_catalog),
    "a.parquet": (lambda p: write_table(catalog(), p), read_catalog),
    "STDPSF_NIS_F150W.fits": (lambda p: write_stdpsf(library(), p), read_epsf),
    "a_epsf.asdf": (lambda p: write_epsf_reference(library(), p), read_epsf),
    "a_stdgdc.fits": (lambda p: write_stdgdc(p, correction()), read_distortion),
    "a_distortion.asdf": (lambda p: write_distortion(p, correction(), placement(), META),
                          lambda p: read_distortion(p, shape=(64, 64))),
    "a_mask.fits": (lambda p: write_detector_mask(p, np.array([[3, 4]]), (64, 64), META), mask),
}  # fmt: skip


@pytest.mark.parametrize("name", PRODUCTS)
def test_a_flipped_bit_anywhere_is_refused(tmp_path, name):
    write, read = PRODUCTS[name]
    path = tmp_path / name
    write(path)
    read(path)
    content = path.read_bytes()
    rng = np.random.default_rng(4)
    for at in rng.integers(0, len(content), 30):
        bad = bytearray(content)
        bad[at] ^= 1 << int(rng.integers(8))
        path.write_bytes(bad)
        with pytest.raises(HPAstromError, match=name):
            read(path)


@pytest.mark.parametrize("packed", [False, True])
def test_a_list_cut_at_a_line_is_refused(tmp_path, packed):
    path = tmp_path / "a.ecsv"
    write_table(catalog(), path)
    lines = path.read_bytes().splitlines(keepends=True)
    path = tmp_path / "b.ecsv.gz" if packed else path
    for rows in (1, 150, 299):
        text = b"".join(lines[: len(lines) - 300 + rows])
        path.write_bytes(gzip.compress(text) if packed else text)
        with pytest.raises(HPAstromError, match="bytes that were written"):
            read_catalog(path)


@pytest.mark.parametrize("first", ["ecsv", "fits", "parquet"])
@pytest.mark.parametrize("second", ["ecsv", "fits", "parquet"])
def test_what_astropy_wrote_again_is_read(tmp_path, first, second):
    one, two = tmp_path / f"a.{first}", tmp_path / f"b.{second}"
    t = Table.read(write_table(catalog(), one))
    t[t["mag"] < 0.5].write(two)
    assert len(read_catalog(two)) == (catalog()["mag"] < 0.5).sum()
    assert "seal" not in read_catalog(one).meta


def test_checksums_of_a_library_are_the_standards(tmp_path):
    """Astropy agrees once the keywords are upper case, as it makes them before it adds up."""
    for borrowed in (False, True):
        path = Path(write_stdpsf(library(borrowed), tmp_path / "STDPSF_NIS_F150W.fits"))
        np.testing.assert_array_equal(read_epsf(path).borrowed, library(borrowed).borrowed)
        raw = path.read_bytes().replace(b"PSFs", b"PSFS")
        at = raw.index(b"CHECKSUM= '") + 11
        blank = raw[:at] + b"0" * 16 + raw[at + 16 :]
        check = _checksum(0xFFFFFFFF - fits_sum(blank))
        path.write_bytes(raw[:at] + check + raw[at + 16 :])
        with fits.open(path, checksum=True) as hdus:  # a wrong sum is a warning, which fails
            assert {"CHECKSUM", "DATASUM", "NXPSFS"} <= set(hdus[0].header)
            assert hdus[0].data.shape[0] == 100


def test_a_damaged_seal_is_damage(tmp_path):
    path = tmp_path / "a.fits"
    write_table(catalog(), path)
    content = path.read_bytes()
    at = content.index(b"jwst_hpastrom-seal-") + 28
    path.write_bytes(content[:at] + b"\xb0" + content[at + 1 :])
    with pytest.raises(HPAstromError, match=r"a\.fits.*damaged jwst_hpastrom-seal"):
        read_catalog(path)
