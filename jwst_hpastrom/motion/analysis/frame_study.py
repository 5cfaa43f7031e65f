"""A frame studied as in H25 §4, §5: cuts, error budget, frames at rest, comparisons, forecasts."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from astropy.table import Table

from jwst_hpastrom._display import Displayed
from jwst_hpastrom.columns import row_epochs, values
from jwst_hpastrom.errors import ParameterError
from jwst_hpastrom.geometry import TangentPlane, sky_middle
from jwst_hpastrom.motion.analysis.catalog_comparison import LinearMotions, compare_motions_of
from jwst_hpastrom.motion.analysis.catalog_cuts import (
    CatalogCuts,
    apply_quality_cuts,
    cut_table,
    quality_cuts,
)
from jwst_hpastrom.motion.analysis.frame_forecast import forecast_frame
from jwst_hpastrom.motion.analysis.rest_frame import RADIO_SGRA, at_rest_table
from jwst_hpastrom.motion.gaia_frame.frame_quality import error_budget, joint_test

__all__ = ["GAIA_TO_ICRS", "FrameStudy", "FrameTerm", "frame_error", "points_near", "study_frame"]

#: degrees from SgrA* within which its published frames are of use
NEAR_SGRA = 1.0


@dataclass(frozen=True)
class FrameTerm:
    """What one step from a frame to the next may be off.

    Attributes
    ----------
    name : str

    motion, position : pair of float
        East and North, mas/yr and mas; NaN where unknown.
    """

    name: str
    motion: tuple
    position: tuple


#: Gaia-CRF3 against the ICRS (H25 §4.2.1)
GAIA_TO_ICRS = FrameTerm("Gaia-CRF3 to ICRS", (0.0112, 0.0107), (0.007, 0.007))


@dataclass(frozen=True)
class FrameStudy(Displayed):
    """Result of `study_frame`.

    Attributes
    ----------
    motions : `~astropy.table.Table`
        The catalog, stars that fail the cuts flagged ``QUALITY_CUT``.

    cuts : `~astropy.table.Table`
        How many stars each cut takes.

    budget : `~astropy.table.Table`
        Errors after each step from frame to frame (H25 Table 5); None where the frame's own is not known.

    at_rest : dict of str to `~astropy.table.Table`
        The catalog about each point (H25 Table 7).

    comparison : `~astropy.table.Table` or None
        Mean differences from the other list, one row a point or one for the sky (H25 Table 6), with the joint
        test of zero.

    differences : `~astropy.table.Table` or None
        The stars in common, one by one, about the first point (H25 Fig. 7).

    forecast : `~astropy.table.Table` or None
        H25 §5.2.
    """

    motions: Table
    cuts: Table
    budget: Table | None
    at_rest: dict = field(default_factory=dict)
    comparison: Table | None = None
    differences: Table | None = None
    forecast: Table | None = None


def frame_error(table):
    """What a catalog's own frame may be off, from its metadata.

    Parameters
    ----------
    table : `~astropy.table.Table`
        Motions of many epochs or of two.

    Returns
    -------
    `FrameTerm` or None
        Of many epochs, the larger of the frame's formal error and the error of the mean difference from the
        reference stars (H25 eq. 11), axis by axis. Of two, the zero point's, without positions.
    """
    meta = table.meta
    if "frame_bias_pm_error_mas_yr" in meta or "frame_pm_error_mas_yr" in meta:
        unknown = (np.nan, np.nan)
        pairs = [
            np.fmax(meta.get(f"frame_bias_{a}", unknown), meta.get(f"frame_{a}", unknown))
            for a in ("pm_error_mas_yr", "position_error_mas")
        ]
        return FrameTerm("catalog to reference stars", *(tuple(map(float, p)) for p in pairs))
    zero = tuple(float(meta.get(f"zero_point_{c}_error", np.nan)) for c in ("pmra", "pmdec"))
    return FrameTerm("zero point of the motions", zero, (np.nan, np.nan)) if np.isfinite(zero).all() else None


def points_near(table):
    """Published frames of SgrA* where the catalog is within a degree of it, else none.

    Parameters
    ----------
    table : `~astropy.table.Table`

    Returns
    -------
    dict of str to `~jwst_hpastrom.motion.analysis.rest_frame.RestPoint`
    """
    first = RADIO_SGRA["xu2022"]
    ra, dec = sky_middle(values(table, "ra"), values(table, "dec"))
    xi, eta = TangentPlane(first.ra, first.dec).from_sky([ra], [dec])
    with np.errstate(invalid="ignore"):
        return dict(RADIO_SGRA) if np.hypot(xi, eta)[0] < 3600 * NEAR_SGRA else {}


def study_frame(
    motions: Any,
    *,
    terms: Any = None,
    points: Any = None,
    other: Any = None,
    other_name: str = "list",
    radius_mas: float = 100.0,
    match_epoch: float = 2015.5,
    gaia: Any = None,
    new_epochs: Any = (),
    cuts: Any = None,
) -> FrameStudy:
    """Study the frame that a catalog of motions realizes.

    Parameters
    ----------
    motions : `~astropy.table.Table`
        Columns of `~jwst_hpastrom.columns.MOTION`; it is not changed.

    terms : sequence of `FrameTerm`, optional
        From the catalog's frame to the ICRS, step by step; by default `frame_error` and `GAIA_TO_ICRS`.

    points : dict of str to `~jwst_hpastrom.motion.analysis.rest_frame.RestPoint`, optional
        Objects to be at rest; by default `points_near`.

    other : `~astropy.table.Table`, optional
        A list to compare with: offsets from an object at rest (``x y`` arcsec, ``vx vy`` mas/yr), or on the
        sky (``ra dec pmra pmdec``), with errors and epochs.

    other_name : str
        For messages.

    radius_mas, match_epoch : float
        Matching, see `~jwst_hpastrom.motion.analysis.catalog_comparison.compare_motions_of`.

    gaia : `~astropy.table.Table`, optional
        The reference catalog, for forecasts of a better one.

    new_epochs : sequence of float
        Julian years of more epochs, for forecasts.

    cuts : `CatalogCuts` or dict, optional
        Limits of `~jwst_hpastrom.motion.quality_cuts`.

    Returns
    -------
    `FrameStudy`

    Examples
    --------
    ::

        study = study_frame(motions, other=masers)
        print(study.comparison)
    """
    motions = motions.copy()
    limits = cuts.keywords() if isinstance(cuts, CatalogCuts) else dict(cuts or {})
    failed = quality_cuts(motions, **limits)
    apply_quality_cuts(motions, **limits)
    own = frame_error(motions)
    if terms is None:
        terms = [] if own is None else [own, GAIA_TO_ICRS]
    points = points_near(motions) if points is None else points
    totals = _totals(terms)
    about = _at_rest(motions, points, totals)
    comparison = differences = None
    if other is not None:
        comparison, differences = _compare(
            motions, about, points, other, totals, radius_mas, match_epoch, other_name
        )
    forecast = forecast_frame(motions, gaia, new_epochs)
    return FrameStudy(
        motions, cut_table(failed), _budget(terms, points), about, comparison, differences, forecast
    )


def _at_rest(motions, points, totals):
    """The catalog about each point, with the frame's errors of motion and position in its errors."""
    first = next(iter(points.values()), None)
    # H25's offsets of all three frames of SgrA* are about one fiducial point
    fiducial = None if first is None or first in RADIO_SGRA.values() else (first.ra, first.dec)
    return {
        name: at_rest_table(
            motions, point, fiducial=fiducial,
            frame_motion_error=totals[0], frame_position_error=totals[1],
        )
        for name, point in points.items()
    }  # fmt: skip


def _totals(terms):
    """(East, North) of motion and position after all terms; 0 where nothing is known."""
    if not terms:
        return (0.0, 0.0), (0.0, 0.0)
    out = []
    for kind in ("motion", "position"):
        total = list(error_budget({str(k): getattr(t, kind) for k, t in enumerate(terms)}).values())[-1][:2]
        out.append(tuple(float(v) for v in np.nan_to_num(total)))
    return tuple(out)


def _point_term(name, point):
    return FrameTerm(
        f"{name} at rest", (point.pmra_error, point.pmdec_error), (point.ra_error, point.dec_error)
    )


def _budget(terms, points):
    """H25 Table 5: a row after each term; of several points each follows the last term."""
    if not terms:
        return None
    rows = []
    chains = [[*terms, _point_term(*p)] for p in points.items()] or [list(terms)]
    for n, chain in enumerate(chains):
        sums = [
            error_budget({str(k): getattr(t, kind) for k, t in enumerate(chain)}).values()
            for kind in ("motion", "position")
        ]
        for term, motion, position in zip(chain, *sums, strict=True):
            if n == 0 or term is chain[-1]:
                rows.append((term.name, *term.motion, *term.position, *motion, *position))
    names = ("step", "step_pmra", "step_pmdec", "step_ra", "step_dec")
    names += ("pmra_error", "pmdec_error", "pm_error", "ra_error", "dec_error", "position_error")
    table = Table(rows=rows, names=names)
    for name in names[1:]:
        table[name].unit = "mas / yr" if "pm" in name else "mas"
    table.meta["errors"] = (
        "after each step, all before it in quadrature; step_*: the step's own (H25 Table 5)"
    )
    return table


def _compare(motions, about, points, other, totals, radius_mas, epoch, name):
    """H25 Table 6 and Fig. 7."""
    if {"x", "y", "vx", "vy"} <= set(other.colnames):
        if not about:
            raise ParameterError(
                f"{name}: offsets from an object at rest, and none given", "the object", "give --at-rest"
            )
        second = LinearMotions.at_rest(other)
        pairs = {k: (LinearMotions.at_rest(t), points[k]) for k, t in about.items()}
    else:
        plane = TangentPlane(*sky_middle(values(motions, "ra"), values(motions, "dec")))
        second = LinearMotions.on_sky(other, plane)
        pairs = {"sky": (LinearMotions.on_sky(motions, plane), None)}
    rows, differences = [], None
    for label, (first, point) in pairs.items():
        i, j, d, e, bias = compare_motions_of(first, second, radius_mas=radius_mas, epoch=epoch)
        if bias is None:
            continue
        if differences is None:
            differences = _star_by_star(motions, other, i, j, d, e, bias.epoch)
        rows.append(_row(label, bias, totals, point))
    if not rows:
        return None, None
    table = Table(rows=rows)
    for column in table.colnames:
        kind = column.split("_")[0]
        if kind in ("motion", "position") and not column.endswith(("chi2", "probability", "consistent")):
            table[column].unit = "mas / yr" if kind == "motion" else "mas"
    table["epoch"].unit = "yr"
    table.meta["differences"] = f"catalog − {name}; H25 eq. 10-12, Table 6, §4.2.3"
    table.meta["confidence"] = 0.997
    return table, differences


def _row(label, bias, totals, point):
    row = {"frame": label, "n": bias.n, "epoch": bias.epoch}
    for kind, total in zip(("motion", "position"), totals, strict=True):
        difference, own = getattr(bias, kind), getattr(bias, f"{kind}_error")
        extra = np.zeros(2)
        if point is not None and kind == "motion":
            extra = np.array([point.pmra_error, point.pmdec_error])
        elif point is not None:
            extra = np.array([point.ra_error, point.dec_error])
        error = np.sqrt(own**2 + np.square(total) + extra**2)
        test = joint_test(difference, error)
        row |= {
            f"{kind}_x": difference[0], f"{kind}_y": difference[1],
            f"{kind}_x_error": error[0], f"{kind}_y_error": error[1],
            f"{kind}_x_measured": own[0], f"{kind}_y_measured": own[1],
            f"{kind}_within": test.total_error, f"{kind}_limit": test.radius,
            f"{kind}_chi2": test.chi2, f"{kind}_probability": test.probability,
            f"{kind}_consistent": test.consistent,
        }  # fmt: skip
    return row


def _star_by_star(motions, other, i, j, difference, error, epoch):
    names = ("position_x", "position_y", "motion_x", "motion_y")
    out = Table({"id": motions["id"][i], "row": j}, meta={"epoch": float(epoch)})
    label = next((c for c in ("name", "id") if c in other.colnames), None)
    if label:
        out["name"] = np.asarray(other[label])[j].astype(str)
    for k, name in enumerate(names):
        out[name], out[f"{name}_error"] = difference[:, k], error[:, k]
        out[name].unit = out[f"{name}_error"].unit = "mas" if k < 2 else "mas / yr"
    out["ref_epoch"] = row_epochs(motions)[i]
    return out
