"""A store gives back what was put in, from memory or from files, and leaves no file."""

import os
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context

import numpy as np
import pytest

from jwst_hpastrom.errors import BadFileError, ParameterError
from jwst_hpastrom.storage import Kept, Store, in_memory, opened


@dataclass(frozen=True)
class Thing:
    image: np.ndarray
    mask: np.ndarray
    name: str
    nothing: np.ndarray | None = None
    empty: np.ndarray | None = None


def thing(seed=0):
    rng = np.random.default_rng(seed)
    image = rng.normal(size=(7, 11)).astype(np.float32)
    return Thing(image, image.T > 0, f"thing {seed}", None, np.empty((0, 3)))


def same(a, b):
    assert a.name == b.name
    assert a.nothing is b.nothing is None
    for name in ("image", "mask", "empty"):
        one, two = getattr(a, name), getattr(b, name)
        assert (one.dtype, one.shape) == (two.dtype, two.shape)
        np.testing.assert_array_equal(one, two)


@pytest.mark.parametrize("budget", [0, 500, np.inf])
def test_gives_back_what_it_was_given(tmp_path, budget):
    with Store(budget, tmp_path) as store:
        kept = [store.keep(thing(k)) for k in range(4)]
        assert store.held <= budget
        assert store.held + store.written == 4 * (7 * 11 * 5)
        for k, one in enumerate(kept):
            same(one(), thing(k))
            np.testing.assert_array_equal(
                one.cut("image", slice(2, 5), slice(3, 9)), thing(k).image[2:5, 3:9]
            )
        kept[1] = store.keep(thing(9), instead=kept[1])
        same(kept[1](), thing(9))
        assert store.held + store.written == 4 * (7 * 11 * 5)
        same(kept[0](), thing(0))
    assert not list(tmp_path.iterdir())


def test_what_comes_from_a_file_is_the_caller_s_own(tmp_path):
    with Store(0, tmp_path) as store:
        kept = store.keep(thing())
        kept().image[:] = 0
        same(kept(), thing())
        carried = in_memory(kept)
        assert carried.path is None
    same(carried(), thing())
    assert opened(3) == 3
    same(opened(Kept(thing())), thing())


def total(kept):
    return float(kept().image.sum())


def test_another_process_reads_it(tmp_path):
    with Store(0, tmp_path) as store, ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        kept = store.keep(thing())
        assert pool.submit(total, kept).result() == total(kept)


def test_the_folder_names_its_process(tmp_path):
    with Store(0, tmp_path) as store:
        store.keep(thing())
        (own,) = tmp_path.iterdir()
        assert f"-hp{os.getpid()}-" in own.name


def test_a_full_disk_is_named(tmp_path):
    with (
        pytest.raises(BadFileError, match="temporary folder that cannot be written"),
        Store(0, tmp_path / "not there") as store,
    ):
        store.keep(thing())


@pytest.mark.parametrize("budget", [0, 100, np.inf])
def test_arrays_of_a_store(tmp_path, budget):
    with Store(budget, tmp_path) as store:
        made = [store.copy(np.arange(7 * k).reshape(k, 7).astype(t)) for k, t in enumerate("fdifd")]
        flags = store.copy(np.array([True, False]))
        for k, (a, t) in enumerate(zip(made, "fdifd", strict=True)):
            assert a.dtype == np.dtype(t)
            assert type(a) is np.ndarray
            np.testing.assert_array_equal(a, np.arange(7 * k).reshape(k, 7))
        assert store.held <= budget
        assert (store.written > 0) == (budget < np.inf)
        assert len(list(tmp_path.rglob("[0-9]*"))) <= 1  # many arrays, one file
    assert not list(tmp_path.iterdir())
    assert flags.tolist() == [True, False]  # a user's array outlives its store


def test_a_full_disk_is_said_when_room_is_taken(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full, raising=False)
    with (
        Store(0, tmp_path) as store,
        pytest.raises(BadFileError, match="No space left.*room for over 0.1 GB"),
    ):
        store.array(100)


def test_memory_that_is_not_there(tmp_path):
    with Store(1e3, tmp_path, most=2e9) as store:
        store.require(1.9e9, "a small frame")
        with pytest.raises(ParameterError, match=r"3.0 GB for a large frame, needed 1.0 GB more"):
            store.require(3e9, "a large frame")


def test_what_is_held_makes_room_for_work(tmp_path):
    size = sum(a.nbytes for a in (thing().image, thing().mask))
    with Store(1e9, tmp_path, most=5 * size) as store:
        kept = [store.keep(thing(k)) for k in range(2)]
        assert store.held == 2 * size
        store.spare(3.5 * size, "a tile")
        assert store.held == size
        assert sorted(k.path is None for k in kept) == [False, True]
        for k, one in enumerate(kept):
            same(one(), thing(k))
        assert store.keep(thing(2)).path is not None
        with pytest.raises(ParameterError, match="for a large tile"):
            store.spare(6 * size, "a large tile")
