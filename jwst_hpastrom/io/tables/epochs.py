"""Star lists of other origin, one an epoch: column names, epochs, and flystar's calibrated lists."""

import re
from numbers import Real
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from astropy.table import Table
from astropy.time import Time

from jwst_hpastrom.columns import values
from jwst_hpastrom.errors import BadCatalogError, ParameterError
from jwst_hpastrom.io.names import LIST_NAMES
from jwst_hpastrom.io.tables.reading import opened, standard_columns
from jwst_hpastrom.io.tables.sentinels import clean_columns
from jwst_hpastrom.io.tables.times import epoch_of_meta, julian_year

__all__ = ["convert_flystar_list", "epoch_from_name", "read_epoch_list", "read_epoch_lists"]

UNITS = dict.fromkeys(("x", "y", "x_err", "y_err"), "pix") | dict.fromkeys(("mag", "mag_err"), "mag")
#: metadata: names under which other lists have them
META_SYNONYMS = {
    "position_angle": ("position_angle", "PA", "pa"),
    "pixel_scale_mas": ("pixel_scale_mas", "scale_mas"),
}


def epoch_from_name(path: Any) -> float | None:
    """Julian year of the noon of a date in a file's name.

    Parameters
    ----------
    path : path-like
        A name that holds YYYY_MM_DD, YYYY-MM-DD or YYYYMMDD.

    Returns
    -------
    float or None

    Examples
    --------
    >>> from jwst_hpastrom.io import epoch_from_name
    >>> round(epoch_from_name("starlist_2015_06_30.fits"), 3), epoch_from_name("starlist.fits")
    (2015.493, None)
    """
    found = re.search(
        r"(?<!\d)((?:19|20)\d\d)[-_]?(0[1-9]|1[0-2])[-_]?(0[1-9]|[12]\d|3[01])(?!\d)", Path(path).name
    )
    return None if found is None else float(Time(f"{'-'.join(found.groups())}T12:00:00").jyear)


def read_epoch_list(
    path: str | PathLike[str], *, epoch: Any = None, pixel_scale_mas: float | None = None
) -> Table:
    """Read one star list.

    Parameters
    ----------
    path : path-like or table
        In memory: a table or DataFrame. In a file: ECSV, FITS, parquet or text with a line of column names.
        `~jwst_hpastrom.io.names.LIST_NAMES`
        has the names that are understood.

    epoch : float, optional
        Julian year; overrides the file's. Without it: meta ``epoch``, else a date in the file's name. A
        column of times is never taken for it.

    pixel_scale_mas : float, optional
        Where the file does not say.

    Returns
    -------
    `~astropy.table.Table`
        ``x y x_err y_err`` and where there ``mag mag_err name``, then all others as they are; meta ``epoch``,
        ``filename``, and what the file has.

    Raises
    ------
    BadFileError, BadCatalogError
        Named by cause.
    """
    path, table = opened(path, "a star list")
    scale = next((table.meta[k] for k in META_SYNONYMS["pixel_scale_mas"] if table.meta.get(k)), None)
    scale = scale or pixel_scale_mas
    out = standard_columns(table, LIST_NAMES, path, UNITS, float(scale) if isinstance(scale, Real) else None)
    if "name" in out.colnames:
        out["name"] = np.asarray(out["name"]).astype(str)
    missing = [c for c in ("x", "y", "x_err", "y_err") if c not in out.colnames]
    if missing:
        raise BadCatalogError(
            f"no column {', '.join(missing)} among {', '.join(table.colnames[:12])}",
            "x y x_err y_err (pixels)",
            "rename the columns",
            path,
        )
    clean_columns(out, path)
    if len(out) and not np.isfinite(values(out, "x_err") + values(out, "y_err")).any():
        raise BadCatalogError("no positive finite x_err and y_err", "the positions' errors", "", path)
    for name, synonyms in META_SYNONYMS.items():
        found = next((s for s in synonyms if table.meta.get(s) is not None), None)
        if found is None:
            continue
        value = table.meta[found]
        try:
            out.meta[name] = float(value)
        except (TypeError, ValueError) as err:
            raise BadCatalogError(f"{found} {value!r}", "a number", "", path) from err
    if "position_angle" not in out.meta and table.meta.get("ra_tangent") is not None:
        # a master frame: x to the West, y to the North, about its tangent point
        plane = {"position_angle": 0.0, "ra_ref": "ra_tangent", "dec_ref": "dec_tangent"}
        plane |= {"x_ref": "x_tangent", "y_ref": "y_tangent"}
        out.meta |= {k: float(table.meta.get(v, 0.0)) if isinstance(v, str) else v for k, v in plane.items()}
    stated = epoch_of_meta(table, path)
    for key in [k for k in out.meta if k.lower() == "epoch"]:
        del out.meta[key]
    out.meta["epoch"] = julian_year(epoch, path) or stated or epoch_from_name(path)
    if out.meta["epoch"] is None:
        raise BadCatalogError(
            "no epoch", "meta epoch, a date in the file's name, or epochs=", "give epochs=", path
        )
    if pixel_scale_mas is not None and not out.meta.get("pixel_scale_mas"):
        out.meta["pixel_scale_mas"] = float(pixel_scale_mas)
    out.meta["filename"] = path.name
    return out


def read_epoch_lists(paths: Any, *, epochs: Any = None, pixel_scale_mas: float | None = None) -> list[Table]:
    """Read the members of a many-epoch association.

    Parameters
    ----------
    paths : sequence of path-like

    epochs : sequence of float, optional
        Julian years, one a list; override the files'.

    pixel_scale_mas : float, optional
        Where the files do not say.

    Returns
    -------
    list of `~astropy.table.Table`
    """
    if epochs is not None and len(epochs) != len(paths):
        raise ParameterError(f"{len(epochs)} epochs for {len(paths)} lists", "one epoch a list")
    given = epochs if epochs is not None else [None] * len(paths)
    out = []
    for path, epoch in zip(paths, given, strict=True):
        # flystar's have a converter and a pixel scale of their own
        flystar = isinstance(path, str | PathLike) and Path(path).suffix == ".calib"
        if not flystar:
            out.append(read_epoch_list(path, epoch=epoch, pixel_scale_mas=pixel_scale_mas))
        elif pixel_scale_mas is None:
            out.append(convert_flystar_list(path, epoch=epoch))
        else:
            out.append(convert_flystar_list(path, epoch=epoch, pixel_scale_mas=pixel_scale_mas))
    return out


def convert_flystar_list(
    path: str | PathLike[str], *, epoch: Any = None, pixel_scale_mas: float = 39.77
) -> Table:
    """Convert one of flystar's calibrated lists (``*.calib``) to a star list of this package.

    Parameters
    ----------
    path : path-like
        Text with the columns ``x y m xe ye me … name t``.

    epoch : float, optional
        Julian year; by default from the date in the file's name. The column ``t`` is not used: in flystar's
        example data it is the same wrong time in all epochs.

    pixel_scale_mas : float
        Of the lists' pixels; 39.77 for WFC3/UVIS.

    Returns
    -------
    `~astropy.table.Table`
        As from `read_epoch_list`, without ``t``; ``name`` there is a running number, no identity.
    """
    table = read_epoch_list(path, epoch=epoch, pixel_scale_mas=pixel_scale_mas)
    if "t" in table.colnames:
        table.remove_column("t")
    return table
