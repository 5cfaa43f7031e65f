"""Gaia's table: from a file, or from flystar's form of it."""

import logging
from typing import Any

import numpy as np
from astropy.table import Table

from jwst_hpastrom.errors import BadCatalogError, ParameterError
from jwst_hpastrom.geometry import TangentPlane
from jwst_hpastrom.io.names import GAIA_NAMES, find_columns
from jwst_hpastrom.io.tables.catalogs import UNITS
from jwst_hpastrom.io.tables.reading import numbers, opened
from jwst_hpastrom.io.tables.releases import check_epoch, release_of, ruwe_by_parameters
from jwst_hpastrom.io.tables.sentinels import clean_columns
from jwst_hpastrom.io.tables.times import epoch_of_meta, row_years, set_epochs
from jwst_hpastrom.tables import refuse_single_precision

__all__ = ["GAIA_UNITS", "convert_flystar_gaia", "read_gaia"]

log = logging.getLogger("stpipe.hpastrom.io")

FAKE_SKY = "offsets about (0, 0): the field's place is not known"
NEEDED = ("ra", "dec", "ra_error", "dec_error", "pmra", "pmdec", "pmra_error", "pmdec_error")
#: columns of Gaia's source table that are used, with their units
GAIA_UNITS = {name: UNITS[name] for name in NEEDED} | {
    "parallax": "mas",
    "parallax_error": "mas",
    "parallax_over_error": "",
    "astrometric_params_solved": "",
    "duplicated_source": "",
    "astrometric_excess_noise_sig": "",
    "ruwe": "",
    "phot_g_mean_mag": "mag",
    "ref_epoch": "yr",
    "ra_dec_corr": "",
    "ra_pmra_corr": "",
    "ra_pmdec_corr": "",
    "dec_pmra_corr": "",
    "dec_pmdec_corr": "",
    "pmra_pmdec_corr": "",
}


def read_gaia(path: Any, *, ra_ref: float | None = None, dec_ref: float | None = None) -> Table:
    """Read a Gaia table with Gaia's own column names.

    Parameters
    ----------
    path : path-like or table
        In memory: a table or DataFrame. In a file: ECSV, FITS, VOTable, CSV or parquet.
        Columns in other units are converted; masked entries become NaN.
        A table in flystar's form (``x0 y0 vx vy``) is converted by `convert_flystar_gaia`. Where designations
        or metadata name a release (`~jwst_hpastrom.io.tables.releases.RELEASES`), its reference epoch stands
        in for a missing one.

    ra_ref, dec_ref : float
        Field center for `convert_flystar_gaia`, whose x0 is taken to run to the West.

    Returns
    -------
    `~astropy.table.Table`
        Plain float columns, ``source_id`` as text.

    Raises
    ------
    BadFileError
        The file cannot be read.

    BadCatalogError
        Columns are missing or no numbers, no row has a motion, or the epoch is another release's.
    """
    path, table = opened(path, "a Gaia table")
    if {"x0", "y0", "vx", "vy", "vxe", "vye"} <= set(table.colnames) and "ra" not in table.colnames:
        return convert_flystar_gaia(table, ra_ref=ra_ref, dec_ref=dec_ref)
    names = find_columns(table, GAIA_NAMES, path)
    missing = [n for n in NEEDED if n not in names]
    if missing:
        raise BadCatalogError(
            f"no column {', '.join(missing)}",
            "Gaia's columns with motions and errors",
            "download the table with its astrometric columns",
            path,
        )
    if len(table) == 0:
        raise BadCatalogError("an empty table", "Gaia stars in the field", "", path)
    out = _columns(table, names, path)
    clean_columns(out, path)
    refuse_single_precision(out, path)
    if not (np.isfinite(out["pmra"]) & np.isfinite(out["pmdec"])).any():
        raise BadCatalogError(
            f"{len(out)} rows without motions",
            "stars with pmra and pmdec",
            "use five-parameter solutions",
            path,
        )
    if "ruwe" not in out.colnames:
        solved = out["astrometric_params_solved"] if "astrometric_params_solved" in out.colnames else None
        ruwe = ruwe_by_parameters(table, np.full(len(out), np.nan) if solved is None else solved, path)
        if ruwe is not None:
            out["ruwe"] = ruwe
    _date(out, table, path)
    out.meta["catalog"] = path.name
    return out


def _columns(table, names, path):
    """Return the columns that are used, in their units, under Gaia's names."""
    out = Table(meta=dict(table.meta))
    for name, unit in GAIA_UNITS.items():
        if name in names:
            if name == "ref_epoch":
                out[name] = row_years(table, names[name], path)
            else:
                out[name] = numbers(table, names[name], path, unit)
            if unit:
                out[name].unit = unit
    out["ra"].description = getattr(table[names["ra"]], "description", None)  # which may tell the epoch
    lower = {n.lower(): n for n in table.colnames}
    ids = next((lower[n] for n in ("source_id", "source", "designation", "id") if n in lower), None)
    out["source_id"] = np.asarray(table[ids]).astype(str) if ids else np.arange(len(out)).astype(str)
    return out


def _date(out, table, path):
    """Give the columns taken from a table its epoch, or its release's; raise where there is none."""
    if out.meta.get("epoch") is None:
        out.meta["epoch"] = epoch_of_meta(table, path)
    release = release_of(table)
    set_epochs(out, path, None if release is None else release.epoch)
    if release is not None:
        out.meta["gaia_release"] = release.name
        check_epoch(out["ref_epoch"] if "ref_epoch" in out.colnames else [out.meta["epoch"]], release, path)
    if out.meta["epoch"] is None:
        raise BadCatalogError(
            "no ref_epoch", "the epoch of the Gaia positions", "add a column ref_epoch", path
        )


def convert_flystar_gaia(
    table: Table, *, ra_ref: float | None = None, dec_ref: float | None = None, x_positive: str = "west"
) -> Table:
    """Convert flystar's form of a Gaia table to Gaia's columns.

    Parameters
    ----------
    table : `~astropy.table.Table` or path-like
        ``x0 y0 x0e y0e`` (arcsec from the field center), ``vx vy vxe vye`` (arcsec/yr), ``t0`` (Julian
        year), ``m`` (G), optional ``source_id parallax parallax_error`` (mas).

    ra_ref, dec_ref : float
        The field center, degrees; flystar's files do not hold it. Motions do not depend on it. Without
        it, the positions are about (0, 0), metadata ``sky`` says so, and the log warns.

    x_positive : {"west", "east"}
        Where x0 and vx run; in flystar's files, to the West.

    Returns
    -------
    `~astropy.table.Table`
        Rows with vxe = 0, which have no motion, are left out.
    """
    if not isinstance(table, Table):
        table = Table.read(table)
    if x_positive not in ("west", "east"):
        raise ParameterError(f"x_positive={x_positive}", "west or east")
    fake = ra_ref is None or dec_ref is None
    if ra_ref is None or dec_ref is None:
        log.warning(
            "flystar's table does not say where its field is: ra and dec are offsets about (0, 0), with x0 "
            "to the %s; give ra_ref and dec_ref",
            x_positive.capitalize(),
        )
        ra_ref = dec_ref = 0.0
    sign = -1.0 if x_positive == "west" else 1.0
    t = table[np.asarray(table["vxe"], float) > 0]
    if len(t) == 0:
        raise BadCatalogError(f"{len(table)} rows without motions", "rows with vxe > 0", "")
    ra, dec = TangentPlane(ra_ref, dec_ref).to_sky(
        sign * np.asarray(t["x0"], float), np.asarray(t["y0"], float)
    )
    data = {
        "ra": ra,
        "dec": dec,
        "ra_error": np.asarray(t["x0e"], float) * 1e3,
        "dec_error": np.asarray(t["y0e"], float) * 1e3,
        "pmra": sign * np.asarray(t["vx"], float) * 1e3,
        "pmdec": np.asarray(t["vy"], float) * 1e3,
        "pmra_error": np.asarray(t["vxe"], float) * 1e3,
        "pmdec_error": np.asarray(t["vye"], float) * 1e3,
        "phot_g_mean_mag": np.asarray(t["m"], float),
        "ref_epoch": np.asarray(t["t0"], float),
    }
    for name in ("parallax", "parallax_error"):
        if name in t.colnames:
            data[name] = np.ma.filled(np.ma.asarray(t[name], float), np.nan)
    if "parallax" in data:
        data["parallax_over_error"] = data["parallax"] / data["parallax_error"]
    out = Table(data, meta={"ra_ref": ra_ref, "dec_ref": dec_ref, "x_positive": x_positive})
    if fake:
        out.meta["sky"] = FAKE_SKY
    for name, unit in GAIA_UNITS.items():
        if unit and name in out.colnames:
            out[name].unit = unit
    label = "source_id" if "source_id" in t.colnames else "name"
    values = np.asarray(t[label])
    out["source_id"] = np.char.decode(values) if values.dtype.kind == "S" else values.astype(str)
    return out
