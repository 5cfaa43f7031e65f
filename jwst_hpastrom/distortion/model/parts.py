"""The parts of a correction: polynomial, look-up table, pixel map; each a mapping by itself."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from jwst_hpastrom._display import Displayed
from jwst_hpastrom.distortion.model import _kernels
from jwst_hpastrom.distortion.model.standard_models import standard_model
from jwst_hpastrom.geometry import Mapping, PolynomialTransform
from jwst_hpastrom.instrument import FRAME
from jwst_hpastrom.numerics import polynomial_basis, polynomial_terms

__all__ = ["Part", "PixelMapCorrection", "PolynomialCorrection", "TableCorrection", "table_nodes"]

# the kernel's bundles, for parts that are not there
NO_POLYNOMIAL = _kernels.Polynomial(np.zeros((1, 2)), 0.0, 0.0, 1.0)
NO_TABLE = _kernels.Table(np.zeros((1, 1, 2)), np.zeros((1, 2)), np.zeros((1, 2)), 0.0, 0.0, 1.0, 1.0)
NO_PIXELS = np.zeros((1, 1, 2), np.float32)


def table_nodes(n_cells: int, n_pixels: int) -> np.ndarray:
    """Positions at which a table's cells act: cell centers, the outermost moved to the detector's edge.

    Parameters
    ----------
    n_cells, n_pixels : int
        Cells and pixels along the axis.

    Returns
    -------
    ndarray, shape (n_cells,)
        0-based pixels; for 32 cells of 64 pixels 0, 95.5, 159.5, ..., 1951.5, 2047.

    Examples
    --------
    >>> from jwst_hpastrom.distortion import table_nodes
    >>> table_nodes(4, 2048)
    array([   0. ,  767.5, 1279.5, 2047. ])
    """
    size = n_pixels / n_cells
    nodes = (np.arange(n_cells) + 0.5) * size - 0.5
    nodes[0], nodes[-1] = 0.0, n_pixels - 1.0
    return nodes


class Part(Mapping):
    """A correction δ(raw): forward is raw + δ."""

    def _own_bundle(self):
        """Return the kernel's bundle of this part."""
        raise NotImplementedError

    def _bundle(self):
        """Return the kernel's bundle of all parts."""
        raise NotImplementedError

    def delta(self, x: ArrayLike, y: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
        """Return the correction itself.

        Parameters
        ----------
        x, y : float or ndarray
            Raw positions, 0-based pixels.

        Returns
        -------
        dx, dy : ndarray
            Pixels to be added.
        """
        x, y = np.broadcast_arrays(np.asarray(x, float), np.asarray(y, float))
        dx, dy = np.empty(x.size), np.empty(x.size)
        places = (np.ascontiguousarray(c).ravel() for c in (x, y))
        _kernels.evaluate(*places, self._bundle(), dx, dy)  # type: ignore[call-arg]
        return dx.reshape(x.shape), dy.reshape(x.shape)

    def forward(self, x: ArrayLike, y: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
        dx, dy = self.delta(x, y)
        return np.asarray(x, float) + dx, np.asarray(y, float) + dy

    def inverse(
        self, u: ArrayLike, v: ArrayLike, *, tolerance: float = 1e-9, max_iterations: int = 60
    ) -> tuple[np.ndarray, np.ndarray]:
        """Map corrected positions back to raw ones; NaN where the iteration does not converge."""
        u, v = np.broadcast_arrays(np.asarray(u, float), np.asarray(v, float))
        x, y = np.empty(u.size), np.empty(u.size)
        places = (np.ascontiguousarray(c).ravel() for c in (u, v))
        _kernels.invert(*places, self._bundle(), tolerance, max_iterations, x, y)  # type: ignore[call-arg]
        return x.reshape(u.shape), y.reshape(u.shape)


def _horner(degree, a, b):
    """Coefficients in the order in which the kernel wants them: falling j and, within, falling i."""
    ours = {t: k for k, t in enumerate(polynomial_terms(degree, 1))}
    order = [(i, j) for j in range(degree, -1, -1) for i in range(degree - j, -1, -1)]
    values = np.stack([a, b], -1)
    return np.array([values[ours[t]] if t in ours else (0.0, 0.0) for t in order])


@dataclass(frozen=True, eq=False)
class PolynomialCorrection(Part, Displayed):
    """δ = Σ a_ij x̃^i ỹ^j for 1 <= i + j <= degree, x̃ = (x - center)/half_width (L23 §4.1).

    Parameters
    ----------
    degree : int
    a, b : ndarray, shape (n_terms,)
        Coefficients of x and y in pixels, in the order of ``polynomial_terms(degree, 1)``.
    center : ndarray, shape (2,)
        0-based pixels; L23's (1024, 1024) is (1023, 1023) here.
    half_width : float
    gauge : str
        ``"center"``: a_10 + b_01 = 0 and a_01 = b_10; ``"bb10"``: a_10 = a_01 = 0; other words: none.
    covariance : ndarray, shape (2 n_terms, 2 n_terms), optional
        Of (a..., b...).

    Examples
    --------
    >>> import numpy as np
    >>> from jwst_hpastrom.distortion import PolynomialCorrection
    >>> stretch = PolynomialCorrection(1, np.array([0.5, 0.0]), np.array([0.0, 0.5]))
    >>> [float(v) for v in stretch.delta(2047.0, 1023.0)]
    [0.5, 0.0]
    """

    degree: int
    a: np.ndarray
    b: np.ndarray
    center: np.ndarray = field(default_factory=lambda: np.array([1023.0, 1023.0]))
    half_width: float = 1024.0
    gauge: str = "center"
    covariance: np.ndarray | None = None

    def _own_bundle(self):
        x, y = map(float, self.center)
        return _kernels.Polynomial(_horner(self.degree, self.a, self.b), x, y, 1.0 / self.half_width)

    def _bundle(self):
        return _kernels.Correction(self._own_bundle(), NO_TABLE, NO_PIXELS)

    def jacobian(self, x: ArrayLike, y: ArrayLike) -> np.ndarray:
        zero = [0.0]
        delta = PolynomialTransform(
            self.degree, np.r_[zero, self.a], np.r_[zero, self.b], self.center, self.half_width
        )
        return np.eye(2) + delta.jacobian(x, y)

    def error(self, x: ArrayLike, y: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
        if self.covariance is None:
            return super().error(x, y)
        x, y = np.broadcast_arrays(x, y)
        p, q = ((v - c) / self.half_width for v, c in zip((x, y), self.center, strict=True))
        t = polynomial_basis(p, q, polynomial_terms(self.degree, 1))
        n = t.shape[-1]
        c = self.covariance
        return tuple(
            np.sqrt(np.maximum(np.einsum("...i,ij,...j->...", t, c[s, s], t), 0))
            for s in (slice(0, n), slice(n, 2 * n))
        )

    def to_astropy(self) -> Any:
        return standard_model(polynomial=self)

    def __eq__(self, other):
        return (
            isinstance(other, PolynomialCorrection)
            and (self.degree, self.half_width, self.gauge) == (other.degree, other.half_width, other.gauge)
            and all(np.array_equal(getattr(self, k), getattr(other, k)) for k in ("a", "b", "center"))
        )

    __hash__ = None  # type: ignore[assignment]


def _with_widths(nodes):
    return np.stack([nodes, 1.0 / np.append(np.diff(nodes), 1.0)], -1)


@dataclass(frozen=True, eq=False)
class TableCorrection(Part, Displayed):
    """Table of residual corrections, bilinear between its nodes, constant outside them (L23 §4.2).

    Parameters
    ----------
    dx, dy : ndarray, shape (n_cells_y, n_cells_x)
        Pixels.
    dx_err, dy_err : ndarray, optional
        Their standard errors.
    count : ndarray of int, optional
        Residuals used in each cell; 0 where the value was borrowed from neighbors.
    shape : tuple of int
        Detector (ny, nx).

    Examples
    --------
    >>> import numpy as np
    >>> from jwst_hpastrom.distortion import TableCorrection
    >>> step = TableCorrection(np.array([[0.0, 0.1], [0.0, 0.1]]), np.zeros((2, 2)))
    >>> [round(float(step.delta(x, 500.0)[0]), 3) for x in (0.0, 1023.5, 2047.0)]
    [0.0, 0.05, 0.1]
    """

    dx: np.ndarray
    dy: np.ndarray
    dx_err: np.ndarray | None = None
    dy_err: np.ndarray | None = None
    count: np.ndarray | None = None
    shape: tuple = FRAME

    @property
    def nodes(self) -> tuple[np.ndarray, np.ndarray]:
        """Node positions along x and y."""
        ny, nx = np.shape(self.dx)
        return table_nodes(nx, self.shape[1]), table_nodes(ny, self.shape[0])

    def _own_bundle(self):
        x, y = self.nodes
        ny, nx = np.shape(self.dx)
        sx, sy = self.shape[1] / nx, self.shape[0] / ny
        return _kernels.Table(
            np.ascontiguousarray(np.stack([self.dx, self.dy], -1), float),
            _with_widths(x),
            _with_widths(y),
            0.5 * sx - 0.5,
            0.5 * sy - 0.5,
            1 / sx,
            1 / sy,
        )

    def _bundle(self):
        return _kernels.Correction(NO_POLYNOMIAL, self._own_bundle(), NO_PIXELS)

    def error(self, x: ArrayLike, y: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
        if self.dx_err is None or self.dy_err is None:
            return super().error(x, y)
        return TableCorrection(self.dx_err, self.dy_err, shape=self.shape).delta(x, y)

    def to_astropy(self) -> Any:
        return standard_model(table=self)

    def __eq__(self, other):
        return (
            isinstance(other, TableCorrection)
            and tuple(self.shape) == tuple(other.shape)
            and np.array_equal(self.dx, other.dx)
            and np.array_equal(self.dy, other.dy)
        )

    __hash__ = None  # type: ignore[assignment]


@dataclass(frozen=True, eq=False)
class PixelMapCorrection(Part, Displayed):
    """One correction per pixel, bilinear between pixel centers, constant outside them (L23 §4.3).

    Parameters
    ----------
    data : ndarray of float32, shape (ny, nx, 2)
        Corrections of x and y, pixels.
    errors : ndarray, shape (ny, nx, 2), optional
        Standard errors.
    count : ndarray of int, shape (ny, nx), optional
        Residuals kept for each pixel.

    Examples
    --------
    >>> import numpy as np
    >>> from jwst_hpastrom.distortion import PixelMapCorrection
    >>> data = np.zeros((4, 4, 2), np.float32)
    >>> data[:, 2:, 0] = 0.02
    >>> dx, dy = PixelMapCorrection(data).delta(np.array([0.0, 1.5, 3.0]), np.array([1.0, 1.0, 1.0]))
    >>> dx.round(3)
    array([0.  , 0.01, 0.02])
    """

    data: np.ndarray
    errors: np.ndarray | None = None
    count: np.ndarray | None = None

    def _own_bundle(self):
        return np.ascontiguousarray(self.data, np.float32)

    def _bundle(self):
        return _kernels.Correction(NO_POLYNOMIAL, NO_TABLE, self._own_bundle())

    def error(self, x: ArrayLike, y: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
        if self.errors is None:
            return super().error(x, y)
        return PixelMapCorrection(self.errors).delta(x, y)

    def to_astropy(self) -> Any:
        return standard_model(pixel_map=self)

    def __eq__(self, other):
        return isinstance(other, PixelMapCorrection) and np.array_equal(self.data, other.data)

    __hash__ = None  # type: ignore[assignment]
