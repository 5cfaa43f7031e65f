"""The correction as the official pipeline wants it: raw pixel to V2, V3."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from astropy.table import Table

from jwst_hpastrom.distortion.model.ideal import IdealPlane, v2v3_from_ideal
from jwst_hpastrom.errors import MissingDataError
from jwst_hpastrom.geometry import LinearTransform, fit_linear
from jwst_hpastrom.geometry.mapping import Mapping

__all__ = ["FramePlacement", "place_frame", "to_v2v3"]


@dataclass(frozen=True)
class FramePlacement:
    """Where the corrected frame lies in the telescope's.

    Attributes
    ----------
    transform : `~jwst_hpastrom.geometry.LinearTransform`
        Corrected pixels to V2, V3 in arcsec.

    jump_mas : float
        Largest difference from the exposures' own WCS at any star: the new distortion's effect on the sky.

    mean_jump_mas : float
        Mean difference over the stars, zero but for rounding where the pointing is kept.
    """

    transform: LinearTransform
    jump_mas: float
    mean_jump_mas: float


def place_frame(
    correction: Mapping, star_lists: list[Table], *, scale_mas: float | None = None
) -> FramePlacement:
    """Find the linear map of the corrected frame to V2V3 under which pointing and roll stay as they are.

    Parameters
    ----------
    correction : `~jwst_hpastrom.geometry.Mapping`
        Raw to corrected pixels.

    star_lists : list of `~astropy.table.Table`
        With ``x y`` and ``ra dec`` through the exposures' own WCS, and the pointing keywords in meta.

    scale_mas : float, optional
        Pixel scale of the corrected frame at its center in the ideal frame, mas, where it has been measured;
        by default that of the exposures' WCS.

    Returns
    -------
    `FramePlacement`

    Raises
    ------
    MissingDataError
        If the lists lack sky positions or pointing keywords.
    """
    cx, cy, u, v = [], [], [], []
    first = None
    for table in star_lists:
        plane = IdealPlane(dict(table.meta), (np.nan, np.nan))
        if not plane.has_pointing or "ra" not in table.colnames:
            continue
        first = first or table.meta
        ra, dec = np.asarray(table["ra"], float), np.asarray(table["dec"], float)
        good = np.isfinite(ra + dec) & np.isfinite(np.asarray(table["x"], float))
        x = np.asarray(table["x"], float)[good] + int(table.meta.get("xstart") or 1) - 1
        y = np.asarray(table["y"], float)[good] + int(table.meta.get("ystart") or 1) - 1
        a, b = correction.forward(x, y)
        ix, iy = plane.from_sky(ra[good], dec[good])
        # the ideal plane of the sky carries the velocity aberration; the reference file must not
        va = float(table.meta.get("va_scale") or 1.0)
        cx.append(a)
        cy.append(b)
        u.append(ix / va)
        v.append(iy / va)
    if first is None:
        raise MissingDataError(
            "no star list with pointing keywords and sky positions", "v2_ref ... roll_ref and ra, dec",
            "fit the stars on exposures that assign_wcs has run on",
        )  # fmt: skip
    cx, cy, u, v = (np.concatenate(c) for c in (cx, cy, u, v))
    fit = fit_linear(cx, cy, u, v, parameters=4, sigma=None).transform
    if scale_mas is not None:
        matrix = fit.matrix * (scale_mas / 1e3 / fit.scale)
        # keep the mean position of the stars
        center = np.array([cx.mean(), cy.mean()])
        fit = LinearTransform(matrix, np.array(fit.forward(*center)), center)
    a, b = fit.forward(cx, cy)
    jump = np.hypot(a - u, b - v)
    matrix, offset = v2v3_from_ideal(first)
    to_tel = LinearTransform(matrix, offset, np.zeros(2))
    mean = float(np.hypot(np.mean(a - u), np.mean(b - v)))
    return FramePlacement(fit.then(to_tel), 1e3 * float(jump.max()), 1e3 * mean)


def to_v2v3(correction: Mapping, placement: FramePlacement) -> Any:
    """Return raw pixel (0-based) -> V2, V3 (arcsec) of standard astropy models, with an explicit inverse.

    Parameters
    ----------
    correction : `~jwst_hpastrom.geometry.Mapping`
    placement : `FramePlacement`

    Returns
    -------
    `~astropy.modeling.Model`
    """
    return (correction | placement.transform).to_astropy()
