"""The distortion correction: polynomial, look-up table and pixel map of the raw position, added."""

from dataclasses import dataclass, field

import numpy as np
from astropy.modeling.models import AffineTransformation2D, Identity, Polynomial2D, Scale, Tabular2D
from astropy.modeling.models import Mapping as AxisMapping

from jwst_hpastrom.distortion import _kernels
from jwst_hpastrom.errors import ParameterError
from jwst_hpastrom.geometry import Mapping, polynomial_terms

__all__ = [
    "DistortionCorrection",
    "PixelMapCorrection",
    "PolynomialCorrection",
    "TableCorrection",
    "pixel_area_magnitude",
    "table_nodes",
]

DETECTOR = (2048, 2048)
_NO_POLY = np.zeros((1, 2))
_NO_NODES = np.zeros((1, 2))
_NO_TABLE = np.zeros((1, 1, 2))
_NO_PIXELS = np.zeros((1, 1, 2), np.float32)


def table_nodes(n_cells, n_pixels):
    """Positions at which a table's cells act: cell centres, the outermost moved to the detector's edge.

    Parameters
    ----------
    n_cells, n_pixels : int
        Cells and pixels along the axis.

    Returns
    -------
    ndarray, shape (n_cells,)
        0-based pixels; for 32 cells of 64 pixels 0, 95.5, 159.5, ..., 1951.5, 2047.
    """
    size = n_pixels / n_cells
    nodes = (np.arange(n_cells) + 0.5) * size - 0.5
    nodes[0], nodes[-1] = 0.0, n_pixels - 1.0
    return nodes


class _Part(Mapping):
    """A correction δ(raw): forward is raw + δ."""

    def _kernel_arguments(self):
        raise NotImplementedError

    def delta(self, x, y):
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
        args = self._kernel_arguments()
        _kernels.evaluate(np.ascontiguousarray(x).ravel(), np.ascontiguousarray(y).ravel(), *args, dx, dy)
        return dx.reshape(x.shape), dy.reshape(x.shape)

    def forward(self, x, y):
        dx, dy = self.delta(x, y)
        return np.asarray(x, float) + dx, np.asarray(y, float) + dy

    def inverse(self, u, v, *, tolerance=1e-9, max_iterations=60):
        """Map corrected positions back to raw ones; NaN where the iteration does not converge."""
        u, v = np.broadcast_arrays(np.asarray(u, float), np.asarray(v, float))
        x, y = np.empty(u.size), np.empty(u.size)
        _kernels.invert(
            np.ascontiguousarray(u).ravel(),
            np.ascontiguousarray(v).ravel(),
            *self._kernel_arguments(),
            tolerance,
            max_iterations,
            x,
            y,
        )
        return x.reshape(u.shape), y.reshape(u.shape)


def _horner(degree, a, b):
    """Coefficients in the order in which the kernel wants them: falling j and, within, falling i."""
    ours = {t: k for k, t in enumerate(polynomial_terms(degree, 1))}
    order = [(i, j) for j in range(degree, -1, -1) for i in range(degree - j, -1, -1)]
    values = np.stack([a, b], -1)
    return np.array([values[ours[t]] if t in ours else (0.0, 0.0) for t in order])


@dataclass(frozen=True, eq=False)
class PolynomialCorrection(_Part):
    """δ = Σ a_ij x̃^i ỹ^j for 1 <= i + j <= degree, x̃ = (x - centre)/half_width (L23 §4.1).

    Parameters
    ----------
    degree : int
    a, b : ndarray, shape (n_terms,)
        Coefficients of x and y in pixels, in the order of ``polynomial_terms(degree, 1)``.
    centre : ndarray, shape (2,)
        0-based pixels; L23's (1024, 1024) is (1023, 1023) here.
    half_width : float
    gauge : str
        ``"centre"``: a_10 + b_01 = 0 and a_01 = b_10; ``"bb10"``: a_10 = a_01 = 0; other words: none.
    covariance : ndarray, shape (2 n_terms, 2 n_terms), optional
        Of (a..., b...).
    """

    degree: int
    a: np.ndarray
    b: np.ndarray
    centre: np.ndarray = field(default_factory=lambda: np.array([1023.0, 1023.0]))
    half_width: float = 1024.0
    gauge: str = "centre"
    covariance: np.ndarray | None = None

    def _kernel_arguments(self):
        return (
            _horner(self.degree, self.a, self.b),
            float(self.centre[0]),
            float(self.centre[1]),
            1.0 / self.half_width,
            _NO_TABLE,
            _NO_NODES,
            _NO_NODES,
            0.0,
            0.0,
            1.0,
            1.0,
            _NO_PIXELS,
        )

    def _design(self, x, y):
        p = (np.asarray(x, float) - self.centre[0]) / self.half_width
        q = (np.asarray(y, float) - self.centre[1]) / self.half_width
        return p, q

    def jacobian(self, x, y):
        p, q = self._design(x, y)
        out = np.zeros((*np.broadcast(p, q).shape, 2, 2))
        out[..., 0, 0] = out[..., 1, 1] = 1.0
        for (i, j), a, b in zip(polynomial_terms(self.degree, 1), self.a, self.b, strict=True):
            dp = i * p ** max(i - 1, 0) * q**j / self.half_width
            dq = j * p**i * q ** max(j - 1, 0) / self.half_width
            out[..., 0, 0] += a * dp
            out[..., 0, 1] += a * dq
            out[..., 1, 0] += b * dp
            out[..., 1, 1] += b * dq
        return out

    def error(self, x, y):
        if self.covariance is None:
            return super().error(x, y)
        p, q = np.broadcast_arrays(*self._design(x, y))
        t = np.stack([p**i * q**j for i, j in polynomial_terms(self.degree, 1)], -1)
        n = t.shape[-1]
        c = self.covariance
        return tuple(
            np.sqrt(np.maximum(np.einsum("...i,ij,...j->...", t, c[s, s], t), 0))
            for s in (slice(0, n), slice(n, 2 * n))
        )

    def _astropy_forward(self):
        """Two models raw -> corrected x and y, behind one normalisation."""
        terms = polynomial_terms(self.degree, 1)
        norm = AffineTransformation2D(
            np.eye(2) / self.half_width, -np.asarray(self.centre, float) / self.half_width
        )
        models = []
        for axis, c in enumerate((self.a, self.b)):
            coefficients = {f"c{i}_{j}": float(v) for (i, j), v in zip(terms, c, strict=True)}
            coefficients["c0_0"] = float(self.centre[axis])
            own = ("c1_0", "c0_1")[axis]
            coefficients[own] = coefficients.get(own, 0.0) + self.half_width
            models.append(norm | Polynomial2D(max(self.degree, 1), **coefficients))
        return models

    def _astropy_inverse(self, n=80, margin=0.04, tolerance=3e-5):
        """Polynomial fitted to exact inverses over the detector and a margin, of the degree that it takes."""
        margin = margin * self.half_width
        lo, hi = self.centre - self.half_width - margin, self.centre + self.half_width + margin
        x, y = np.meshgrid(*[0.5 * (h + o) + 0.5 * (h - o) * np.cos(np.pi * (np.arange(n) + 0.5) / n)
                             for o, h in zip(lo, hi, strict=True)])  # fmt: skip
        x, y = x.ravel(), y.ravel()
        u, v = self.forward(x, y)
        half = self.half_width
        p, q = (u - self.centre[0]) / half, (v - self.centre[1]) / half
        for degree in (7, 9, 11, 13):
            terms = polynomial_terms(degree)
            design = np.stack([p**i * q**j for i, j in terms], 1)
            fits = [np.linalg.lstsq(design, t, rcond=None)[0] for t in (x, y)]
            if max(np.abs(design @ c - t).max() for c, t in zip(fits, (x, y), strict=True)) < tolerance:
                break
        norm = AffineTransformation2D(np.eye(2) / half, -np.asarray(self.centre, float) / half)
        parts = [
            Polynomial2D(degree, **{f"c{i}_{j}": float(v) for (i, j), v in zip(terms, c, strict=True)})
            for c in fits
        ]
        return norm | AxisMapping((0, 1, 0, 1)) | parts[0] & parts[1]

    def to_astropy(self):
        return DistortionCorrection(polynomial=self).to_astropy()

    def __eq__(self, other):
        return (
            isinstance(other, PolynomialCorrection)
            and (self.degree, self.half_width, self.gauge) == (other.degree, other.half_width, other.gauge)
            and all(np.array_equal(getattr(self, k), getattr(other, k)) for k in ("a", "b", "centre"))
        )

    __hash__ = None


def _with_widths(nodes):
    return np.stack([nodes, 1.0 / np.append(np.diff(nodes), 1.0)], -1)


@dataclass(frozen=True, eq=False)
class TableCorrection(_Part):
    """Table of residual corrections, bilinear between its nodes, constant outside them (L23 §4.2).

    Parameters
    ----------
    dx, dy : ndarray, shape (n_cells_y, n_cells_x)
        Pixels.
    dx_err, dy_err : ndarray, optional
        Their standard errors.
    count : ndarray of int, optional
        Residuals used in each cell; 0 where the value was borrowed from neighbours.
    shape : tuple of int
        Detector (ny, nx).
    """

    dx: np.ndarray
    dy: np.ndarray
    dx_err: np.ndarray | None = None
    dy_err: np.ndarray | None = None
    count: np.ndarray | None = None
    shape: tuple = DETECTOR

    @property
    def nodes(self):
        """Node positions along x and y."""
        ny, nx = np.shape(self.dx)
        return table_nodes(nx, self.shape[1]), table_nodes(ny, self.shape[0])

    def _kernel_arguments(self):
        x, y = self.nodes
        ny, nx = np.shape(self.dx)
        sx, sy = self.shape[1] / nx, self.shape[0] / ny
        return (
            _NO_POLY,
            0.0,
            0.0,
            1.0,
            np.ascontiguousarray(np.stack([self.dx, self.dy], -1), float),
            _with_widths(x),
            _with_widths(y),
            0.5 * sx - 0.5,
            0.5 * sy - 0.5,
            1 / sx,
            1 / sy,
            _NO_PIXELS,
        )

    def error(self, x, y):
        if self.dx_err is None:
            return super().error(x, y)
        return TableCorrection(self.dx_err, self.dy_err, shape=self.shape).delta(x, y)

    def _astropy_parts(self, sign=1.0):
        # one node of slope zero beyond each edge: extrapolation then keeps the edge's value
        x, y = self.nodes
        points = [[n[0] - 1.0, *n.tolist(), n[-1] + 1.0] for n in (x, y)]
        return [
            Tabular2D(
                points=tuple(points),
                lookup_table=sign * np.pad(np.asarray(t, float), 1, mode="edge").T,
                bounds_error=False,
                fill_value=None,
            )
            for t in (self.dx, self.dy)
        ]

    def to_astropy(self):
        return DistortionCorrection(table=self, shape=self.shape).to_astropy()

    def __eq__(self, other):
        return (
            isinstance(other, TableCorrection)
            and tuple(self.shape) == tuple(other.shape)
            and np.array_equal(self.dx, other.dx)
            and np.array_equal(self.dy, other.dy)
        )

    __hash__ = None


@dataclass(frozen=True, eq=False)
class PixelMapCorrection(_Part):
    """One correction per pixel, bilinear between pixel centres, constant outside them (L23 §4.3).

    Parameters
    ----------
    data : ndarray of float32, shape (ny, nx, 2)
        Corrections of x and y, pixels.
    errors : ndarray, shape (ny, nx, 2), optional
        Standard errors.
    count : ndarray of int, shape (ny, nx), optional
        Residuals kept for each pixel.
    """

    data: np.ndarray
    errors: np.ndarray | None = None
    count: np.ndarray | None = None

    def _kernel_arguments(self):
        return (
            _NO_POLY,
            0.0,
            0.0,
            1.0,
            _NO_TABLE,
            _NO_NODES,
            _NO_NODES,
            0.0,
            0.0,
            1.0,
            1.0,
            np.ascontiguousarray(self.data, np.float32),
        )

    def error(self, x, y):
        if self.errors is None:
            return super().error(x, y)
        return PixelMapCorrection(self.errors).delta(x, y)

    def quantised(self):
        """Return the map as int16 tables ([x, y] order, edges doubled) and their quantum in pixels."""
        top = float(np.abs(self.data).max())
        quantum = max(top / 32700.0, 1e-7)
        tables = [
            np.round(np.pad(self.data[..., k].astype(float), 1, mode="edge").T / quantum).astype(np.int16)
            for k in (0, 1)
        ]
        return tables, quantum

    def to_astropy(self):
        return DistortionCorrection(pixel_map=self, shape=np.shape(self.data)[:2]).to_astropy()

    def __eq__(self, other):
        return isinstance(other, PixelMapCorrection) and np.array_equal(self.data, other.data)

    __hash__ = None


def _pixel_tables(tables, quantum, sign):
    points = tuple([float(v) for v in range(-1, n - 1)] for n in tables[0].shape)
    return [
        Tabular2D(points=points, lookup_table=t, bounds_error=False, fill_value=None) | Scale(sign * quantum)
        for t in tables
    ]


@dataclass(frozen=True, eq=False)
class DistortionCorrection(_Part):
    """raw + δ_polynomial(raw) + δ_table(raw) + δ_pixels(raw) (Methods §2).

    Outside the detector the polynomial goes on, table and pixel map keep the values of their edges.

    Parameters
    ----------
    polynomial : `PolynomialCorrection`, optional
    table : `TableCorrection`, optional
    pixel_map : `PixelMapCorrection`, optional
    floor : float
        Standard error per axis by structure that the parts cannot follow, pixels.
    shape : tuple of int
        Detector (ny, nx).
    """

    polynomial: PolynomialCorrection | None = None
    table: TableCorrection | None = None
    pixel_map: PixelMapCorrection | None = None
    floor: float = 0.0
    shape: tuple = DETECTOR

    def __post_init__(self):
        for part in (self.table, self.pixel_map):
            shape = None if part is None else part.shape if part is self.table else np.shape(part.data)[:2]
            if shape is not None and tuple(shape) != tuple(self.shape):
                raise ParameterError(f"a part for a detector of {shape} pixels", f"{self.shape}")
        object.__setattr__(self, "_arguments", None)

    def __getstate__(self):
        return {**self.__dict__, "_arguments": None}

    def _kernel_arguments(self):
        if self._arguments is None:
            empty = PolynomialCorrection(1, np.zeros(2), np.zeros(2))
            args = list((self.polynomial or empty)._kernel_arguments())
            if self.table is not None:
                args[4:11] = self.table._kernel_arguments()[4:11]
            if self.pixel_map is not None:
                args[11] = self.pixel_map._kernel_arguments()[11]
            object.__setattr__(self, "_arguments", tuple(args))
        return self._arguments

    @property
    def parts(self):
        """The parts that are there."""
        return [p for p in (self.polynomial, self.table, self.pixel_map) if p is not None]

    def jacobian(self, x, y):
        """Return ∂corrected/∂raw: analytic for the polynomial, the mean over the pixel for the tables."""
        x, y = np.broadcast_arrays(np.asarray(x, float), np.asarray(y, float))
        fine = DistortionCorrection(table=self.table, pixel_map=self.pixel_map, shape=self.shape)
        if self.polynomial is None:
            return Mapping.jacobian(fine, x, y)
        out = self.polynomial.jacobian(x, y)
        if len(self.parts) > 1:
            out = out + Mapping.jacobian(fine, x, y) - np.eye(2)
        return out

    def error(self, x, y):
        """Return the standard errors of the corrected position.

        Where there is a pixel map, it has measured what the other parts left over, so its error (and the
        floor) is that of the sum; otherwise the parts' errors add in quadrature.
        """
        parts = [self.pixel_map] if self.pixel_map is not None else self.parts
        ex = np.full(np.broadcast(x, y).shape, self.floor**2)
        ey = ex.copy()
        for part in parts:
            a, b = part.error(x, y)
            ex, ey = ex + a**2, ey + b**2
        return np.sqrt(ex), np.sqrt(ey)

    def to_astropy(self):
        """Return raw -> corrected as standard models; its inverse makes two passes over the same tables."""
        polynomial = self.polynomial or PolynomialCorrection(
            1, np.zeros(2), np.zeros(2), np.array([(self.shape[1] - 1) / 2, (self.shape[0] - 1) / 2]),
            max(self.shape) / 2,
        )  # fmt: skip
        fx, fy = polynomial._astropy_forward()
        back = polynomial._astropy_inverse()
        minus = None
        if self.table is not None:
            tx, ty = self.table._astropy_parts()
            fx, fy = fx + tx, fy + ty
            minus = [tx | Scale(-1.0), ty | Scale(-1.0)]
        if self.pixel_map is not None:
            tables, quantum = self.pixel_map.quantised()
            px, py = _pixel_tables(tables, quantum, 1.0)
            fx, fy = fx + px, fy + py
            m = _pixel_tables(tables, quantum, -1.0)
            minus = m if minus is None else [a + b for a, b in zip(minus, m, strict=True)]
        model = AxisMapping((0, 1, 0, 1)) | fx & fy
        inverse = back
        if minus is not None:
            fine = AxisMapping((0, 1, 0, 1)) | minus[0] & minus[1]
            add = Polynomial2D(1, c1_0=1.0, c0_1=1.0)
            for _ in range(2):
                inverse = (
                    AxisMapping((0, 1, 0, 1)) | Identity(2) & (inverse | fine) | AxisMapping((0, 2, 1, 3))
                    | add & add | back
                )  # fmt: skip
        model.inverse = inverse
        return model

    def __eq__(self, other):
        return (
            isinstance(other, DistortionCorrection)
            and self.floor == other.floor
            and tuple(self.shape) == tuple(other.shape)
            and self.polynomial == other.polynomial
            and self.table == other.table
            and self.pixel_map == other.pixel_map
        )

    __hash__ = None


def pixel_area_magnitude(correction, x, y, *, centre=None):
    """Magnitude to add to one measured on surface brightness: ``-2.5 log10(|J| / |J_centre|)``.

    Parameters
    ----------
    correction : `~jwst_hpastrom.geometry.Mapping`
        Raw to corrected.

    x, y : float or ndarray
        Raw positions.

    centre : tuple of float, optional
        Position of zero correction; by default the polynomial's centre, (1023, 1023).

    Returns
    -------
    ndarray
    """
    if centre is None:
        polynomial = getattr(correction, "polynomial", None)
        centre = (1023.0, 1023.0) if polynomial is None else tuple(polynomial.centre)
    # at the centre the smooth part counts: the reference must not carry one pixel's noise
    smooth = correction
    if isinstance(correction, DistortionCorrection) and correction.polynomial is not None:
        smooth = correction.polynomial
    at_centre = abs(np.linalg.det(smooth.jacobian(*centre)))
    return -2.5 * np.log10(np.abs(np.linalg.det(correction.jacobian(x, y))) / at_centre)
