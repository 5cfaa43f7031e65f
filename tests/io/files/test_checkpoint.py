"""Checkpoints: whole or not at all, and only for the same inputs."""

import os
import pickle
import re
from pathlib import Path

import numpy as np
import pytest
from astropy.modeling.models import Polynomial1D

import jwst_hpastrom
from jwst_hpastrom.epsf.library import EPSFLibrary
from jwst_hpastrom.io.files.checkpoint import Checkpoint, fingerprint


def test_the_last_state_comes_back(tmp_path):
    path = tmp_path / "state.npz"
    checkpoint = Checkpoint(path, ("1.0", ["a"]))
    assert checkpoint.load() is None
    for state in ({"it": 1}, {"it": 2}):
        checkpoint.save(state)
    assert Checkpoint(path, ("1.0", ["a"])).load() == {"it": 2}
    assert os.listdir(tmp_path) == ["state.npz"]
    checkpoint.remove()
    checkpoint.remove()
    assert not path.exists()


def test_what_does_not_belong_is_not_used(tmp_path, caplog):
    path = tmp_path / "state.npz"
    Checkpoint(path, 1).save("state")
    assert Checkpoint(path, 1, resume=False).load() is None
    assert Checkpoint(path, 2).load() is None
    path.write_bytes(path.read_bytes()[:10])
    assert Checkpoint(path, 1).load() is None
    assert "starting anew" in caplog.text


class Command:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (self.path,)


@pytest.mark.parametrize("packed", [False, True])
def test_a_file_laid_there_runs_nothing(tmp_path, caplog, packed):
    path, made = tmp_path / "state.npz", str(tmp_path / "made")
    if packed:
        np.savez(path, tree=np.array([Command(made)], object))
    else:
        path.write_bytes(pickle.dumps((1, Command(made))))
    assert Checkpoint(path, 1).load() is None
    assert not os.path.exists(made)
    assert "starting anew" in caplog.text


def test_no_reader_unpickles():
    unsafe = re.compile(
        r"^\s*(import|from)\s+(c?pickle|dill|joblib|marshal|shelve)\b|allow_pickle\s*=\s*True|read_pickle"
        r"|yaml\.(unsafe_|full_)?load\(",
        re.MULTILINE,
    )
    sources = {p.name: p.read_text() for p in Path(jwst_hpastrom.__file__).parent.rglob("*.py")}
    assert "checkpoint.py" in sources
    assert [name for name, text in sources.items() if unsafe.search(text)] == []


def test_values_arrays_and_objects_come_back(tmp_path):
    library = EPSFLibrary(np.arange(18.0).reshape(2, 3, 3), [1.0, 2.0], [5.0], meta={"filter": "F090W"})
    state = {"t": (1, None, float("inf")), 3: [np.float32(1.5), np.array([True])], "library": library}
    path = tmp_path / "state.npz"
    Checkpoint(path, 1).save(state)
    back = Checkpoint(path, 1).load()
    assert back["t"] == state["t"]
    assert back[3][0] == np.float32(1.5)
    assert type(back[3][0]) is np.float32
    assert back["library"].meta == library.meta
    np.testing.assert_array_equal(back["library"].data, library.data)


def test_one_changed_pixel_is_another_key():
    one = np.zeros((50, 50))
    two = one.copy()
    two[3, 4] = 1e-9
    assert fingerprint(("a", one)) == fingerprint(("a", one.copy()))
    assert len({fingerprint(("a", v)) for v in (one, two, one.astype("f4"), one.reshape(-1))}) == 4


def test_a_state_with_objects_of_other_packages_stops_nothing(tmp_path, caplog):
    checkpoint = Checkpoint(tmp_path / "state.npz", "key")
    checkpoint.save({"kept": 1})
    checkpoint.save(
        {"model": Polynomial1D(1, c0=1.0)}
    )  # cannot be restored: no state, rather than an old one
    assert "no checkpoint is kept" in caplog.text
    assert checkpoint.load() is None


def test_a_damaged_file_is_none_or_says_what_was_saved(tmp_path):
    path = tmp_path / "build.ckpt"
    state = {"it": 3, "samples": np.arange(40.0)}
    Checkpoint(path, {"n": 1}).save(state)
    whole = path.read_bytes()
    kept = 0
    for k in range(0, len(whole), 3):
        path.write_bytes(whole[:k] + bytes([whole[k] ^ 0x55]) + whole[k + 1 :])
        found = Checkpoint(path, {"n": 1}).load()
        kept += found is not None
        if found is not None:
            assert found["it"] == 3
            np.testing.assert_array_equal(found["samples"], state["samples"])
    assert kept < len(whole) / 6
