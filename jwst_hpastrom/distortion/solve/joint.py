"""One sparse weighted least-squares problem: distortion, exposures and the stars' own positions (Methods §2).

The stars' blocks are eliminated (Schur complement), the rest is solved by Cholesky's method, so that
the full covariance comes with it. The catalog is a prior on the stars' positions; without one
(self-calibration) the stars are free and the exposures share one scale; over several epochs they move, each
by a motion of its own about the common one, with a dispersion that is found, too, and the detector's
scale and skew change at a steady rate.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import NamedTuple

import numpy as np
from scipy.linalg import cho_factor, cho_solve, lapack
from tqdm.auto import tqdm

from jwst_hpastrom.distortion.model.correction import DistortionCorrection
from jwst_hpastrom.distortion.model.parts import PolynomialCorrection, TableCorrection, table_nodes
from jwst_hpastrom.distortion.solve.design import Layout, distortion_rows
from jwst_hpastrom.distortion.solve.iterative import fit_exposures, fix_gauge
from jwst_hpastrom.distortion.solve.problem import Problem
from jwst_hpastrom.distortion.solve.table_prior import TablePrior
from jwst_hpastrom.geometry import LinearTransform, fit_linear
from jwst_hpastrom.numerics import cell_index, robust_sigma
from jwst_hpastrom.numerics.threads import at_once
from jwst_hpastrom.storage import Store

__all__ = ["JointResult", "excess_variance", "solve_joint", "tukey"]

log = logging.getLogger("stpipe.hpastrom.distortion")
TUKEY = 4.685  # standard deviations: 95 % efficiency for normal errors


@dataclass
class JointResult:
    """Solution of the joint problem.

    Attributes
    ----------
    correction : `DistortionCorrection`
        Polynomial and table, with covariance and errors.
    transforms : list of `LinearTransform`
        Ideal plane (arcsec) to corrected pixels.
    displacement : ndarray, shape (n_stars, 2)
        Stars' positions minus the catalog's, pixels along xi and eta.
    motion : float
        Dispersion of the stars' motions, arcsec/yr; 0 where they are no unknowns.
    noise : float
        Noise per axis beyond the stated errors that the residuals call for, pixels.
    weights : tuple of ndarray
        Final weights of the pairs' x and y, 0 where rejected.
    covariance : ndarray
        Of polynomial and table.
    layout : `Layout`
    response : callable
        Unknowns but the stars' that residuals (2, n) of the problem's pairs are solved to.
    problem : `Problem`
    drift, drift_error : ndarray, shape (3,)
        Yearly changes of scale, a_10 - b_01 and a_01 + b_10, pixels at the detector's edge, about the
        exposures' mean time; empty where they are no unknowns.
    """

    correction: DistortionCorrection
    transforms: list
    displacement: np.ndarray
    motion: float
    noise: float
    weights: tuple
    covariance: np.ndarray
    layout: Layout
    response: Callable
    problem: Problem
    drift: np.ndarray = field(default_factory=lambda: np.zeros(0))
    drift_error: np.ndarray = field(default_factory=lambda: np.zeros(0))

    def of_errors(self, r):
        """Solve for nothing but errors.

        Parameters
        ----------
        r : ndarray, shape (2, n)
            Errors of all pairs (catalog minus corrected position), pixels.

        Returns
        -------
        correction : `DistortionCorrection`
            Polynomial and table that come out too much.
        moved : ndarray, shape (2, n)
            What the exposures' transformations take of the fitted pairs' errors; zero for the others.
        """
        problem, layout = self.problem, self.layout
        theta = self.response(r[:, problem.use])
        base = self.correction.polynomial
        polynomial = replace(base, **dict(zip("ab", layout.coefficients(theta), strict=True)))
        table = None
        if layout.n_cells:
            table = TableCorrection(*layout.tables(theta), shape=layout.shape)
        moved = np.zeros_like(r)
        own = np.where(np.arange(layout.n) < layout.n_distortion, 0.0, theta)
        moved[:, problem.use] = problem.of_unknowns(own)
        return DistortionCorrection(polynomial, table, shape=layout.shape), moved


def _inverse(factor, n):
    """First n rows and columns of the inverse of a matrix from its Cholesky factor."""
    inverse, info = lapack.dpotri(factor[0], lower=factor[1])
    if info:
        raise np.linalg.LinAlgError(f"dpotri: {info}")
    inverse = inverse[:n, :n]
    return np.tril(inverse) + np.tril(inverse, -1).T


def excess_variance(left, variance, brightest=0.3):
    """Variance of residuals beyond the stated one, of the stars whose own is smallest: they say it best."""
    own = variance.mean(0)
    k = own <= np.quantile(own, brightest)
    return max(float(np.mean([robust_sigma(v[k]) ** 2 for v in left]) - np.mean(variance[:, k])), 1e-8)


def tukey(z2):
    """Tukey's biweight of the squares of normalized residuals."""
    t = z2 / TUKEY**2
    return np.where(t < 1, (1 - t) ** 2, 0.0)


def solve_joint(
    pairs,
    start,
    *,
    n_cells=32,
    n_iterations=4,
    free_stars=False,
    drift=True,
    table_sigma=0.05,
    gauge="center",
    store=None,
    progress=False,
):
    """Solve distortion, exposures and stars together.

    Parameters
    ----------
    pairs : `~jwst_hpastrom.distortion.Pairs`

    start : `DistortionCorrection`
        With a polynomial good to a fraction of a pixel; its table is left out.

    n_cells : int
        Table cells along each axis; 0: none.

    n_iterations : int
        Solutions with robust reweighting (Tukey's biweight) and re-estimated noise and table prior.

    free_stars : bool
        Self-calibration: no prior on the stars' positions, one scale for all exposures.

    drift : bool
        Of free stars that move: scale and skew change with time, too.

    table_sigma : float
        First guess of the table's own scatter (its prior's width), pixels; it is re-estimated.

    gauge : {"center", "bb10"}

    store : `~jwst_hpastrom.storage.Store`, optional
        Has what is kept of each pair: in memory as far as its budget goes.

    progress : bool
        Show a bar.

    Returns
    -------
    `JointResult`
    """
    base, store = replace(start, table=None, pixel_map=None), store or Store()
    problem, scale = _posed(pairs, base, n_cells, free_stars, drift, store)
    layout = problem.layout
    errors2 = store.copy(np.stack([pairs.x_err[problem.use] ** 2, pairs.y_err[problem.use] ** 2]))
    noise2 = 0.01**2
    star_weight = np.zeros_like(problem.star_variance) + 1e-8 if free_stars else 1.0 / problem.star_variance
    robust, weights = store.copy(_first_weights(problem)), store.array(errors2.shape)
    prior_factor, factor = np.ones(problem.stars.size), None
    table_prior = TablePrior(layout)
    for _ in tqdm(range(n_iterations), desc="joint solution", disable=None if progress else True):
        _divide(robust, errors2, noise2, weights)
        factor = None  # of two matrices there is room for one
        factor = _factored(problem, weights, star_weight * prior_factor[:, None], table_prior, table_sigma)
        theta = cho_solve(factor, problem.right_side(problem.r, weights))
        covariance, (displacement, noise2) = at_once(
            partial(_inverse, factor, layout.n_distortion),
            partial(_reweigh, problem, theta, weights, errors2, robust),
        )
        if not free_stars:
            z2 = np.sum(displacement[:, :2] ** 2 / problem.star_variance, 1)
            prior_factor = 1.0 / np.maximum(1.0, z2 / 9.0)
        table_sigma = table_prior.improved(theta, covariance, table_sigma)

    def response(r):
        return cho_solve(factor, problem.right_side(r, weights))

    final = _divide(robust, errors2, noise2, store.array(errors2.shape))
    solved = _Solved(theta, displacement, covariance, noise2, final, _drift(layout, factor, theta))
    return _finish(pairs, base, problem, response, solved, gauge, scale)


def _posed(pairs, base, n_cells, free_stars, drift, store):
    """The problem at the starting polynomial, and the mean pixel scale, arcsec."""
    drift = drift and free_stars and pairs.motion > 0
    layout = Layout(base.polynomial.degree, n_cells, len(pairs.planes), free_stars, base.shape, drift)
    use = pairs.fitted
    transforms = starting_transforms(pairs, base, use, free_stars)
    scale = float(np.mean([1.0 / t.scale for t in transforms]))
    return Problem(pairs, base, transforms, layout, use, scale, store), scale


def _factored(problem, weights, star_weight, table_prior, table_sigma):
    """Cholesky factor of the normal matrix, in the matrix's memory."""
    matrix = problem.normal(weights, star_weight)
    table_prior.add_to(matrix, table_sigma)
    matrix[np.diag_indices(problem.layout.n)] += 1e-9
    return cho_factor(matrix.T, lower=True, overwrite_a=True)  # symmetric


def _reweigh(problem, theta, weights, errors2, robust):
    """The stars' displacements, and the noise; robust factors are those of the residuals after these."""
    left = problem.of_unknowns(theta)
    np.subtract(problem.r, left, out=left)
    displacement = problem.stars_of(left, weights)
    left -= problem.of_stars(displacement)
    noise2 = _noise2(problem, displacement, left, errors2, robust.min(0) > 0.1)
    z2 = _divide(np.square(left, out=left), errors2, noise2, np.empty_like(left)).sum(0)
    robust[:] = tukey(0.5 * z2)
    return displacement, noise2


def _noise2(problem, displacement, left, errors2, good):
    """Variance beyond the stated errors, by the good pairs; the stars' motions are improved, too.

    It is of structure finer than the table, and of whatever the errors do not know.
    """
    share = 1.0 - problem.improve_motion(displacement) * problem.stars.size / max(good.sum(), 1)
    return excess_variance(left[:, good] / np.sqrt(max(share, 0.1)), errors2[:, good])


def _drift(layout, factor, theta):
    """Change with time, and its standard errors; empty where it is no unknown."""
    last = slice(layout.n - layout.n_drift, layout.n)
    own = cho_solve(factor, np.eye(layout.n)[:, last])[last]
    return theta[last], np.sqrt(np.diag(own))


def _divide(values, errors2, noise2, out):
    """Divide values (2, n) by errors' squares with noise in quadrature."""
    np.divide(values, np.add(errors2, noise2, out=out), out=out)
    return out


def starting_transforms(pairs, correction, use, shared_scale):
    """Four-parameter transformations; in self-calibration their scale is the mean one but for VA_SCALE."""
    transforms = fit_exposures(pairs, correction.forward(pairs.x, pairs.y), use)
    if not shared_scale:
        return transforms
    va = np.array([float(m.get("va_scale") or 1.0) for m in pairs.metas])
    mean = np.mean([t.scale * v for t, v in zip(transforms, va, strict=True)])
    return [
        LinearTransform(t.matrix * (mean / v / t.scale), t.offset, t.center)
        for t, v in zip(transforms, va, strict=True)
    ]


def _first_weights(problem):
    """Reject pairs far from their exposure's median residual before the first solution."""
    keep = np.ones(problem.r.shape[1], bool)
    for m in problem.by_exposure:
        for r in problem.r[:, m]:
            keep[m] &= np.abs(r - np.median(r)) < 5 * robust_sigma(r)
    return np.broadcast_to(np.where(keep, 1.0, 0.0), problem.r.shape).copy()


class _Solved(NamedTuple):
    """The last solution of the problem: unknowns, weights, and the change with time with its errors."""

    theta: np.ndarray
    displacement: np.ndarray
    covariance: np.ndarray
    noise2: float
    weights: np.ndarray
    drift: tuple


def _finish(pairs, base, problem, response, solved, gauge, scale):
    theta, displacement, covariance, noise2, weights, drift = solved
    layout = problem.layout
    p = base.polynomial
    da, db = layout.coefficients(theta)
    a, b = fix_gauge(p.a + da, p.b + db, gauge)
    polynomial = PolynomialCorrection(
        p.degree, a, b, p.center, p.half_width, gauge, _polynomial_covariance(layout, covariance)
    )
    table = None
    if layout.n_cells:
        dx, dy = layout.tables(theta)
        ex, ey = shape_errors(layout, covariance)
        counts = np.zeros(layout.n_cells**2)
        k = problem.use
        i = cell_index(pairs.x[k], layout.n_cells, layout.shape[1])
        j = cell_index(pairs.y[k], layout.n_cells, layout.shape[0])
        np.add.at(counts, j * layout.n_cells + i, weights.min(0) > 0)
        table = TableCorrection(dx, dy, ex, ey, counts.reshape(dx.shape).astype(int), layout.shape)
    correction = DistortionCorrection(polynomial, table, shape=layout.shape)
    full = np.zeros((2, len(pairs)))
    full[:, problem.use] = weights
    moved = np.zeros((pairs.held_out.size, displacement.shape[1]))
    moved[problem.stars] = displacement
    corrected = correction.forward(pairs.x, pairs.y)
    transforms = _transforms_of(pairs, corrected, moved * scale, full, layout, drift[0])
    noise, motion = float(np.sqrt(noise2)), problem.motion * scale
    return JointResult(
        correction,
        transforms,
        moved[:, :2],
        motion,
        noise,
        tuple(full),
        covariance,
        layout,
        response,
        problem,
        *drift,
    )


def _drift_matrix(layout, drift):
    """Change a year of corrected positions about the center, (2, 2)."""
    if not drift.size:
        return np.zeros((2, 2))
    scale, stretch, skew = drift / layout.half_width
    return np.array([[scale + stretch, skew], [skew, scale - stretch]])


def _transforms_of(pairs, corrected, displacement, weights, layout, drift):
    """Exposures' transformations from the stars' own positions (arcsec displacements) to the corrected ones.

    Similarities, but for the change of the detector with time.
    """
    out, rate, counts = [], _drift_matrix(layout, drift), weights.min(0) > 0
    for e, k in enumerate(pairs.by_exposure):
        k = k[counts[k]]
        own = displacement[pairs.star[k]]
        if own.shape[1] > 2:
            own = own[:, :2] + own[:, 2:] * pairs.years[e]
        d = pairs.rotations[e] @ own.T
        u, v = pairs.u[k] + d[0], pairs.v[k] + d[1]
        change = pairs.years[e] * rate
        at = np.stack([corrected[0][k], corrected[1][k]])
        to = at + change @ (at - layout.center[:, None])
        fit = fit_linear(
            u, v, *to, parameters=4, weights=weights[:, k].mean(0), sigma=None, min_stars=2
        ).transform
        back = np.linalg.inv(np.eye(2) + change)
        offset = layout.center + back @ (fit.offset - layout.center)
        out.append(LinearTransform(back @ fit.matrix, offset, fit.center))
    return out


def _polynomial_covariance(layout, covariance):
    """Covariance of (a..., b...) from that of the gauge-free unknowns."""
    m = layout.n_polynomial
    n = len(layout.terms) + 2
    full = np.zeros((2 * n, m))
    for k in range(m):
        unit = np.zeros(layout.n)
        unit[k] = 1.0
        full[:, k] = np.r_[layout.coefficients(unit)]
    return full @ covariance[:m, :m] @ full.T


def shape_errors(layout, covariance):
    """Standard errors of polynomial plus table at the table's nodes, a six-parameter transformation removed.

    Returns
    -------
    ex, ey : ndarray, shape (n_cells, n_cells)
    """
    n = layout.n_cells
    x, y = (c.ravel() for c in np.meshgrid(table_nodes(n, layout.shape[1]), table_nodes(n, layout.shape[0])))
    linear = np.stack([np.ones_like(x), x / layout.shape[1], y / layout.shape[0]], 1)
    q, _ = np.linalg.qr(linear)
    out = []
    for rows in distortion_rows(layout, x, y):
        f = rows.toarray()
        f -= q @ (q.T @ f)
        out.append(np.sqrt(np.maximum(np.einsum("ij,ij->i", f @ covariance, f), 0)).reshape(n, n))
    return out
