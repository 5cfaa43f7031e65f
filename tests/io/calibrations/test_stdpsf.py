"""STDPSF files and the ASDF reference of ePSF libraries."""

import gzip
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from photutils.psf import GriddedPSFModel

from jwst_hpastrom.epsf import EPSFLibrary
from jwst_hpastrom.errors import BadFileError, BadReferenceFileError, ParameterError
from jwst_hpastrom.io.calibrations.epsf_reference import (
    EPSFModel,
    read_epsf,
    read_epsf_reference,
    write_epsf_reference,
)
from jwst_hpastrom.io.calibrations.stdpsf import read_stdpsf, write_stdpsf
from jwst_hpastrom.io.files.manifest import make_manifest, making, product_hash

DATA = Path(os.environ.get("HPASTROM_DATA", Path(__file__).parents[4] / "shared" / "data")) / "psfstd_hst"
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason="no real STDPSF files ($HPASTROM_DATA)")


@pytest.fixture
def library():
    """Gaussians whose width varies over a 5 x 5 grid, one of them borrowed."""
    offset = (np.arange(101) - 50) / 4
    r2 = offset**2 + offset[:, None] ** 2
    data = np.array([np.exp(-r2 / (2 * s**2)) / (2 * np.pi * s**2) for s in np.linspace(0.7, 0.8, 25)])
    nodes = np.array([0, 512, 1024, 1535, 2047])
    borrowed = np.arange(25) == 7
    meta = {"instrument": "NIRISS", "detector": "NIS", "filter": "F150W", "epoch": 2022.33}
    return EPSFLibrary(data, nodes, nodes, 4, borrowed, meta).normalized()


def test_stdpsf_round_trip(library, tmp_path):
    back = read_stdpsf(write_stdpsf(library, tmp_path / "x_epsf.fits"))
    np.testing.assert_array_equal(back.data, library.data.astype("f4"))
    np.testing.assert_array_equal((back.x, back.y), (library.x, library.y))
    np.testing.assert_array_equal(back.borrowed, library.borrowed)
    assert {k: back.meta[k] for k in library.meta} == library.meta


@pytest.mark.parametrize("side", [5, 10])
def test_long_names_leave_the_epoch_whole(side, tmp_path):
    """A comment has 80 characters: what is over goes to the next one."""
    nodes, data = np.linspace(0, 2047, side).round(), np.zeros((side * side, 101, 101))
    data[:, 40:61, 40:61] = 16 / 441
    borrowed = np.arange(side * side) == 0
    for camera in (("NIRCAM", "NRCBLONG", "F277W"), ("MIRI", "MIRIMAGE", "F1000W")):
        meta = dict(zip(("instrument", "detector", "filter"), camera, strict=True), epoch=2022.3301)
        library = EPSFLibrary(data, nodes, nodes, 4, borrowed, meta, brighter_fatter=1.72345e-7)
        back = read_stdpsf(write_stdpsf(library, tmp_path / "x_epsf.fits"))
        assert {k: back.meta[k] for k in meta} == meta
        assert back.brighter_fatter == library.brighter_fatter
        np.testing.assert_array_equal(back.borrowed, borrowed)


def test_stdpsf_layout_is_the_published_one(library, tmp_path):
    raw = Path(write_stdpsf(library, tmp_path / "x_epsf.fits")).read_bytes()
    header = raw[:2880].decode("ascii")
    cards = [header[k : k + 80] for k in range(0, 2880, 80)]
    assert cards[10].startswith("NXPSFs  =                    5")
    assert cards[11].startswith("NYPSFs  =                    5")
    assert [int(c[10:30]) for c in cards if c.startswith("IPSFX")] == [1, 513, 1025, 1536, 2048] + [9999] * 5
    assert "END".ljust(80) in cards
    assert len(raw) % 2880 == 0
    first = np.frombuffer(raw[2880 : 2880 + 4 * 101 * 101], ">f4").reshape(101, 101)
    np.testing.assert_array_equal(first, library.data[0].astype("f4"))


def test_photutils_reads_the_stdpsf(library, tmp_path):
    model = GriddedPSFModel.read(write_stdpsf(library, tmp_path / "x_epsf.fits"), format="stdpsf")
    assert tuple(model.oversampling) == (4, 4)
    expected = [(x, y) for y in library.y for x in library.x]
    np.testing.assert_array_equal(np.array(model.grid_xypos), expected)
    np.testing.assert_array_equal(model.data, library.data.astype("f4"))


def test_what_stdpsf_cannot_hold_is_refused(library, tmp_path):
    with pytest.raises(ParameterError, match="oversampled 2 times"):
        write_stdpsf(EPSFLibrary(library.data, library.x, library.y, 2), tmp_path / "a.fits")
    many = EPSFLibrary(np.ones((11, 5, 5)), np.arange(11), [0])
    with pytest.raises(ParameterError, match="11 x 1 field positions"):
        write_stdpsf(many, tmp_path / "a.fits")
    assert not list(tmp_path.iterdir())


def test_reference_round_trip_is_exact(library, tmp_path):
    path = write_epsf_reference(library, tmp_path / "x_epsf.asdf")
    back = read_epsf_reference(path)
    np.testing.assert_array_equal(back.data, library.data)
    np.testing.assert_array_equal((back.x, back.y), (library.x, library.y))
    np.testing.assert_array_equal(back.borrowed, library.borrowed)
    assert back.meta["epsf_file"] == "x_epsf.asdf"
    assert back.meta["epoch"] == library.meta["epoch"]
    with EPSFModel(path, strict_validation=True) as model:
        assert model.meta.reftype == "epsf"
        model.validate()


def test_one_reader_for_both(library, tmp_path):
    for path in (
        write_stdpsf(library, tmp_path / "x_epsf.fits"),
        write_epsf_reference(library, tmp_path / "x_epsf.asdf"),
    ):
        np.testing.assert_allclose(read_epsf(path).data, library.data, rtol=1e-6, atol=1e-40)
    assert read_epsf(library) is library


def test_missing_and_foreign_files(tmp_path):
    for name in ("no.fits", "no.asdf"):
        with pytest.raises(BadFileError, match=f"{name}: found no such file"):
            read_epsf(tmp_path / name)
    for name in ("text.fits", "text.asdf"):
        (tmp_path / name).write_text("not a file of this kind\n" * 200)
        with pytest.raises(BadReferenceFileError, match=name):
            read_epsf(tmp_path / name)


def test_truncated_file(library, tmp_path):
    raw = Path(write_stdpsf(library, tmp_path / "x.fits")).read_bytes()
    (tmp_path / "short.fits").write_bytes(raw[:5000])
    with pytest.raises(BadReferenceFileError, match=r"short\.fits: found a damaged FITS file"):
        read_stdpsf(tmp_path / "short.fits")


def test_packed_file(library, tmp_path):
    raw = Path(write_stdpsf(library, tmp_path / "x.fits")).read_bytes()
    (tmp_path / "x.fits.gz").write_bytes(gzip.compress(raw))
    np.testing.assert_allclose(read_stdpsf(tmp_path / "x.fits.gz").data, library.data, atol=1e-7)


def test_wrong_oversampling_shows(library, tmp_path):
    coarse = EPSFLibrary(library.data[:, ::2, ::2], library.x, library.y, 2)
    path = write_epsf_reference(EPSFLibrary(coarse.data, coarse.x, coarse.y, 4), tmp_path / "x.asdf")
    with pytest.raises(BadReferenceFileError, match="sum within 5 pixels is 0.25 at oversampling 4"):
        read_epsf(path)


@needs_data
@pytest.mark.parametrize("name", ["PSFSTD_WFC3IR_F110W", "PSFSTD_WFC3IR_F160W"])
def test_real_3x3_file(name):
    library = read_stdpsf(DATA / f"{name}.fits")
    assert library.data.shape == (9, 101, 101)
    assert library.x.tolist() == library.y.tolist() == [-1, 506, 1013]
    assert library.meta["filter"] == name[-5:]
    assert 0.3 < library.central_value(500, 500) < 0.5


@needs_data
def test_real_file_of_two_chips():
    path = DATA / "PSFSTD_WFC3UV_F775W.fits"
    both, lower, upper = read_stdpsf(path), read_stdpsf(path, chip=1), read_stdpsf(path, chip=2)
    assert both.data.shape == (56, 101, 101)
    assert upper.y.tolist() == [0, 683, 1365, 2048]
    np.testing.assert_array_equal(np.concatenate([lower.data, upper.data]), both.data)
    assert both.central_value(100, 2047) == lower.central_value(100, 2047)
    assert both.central_value(100, 2048) == upper.central_value(100, 0)


@needs_data
def test_real_damaged_file():
    with pytest.raises(
        BadReferenceFileError,
        match=r"F814W\.fits: found a damaged FITS file \(something after an extension that is none",
    ):
        read_stdpsf(DATA / "PSFSTD_WFC3UV_F814W.fits")


def test_a_flipped_bit_in_an_asdf_library(library, tmp_path):
    path = Path(write_epsf_reference(library, tmp_path / "x_epsf.asdf"))
    raw = bytearray(path.read_bytes())
    raw[-10_000] ^= 1
    path.write_bytes(raw)
    with pytest.raises(BadReferenceFileError, match="x_epsf.asdf.*[cC]hecksum"):
        read_epsf(path)


@pytest.mark.parametrize("side", [3, 9, 10])
def test_brighter_fatter_is_kept(tmp_path, side):
    nodes = np.linspace(0, 2047, side)
    data = np.zeros((side * side, 101, 101))
    data[:, 40:61, 40:61] = 16 / 441
    borrowed = np.arange(side * side) == 2
    meta = {"instrument": "NIRISS", "detector": "NIS", "filter": "F150W", "epoch": 2022.5}
    library = EPSFLibrary(data, nodes, nodes, 4, borrowed, meta, brighter_fatter=1.72e-7)
    for write, name in ((write_stdpsf, "x_epsf.fits"), (write_epsf_reference, "x_epsf.asdf")):
        found = read_epsf(write(library, tmp_path / name))
        assert found.brighter_fatter == 1.72e-7
        assert "brighter_fatter" not in found.meta
        np.testing.assert_array_equal(found.borrowed, borrowed)
    assert (tmp_path / "x_epsf.fits").read_bytes()[2880:2884] == data[0, 0, :1].astype(">f4").tobytes()


def test_a_product_has_one_hash_whenever_it_is_written(library, tmp_path):
    """Tables that name an exposure's own library are those of an undisturbed run after a resume, too."""
    hashes = []
    for k, factor in enumerate((1.0, 1.0, 1.001)):
        path = tmp_path / f"{k}.fits"
        with making(make_manifest("hp_epsf_fit", {}, {})):
            write_stdpsf(replace(library, data=factor * library.data), path)
        content = path.read_bytes()
        at = content.index(b"TIME    = '") + 11
        path.write_bytes(content[:at] + b"0%d" % k + content[at + 2 :])
        hashes.append(product_hash(path))
    assert hashes[0] == hashes[1] != hashes[2]
