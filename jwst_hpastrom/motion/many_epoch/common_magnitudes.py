"""Magnitudes of lists of different filters or zero points, brought to one list's."""

import logging

import numpy as np

from jwst_hpastrom.columns import values
from jwst_hpastrom.geometry import match_nearest

__all__ = ["common_magnitudes"]

log = logging.getLogger("stpipe.hpastrom.motion")

#: shifts below this are lists' noise and stay; colors of stars differ by more
LEAST_SHIFT = 0.1
#: of the distance that a star's neighbors keep: pairs closer than this are mostly one star
CLOSE = 0.3


def common_magnitudes(lists, mappings, anchor):
    """Shift lists' magnitudes to the anchor's by the median difference of their stars.

    Parameters
    ----------
    lists : list of `~astropy.table.Table`

    mappings : list of `~jwst_hpastrom.geometry.Mapping`
        Pixels to one frame.

    anchor : int

    Returns
    -------
    list of `~astropy.table.Table`
        Those that differ are copies; lists without magnitudes stay as they are.
    """

    def place(k):
        return mappings[k].forward(values(lists[k], "x"), values(lists[k], "y"))

    if "mag" not in lists[anchor].colnames:
        return lists
    u, v = place(anchor)
    area = np.ptp(u[np.isfinite(u)]) * np.ptp(v[np.isfinite(v)])
    radius = CLOSE * np.sqrt(area / max(len(u), 1))
    mag, out = values(lists[anchor], "mag"), []
    for k, table in enumerate(lists):
        if k == anchor or "mag" not in table.colnames:
            out.append(table)
            continue
        i, j, _ = match_nearest(*place(k), u, v, radius)
        difference = mag[j] - values(table, "mag")[i]
        known = np.isfinite(difference)
        shift = float(np.median(difference[known])) if known.any() else 0.0
        if abs(shift) > LEAST_SHIFT:
            log.info(
                "%s: magnitudes shifted by %.2f to those of the list with most stars",
                table.meta.get("filename", f"list {k + 1}"), shift,
            )  # fmt: skip
            table = table.copy()
            table["mag"] = values(table, "mag") + shift
        out.append(table)
    return out
