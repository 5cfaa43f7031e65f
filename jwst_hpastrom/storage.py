"""Large arrays in memory as far as a budget goes, and in files beyond it."""

import math
import os
import shutil
import tempfile
from dataclasses import dataclass, fields, is_dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from jwst_hpastrom.errors import BadFileError

__all__ = ["Kept", "Store", "in_memory", "opened"]

ALIGN = 64  # bytes: where arrays begin in a file


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

    def __init__(self, budget: float = math.inf, folder: Any = None):
        self.budget, self.folder = budget, folder
        self.held, self.written, self._own, self._count = 0, 0, None, 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self) -> None:
        """Delete the files."""
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
        arrays = {f.name: getattr(whole, f.name) for f in fields(whole)} if is_dataclass(whole) else {}
        arrays = {name: a for name, a in arrays.items() if isinstance(a, np.ndarray) and a.ndim}
        size = sum(a.nbytes for a in arrays.values())
        if self.held + size <= self.budget or not size:
            self.held += size
            return Kept(whole, nbytes=size)
        path, places = self._write(arrays)
        return Kept(replace(whole, **dict.fromkeys(arrays)), path, places, size)

    def drop(self, kept: Kept) -> None:
        """Forget an object."""
        if kept.path is None:
            self.held -= kept.nbytes
        else:
            self.written -= kept.nbytes
            Path(kept.path).unlink(missing_ok=True)

    def _write(self, arrays):
        places, offset = {}, 0
        try:
            if self._own is None:  # a later run sees by the number whether its writer lives
                self._own = tempfile.mkdtemp(prefix=f".spill-hp{os.getpid()}-", dir=self.folder)
            self._count += 1
            path = os.path.join(self._own, f"{self._count}")
            with open(path, "wb") as out:
                for name, a in arrays.items():
                    out.seek(offset)
                    out.write(np.ascontiguousarray(a).data)
                    places[name] = _Place(a.dtype.str, a.shape, offset)
                    offset += -(-a.nbytes // ALIGN) * ALIGN
        except OSError as err:
            need = (self.written + sum(a.nbytes for a in arrays.values())) / 1e9
            raise BadFileError(
                f"a temporary folder that cannot be written ({err.strerror})", f"room for over {need:.1f} GB",
                "make room, choose another output_dir, or allow more memory", self._own or self.folder,
            ) from err  # fmt: skip
        self.written += sum(a.nbytes for a in arrays.values())
        return path, places


def opened(value: Any) -> Any:
    """Return the object of a `Kept`, anything else as it is."""
    return value() if isinstance(value, Kept) else value


def in_memory(value: Any) -> Any:
    """Return what needs no file of a store: of a `Kept`, and of what has such a method itself."""
    return value.in_memory() if hasattr(value, "in_memory") else value
