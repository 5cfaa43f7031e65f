"""ds9 region files of star lists."""

from os import PathLike
from typing import Any

import numpy as np

from jwst_hpastrom.columns import Flag
from jwst_hpastrom.io.files.manifest import comment
from jwst_hpastrom.io.files.writing import atomic_path

__all__ = ["write_regions"]

COLORS = (
    (Flag.SATURATED, "magenta"),
    (Flag.COSMIC_RAY, "red"),
    (Flag.EXTENDED, "cyan"),
    (Flag.NOT_CONVERGED, "yellow"),
)


def write_regions(stars: Any, path: str | PathLike[str], *, radius: float = 2.5) -> str:
    """Write a star list as ds9 regions in image pixels (1-based, as ds9 counts).

    Parameters
    ----------
    stars : `~astropy.table.Table`
        With columns x, y, flags and, for the labels' properties, id and mag.

    path : path-like
        ``.reg`` file.

    radius : float
        Radius of the circles, pixels.

    Returns
    -------
    str
        The path. Clean stars are green, saturated ones magenta, cosmic rays red, extended sources cyan, fits
        that did not converge yellow.
    """
    flags = np.asarray(stars["flags"])
    color = np.full(len(stars), "green", dtype="U8")
    for flag, name in reversed(COLORS):
        color[(flags & int(flag)) > 0] = name
    lines = ["# Region file format: DS9", "global color=green", "image"]
    lines += [
        f"circle({x + 1:.3f},{y + 1:.3f},{radius}) # color={c} tag={{mag {m:.2f}}}"
        for x, y, m, c in zip(stars["x"], stars["y"], stars["mag"], color, strict=True)
    ]
    with atomic_path(path) as temporary:
        temporary.write_text("\n".join(lines) + "\n" + comment(), encoding="utf-8")
    return str(path)
