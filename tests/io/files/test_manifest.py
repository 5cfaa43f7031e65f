"""Manifests: what they are compared by, where they stand in files, and what they vouch for."""

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table
from photutils.psf import GriddedPSFModel

from jwst_hpastrom.distortion import DistortionCorrection, PolynomialCorrection
from jwst_hpastrom.epsf import EPSFLibrary
from jwst_hpastrom.io.calibrations.epsf_reference import read_epsf, write_epsf_reference
from jwst_hpastrom.io.calibrations.stdgdc import read_stdgdc, write_stdgdc
from jwst_hpastrom.io.calibrations.stdpsf import read_stdpsf, write_stdpsf
from jwst_hpastrom.io.exposures.detector_mask import read_detector_mask, write_detector_mask
from jwst_hpastrom.io.files.manifest import (
    array_hash,
    compare_manifests,
    make_manifest,
    making,
    parse_manifest,
    stamp,
)
from jwst_hpastrom.io.files.manifest_reading import read_manifest
from jwst_hpastrom.io.files.writing import write_table
from jwst_hpastrom.io.identity import input_entry
from jwst_hpastrom.io.tables.reading import read_table
from jwst_hpastrom.report.information import describe

META = {"instrument": "NIRISS", "detector": "NIS", "filter": "F150W", "xstart": 1, "ystart": 1}


def library():
    r2 = np.add.outer(*2 * [np.linspace(-12.5, 12.5, 101) ** 2])
    nodes = np.array([0.0, 2047.0])
    return EPSFLibrary(np.tile(np.exp(-2 * r2), (4, 1, 1)), nodes, nodes, 4, meta=META).normalized()


def correction():
    terms = 1e-3 * np.arange(1.0, 6.0)
    polynomial = PolynomialCorrection(2, terms, terms, np.array([31.0, 31.0]), 32.0, "center")
    return DistortionCorrection(polynomial, shape=(64, 64))


WRITERS = {
    "x.ecsv": lambda p: write_table(Table({"ra": [1.0, 2.0]}), p),
    "x.fits": lambda p: write_table(Table({"ra": [1.0, 2.0]}), p),
    "x_epsf.asdf": lambda p: write_epsf_reference(library(), p),
    "x_epsf.fits": lambda p: write_stdpsf(library(), p),
    "x_stdgdc.fits": lambda p: write_stdgdc(p, correction(), meta=META),
    "x_gdc.fits": lambda p: write_stdgdc(p, correction(), layout=2, meta=META),
    "x_mask.fits": lambda p: write_detector_mask(p, np.array([[3, 4]]), (64, 64), META),
}


def manifest(**inputs):
    return make_manifest("hp_toy", {"clip": 3.0, "seed": 1}, inputs)


@pytest.mark.parametrize("name", WRITERS)
def test_a_product_holds_it_and_vouches_for_its_content(tmp_path, name):
    path = tmp_path / name
    WRITERS[name](path)
    assert read_manifest(path) is None
    with making(manifest(a={"file": "a", "hash": {"ra": "0"}})) as run:
        WRITERS[name](path)
    found = read_manifest(path)
    assert found == run.manifest
    assert set(run.products) == {name}
    assert f"made by hp_toy, manifest {found['id']}" in describe(path)
    content = bytearray(path.read_bytes())
    begin, after = {".ecsv": (b"2.0", 0), ".asdf": (b"\xd3BLK", 90), ".fits": (b"END     ", 2880)}[
        path.suffix
    ]
    content[content.index(begin) + after] ^= 1
    path.write_bytes(content)
    assert read_manifest(path) is None


def test_other_readers_see_nothing_of_it(tmp_path):
    plain, made = tmp_path / "plain_epsf.fits", tmp_path / "made_epsf.fits"
    write_stdpsf(library(), plain)
    with making(manifest()):
        write_stdpsf(library(), made)
        write_stdgdc(tmp_path / "g.fits", correction(), meta=META)
        write_detector_mask(tmp_path / "m.fits", np.array([[3, 4]]), (64, 64), META)
    # programs that read one 2880-byte header and the array after it
    one, two = plain.read_bytes(), made.read_bytes()
    cards = [one[k : k + 80] for k in range(0, 2880, 80)]
    changing = (b"TIME", b"CHECKSUM", b"DATE")
    same = [k for k, c in enumerate(cards) if not c.startswith(changing)]
    assert all(two[80 * k : 80 * k + 80] == cards[k] for k in same)
    assert two[2880 : len(one)] == one[2880:]
    np.testing.assert_array_equal(GriddedPSFModel.read(made).data, GriddedPSFModel.read(plain).data)
    np.testing.assert_array_equal(read_stdpsf(made).data, read_stdpsf(plain).data)
    assert read_stdgdc(tmp_path / "g.fits") == correction()
    assert read_detector_mask(tmp_path / "m.fits", META, (64, 64)).sum() == 1
    with fits.open(made, memmap=False) as hdus:
        assert [h.name for h in hdus[1:]] == ["MANIFEST"]


def test_differences_are_named():
    a = {"file": "a", "bytes": 1, "hash": {"SCI": "1", "ERR": "2"}}
    old = manifest(x=a, y={"made": "m1"})
    assert compare_manifests(manifest(x=a | {"file": "b", "bytes": 9}, y={"made": "m1"}), old) == []
    other = a | {"hash": {"SCI": "1", "ERR": "3"}}
    assert compare_manifests(manifest(x=other, y={"made": "m2"}), old) == [
        "x: ERR changed",
        "y was made anew",
    ]
    assert compare_manifests(manifest(x=a), old) == ["y is not given, was"]
    assert compare_manifests(old, manifest(x=a)) == ["y is given, was not"]
    assert compare_manifests(manifest(y={"made": "m1"}, x=a), old) == ["the inputs come in another order"]
    version = old | {"id": "0", "versions": {"jwst_hpastrom": "0.0.1"}}
    assert "version" in compare_manifests(old, version)[0]
    same = make_manifest("hp_toy", {"seed": 1, "clip": 3}, old["inputs"])
    assert compare_manifests(same, old) == []


def test_hashes_are_of_values():
    a = np.arange(12.0).reshape(3, 4)
    assert array_hash(a) == array_hash(a.astype(">f8")) == array_hash(a.T.copy().T)
    assert len({array_hash(v) for v in (a, a.T, a.ravel(), a.astype("f4"), a + 1e-15, np.zeros(0))}) == 6
    assert array_hash(np.array(["a", "b"], object)) == array_hash(np.array(["a", "b"]))


def test_a_table_is_known_by_its_content(tmp_path):
    path = tmp_path / "c.ecsv"
    table = Table({"ra": [1.0, 2.0], "name": ["a", "b"]}, meta={"epoch": 2000.0})
    hashes = []
    for change in ({}, {"comments": ["x"]}, {"epoch": 2001.0}):
        table.meta |= change
        write_table(table, path)
        hashes.append(input_entry(path)["hash"])
    assert hashes[0] == hashes[1]
    assert [k for k in hashes[0] if hashes[0][k] != hashes[2][k]] == ["metadata"]
    with making(manifest()) as run:
        write_table(table, path)
    assert input_entry(path)["made"] == run.manifest["id"]
    write_table(read_table(path), path)  # by somebody else
    assert "made" not in input_entry(path)


def test_what_is_no_manifest(tmp_path):
    assert stamp() is None
    for text in (None, "", "{", "[]", '{"id": 3}', '{"id": "x", "inputs": []}'):
        assert parse_manifest(text) is None
    assert read_manifest(tmp_path / "gone.ecsv") is None
    (tmp_path / "empty.fits").touch()
    assert read_manifest(tmp_path / "empty.fits") is None
    assert read_epsf(write_epsf_reference(library(), tmp_path / "e.asdf")).data.shape == (4, 101, 101)
