"""Star lists: written by the fit, found again beside the products or the exposures."""

from pathlib import Path

import numpy as np
from astropy.table import Column

from jwst_hpastrom.columns import STAR_LIST, values
from jwst_hpastrom.errors import BadCatalogError
from jwst_hpastrom.io.exposures import exposure_root
from jwst_hpastrom.io.reading import numbers, read_table
from jwst_hpastrom.io.sentinels import clean_columns

__all__ = ["find_star_list", "read_star_list", "star_list_path"]

NEEDED = ("x", "y", "x_err", "y_err", "flux", "mag")


def star_list_path(exposure, folder, extension="ecsv"):
    """Return the path of an exposure's star list in a folder."""
    return Path(folder) / f"{exposure_root(exposure)}_stars.{extension}"


def find_star_list(exposure, folders):
    """Return the path of the first existing star list of an exposure, or None.

    Parameters
    ----------
    exposure : path-like
        The exposure's file.

    folders : iterable of path-like
        Where to look, in this order; the exposure's own folder comes last.
    """
    for folder in (*folders, Path(exposure).parent):
        for extension in ("ecsv", "parquet", "fits"):
            path = star_list_path(exposure, folder or ".", extension)
            if path.exists():
                return str(path)
    return None


def read_star_list(path, exposure=None, *, correction=None):
    """Read a star list.

    Parameters
    ----------
    path : path-like
        The list.

    exposure : path-like, optional
        The exposure it must be of.

    correction : `~jwst_hpastrom.geometry.Mapping`, optional
        Distortion correction, for the columns ``x_corr y_corr``: positions on the full detector, corrected.

    Returns
    -------
    `~astropy.table.Table`

    Raises
    ------
    BadFileError
        The file cannot be read.

    BadCatalogError
        Columns are missing or no numbers, or the list is of another exposure.
    """
    table = read_table(path, "a star list")
    missing = [c for c in NEEDED if c not in table.colnames]
    if missing:
        raise BadCatalogError(f"no column {', '.join(missing)}", f"{', '.join(NEEDED)}", "", path)
    for column in STAR_LIST:
        if (name := column.name) in table.colnames and column.unit:
            old = table[name]
            new = numbers(table, name, path, column.unit)
            table[name] = Column(new, unit=old.unit and column.unit, description=old.description)
    clean_columns(table, path)
    if len(table) and not np.isfinite(values(table, "x_err") + values(table, "y_err")).any():
        raise BadCatalogError("no positive finite x_err and y_err", "the positions' errors", "", path)
    recorded = table.meta.get("filename")
    if exposure is not None and recorded and exposure_root(recorded) != exposure_root(exposure):
        raise BadCatalogError(
            f"a star list of {recorded}",
            f"one of {Path(exposure).name}",
            "run hp_epsf_fit on the exposure",
            path,
        )
    if correction is not None:
        x0, y0 = (int(table.meta.get(key) or 1) - 1 for key in ("xstart", "ystart"))
        table["x_corr"], table["y_corr"] = correction.forward(table["x"].value + x0, table["y"].value + y0)
        table["x_corr"].unit = table["y_corr"].unit = "pix"
    return table
