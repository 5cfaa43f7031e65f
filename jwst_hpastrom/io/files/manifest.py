"""What made a product: inputs by content, parameters, versions; written into it, and compared with another's.

A manifest is a dictionary of plain values. Its ``id`` is the hash of all that decides the result: the Step,
this package's version, the parameters, and the inputs, in their order: of a file its content, of an unchanged
product of this package the ``id`` of what made it. Names, sizes and times of files, and other packages'
versions, are told but decide nothing.
"""

import hashlib
import json
import sys
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np

from jwst_hpastrom.io.files.opening import BLOCK, CARD

__all__ = [
    "KEY",
    "Making",
    "array_hash",
    "comment",
    "compare_manifests",
    "file_hash",
    "fits_hash",
    "make_manifest",
    "making",
    "parse_manifest",
    "product_hash",
    "record",
    "stamp",
]

KEY = "manifest"
#: packages whose versions are told
PACKAGES = ("numpy", "scipy", "numba", "astropy", "photutils", "asdf", "gwcs", "stdatamodels", "jwst")
#: beginnings of the cards of sums, which whoever rewrites a file may renew; and of those that tell when
SUMS, TIMES = (b"CHECKSUM=", b"DATASUM ="), (b"DATE    =", b"TIME    =", b"HPHASH  =")
DIGEST = 12  # bytes of a hash: nobody meets two files of one by chance
SHOWN = 4  # differences that one line names

_making = ContextVar("making", default=None)


@cache
def _versions():
    """Versions of this package, Python and what it computes with."""
    from jwst_hpastrom import __version__

    out = {"jwst_hpastrom": __version__, "python": sys.version.split()[0]}
    for name in PACKAGES:
        try:
            out[name] = version(name)
        except PackageNotFoundError:
            continue
    return out


def array_hash(*arrays):
    """Return the BLAKE2 hash of arrays: their type, shape and values.

    Parameters
    ----------
    *arrays : array-like
        Text and objects count as text.

    Returns
    -------
    str
    """
    digest = hashlib.blake2b(digest_size=DIGEST)
    for array in arrays:
        a = np.asarray(array)
        a = a.astype(str) if a.dtype.kind in "OUS" else a
        digest.update(f"{a.dtype.kind}{a.dtype.itemsize}{a.shape}".encode())
        a = a.astype(a.dtype.newbyteorder("<"), copy=False)
        digest.update(np.ascontiguousarray(a).view(np.uint8).data if a.size and a.ndim else a.tobytes())
    return digest.hexdigest()


def file_hash(path):
    """Return the BLAKE2 hash of a file's bytes."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=DIGEST)).hexdigest()


def fits_hash(content, leave_out):
    """Return the BLAKE2 hash of FITS content but for header cards of some keywords.

    Parameters
    ----------
    content : bytes

    leave_out : tuple of bytes
        Beginnings of cards, as `SUMS`.

    Returns
    -------
    str
    """
    digest = hashlib.blake2b(digest_size=DIGEST)
    for k in range(0, len(content), BLOCK):
        block = content[k : k + BLOCK]
        if any(word in block for word in leave_out):
            cards = (block[i : i + CARD] for i in range(0, len(block), CARD))
            block = b"".join(c for c in cards if not c.startswith(leave_out))
        digest.update(block)
    return digest.hexdigest()


def product_hash(path):
    """Return the hash of a product, which is the same whenever it is made: FITS headers tell the time."""
    with open(path, "rb") as file:
        if file.read(9) != b"SIMPLE  =":
            return file_hash(path)
    return fits_hash(Path(path).read_bytes(), (*SUMS, *TIMES))


def _plain(value):
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    if isinstance(value, float) and value.is_integer():
        return int(value)  # 3 and 3.0 are one value of a parameter
    return value if isinstance(value, bool | int | float | str | None) else str(value)


def make_manifest(step, parameters, inputs):
    """Make a manifest.

    Parameters
    ----------
    step : str
        Name of the Step.

    parameters : dict
        All that change the result.

    inputs : dict of str to dict
        By what they are to the Step: ``file``, ``bytes``, and ``hash`` (a dict of hashes by part of the
        content) or, of a product of this package, ``made``.

    Returns
    -------
    dict
        ``id``, ``step``, ``inputs``, ``parameters``, ``versions``.

    Examples
    --------
    >>> one, two = (make_manifest("hp_x", {"clip": c}, {}) for c in (3.0, 4.0))
    >>> compare_manifests(two, one)
    ['clip is 4, was 3']
    """
    parameters = {k: _plain(v) for k, v in parameters.items()}
    deciding = [step, _versions()["jwst_hpastrom"], sorted(parameters.items())]
    deciding.append([[label, _identity(entry)] for label, entry in inputs.items()])
    return {
        "id": hashlib.blake2b(json.dumps(deciding).encode(), digest_size=DIGEST).hexdigest(),
        "step": step, "inputs": inputs, "parameters": parameters, "versions": dict(_versions()),
    }  # fmt: skip


def _identity(entry):
    return entry.get("made") or sorted(entry.get("hash", {}).items())


def compare_manifests(new, old):
    """Name the differences of two manifests.

    Parameters
    ----------
    new, old : dict

    Returns
    -------
    list of str
        Empty where ``id`` is one.
    """
    if new["id"] == old.get("id"):
        return []
    out = []
    if new["step"] != old.get("step"):
        out.append(f"made by {new['step']}, was {old.get('step')}")
    ours = [m.get("versions", {}).get("jwst_hpastrom") for m in (new, old)]
    if ours[0] != ours[1]:
        out.append(f"version {ours[0]} of jwst_hpastrom, was {ours[1]}")
    mine, theirs = new["parameters"], old.get("parameters", {})
    other = [n for n in sorted({*mine, *theirs}) if mine.get(n) != theirs.get(n)]
    out += [f"{n} is {mine.get(n)}, was {theirs.get(n)}" for n in other]  # first: other inputs follow of some
    mine, theirs = new["inputs"], old.get("inputs", {})
    out += [f"{label} is given, was not" for label in mine if label not in theirs]
    out += [f"{label} is not given, was" for label in theirs if label not in mine]
    for label in mine:
        if label in theirs and _identity(mine[label]) != _identity(theirs[label]):
            out.append(_other_input(label, mine[label], theirs[label]))
    return out or ["the inputs come in another order"]


def _other_input(label, new, old):
    """What of an input is another."""
    if new.get("made") or old.get("made"):
        return f"{label} was made anew" if new.get("made") and old.get("made") else f"{label} is another file"
    new, old = new.get("hash", {}), old.get("hash", {})
    parts = [p for p in {**new, **old} if new.get(p) != old.get(p)]
    if parts == list({**new, **old}):
        return f"{label} is another"
    return f"{label}: {', '.join(map(str, parts[:6]))} changed"


def in_one_line(differences):
    """Return the differences as one line that names the first."""
    more = len(differences) - SHOWN
    return "; ".join(differences[:SHOWN]) + (f"; and {more} more" if more > 0 else "")


@dataclass
class Making:
    """A Step at work: its manifest, and what it wrote so far.

    Attributes
    ----------
    manifest : dict

    products : dict of str to str
        Hashes of the files written, by name.

    deciding : bool
        Whether the next file is the one that vouches for all others: it lists them.
    """

    manifest: dict
    products: dict = field(default_factory=dict)
    deciding: bool = False


@contextmanager
def making(manifest):
    """Let every product that is written in the block name what made it.

    Parameters
    ----------
    manifest : dict or None
        None: products name nothing.

    Yields
    ------
    `Making` or None
    """
    run = None if manifest is None else Making(manifest)
    token = _making.set(run)
    try:
        yield run
    finally:
        _making.reset(token)


def stamp():
    """Return the manifest to write into a product, as a line of JSON, or None."""
    run = _making.get()
    if run is None:
        return None
    return json.dumps(run.manifest | ({"products": run.products} if run.deciding else {}))


def comment():
    """Return the manifest as a line of comment for a text file, or nothing."""
    return f"# {KEY} {made}\n" if (made := stamp()) else ""


def parse_manifest(text):
    """Return the manifest in a line of JSON, or None where there is none in it."""
    try:
        found = json.loads(text)
    except (TypeError, ValueError):
        return None
    good = isinstance(found, dict) and isinstance(found.get("id"), str)
    good = good and all(isinstance(found.get(k, {}), dict) for k in ("inputs", "parameters", "versions"))
    return found if good and isinstance(found.get("products", {}), dict) else None


def record(path, written):
    """Note that a product was written: ``written`` holds what will be ``path``."""
    if run := _making.get():
        run.products[Path(path).name] = product_hash(written)
