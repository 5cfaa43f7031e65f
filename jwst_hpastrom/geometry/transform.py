"""Four- and six-parameter and polynomial transformations."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from astropy.modeling.models import AffineTransformation2D, Polynomial2D
from astropy.modeling.models import Mapping as AxisMapping
from numpy.polynomial.polynomial import polyder, polyval2d
from numpy.typing import ArrayLike

from jwst_hpastrom._display import Displayed
from jwst_hpastrom.geometry.mapping import Mapping
from jwst_hpastrom.numerics import polynomial_basis, polynomial_terms

__all__ = ["LinearTransform", "PolynomialTransform"]


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
