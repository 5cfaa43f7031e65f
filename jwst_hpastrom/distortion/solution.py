"""`solve_distortion`: star lists and a reference become a distortion correction with its quality."""

import logging
from dataclasses import dataclass, field, replace

import numpy as np
from astropy.table import Table

from jwst_hpastrom.distortion.correction import DistortionCorrection
from jwst_hpastrom.distortion.fine_map import build_fine_map
from jwst_hpastrom.distortion.iterative import exposure_transforms, residuals, solve_polynomial
from jwst_hpastrom.distortion.joint import solve_joint
from jwst_hpastrom.distortion.pairs import check_one_filter, match_reference
from jwst_hpastrom.distortion.parts import PolynomialCorrection
from jwst_hpastrom.distortion.pixel_scale import pixel_scale
from jwst_hpastrom.distortion.published import simulated_errors, solve_published
from jwst_hpastrom.distortion.selfcal import solve_self
from jwst_hpastrom.errors import MissingDataError, NotEnoughStarsError, ParameterError
from jwst_hpastrom.geometry import robust_sigma
from jwst_hpastrom.instrument import FRAME, stripes
from jwst_hpastrom.ranges import in_range

__all__ = ["DistortionSolution", "solve_distortion"]

log = logging.getLogger("stpipe.hpastrom.distortion")


@dataclass
class DistortionSolution:
    """A solved distortion and what is known of its quality.

    Attributes
    ----------
    correction : `DistortionCorrection`
        Raw to corrected pixels.

    ladder : `~astropy.table.Table`
        Residuals of stars held out of the fit, before and after each part: stage, n, rms_x, rms_y (against
        the reference: its own errors included) and internal_x, internal_y (about each star's mean over the
        exposures), pixels, 4σ-clipped.

    pixel_scale : `~astropy.table.Table` or None
        See `~jwst_hpastrom.distortion.pixel_scale.pixel_scale`.

    transforms : list of `~jwst_hpastrom.geometry.LinearTransform`
        Each exposure's ideal plane (arcsec) to corrected pixels.

    pairs : `~jwst_hpastrom.distortion.pairs.Pairs`

    residuals : tuple of ndarray
        dx, dy of the pairs with the final correction, pixels.

    cells : dict
        ``"polynomial"`` and ``"table"``: means, errors and counts of the cells.

    method : str

    parameters : dict
        What the solution was made with.

    convergence : dict
        Iterations, last increment (pixels) and whether they converged, of polynomial and table
        (``method="iterative"``).
    """

    correction: DistortionCorrection
    ladder: Table
    pixel_scale: Table | None
    transforms: list
    pairs: object
    residuals: tuple
    cells: dict
    method: str
    parameters: dict = field(default_factory=dict)
    convergence: dict = field(default_factory=dict)

    def __repr__(self):
        return f"<{type(self).__name__} ({self.method}): {len(self.pairs)} pairs, {self.correction!r}>"


def _internal(pairs, transforms, dx, dy, use):
    """Residuals about each star's mean over the exposures, times √(n/(n-1)); NaN for fewer than three."""
    sky = np.empty((2, len(pairs)))
    for e, t in enumerate(transforms):
        k = pairs.exposure == e
        sky[:, k] = np.linalg.solve(t.matrix @ pairs.rotations[e], np.stack([dx[k], dy[k]]))
    n_stars = pairs.held_out.size
    n = np.bincount(pairs.star[use], minlength=n_stars)
    for row in sky:
        mean = np.bincount(pairs.star[use], row[use], n_stars) / np.maximum(n, 1)
        row -= mean[pairs.star]
    out = np.full((2, len(pairs)), np.nan)
    count = n[pairs.star]
    for e, t in enumerate(transforms):
        k = (pairs.exposure == e) & use & (count >= 3)
        out[:, k] = (t.matrix @ pairs.rotations[e]) @ sky[:, k] * np.sqrt(count[k] / (count[k] - 1.0))
    return out


def _clipped_rms(values):
    values = values[np.isfinite(values)]
    if values.size < 3:
        return np.nan
    values = values - np.median(values)
    keep = np.abs(values) <= 4 * robust_sigma(values)
    return float(np.sqrt(np.mean(values[keep] ** 2)))


def held_out_row(stage, pairs, correction):
    """Residuals of the held-out stars at one stage, with transformations by the fitted ones."""
    transforms = exposure_transforms(pairs, correction)
    dx, dy = residuals(pairs, correction, transforms)
    test = ~pairs.fitted
    good = test.copy()
    for r in (dx, dy):
        if test.sum() > 3:
            good &= np.abs(r - np.median(r[test])) <= 5 * robust_sigma(r[test])
    ix, iy = _internal(pairs, transforms, dx, dy, good)
    return (stage, int(test.sum()), *(_clipped_rms(v) for v in (dx[test], dy[test], ix[good], iy[good])))


def make_ladder(rows):
    """Make the table of held-out residuals by stage from the rows of `held_out_row`."""
    names = ("stage", "n", "rms_x", "rms_y", "internal_x", "internal_y")
    table = Table(rows=rows, names=names)
    for name in names[2:]:
        table[name].unit = "pix"
    return table


def _stages(correction):
    empty = PolynomialCorrection(1, np.zeros(2), np.zeros(2))
    shape = correction.shape
    yield "before", DistortionCorrection(empty, shape=shape)
    yield "polynomial", DistortionCorrection(correction.polynomial, shape=shape)
    if correction.table is not None:
        yield "table", replace(correction, pixel_map=None)
    if correction.pixel_map is not None:
        yield "pixel map", correction


@in_range
def solve_distortion(
    star_lists,
    reference=None,
    *,
    method="iterative",
    degree=5,
    gauge="center",
    polynomial_cells=20,
    table_cells=32,
    pixel_map=True,
    n_nearest=50,
    amplifiers=4,
    qfit_max=0.1,
    error_max=0.05,
    max_shift=10.0,
    match_radius=0.1,
    min_stars=50,
    held_out=0.2,
    motion_error=0.3,
    void_lists=(),
    shape=FRAME,
    rng=None,
    executor=None,
    progress=False,
):
    """Solve the geometric distortion of one detector and filter (L23 §4, Methods §2).

    Parameters
    ----------
    star_lists : list of `~astropy.table.Table`
        Star lists of one filter, with ``ra dec`` through the exposures' WCS (good to ``max_shift``).

    reference : `~astropy.table.Table`, optional
        Standard catalog (ra, dec, errors, proper motions, mag; meta epoch). ``method="self"`` does without.

    method : {"iterative", "joint", "self"}
        As published, half step by half step; all at once with the stars' positions as unknowns and the
        catalog as prior; or without a catalog.

    degree : int
        Of the polynomial.

    gauge : {"center", "bb10"}
        Which similarity the polynomial keeps: none at the center, or none along x.

    polynomial_cells : int
        Cells along each axis in which residuals are averaged for the polynomial.

    table_cells : int
        Cells of the look-up table along each axis; 0: no table.

    pixel_map : bool
        Build the map of the finest structure.

    n_nearest : int
        Residuals that each pixel of the map is made from (iterative).

    amplifiers : int
        Amplifiers' stripes, which the map does not average across (joint, self).

    qfit_max : float
        Largest QFIT of the stars used.

    error_max : float
        Largest position error of the stars used, pixels.

    max_shift : float
        Largest pointing error, arcsec.

    match_radius : float
        Radius of the final match, arcsec.

    min_stars : int
        Fewest stars in common of an exposure and the reference.

    held_out : float
        Fraction of the reference stars that take no part in any fit, for the held-out residuals by stage.

    motion_error : float
        Error of unknown proper motions, mas/yr, where the catalog has fewer than five known ones.

    void_lists : sequence of list of `~astropy.table.Table`
        Star lists of other filters, a list per filter, whose residuals join the pixel map.

    shape : tuple of int
        Detector (ny, nx).

    rng : `numpy.random.Generator`, optional
        Draws the held-out stars; by default a generator of seed 0.

    executor : `concurrent.futures.Executor`, optional
        Runs the pixel map's tasks.

    progress : bool
        Show progress bars.

    Returns
    -------
    `DistortionSolution`

    Raises
    ------
    MixedExposuresError
        Star lists of several filters or detectors.

    NoOverlapError, NotEnoughStarsError
        No or too few stars in common, or a zone of the detector without stars.

    DegenerateSolutionError
        ``method="self"`` with exposures that cannot determine the distortion.
    """
    if not (1 <= degree <= 9 and min(polynomial_cells, n_nearest, amplifiers) >= 1 and table_cells >= 0):
        raise ParameterError(
            f"degree={degree}, polynomial_cells={polynomial_cells}, table_cells={table_cells}, "
            f"n_nearest={n_nearest}, amplifiers={amplifiers}",
            "a degree from 1 to 9, no negative table_cells, and 1 or more of the others",
        )
    if not len(star_lists):
        raise NotEnoughStarsError("no star lists", "at least one exposure")
    if reference is None and method != "self":
        raise MissingDataError(
            "no reference catalog", f"one for method={method}", "give one, or use method=self"
        )
    rng = np.random.default_rng(0) if rng is None else rng
    one = {
        "degree": degree, "gauge": gauge, "polynomial_cells": polynomial_cells,
        "table_cells": table_cells, "shape": shape, "progress": progress,
    }  # fmt: skip
    matching = {
        "qfit_max": qfit_max, "error_max": error_max, "max_shift": max_shift, "match_radius": match_radius,
        "min_stars": min_stars, "held_out": held_out, "motion_error": motion_error,
    }  # fmt: skip
    check_one_filter(star_lists)
    filters = [star_lists, *(void_lists if pixel_map else ())]
    for other in filters[1:]:
        check_one_filter(other)
    if method == "iterative":
        pairs = [match_reference(lists, reference, rng=rng, **matching) for lists in filters]
        way = {**one, "pixel_map": pixel_map, "n_nearest": n_nearest, "executor": executor}
        solved, correction = solve_published(pairs, **way)
        cells, convergence = solved[0].cells, solved[0].convergence
        quick = {**way, "map_step": 4, "progress": False}
        errors = simulated_errors(solved, correction, lambda drawn: solve_published(drawn, **quick)[1], rng)
    else:
        ways = {**one, "method": method}
        solved = [_solve_jointly(lists, reference, matching, ways, rng) for lists in filters]
        pairs, correction, cells = [p for p, _ in solved], solved[0][1].correction, {}
        errors, convergence = None, {}
        if pixel_map:
            axis = stripes(pairs[0].metas[0])
            found, errors = build_fine_map(
                solved, bands=amplifiers if axis else 1, axis=axis or "y", prior=method != "self", rng=rng,
                progress=progress,
            )  # fmt: skip
            correction = replace(correction, pixel_map=found)
    correction = replace(correction, uncertainty=errors)
    pairs = pairs[0]
    transforms = exposure_transforms(pairs, correction)
    dx, dy = residuals(pairs, correction, transforms)
    ladder = make_ladder([held_out_row(s, pairs, c) for s, c in _stages(correction)]) if held_out else None
    for row in ladder if ladder is not None else ():
        log.info(
            "held-out stars, %s: %.4f %.4f px against the reference, %.4f %.4f px among the exposures",
            row["stage"], *(row[c] for c in ladder.colnames[2:]),
        )  # fmt: skip
    return DistortionSolution(
        correction=correction,
        ladder=ladder,
        pixel_scale=None
        if reference is None
        else pixel_scale(pairs, correction, transforms, dx, dy, degree=degree),
        transforms=transforms,
        pairs=pairs,
        residuals=(dx, dy),
        cells=cells,
        method=method,
        convergence=convergence,
        parameters={
            **one,
            **matching,
            "method": method,
            "n_nearest": n_nearest,
            "n_filters": 1 + len(void_lists),
        },
    )


def _solve_jointly(star_lists, reference, matching, one, rng):
    """Pairs and joint solution of one filter."""
    if one["method"] == "self":
        return solve_self(
            star_lists, rng=rng, degree=one["degree"], gauge=one["gauge"], n_cells=one["table_cells"],
            shape=one["shape"], matching=matching, progress=one["progress"],
        )  # fmt: skip
    pairs = match_reference(star_lists, reference, rng=rng, **matching)
    start = solve_polynomial(
        pairs,
        n_cells=one["polynomial_cells"],
        **{k: one[k] for k in ("degree", "gauge", "shape", "progress")},
    )
    joint = solve_joint(
        pairs, start.correction, n_cells=one["table_cells"], gauge=one["gauge"], progress=one["progress"]
    )
    return pairs, joint
