"""Transformations fitted to pairs by clipped weighted least squares."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from jwst_hpastrom._display import Displayed
from jwst_hpastrom.errors import ParameterError
from jwst_hpastrom.geometry.clipped_fits import FEW, Clipping, Pairs, fit_clipped
from jwst_hpastrom.geometry.transform import LinearTransform, PolynomialTransform
from jwst_hpastrom.numerics import polynomial_basis, polynomial_terms
from jwst_hpastrom.numerics.choices import mixture_moments

__all__ = ["TransformFit", "fit_linear", "fit_polynomial", "fit_trial"]


@dataclass(frozen=True)
class TransformFit(Displayed):
    """A fitted transformation.

    Attributes
    ----------
    transform : `LinearTransform` or `PolynomialTransform`

    covariance : ndarray
        Of the parameters (a..., b...), scaled to the scatter. For `LinearTransform` they are
        ``(offset_u, m00, m01, offset_v, m10, m11)``, for four parameters ``(offset_u, offset_v, m00, m10)``.
        Of linear fits to 7 to 199 pairs it holds what the parameters change by with other likely choices of
        wrong pairs, of more what is unknown of a kind of wrong ones that stands near.

    keep : ndarray of bool
        Pairs that were used.

    n_used : int

    rms : float
        Scatter per axis of the residuals of the pairs used, output units.

    divided : bool
        The pairs are of two kinds, and which of them is right is not sure: one group agrees far better than
        all together and is about half of them, or those used are about half. Errors take these for right.
    """

    transform: Any
    covariance: np.ndarray
    keep: np.ndarray
    n_used: int
    rms: float
    divided: bool = False

    def variance(self, x: np.ndarray, y: np.ndarray, common: np.ndarray | None = None) -> np.ndarray:
        """Variance of the transformed positions of a linear fit, from its covariance.

        Parameters
        ----------
        x, y : ndarray, shape (n,)
            Positions before the transformation.

        common : ndarray of bool, optional
            Stars about whose mean displacement the variance counts.

        Returns
        -------
        ndarray, shape (2, n)
        """
        dx, dy = x - self.transform.center[0], y - self.transform.center[1]
        one, zero = np.ones_like(dx), np.zeros_like(dx)
        if len(self.covariance) == 6:
            line = np.stack([one, dx, dy], 1)
            designs = (np.hstack([line, 0 * line]), np.hstack([0 * line, line]))
        else:
            s = np.sign(np.linalg.det(self.transform.matrix))
            designs = np.stack([one, zero, dx, -s * dy], 1), np.stack([zero, one, s * dy, dx], 1)
        if common is not None:
            designs = [d - d[common].mean(0) for d in designs]
        return np.stack([np.einsum("ni,ij,nj->n", d, self.covariance, d) for d in designs])


def _normal_solve(design, w, t):
    """Weighted least squares by the normal equations, by SVD where they are singular."""
    weighted = design * w[:, None]
    try:
        return np.linalg.solve(design.T @ weighted, weighted.T @ t)
    except np.linalg.LinAlgError:
        s = np.sqrt(w)
        return np.linalg.lstsq(design * s[:, None], t * s, rcond=None)[0]


def _solve_symmetric(normal, side):
    """Solution of normal equations, the shortest one where they are singular."""
    try:
        return np.linalg.solve(normal, side)
    except np.linalg.LinAlgError:
        return np.linalg.pinv(normal, hermitian=True) @ side


def fit_linear(
    x: np.ndarray,
    y: np.ndarray,
    u: np.ndarray,
    v: np.ndarray,
    *,
    parameters: int = 6,
    weights: np.ndarray | tuple[np.ndarray, np.ndarray] | None = None,
    sigma: float | None = 3.0,
    max_iterations: int = 20,
    min_stars: int | None = None,
    keep: np.ndarray | None = None,
) -> TransformFit:
    """Fit a four- or six-parameter transformation (x, y) -> (u, v).

    Parameters
    ----------
    x, y, u, v : ndarray, shape (n,)
        Paired positions; NaN are left out.

    parameters : {4, 6}
        4: two offsets, one rotation, one scale. 6: a general linear transformation.

    weights : ndarray or tuple of two ndarray, optional
        1/σ² of each pair, in output units; a tuple gives u and v their own.

    sigma : float or None
        Clipping limit in units of 1.4826 MAD per axis, of the residuals times the square root of their
        weights; None does not clip.

    max_iterations : int
        Bound on the clipping iterations.

    min_stars : int, optional
        Fewest pairs allowed; by default 3 (four parameters) or 4 (six).

    keep : ndarray of bool, optional
        Pairs to start with.

    Returns
    -------
    `TransformFit`

    Raises
    ------
    NotEnoughStarsError
        If fewer than ``min_stars`` pairs are left.

    Examples
    --------
    >>> import numpy as np
    >>> from jwst_hpastrom.geometry import fit_linear
    >>> x, y = np.random.default_rng(1).uniform(0, 100, (2, 30))
    >>> fit = fit_linear(x, y, 2 * x + 5, 2 * y - 3)
    >>> fit.n_used, [round(float(v), 6) for v in fit.transform.forward(0.0, 0.0)]
    (30, [5.0, -3.0])
    """
    if parameters not in (4, 6):
        raise ParameterError(f"parameters={parameters}", "4 or 6")
    pairs = Pairs.of(x, y, u, v, weights)
    solve = _LinearSolver(pairs, parameters)
    how = Clipping(
        f"a {parameters}-parameter transformation", sigma, max_iterations, min_stars or parameters // 2 + 1,
        keep, parameters / 2,
    )  # fmt: skip
    fit = fit_clipped(solve, pairs, how)
    if fit.covariance is None:
        covariance = _averaged_covariance(pairs, fit, parameters)
    else:
        scale = np.where(np.isin(np.arange(parameters), (0, 3) if parameters == 6 else (0, 1)), 1, solve.span)
        covariance = fit.covariance / np.outer(scale, scale)
    return TransformFit(fit.transform, covariance, fit.keep, int(fit.keep.sum()), fit.rms, fit.divided)


def fit_trial(x, y, u, v):
    """Fit a similarity to pairs of which more is known than what they say: without a search for a majority.

    Returns
    -------
    transform : `~jwst_hpastrom.geometry.LinearTransform`
    rms : float
        Scatter per axis of the pairs used.

    Raises
    ------
    NotEnoughStarsError
    """
    pairs = Pairs.of(x, y, u, v, None)
    how = Clipping("a trial", 3.0, 20, 3, None, 2.0, majority=False)
    fit = fit_clipped(_LinearSolver(pairs, 4), pairs, how)
    return fit.transform, fit.rms


class _LinearSolver:
    """Least squares of a linear transformation with four or six parameters, and residuals."""

    def __init__(self, pairs, parameters):
        self.pairs, self.parameters = pairs, parameters
        x, y, finite = pairs.x, pairs.y, pairs.finite
        some = finite.any()
        self.center = np.array([np.median(x[finite]), np.median(y[finite])]) if some else np.zeros(2)
        self.span = max(float(np.ptp(x[finite])), float(np.ptp(y[finite])), 1e-30) if some else 1.0
        p, q = (x - self.center[0]) / self.span, (y - self.center[1]) / self.span
        # Centered and scaled, these columns are so well conditioned that the normal equations lose nothing.
        self.design = np.stack([np.ones_like(p), p, q], 1)

    def __call__(self, k):
        if self.parameters == 6:
            t = self._general(k)
        else:  # a similarity, or one with a reflection
            t = min((self._similarity(k, parity) for parity in (1.0, -1.0)), key=lambda r: r[1])[0]
        fu, fv = t.forward(self.pairs.x, self.pairs.y)
        return t, self.pairs.u - fu, self.pairs.v - fv

    def moved(self, transform, beta):
        """Transformation whose parameters are ``beta`` further along the columns, and all residuals."""
        if self.parameters == 6:
            m, offset = np.array([beta[1:3], beta[4:6]]), beta[[0, 3]]
        else:
            s = np.sign(np.linalg.det(transform.matrix))
            m, offset = np.array([[beta[2], -s * beta[3]], [beta[3], s * beta[2]]]), beta[:2]
        t = LinearTransform(transform.matrix + m / self.span, transform.offset + offset, self.center)
        fu, fv = t.forward(self.pairs.x, self.pairs.y)
        return t, self.pairs.u - fu, self.pairs.v - fv

    def columns(self, transform):
        """Columns of the parameters for both coordinates, (2, n, 4 or 6), as near to ``transform``."""
        one, p, q = self.design.T
        none = np.zeros_like(one)
        if self.parameters == 6:
            return np.stack([np.stack(c, 1) for c in ((one, p, q, *[none] * 3), (*[none] * 3, one, p, q))])
        s = np.sign(np.linalg.det(transform.matrix))
        return np.stack([np.stack([one, none, p, -s * q], 1), np.stack([none, one, s * q, p], 1)])

    def _general(self, k):
        _, _, u, v, wu, wv, _ = self.pairs
        d = self.design[k]
        c = [_normal_solve(d, w[k], t[k]) for w, t in ((wu, u), (wv, v))]
        m = np.array([[c[0][1], c[0][2]], [c[1][1], c[1][2]]]) / self.span
        return LinearTransform(m, np.array([c[0][0], c[1][0]]), self.center)

    def _similarity(self, k, parity):
        _, _, u, v, wu, wv, _ = self.pairs
        # columns of the offsets, p and q for u, and for v, in terms of the four parameters
        top = np.array([[1.0, 0, 0, 0], [0, 0, 1, 0], [0, 0, 0, -parity]])
        low = np.array([[0.0, 1, 0, 0], [0, 0, 0, 1], [0, 0, parity, 0]])
        d, normal, side = self.design[k], np.zeros((4, 4)), np.zeros(4)
        for part, w, t in ((top, wu[k], u[k]), (low, wv[k], v[k])):
            weighted = d * w[:, None]
            normal += part.T @ (d.T @ weighted) @ part
            side += part.T @ (weighted.T @ t)
        c = _solve_symmetric(normal, side)
        left = sum(
            float(np.sum(w[k] * (d @ (part @ c) - t[k]) ** 2)) for part, w, t in ((top, wu, u), (low, wv, v))
        )
        m = np.array([[c[2], -parity * c[3]], [c[3], parity * c[2]]]) / self.span
        return LinearTransform(m, c[:2].copy(), self.center), left


def _averaged_covariance(pairs, fit, parameters):
    """Covariance of the parameters over the choices of pairs, about the most probable one's."""
    choices = [(1 - sum(c[0] for c in fit.others), fit.transform, fit.keep, fit.residuals), *fit.others]
    cov = [_linear_covariance(pairs, t, parameters, keep, *r) for _, t, keep, r in choices]
    found = [_parameters(t, parameters) for _, t, *_ in choices]
    return mixture_moments([p for p, *_ in choices], found, cov, about=found[0])[1]


def _parameters(transform, parameters):
    (m00, m01), (m10, m11) = transform.matrix
    u, v = transform.offset
    return np.array([u, m00, m01, v, m10, m11] if parameters == 6 else [u, v, m00, m10])


def _linear_covariance(pairs, transform, parameters, keep, du, dv):
    """Covariance of a linear transformation's parameters, scaled to the scatter."""
    wu, wv = pairs.wu, pairs.wv
    dx, dy = pairs.x[keep] - transform.center[0], pairs.y[keep] - transform.center[1]
    one = np.ones_like(dx)
    squares = np.array([np.sum(w[keep] * r[keep] ** 2) for w, r in ((wu, du), (wv, dv))])
    dof = np.full(2, max(dx.size - 3, 1))
    if parameters == 4 or dx.size < FEW:
        squares, dof = squares.sum(), max(2 * dx.size - parameters, 1)
    scale = np.broadcast_to(squares / dof, 2)
    if dx.size < FEW:  # the scale is itself uncertain: Student's distribution is as much wider
        scale = scale * dof / max(dof - 2, 0.5)
    if parameters == 6:
        design = np.stack([one, dx, dy], 1)
        cov = np.zeros((6, 6))
        for block, w, f in ((slice(0, 3), wu[keep], scale[0]), (slice(3, 6), wv[keep], scale[1])):
            cov[block, block] = np.linalg.pinv(design.T @ (design * w[:, None])) * f
        return cov
    s = np.sign(np.linalg.det(transform.matrix))
    design = np.r_[np.stack([one, 0 * one, dx, -s * dy], 1), np.stack([0 * one, one, s * dy, dx], 1)]
    w = np.r_[wu[keep], wv[keep]]
    return np.linalg.pinv(design.T @ (design * w[:, None])) * scale[0]


def fit_polynomial(
    x: np.ndarray,
    y: np.ndarray,
    u: np.ndarray,
    v: np.ndarray,
    degree: int,
    *,
    weights: np.ndarray | tuple[np.ndarray, np.ndarray] | None = None,
    sigma: float | None = 3.0,
    max_iterations: int = 20,
    min_stars: int | None = None,
    keep: np.ndarray | None = None,
) -> TransformFit:
    """Fit polynomials of the given degree, (x, y) -> (u, v).

    Parameters
    ----------
    x, y, u, v : ndarray, shape (n,)
        Paired positions; NaN are left out.

    degree : int
        Total degree of the polynomials.

    weights, sigma, max_iterations, min_stars, keep
        As in `fit_linear`; ``min_stars`` defaults to the number of terms plus one.

    Returns
    -------
    `TransformFit`
        Its covariance has the order (a..., b...).

    Raises
    ------
    NotEnoughStarsError
        If fewer than ``min_stars`` pairs are left.

    Examples
    --------
    >>> import numpy as np
    >>> from jwst_hpastrom.geometry import fit_polynomial
    >>> x, y = np.random.default_rng(1).uniform(0, 100, (2, 30))
    >>> fit = fit_polynomial(x, y, x + 1e-3 * x**2, y, degree=2)
    >>> round(float(fit.transform.forward(50.0, 20.0)[0]), 6)
    52.5
    """
    pairs = Pairs.of(x, y, u, v, weights)
    x, y, u, v, wu, wv, finite = pairs
    terms = polynomial_terms(degree)
    if finite.any():
        center = np.array([x[finite].min() + np.ptp(x[finite]) / 2, y[finite].min() + np.ptp(y[finite]) / 2])
        half = max(np.ptp(x[finite]), np.ptp(y[finite]), 1e-30) / 2
    else:
        center, half = np.zeros(2), 1.0
    p, q = (x - center[0]) / half, (y - center[1]) / half
    design = polynomial_basis(p, q, terms)

    def solve(k):
        c = []
        for w, t in ((wu, u), (wv, v)):
            s = np.sqrt(w[k])
            c.append(np.linalg.lstsq(design[k] * s[:, None], t[k] * s, rcond=None)[0])
        t = PolynomialTransform(degree, c[0], c[1], center, float(half))
        return t, u - design @ c[0], v - design @ c[1]

    how = Clipping(
        f"a polynomial of degree {degree}", sigma, max_iterations, min_stars or len(terms) + 1, keep
    )
    fit = fit_clipped(solve, pairs, how)
    keep, n = fit.keep, len(terms)
    cov = np.zeros((2 * n, 2 * n))
    for block, w, r in zip(
        (slice(0, n), slice(n, 2 * n)), (wu[keep], wv[keep]), fit.residuals[:, keep], strict=True
    ):
        d = design[keep]
        dof = max(r.size - n, 1)
        cov[block, block] = np.linalg.pinv(d.T @ (d * w[:, None])) * np.sum(w * r**2) / dof
    return TransformFit(fit.transform, cov, keep, int(keep.sum()), fit.rms, fit.divided)
