"""`solve_distortion`: star lists and a reference become a distortion correction with its quality."""

import logging
from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from astropy.table import Table

from jwst_hpastrom._display import Displayed
from jwst_hpastrom.configuration import configured
from jwst_hpastrom.distortion.model.correction import DistortionCorrection
from jwst_hpastrom.distortion.model.parts import PolynomialCorrection
from jwst_hpastrom.distortion.pixelmap.fine_map import build_fine_map
from jwst_hpastrom.distortion.products.pixel_scale import pixel_scale
from jwst_hpastrom.distortion.published import simulated_errors, solve_published
from jwst_hpastrom.distortion.solve.iterative import exposure_transforms, residuals, solve_polynomial
from jwst_hpastrom.distortion.solve.joint import solve_joint
from jwst_hpastrom.distortion.solve.matching import match_most
from jwst_hpastrom.distortion.solve.pairs import Pairs, check_one_filter
from jwst_hpastrom.distortion.solve.selfcal import self_memory, solve_self, with_motions
from jwst_hpastrom.distortion.solve.settings import DistortionConfig
from jwst_hpastrom.errors import MissingDataError, NotEnoughStarsError, ParameterError
from jwst_hpastrom.geometry import check_no_list_twice, robust_sigma
from jwst_hpastrom.instrument import outputs, stripes
from jwst_hpastrom.numerics.threads import in_halves
from jwst_hpastrom.storage import Store
from jwst_hpastrom.tables import as_inputs

__all__ = ["DistortionSolution", "solve_distortion"]

log = logging.getLogger("stpipe.hpastrom.distortion")

#: bytes of memory that the pixel map takes, and for each pair (450 MB and 740 bytes were measured)
MAP, MAP_PAIR = 0.5e9, 800.0
#: the same of the iterative solution, its map included (360 MB and 430 bytes)
ITERATIVE, ITERATIVE_PAIR = 0.4e9, 500.0


@dataclass
class DistortionSolution(Displayed):
    """A solved distortion and what is known of its quality.

    Attributes
    ----------
    correction : `DistortionCorrection`
        Raw to corrected pixels.

    stages : `~astropy.table.Table`
        Residuals of stars held out of the fit, before and after each part: stage, n, rms_x, rms_y (against
        the reference: its own errors included) and internal_x, internal_y (about each star's mean over the
        exposures), pixels, 4σ-clipped.

    pixel_scale : `~astropy.table.Table` or None
        See `~jwst_hpastrom.distortion.pixel_scale`.

    transforms : list of `~jwst_hpastrom.geometry.LinearTransform`
        Each exposure's ideal plane (arcsec) to corrected pixels.

    pairs : `~jwst_hpastrom.distortion.Pairs`

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

    drift : dict
        Changes a year with their errors, of exposures of several epochs (``method="self"``): ``scale_change``
        (relative), ``skew_change`` (a_10 - b_01 and a_01 + b_10, pixels at the detector's edge), of
        the corrected positions about the detector's center. The correction is that of the exposures' mean
        time.
    """

    correction: DistortionCorrection
    stages: Table
    pixel_scale: Table | None
    transforms: list
    pairs: object
    residuals: tuple
    cells: dict
    method: str
    parameters: dict = field(default_factory=dict)
    convergence: dict = field(default_factory=dict)
    drift: dict = field(default_factory=dict)

    def __repr__(self):
        return f"<{type(self).__name__} ({self.method}): {len(self.pairs)} pairs, {self.correction!r}>"

    def plot(self, ax: Any = None) -> Any:
        """Draw the correction, see `jwst_hpastrom.plot.distortion_arrows`."""
        return self.correction.plot(ax)


def _internal(pairs, transforms, dx, dy, use):
    """Residuals about each star's mean over the exposures, times √(n/(n-1)); NaN for fewer than three."""
    sky = np.empty((2, len(pairs)))
    for e, (k, t) in enumerate(zip(pairs.by_exposure, transforms, strict=True)):
        sky[:, k] = np.linalg.solve(t.matrix @ pairs.rotations[e], np.stack([dx[k], dy[k]]))
    n_stars = pairs.held_out.size
    n = np.bincount(pairs.star[use], minlength=n_stars)
    for row in sky:
        mean = np.bincount(pairs.star[use], row[use], n_stars) / np.maximum(n, 1)
        row -= mean[pairs.star]
    out = np.full((2, len(pairs)), np.nan)
    count = n[pairs.star]
    use = use & (count >= 3)
    for e, (k, t) in enumerate(zip(pairs.by_exposure, transforms, strict=True)):
        k = k[use[k]]
        out[:, k] = (t.matrix @ pairs.rotations[e]) @ sky[:, k] * np.sqrt(count[k] / (count[k] - 1.0))
    return out


def _clipped_rms(values):
    values = values[np.isfinite(values)]
    if values.size < 3:
        return np.nan
    values = values - np.median(values)
    keep = np.abs(values) <= 4 * robust_sigma(values)
    return float(np.sqrt(np.mean(values[keep] ** 2)))


def held_out_row(stage: str, pairs: Pairs, correction: DistortionCorrection) -> tuple[Any, ...]:
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


def stage_table(rows: list[tuple[Any, ...]]) -> Table:
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


@configured(DistortionConfig)
def solve_distortion(
    star_lists: list[Table],
    reference: Table | None = None,
    *,
    config: DistortionConfig,
    void_lists: Sequence[list[Table]] = (),
    rng: np.random.Generator | None = None,
    executor: Executor | None = None,
    store: Store | None = None,
    progress: bool = False,
) -> DistortionSolution:
    """Solve the geometric distortion of one detector and filter (L23 §4, Methods §2).

    Parameters
    ----------
    star_lists : list of `~astropy.table.Table`
        Star lists of one filter, with ``ra dec`` through the exposures' WCS (good to ``max_shift``).

    reference : `~astropy.table.Table`, optional
        Standard catalog (ra, dec, errors, proper motions, mag; meta epoch). ``method="self"`` does without.

    {options}

    void_lists : sequence of list of `~astropy.table.Table`
        Star lists of other filters, a list per filter, whose residuals join the pixel map.

    rng : `numpy.random.Generator`, optional
        Draws the held-out stars; by default a generator of seed 0.

    executor : `concurrent.futures.Executor`, optional
        Runs the pixel map's tasks.

    store : `~jwst_hpastrom.storage.Store`, optional
        Has what is kept of each star of each exposure, of ``method="joint"``: in memory as far as its budget
        goes, the rest in files. The result is the same.

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
    star_lists, reference = as_inputs(star_lists, reference)
    _check(star_lists, reference, config)
    rng = np.random.default_rng(0) if rng is None else rng
    filters = [star_lists, *(void_lists if config.pixel_map else ())]
    for lists in filters:
        check_one_filter(lists)
        check_no_list_twice(lists)
    drift: dict[str, Any] = {}
    if config.method == "iterative":
        pairs, correction, cells, convergence = _as_published(
            filters, reference, config, rng, store, executor=executor, progress=progress
        )
    else:
        known = reference if config.method == "joint" else None
        cells, convergence = {}, {}
        pairs, correction, drift = _jointly(filters, known, config, rng, store, progress)
    parameters = {
        **config.model.keywords(), "progress": progress, **config.matching.keywords(),
        "method": config.method, "n_nearest": config.n_nearest, "n_filters": 1 + len(void_lists),
    }  # fmt: skip
    found = {"cells": cells, "method": config.method, "convergence": convergence, "drift": drift}
    return _judged(pairs, correction, config, reference is not None, parameters=parameters, **found)


def _judged(pairs, correction, config, has_reference, **found):
    """The solution with what is known of its quality: residuals, held-out stars, pixel scale."""
    transforms = exposure_transforms(pairs, correction)
    dx, dy = residuals(pairs, correction, transforms)
    scale = None
    if has_reference:
        scale = pixel_scale(pairs, correction, transforms, dx, dy, degree=config.model.degree)
    stages = _held_out_stages(pairs, correction) if config.matching.held_out else None
    return DistortionSolution(correction, stages, scale, transforms, pairs, (dx, dy), **found)


def _check(star_lists, reference, config):
    """Raise where a parameter makes no sense or something is missing."""
    model, method, n_nearest, amplifiers = config.model, config.method, config.n_nearest, config.amplifiers
    degree, cells, table_cells = model.degree, model.polynomial_cells, model.table_cells
    if not (1 <= degree <= 9 and min(cells, n_nearest, amplifiers) >= 1 and table_cells >= 0):
        raise ParameterError(
            f"degree={degree}, polynomial_cells={cells}, table_cells={table_cells}, "
            f"n_nearest={n_nearest}, amplifiers={amplifiers}",
            "a degree from 1 to 9, no negative table_cells, and 1 or more of the others",
        )
    if not len(star_lists):
        raise NotEnoughStarsError("no star lists", "at least one exposure")
    if reference is None and method != "self":
        raise MissingDataError(
            "no reference catalog", f"one for method={method}", "give one, or use method=self"
        )


def _as_published(filters, reference, config, rng, store, **way):
    """Half step by half step: pairs of the first filter, correction with its errors, cells, convergence."""
    matching = config.matching
    pairs = [match_most(lists, reference, rng=rng, config=matching, store=store) for lists in filters]
    n_nearest = config.n_nearest if config.pixel_map else 0
    if store is not None:
        number = sum(map(len, pairs))
        store.require(ITERATIVE + ITERATIVE_PAIR * number, f"the solution of {number} stars in all exposures")
    solved, correction = solve_published(pairs, config.model, n_nearest=n_nearest, **way)
    quick = {**way, "n_nearest": n_nearest, "map_step": 4, "progress": False}

    def solve(drawn):
        return solve_published(drawn, config.model, **quick)[1]

    errors = simulated_errors(solved, correction, solve, rng)
    return pairs[0], replace(correction, uncertainty=errors), solved[0].cells, solved[0].convergence


def _jointly(filters, reference, config, rng, store, progress):
    """With the stars as unknowns: pairs of the first filter, correction with its errors, change with time."""
    solved = [_one_filter(lists, reference, config, rng, store, progress) for lists in filters]
    pairs, correction, errors = solved[0][0], solved[0][1].correction, None
    if config.pixel_map:
        axis = stripes(pairs.metas[0])
        several = axis and max(map(outputs, pairs.metas)) > 1  # what any exposure has a border at, has one
        found, errors = build_fine_map(
            solved, bands=config.amplifiers if several else 1, axis=axis or "y", prior=reference is not None,
            rng=rng, progress=progress,
        )  # fmt: skip
        correction = replace(correction, pixel_map=found)
    return pairs, replace(correction, uncertainty=errors), _yearly(solved[0][1])


def _yearly(result):
    """`DistortionSolution.drift` of a joint solution."""
    if not result.drift.size:
        return {}
    half = result.layout.half_width
    return {
        "scale_change": float(result.drift[0] / half), "skew_change": result.drift[1:].tolist(),
        "scale_change_error": float(result.drift_error[0] / half),
        "skew_change_error": result.drift_error[1:].tolist(),
    }  # fmt: skip


def _one_filter(star_lists, reference, config, rng, store, progress):
    """Pairs and joint solution of one filter; without a reference the exposures against each other."""
    model, matching = config.model, config.matching
    one = {"degree": model.degree, "gauge": model.gauge, "shape": model.shape, "progress": progress}
    if reference is None:
        if store is not None:
            number = sum(map(len, star_lists))
            work = self_memory(number, len(star_lists), model.table_cells) + MAP * config.pixel_map
            store.require(work, f"the self-calibration of {number} stars in all exposures")
        one |= {"rng": rng, "matching": matching.keywords(), "store": store}
        return solve_self(star_lists, n_cells=model.table_cells, **one)
    pairs = with_motions(match_most(star_lists, reference, rng=rng, config=matching, store=store))
    if store is not None and config.pixel_map:
        store.require(MAP + MAP_PAIR * len(pairs), f"the pixel map of {len(pairs)} stars in all exposures")
    start = solve_polynomial(pairs, n_cells=model.polynomial_cells, **one)
    joint = solve_joint(
        pairs, start.correction, n_cells=model.table_cells, gauge=model.gauge, store=store, progress=progress
    )
    return replace(pairs, motion=joint.motion), joint


def _held_out_stages(pairs, correction):
    """Held-out residuals by stage, told to the log too."""

    def rows(stages):
        return [held_out_row(s, pairs, c) for s, c in stages]

    first, others = in_halves(rows, list(_stages(correction)))
    table = stage_table(first + others)
    for row in table:
        log.info(
            "held-out stars, %s: %.4f %.4f px against the reference, %.4f %.4f px among the exposures",
            row["stage"], *(row[c] for c in table.colnames[2:]),
        )  # fmt: skip
    return table
