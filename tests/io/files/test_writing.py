"""Writing: whole or not at all, on disk before the name, in folders that can be made."""

import errno
import os

import numpy as np
import pytest
from astropy.table import Table
from stdatamodels.jwst.datamodels import ImageModel

from jwst_hpastrom.errors import BadFileError
from jwst_hpastrom.io.files.writing import atomic_path, write_model, write_table


def test_nothing_is_left_of_a_failed_write(tmp_path):
    path = tmp_path / "a.ecsv"
    path.write_text("old")
    with pytest.raises(RuntimeError), atomic_path(path) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "a").write_text("a file")
    with pytest.raises(BadFileError, match="needed one that can"):
        write_table(Table({"x": [1.5]}), tmp_path / "a" / "t.ecsv")


@pytest.mark.parametrize("extension", ["ecsv", "fits"])
def test_tables_round_trip(tmp_path, extension):
    path = write_table(Table({"x": [1.5, 2.5]}), tmp_path / "sub" / f"t.{extension}")
    assert list(Table.read(path)["x"]) == [1.5, 2.5]


def test_content_is_on_disk_before_the_name(tmp_path, monkeypatch):
    done, fsync, replace = [], os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda f: done.append(os.fstat(f).st_ino) or fsync(f))
    monkeypatch.setattr(os, "replace", lambda a, b: done.append("rename") or replace(a, b))
    with atomic_path(tmp_path / "a.txt") as temporary:
        temporary.write_text("whole")
    assert done == [(tmp_path / "a.txt").stat().st_ino, "rename", tmp_path.stat().st_ino]


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EROFS, errno.EDQUOT])
def test_a_full_or_read_only_disk(tmp_path, monkeypatch, code):
    def fail(*_):
        raise OSError(code, "No space left on device")

    monkeypatch.setattr("os.fsync", fail)
    with pytest.raises(BadFileError, match=r"a\.ecsv: found a product that cannot be written"):
        write_table(Table({"x": [1.0]}), tmp_path / "a.ecsv")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("folder", ["run#2", "run?2", "run;2", "50%41", "http:x", "a\n#b"])
def test_a_path_is_no_url(tmp_path, folder):
    path = tmp_path / folder / "m.asdf"
    assert write_model(ImageModel((3, 4)), path) == str(path)
    assert [p.relative_to(tmp_path) for p in tmp_path.rglob("*") if p.is_file()] == [
        path.relative_to(tmp_path)
    ]
    assert b"filename: m.asdf" in path.read_bytes()  # not that of a temporary file


def test_digits_are_kept_however_the_caller_prints(tmp_path):
    table = Table({"name": ["a b"], "ra": [80.12345678901234]})
    with np.printoptions(legacy="1.13", precision=2):
        write_table(table, tmp_path / "a.ecsv")
    assert "80.12345678901234" in (tmp_path / "a.ecsv").read_text()
