"""Four- and six-parameter and polynomial transformations, fitted by clipped weighted least squares."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from astropy.modeling.models import AffineTransformation2D, Polynomial2D
from astropy.modeling.models import Mapping as AxisMapping
from numpy.polynomial.polynomial import polyder, polyval2d
from numpy.typing import ArrayLike

from jwst_hpastrom._display import Displayed
from jwst_hpastrom.errors import NotEnoughStarsError, ParameterError
from jwst_hpastrom.geometry.mapping import Mapping
from jwst_hpastrom.numerics import polynomial_basis, polynomial_terms, robust_sigma

__all__ = [
    "LinearTransform",
    "PolynomialTransform",
    "TransformFit",
    "fit_linear",
    "fit_polynomial",
]


#: with fewer stars the scatter of a fit is that of both axes, and covariances are Student's
FEW = 30


@dataclass(frozen=True, eq=False)
class LinearTransform(Displayed, Mapping):
    """u = matrix · (x - center) + offset.

    Parameters
    ----------
    matrix : ndarray, shape (2, 2)
    offset : ndarray, shape (2,)
        Image of ``center``.
    center : ndarray, shape (2,)

    Examples
    --------
    >>> import numpy as np
    >>> from jwst_hpastrom.geometry import LinearTransform
    >>> quarter = LinearTransform(matrix=np.array([[0.0, -1.0], [1.0, 0.0]]), offset=np.array([10.0, 0.0]))
    >>> u, v = quarter.forward(3.0, 4.0)
    >>> float(u), float(v)
    (6.0, 3.0)
    >>> [round(float(a), 6) for a in quarter.inverse(u, v)]
    [3.0, 4.0]
    """

    matrix: np.ndarray = field(default_factory=lambda: np.eye(2))
    offset: np.ndarray = field(default_factory=lambda: np.zeros(2))
    center: np.ndarray = field(default_factory=lambda: np.zeros(2))

    def forward(self, x: ArrayLike, y: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
        m, dx, dy = self.matrix, np.asarray(x, float) - self.center[0], np.asarray(y, float) - self.center[1]
        return m[0, 0] * dx + m[0, 1] * dy + self.offset[0], m[1, 0] * dx + m[1, 1] * dy + self.offset[1]

    def inverted(self) -> "LinearTransform":
        """Return the inverse as a `LinearTransform`."""
        return LinearTransform(np.linalg.inv(self.matrix), self.center.copy(), self.offset.copy())

    def inverse(self, u: ArrayLike, v: ArrayLike, **_: Any) -> tuple[np.ndarray, np.ndarray]:
        return self.inverted().forward(u, v)

    def jacobian(self, x: ArrayLike, y: ArrayLike) -> np.ndarray:
        return np.broadcast_to(self.matrix, (*np.broadcast(x, y).shape, 2, 2)).copy()

    def then(self, other: "LinearTransform") -> "LinearTransform":
        """Return the `LinearTransform` that applies ``self`` first, then ``other``."""
        off = np.array(other.forward(*self.offset))
        return LinearTransform(other.matrix @ self.matrix, off, self.center.copy())

    @property
    def scale(self) -> float:
        """√|det|: mean scale."""
        return float(np.sqrt(abs(np.linalg.det(self.matrix))))

    @property
    def rotation(self) -> float:
        """Rotation in degrees, counter-clockwise, of the nearest similarity (reflected where det < 0)."""
        m, s = self.matrix, np.sign(np.linalg.det(self.matrix))
        return float(np.rad2deg(np.arctan2(m[1, 0] - s * m[0, 1], m[0, 0] + s * m[1, 1])))

    def to_astropy(self) -> Any:
        def model(t):
            return AffineTransformation2D(t.matrix, t.offset - t.matrix @ t.center)

        out = model(self)
        out.inverse = model(self.inverted())
        return out

    def __eq__(self, other):
        return isinstance(other, LinearTransform) and all(
            np.array_equal(getattr(self, n), getattr(other, n)) for n in ("matrix", "offset", "center")
        )

    __hash__ = None  # type: ignore[assignment]


@dataclass(frozen=True, eq=False)
class PolynomialTransform(Displayed, Mapping):
    """u = Σ a_ij p^i q^j, v = Σ b_ij p^i q^j with p, q = (x - center)/half_width.

    Parameters
    ----------
    degree : int
    a, b : ndarray, shape ((degree + 1)(degree + 2)/2,)
        Coefficients in the order of `polynomial_terms`.
    center : ndarray, shape (2,)
    half_width : float
    """

    degree: int
    a: np.ndarray
    b: np.ndarray
    center: np.ndarray
    half_width: float

    def _coefficients(self, c):
        """Return (i, j) -> coefficient as a matrix."""
        out = np.zeros((self.degree + 1, self.degree + 1))
        out[tuple(np.transpose(polynomial_terms(self.degree)))] = c
        return out

    def _normalized(self, x, y):
        x, y = np.broadcast_arrays(np.asarray(x, float), np.asarray(y, float))
        return (x - self.center[0]) / self.half_width, (y - self.center[1]) / self.half_width

    def forward(self, x: ArrayLike, y: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
        p, q = self._normalized(x, y)
        return tuple(polyval2d(p, q, self._coefficients(c)) for c in (self.a, self.b))

    def jacobian(self, x: ArrayLike, y: ArrayLike) -> np.ndarray:
        p, q = self._normalized(x, y)
        out = np.empty((*p.shape, 2, 2))
        for row, c in enumerate((self.a, self.b)):
            for column in (0, 1):
                slope = polyder(self._coefficients(c), axis=column) / self.half_width
                out[..., row, column] = polyval2d(p, q, slope)
        return out

    def starting_point(self, u: ArrayLike, v: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
        m = np.array([[self.a[1], self.a[2]], [self.b[1], self.b[2]]]) / self.half_width
        return LinearTransform(m, np.array([self.a[0], self.b[0]]), self.center).inverse(u, v)

    def to_astropy(self) -> Any:
        def poly(c):
            return Polynomial2D(
                self.degree,
                **{f"c{i}_{j}": float(v) for (i, j), v in zip(polynomial_terms(self.degree), c, strict=True)},
            )

        norm = LinearTransform(np.eye(2) / self.half_width, np.zeros(2), self.center).to_astropy()
        model = norm | AxisMapping((0, 1, 0, 1)) | poly(self.a) & poly(self.b)
        model.inverse = self._fitted_inverse()
        return model

    def _fitted_inverse(self, degree=9, n=64, margin=1.04):
        """Polynomial of higher degree fitted to this one's inverse within ``margin`` half-widths."""
        nodes = margin * self.half_width * np.cos(np.pi * (np.arange(n) + 0.5) / n)
        x, y = (c.ravel() for c in np.meshgrid(nodes + self.center[0], nodes + self.center[1]))
        linear = LinearTransform(
            np.array([[self.a[1], self.a[2]], [self.b[1], self.b[2]]]) / self.half_width,
            np.array([self.a[0], self.b[0]]),
            np.zeros(2),
        ).inverted()
        p, q = (c / self.half_width for c in linear.forward(*self.forward(x, y)))
        terms = polynomial_terms(degree)
        design = polynomial_basis(p, q, terms)
        parts = [
            Polynomial2D(
                degree,
                **{
                    f"c{i}_{j}": float(v)
                    for (i, j), v in zip(terms, np.linalg.lstsq(design, t, rcond=None)[0], strict=True)
                },
            )
            for t in (x, y)
        ]
        scaled = LinearTransform(
            linear.matrix / self.half_width, linear.offset / self.half_width, linear.center
        )
        return scaled.to_astropy() | AxisMapping((0, 1, 0, 1)) | parts[0] & parts[1]

    def __eq__(self, other):
        return (
            isinstance(other, PolynomialTransform)
            and self.degree == other.degree
            and self.half_width == other.half_width
            and all(np.array_equal(getattr(self, n), getattr(other, n)) for n in ("a", "b", "center"))
        )

    __hash__ = None  # type: ignore[assignment]


@dataclass(frozen=True)
class TransformFit(Displayed):
    """A fitted transformation.

    Attributes
    ----------
    transform : `LinearTransform` or `PolynomialTransform`

    covariance : ndarray
        Of the parameters (a..., b...), scaled to the scatter. For `LinearTransform` they are
        ``(offset_u, m00, m01, offset_v, m10, m11)``, for four parameters ``(offset_u, offset_v, m00, m10)``.

    keep : ndarray of bool
        Pairs that were used.

    n_used : int

    rms : float
        Scatter per axis of the residuals of the pairs used, output units.
    """

    transform: Any
    covariance: np.ndarray
    keep: np.ndarray
    n_used: int
    rms: float

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


def _weights(weights, n):
    if weights is None:
        return np.ones(n), np.ones(n)
    if isinstance(weights, tuple):
        return np.broadcast_to(weights[0], n).astype(float), np.broadcast_to(weights[1], n).astype(float)
    w = np.broadcast_to(weights, n).astype(float)
    return w, w


def _clipping(u, v, wu, wv, finite):
    root = tuple(np.sqrt(np.where(finite, w, 0.0)) for w in (wu, wv))
    size = max(np.max(np.abs(c[finite]), initial=0.0) for c in (u, v))
    return {"root": root, "tiny": 1e-11 * (1 + size) * max(np.max(r, initial=0.0) for r in root)}


def _normal_solve(design, w, t):
    """Weighted least squares by the normal equations, by SVD where they are singular."""
    weighted = design * w[:, None]
    try:
        return np.linalg.solve(design.T @ weighted, weighted.T @ t)
    except np.linalg.LinAlgError:
        s = np.sqrt(w)
        return np.linalg.lstsq(design * s[:, None], t * s, rcond=None)[0]


def _fit_clipped(solve, n, finite, sigma, max_iterations, min_stars, what, root, tiny, keep=None, n_free=0):
    # root: square roots of the weights: residuals are clipped in units of their own errors;
    # tiny: rounding error in the same units
    keep = finite.copy() if keep is None else finite & keep
    if keep.sum() < min_stars:
        raise NotEnoughStarsError(f"{int(keep.sum())} stars in common", f"{min_stars} for {what}")
    for _ in range(max_iterations):
        transform, du, dv = solve(keep)
        # with two residuals to spare no wrong pair can be told from the good ones
        if sigma is None or keep.sum() - n_free <= 2:
            break
        nu, nv = du * root[0], dv * root[1]
        # residuals of few stars are smaller than the errors, and their median deviation is uncertain
        m = int(keep.sum())
        wider = np.sqrt(m / max(m - n_free, 1)) * (1 + 3 / m) if m < FEW else 1.0
        su, sv = wider * robust_sigma(nu[keep]), wider * robust_sigma(nv[keep])
        # about the median, as the scale is: about zero, skewed residuals would lose the good pairs
        nu, nv = nu - np.median(nu[keep]), nv - np.median(nv[keep])
        new = finite & (np.hypot(nu / max(su, tiny), nv / max(sv, tiny)) <= sigma * np.sqrt(2))
        if new.sum() < min_stars:
            raise NotEnoughStarsError(
                f"{int(new.sum())} of {n} pairs left after clipping", f"{min_stars} for {what}"
            )
        if np.array_equal(new, keep):
            break
        keep = new
    transform, du, dv = solve(keep)
    rms = float(np.sqrt(0.5 * np.mean(du[keep] ** 2 + dv[keep] ** 2)))
    return transform, keep, rms, du, dv


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
    x, y, u, v = (np.asarray(a, float) for a in (x, y, u, v))
    wu, wv = _weights(weights, x.size)
    finite = np.isfinite(x + y + u + v) & (wu > 0) & (wv > 0) & np.isfinite(wu + wv)
    min_stars = min_stars or parameters // 2 + 1
    center = np.array([np.median(x[finite]), np.median(y[finite])]) if finite.any() else np.zeros(2)
    span = max(float(np.ptp(x[finite])), float(np.ptp(y[finite])), 1e-30) if finite.any() else 1.0
    p, q = (x - center[0]) / span, (y - center[1]) / span
    one = np.ones_like(p)

    # Centered and scaled, these columns are so well conditioned that the normal equations lose nothing.
    design = np.stack([one, p, q], 1)

    def solve6(k):
        d = design[k]
        c = [_normal_solve(d, w[k], t[k]) for w, t in ((wu, u), (wv, v))]
        m = np.array([[c[0][1], c[0][2]], [c[1][1], c[1][2]]]) / span
        return LinearTransform(m, np.array([c[0][0], c[1][0]]), center)

    def solve4(k, parity):
        zero = np.zeros(int(k.sum()))
        top = np.stack([one[k], zero, p[k], -parity * q[k]], 1)
        low = np.stack([zero, one[k], parity * q[k], p[k]], 1)
        d, w, t = np.r_[top, low], np.r_[wu[k], wv[k]], np.r_[u[k], v[k]]
        c = _normal_solve(d, w, t)
        m = np.array([[c[2], -parity * c[3]], [c[3], parity * c[2]]]) / span
        return LinearTransform(m, c[:2].copy(), center), float(np.sum(w * (d @ c - t) ** 2))

    def solve(k):
        if parameters == 6:
            t = solve6(k)
        else:  # a similarity, or one with a reflection
            t = min((solve4(k, parity) for parity in (1.0, -1.0)), key=lambda r: r[1])[0]
        fu, fv = t.forward(x, y)
        return t, u - fu, v - fv

    transform, keep, rms, du, dv = _fit_clipped(
        solve,
        x.size,
        finite,
        sigma,
        max_iterations,
        min_stars,
        f"a {parameters}-parameter transformation",
        keep=keep,
        n_free=parameters / 2,
        **_clipping(u, v, wu, wv, finite),
    )
    dx, dy = x[keep] - center[0], y[keep] - center[1]
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
    else:
        s = np.sign(np.linalg.det(transform.matrix))
        design = np.r_[np.stack([one, 0 * one, dx, -s * dy], 1), np.stack([0 * one, one, s * dy, dx], 1)]
        w = np.r_[wu[keep], wv[keep]]
        cov = np.linalg.pinv(design.T @ (design * w[:, None])) * scale[0]
    return TransformFit(transform, cov, keep, int(keep.sum()), rms)


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
    x, y, u, v = (np.asarray(c, float) for c in (x, y, u, v))
    wu, wv = _weights(weights, x.size)
    finite = np.isfinite(x + y + u + v) & (wu > 0) & (wv > 0) & np.isfinite(wu + wv)
    terms = polynomial_terms(degree)
    min_stars = min_stars or len(terms) + 1
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

    transform, keep, rms, du, dv = _fit_clipped(
        solve,
        x.size,
        finite,
        sigma,
        max_iterations,
        min_stars,
        f"a polynomial of degree {degree}",
        keep=keep,
        **_clipping(u, v, wu, wv, finite),
    )
    n = len(terms)
    cov = np.zeros((2 * n, 2 * n))
    for block, w, r in ((slice(0, n), wu[keep], du[keep]), (slice(n, 2 * n), wv[keep], dv[keep])):
        d = design[keep]
        dof = max(r.size - n, 1)
        cov[block, block] = np.linalg.pinv(d.T @ (d * w[:, None])) * np.sum(w * r**2) / dof
    return TransformFit(transform, cov, keep, int(keep.sum()), rms)
