"""Files appear whole or not at all."""

import os
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from astropy.io import fits
from astropy.io.fits.verify import VerifyWarning

from jwst_hpastrom.column_texts import document
from jwst_hpastrom.errors import BadFileError
from jwst_hpastrom.io.files.manifest import KEY, record, stamp
from jwst_hpastrom.io.files.plain_ecsv import plain_ecsv
from jwst_hpastrom.io.files.seals import BLANK, put_seal

__all__ = ["FORMATS", "atomic_path", "write_model", "write_table"]

#: astropy's names of the table formats
FORMATS = {".ecsv": "ascii.ecsv", ".fits": "fits", ".parquet": "parquet"}


@contextmanager
def atomic_path(path: str | PathLike[str]) -> Iterator[Path]:
    """Yield a temporary path beside ``path`` that becomes ``path`` when the block ends well.

    Parameters
    ----------
    path : path-like
        Final path; its folder is made where it is missing.

    Yields
    ------
    `~pathlib.Path`
        Temporary path with the same suffix.

    Raises
    ------
    BadFileError
        The folder cannot be made or written, or the disk is full.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> from jwst_hpastrom.io import atomic_path
    >>> with TemporaryDirectory() as folder:
    ...     with atomic_path(f"{folder}/a.txt") as path:
    ...         _ = path.write_text("whole or not at all")
    ...     Path(folder, "a.txt").read_text()
    'whole or not at all'
    """
    path = Path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        prefix = f".{path.stem}-hp{os.getpid()}-"  # a later run sees whether its writer lives
        handle, temporary = tempfile.mkstemp(prefix=prefix, suffix=path.suffix, dir=path.parent)
    except OSError as err:
        raise BadFileError(
            f"a folder that cannot be written ({err.strerror})", "one that can", "choose another", path
        ) from err
    os.close(handle)
    try:
        yield Path(temporary)
        umask = os.umask(0)
        os.umask(umask)
        os.chmod(temporary, 0o666 & ~umask)
        record(path, temporary)
        _to_disk(temporary)  # or a crash could leave the new name on an empty file
        os.replace(temporary, path)
        _to_disk(path.parent)
    except OSError as err:
        raise BadFileError(
            f"a product that cannot be written ({err.strerror or err})",
            "room on the disk, and leave to write", "make room, or choose another folder", path,
        ) from err  # fmt: skip
    finally:
        if os.path.exists(temporary):
            os.unlink(temporary)


def write_model(model: Any, path: str | PathLike[str]) -> str:
    """Write a data model as ASDF file, sealed.

    Not by its path, of which asdf makes a URL: that ends at ``#``, ``?`` or ``;``, and its ``%41`` is an A.

    Parameters
    ----------
    model : `~stdatamodels.DataModel`
        Its ``meta.filename`` becomes the file's name.

    path : path-like

    Returns
    -------
    str
        The path.
    """
    model.meta.filename = Path(path).name
    with atomic_path(path) as temporary:
        with open(temporary, "wb") as out:
            model.to_asdf(out)
        put_seal(temporary)
    return str(path)


def _to_disk(path):
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _write_sealed(table, path, kind):
    made, told = stamp(), table.meta.get(KEY)
    if kind == "parquet" or made or told:
        table = table.copy(copy_data=False)
        table.meta.pop(KEY, None)  # of what this one was made from
    if made:
        table.meta[KEY] = made
    if kind == "parquet":
        table.meta["seal"] = BLANK
    text = plain_ecsv(table) if kind == "ascii.ecsv" else None
    if text is None:
        table.write(path, format=kind, overwrite=True)
    if kind == "ascii.ecsv":  # a comment of the YAML header
        text = text or path.read_bytes()
        path.write_bytes(text.replace(b"# ---\n", f"# ---\n# # {BLANK}\n".encode(), 1))
    elif kind == "fits":
        with fits.open(path, mode="update", memmap=False) as hdus:
            hdus[0].header["COMMENT"] = BLANK
            hdus[0].header["HPROWS"] = (len(table), "rows of the table")
    put_seal(path)


def write_table(table: Any, path: str | PathLike[str]) -> str:
    """Write a catalog as ECSV (``.ecsv``), FITS (``.fits``) or parquet (``.parquet``).

    Parameters
    ----------
    table : `~astropy.table.Table`

    path : path-like
        Its suffix gives the format.

    Returns
    -------
    str
        The path.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> from astropy.table import Table
    >>> from jwst_hpastrom.io import read_table, write_table
    >>> with TemporaryDirectory() as folder:
    ...     path = write_table(Table({"ra": [10.5]}, meta={"epoch": 2022.4}), f"{folder}/a.ecsv")
    ...     table = read_table(path)
    >>> table["ra"].tolist(), table.meta["epoch"]
    ([10.5], 2022.4)
    """
    with atomic_path(path) as temporary, warnings.catch_warnings(), np.printoptions(legacy=False):
        warnings.simplefilter("ignore", VerifyWarning)  # of long FITS keywords
        _write_sealed(document(table), temporary, FORMATS[Path(path).suffix])
    return str(path)
