"""Kinematic models: every file here with a ``KERNEL`` is one, and is found by being here.

What the names mean is under `KERNELS`; `MODEL_CODES`, `MODEL_SETS`, the tables' descriptions, the tests and
the benchmark follow from it.
"""

from importlib import import_module
from inspect import getmodule
from pkgutil import iter_modules

import numpy as np

from jwst_hpastrom.motion.kinematic_models.kernel import FAST, Kernel, dispatch, time_scale

__all__ = [
    "FAST",
    "KERNELS",
    "MODEL_CODES",
    "MODEL_SETS",
    "N_CODES",
    "Kernel",
    "dispatch",
    "fill",
    "scale",
    "table_of",
    "time_scale",
]

TABLE = """

Models
------
"""


def _found():
    modules = (import_module(f"{__name__}.{m.name}") for m in iter_modules(__path__))
    kernels = sorted((m.KERNEL for m in modules if hasattr(m, "KERNEL")), key=lambda k: k.code)
    twice = {k.code for k in kernels if sum(k.code == other.code for other in kernels) > 1}
    if twice:
        raise ImportError(f"two kinematic models of code {twice}")
    return {k.name: k for k in kernels}


#: kinematic models by name, in the order of their codes
KERNELS = _found()

#: codes of H25's Table 3, and 6 for the group offset, which is this project's
MODEL_CODES = {k.name: k.code for k in KERNELS.values()}

#: what the names of ``models`` stand for
MODEL_SETS = {
    name: tuple(k.name for k in KERNELS.values() if name in k.sets) for name in ("linear", "h25", "auto")
}

#: length of a list with a place for every code
N_CODES = max(MODEL_CODES.values()) + 1


def table_of(value):
    """Return what ``value`` gives for each kernel, by code: an array for Numba code.

    Parameters
    ----------
    value : callable
        Of a `Kernel`, gives an integer.

    Examples
    --------
    >>> from jwst_hpastrom.motion.kinematic_models import table_of
    >>> table_of(lambda kernel: len(kernel.parameters))
    array([0, 2, 2, 1, 0, 2, 1])
    """
    out = np.zeros(N_CODES, np.int64)
    for kernel in KERNELS.values():
        out[kernel.code] = value(kernel)
    return out


#: fill(code, t, group, aux, theta, k, dk, gradient): the covariance of the model of that code
fill = dispatch("fill", "t, group, aux, theta, k, dk, gradient", {k.code: k.fill for k in KERNELS.values()})

#: scale(code, gap, base, sigma, speed, n): bounds of the second hyper-parameter
scale = dispatch(
    "scale",
    "gap, base, sigma, speed, n",
    {k.code: k.scale for k in KERNELS.values()},
    "np.nan, np.nan",
)

__doc__ = f"{__doc__ or ''}{TABLE}" + "\n\n".join(
    f"``{k.name}`` (code {k.code}; {', '.join(k.parameters) or 'no parameters'})\n    "
    + (getmodule(getattr(k.fill, "py_func", k.fill)).__doc__ or "").strip()
    for k in KERNELS.values()
)
