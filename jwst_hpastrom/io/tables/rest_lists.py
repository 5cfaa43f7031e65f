"""Lists of offsets and motions from an object at rest, and the objects themselves."""

from os import PathLike
from pathlib import Path

import numpy as np
from astropy.table import Table

from jwst_hpastrom.columns import row_epochs, values
from jwst_hpastrom.errors import BadCatalogError
from jwst_hpastrom.io.names import CATALOG_NAMES, error_names, find_columns, plain
from jwst_hpastrom.io.tables.catalogs import read_catalog
from jwst_hpastrom.io.tables.reading import read_table, standard_columns
from jwst_hpastrom.io.tables.sentinels import clean_columns
from jwst_hpastrom.io.tables.times import set_epochs
from jwst_hpastrom.motion.analysis.rest_frame import RestPoint

__all__ = ["read_comparison", "read_points"]

_X = ("x", "dx", "x_offset", "delta_ra", "dra", "ra_offset", "east", "xi")
_Y = ("y", "dy", "y_offset", "delta_dec", "ddec", "dec_offset", "north", "eta")
_VX = ("vx", "pmx", "v_x", "mu_x", "pm_x", "mux")
_VY = ("vy", "pmy", "v_y", "mu_y", "pm_y", "muy")
#: columns of such lists, under the names that tables have for them
REST_NAMES = {
    "id": CATALOG_NAMES["id"],
    "x": _X, "y": _Y, "x_error": error_names(*_X), "y_error": error_names(*_Y),
    "vx": _VX, "vy": _VY, "vx_error": error_names(*_VX), "vy_error": error_names(*_VY),
    "ref_epoch": (*CATALOG_NAMES["ref_epoch"], "t0"),
}  # fmt: skip
REST_UNITS = {
    "x": "arcsec", "y": "arcsec", "x_error": "mas", "y_error": "mas",
    "vx": "mas / yr", "vy": "mas / yr", "vx_error": "mas / yr", "vy_error": "mas / yr", "ref_epoch": "yr",
}  # fmt: skip
NEEDED_SKY = ("ra", "dec", "ra_error", "dec_error", "pmra", "pmdec", "pmra_error", "pmdec_error")


def read_comparison(path: str | PathLike[str]) -> Table:
    """Read a list to compare a catalog of motions with.

    Parameters
    ----------
    path : path-like
        Offsets from an object at rest, ``x y`` (East, North; arcsec), ``vx vy`` (mas/yr), their errors (mas,
        mas/yr) and epoch; or a catalog with motions on the sky. Columns with units are converted.

    Returns
    -------
    `~astropy.table.Table`

    Raises
    ------
    BadFileError, BadCatalogError
        It cannot be read; columns or epochs are missing.
    """
    table = read_table(path, "a list with motions")
    found = find_columns(table, REST_NAMES, path)
    if {"vx", "vy"} <= set(found):
        out = standard_columns(table, REST_NAMES, path, REST_UNITS)
        clean_columns(out, path)
        needed = tuple(n for n in REST_NAMES if n not in ("id", "ref_epoch"))
        set_epochs(out, path)
    else:
        out, needed = read_catalog(path), NEEDED_SKY
    if missing := [n for n in needed if n not in out.colnames]:
        raise BadCatalogError(
            f"no column {', '.join(missing)}", "positions, motions and errors",
            "x y vx vy about an object at rest, or ra dec pmra pmdec, each with _error", path,
        )  # fmt: skip
    if not np.isfinite(row_epochs(out)).any():
        raise BadCatalogError("no ref_epoch", "the epoch of the positions", "add a column ref_epoch", path)
    return out


def read_points(path: str | PathLike[str]) -> dict[str, RestPoint]:
    """Read objects that are to be at rest.

    Parameters
    ----------
    path : path-like
        ``ra dec pmra pmdec`` and errors, ``ref_epoch``; ``name`` or ``id``.

    Returns
    -------
    dict of str to `~jwst_hpastrom.motion.analysis.rest_frame.RestPoint`
        Errors that are not given are zero.
    """
    table = read_catalog(path)
    if missing := [n for n in ("pmra", "pmdec") if n not in table.colnames]:
        raise BadCatalogError(
            f"no column {', '.join(missing)}", "the objects' motions", "add them, mas/yr", path
        )
    epoch = row_epochs(table)
    if not np.isfinite(epoch).all():
        raise BadCatalogError("no ref_epoch", "the epoch of the positions", "add a column ref_epoch", path)
    given = {c: values(table, c) for c in NEEDED_SKY}
    out = {}
    for k, label in enumerate(table["id"]):
        row = {c: float(np.nan_to_num(v[k]) if "error" in c else v[k]) for c, v in given.items()}
        name = plain(label) or str(k)
        out[name if len(table) > 1 else plain(Path(path).stem)] = RestPoint(epoch=float(epoch[k]), **row)
    return out
