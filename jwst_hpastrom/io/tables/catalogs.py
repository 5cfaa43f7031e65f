"""Catalogs of whatever origin become one standard table."""

from typing import Any

import numpy as np
from astropy.table import Table

from jwst_hpastrom.columns import MASTER, values
from jwst_hpastrom.errors import BadCatalogError
from jwst_hpastrom.geometry import TangentPlane
from jwst_hpastrom.io.names import CATALOG_NAMES
from jwst_hpastrom.io.tables.reading import numbers, opened, standard_columns
from jwst_hpastrom.io.tables.releases import check_epoch, release_of
from jwst_hpastrom.io.tables.sentinels import clean_columns
from jwst_hpastrom.io.tables.systems import system_of_columns
from jwst_hpastrom.io.tables.times import set_epochs
from jwst_hpastrom.tables import refuse_single_precision

__all__ = ["read_catalog"]

UNITS = {
    "ra": "deg",
    "dec": "deg",
    "ra_error": "mas",
    "dec_error": "mas",
    "pmra": "mas / yr",
    "pmdec": "mas / yr",
    "pmra_error": "mas / yr",
    "pmdec_error": "mas / yr",
    "mag": "mag",
    "x": "pix",
    "y": "pix",
    "ref_epoch": "yr",
}


def read_catalog(path: Any, *, epoch: Any = None, need_sky: bool = True) -> Table:
    """Read a catalog into the standard form.

    Parameters
    ----------
    path : path-like or table
        In memory: a table, DataFrame or `~astropy.coordinates.SkyCoord`. In a file: ECSV, FITS, parquet,
        CSV or an hst1pass ``.xym*`` list. For the names that are understood, in upper or
        lower case, see `~jwst_hpastrom.io.names.CATALOG_NAMES`.

    epoch : float, optional
        Julian year of the positions, where the file does not say.

    need_sky : bool
        Refuse a catalog without positions on the sky.

    Returns
    -------
    `~astropy.table.Table`
        Columns ``id ra dec`` (deg), and where known ``ra_error dec_error`` (mas) ``pmra pmdec pmra_error
        pmdec_error`` (mas/yr) ``mag x y``, then all others. ``ref_epoch`` holds each row's epoch where the
        table has one, its meta ``epoch`` (Julian year, None where unknown; the rows' median) and, where
        known, the tangent plane.

    Raises
    ------
    BadFileError
        The file cannot be read.

    BadCatalogError
        It has no positions or no rows, columns that are no numbers, or an epoch that is no year or another
        Gaia release's; its metadata state another system than the ICRS.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> from astropy.table import Table
    >>> from jwst_hpastrom.io import read_catalog
    >>> with TemporaryDirectory() as folder:
    ...     Table({"RA": [10.5], "DEC": [-3.0], "Gmag": [18.2]}).write(f"{folder}/a.csv")
    ...     table = read_catalog(f"{folder}/a.csv", epoch=2016.0)
    >>> table["ra", "dec", "mag"].as_array().tolist()
    [(10.5, -3.0, 18.2)]
    """
    path, table = opened(path, "a catalog")
    if len(table) == 0:
        raise BadCatalogError("an empty table", "at least one star", "", path)
    out = standard_columns(table, CATALOG_NAMES, path, UNITS)
    for column in MASTER:  # a master frame's errors
        if column.unit == "pix" and column.name not in UNITS and column.name in out.colnames:
            out[column.name] = numbers(out, column.name, path, column.unit)
            out[column.name].unit = column.unit
    clean_columns(out, path)
    if need_sky:
        refuse_single_precision(out, path)
    if "id" not in out.colnames:
        out.add_column(np.arange(len(table)), name="id", index=0)
    plane = TangentPlane.from_meta(table.meta)
    if "ra" not in out.colnames and plane is not None and {"x", "y"} <= set(out.colnames):
        out["ra"], out["dec"] = plane.to_sky(*plane.from_pixels(out["x"].value, out["y"].value))
        out["ra"].unit = out["dec"].unit = "deg"
    if need_sky and not {"ra", "dec"} <= set(out.colnames):
        raise BadCatalogError(
            f"columns {', '.join(table.colnames[:12])}",
            "ra and dec (degrees)",
            system_of_columns(table.colnames) or "rename or add the columns",
            path,
        )
    if need_sky and not np.isfinite(out["ra"].value + out["dec"].value).any():
        raise BadCatalogError("no row with a position", "ra and dec in degrees, dec within 90", "", path)
    set_epochs(out, path, epoch)
    if (release := release_of(table)) is not None:
        check_epoch(values(out, "ref_epoch", out.meta["epoch"] or np.nan), release, path)
    out.meta["catalog"] = path.name
    return out
