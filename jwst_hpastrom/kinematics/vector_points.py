"""Vector-point diagrams as numbers: dispersions and errors by magnitude (L23 Fig. 20-22)."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from astropy.table import Table

from jwst_hpastrom.columns import values
from jwst_hpastrom.geometry import robust_sigma
from jwst_hpastrom.kinematics.dispersion import fit_dispersion

__all__ = ["vector_points"]


def vector_points(table: Table, *, edges: Sequence[float], min_stars: int = 10) -> Table:
    """Observed and intrinsic dispersions of the motions in bins of magnitude.

    Parameters
    ----------
    table : `~astropy.table.Table`
        mag, pmra, pmdec and errors.

    edges : sequence of float
        Edges of the magnitude bins.

    min_stars : int
        Bins with fewer are left out.

    Returns
    -------
    `~astropy.table.Table`
        A row for each bin: mag_low, mag_high, n, and for either axis the mean, the observed dispersion
        (1.4826 MAD), the median error and the intrinsic dispersion with its error, mas/yr.

    Examples
    --------
    >>> import numpy as np
    >>> from astropy.table import Table
    >>> from jwst_hpastrom.kinematics import vector_points
    >>> rng = np.random.default_rng(1)
    >>> table = Table({"mag": rng.uniform(18, 20, 200)})
    >>> table["pmra"], table["pmdec"] = rng.normal(0, 0.1, (2, 200))
    >>> table["pmra_error"] = table["pmdec_error"] = 0.05
    >>> vector_points(table, edges=[18, 19, 20])["mag_low", "mag_high", "n"].as_array().tolist()
    [(18.0, 19.0, 100), (19.0, 20.0, 100)]
    """
    rows = []
    mag = np.asarray(table["mag"], float)
    for low, high in pairwise(edges):
        b = (mag >= low) & (mag < high)
        b &= np.isfinite(values(table, "pmra") + values(table, "pmdec"))
        if b.sum() < min_stars:
            continue
        row = {"mag_low": float(low), "mag_high": float(high), "n": int(b.sum())}
        for c in ("pmra", "pmdec"):
            v, e = np.asarray(table[c][b], float), np.asarray(table[f"{c}_error"][b], float)
            d = fit_dispersion(v, e)
            row |= {
                f"{c}_mean": d.mean,
                f"{c}_observed": float(robust_sigma(v)),
                f"{c}_median_error": float(np.median(e)),
                f"{c}_sigma": d.sigma,
                f"{c}_sigma_error": d.sigma_error,
            }
        rows.append(row)
    return Table(rows=rows) if rows else Table()
