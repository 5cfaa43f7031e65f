"""What is known of files that did not change since: the one memory of a process."""

from pathlib import Path

__all__ = ["file_state", "once"]

MOST = 4096  # answers that are remembered

_known: dict = {}


def file_state(path):
    """Return what tells a file from a changed one: who sets its time of change back cannot set ``ctime``.

    Parameters
    ----------
    path : path-like

    Returns
    -------
    tuple of int, or None
        None where there is no file.
    """
    path = Path(path)
    if not path.is_file():
        return None
    stat = path.stat()
    return stat.st_mtime_ns, stat.st_ctime_ns, stat.st_size, stat.st_ino


def once(path, state, question, answer):
    """Return the answer to a question about a file; as long as the file stays as it is, it is made once.

    Parameters
    ----------
    path : path-like

    state : tuple or None
        From `file_state`, before anything was read; None remembers nothing.

    question : hashable

    answer : callable
        Takes nothing. Who changes what it returns changes what is remembered.

    Returns
    -------
    object
    """
    if state is None:
        return answer()
    key = str(Path(path).absolute()), question
    before, found = _known.get(key, (None, None))
    if before != state:
        found = answer()
        _known.pop(key, None)
        while len(_known) >= MOST:
            _known.pop(next(iter(_known)))
        _known[key] = state, found
    return found
