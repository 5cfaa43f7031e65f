"""How hard LLVM works at this package's kernels."""

import os

import numba
from numba.core import event

__all__ = ["LightOptimization"]

#: of LLVM's levels: beyond it our kernels run no faster, and take a quarter longer to compile
LEVEL = 2
PACKAGE = __name__.partition(".")[0] + "."


class LightOptimization(event.Listener):
    """While numba compiles a function of this package, and no other, its level of optimization is `LEVEL`.

    Numba knows one level for all functions of a process. Whoever sets ``NUMBA_OPT`` keeps what they set.
    Compiling holds numba's lock, so that no other thread sees the level. The numbers do not depend on it.
    """

    def __init__(self):
        self.before = []

    def on_start(self, event):
        """Lower the level for our functions."""
        level = numba.config.OPT
        self.before.append(level)
        if str(event.data["dispatcher"].py_func.__module__).startswith(PACKAGE):  # None in a script of text
            numba.config.OPT = type(level)(min(level, LEVEL))

    def on_end(self, event):
        """Put it back."""
        numba.config.OPT = self.before.pop()


if "NUMBA_OPT" not in os.environ:
    event.register("numba:compile", LightOptimization())
