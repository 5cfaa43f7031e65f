"""What a kinematic model is made of, and how Numba code finds it by its code."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numba import njit

from jwst_hpastrom.numerics.robust_kernels import FAST

__all__ = ["FAST", "Kernel", "dispatch", "time_scale"]


@njit(cache=True, nogil=True, fastmath=FAST)
def time_scale(gap, base, sigma, speed, n):
    """Bounds of ln τ: half the shortest gap between epochs, and the baseline."""
    return np.log(0.5 * gap), np.log(base)


@dataclass(frozen=True)
class Kernel:
    """A Gaussian process about the straight line: one kinematic model.

    Parameters
    ----------
    name : str
        As given in ``models``.

    code : int
        In tables; never to be used again for another model.

    title : str
        A few words for tables and documentation.

    parameters : tuple of str
        Names of at most two hyper-parameters, the amplitude (mas) first; their logarithms are ``theta``.

    fill : Numba function
        ``fill(t, group, aux, theta, k, dk, gradient)`` fills the covariance ``k`` and, with ``gradient``,
        ``dk[1]``, its derivative by the second parameter; ``k`` is proportional to the squared amplitude.
        ``aux`` is the star's motion and its covariance, (vx, vy, Cxx, Cxy, Cyy).

    scale : Numba function
        ``scale(gap, base, sigma, speed, n)``, the bounds of the second parameter, from the shortest gap
        between epochs, the baseline, the typical error, the speed and the number of epochs. The prior is
        normal about their middle with half their distance as standard deviation.

    coupled : bool
        Couples the axes: the matrices are those of both axes, x first, with one ``theta``.

    grouped : bool
        Lives on groups of epochs: tried where there are several, chosen by ``group_probability``.

    sets : tuple of str
        Names of ``models`` that contain it.
    """

    name: str
    code: int
    title: str
    parameters: tuple
    fill: Callable
    scale: Callable = time_scale
    coupled: bool = False
    grouped: bool = False
    sets: tuple = ("h25", "auto")


def dispatch(name, arguments, functions, otherwise="None"):
    """Compile ``name(code, <arguments>)``, which calls the function of that code.

    Parameters
    ----------
    name : str

    arguments : str
        Their names, separated by commas.

    functions : dict of int to Numba function

    otherwise : str
        What is returned for an unknown code; has the type that the functions return.

    Notes
    -----
    A call through a table of functions cannot be cached by Numba, so the branches are written out here. The
    text is compiled under this file's name, which is where Numba looks for the cache.
    """
    branches = "".join(f"    if code == {c}:\n        return f{c}({arguments})\n" for c in functions)
    source = f"def {name}(code, {arguments}):\n{branches}    return {otherwise}\n"
    space = {f"f{c}": f for c, f in functions.items()} | {"np": np, "__name__": __name__}
    exec(compile(source, __file__, "exec"), space)
    return njit(cache=True, nogil=True, fastmath=FAST)(space[name])
