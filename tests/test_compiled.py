"""Where compiled functions are kept when neither package nor home can be written."""

import os
import stat
import sys
from types import SimpleNamespace

import pytest

from jwst_hpastrom import _compiled
from jwst_hpastrom._compiled import find_cache


@pytest.fixture
def places(tmp_path, monkeypatch):
    """A package and a home that cannot be written, for root neither, and a folder for temporary files."""
    for name in ("package", "home", "tmp"):
        (tmp_path / name).mkdir()
    real = os.access
    locked = []
    monkeypatch.setattr(
        os, "access", lambda path, mode: not any(str(path).startswith(p) for p in locked) and real(path, mode)
    )
    monkeypatch.setattr(_compiled.tempfile, "gettempdir", lambda: str(tmp_path / "tmp"))
    monkeypatch.setattr(_compiled.tempfile, "tempdir", str(tmp_path / "tmp"))
    monkeypatch.setitem(sys.modules, "numba", SimpleNamespace(config=SimpleNamespace(CACHE_DIR="")))
    return tmp_path, locked


def test_nothing_is_done_where_numba_finds_a_place(places):
    folder, locked = places
    environment = {"HOME": str(folder / "home")}
    find_cache(folder / "package", environment)
    locked.append(str(folder / "package"))
    find_cache(folder / "package", environment)
    locked.append(str(folder / "home"))
    given = environment | {"NUMBA_CACHE_DIR": "mine"}
    find_cache(folder / "package", given)
    assert "NUMBA_CACHE_DIR" not in environment
    assert given["NUMBA_CACHE_DIR"] == "mine"


def test_a_read_only_installation_and_home(places):
    folder, locked = places
    locked += [str(folder / "package"), str(folder / "home")]
    environment = {"HOME": str(folder / "home")}
    find_cache(folder / "package", environment)
    found = environment["NUMBA_CACHE_DIR"]
    assert found == str(folder / "tmp" / f"numba-cache-{os.getuid()}")
    assert stat.S_IMODE(os.stat(found).st_mode) == 0o700
    assert found == sys.modules["numba"].config.CACHE_DIR
    os.chmod(found, 0o777)  # others may have put code there
    again = {"HOME": str(folder / "home")}
    find_cache(folder / "package", again)
    assert again["NUMBA_CACHE_DIR"] not in ("", found)
