"""Coordinate systems that tables state; positions of another than the ICRS are refused by name."""

import re

from jwst_hpastrom.errors import BadCatalogError
from jwst_hpastrom.io.names import plain

__all__ = ["refuse_other_systems", "system_of_columns"]

#: what the metadata, a FITS header or a VOTable's COOSYS call the system, and the equinox
_SYSTEM = ("frame", "radesys", "radecsys", "coosys", "coordsys", "coordsystem", "coordframe")
_EQUINOX = ("equinox",)
#: systems that are not the ICRS, nor within 0.03 arcsec of it as the FK5 is: words of them, and their names
_OTHERS = (
    ("fk4|b1950", "the FK4 (B1950)", "fk4"),
    ("supergal", "supergalactic coordinates", "supergalactic"),
    ("gal", "Galactic coordinates", "galactic"),
    ("ecl", "ecliptic coordinates", "barycentrictrueecliptic"),
)
#: columns of longitudes that are no right ascensions, by their plain names
_LONGITUDES = {
    "Galactic coordinates": ("l", "glon", "gallon", "longal"),
    "ecliptic coordinates": ("elon", "ecllon", "lambda"),
}


def _other(meta):
    """Name of the system that metadata state, and astropy's, where it is another."""
    stated = {plain(k): str(v).strip().lower() for k, v in meta.items() if v is not None}
    system = " ".join(stated[k] for k in _SYSTEM if k in stated)
    for words, name, frame in _OTHERS:
        if re.search(words, system):
            return name, frame
    equinox = next((stated[k] for k in _EQUINOX if k in stated), "")
    year = re.fullmatch(r"([bj]?)(\d{4}(?:\.\d+)?)", equinox)
    if year and "icrs" not in system and abs(float(year[2]) - 2000.0) > 0.01:
        old = year[1] == "b" or (not year[1] and float(year[2]) < 1984)
        of = f"{'B' if old else 'J'}{year[2]}"
        return f"the {'FK4' if old else 'FK5'}, equinox {of}", f"{'fk4' if old else 'fk5'}', equinox='{of}"
    return None


def refuse_other_systems(table, ra, path):
    """Refuse right ascensions and declinations of another system than the ICRS.

    Parameters
    ----------
    table : `~astropy.table.Table`
        Its metadata, and those of its column, state the system.

    ra : str
        Its column of right ascensions.

    path : path-like
        For the error.

    Raises
    ------
    BadCatalogError
        Names the system.
    """
    own = getattr(table[ra], "info", None)
    found = _other(table.meta) or _other(getattr(own, "meta", None) or {})
    if found:
        name, frame = found
        raise BadCatalogError(
            f"positions in {name}, as its metadata state", "the ICRS",
            f"SkyCoord(…, frame='{frame}').icrs of astropy has them", path,
        )  # fmt: skip


def system_of_columns(names):
    """Say in what other system a table without right ascensions has its positions; empty where it has none.

    Parameters
    ----------
    names : sequence of str
        Of its columns.

    Returns
    -------
    str

    Examples
    --------
    >>> from jwst_hpastrom.io.tables.systems import system_of_columns
    >>> system_of_columns(["GLON", "GLAT", "mag"])
    'GLON is a longitude of Galactic coordinates: bring them to the ICRS'
    """
    for system, longitudes in _LONGITUDES.items():
        for name in names:
            if plain(name) in longitudes:
                return f"{name} is a longitude of {system}: bring them to the ICRS"
    return ""
