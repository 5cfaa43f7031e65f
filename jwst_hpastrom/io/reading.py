"""Tables and their numbers as users bring them."""

from pathlib import Path

import numpy as np
from astropy.table import Table
from astropy.time import Time

from jwst_hpastrom.columns import values
from jwst_hpastrom.errors import BadCatalogError, BadFileError
from jwst_hpastrom.io.names import find_columns
from jwst_hpastrom.io.writing import FORMATS

__all__ = ["julian_year", "numbers", "read_table", "standard_columns"]

TEXT = (".lis", ".calib", ".dat", ".txt", ".cat")


def read_table(path, needed="a table"):
    """Read a table of any format.

    Parameters
    ----------
    path : path-like
        ECSV, FITS, parquet, VOTable, CSV or text with a line of column names; ``.xym*`` lists of hst1pass
        have no such line, and columns x, y, mag, col4….

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
    if not path.is_file():
        raise BadFileError("no such file", needed, "check the path", path)
    bare = path.suffix.startswith(".xym")
    text = "ascii.no_header" if bare else "ascii" if path.suffix in TEXT else None
    try:
        table = Table.read(
            path, format=text or FORMATS.get(path.suffix), **({"comment": "#"} if bare else {})
        )
    except Exception as err:
        raise BadFileError(
            f"no readable table ({type(err).__name__}: {' '.join(str(err).split())[:150]})",
            f"{needed} as ECSV, FITS, parquet, CSV or text", "convert it", path,
        ) from err  # fmt: skip
    if bare:
        names = ["x", "y", "mag", *(f"col{k}" for k in range(4, len(table.colnames) + 1))]
        table.rename_columns(table.colnames, names[: len(table.colnames)])
    if ".fits" in path.suffixes:
        table.meta = {k.lower(): v for k, v in table.meta.items()}
    return table


def numbers(table, name, path, unit=None):
    """Return a column as floats in ``unit``; masked entries become NaN, magnitudes stay as they are.

    Raises
    ------
    BadCatalogError
        No numbers, several in a row, or of another dimension.
    """
    column = table[name]
    try:
        found = values(table, name)
        if found.ndim != 1:
            raise ValueError(f"{found.shape[1:]} values in a row")
        own = getattr(column, "unit", None)
        if unit and unit != "mag" and own is not None and str(own) and own != unit:
            found = (found * own).to_value(unit)
    except (ValueError, TypeError) as err:
        needed = f"numbers in {unit}" if unit else "numbers"
        raise BadCatalogError(f"column {name} ({err})", needed, "", path) from err
    return np.asarray(found, float)


def standard_columns(table, names, path, units=None):
    """Return a table whose columns have the standard names and units, then all others as they are.

    Parameters
    ----------
    table : `~astropy.table.Table`

    names : dict of str to tuple of str
        Standard column: names under which it may be there, as `~jwst_hpastrom.io.names.CATALOG_NAMES`. All
        must be numbers but ``id`` and ``name``.

    path : path-like
        For errors.

    units : dict of str to str, optional
        Units of standard columns.

    Returns
    -------
    `~astropy.table.Table`
    """
    out, found = Table(meta=dict(table.meta)), find_columns(table, names, path)
    for name, own in found.items():
        unit = (units or {}).get(name)
        out[name] = table[own] if name in ("id", "name") else numbers(table, own, path, unit)
        if unit:
            out[name].unit = unit
    for name in table.colnames:
        if name not in found.values() and name not in out.colnames:
            out[name] = table[name]
    return out


def julian_year(value, path):
    """Return the Julian year of a number, an ISO date or a `~astropy.time.Time`; None where it is unknown.

    Raises
    ------
    BadCatalogError
        Neither, or a number that is no year of our time (an MJD, say).
    """
    if value is None or value != value:
        return None
    try:
        year = float(value)
    except (TypeError, ValueError):
        try:
            year = float(Time(value).jyear)
        except ValueError:
            year = np.nan
    if not 1800 < year < 2200:
        raise BadCatalogError(f"epoch {value}", "a Julian year as 2022.5, or an ISO date", "", path)
    return year
