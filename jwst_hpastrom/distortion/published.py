"""The published solution of one or several filters, and its errors from a simulation of itself (L23 §4)."""

import logging
from dataclasses import dataclass, replace

import numpy as np
from scipy.ndimage import map_coordinates

from jwst_hpastrom.distortion.model.correction import DistortionCorrection
from jwst_hpastrom.distortion.model.error_model import ErrorModel
from jwst_hpastrom.distortion.model.parts import PixelMapCorrection
from jwst_hpastrom.distortion.pixelmap.held_out import NeighborResiduals, fit_structure, held_out_frame
from jwst_hpastrom.distortion.pixelmap.pixel_map import build_pixel_map
from jwst_hpastrom.distortion.solve.iterative import (
    exposure_transforms,
    residuals,
    solve_polynomial,
    solve_table,
)
from jwst_hpastrom.distortion.solve.joint import excess_variance
from jwst_hpastrom.distortion.solve.star_frame import star_frame
from jwst_hpastrom.errors import DegenerateSolutionError
from jwst_hpastrom.geometry import robust_sigma

log = logging.getLogger("stpipe.hpastrom.distortion")
__all__ = ["Published", "simulated_errors", "simulated_pairs", "solve_published"]


@dataclass
class Published:
    """Polynomial and table of one filter.

    Attributes
    ----------
    pairs : `~jwst_hpastrom.distortion.Pairs`
    correction : `DistortionCorrection`
        Without the pixel map.
    cells : dict
        Means, errors and counts of the cells of ``"polynomial"`` and ``"table"``.
    convergence : dict
        Of either part: ``<part>_iterations``, ``<part>_increment_px`` and ``<part>_converged``.
    """

    pairs: object
    correction: DistortionCorrection
    cells: dict
    convergence: dict


def solve_published(pairs, model, *, n_nearest, map_step=1, executor=None, progress=False):
    """Solve every filter by half steps, and the pixel map from the residuals of all.

    Parameters
    ----------
    pairs : list of `~jwst_hpastrom.distortion.Pairs`
        One per filter; the first is the one that the correction is for.
    model : `~jwst_hpastrom.distortion.solve.settings.Model`
    n_nearest : int
        Residuals that each pixel of the map is made from, 0 for no map.
    executor, progress
        See `~jwst_hpastrom.distortion.solve_distortion`.
    map_step : int
        Pixels, along each axis, that share a value of the pixel map: simulations need no more.

    Returns
    -------
    solved : list of `Published`
    correction : `DistortionCorrection`
        Of the first filter, with the pixel map.
    """
    shape = model.shape
    common = {"degree": model.degree, "gauge": model.gauge, "shape": shape, "progress": progress}
    solved = []
    for p in pairs if n_nearest else pairs[:1]:
        first = solve_polynomial(p, n_cells=model.polynomial_cells, **common)
        correction, cells, parts = first.correction, {"polynomial": first.cells}, {"polynomial": first}
        if model.table_cells:
            second = solve_table(p, correction, n_cells=model.table_cells, progress=progress)
            correction, cells["table"], parts["table"] = second.correction, second.cells, second
        convergence = {}
        for name, part in parts.items():
            convergence[f"{name}_iterations"] = int(part.iterations)
            convergence[f"{name}_increment_px"] = float(part.increment)
            convergence[f"{name}_converged"] = bool(part.converged)
        solved.append(Published(p, correction, cells, convergence))
    correction = solved[0].correction
    if n_nearest:
        samples = [np.concatenate(v) for v in zip(*map(_map_samples, solved), strict=True)]
        step = map_step if shape[0] % map_step == shape[1] % map_step == 0 else 1
        x, y = ((v + 0.5) / step - 0.5 for v in samples[:2])
        found = build_pixel_map(
            x, y, *samples[2:], n_nearest=n_nearest, shape=(shape[0] // step, shape[1] // step),
            executor=executor, progress=progress,
        )  # fmt: skip
        if step > 1:
            found = PixelMapCorrection(found.data.repeat(step, 0).repeat(step, 1))
        correction = replace(correction, pixel_map=found)
    return solved, correction


def _good(pairs, r):
    """Fitted pairs whose residuals (2, n) are no outliers."""
    k = pairs.fitted
    return k & (np.max([np.abs(v - np.median(v[k])) / robust_sigma(v[k]) for v in r], 0) < 5)


def _map_samples(result):
    """Residuals for the published map, about the stars' positions averaged over exposures and catalog.

    L23 does not say which; against the catalog alone, its own errors (one star is in every exposure) would
    be the map's.
    """
    pairs = result.pairs
    transforms = exposure_transforms(pairs, result.correction)
    r = np.stack(residuals(pairs, result.correction, transforms))
    good = _good(pairs, r)
    frame = star_frame(pairs, transforms, good)
    dx, dy = frame.about(r)
    return pairs.x[good], pairs.y[good], dx[good], dy[good]


def simulated_pairs(pairs, correction, rng):
    """Pairs of the same stars and exposures, whose distortion is the given correction.

    Parameters
    ----------
    pairs : `~jwst_hpastrom.distortion.Pairs`
    correction : `DistortionCorrection`
    rng : `numpy.random.Generator` or None
        Draws the errors of catalog and measurements; what the residuals show beyond the latter counts too.
        None: there are none.

    Returns
    -------
    `~jwst_hpastrom.distortion.Pairs`
    """
    transforms = exposure_transforms(pairs, correction)
    corrected, moved = np.stack(correction.forward(pairs.x, pairs.y)), np.zeros_like(pairs.sigma)
    if rng is not None:
        r = np.stack(residuals(pairs, correction, transforms))
        good = _good(pairs, r)
        frame = star_frame(pairs, transforms, good)
        left = frame.about(r)[:, good]
        left /= np.sqrt(np.clip(1 - frame.share[good], 0.1, 1))
        variance = np.stack([pairs.x_err**2, pairs.y_err**2])
        variance = variance + excess_variance(left, variance[:, good])
        typical = np.nanmedian(pairs.sigma) if np.isfinite(pairs.sigma).any() else 0.0
        sigma = np.where(np.isfinite(pairs.sigma), pairs.sigma, typical)
        moved = rng.normal(size=sigma.shape) * sigma
        corrected = corrected + rng.normal(size=variance.shape) * np.sqrt(variance)
    u, v = np.empty(len(pairs)), np.empty(len(pairs))
    for e, (k, t) in enumerate(zip(pairs.by_exposure, transforms, strict=True)):
        d = pairs.rotations[e] @ moved[pairs.star[k]].T
        a, b = t.inverse(*corrected[:, k])
        u[k], v[k] = a + d[0], b + d[1]
    return replace(pairs, u=u, v=v)


def simulated_errors(solved, correction, solve, rng, *, n_samples=1, spacing=8):
    """Errors of a solution: the whole way once more on simulated pairs of a known distortion.

    The known distortion is the solution, sharpened: cells and medians have smoothed it, and solved for again,
    without noise, it loses about as much as the true one has lost; that is added (Tukey's twicing). What is
    finer still is added to the errors from what neighboring held-out stars have in common beyond the
    simulated ones, axis by axis: the borders of amplifiers bend one of them only.

    Parameters
    ----------
    solved : list of `Published`
    correction : `DistortionCorrection`
        Of the first filter.
    solve : callable
        List of pairs -> correction of the first filter.
    rng : `numpy.random.Generator`
    n_samples : int
    spacing : int
        Pixels between the points at which the errors are taken.

    Returns
    -------
    `ErrorModel`

    Raises
    ------
    DegenerateSolutionError
        The simulated solution is not finite.
    """
    ny, nx = correction.shape
    along = [np.arange(n // spacing) * spacing + 0.5 * (spacing - 1) for n in (nx, ny)]
    x, y = np.meshgrid(*along)

    def drawn_from(pixel_map, rng):
        true = (replace(s.correction, pixel_map=pixel_map) for s in solved)
        return solve([simulated_pairs(s.pairs, c, rng) for s, c in zip(solved, true, strict=True)])

    again = drawn_from(correction.pixel_map, None)
    lost = np.stack(correction.forward(x, y)) - np.stack(again.forward(x, y))
    places = np.meshgrid(*((np.arange(n) + 0.5) / spacing - 0.5 for n in (ny, nx)), indexing="ij")
    data = np.stack([map_coordinates(v, places, order=3, mode="nearest") for v in lost], -1)
    if correction.pixel_map is not None:
        data += correction.pixel_map.data
    true = replace(correction, pixel_map=PixelMapCorrection(data.astype(np.float32)))
    here, there = (np.stack(true.forward(*at)) for at in ((x, y), (solved[0].pairs.x, solved[0].pairs.y)))
    pairs = solved[0].pairs
    transforms = exposure_transforms(pairs, correction)
    r = np.stack(residuals(pairs, correction, transforms))
    test = NeighborResiduals(held_out_frame(pairs, transforms, r))
    samples, drawn = [], []
    for _ in range(n_samples):
        found = drawn_from(true.pixel_map, rng)
        samples.append(np.stack(found.forward(x, y)) - here)
        drawn.append(test.products(np.stack(found.forward(pairs.x, pairs.y)) - there))
    # cells of the table are few: neighbors within some of them are averaged
    edge = 0.0 if correction.table is None else 0.5 * min(ny, nx) / correction.table.dx.shape[0]
    errors = ErrorModel.from_samples(
        np.array(samples), correction.shape, smooth=0.09 * min(ny, nx), edge=edge,
        spacing=min(32.0, edge or 32.0),
    )  # fmt: skip
    if not np.isfinite(errors.variance).all():
        raise DegenerateSolutionError(
            f"errors that are no numbers at {np.mean(~np.isfinite(errors.variance)):.0%} of the detector",
            "a solution that can be repeated on simulated stars",
            "add stars or exposures, take fewer table_cells or a lower degree, or use method=joint",
        )
    seen = test.products(r)
    if seen is None:
        return errors
    distance, product, weight = seen
    structure, length = fit_structure(distance, product - np.mean([d[1] for d in drawn], axis=0), weight)
    log.info(
        "structure finer than the parts: variances %.2e %.2e px² of %.2e, reach %.0f px",
        *structure, errors.variance.mean(), length,
    )  # fmt: skip
    return errors.with_structure(structure, length)
