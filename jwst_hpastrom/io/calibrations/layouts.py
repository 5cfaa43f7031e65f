"""FITS files of a distortion beside its ASDF reference, as many as are wanted."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from jwst_hpastrom.errors import ParameterError
from jwst_hpastrom.io.calibrations.stdgdc import forward_layers, write_stdgdc

__all__ = ["LAYOUTS", "wanted_formats", "write_layouts"]

#: layouts by their names' ends
LAYOUTS = {"stdgdc": 1, "gdc": 2}


def wanted_formats(formats: Iterable[Any] | None) -> tuple[str, ...]:
    """Return which of asdf, stdgdc and gdc to write; asdf, which the Steps read, always is.

    The others are large, 120 and 50 MB of a full detector, and take seconds.

    Parameters
    ----------
    formats : sequence of str or None
        Asdf alone where it names none.

    Raises
    ------
    ParameterError
        Names another one.
    """
    given = tuple(str(name).strip().lower() for name in formats or () if name)
    known = ("asdf", *LAYOUTS)
    if wrong := [name for name in given if name not in known and name != "none"]:
        raise ParameterError(f"formats={','.join(wrong)}", f"some of {','.join(known)}", "correct it")
    return given if set(given) & set(known) else ("asdf",)


def write_layouts(paths: Mapping[str, Path], correction: Any, meta: Mapping, wanted: Iterable[str]) -> None:
    """Write the FITS files that are wanted; the others, of an earlier run, go.

    Parameters
    ----------
    paths : dict of str to `~pathlib.Path`
        Of each of `LAYOUTS`.

    correction : `~jwst_hpastrom.distortion.DistortionCorrection`

    meta : dict
        Instrument, detector and filter.

    wanted : sequence of str
        See `wanted_formats`.
    """
    wanted = set(wanted)
    layers = forward_layers(correction) if wanted & set(LAYOUTS) else None
    for suffix, layout in LAYOUTS.items():
        if suffix in wanted:
            write_stdgdc(paths[suffix], correction, layout=layout, meta=meta, layers=layers)
        else:
            paths[suffix].unlink(missing_ok=True)
