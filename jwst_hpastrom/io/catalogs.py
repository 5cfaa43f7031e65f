"""Catalogues of whatever origin become one standard table."""

from pathlib import Path

import numpy as np

from jwst_hpastrom.errors import BadCatalogError
from jwst_hpastrom.geometry import TangentPlane
from jwst_hpastrom.io.reading import julian_year, read_table, standard_columns

__all__ = ["SYNONYMS", "read_catalog"]

#: standard column: names under which other catalogues have it, in order of preference
SYNONYMS = {
    "id": ("id", "source_id", "ID", "name", "star_id"),
    "ra": ("ra", "RA", "RAJ2000", "ra_deg", "_RA", "RA_ICRS"),
    "dec": ("dec", "DEC", "Dec", "DEJ2000", "dec_deg", "_DE", "DE_ICRS"),
    "ra_error": ("ra_error", "pos_error", "e_RAJ2000", "e_RA_ICRS", "raerr", "ra_err"),
    "dec_error": ("dec_error", "pos_error", "e_DEJ2000", "e_DE_ICRS", "decerr", "dec_err"),
    "pmra": ("pmra", "pmRA", "pm_ra_cosdec", "pmRAc", "pmra_cosdec"),
    "pmdec": ("pmdec", "pmDE", "pm_dec", "pmDEC"),
    "pmra_error": ("pmra_error", "pm_error", "e_pmRA", "pmra_err"),
    "pmdec_error": ("pmdec_error", "pm_error", "e_pmDE", "pmdec_err"),
    "mag": ("mag", "phot_g_mean_mag", "Gmag", "m", "MAG", "mag_auto"),
    "x": ("x", "X", "x_fit", "xcentroid", "x_centroid"),
    "y": ("y", "Y", "y_fit", "ycentroid", "y_centroid"),
    "ref_epoch": ("ref_epoch", "epoch", "Epoch"),
}
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


def read_catalog(path, *, epoch=None, need_sky=True):
    """Read a catalogue into the standard form.

    Parameters
    ----------
    path : path-like
        ECSV, FITS, parquet, CSV or an hst1pass ``.xym*`` list. `SYNONYMS` has the names that are understood.

    epoch : float, optional
        Julian year of the positions, where the file does not say.

    need_sky : bool
        Refuse a catalogue without positions on the sky.

    Returns
    -------
    `~astropy.table.Table`
        Columns ``id ra dec`` (deg), and where known ``ra_error dec_error`` (mas) ``pmra pmdec pmra_error
        pmdec_error`` (mas/yr) ``mag x y``, then all others. Its meta holds ``epoch`` (Julian year, None where
        unknown) and, where known, the tangent plane.

    Raises
    ------
    BadFileError
        The file cannot be read.

    BadCatalogError
        It has no positions or no rows, columns that are no numbers, or an epoch that is no year.
    """
    table = read_table(path, "a catalogue")
    if len(table) == 0:
        raise BadCatalogError("an empty table", "at least one star", "", path)
    out = standard_columns(table, SYNONYMS, path, UNITS)
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
            "rename or add the columns",
            path,
        )
    found = table.meta.get("epoch") or epoch
    if found is None and "ref_epoch" in out.colnames and np.isfinite(out["ref_epoch"].value).any():
        found = float(np.nanmedian(out["ref_epoch"].value))
    out.meta["epoch"] = julian_year(found, path)
    out.meta["catalog"] = Path(path).name
    return out
