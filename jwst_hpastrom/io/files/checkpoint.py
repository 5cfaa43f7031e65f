"""The state of a long computation, kept between its steps so that an interrupted one can go on."""

import hashlib
import json
import logging
import sys
from pathlib import Path

import numpy as np

from jwst_hpastrom.io.files.writing import atomic_path

__all__ = ["Checkpoint", "fingerprint"]

log = logging.getLogger("stpipe.hpastrom.io")

PACKAGE = __name__.split(".")[0]


class Checkpoint:
    """A file that holds the last state saved; private to one version of the package.

    It is an npz file of plain arrays and a JSON tree: reading it runs nothing that it names.

    Parameters
    ----------
    path : path-like

    key : object
        What the state belongs to (inputs, parameters, version), of plain values, arrays and objects of this
        package; a state whose key differs anywhere in content is not used.

    resume : bool
        Whether to use a state that is there.
    """

    def __init__(self, path, key, *, resume=True):
        self.path, self.key, self.resume = Path(path), fingerprint(key), resume

    def save(self, state):
        """Replace the file by the state; it is there whole or not at all."""
        arrays = []
        try:
            tree = json.dumps({"key": self.key, "state": _plain(state, arrays)})
        except TypeError as err:
            log.warning("no checkpoint is kept: %s", err)
            self.remove()
            return
        with atomic_path(self.path) as temporary, open(temporary, "wb") as out:
            text = np.frombuffer(tree.encode(), np.uint8)
            np.savez(out, tree=text, **{f"a{i}": a for i, a in enumerate(arrays)})

    def load(self):
        """Return the state saved last, or None."""
        if not (self.resume and self.path.is_file()):
            return None
        try:
            with open(self.path, "rb") as stream, np.load(stream, allow_pickle=False) as file:
                tree = json.loads(file["tree"].tobytes())
                if tree["key"] != self.key:
                    log.warning("%s is of other inputs or parameters: starting anew", self.path)
                    return None
                return _restored(tree["state"], file)
        except Exception as err:  # of whatever a damaged file makes its reader say
            log.warning("%s cannot be used (%s): starting anew", self.path, type(err).__name__)
            return None

    def remove(self):
        """Delete the file."""
        self.path.unlink(missing_ok=True)


def fingerprint(content):
    """Return the BLAKE2 hash of plain values, arrays and objects of this package, by their content.

    Raises
    ------
    TypeError
        Objects of other packages.
    """
    arrays = []
    digest = hashlib.blake2b(json.dumps(_plain(content, arrays)).encode(), digest_size=20)
    for a in arrays:
        digest.update(f"{a.dtype.str}{a.shape}".encode())
        digest.update(np.ascontiguousarray(a).view(np.uint8).data if a.size and a.ndim else a.tobytes())
    return digest.hexdigest()


def _plain(value, arrays):
    """Return a JSON tree; arrays go to the list."""
    if value is None or type(value) in (bool, int, float, str):
        return value
    if isinstance(value, np.ndarray | np.generic):
        array = np.asarray(value)
        if array.dtype.hasobject:
            raise TypeError("an array of objects has no plain form")
        arrays.append(array)
        return {"array" if isinstance(value, np.ndarray) else "scalar": len(arrays) - 1}
    if type(value) in (list, tuple):
        return {type(value).__name__: [_plain(v, arrays) for v in value]}
    if type(value) is dict or isinstance(value, dict):
        return {"dict": [[_plain(k, arrays), _plain(v, arrays)] for k, v in value.items()]}
    kind = type(value)
    if kind.__module__.split(".")[0] != PACKAGE:
        raise TypeError(f"{kind.__module__}.{kind.__qualname__} has no plain form")
    state = value.__getstate__()
    if isinstance(state, tuple):  # of a class with slots
        state = {k: v for part in state if part for k, v in part.items()}
    return {"object": [kind.__module__, kind.__qualname__, _plain(state or {}, arrays)]}


def _restored(tree, file):
    """Undo `_plain`. Objects get their attributes; nothing is imported or called for them."""
    if not isinstance(tree, dict):
        return tree
    ((kind, content),) = tree.items()
    if kind == "array":
        return file[f"a{content}"]
    if kind == "scalar":
        return file[f"a{content}"][()]
    if kind in ("list", "tuple"):
        return {"list": list, "tuple": tuple}[kind](_restored(v, file) for v in content)
    if kind == "dict":
        return {_restored(k, file): _restored(v, file) for k, v in content}
    if kind != "object":
        raise ValueError(f"unknown entry {kind}")
    module, name, state = content
    cls = getattr(sys.modules[module], name)
    if not (isinstance(cls, type) and cls.__module__ == module and module.split(".")[0] == PACKAGE):
        raise ValueError(f"{module}.{name} is no class of {PACKAGE}")
    made = object.__new__(cls)
    for attribute, value in _restored(state, file).items():
        object.__setattr__(made, attribute, value)
    return made
