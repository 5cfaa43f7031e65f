"""The state of a long computation, kept between its steps so that an interrupted one can go on."""

import logging
import pickle
from pathlib import Path

from jwst_hpastrom.io.writing import atomic_path

__all__ = ["Checkpoint"]

log = logging.getLogger("stpipe.hpastrom.io")


class Checkpoint:
    """A file that holds the last state saved; private to one version of the package.

    It is a pickle: read only what you have written yourself.

    Parameters
    ----------
    path : path-like

    key : object
        What the state belongs to (inputs, parameters, version); a state with another key is not used.

    resume : bool
        Whether to use a state that is there.
    """

    def __init__(self, path, key, *, resume=True):
        self.path, self.key, self.resume = Path(path), key, resume

    def save(self, state):
        """Replace the file by the state; it is there whole or not at all."""
        with atomic_path(self.path) as temporary:
            temporary.write_bytes(pickle.dumps((self.key, state), protocol=pickle.HIGHEST_PROTOCOL))

    def load(self):
        """Return the state saved last, or None."""
        if not (self.resume and self.path.is_file()):
            return None
        try:
            key, state = pickle.loads(self.path.read_bytes())
        except Exception as err:  # of another version, or damaged
            log.warning("%s cannot be used (%s): starting anew", self.path, type(err).__name__)
            return None
        if key != self.key:
            log.warning("%s is of other inputs or parameters: starting anew", self.path)
            return None
        return state

    def remove(self):
        """Delete the file."""
        self.path.unlink(missing_ok=True)
