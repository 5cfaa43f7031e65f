"""Self-calibration: the exposures against each other; what they cannot determine is named (Methods §2)."""

import logging
from dataclasses import replace

import numpy as np
from astropy.table import Table

from jwst_hpastrom.columns import values
from jwst_hpastrom.distortion.model.ideal import IdealPlane
from jwst_hpastrom.distortion.solve.design import Layout
from jwst_hpastrom.distortion.solve.iterative import solve_polynomial
from jwst_hpastrom.distortion.solve.joint import solve_joint, starting_transforms
from jwst_hpastrom.distortion.solve.matching import match_reference
from jwst_hpastrom.distortion.solve.pairs import select_stars
from jwst_hpastrom.distortion.solve.problem import MATRICES, Problem
from jwst_hpastrom.errors import DegenerateSolutionError, MissingDataError, NotEnoughStarsError
from jwst_hpastrom.geometry import TangentPlane, match_nearest, sky_middle

__all__ = ["common_list", "self_memory", "solve_self", "undetermined_terms", "with_motions"]

#: years between exposures from which the stars' motions are unknowns
APART = 0.08
#: largest error of a change of scale or skew, pixels at the edge a year, that is no reason to do without: a
#: change that the epochs do not tell would take the skew itself with it
TOLD = 0.01
#: first guess of their dispersion about the common motion, arcsec/yr; the solution finds it
MOTION = 0.3e-3

#: bytes of memory for each measurement of a star (1030 were measured)
ROW = 1100.0
#: increment of the polynomial that the solution starts from, pixels: stars that move keep it from less
START = 0.01

log = logging.getLogger("stpipe.hpastrom.distortion")


def self_memory(n_measurements, n_exposures, n_cells):
    """Return the bytes of memory that `solve_self` takes at most, its equations included."""
    unknowns = Layout(9, n_cells, n_exposures, True, (1, 1), True).n
    return ROW * n_measurements + MATRICES * 8.0 * unknowns**2


def common_list(star_lists, *, qfit_max=0.1, error_max=0.05, match_radius=0.3):
    """Merge star lists into one list of stars by their WCS positions.

    Parameters
    ----------
    star_lists : list of `~astropy.table.Table`
        With ``ra dec``, pointing keywords in meta; the exposures' WCS agree to ``match_radius``.

    qfit_max, error_max
        Selection, see `~jwst_hpastrom.distortion.select_stars`.

    match_radius : float
        Arcsec.

    Returns
    -------
    `~astropy.table.Table`
        ra, dec, mag of stars seen at least twice: mean positions through the exposures' WCS.
    """
    for t in star_lists:
        if "ra" not in t.colnames:
            raise MissingDataError(
                "a star list without ra and dec", "sky positions through the exposure's WCS",
                file=t.meta.get("filename"),
            )  # fmt: skip
    plane = TangentPlane(
        *sky_middle(*(np.concatenate([values(t, c) for t in star_lists]) for c in ("ra", "dec")))
    )
    x, y, mag, n = (np.zeros(0) for _ in range(4))
    for t in star_lists:
        k = select_stars(t, qfit_max=qfit_max, error_max=error_max)
        k &= np.isfinite(np.asarray(t["ra"], float))
        u, v = plane.from_sky(np.asarray(t["ra"], float)[k], np.asarray(t["dec"], float)[k])
        m = np.asarray(t["mag"], float)[k] if "mag" in t.colnames else np.full(u.size, np.nan)
        i, j, _ = match_nearest(u, v, x, y, match_radius)
        for old, new in ((x, u), (y, v)):
            old[j] += (new[i] - old[j]) / (n[j] + 1)
        n[j] += 1
        rest = np.setdiff1d(np.arange(u.size), i)
        x, y, mag, n = np.r_[x, u[rest]], np.r_[y, v[rest]], np.r_[mag, m[rest]], np.r_[n, np.ones(rest.size)]
    good = n >= 2
    if good.sum() < 50:
        raise NotEnoughStarsError(
            f"{good.sum()} stars in more than one exposure", "50", "self-calibration needs overlap"
        )
    ra, dec = plane.to_sky(x[good], y[good])
    return Table({"ra": ra, "dec": dec, "mag": mag[good]}, meta={**plane.to_meta(), "epoch": None})


def with_motions(pairs):
    """Pairs whose stars' motions, about what the catalog knows, are unknowns where the epochs are apart.

    Parameters
    ----------
    pairs : `~jwst_hpastrom.distortion.Pairs`

    Returns
    -------
    `~jwst_hpastrom.distortion.Pairs`
    """
    return replace(pairs, motion=MOTION) if np.ptp(pairs.years) > APART else pairs


def _check_times(star_lists):
    """Refuse exposures without a time among others with one: their stars' motions would be noise."""
    epochs = [t.meta.get("epoch") for t in star_lists]
    known = np.array([e is not None and bool(np.isfinite(e)) for e in epochs])
    if known.any() and not known.all():
        k = int(np.argmin(known))
        raise MissingDataError(
            f"epoch {epochs[k]}", "the time of every exposure, or of none", "add meta epoch",
            file=star_lists[k].meta.get("filename"),
        )  # fmt: skip


def undetermined_terms(pairs, correction, *, limit=0.05, store=None):
    """Find combinations of polynomial terms that the exposures do not determine.

    Parameters
    ----------
    pairs : `~jwst_hpastrom.distortion.Pairs`
    correction : `DistortionCorrection`
    limit : float
        Standard error, in pixels at the detector's edge, above which a combination counts as undetermined.
    store : `~jwst_hpastrom.storage.Store`, optional
        Has what is kept of each pair.

    Returns
    -------
    list of (float, dict)
        Standard error of each such combination, and its largest terms with their shares.
    """
    layout = Layout(correction.polynomial.degree, 0, len(pairs.planes), True, correction.shape)
    use = pairs.fitted
    transforms = starting_transforms(pairs, correction, use, True)
    scale = float(np.mean([1 / t.scale for t in transforms]))
    problem = Problem(pairs, correction, transforms, layout, use, scale, store)
    weights = 1.0 / (np.stack([pairs.x_err[problem.use] ** 2, pairs.y_err[problem.use] ** 2]) + 0.005**2)
    matrix = problem.normal(weights, np.full_like(problem.star_variance, 1e-8))
    matrix[np.diag_indices(layout.n)] += 1e-6
    m = layout.n_polynomial
    rest = np.linalg.solve(matrix[m:, m:], matrix[m:, :m])
    information = matrix[:m, :m] - matrix[:m, m:] @ rest
    value, vector = np.linalg.eigh(0.5 * (information + information.T))
    errors = 1.0 / np.sqrt(np.maximum(value, 1e-12))
    names = layout.names()
    out = []
    for k in np.flatnonzero(errors > limit):
        v = vector[:, k]
        order = np.argsort(-np.abs(v))
        out.append((float(errors[k]), {names[i]: float(v[i]) for i in order if abs(v[i]) > 0.25}))
    return out


def solve_self(star_lists, *, rng, degree, gauge, n_cells, shape, matching, store=None, progress=False):
    """Solve polynomial and table from the exposures alone.

    Parameters
    ----------
    star_lists : list of `~astropy.table.Table`
    rng : `numpy.random.Generator`
    degree, gauge, n_cells, shape, progress
        See `~jwst_hpastrom.distortion.solve_distortion`.
    matching : dict
        Parameters of `~jwst_hpastrom.distortion.match_reference`.
    store : `~jwst_hpastrom.storage.Store`, optional
        Has what is kept of each star of each exposure.

    Returns
    -------
    pairs : `Pairs`
    result : `JointResult`

    Raises
    ------
    DegenerateSolutionError
        If there are terms that these exposures cannot determine; it names them.
    """
    if len(star_lists) < 2:
        raise DegenerateSolutionError(
            "one exposure",
            "several, dithered and at several rolls",
            "give more exposures or a reference catalog",
        )
    if not all(IdealPlane(dict(t.meta), (np.nan, np.nan)).has_pointing for t in star_lists):
        raise MissingDataError("star lists without pointing keywords", "v2_ref ... roll_ref in meta")
    _check_times(star_lists)
    merged = common_list(star_lists, qfit_max=matching["qfit_max"], error_max=matching["error_max"])
    pairs = match_reference(star_lists, merged, rng=rng, store=store, **matching)
    pairs = with_motions(pairs)
    start = solve_polynomial(pairs, degree=degree, shape=shape, tolerance=START, progress=progress).correction
    # without the table, which would share the smooth terms with the polynomial
    lost = undetermined_terms(pairs, start, store=store)
    if lost:
        terms = sorted({name for _, parts in lost for name in parts})
        rolls = [float(t.meta["roll_ref"]) for t in star_lists]
        raise DegenerateSolutionError(
            f"{len(star_lists)} exposures within {np.ptp(rolls):.2f} degrees of roll that leave {len(lost)} "
            f"combinations of the terms {', '.join(terms)} undetermined",
            "exposures at several rolls and pointings",
            "add rolls, or use a reference catalog (method=joint)",
        )
    way = {"n_cells": n_cells, "free_stars": True, "gauge": gauge, "n_iterations": 5, "store": store}
    way["progress"] = progress
    result = solve_joint(pairs, start, **way)
    if np.any(result.drift_error > TOLD):
        log.info("these epochs do not determine a change of scale and skew: both are taken as constant")
        result = solve_joint(pairs, start, drift=False, **way)
    if pairs.motion > 0:
        log.info("motions about the common one have a dispersion of %.3f mas/yr", 1e3 * result.motion)
    if result.drift.size:
        log.info(
            "change of scale and skew at the detector's edge: %s ± %s px/yr",
            result.drift.round(5).tolist(), result.drift_error.round(5).tolist(),
        )  # fmt: skip
    return replace(pairs, motion=result.motion), result
