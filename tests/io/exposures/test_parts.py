"""Hashes of an exposure's content: each part its own, and made once of a file that stays as it is."""

import os

import numpy as np
import pytest

from jwst_hpastrom.io.exposures import exposure
from jwst_hpastrom.io.exposures.parts import content_parts
from tests.io.exposures.test_exposure import write

ARRAYS = {name: np.ones((4, 5), np.float32) for name in ("data", "err", "dq", "variance")}
PARTS = {"data": "SCI", "err": "ERR", "dq": "DQ", "variance": "VAR_POISSON"}


@pytest.mark.parametrize("name", [*ARRAYS, "header"])
def test_each_part_has_its_own_hash(name):
    given = ARRAYS | {"header": {"filter": "F150W"}, "wcs": None}
    other = given | {name: {"filter": "F277W"} if name == "header" else given[name] * 2}
    one, two = content_parts(**given), content_parts(**other)
    assert [k for k in one if one[k] != two[k]] == [PARTS.get(name, name)]


@pytest.fixture
def hashed(monkeypatch):
    """Shapes of the arrays that are hashed."""
    calls = []
    monkeypatch.setattr(exposure, "content_parts", lambda *a: calls.append(a[0].shape) or content_parts(*a))
    return calls


def test_an_unchanged_file_is_hashed_once(tmp_path, hashed):
    path = write(tmp_path / "a_cal.fits")
    one, two = (exposure.read_exposure(path, parts=True, bad_bits=bits).parts for bits in (1, 4))
    assert one == two
    assert one is not two
    assert len(hashed) == 1


def test_a_changed_file_is_hashed_anew_whatever_its_time(tmp_path, hashed):
    path = write(tmp_path / "a_cal.fits")
    one, stat = exposure.read_exposure(path, parts=True).parts, path.stat()
    write(path, SCI=np.full((40, 30), 2, "f4"))
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    two = exposure.read_exposure(path, parts=True).parts
    assert path.stat().st_size == stat.st_size
    assert [k for k in one if one[k] != two[k]] == ["SCI"]
    assert len(hashed) == 2
