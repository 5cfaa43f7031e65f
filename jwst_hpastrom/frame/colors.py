"""Several filters' master frames on one frame, with colors."""

from collections.abc import Sequence

import numpy as np
from astropy.table import Table

from jwst_hpastrom.errors import NoOverlapError
from jwst_hpastrom.geometry import fit_linear, match_nearest
from jwst_hpastrom.ranges import in_range

__all__ = ["combine_filters"]


@in_range
def combine_filters(masters: Sequence[Table], *, radius_mas: float = 40.0, min_stars: int = 6) -> Table:
    """Add the magnitudes of further filters to the first filter's master frame.

    Parameters
    ----------
    masters : sequence of `~astropy.table.Table`
        Master frames of one field on one tangent plane (``build_master(..., plane=)``); metadata ``filter``.

    radius_mas : float
        Matching radius, after a six-parameter transformation between the frames.

    min_stars : int
        Fewest stars in common.

    Returns
    -------
    `~astropy.table.Table`
        The first table with columns ``mag_<filter>``, ``mag_err_<filter>`` (NaN where not found) and
        ``color``, first minus second filter.
    """
    first = masters[0].copy()
    scale = float(first.meta.get("scale_mas", 50.0))
    x, y = np.asarray(first["x"], float), np.asarray(first["y"], float)
    used: dict[str, int] = {}
    for table in masters:
        name = str(table.meta.get("filter", "")).lower() or "unknown"
        used[name] = used.get(name, 0) + 1
        if used[name] > 1:
            name = f"{name}_{used[name]}"
        mag, err = np.full(len(first), np.nan), np.full(len(first), np.nan)
        if table is masters[0]:
            i = j = np.arange(len(first))
        else:
            u, v = np.asarray(table["x"], float), np.asarray(table["y"], float)
            i, j, _ = match_nearest(x, y, u, v, 4 * radius_mas / scale)
            if i.size < min_stars:
                raise NoOverlapError(
                    f"{i.size} stars of {name} within {4 * radius_mas:g} mas", f"{min_stars} stars in common"
                )
            t = fit_linear(u[j], v[j], x[i], y[i]).transform
            u, v = t.forward(u, v)
            i, j, _ = match_nearest(x, y, u, v, radius_mas / scale)
        mag[i], err[i] = np.asarray(table["mag"], float)[j], np.asarray(table["mag_err"], float)[j]
        first[f"mag_{name}"], first[f"mag_err_{name}"] = mag, err
        first[f"mag_{name}"].unit = first[f"mag_err_{name}"].unit = "mag"
    names = [c for c in first.colnames if c.startswith("mag_") and f"mag_err_{c[4:]}" in first.colnames]
    if len(names) > 1:
        first["color"] = np.asarray(first[names[0]]) - np.asarray(first[names[1]])
        first["color"].unit = "mag"
        first["color"].description = f"{names[0]} - {names[1]}"
    return first
