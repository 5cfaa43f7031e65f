"""Tables and their numbers as users bring them."""

import csv
import io
import logging
import warnings
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.io import fits, votable
from astropy.table import Row, Table
from astropy.time import Time
from astropy.utils.data import get_readable_fileobj
from astropy.utils.exceptions import AstropyWarning

from jwst_hpastrom.columns import as_given
from jwst_hpastrom.errors import BadCatalogError, BadFileError, HPAstromError
from jwst_hpastrom.io.files.opening import check_fits, check_table, require_file
from jwst_hpastrom.io.files.plain_ecsv import read_plain_ecsv
from jwst_hpastrom.io.files.writing import FORMATS
from jwst_hpastrom.io.names import CATALOG_NAMES, counts_from_one, find_columns, plain
from jwst_hpastrom.io.tables.coded_lists import read_coded_list
from jwst_hpastrom.io.tables.sentinels import stands_for_unknown
from jwst_hpastrom.io.tables.systems import refuse_other_systems
from jwst_hpastrom.io.tables.times import row_years

__all__ = ["numbers", "opened", "read_table", "standard_columns"]

log = logging.getLogger("stpipe.hpastrom.io")

#: spellings of units that astropy does not know
_UNIT_NAMES = {
    "pixel": "pix", "pixels": "pix", "px": "pix", "degree": "deg", "degrees": "deg", "magnitude": "mag",
    "milliarcsec": "mas", "mas.yr-1": "mas / yr", "mas/year": "mas / yr", "mas/a": "mas / yr",
    "arcseconds": "arcsec", "asec": "arcsec", "years": "yr", "year": "yr",
}  # fmt: skip

TABLES = fits.BinTableHDU | fits.TableHDU
#: words of archives for no value
NULLS = ("", "null", "nan", "none", "--", "n/a", "NULL", "NaN", "None", "N/A")


def opened(given: Any, needed: str) -> tuple[Path, Table]:
    """Return a name for messages and the table: of a file, or of what is in memory.

    Parameters
    ----------
    given : path-like or object
        A path (see `read_table`); a table, DataFrame, structured array, mapping or
        `~astropy.coordinates.SkyCoord`; or what has one as its ``table``.

    needed : str
        What it should be, for the error.

    Raises
    ------
    BadFileError
        Neither.
    """
    if isinstance(given, str | PathLike):
        return Path(given), read_table(given, needed)
    given = given if isinstance(given, Row) else getattr(given, "table", given)  # whose is all of its table
    name = Path(str((getattr(given, "meta", None) or {}).get("filename") or "table in memory"))
    try:
        if given is None or isinstance(given, Row):
            raise TypeError("nothing, or one row")
        if isinstance(given, SkyCoord):
            given = {"place": given}
        elif hasattr(given, "to_records"):  # a DataFrame: what it does not know is NaN
            given = Table.from_pandas(given)
        table = Table(given, copy=True)
    except Exception as err:
        raise BadFileError(f"a {type(given).__name__}", f"{needed}, or its path", "", name) from err
    return name, _without_mixins(table)


def read_table(path: Any, needed: str = "a table") -> Table:
    """Read a table of any format.

    Parameters
    ----------
    path : path-like
        ECSV, FITS, parquet, VOTable, CSV, TSV (VizieR's, too) or text with a line of column names, in upper
        or lower case and gzipped or not. Lists of hst1pass and the like have codes instead
        (`~jwst_hpastrom.io.tables.coded_lists.read_coded_list`).

    needed : str
        What the file should be, for the error.

    Returns
    -------
    `~astropy.table.Table`
        The keys of a FITS header, which are upper case where they are short, are lower case.

    Raises
    ------
    BadFileError
        Missing, damaged, or no table.
    """
    path = Path(path)
    head = require_file(path, needed).lstrip()
    suffix = Path(path.name.lower().removesuffix(".gz")).suffix
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", AstropyWarning)  # VOTables and units of archives, by the letter
            table = _read(path, suffix, head)
    except HPAstromError as err:
        raise err.about(path) from None
    except Exception as err:
        raise BadFileError(
            f"no readable table ({type(err).__name__}: {' '.join(str(err).split())[:150]})",
            f"{needed} as ECSV, FITS, parquet, CSV or text", "convert it", path,
        ) from err  # fmt: skip
    table.meta.pop("seal", None)
    if ".fits" in path.name.lower():
        table.meta = {k.lower(): v for k, v in table.meta.items()}
    try:
        return _without_mixins(table)
    except BadCatalogError as err:
        raise err.about(path) from None


def _read(path, suffix, head):
    if head.startswith(b"SIMPLE  ="):
        content = check_fits(path, table=True)
        return _first_of_fits(io.BytesIO(content) if isinstance(content, bytes) else path, path)
    check_table(path, head)
    if head.startswith(b"# %ECSV"):  # Gaia's bulk files are named .csv
        if path.suffix != ".gz" and (table := read_plain_ecsv(path.read_bytes())) is not None:
            return table
        try:
            return Table.read(path, format="ascii.ecsv")
        except ValueError:  # columns of plain numbers with "null"; quantities would lose the mask
            table = Table.read(path, format="ascii.ecsv", fill_values=[("", "0"), ("null", "0")])
            if any(isinstance(c, u.Quantity) for c in table.columns.values()):
                raise
            return table
    if head.startswith((b"<?xml", b"<VOTABLE")):
        return _votable(path)
    if suffix in (".csv", ".tsv"):
        return _delimited(path, suffix)
    if suffix not in FORMATS and not head.startswith(b"PAR1"):
        coded = read_coded_list(path)
        if coded is not None:
            return coded
        return Table.read(path, format="ascii")
    return Table.read(path, format="parquet" if head.startswith(b"PAR1") else FORMATS.get(suffix))


def _first_of_fits(content, path):
    with fits.open(content) as hdus:
        names = [h.name or f"HDU {k}" for k, h in enumerate(hdus) if isinstance(h, TABLES)]
        if len(names := [n for n in names if n != "ASDF"]) > 1:
            log.warning("%s: of the tables %s the first is read", path, ", ".join(names))
        return Table.read(hdus, format="fits")


def _votable(path):
    """A VOTable; columns have the system and epoch of their COOSYS as metadata."""
    file = votable.parse(path)
    table = Table.read(file, format="votable")
    first = file.get_first_table()
    systems = {s.ID: s for r in file.resources for s in r.coordinate_systems}
    systems |= {s.ID: s for s in file.coordinate_systems}
    for field in first.fields:
        system = systems.get(field.ref)
        if system is not None and field.name in table.colnames:
            info = table[field.name].info
            info.meta = {"coosys": system.system, "equinox": system.equinox}
            if system.epoch:
                info.description = f"{info.description or ''} at Ep={system.epoch}"
    return table


def _delimited(path, suffix):
    """CSV and TSV; VizieR's have a line of units and one of dashes below the names."""
    with get_readable_fileobj(path, encoding="utf-8-sig") as file:
        lines = [line for line in file.read().splitlines() if line.strip() and not line.startswith("#")]
    if not lines:
        raise ValueError("no line of names")
    delimiter = max("\t;,", key=lines[0].count) if suffix == ".tsv" else ","
    if suffix == ".csv" and "," not in lines[0] and ";" in lines[0]:
        delimiter = ";"
    names = next(csv.reader(lines[:1], delimiter=delimiter))
    if twice := sorted({name for name in names if names.count(name) > 1 and name.strip()}):
        log.warning("%s: of several columns %s the first is read", path, ", ".join(twice))
    dashes = next((k for k in (1, 2) if k < len(lines) and set(lines[k]) <= set(f"- {delimiter}")), None)
    units = lines[1].split(delimiter) if dashes == 2 else []
    body = lines if dashes is None else [lines[0], *lines[dashes + 1 :]]
    table = Table.read(
        body, format="ascii.basic", delimiter=delimiter, guess=False, comment="#.*",
        fill_values=[(n, "0") for n in NULLS],
    )  # fmt: skip
    for name, unit in zip(table.colnames, units, strict=False):
        if unit.strip():
            table[name].unit = u.Unit(_UNIT_NAMES.get(unit.strip().lower(), unit), parse_strict="silent")
    return table


def _without_mixins(table):
    """Times as Julian years, sky coordinates as right ascension and declination of the ICRS."""
    for name in table.colnames:
        column = table[name]
        if isinstance(column, Time):
            table[name] = column.jyear
        elif getattr(column, "shape", ())[1:] == (2,) and str(getattr(column, "unit", "")) == "d":
            table[name] = Time(column[:, 0], column[:, 1], format="jd").jyear  # FITS has a time in two parts
        elif isinstance(column, SkyCoord):
            sky = column.icrs
            table.remove_column(name)
            parts = {"ra": sky.ra.deg * u.deg, "dec": sky.dec.deg * u.deg}
            dated = set(map(plain, table.colnames)) & set(map(plain, CATALOG_NAMES["ref_epoch"]))
            of_equinox = sky.obstime == getattr(column, "equinox", None)  # as FK4 has where none is given
            if sky.obstime is not None and not dated and not of_equinox:
                parts["ref_epoch"] = np.broadcast_to(sky.obstime.jyear, sky.shape) * u.yr
            if "s" in sky.data.differentials:
                parts |= {"pmra": sky.pm_ra_cosdec, "pmdec": sky.pm_dec}
            if twice := [n for n in parts if plain(n) in map(plain, table.colnames)]:
                raise BadCatalogError(
                    f"{', '.join(twice)} as columns and in {name}", "them once", "remove the wrong ones"
                )
            for part, value in parts.items():
                table[part] = value
    return table


def numbers(table, name, path, unit=None, pixel_scale_mas=None):
    """Return a column as floats in ``unit``; masked entries become NaN.

    Parameters
    ----------
    table : `~astropy.table.Table`

    name : str

    path : path-like
        For the error.

    unit : str, optional
        A column without one is taken to be in it; one in another is converted.

    pixel_scale_mas : float, optional
        Turns angles into pixels where ``unit`` is pixels.

    Raises
    ------
    BadCatalogError
        No numbers, several in a row, or of another dimension.
    """
    column = table[name]
    try:
        found = as_given(_booleans(table, name), name)
        if found.ndim != 1:
            raise ValueError(f"{found.shape[1:]} values in a row")
        own = getattr(column, "unit", None)
        if unit and own is not None and str(own) not in ("", unit):
            own = getattr(own, "function_unit", own)  # mag(AB) is magnitudes
            scale = u.pixel_scale(pixel_scale_mas * u.mas / u.pix) if pixel_scale_mas else None
            own = u.Unit(_UNIT_NAMES.get(str(own).lower().replace(" ", ""), own))
            given = found
            found = (given * own).to_value(unit, equivalencies=scale)
            if unit.startswith("mas"):  # a "-99 arcsec" is not an angle
                found = np.where(stands_for_unknown(given), given, found)
    except (ValueError, TypeError) as err:
        needed = f"numbers in {unit}" if unit else "numbers"
        raise BadCatalogError(f"column {name} ({err})", needed, "", path) from err
    return np.asarray(found, float)


def _booleans(table, name):
    """A column of the words true and false as numbers, else the table as it is."""
    column = np.ma.asarray(table[name])
    if column.dtype.kind not in "SUO":
        return table
    words = np.char.lower(np.char.strip(np.ma.filled(column.astype(str), "")))
    if not np.isin(words, ("true", "false", "t", "f", *NULLS)).all():
        return table
    truth = np.isin(words, ("true", "t")).astype(float)
    return Table({name: np.where(np.isin(words, NULLS), np.nan, truth)})


def standard_columns(table, names, path, units=None, pixel_scale_mas=None):
    """Return a table whose columns have the standard names and units, then all others as they are.

    Parameters
    ----------
    table : `~astropy.table.Table`

    names : dict of str to tuple of str
        Standard column: names under which it may be there, as `~jwst_hpastrom.io.names.CATALOG_NAMES`. All
        must be numbers but ``id`` and ``name``. SExtractor's ``X_IMAGE``, ``XWIN_IMAGE`` and so on count
        from 1, and from 0 here.

    path : path-like
        For errors.

    units : dict of str to str, optional
        Units of standard columns.

    pixel_scale_mas : float, optional
        Turns errors of pixel positions that are angles into pixels.

    Returns
    -------
    `~astropy.table.Table`
    """
    out, found = Table(meta=dict(table.meta)), find_columns(table, names, path)
    for name, own in found.items():
        unit = (units or {}).get(name)
        if name == "ref_epoch":
            out[name] = row_years(table, own, path)
        else:
            out[name] = (
                table[own]
                if name in ("id", "name")
                else numbers(table, own, path, unit, pixel_scale_mas if name.endswith("_err") else None)
            )
            if counts_from_one(own):
                log.info("%s: %s is SExtractor's and counts from 1: read as from 0", path, own)
                out[name] = out[name] - 1
        if unit:
            out[name].unit = unit
        if name == "ra":  # which may tell the epoch
            refuse_other_systems(table, own, path)
            out[name].description = getattr(table[own], "description", None)
    for name in table.colnames:
        if name not in found.values() and name not in out.colnames:
            out[name] = table[name]
    return out
