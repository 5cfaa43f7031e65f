"""Heavy and hostile files: refused by name, at once, and without the memory that they ask for."""

import bz2
import gzip
import json
import os
import resource
import time

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table

from jwst_hpastrom.errors import HPAstromError
from jwst_hpastrom.io.association import read_association
from jwst_hpastrom.io.calibrations.distortion_reference import read_distortion
from jwst_hpastrom.io.calibrations.epsf_reference import read_epsf
from jwst_hpastrom.io.exposures.detector_mask import read_detector_mask
from jwst_hpastrom.io.exposures.exposure import read_exposure
from jwst_hpastrom.io.files.opening import check_yaml
from jwst_hpastrom.io.gaia.table import read_gaia
from jwst_hpastrom.io.tables.catalogs import read_catalog
from jwst_hpastrom.io.tables.epochs import read_epoch_list
from jwst_hpastrom.io.tables.star_lists import read_star_list
from jwst_hpastrom.report.information import describe

META = {"instrument": "NIRISS", "detector": "NIS", "xstart": 1, "ystart": 1}
TABLES = [read_catalog, read_gaia, read_star_list, read_epoch_list]
FITS = [read_exposure, read_epsf, read_distortion, lambda p: read_detector_mask(p, META, (8, 8))]
BOMB = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
BOMB += [f"a{k}: &a{k} [{', '.join(9 * [f'*a{k - 1}'])}]" for k in range(1, 10)]


def refused(read, path, seconds=10, gigabytes=1):
    before, start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.monotonic()
    with pytest.raises(HPAstromError) as err:
        read(path)
    assert time.monotonic() - start < seconds
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < gigabytes * 1e6
    assert type(err.value).__name__ != "UnexpectedError"
    assert path.name in str(err.value)
    return str(err.value)


def fits_file(*cards):
    lines = ["SIMPLE  =                    T", "BITPIX  =                  -32", *cards, "END"]
    header = "".join(f"{c:80s}" for c in lines).encode()
    return header.ljust(-(-len(header) // 2880) * 2880)


@pytest.mark.parametrize("read", [*FITS, *TABLES])
@pytest.mark.parametrize(
    "cards",
    [
        ["NAXIS   =            999999999"],
        ["NAXIS   = 2", "NAXIS1  =            999999999", "NAXIS2  =            999999999"],
        ["NAXIS   = 1", "NAXIS1  =                   -5"],
        ["NAXIS   = 2", "NAXIS1  = 4"],
        ["NAXIS   = 0", "COMMENT x"] * 50,
    ],
)
@pytest.mark.parametrize("suffix", [".fits", ".fits.gz"])
def test_fits_that_announce_more_than_there_is(tmp_path, read, cards, suffix):
    content = fits_file(*cards)
    path = tmp_path / f"a_cal{suffix}"
    path.write_bytes(gzip.compress(content) if suffix.endswith("gz") else content)
    refused(read, path)


@pytest.mark.parametrize("read", FITS)
def test_packed_images_and_tables_that_announce_more(tmp_path, read):
    path = tmp_path / "a_cal.fits"
    hdu = fits.CompImageHDU(np.zeros((16, 16), np.int16), name="DQ")
    fits.HDUList([fits.PrimaryHDU(), hdu]).writeto(path)
    content = path.read_bytes()
    for n in (1, 2):
        card = f"ZNAXIS{n} =                   16".encode()
        assert content.count(card) == 1
        content = content.replace(card, f"ZNAXIS{n} =            999999999".encode())
    path.write_bytes(content.ljust(len(content)))
    refused(read, path)


@pytest.mark.parametrize("read", [*FITS, *TABLES, read_association, describe])
def test_pipes_devices_and_folders(tmp_path, read):
    os.mkfifo(tmp_path / "a.fits")
    (tmp_path / "b.asdf").mkdir()
    (tmp_path / "c.ecsv").symlink_to("/dev/zero")
    for name in ("a.fits", "b.asdf", "c.ecsv"):
        assert "no regular file" in refused(read, tmp_path / name)


@pytest.mark.parametrize("read", [*FITS, *TABLES])
@pytest.mark.parametrize("packer", [gzip, bz2])
def test_files_that_unpack_to_much_more(tmp_path, read, packer):
    content = packer.compress(fits_file("NAXIS   = 1", "NAXIS1  = 20000000") + bytes(80_000_000))
    for name in ("a.fits.gz", "a.csv.gz"):
        (tmp_path / name).write_bytes(content)
        refused(read, tmp_path / name)


def asdf_file(*lines):
    head = ["#ASDF 1.0.0", "#ASDF_STANDARD 1.5.0", "%YAML 1.1", "--- !<tag:stsci.edu:asdf/core/asdf-1.1.0>"]
    return "\n".join([*head, *lines, "...", ""]).encode()


@pytest.mark.parametrize("read", [read_epsf, read_distortion, describe])
@pytest.mark.parametrize("lines", [BOMB, ["a: " + "[" * 900 + "]" * 900], ["a: &a [*a]"]])
def test_trees_much_larger_than_they_look(tmp_path, read, lines):
    path = tmp_path / "a_epsf.asdf"
    path.write_bytes(asdf_file(*lines))
    refused(read, path)


def test_blocks_that_unpack_to_much_more(tmp_path):
    block = b"\xd3BLK\0\x30" + bytes(4) + b"zlib" + b"".join(n.to_bytes(8, "big") for n in (9, 9, 1 << 40))
    (tmp_path / "a.asdf").write_bytes(asdf_file("a: 1") + block + bytes(16 + 9))
    assert "packed into 9" in refused(read_distortion, tmp_path / "a.asdf")


@pytest.mark.parametrize("read", TABLES)
def test_tables_whose_metadata_are_a_bomb(tmp_path, read):
    path = tmp_path / "a.ecsv"
    head = ["%ECSV 1.0", "---", "datatype:", "- {name: ra, datatype: float64}", "meta:"]
    path.write_text("\n".join([f"# {line}" for line in [*head, *(f"  {b}" for b in BOMB)]] + ["ra", "1.0"]))
    assert "YAML" in refused(read, path)


@pytest.mark.parametrize("read", TABLES)
def test_tables_that_are_too_wide_or_no_text(tmp_path, read):
    (tmp_path / "a.csv").write_text("ra" + 200_000 * ",b" + "\n1" + 200_000 * ",2" + "\n")
    (tmp_path / "b.txt").write_bytes(bytes(1 << 20))
    with open(tmp_path / "c.csv", "wb") as file:
        file.truncate(50 << 30)  # sparse
    for name in ("a.csv", "b.txt", "c.csv"):
        refused(read, tmp_path / name)


def test_parquet_of_one_value_many_times(tmp_path):
    pa = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    path = tmp_path / "a.parquet"
    batch = pa.table({c: pa.array(np.zeros(10_000_000)) for c in ("ra", "dec")})
    with parquet.ParquetWriter(path, batch.schema) as writer:
        for _ in range(4):
            writer.write_table(batch)
    assert "packed into" in refused(read_catalog, path)


def test_very_many_members(tmp_path):
    path = tmp_path / "a_asn.json"
    for n, text in ((20_000, "20000 science members"), (1_000_000, "bytes")):
        members = [{"expname": f"jw01086004001_02101_{k:05d}_nis_cal.fits"} for k in range(n)]
        path.write_text(json.dumps({"products": [{"name": "field", "members": members}]}))
        assert text in refused(read_association, path)


def test_what_is_large_by_right_is_read(tmp_path):
    rng = np.random.default_rng(1)
    t = Table({"ra": 80 + rng.random(100_000), "dec": -69 + rng.random(100_000)}, meta={"epoch": 2006.4})
    t.write(tmp_path / "a.fits")
    (tmp_path / "b.fits.gz").write_bytes(gzip.compress((tmp_path / "a.fits").read_bytes()))
    for name in ("a.fits", "b.fits.gz"):
        np.testing.assert_array_equal(read_catalog(tmp_path / name)["ra"], t["ra"])
    check_yaml("a: &a [1, 2]\nb: [*a, *a]\nc: {d: &d {e: 1}, f: *d}\n")


@pytest.mark.parametrize("read", [*FITS, *TABLES, describe])
def test_web_pages_and_empty_files(tmp_path, read):
    for name in ("a_cal.fits", "a.ecsv", "a.fits.gz"):
        (tmp_path / name).write_text("\n<!DOCTYPE html><html><body>Log in</body></html>")
        assert "web page" in refused(read, tmp_path / name)
        (tmp_path / name).write_bytes(b"")
        assert "empty" in refused(read, tmp_path / name)
