"""One run at a time in a folder of products, and nothing left there of runs that died."""

import errno
import fcntl
import json
import logging
import os
import re
import shlex
import shutil
import socket
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path

from jwst_hpastrom.errors import BadFileError, FolderInUseError

__all__ = ["LOCK", "one_run", "remove_leftovers"]

log = logging.getLogger("stpipe.hpastrom.io")

LOCK = ".hpastrom.lock"
#: names that `jwst_hpastrom.io.files.writing.atomic_path` and `jwst_hpastrom.storage.Store` give, with the
#: process that wrote
LEFTOVER = re.compile(r"\..+-hp(\d+)-[a-z0-9_]{8}(\.\w+)?")
UNSUPPORTED = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL)

_held: dict[tuple[int, int], int] = {}  # (device, inode) of a folder: the thread that has it


@contextmanager
def one_run(folder):
    """Hold a folder for one run; Steps inside a Step share it.

    The lock is the kernel's, on a file that names the run: it ends with the process, however that dies.

    Parameters
    ----------
    folder : path-like
        It is there.

    Raises
    ------
    FolderInUseError
        Another run works there; it is named.

    BadFileError
        The folder cannot be written, or was moved or removed meanwhile: products are in two places then.
    """
    key = _identity(folder)  # by whatever path
    if _held.get(key) == threading.get_ident():
        yield
        return
    handle = _locked(Path(folder) / LOCK)
    _held[key] = threading.get_ident()
    try:
        remove_leftovers(folder)
        yield
        if _identity(folder) != key:
            raise BadFileError(
                "another folder than when the run began, or none", "one that stays while a run writes to it",
                "leave it alone, and run again", folder,
            )  # fmt: skip
    finally:
        del _held[key]
        if _identity(folder) == key:
            remove_leftovers(folder)  # of workers that were killed
            (Path(folder) / LOCK).unlink(missing_ok=True)  # before it is let go: a later run makes its own
        os.close(handle)


def _identity(folder):
    """Device and inode of a folder; None where there is none."""
    try:
        stat = os.stat(folder)
    except FileNotFoundError:
        return None
    return stat.st_dev, stat.st_ino


def _locked(path):
    """Open and lock the file, and write into it who has it."""
    while True:
        try:
            handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        except OSError as err:
            raise BadFileError(
                f"a folder that cannot be written ({err.strerror})", "one that can", "choose another",
                path.parent,
            ) from err  # fmt: skip
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as err:
            if err.errno not in UNSUPPORTED:
                os.close(handle)
                raise FolderInUseError(
                    f"another run in this folder: {_who(path)}", "one run at a time",
                    "wait for it, or give another output_dir", path.parent,
                ) from None  # fmt: skip
            log.warning("%s: this file system has no locks; see that only one run works there", path.parent)
        try:  # the other run may have ended, and taken its file with it, between the two calls
            if os.path.samestat(os.fstat(handle), os.stat(path)):
                break
        except FileNotFoundError:
            pass
        os.close(handle)
    me = {"host": socket.gethostname(), "pid": os.getpid(), "time": time.strftime("%Y-%m-%d %H:%M:%S %Z")}
    try:
        os.truncate(handle, 0)
        os.write(handle, json.dumps(me | {"command": shlex.join(sys.argv)}).encode())
    except OSError as err:
        os.close(handle)
        raise BadFileError(
            f"a product that cannot be written ({err.strerror})", "room on the disk", "", path
        ) from err
    return handle


def _who(path):
    try:
        run = json.loads(path.read_text(encoding="utf-8"))
        return f"process {run['pid']} on {run['host']}, since {run['time']}: {run['command']}"
    except (OSError, ValueError, KeyError, TypeError):
        return "one that has just begun"


def remove_leftovers(folder):
    """Delete the temporary files and folders of processes that are no more; the folder is locked.

    Parameters
    ----------
    folder : path-like
    """
    for path in Path(folder).iterdir():
        name = LEFTOVER.fullmatch(path.name)
        if name and not _runs(int(name[1])):
            log.info("%s: of a run that died, removed", path)
            if path.is_dir() and not path.is_symlink():  # of a store of large arrays
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)


def _runs(pid):
    """Whether another process of this number runs here (in a container numbers come again)."""
    if pid == os.getpid():
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        pass
    return True
