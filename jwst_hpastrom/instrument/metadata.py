"""Facts of an imager by the metadata of an exposure or a star list."""

import re
from collections.abc import Mapping
from typing import Any

from jwst_hpastrom.errors import ParameterError
from jwst_hpastrom.instrument.imagers import ALIASES, FRAME, INSTRUMENTS, Detector, Filter

__all__ = [
    "detector_of",
    "filter_of",
    "instrument_of",
    "keyword",
    "nominal_scale",
    "pixel_mas",
    "shape_of",
    "stripes",
    "wheels",
]


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
    instrument, name = keyword(meta.get("instrument")), keyword(meta.get("detector"))
    rows = {n: d for key, i in INSTRUMENTS.items() if instrument in ("", key) for n, d in i.detectors.items()}
    if not name and instrument and len(rows) == 1:
        return next(iter(rows.values()))
    return rows.get(ALIASES.get(name, name))


def instrument_of(meta: Mapping[str, Any]) -> str:
    """INSTRUME of metadata, or that of their detector; NIRISS where they say neither.

    Examples
    --------
    >>> from jwst_hpastrom.instrument import instrument_of
    >>> instrument_of({"detector": "NRCB1"}), instrument_of({})
    ('NIRCAM', 'NIRISS')
    """
    name = keyword(meta.get("detector"))
    owner = next((key for key, i in INSTRUMENTS.items() if ALIASES.get(name, name) in i.detectors), "NIRISS")
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
