"""Facts of an imager by the metadata of an exposure or a star list."""

import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from jwst_hpastrom.errors import ParameterError
from jwst_hpastrom.instrument.imagers import ALIASES, FRAME, INSTRUMENTS, Detector, Filter

__all__ = [
    "amplifiers",
    "detector_name",
    "detector_of",
    "filter_of",
    "instrument_of",
    "keyword",
    "nominal_scale",
    "outputs",
    "pixel_mas",
    "shape_of",
    "stripes",
    "wheels",
]


#: outputs of each of the detectors, read in full (MIRI's fifth, the reference output, has no pixels)
OUTPUTS = 4


def keyword(value):
    """A header's text in capitals; N/A and nothing are the same."""
    text = str(value or "").strip().upper()
    return "" if text in ("N/A", "NONE") else text


def detector_of(meta: Mapping[str, Any]) -> Detector | None:
    """Return the `Detector` of an exposure's or star list's metadata, or None where there is no row.

    Examples
    --------
    >>> from jwst_hpastrom.instrument import detector_of
    >>> detector_of({"instrument": "NIRCAM", "detector": "NRCB5"}).scale
    0.063
    """
    instrument, name = keyword(meta.get("instrument")), detector_name(meta.get("detector"))
    rows = {n: d for key, i in INSTRUMENTS.items() if instrument in ("", key) for n, d in i.detectors.items()}
    if not name and instrument and len(rows) == 1:
        return next(iter(rows.values()))
    return rows.get(name)


def detector_name(value: Any) -> str:
    """Name of a detector, of the names that it goes by the one that headers have.

    Examples
    --------
    >>> from jwst_hpastrom.instrument import detector_name
    >>> detector_name("nrca5"), detector_name("NRCALONG"), detector_name("WFC3IR")
    ('NRCALONG', 'NRCALONG', 'WFC3IR')
    """
    name = keyword(value)
    return ALIASES.get(name, name)


def instrument_of(meta: Mapping[str, Any]) -> str:
    """INSTRUME of metadata, or that of their detector; NIRISS where they say neither.

    Examples
    --------
    >>> from jwst_hpastrom.instrument import instrument_of
    >>> instrument_of({"detector": "NRCB1"}), instrument_of({})
    ('NIRCAM', 'NIRISS')
    """
    name = detector_name(meta.get("detector"))
    owner = next((key for key, i in INSTRUMENTS.items() if name in i.detectors), "NIRISS")
    return keyword(meta.get("instrument")) or owner


def shape_of(meta: Mapping[str, Any]) -> tuple[int, int]:
    """Detector (ny, nx) of an exposure's metadata; that of most where there is no row.

    Examples
    --------
    >>> from jwst_hpastrom.instrument import shape_of
    >>> shape_of({"instrument": "NIRISS"}), shape_of({"instrument": "MIRI"})
    ((2048, 2048), (1024, 1032))
    """
    row = detector_of(meta)
    return row.shape if row else FRAME


def nominal_scale(meta: Mapping[str, Any]) -> float | None:
    """Nominal arcsec per pixel of an exposure's metadata, or None where there is no row.

    Examples
    --------
    >>> from jwst_hpastrom.instrument import nominal_scale
    >>> nominal_scale({"instrument": "NIRCAM", "detector": "NRCA1"})
    0.0312
    """
    row = detector_of(meta)
    return row.scale if row else None


def pixel_mas(meta: Mapping[str, Any]) -> float:
    """Nominal size of a detector pixel, mas, of metadata; NIRISS's where they do not tell.

    Examples
    --------
    >>> from jwst_hpastrom.instrument import pixel_mas
    >>> pixel_mas({"instrument": "nircam", "detector": "NRCB5"}), pixel_mas({})
    (63.0, 65.6)
    """
    scale = nominal_scale(meta) or nominal_scale({"instrument": "NIRISS"}) or float("nan")
    return round(1e3 * scale, 6)


def stripes(meta: Mapping[str, Any]) -> str | None:
    """Axis along which the amplifiers' stripes follow each other, "x" or "y": that of the fast read-out.

    From FASTAXIS (±1: along rows, ±2: along columns) where the metadata have it, else from the detector's row
    ("y" without one); None where the outputs are interleaved. A mirrored read-out has the same stripes.

    Examples
    --------
    >>> from jwst_hpastrom.instrument import stripes
    >>> stripes({"instrument": "NIRCAM", "detector": "NRCB1"}), stripes({"fastaxis": -2})
    ('x', 'y')
    """
    row = detector_of(meta)
    if row and row.stripes is None:
        return None
    fast = re.fullmatch(r"[+-]?([12])(?:\.0*)?", str(meta.get("fastaxis") or "").strip())
    if fast:
        return "x" if fast[1] == "1" else "y"
    return row.stripes if row else "y"


def outputs(meta: Mapping[str, Any]) -> int:
    """Number of outputs that an exposure was read through.

    From NOUTPUTS where the metadata have it. Else those of the full detector; one for a subarray that does
    not begin at the detector's edge where stripes follow each other: four outputs read its whole width.

    Examples
    --------
    >>> from jwst_hpastrom.instrument import outputs
    >>> nircam = {"instrument": "NIRCAM", "detector": "NRCB1"}
    >>> outputs(nircam), outputs(nircam | {"noutputs": 1}), outputs(nircam | {"xstart": 705, "ystart": 705})
    (4, 1, 1)
    """
    said = re.fullmatch(r"\+?(\d+)(?:\.0*)?", str(meta.get("noutputs") or "").strip())
    if said and int(said[1]) in (1, OUTPUTS):
        return int(said[1])
    axis = stripes(meta)
    return 1 if axis and int(meta.get(f"{axis}start") or 1) > 1 else OUTPUTS


def amplifiers(meta: Mapping[str, Any], x: Any, y: Any, shape: Any = None) -> np.ndarray:
    """Which output read a place of the detector: 0, 1, … along the axis that they follow each other.

    Stripes of equal width, columns in turn where the outputs are interleaved, and all the same of an exposure
    that was read through one output (the sections that ``jwst.refpix`` has).

    Parameters
    ----------
    meta : mapping
        Of an exposure or star list.
    x, y : array_like
        Raw full-frame positions, 0-based pixels.
    shape : tuple of int, optional
        Detector (ny, nx); the row's by default.

    Returns
    -------
    ndarray of int

    Examples
    --------
    >>> from jwst_hpastrom.instrument import amplifiers
    >>> amplifiers({"instrument": "NIRISS"}, [5.0, 5.0], [511.0, 512.0])
    array([0, 1])
    >>> amplifiers({"instrument": "MIRI"}, [6.2, 7.2, 8.2], 9.0)
    array([2, 3, 0])
    """
    x, y = np.broadcast_arrays(np.asarray(x, float), np.asarray(y, float))
    count, axis = outputs(meta), stripes(meta)
    if count == 1:
        return np.zeros(x.shape, int)
    if axis is None:
        return np.floor(x + 0.5).astype(int) % count
    place, size = (x if axis == "x" else y), (shape or shape_of(meta))["yx".index(axis)]
    return np.clip(np.floor((place + 0.5) * count / size), 0, count - 1).astype(int)


def filter_of(name: str, instrument: str = "NIRISS") -> Filter:
    """Return the row of a filter.

    Raises
    ------
    ParameterError
        There is none.

    Examples
    --------
    >>> from jwst_hpastrom.instrument import filter_of
    >>> filter_of("F150W").wavelength
    1.498
    """
    known, name = INSTRUMENTS.get(keyword(instrument)), keyword(name)
    filters = known.filters if known else {}
    if name not in filters:
        raise ParameterError(f"filter {name} of {instrument}", f"one of {', '.join(filters)}")
    return filters[name]


def wheels(meta: Mapping[str, Any]) -> tuple[str | None, str | None]:
    """FILTER and PUPIL from the filter in the beam; without a row, as far as the metadata know them.

    Examples
    --------
    >>> from jwst_hpastrom.instrument import wheels
    >>> wheels({"instrument": "NIRCAM", "filter": "F405N"})
    ('F444W', 'F405N')
    """
    name = keyword(meta.get("filter"))
    known = INSTRUMENTS.get(instrument_of(meta))
    if known and name in known.filters:
        return known.filters[name][:2]
    return (None if known and known.unfiltered else name), meta.get("pupil")
