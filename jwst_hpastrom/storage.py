"""Large arrays in memory as far as a budget goes, and in files beyond it."""

import math
import os
import shutil
import tempfile
from dataclasses import dataclass, fields, is_dataclass, replace
from pathlib import Path
from typing import Any
from weakref import WeakSet

import numpy as np

from jwst_hpastrom.errors import BadFileError, ParameterError

__all__ = ["Kept", "Store", "in_memory", "opened"]

ALIGN = 64  # bytes: where arrays begin in a file
BLOCK = 1 << 26  # bytes of a file of many arrays, at least: each is mapped once, and a process has few files


@dataclass(frozen=True)
class _Place:
    """Where an array lies in a file."""

    dtype: str
    shape: tuple
    offset: int

    def read(self, path, rows=None):
        """Return the array, or some of its rows: a copy, of which nothing stays mapped."""
        shape, offset, dtype = self.shape, self.offset, np.dtype(self.dtype)
        if rows is not None:
            first, last, _ = rows.indices(shape[0])
            offset += first * dtype.itemsize * math.prod(shape[1:])
            shape = (max(last - first, 0), *shape[1:])
        return np.fromfile(path, dtype, math.prod(shape), offset=offset).reshape(shape)


class Kept:
    """An object of a `Store`; calling it gives the object.

    It may be sent to another process of the same machine, which reads the file.
    """

    def __init__(self, whole, path=None, places=None, nbytes=0):
        self._whole, self.path, self._places, self.nbytes = whole, path, places, nbytes

    def __call__(self) -> Any:
        """Return the object; arrays from a file are the caller's own, others are the store's."""
        if self.path is None:
            return self._whole
        return replace(self._whole, **{name: p.read(self.path) for name, p in self._places.items()})

    def cut(self, name: str, rows: slice, columns: slice) -> np.ndarray:
        """Return a part of one of the object's arrays, shape (ny, nx)."""
        if self.path is None:
            return getattr(self._whole, name)[rows, columns]
        return self._places[name].read(self.path, rows)[:, columns]

    def move(self, path: str, places: dict) -> None:
        """Have the arrays in a file from now on."""
        self._whole, self.path, self._places = _without(self._whole, places), path, places

    def in_memory(self) -> "Kept":
        """Return the same that needs no file, for a machine that does not see it."""
        return self if self.path is None else Kept(self())


class Store:
    """Objects with large arrays: in memory up to a budget, the others' arrays in files.

    Parameters
    ----------
    budget : float
        Bytes to hold in memory.

    folder : path-like, optional
        Where a folder for the files is made, once one is needed; that of temporary files by default.

    most : float
        Bytes that may be taken in all, by what is held and what is worked with; see `require`.

    workers : int
        Processes that take theirs of ``most``, beside the one that has the store.

    Examples
    --------
    >>> import numpy as np
    >>> from dataclasses import dataclass
    >>> from jwst_hpastrom.storage import Store
    >>> @dataclass
    ... class Pair:
    ...     a: np.ndarray
    ...     b: float
    >>> with Store(budget=0) as store:
    ...     kept = store.keep(Pair(np.arange(3), 2.0))
    ...     kept()
    Pair(a=array([0, 1, 2]), b=2.0)
    """

    def __init__(
        self, budget: float = math.inf, folder: Any = None, most: float = math.inf, workers: int = 0
    ):
        self.budget, self.folder, self.most, self.workers = budget, folder, most, workers
        self._movable: WeakSet[Kept] = WeakSet()
        self.held, self.written, self._own, self._count = 0, 0, None, 0
        self._block, self._used = np.empty(0, np.uint8), 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self) -> None:
        """Delete the files; arrays that are still in use keep theirs until they are let go."""
        self._block, self._used = np.empty(0, np.uint8), 0
        if self._own is not None:
            shutil.rmtree(self._own, ignore_errors=True)
            self._own = None

    def keep(self, whole: Any, instead: Kept | None = None) -> Kept:
        """Take an object over.

        Parameters
        ----------
        whole : dataclass instance
            Its fields that are arrays go to a file where memory is spent.

        instead : `Kept`, optional
            One of this store that is no longer needed.

        Returns
        -------
        `Kept`

        Raises
        ------
        BadFileError
            The files cannot be written: no room, or no leave.
        """
        if instead is not None:
            self.drop(instead)
        arrays = _arrays(whole)
        size = sum(a.nbytes for a in arrays.values())
        if self.held + size <= self.budget or not size:
            self.held += size
            kept = Kept(whole, nbytes=size)
            if size:
                self._movable.add(kept)
            return kept
        path, places = self._write(arrays)
        return Kept(_without(whole, arrays), path, places, size)

    def drop(self, kept: Kept) -> None:
        """Forget an object."""
        if kept.path is None:
            self.held -= kept.nbytes
            self._movable.discard(kept)
        else:
            self.written -= kept.nbytes
            Path(kept.path).unlink(missing_ok=True)

    def array(self, shape: int | tuple[int, ...], dtype: Any = float) -> np.ndarray:
        """Return a new array of unset values: in memory, or, where that is spent, in a file that is mapped.

        The system writes such an array out, and takes its memory, as it needs it. It lasts as long as its
        user has it, or until another process closes the store.

        Parameters
        ----------
        shape : int or tuple of int
        dtype : data type

        Returns
        -------
        ndarray

        Raises
        ------
        BadFileError
            The files cannot be written: no room, or no leave.
        """
        size = math.prod(np.atleast_1d(shape).tolist()) * np.dtype(dtype).itemsize
        if self.held + size <= self.budget or not size:
            self.held += size
            return np.empty(shape, dtype)
        if self._used + size > self._block.size:
            self._block, self._used = self._mapped(max(size, BLOCK)), 0
        out = self._block[self._used : self._used + size].view(dtype).reshape(shape)
        self._used += -(-size // ALIGN) * ALIGN
        return out

    def copy(self, values: Any) -> np.ndarray:
        """Return a copy of an array, where `array` has room for it."""
        out = self.array(np.shape(values), np.asarray(values).dtype)
        out[...] = values
        return out

    def require(self, nbytes: float, work: str) -> None:
        """Raise where some work would take more memory than there may be, beside what is held.

        Parameters
        ----------
        nbytes : float
        work : str
            What takes it, for the error.

        Raises
        ------
        ParameterError
        """
        if self.held + nbytes > self.most:
            short = (self.held + nbytes - self.most) / 1e9
            raise ParameterError(
                f"too little memory: {nbytes / 1e9:.1f} GB for {work}", f"{short:.1f} GB more than there is",
                "give a larger --memory, or fewer exposures or stars at a time",
            )  # fmt: skip

    def spare(self, nbytes: float, work: str) -> None:
        """Hold no more, from now on, than some work leaves; what is held beyond that goes to files.

        Parameters
        ----------
        nbytes : float
        work : str
            What takes it, for the error.

        Raises
        ------
        ParameterError
            The work alone, and arrays that are in use, take more than there may be.
        """
        self.budget = min(self.budget, max(self.most - nbytes, 0.0))
        while self.held > self.budget and self._movable:
            kept = self._movable.pop()
            kept.move(*self._write(_arrays(kept())))
            self.held -= kept.nbytes
        self.require(nbytes, work)

    def _path(self):
        if self._own is None:  # a later run sees by the number whether its writer lives
            self._own = tempfile.mkdtemp(prefix=f".spill-hp{os.getpid()}-", dir=self.folder)
        self._count += 1
        return os.path.join(self._own, f"{self._count}")

    def _failed(self, err, size):
        return BadFileError(
            f"a temporary folder that cannot be written ({err.strerror})",
            f"room for over {(self.written + size) / 1e9:.1f} GB",
            "make room, choose another output_dir, or allow more memory", self._own or self.folder,
        )  # fmt: skip

    def _mapped(self, size):
        """Return the bytes of a new file; its room is taken, or a full disk would kill us later."""
        try:
            path = self._path()
            with open(path, "wb") as out:
                if hasattr(os, "posix_fallocate"):
                    os.posix_fallocate(out.fileno(), 0, size)
                else:
                    for first in range(0, size, BLOCK):
                        out.write(bytes(min(BLOCK, size - first)))
            mapped = np.memmap(path, np.uint8, "r+")
        except OSError as err:
            raise self._failed(err, size) from err
        self.written += size
        return np.asarray(mapped)

    def _write(self, arrays):
        places, offset = {}, 0
        size = sum(a.nbytes for a in arrays.values())
        try:
            path = self._path()
            with open(path, "wb") as out:
                for name, a in arrays.items():
                    out.seek(offset)
                    out.write(np.ascontiguousarray(a).data)
                    places[name] = _Place(a.dtype.str, a.shape, offset)
                    offset += -(-a.nbytes // ALIGN) * ALIGN
        except OSError as err:
            raise self._failed(err, size) from err
        self.written += size
        return path, places


def _arrays(whole):
    """Return the fields of a dataclass that are arrays."""
    values = {f.name: getattr(whole, f.name) for f in fields(whole)} if is_dataclass(whole) else {}
    return {name: a for name, a in values.items() if isinstance(a, np.ndarray) and a.ndim}


def _without(whole, names):
    """Return a dataclass instance without some of its fields, and unchecked."""
    out = object.__new__(type(whole))
    for f in fields(whole):
        object.__setattr__(out, f.name, None if f.name in names else getattr(whole, f.name))
    return out


def opened(value: Any) -> Any:
    """Return the object of a `Kept`, anything else as it is."""
    return value() if isinstance(value, Kept) else value


def in_memory(value: Any) -> Any:
    """Return what needs no file of a store: of a `Kept`, and of what has such a method itself."""
    return value.in_memory() if hasattr(value, "in_memory") else value
