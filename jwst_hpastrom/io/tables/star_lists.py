"""Star lists: written by the fit, found again beside the products or the exposures."""

import io
import logging
import lzma
import re
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from astropy.io import fits
from astropy.table import Column, Table

from jwst_hpastrom.columns import STAR_LIST, values
from jwst_hpastrom.errors import BadCatalogError
from jwst_hpastrom.instrument import detector_of
from jwst_hpastrom.io.exposures.exposure import exposure_root
from jwst_hpastrom.io.files.opening import unpacked
from jwst_hpastrom.io.names import CATALOG_NAMES, LIST_NAMES
from jwst_hpastrom.io.tables.epochs import epoch_from_name
from jwst_hpastrom.io.tables.reading import numbers, opened, standard_columns
from jwst_hpastrom.io.tables.sentinels import clean_columns
from jwst_hpastrom.io.tables.times import epoch_of_meta, julian_year
from jwst_hpastrom.numerics import robust_sigma
from jwst_hpastrom.tables import refuse_single_precision, set_list_facts

__all__ = ["find_star_list", "is_star_list", "read_star_list", "star_list_path"]

log = logging.getLogger("stpipe.hpastrom.io")

#: rows that tell whether magnitudes are those of the fluxes, and how far they scatter about them at most
FEW, APART = 10, 0.5
#: stars expected before a subarray's place where x counts from there, none of which is there by chance, and
#: share of the detector's width in which all stars are of what must be a subarray
MANY, PART = 10, 0.6
#: columns of numbers without a unit
PURE = ("qfit", "radxs", "chi2", "flags")
NEEDED = ("x", "y", "x_err", "y_err", "flux", "mag")
OWN = re.compile(r"_stars\.(ecsv|parquet|fits)$")
#: names of files that may hold an exposure
UNREADABLE = (OSError, EOFError, ValueError, KeyError, TypeError, zlib.error, lzma.LZMAError)
FITS = re.compile(r"\.fits?(\.\w+)?$", re.IGNORECASE)
IMAGE = re.compile(r"\.(fits?|asdf)(\.\w+)?$", re.IGNORECASE)
#: names under which lists of other origin have what a master frame uses
NAMES = {
    **LIST_NAMES, "ra": CATALOG_NAMES["ra"], "dec": CATALOG_NAMES["dec"], "flux": ("flux",),
    "qfit": ("qfit", "q"), "x_corr": ("x_corr",), "y_corr": ("y_corr",), "mag_corr": ("mag_corr",),
}  # fmt: skip
UNITS = {c.name: c.unit for c in STAR_LIST if c.name in NAMES and c.name != "flux"} | {"mag_corr": "mag"}


def star_list_path(exposure: Any, folder: Any, extension: str = "ecsv") -> Path:
    """Return the path of an exposure's star list in a folder.

    Examples
    --------
    >>> from jwst_hpastrom.io import star_list_path
    >>> str(star_list_path("data/jw01086004001_02101_00001_nis_cal.fits", "out"))
    'out/jw01086004001_02101_00001_nis_stars.ecsv'
    """
    return Path(folder) / f"{exposure_root(exposure)}_stars.{extension}"


def find_star_list(exposure: Any, folders: Any) -> str | None:
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


def is_star_list(path):
    """Whether a file is a star list: ``_stars.*``, of a kind that holds no images, or by its content.

    A FITS file is one if its extensions are tables only and its first array is empty.

    Parameters
    ----------
    path : path-like

    Returns
    -------
    bool
    """
    name = Path(path).name
    if OWN.search(name) or not IMAGE.search(name):
        return True
    return bool(FITS.search(name)) and _only_tables(path)


def _only_tables(path):
    if not Path(path).is_file():
        return False
    try:
        plain = Path(path).suffix.lower() in (".fits", ".fit")
        with fits.open(path if plain else io.BytesIO(unpacked(path)), lazy_load_hdus=True) as hdus:
            images = [h for h in hdus if not isinstance(h, fits.BinTableHDU | fits.TableHDU)]
            return len(hdus) > 1 and len(images) == 1 and images[0].header["NAXIS"] == 0
    except UNREADABLE:
        return False  # whoever reads it will say what is wrong


def read_star_list(path: Any, exposure: Any = None, *, correction: Any = None) -> Table:
    """Read a star list.

    Parameters
    ----------
    path : path-like or table
        This package's list, or one of other origin, which needs x, y and mag only: a file, or in memory a
        table or DataFrame. Pixels of hst1pass,
        xym2bar and KS2, which count from 1, count from 0 here; u and v there are ``x_corr y_corr``.

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
    path, table = opened(path, "a star list")
    set_list_facts(table.meta, path)
    own = OWN.search(path.name) or set(NEEDED) <= set(table.colnames)
    if "first_pixel" in table.meta or not (own or exposure):
        return _corrected(_foreign(table, path), correction)
    missing = [c for c in NEEDED if c not in table.colnames]
    if missing:
        raise BadCatalogError(f"no column {', '.join(missing)}", f"{', '.join(NEEDED)}", "", path)
    for column in STAR_LIST:
        if (name := column.name) in table.colnames and (column.unit or name in PURE):
            old = table[name]
            new = numbers(table, name, path, column.unit)
            if name == "flags":
                new = _flags(new, path)
            table[name] = Column(new, unit=old.unit and column.unit, description=old.description)
    clean_columns(table, path)
    _refuse_other_magnitudes(table, path)
    _check_place(table, path)
    refuse_single_precision(table, path)
    if table.meta.get("epoch") is not None:
        table.meta["epoch"] = julian_year(table.meta["epoch"], path)
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
    return _corrected(table, correction)


def _flags(flags, path):
    """Flags as whole numbers; unknown ones are none."""
    unknown = ~np.isfinite(flags)
    if unknown.any():
        log.warning("%s: no flags in %d of %d rows: taken to be good", path, unknown.sum(), flags.size)
    if (flags[~unknown] % 1 != 0).any():
        raise BadCatalogError("column flags with fractions", "sums of powers of two", "", path)
    return np.where(unknown, 0, flags).astype(np.int64)


def _refuse_other_magnitudes(table, path):
    """Raise where magnitudes are not those of the fluxes beside them."""
    flux, mag = values(table, "flux"), values(table, "mag")
    known = (flux > 0) & np.isfinite(mag)
    if known.sum() < FEW:
        return
    apart = robust_sigma(mag[known] + 2.5 * np.log10(flux[known]))
    if apart > APART:
        raise BadCatalogError(
            f"magnitudes of this list that differ from its fluxes' by {apart:.2f} from row to row",
            "mag and flux of one star in a row, and magnitudes that are larger for fainter ones",
            "take the columns as they were written", path,
        )  # fmt: skip


def _check_place(table, path):
    """Refuse pixels that count from the detector's first one beside a subarray's place; warn of no place."""
    meta, row, ends, part = table.meta, detector_of(table.meta), [], []
    for c, key, size in (("x", "xstart", 1), ("y", "ystart", 0)):
        v = values(table, c)
        v = v[np.isfinite(v)]
        if v.size < FEW:
            return
        first = (meta.get(key) or 1) - 1
        if v.min() >= first and first * v.size > MANY * (v.max() + 1):  # no star before: no chance
            raise BadCatalogError(
                f"{c} from {v.min():.0f} to {v.max():.0f} beside {key} {first + 1} in the metadata",
                "pixels of the subarray, from 0", f"take {first} off, or {key} out", path,
            )  # fmt: skip
        ends.append(f"{c} {v.min():.0f} to {v.max():.0f}")
        part.append(row is not None and meta.get(key) is None and np.ptp(v) < PART * row.shape[size])
    if all(part):
        log.warning(
            "%s: stars in %s, and no metadata xstart, ystart say of what part of the detector: taken to be "
            "of the first pixels", path, " and ".join(ends),
        )  # fmt: skip


def _corrected(table, correction):
    if correction is not None:
        x0, y0 = ((table.meta.get(key) or 1) - 1 for key in ("xstart", "ystart"))
        table["x_corr"], table["y_corr"] = correction.forward(table["x"].value + x0, table["y"].value + y0)
        table["x_corr"].unit = table["y_corr"].unit = "pix"
    return table


def _foreign(table, path):
    """A list of other origin: standard columns as far as they are there, pixels from 0, an epoch if known."""
    if (first := table.meta.pop("first_pixel", 0)) not in (0, 1):
        raise BadCatalogError(f"first_pixel {first!r} in the metadata", "0 or 1", "correct it", path)
    out = standard_columns(table, NAMES, path, UNITS)
    if missing := [c for c in ("x", "y", "mag") if c not in out.colnames]:
        raise BadCatalogError(
            f"no column {', '.join(missing)} among {', '.join(table.colnames[:12])}", "x, y and mag",
            "rename the columns, or name them in a first line", path,
        )  # fmt: skip
    clean_columns(out, path)
    refuse_single_precision(out, path)
    lost = ~np.isfinite(values(out, "x") + values(out, "y"))
    for name in {"x", "y", "x_corr", "y_corr"} & set(out.colnames):
        out[name] = Column(np.where(lost, np.nan, values(out, name) - first), unit="pix")
    out.meta["epoch"] = epoch_of_meta(table, path) or epoch_from_name(path)
    out.meta["filename"] = Path(path).name
    return out
