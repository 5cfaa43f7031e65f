"""Ranges of numeric parameters and the choices of others, checked before any work, of functions and Steps."""

import functools
import inspect
import re
from numbers import Real

import numpy as np
from astropy.units import Quantity

from jwst_hpastrom.errors import ParameterError

__all__ = [
    "ANY", "LEAST", "RANGES", "check_kind", "check_pairs", "check_parameter", "choices_of", "documented",
    "in_range", "memory_bytes",
]  # fmt: skip

#: bytes: one process alone takes most of the least
MEMORY = (1e9, 1e15)
#: least value of what must be more than 0
LEAST = 1e-9
#: largest value of what has no natural end
ANY = 1e12
#: where docstrings say that no paper gives a value: of no use to who types it
CHOICE = " (this project's choice)"

#: smallest and largest value; what is not listed must only be finite
RANGES = {
    # counts
    "workers": (1, 4096), "n_iterations": (1, 10_000), "grid": (1, 1000), "n_global": (1, 10_000),
    "n_fitted": (0, 10_000), "max_stars": (20, ANY), "min_exposures": (1, 1e6), "mesh": (8, 4096),
    "oversampling": (1, 100), "fit_box": (3, 21), "passes": (0, 100), "min_zone_stars": (1, ANY),
    "max_zones": (1, 100), "seed": (0, 2**63), "degree": (1, 15), "polynomial_cells": (1, 2048),
    "table_cells": (0, 2048), "n_nearest": (1, ANY), "amplifiers": (1, 64), "min_stars": (1, ANY),
    "n_artificial": (0, ANY), "tile_size": (32, 65536), "n_local": (1, ANY),
    "zero_point_degree": (0, 10), "min_reference": (1, ANY), "regularised_degree": (1, 15),
    "n_bootstrap": (0, ANY), "min_epochs": (1, 1e6),
    # limits and radii
    "min_sn": (0, ANY), "isolation": (0, 100), "min_cell_stars": (0, ANY), "clip": (LEAST, ANY),
    "band_limit": (0, 1000), "threshold": (LEAST, ANY), "sky_inner": (0, 1000),
    "sky_outer": (LEAST, 1000), "min_separation": (0, 100), "isolation_radius": (0, 1000),
    "perturb_sn": (0, ANY), "qfit_max": (LEAST, ANY), "error_max": (LEAST, ANY),
    "max_shift": (LEAST, 1e4), "match_radius": (LEAST, 1e4), "held_out": (0, 0.9),
    "motion_error": (0, ANY), "sigma": (LEAST, ANY), "max_rotation": (0, 360),
    "scale_mas": (LEAST, 1e6), "pointing_error": (0, 1e6),
    "model_error": (0, 1), "exposure_sigma": (LEAST, ANY),
    "pixel_scale_mas": (LEAST, 1e6), "ra_ref": (-360, 360), "dec_ref": (-90, 90),
    "reference_sigma": (LEAST, ANY), "max_ruwe": (LEAST, ANY), "reference_radius_mas": (LEAST, ANY),
    "outlier_sigma": (0, ANY), "probability": (0, 1), "group_probability": (0, 1),
    "fast_motion": (0, ANY), "fast_false_share": (0, 1),
    "max_motion": (LEAST, ANY), "max_mag_difference": (LEAST, ANY),
    # of functions only
    "radius_mas": (LEAST, ANY), "confidence": (LEAST, 1 - LEAST), "n_stars": (1, ANY), "fwhm": (0.1, 100),
}  # fmt: skip


#: parameters that must be odd, and pairs of which the first must be less
ODD = ("fit_box",)
ASCENDING = (
    ("sky annulus", "sky_inner", "sky_outer"), ("magnitudes", "mag_min", "mag_max"),
    ("colors", "color_min", "color_max"),
)  # fmt: skip


def memory_bytes(text):
    """Bytes of a size such as ``4GB``, ``512 MB`` or ``3.5GiB``.

    Parameters
    ----------
    text : str
        A number and a unit of bytes; upper and lower case are the same.

    Returns
    -------
    float

    Raises
    ------
    ParameterError
        No size, or less than 1 GB.

    Examples
    --------
    >>> from jwst_hpastrom.ranges import memory_bytes
    >>> memory_bytes("4GB"), memory_bytes("2 gib")
    (4000000000.0, 2147483648.0)
    """
    needed = "a size of 1GB or more, such as 4GB"
    try:
        size = Quantity(str(text).upper().replace("IB", "iB")).to_value("byte")
    except (TypeError, ValueError) as err:  # of the unit, too
        raise ParameterError(f"memory={text}", needed) from err
    if not MEMORY[0] <= size <= MEMORY[1]:
        raise ParameterError(f"memory={text}", needed)
    return float(size)


def check_pairs(values, do=""):
    """Raise where of two limits the lower is not below the upper.

    Parameters
    ----------
    values : dict
        Parameters by name; pairs of which one is missing or no number pass.

    do : str
        For the error.

    Raises
    ------
    ParameterError
        Names both.

    Examples
    --------
    >>> from jwst_hpastrom.ranges import check_pairs
    >>> check_pairs({"mag_min": 18.0, "mag_max": 16.0})
    Traceback (most recent call last):
        ...
    ParameterError: input: found magnitudes mag_min=18.0, mag_max=16.0, needed mag_min below mag_max
    """
    for what, low, high in ASCENDING:
        a, b = values.get(low), values.get(high)
        if isinstance(a, Real) and isinstance(b, Real) and not a < b:
            raise ParameterError(f"{what} {low}={a}, {high}={b}", f"{low} below {high}", do)


def check_parameter(name, value, choices=None, do=""):
    """Raise where a parameter's value is out of its range, not finite, or none of its choices.

    Parameters
    ----------
    name : str

    value : object
        Of a list each is checked; None, arrays and what is no number pass, where numbers are due.

    choices : sequence of str, optional
        Allowed values, as text.

    do : str
        For the error.

    Raises
    ------
    ParameterError
        Names the parameter, its value, and its range or choices.

    Examples
    --------
    >>> from jwst_hpastrom.ranges import check_parameter
    >>> check_parameter("clip", 3.0)
    >>> check_parameter("mode", "isolate", ["isolated", "catalog"])
    Traceback (most recent call last):
        ...
    ParameterError: input: found mode='isolate', needed isolated or catalog
    """
    for one in value if isinstance(value, list | tuple) else (value,):
        if choices and isinstance(one, str | Real) and not isinstance(one, bool) and str(one) not in choices:
            raise ParameterError(f"{name}={one!r}", f"{', '.join(choices[:-1])} or {choices[-1]}", do)
        number = isinstance(one, Real) and not isinstance(one, bool)
        if choices or not (number or (isinstance(one, str) and name in RANGES)):
            continue
        low, high = RANGES.get(name, (-np.inf, np.inf))
        if not number or not (np.isfinite(float(one)) and low <= one <= high):
            needed = "a finite number" if np.isinf(low) else f"{'more than 0' if low == LEAST else low}"
            needed += "" if high in (ANY, np.inf) else f" to {high}"
            raise ParameterError(f"{name}={one}", needed, do)
        if name in ODD and one % 2 != 1:
            raise ParameterError(f"{name}={one}", f"an odd number from {low} to {high}", do)


def check_kind(name, value, kind, do=""):
    """Raise where a parameter that is one number is something else.

    Parameters
    ----------
    name : str

    value : object
        None passes.

    kind : str
        The documented type. Only ``int`` and ``float``, optional or not, are checked.

    do : str
        For the error.

    Raises
    ------
    ParameterError
        A text, a quantity, several values, a fraction where a whole number is due.

    Examples
    --------
    >>> from jwst_hpastrom.ranges import check_kind
    >>> check_kind("fit_box", 5.0, "int")
    >>> check_kind("fit_box", (5, 5), "int")
    Traceback (most recent call last):
        ...
    ParameterError: input: found fit_box=(5, 5), needed one whole number
    """
    kind = kind.split(",")[0].strip()
    if kind not in ("int", "float") or value is None:
        return
    number = isinstance(value, Real) and not isinstance(value, bool | np.bool)
    if number and (kind == "float" or value != value or np.isinf(value) or value == int(value)):
        return
    shown = f"{value}" if isinstance(value, Quantity) and value.isscalar else f"{value!r}"
    shown = f"an array of shape {value.shape}" if getattr(value, "shape", ()) else shown
    needed = "one whole number" if kind == "int" else "one number"
    needed += ", in the unit that the help says" if isinstance(value, Quantity) else ""
    raise ParameterError(f"{name}={shown}", needed, do)


def documented(function):
    """Return {parameter: (type, help)} from a numpydoc docstring.

    Examples
    --------
    >>> from jwst_hpastrom.geometry import match_nearest
    >>> from jwst_hpastrom.ranges import documented
    >>> documented(match_nearest)["radius"]
    ('float', 'Largest distance of a pair')
    """
    lines = (inspect.getdoc(function) or "").splitlines()
    out, k = {}, 0
    while k < len(lines) and not lines[k].startswith("Parameters"):
        k += 1
    body = lines[k + 2 :]
    for n, line in enumerate(body):
        if re.match(r"^(-{3,}|Returns|Yields)", line):
            break
        head = re.match(r"^(\w[\w, *]*?)\s*:\s*(.+)$", line)
        if head:
            text = " ".join(t.strip() for t in _indented(body[n + 1 :]))
            for name in head.group(1).split(","):
                first = re.split(r"(?<=[.;])\s", text)[0]
                # of a choice all is said: one sentence seldom explains every value
                help_text = (text if head.group(2).startswith("{") else first).rstrip(".; ")
                out[name.strip(" *")] = (head.group(2), help_text.replace(CHOICE, ""))
    return out


def _indented(lines):
    for line in lines:
        if line and not line.startswith(" "):
            return
        yield line


def choices_of(kind):
    """Return the allowed values of a documented type such as ``{'global', 'local'}``, as text, or None.

    Examples
    --------
    >>> from jwst_hpastrom.ranges import choices_of
    >>> choices_of("{'global', 'local'}"), choices_of("float")
    (('global', 'local'), None)
    """
    found = re.match(r"^\{(.+?)\}", kind)
    return tuple(c.strip().strip("\"'") for c in found[1].split(",")) if found else None


def in_range(function):
    """Decorate a function: its keyword-only parameters are checked on entry, by `check_parameter`.

    Ranges are those of `RANGES`, choices those of the docstring (``{'global', 'local'}``).

    Examples
    --------
    >>> from jwst_hpastrom.ranges import in_range
    >>> @in_range
    ... def solve(x, *, clip=3.0):
    ...     return x
    >>> solve(1, clip=-1)
    Traceback (most recent call last):
        ...
    ParameterError: input: found clip=-1, needed more than 0; see help(solve)
    """

    @functools.cache
    def kinds():
        return {name: (kind, choices_of(kind)) for name, (kind, _) in documented(function).items()}

    defaults = {p.name: p.default for p in inspect.signature(function).parameters.values()}

    @functools.wraps(function)
    def checked(*args, **kwargs):
        for name, value in kwargs.items():
            do, (kind, choices) = f"see help({function.__name__})", kinds().get(name, ("", None))
            check_kind(name, value, kind, do)
            check_parameter(name, value, choices, do)
        check_pairs(defaults | kwargs, f"see help({function.__name__})")
        return function(*args, **kwargs)

    return checked
