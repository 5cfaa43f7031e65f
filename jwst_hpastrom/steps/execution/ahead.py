"""A process that compiles ahead: at the first use of an installation, what the pipeline needs last.

Numba compiles one function at a time in a process, under a lock. Where nothing is compiled yet, a second
process goes through the list of the pipeline's kernels from its end, while this one comes from its beginning;
each finds in the cache what the other has done.
"""

import importlib
import logging
import os
import subprocess
import sys
import threading
from contextlib import contextmanager, suppress
from importlib.resources import files
from pathlib import Path

from numba import config, types
from numba.core import event

import jwst_hpastrom

__all__ = ["compile_listed", "compiling_ahead", "kernel_of", "line_of", "listed"]

log = logging.getLogger("stpipe.hpastrom.compile")

PACKAGE = jwst_hpastrom.__name__
FOLDER = Path(jwst_hpastrom.__file__).parents[1]  # that the package is imported from
LIST = "kernels.txt"  # written by `benchmarks/road.py --list`
#: what the process runs; not a worker of `multiprocessing`, which would run a user's unguarded script again
PROGRAM = f"import sys; sys.path[:0] = sys.argv[1:]; from {__name__} import compile_listed; compile_listed()"


def listed():
    """Return the lines of the pipeline's kernels, in the order in which it first calls them."""
    return (files(__package__) / LIST).read_text(encoding="utf-8").splitlines()


def line_of(kernel, args):
    """Write a kernel and the types of its arguments as a line that `kernel_of` reads.

    Parameters
    ----------
    kernel : callable
        Of this package.

    args : sequence of `numba.types.Type`

    Returns
    -------
    str

    Examples
    --------
    >>> from numba import types
    >>> from jwst_hpastrom.numerics.robust_kernels import median
    >>> from jwst_hpastrom.steps.execution.ahead import line_of
    >>> line_of(median, (types.float64[::1], types.int64))
    'numerics.robust_kernels:median float64[::1], int64'
    """
    return f"{_name(kernel)} {_text(args)}"


def _name(item):
    return f"{item.__module__.removeprefix(PACKAGE + '.')}:{item.__qualname__}"


def _text(kinds):
    return ", ".join(map(_one, kinds))


def _one(kind):
    if isinstance(kind, types.BaseNamedTuple):
        return f"named({_name(kind.instance_class)!r}, {_text(kind)})"
    if isinstance(kind, types.BaseTuple):
        return f"tuples([{_text(kind)}])"
    if isinstance(kind, types.Array) and kind == types.Array(kind.dtype, kind.ndim, "C"):
        return f"{kind.dtype}[{':, ' * (kind.ndim - 1)}::1]"
    return repr(kind)


def _found(name):
    module, _, item = name.partition(":")
    return getattr(importlib.import_module(f"{PACKAGE}.{module}"), item)


def _named(name, *kinds):
    return types.BaseTuple.from_types(kinds, _found(name))


def kernel_of(line):
    """Return the kernel of a line, and the types of its arguments."""
    name, _, kinds = line.partition(" ")
    space = vars(types) | {"bool": types.boolean, "named": _named, "tuples": types.BaseTuple.from_types}
    return _found(name), eval(f"({kinds},)", space)


def compile_listed():
    """Compile the kernels whose lines come in, if the cache lacks them, last first; end with the input."""
    lines = list(iter(lambda: sys.stdin.readline().strip(), ""))
    threading.Thread(target=_end_with_input, daemon=True).start()
    for line in reversed(lines):
        kernel, args = kernel_of(line)
        kernel.compile(args)


def _end_with_input():
    sys.stdin.read()  # nothing comes now: it ends with the process that asked, however that ends
    os._exit(0)


def _compiled(line):
    """Whether the cache holds a kernel that is no older than its source."""
    kernel = _found(line.partition(" ")[0])
    source = Path(kernel.py_func.__code__.co_filename)
    found = Path(kernel.stats.cache_path).glob(f"{source.stem}.{kernel.__name__}-*.nbi")
    return any(path.stat().st_mtime >= source.stat().st_mtime for path in found)


class Unlisted(event.Listener):
    """Lines of the kernels that this process compiles though a list lacks them: it is older than they are."""

    def __init__(self, lines):
        self.lines, self.depth, self.found = set(lines), 0, []

    def on_start(self, event):
        """What is compiled within is called by a kernel, and not by us."""
        self.depth += 1

    def on_end(self, event):
        """Write down a kernel of ours."""
        self.depth -= 1
        kernel = event.data["dispatcher"]
        if self.depth == 0 and str(kernel.py_func.__module__).startswith(f"{PACKAGE}."):
            line = line_of(kernel, event.data["args"])
            self.found += [line] * (line not in self.lines)


@contextmanager
def compiling_ahead(workers=1):
    """While the block runs, let a process compile ahead, if there is something to compile and a core for it.

    What is compiled though the list lacks it is in the log's debug messages.

    Parameters
    ----------
    workers : int
        Processes that work anyway.
    """
    affinity = getattr(os, "sched_getaffinity", None)
    cores = len(affinity(0)) if affinity else os.cpu_count() or 1
    lines = listed()
    with (
        event.install_listener("numba:compile", Unlisted(lines)) as unlisted,
        _process(lines, cores - workers),
    ):
        yield
    if unlisted.found:
        log.debug(
            "%d kernels compiled that %s lacks: %s", len(unlisted.found), LIST, "; ".join(unlisted.found)
        )


@contextmanager
def _process(lines, idle):
    """Let a process compile these lines, where there is something to compile and an idle core."""
    if idle < 1 or config.DISABLE_JIT or all(map(_compiled, lines)):
        yield
        return
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(FOLDER)],
        stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, encoding="utf-8",
    )  # fmt: skip
    try:
        with suppress(BrokenPipeError):  # it could not start, or crashed: the run does without
            process.stdin.write("\n".join([*lines, "", ""]))
            process.stdin.flush()
        yield
    finally:
        process.kill()  # not by the end of its input, which a worker of ours may hold open
        process.wait()
        with suppress(BrokenPipeError):
            process.stdin.close()
