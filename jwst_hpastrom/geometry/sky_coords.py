"""Tables with units and sky positions as astropy's own objects."""

import astropy.units as u
import numpy as np
from astropy.coordinates import SkyCoord
from astropy.table import QTable, Table
from astropy.time import Time

from jwst_hpastrom.columns import row_epochs, values
from jwst_hpastrom.errors import BadCatalogError

__all__ = ["as_qtable", "sky_coords"]

#: names under which `~astropy.coordinates.SkyCoord.guess_from_table` takes motions, and, for the errors of
#: positions, some that it does not take for positions: "ra_error" is ambiguous to it
GUESSABLE = {
    "pmra": "pm_ra_cosdec", "pmdec": "pm_dec",
    "ra_error": "e_RAdeg", "dec_error": "e_DEdeg",
    "ra_error_total": "e_RAdeg_total", "dec_error_total": "e_DEdeg_total",
}  # fmt: skip


def as_qtable(table: Table, *, guessable: bool = False) -> QTable:
    """Return a table whose columns with units are `~astropy.units.Quantity`.

    Parameters
    ----------
    table : `~astropy.table.Table`
        A product or the ``table`` of a result.

    guessable : bool
        Rename motions and the errors of positions (VizieR's e_RAdeg, e_DEdeg), so that
        `~astropy.coordinates.SkyCoord.guess_from_table` finds positions and motions: to it, Gaia's column
        ``ra_error`` is another right ascension.

    Returns
    -------
    `~astropy.table.QTable`
        A copy.

    Examples
    --------
    >>> from astropy.coordinates import SkyCoord
    >>> from jwst_hpastrom.columns import MOTION, make_table
    >>> from jwst_hpastrom.geometry import as_qtable
    >>> motions = make_table(MOTION, {"ra": [10.0], "dec": [5.0], "ra_error": [0.1], "pmra": [3.0],
    ...                               "pmdec": [4.0]})
    >>> as_qtable(motions)["pmra"].unit
    Unit("mas / yr")
    >>> SkyCoord.guess_from_table(as_qtable(motions, guessable=True)).pm_dec.value
    array([4.])
    """
    out = QTable(table, copy=True)
    for old, new in GUESSABLE.items() if guessable else ():
        if old in out.colnames and new not in out.colnames:
            out.rename_column(old, new)
    return out


def sky_coords(table: Table) -> SkyCoord:
    """Return a table's positions with their motions and the time they are of.

    Parameters
    ----------
    table : `~astropy.table.Table`
        ``ra dec`` (degrees), ``pmra pmdec`` (mas/yr) where known, ``ref_epoch`` or metadata ``epoch`` (Julian
        years).

    Returns
    -------
    `~astropy.coordinates.SkyCoord`
        ICRS; with ``obstime`` where all rows have an epoch, one where all have the same.

    Raises
    ------
    BadCatalogError
        No ra and dec.

    Examples
    --------
    >>> from jwst_hpastrom.columns import MOTION, make_table
    >>> from jwst_hpastrom.geometry import sky_coords
    >>> motions = make_table(MOTION, {"ra": [10.0], "dec": [0.0], "pmra": [3.6], "pmdec": [0.0],
    ...                               "ref_epoch": [2022.5]})
    >>> coords = sky_coords(motions)
    >>> coords.pm_ra_cosdec.value, coords.obstime.jyear
    (array([3.6]), np.float64(2022.5))
    """
    if not {"ra", "dec"} <= set(table.colnames):
        raise BadCatalogError("no columns ra and dec", "sky positions")
    kwargs = {}
    if {"pmra", "pmdec"} <= set(table.colnames):
        kwargs["pm_ra_cosdec"], kwargs["pm_dec"] = (
            values(table, c) * u.mas / u.yr for c in ("pmra", "pmdec")
        )
    epoch = row_epochs(table)
    if len(epoch) and np.isfinite(epoch).all():
        kwargs["obstime"] = Time(epoch[0] if np.ptp(epoch) == 0 else epoch, format="jyear", scale="tcb")
    return SkyCoord(values(table, "ra") * u.deg, values(table, "dec") * u.deg, frame="icrs", **kwargs)
