"""Epochs as users state them: of a table, of its rows, of both."""

import logging
import re
from datetime import date
from pathlib import Path

import numpy as np
from astropy import units as u
from astropy.time import Time

from jwst_hpastrom.columns import values
from jwst_hpastrom.errors import BadCatalogError
from jwst_hpastrom.io.names import plain

__all__ = ["epoch_of_meta", "julian_year", "row_years", "set_epochs"]

log = logging.getLogger("stpipe.hpastrom.io")

#: years that two statements of one epoch may differ by
EPOCH_TOLERANCE = 0.02
#: VizieR: "Right ascension (ICRS) at Ep=2016.0", "… at Epoch=J2000, proper motions taken into account"
_DESCRIBED = re.compile(r"at Ep(?:och)?=J?(\d{4}(?:\.\d+)?)")
_EQUINOXES = ("1950", "1950.0", "2000", "2000.0")


def julian_year(value, path):
    """Return the Julian year of a number, a date, or a time with a unit; None where it is unknown.

    Parameters
    ----------
    value : float, str, `~astropy.time.Time` or `~astropy.units.Quantity`
        2016.0, ``J2016``, ``2016-01-01``, a `~datetime.datetime`; in days it is a Julian date, modified or
        not.

    path : path-like
        For the error.

    Returns
    -------
    float or None

    Raises
    ------
    BadCatalogError
        Neither, or a number that is no year of our time (an MJD, say).
    """
    try:
        if value is None or np.ma.is_masked(value) or value != value:
            return None
    except ValueError:  # several values: not an epoch
        pass
    try:
        if isinstance(value, u.Quantity) and value.unit == "d":  # seconds have no zero that is known
            days = float(value.to_value("d"))
            year = Time(days, format="jd" if days > 1e6 else "mjd").jyear
        elif isinstance(value, Time):
            year = value.jyear
        else:
            if isinstance(value, u.Quantity) and value.unit != "yr":
                raise TypeError("no years")
            year = getattr(value, "value", value)
        year = float(year)
    except (TypeError, ValueError):
        try:
            day = value.isoformat() if type(value) is date else value
            year = float(Time(day.strip() if isinstance(day, str) else day).jyear)
        except (TypeError, ValueError):
            year = np.nan
    if not 1850 < year < 2100:
        raise BadCatalogError(
            f"epoch {value}", "a Julian year as 2022.5, an ISO date, or days with the unit d", "", path
        )
    return year


def row_years(table, name, path):
    """Return a column of epochs as Julian years, NaN where unknown.

    Raises
    ------
    BadCatalogError
        As from `julian_year`.
    """
    column = table[name]
    unit = getattr(column, "unit", None)
    if unit is not None and str(unit) not in ("", "yr", "a", "jyear"):
        scale = u.Unit(str(unit), parse_strict="silent")
    else:
        scale = u.d if "jd" in name.lower() else None
    given = column.value if isinstance(column, u.Quantity) else column
    seen, out = {}, []
    for value in given:
        key = str(value)
        if key not in seen:
            blank = np.ma.is_masked(value) or key.strip().lower() in ("", "nan", "null", "none")
            try:
                found = value if scale is None or blank else float(value) * scale
            except (TypeError, ValueError) as err:
                raise BadCatalogError(f"column {name} ({err})", "Julian years", "", path) from err
            year = None if blank else julian_year(found, path)
            seen[key] = np.nan if year is None else year
        out.append(seen[key])
    return np.array(out, float)


def epoch_of_meta(table, path):
    """Return the epoch that a table's metadata state, in Julian years; None where they do not.

    ``EPOCH = 2000`` or 1950 in a FITS header is the equinox, by the standard's old name of it.

    Raises
    ------
    BadCatalogError
        No year, or two that differ.
    """
    found = {}
    for key, value in table.meta.items():
        name = plain(key)
        if name not in ("epoch", "refepoch"):
            continue
        text = str(value).strip().upper().removeprefix("J").removeprefix("B")
        if name == "epoch" and ".fits" in Path(path).name.lower() and text in _EQUINOXES:
            log.warning("%s: EPOCH = %s is the equinox, not the positions' epoch", path, value)
            continue
        found[key] = julian_year(value, path)
    for name, column in table.columns.items():
        year = _DESCRIBED.search(str(getattr(column, "description", "")))
        if year and plain(name) in ("raicrs", "ra"):
            found[f"of column {name}"] = julian_year(year[1], path)
    years = [y for y in found.values() if y is not None]
    if years and np.ptp(years) > EPOCH_TOLERANCE:
        text = ", ".join(f"{y} ({key})" for key, y in found.items())
        raise BadCatalogError(f"epochs {text}", "one in the metadata", "", path)
    return years[0] if years else None


def set_epochs(table, path, given=None):
    """Give every row its epoch; refuse metadata and rows that disagree.

    Parameters
    ----------
    table : `~astropy.table.Table`
        Its column ``ref_epoch``, where it has one, is in Julian years; metadata ``epoch`` is set: the one
        that all rows have, else their median.

    path : path-like
        For the error.

    given : float, optional
        Where the table does not say.
    """
    stated = epoch_of_meta(table, path)
    for key in [k for k in table.meta if plain(k) == "epoch"]:
        del table.meta[key]
    rows = values(table, "ref_epoch")
    known = np.isfinite(rows)
    if stated is not None and known.any():
        worst = rows[known][np.argmax(np.abs(rows[known] - stated))]
        if abs(worst - stated) > EPOCH_TOLERANCE:
            raise BadCatalogError(
                f"epoch {stated} in the metadata and {worst} in column ref_epoch",
                "one epoch",
                "correct or remove the wrong one (the description of ra counts, too)", path,
            )  # fmt: skip
    if stated is None and not known.any():
        stated = julian_year(given, path)
    elif known.any():
        stated = float(np.median(rows[known]))
        if np.ptp(rows[known]) > EPOCH_TOLERANCE:
            log.info(
                "%s: epochs from %.3f to %.3f, each row has its own", path, *np.quantile(rows[known], (0, 1))
            )
        if not known.all():
            log.warning("%s: %d of %d rows have no epoch, and no position", path, (~known).sum(), len(rows))
            for name in {"ra", "dec", "x", "y"} & set(table.colnames):
                table[name][~known] = np.nan
    table.meta["epoch"] = stated
