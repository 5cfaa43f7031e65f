"""The published solution: half steps of a polynomial, then of a look-up table (L23 §4.1, §4.2)."""

import logging
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from scipy.linalg import block_diag
from tqdm.auto import tqdm

from jwst_hpastrom.distortion.model.correction import DistortionCorrection
from jwst_hpastrom.distortion.model.parts import PolynomialCorrection, TableCorrection
from jwst_hpastrom.distortion.solve.cells import CellGrid, CellMeans, fill_cells
from jwst_hpastrom.errors import NotEnoughStarsError, ParameterError
from jwst_hpastrom.geometry import fit_linear
from jwst_hpastrom.instrument import FRAME
from jwst_hpastrom.numerics import polynomial_basis, polynomial_terms, robust_sigma
from jwst_hpastrom.numerics.threads import at_once

__all__ = ["IterativeResult", "fix_gauge", "residuals", "solve_polynomial", "solve_table"]

log = logging.getLogger("stpipe.hpastrom.distortion")

#: pixels^2 added to the stated errors' squares: a few stars of tiny errors are not to decide a cell
FLOOR = 1e-5
#: iteration in which residuals are clipped the last time
LAST_CLIPPED = 12


@dataclass
class IterativeResult:
    """A part of the solution.

    Attributes
    ----------
    correction : `DistortionCorrection`
        With the part in it.
    iterations : int
    increment : float
        Largest change at a cell in the last iteration, pixels.
    cells : dict of str to ndarray
        Means, errors and counts of the cells after the last iteration.
    converged : bool
        The increment is below the tolerance, or below the cells' own errors.
    """

    correction: DistortionCorrection
    iterations: int
    increment: float
    cells: dict
    converged: bool = True


def check_coverage(pairs, shape, *, zones=4, min_stars=20):
    """Raise `NotEnoughStarsError` where a zone of the detector has too few stars to hold the polynomial."""
    use = pairs.fitted
    grid = CellGrid(pairs.x[use], pairs.y[use], zones, shape)
    count = np.diff(grid.start).reshape(zones, zones)
    if count.min() < min_stars:
        j, i = np.unravel_index(np.argmin(count), count.shape)
        sx, sy = shape[1] // zones, shape[0] // zones
        (x0, x1), (y0, y1) = ((int(v.min()), int(v.max())) for v in (pairs.x, pairs.y))
        part = x1 - x0 < 0.5 * shape[1] and y1 - y0 < 0.5 * shape[0]
        raise NotEnoughStarsError(
            f"{count.min()} stars in pixels x {i * sx}..{(i + 1) * sx - 1}, y {j * sy}..{(j + 1) * sy - 1}",
            f"{min_stars} in every {sx} x {sy} zone of the detector",
            f"all stars are in x {x0}..{x1}, y {y0}..{y1}: of subarrays alone no distortion is solved" if part
            else "add exposures that cover it, or relax the selection",
        )  # fmt: skip


def fix_gauge(a, b, gauge):
    """Take the similarity out of a polynomial's first-order terms.

    Parameters
    ----------
    a, b : ndarray
        Coefficients in the order of ``polynomial_terms(degree, 1)``: (1, 0), (0, 1), ...

    gauge : {"center", "bb10"}
        See `PolynomialCorrection`.

    Returns
    -------
    a, b : ndarray
    """
    a, b = a.copy(), b.copy()
    if gauge == "center":
        scale, turn = 0.5 * (a[0] + b[1]), 0.5 * (b[0] - a[1])
    elif gauge == "bb10":
        scale, turn = a[0], -a[1]
    else:
        raise ParameterError(f"gauge {gauge!r}", "'center' or 'bb10'")
    a[0], b[1] = a[0] - scale, b[1] - scale
    a[1], b[0] = a[1] + turn, b[0] - turn
    return a, b


def fit_exposures(pairs, corrected, use, *, parameters=4, keep=None):
    """Fit each exposure's transformation from its ideal plane to corrected pixels.

    Returns
    -------
    list of `~jwst_hpastrom.geometry.LinearTransform`
    """
    out, variance = [], reference_variance(pairs)
    use = use if keep is None else use & keep
    for k in pairs.by_exposure:
        k = k[use[k]]
        w = 1.0 / (0.5 * (pairs.x_err[k] ** 2 + pairs.y_err[k] ** 2) + variance[k])
        fit = fit_linear(
            pairs.u[k], pairs.v[k], corrected[0][k], corrected[1][k], parameters=parameters, weights=w,
            sigma=3.0 if keep is None else None,
        )  # fmt: skip
        out.append(fit.transform)
    return out


def reference_variance(pairs):
    """Variance of the reference positions per axis, in raw pixels²."""
    s = np.mean(pairs.sigma**2, axis=1)
    s = np.where(np.isfinite(s), s, np.nanmedian(s) if np.isfinite(s).any() else 0.0)
    return s[pairs.star] / pairs.pixel_scale**2


def residuals(pairs, correction, transforms):
    """Return reference minus corrected position, pixels.

    Parameters
    ----------
    pairs : `Pairs`
    correction : `~jwst_hpastrom.geometry.Mapping`
    transforms : list of `~jwst_hpastrom.geometry.LinearTransform`
        Ideal plane to corrected pixels.

    Returns
    -------
    dx, dy : ndarray
    """
    cx, cy = correction.forward(pairs.x, pairs.y)
    dx, dy = np.empty(len(pairs)), np.empty(len(pairs))
    for k, t in zip(pairs.by_exposure, transforms, strict=True):
        u, v = t.forward(pairs.u[k], pairs.v[k])
        dx[k], dy[k] = u - cx[k], v - cy[k]
    return dx, dy


class _Similarities:
    """Four-parameter fits of all exposures at once on fixed pairs: cheap enough for many iterations."""

    def __init__(self, pairs, transforms, weights):
        self.pairs, self.n = pairs, len(pairs.planes)
        self.e, self.w = pairs.exposure, weights
        # the ideal positions in pixels; what is left to fit is an offset, a rotation and a scale near unity
        self.base = np.empty((2, len(pairs)))
        for k, t in zip(pairs.by_exposure, transforms, strict=True):
            self.base[:, k] = t.forward(pairs.u[k], pairs.v[k])
        total = self._sum(np.ones(len(pairs)))
        self.total = np.where(total > 0, total, 1.0)
        self.center = np.array([self._sum(b) / self.total for b in self.base])
        self.dx, self.dy = self.base - self.center[:, self.e]
        self.moment = self._sum(self.dx**2 + self.dy**2)
        self.moment = np.where(self.moment > 0, self.moment, 1.0)

    def _sum(self, values):
        return np.bincount(self.e, self.w * values, self.n)

    def residuals(self, cx, cy):
        tx, ty = cx - self.base[0], cy - self.base[1]
        ox, oy = self._sum(tx) / self.total, self._sum(ty) / self.total
        s = self._sum(tx * self.dx + ty * self.dy) / self.moment
        r = self._sum(ty * self.dx - tx * self.dy) / self.moment
        self.solution = ox, oy, s, r
        fx = ox[self.e] + s[self.e] * self.dx - r[self.e] * self.dy
        fy = oy[self.e] + s[self.e] * self.dy + r[self.e] * self.dx
        return fx - tx, fy - ty


class _ClippedMeans:
    """Means of residuals in cells, both axes; stars on the limit of clipping would keep them moving."""

    def __init__(self, grid, weights, sigma):
        self.grid, self.weights, self.sigma, self.out = grid, weights, sigma, None

    def __call__(self, residuals, *, last):
        """Means of these residuals; those that are clipped the ``last`` time stay out from then on."""
        if last:
            self.out = [np.isnan(self.grid.clip(r, self.sigma)) for r in residuals]
        if self.out is not None:
            residuals = [np.where(out, np.nan, r) for out, r in zip(self.out, residuals, strict=True)]
        sigma = self.sigma if self.out is None else np.inf
        of_axis = [partial(self.grid.means, r, self.weights, sigma=sigma) for r in residuals]
        return [CellMeans(*means) for means in at_once(*of_axis)]


def _clip_pairs(pairs, dx, dy, use, sigma):
    """Pairs whose residuals are within sigma of their exposure's median, on both axes."""
    keep = np.zeros(len(pairs), bool)
    for k in pairs.by_exposure:
        k = k[use[k]]
        good = np.ones(k.size, bool)
        for r in (dx[k], dy[k]):
            good &= np.abs(r - np.median(r)) <= sigma * max(robust_sigma(r), 1e-6)
        keep[k] = good
    return keep


def solve_polynomial(
    pairs, *, degree=5, n_cells=20, gauge="center", step=0.5, tolerance=1e-5, max_iterations=100,
    sigma=3.0, shape=FRAME, progress=False,
):  # fmt: skip
    """Solve the polynomial part by iteration (L23 §4.1).

    Residuals after four-parameter transformations are clipped and averaged in cells; the cell means are
    fitted; ``step`` of the coefficients is added, until the increment at every cell is below ``tolerance``.
    Once the polynomial is there, after twelve steps, the same residuals stay out.

    Parameters
    ----------
    pairs : `~jwst_hpastrom.distortion.Pairs`

    degree : int
        Total degree.

    n_cells : int
        Cells along each axis.

    gauge : {"center", "bb10"}
        Which similarity the polynomial keeps, see `PolynomialCorrection`.

    step, tolerance, max_iterations, sigma
        Fraction added, largest increment (pixels), bound, clipping.

    shape : tuple of int
        Detector (ny, nx).

    progress : bool
        Show a bar.

    Returns
    -------
    `IterativeResult`
    """
    check_coverage(pairs, shape)
    use = pairs.fitted
    terms = polynomial_terms(degree, 1)
    center, half = np.array([shape[1] / 2 - 1.0, shape[0] / 2 - 1.0]), max(shape) / 2.0
    grid = CellGrid(pairs.x[use], pairs.y[use], n_cells, shape)
    p, q = (grid.mean_x - center[0]) / half, (grid.mean_y - center[1]) / half
    design = polynomial_basis(p, q, [(0, 0), *terms])
    part = PolynomialCorrection(degree, np.zeros(len(terms)), np.zeros(len(terms)), center, half, gauge)
    correction = DistortionCorrection(part, shape=shape)
    weights = _weights(pairs)
    means = _ClippedMeans(grid, weights[use], sigma)
    increment, iteration = np.inf, 0
    bar = tqdm(total=max_iterations, desc="polynomial", disable=None if progress else True)
    for iteration in range(1, max_iterations + 1):
        corrected = correction.forward(pairs.x, pairs.y)
        if iteration in (1, 4, 8, 12):
            transforms = fit_exposures(pairs, corrected, use)
            dx, dy = residuals(pairs, correction, transforms)
            # as long as the polynomial is missing, its 2.6 px are no reason to reject a star
            keep = _clip_pairs(pairs, dx, dy, use, 5.0 if iteration == 1 else sigma)
            fitter = _Similarities(pairs, transforms, np.where(keep, weights, 0.0))
        axes = means([r[use] for r in fitter.residuals(*corrected)], last=iteration == LAST_CLIPPED)
        steps = [cells.through(design)[1:] * step for cells in axes]
        old = correction.polynomial
        a, b = fix_gauge(old.a + steps[0], old.b + steps[1], gauge)
        good = axes[1].filled
        increment = max(
            np.abs(design[good, 1:] @ (a - old.a)).max(), np.abs(design[good, 1:] @ (b - old.b)).max()
        )
        correction = replace(correction, polynomial=replace(old, a=a, b=b))
        bar.update()
        if increment < tolerance and iteration > LAST_CLIPPED:
            break
    bar.close()
    own = np.median(np.concatenate([cells.error[cells.filled] for cells in axes]))
    converged = _converged("polynomial", increment, tolerance, own, iteration)
    covariance = block_diag(*[cells.covariance(design) for cells in axes])
    correction = replace(correction, polynomial=replace(correction.polynomial, covariance=covariance))
    in_cells = {
        "dx": axes[0].mean, "dy": axes[1].mean, "dx_err": axes[0].error, "dy_err": axes[1].error,
        "count": np.minimum(axes[0].count, axes[1].count),
    }  # fmt: skip
    in_cells = {name: v.reshape(n_cells, n_cells) for name, v in in_cells.items()}
    return IterativeResult(correction, iteration, float(increment), in_cells, converged)


def _weights(pairs):
    """Of the pairs in cells' means: pixels^-2, by both lists' errors and what small ones leave out."""
    return 1.0 / (0.5 * (pairs.x_err**2 + pairs.y_err**2) + reference_variance(pairs) + FLOOR)


def solve_table(
    pairs, correction, *, n_cells=32, step=0.5, tolerance=1e-5, max_iterations=250, sigma=3.0, min_count=3,
    progress=False,
):  # fmt: skip
    """Solve the look-up table on top of a polynomial by iteration (L23 §4.2).

    Parameters
    ----------
    pairs : `~jwst_hpastrom.distortion.Pairs`

    correction : `DistortionCorrection`
        With its polynomial.

    n_cells : int
        Cells along each axis.

    step, tolerance, max_iterations, sigma
        As in `solve_polynomial`.

    min_count : int
        Cells with fewer residuals borrow their neighbors' mean and have count 0.

    progress : bool
        Show a bar.

    Returns
    -------
    `IterativeResult`
    """
    use, shape = pairs.fitted, correction.shape
    base = correction.forward(pairs.x, pairs.y)
    transforms = fit_exposures(pairs, base, use)
    dx, dy = residuals(pairs, correction, transforms)
    weights = _weights(pairs)
    keep = _clip_pairs(pairs, dx, dy, use, sigma)
    fitter = _Similarities(pairs, transforms, np.where(keep, weights, 0.0))
    grid = CellGrid(pairs.x[use], pairs.y[use], n_cells, shape)
    table = TableCorrection(np.zeros((n_cells, n_cells)), np.zeros((n_cells, n_cells)), shape=shape)
    increment, iteration = np.inf, 0
    cells = _ClippedMeans(grid, weights[use], sigma)
    bar = tqdm(total=max_iterations, desc="table", disable=None if progress else True)
    for iteration in range(1, max_iterations + 1):
        tx, ty = table.delta(pairs.x, pairs.y)
        r = fitter.residuals(base[0] + tx, base[1] + ty)
        means = cells([v[use] for v in r], last=iteration == LAST_CLIPPED)
        new, errors, count = _stepped(table, means, step, min_count)
        increment = max(np.abs(new.dx - table.dx).max(), np.abs(new.dy - table.dy).max())
        table = new
        bar.update()
        if increment < tolerance:
            break
    bar.close()
    own = np.median(np.concatenate([e[count > 0] for e in errors])) if (count > 0).any() else np.nan
    converged = _converged("table", increment, tolerance, own, iteration)
    errors = [fill_cells(e, count, min_count) * np.where(count > 0, 1.0, 2.0) for e in errors]
    table = replace(table, dx_err=errors[0], dy_err=errors[1], count=count)
    if (count == 0).any():
        log.info(
            "%d of %d table cells have too few stars and borrow from their neighbors",
            (count == 0).sum(),
            count.size,
        )
    return IterativeResult(
        replace(correction, table=table), iteration, float(increment),
        {"dx": table.dx, "dy": table.dy, "dx_err": errors[0], "dy_err": errors[1], "count": count},
        converged,
    )  # fmt: skip


def _stepped(table, means, step, min_count):
    """The table a step on by the cells' means of both axes, with their errors and counts."""
    new, errors, counts = [], [], []
    for cells, old in zip(means, (table.dx, table.dy), strict=True):
        mean, error, count = (c.reshape(old.shape) for c in (cells.mean, cells.error, cells.count))
        new.append(old + step * np.where(count >= min_count, mean, 0.0))
        errors.append(error)
        counts.append(count)
    count = np.where(np.minimum(*counts) >= min_count, np.minimum(*counts), 0)
    dx, dy = _without_similarity(*[fill_cells(v, count, min_count) for v in new], table.nodes)
    return replace(table, dx=dx, dy=dy), errors, count


def _converged(part, increment, tolerance, own, iteration):
    """Whether a part is solved, with a warning where it is not."""
    if increment < tolerance:
        return True
    fine = bool(increment <= own)
    log.log(
        logging.INFO if fine else logging.WARNING,
        "%s: increment still %.1e px after %d iterations (cells' own errors %.1e px)%s",
        part, increment, iteration, own, "" if fine else ": not converged",
    )  # fmt: skip
    return fine


def _without_similarity(dx, dy, nodes):
    """Take offset, scale and rotation out of a table: they are the exposures', and would drift."""
    x, y = np.meshgrid(nodes[0] - np.mean(nodes[0]), nodes[1] - np.mean(nodes[1]))
    total = np.sum(x**2 + y**2)
    scale, turn = np.sum(dx * x + dy * y) / total, np.sum(dy * x - dx * y) / total
    return dx - dx.mean() - scale * x + turn * y, dy - dy.mean() - scale * y - turn * x


def exposure_transforms(pairs, correction, *, parameters=4):
    """Fit every exposure's transformation with a finished correction."""
    return fit_exposures(pairs, correction.forward(pairs.x, pairs.y), pairs.fitted, parameters=parameters)
