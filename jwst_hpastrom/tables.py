"""Tables as functions are given them; what is none, or could be read in two ways, is refused."""

import logging
from collections.abc import Iterable, MutableMapping
from typing import Any

import numpy as np
from astropy.table import Row, Table

from jwst_hpastrom.columns import epoch_of, values
from jwst_hpastrom.errors import BadCatalogError
from jwst_hpastrom.instrument import INSTRUMENTS, detector_name
from jwst_hpastrom.instrument.metadata import keyword

__all__ = [
    "as_catalog", "as_inputs", "as_star_lists", "as_table", "refuse_single_precision", "set_list_facts",
]  # fmt: skip

log = logging.getLogger("stpipe.hpastrom.tables")

#: numbers of a star list's metadata: those that count pixels from 1, and others
PLACES = ("xstart", "ystart")
FACTS = (
    "mjsr_per_dns", "pixel_area_sr", "va_scale", "v2_ref", "v3_ref", "v3yangle", "vparity", "ra_ref",
    "dec_ref", "roll_ref",
)  # fmt: skip
#: spellings of no unit, and of pixels
PIXELS = ("", "pix", "pixel", "pixels", "px")


def as_table(given: Any, what: str, reader: str = "read_catalog") -> Table:
    """Return a table: what is given, or the one of a master frame, motions and other results.

    Parameters
    ----------
    given : `~astropy.table.Table` or object with a ``table``

    what : str
        For the error.

    reader : str
        Function that makes such a table of files, DataFrames, `~astropy.coordinates.SkyCoord`; for the error.

    Returns
    -------
    `~astropy.table.Table`

    Raises
    ------
    BadCatalogError
        No table.

    Examples
    --------
    >>> from jwst_hpastrom.tables import as_table
    >>> as_table("gaia.fits", "catalog")
    Traceback (most recent call last):
        ...
    BadCatalogError: catalog: found a str, needed an astropy table; jwst_hpastrom.read_catalog makes one of it
    """
    given = given if isinstance(given, Row) else getattr(given, "table", given)
    if isinstance(given, Table):
        return given
    do = f"jwst_hpastrom.{reader} makes one of it"
    raise BadCatalogError(f"a {type(given).__name__}", "an astropy table", do, what)


def as_catalog(given: Any, what: str, reader: str = "read_catalog") -> Table:
    """Return a table of places on the sky, see `as_table`; one in single precision is refused."""
    table = as_table(given, what, reader)
    name = table.meta.get("catalog") or what
    refuse_single_precision(table, name)
    _warn_of_errors(table, ("x_err", "y_err", "ra_error", "dec_error", "pmra_error", "pmdec_error"), name)
    return table


def _warn_of_errors(table, names, name):
    """Say how many rows have errors that are none: these are taken to be unknown."""
    for column in [n for n in names if n in table.colnames]:
        if number := int((values(table, column) <= 0).sum()):
            log.warning(
                "%s: %s is zero or less in %d of %d rows: taken to be unknown",
                name,
                column,
                number,
                len(table),
            )


def as_star_lists(given: Any, reader: str = "read_star_list") -> list[Table]:
    """Return star lists, each a table.

    Parameters
    ----------
    given : iterable of `~astropy.table.Table`

    reader : str
        As of `as_table`.

    Returns
    -------
    list of `~astropy.table.Table`

    Raises
    ------
    BadCatalogError
        One table instead of several, what is no table, positions or their errors in another unit than pixels,
        an epoch that is no year, places on the sky in single precision.
    """
    if isinstance(given, str | Table) or not isinstance(given, Iterable):
        raise BadCatalogError(f"one {type(given).__name__}", "a list of star lists", "give it in brackets")
    lists = [as_table(one, f"star list {k + 1}", reader) for k, one in enumerate(given)]
    dated: list[str] = []
    undated: list[str] = []
    for k, table in enumerate(lists):
        name = str(table.meta.get("filename") or f"star list {k + 1}")
        set_list_facts(table.meta, name)
        for column in {"x", "y", "x_err", "y_err"} & set(table.colnames):
            unit = getattr(table[column], "unit", None)
            if unit is not None and str(unit) not in PIXELS:
                raise BadCatalogError(f"{column} in {unit}", "pixels", "divide by the pixel scale", name)
        refuse_single_precision(table, name)
        _warn_of_errors(table, ("x_err", "y_err"), name)
        (dated if np.isfinite(epoch_of(table, name)) else undated).append(name)
    if dated and undated:
        log.warning("no metadata epoch in %s: taken to be of the others' epoch", ", ".join(undated))
    return lists


def as_inputs(star_lists: Any, reference: Any) -> tuple[list[Table], Table | None]:
    """Return star lists and, where there is one, the reference catalog, see `as_star_lists`, `as_table`."""
    return as_star_lists(star_lists), None if reference is None else as_catalog(
        reference, "reference catalog"
    )


def refuse_single_precision(table: Table, path: Any) -> None:
    """Refuse right ascensions and declinations that were rounded to 32 bits: 30 mas.

    Parameters
    ----------
    table : `~astropy.table.Table`
        Standard columns; nothing is done without ``ra`` and ``dec``.

    path : path-like
        Name of it, for the error.

    Raises
    ------
    BadCatalogError
        All values are those of 32-bit numbers.
    """
    for name in {"ra", "dec"} & set(table.colnames):
        v = values(table, name)
        v = v[np.isfinite(v)]
        step = np.abs(np.spacing(v.astype(np.float32)).astype(float)) * 3.6e6  # mas
        rounded = v == v.astype(np.float32)
        if v.size >= 10 and (step > 0.1).any() and rounded.all() and (v * 4 % 1 != 0).any():
            raise BadCatalogError(
                f"{name} in single precision, rounded to {np.median(step):.0f} mas",
                "double precision", "fetch the table again in float64", path,
            )  # fmt: skip


def set_list_facts(meta: MutableMapping[str, Any], path: Any) -> None:
    """Bring what a star list's metadata say of its exposure to one form; refuse what makes no sense.

    Parameters
    ----------
    meta : mapping
        Names of the instrument, detector and filter become capitals, numbers numbers, in place.

    path : path-like
        Name of the list, for the error.

    Raises
    ------
    BadCatalogError
        A detector that the instrument does not have, what is no number, a place off the detector.

    Examples
    --------
    >>> from jwst_hpastrom.tables import set_list_facts
    >>> meta = {"filter": "f200w", "xstart": "865"}
    >>> set_list_facts(meta, "a_stars.ecsv")
    >>> meta
    {'filter': 'F200W', 'xstart': 865}
    """
    for key in ("instrument", "detector", "filter"):
        if meta.get(key) is not None and not isinstance(meta[key], str):
            raise BadCatalogError(f"{key} {meta[key]!r} in the metadata", "its name", "correct it", path)
        if meta.get(key):
            meta[key] = detector_name(meta[key]) if key == "detector" else keyword(meta[key])
    known, detector = INSTRUMENTS.get(meta.get("instrument") or ""), meta.get("detector")
    elsewhere = any(detector in other.detectors for other in INSTRUMENTS.values())
    if known and elsewhere and detector not in known.detectors:
        raise BadCatalogError(
            f"detector {detector} of {meta['instrument']} in the metadata", " or ".join(known.detectors),
            "correct it", path,
        )  # fmt: skip
    for key in (*PLACES, *FACTS):
        if meta.get(key) is None:
            continue
        needed = "a pixel of the detector, from 1" if key in PLACES else "a number"
        try:
            number = float(meta[key])
        except (TypeError, ValueError):
            number = np.nan
        if not np.isfinite(number) or (key in PLACES and (number < 1 or number % 1)):
            raise BadCatalogError(f"{key} {meta[key]!r} in the metadata", needed, "correct it", path)
        meta[key] = int(number) if key in PLACES else number
