"""Where numba keeps compiled functions, for installations that nobody may write to."""

import os
import sys
import tempfile
from pathlib import Path

__all__ = ["find_cache"]


def find_cache(package, environment=os.environ):
    """Name a folder for numba's cache where neither the package nor the user's own cache can be written.

    Without one numba raises an error on the import of any cached function. Nothing is done where it finds a
    place by itself.

    Parameters
    ----------
    package : path-like
        Folder of the package.

    environment : dict
        ``NUMBA_CACHE_DIR`` is set in it.
    """
    if environment.get("NUMBA_CACHE_DIR") or os.access(package, os.W_OK):
        return
    home = Path(environment.get("XDG_CACHE_HOME") or Path(environment.get("HOME") or "/") / ".cache")
    there = next(p for p in (home, *home.parents) if p.exists() or p == p.parent)
    if os.access(there, os.W_OK):
        return
    mine = Path(tempfile.gettempdir()) / f"numba-cache-{os.getuid()}"
    try:
        mine.mkdir(mode=0o700, exist_ok=True)
        if mine.stat().st_uid != os.getuid() or mine.stat().st_mode & 0o022 or mine.is_symlink():
            raise PermissionError  # compiled code that others could have written
    except OSError:
        mine = Path(tempfile.mkdtemp(prefix="numba-cache-"))
    environment["NUMBA_CACHE_DIR"] = str(mine)
    if "numba" in sys.modules:  # it has read the environment already
        sys.modules["numba"].config.CACHE_DIR = str(mine)
