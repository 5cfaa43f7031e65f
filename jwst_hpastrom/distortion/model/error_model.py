"""What is known of a correction's error: its size over the detector, and how far it reaches."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.fft import irfft2, next_fast_len, rfft2
from scipy.ndimage import gaussian_filter, map_coordinates

from jwst_hpastrom._display import Displayed
from jwst_hpastrom.distortion.model import _error_kernels
from jwst_hpastrom.numerics import sort_into_groups

__all__ = ["ErrorModel"]


@dataclass(frozen=True, eq=False)
class ErrorModel(Displayed):
    """Standard errors of a correction (its shape: a six-parameter transformation is free) and their reach.

    Parameters
    ----------
    variance : ndarray, shape (2, ny, nx)
        Variances of the corrections of x and y, pixels², on uniform nodes from edge to edge of the detector.
    correlation : ndarray, shape (m, 2 n + 1)
        Of the errors at two raw positions, by their distance: along y from zero on, along x from -n on, in
        steps of ``step``; zero beyond. Where the solution's dithers bring a star, the star's own error in
        the catalog repeats.
    step : float
        Pixels.
    shape : tuple of int
        Detector (ny, nx).
    own_error : ndarray, shape (k,), optional
        Measurement errors, pixels, rising.
    own_share : ndarray, shape (2, k), optional
        Correlation of the errors at two dithers of a star of such a measurement error that the correction
        was made from.
    exposures : tuple of str
        File names of the exposures that it was made from.
    measured : bool
        The errors are those that reference stars show in these exposures of everything that the correction
        lacks, so that what dithers show of it is a part of them.
    """

    variance: np.ndarray
    correlation: np.ndarray
    step: float
    shape: tuple
    own_error: np.ndarray | None = None
    own_share: np.ndarray | None = None
    exposures: tuple = ()
    measured: bool = False

    @classmethod
    def from_samples(
        cls,
        samples: np.ndarray,
        shape: tuple[int, ...],
        *,
        smooth: float = 32.0,
        spacing: float = 32.0,
        edge: float = 0.0,
    ) -> "ErrorModel":
        """Measure size and reach from samples of the error.

        Parameters
        ----------
        samples : ndarray, shape (n, 2, my, mx)
            Errors (found minus true) of simulations on square bins that cover the detector.
        shape : tuple of int
            Detector (ny, nx).
        smooth : float
            Standard deviation, pixels, of the Gaussian over which squares are averaged.
        spacing : float
            Distance of the nodes, pixels, about.
        edge : float
            Width, pixels, of the detector's edge that squares are not averaged across: beyond the outermost
            cells' centers a table is extrapolated.

        Returns
        -------
        `ErrorModel`
        """
        samples = np.asarray(samples, float)
        step = shape[0] / samples.shape[2]
        x, y = np.meshgrid(np.linspace(-1, 1, samples.shape[3]), np.linspace(-1, 1, samples.shape[2]))
        q, _ = np.linalg.qr(np.stack([np.ones(x.size), x.ravel(), y.ravel()], 1))
        flat = samples.reshape(len(samples) * 2, -1)
        samples = (flat - (flat @ q) @ q.T).reshape(samples.shape)
        square = np.mean(samples**2, 0)
        width = smooth / step
        j, i = (
            np.abs(np.linspace(-0.5, 0.5, n)) * n * step > 0.5 * n * step - edge for n in square.shape[1:]
        )
        outer = j[:, None] | i
        variance = np.where(outer, _smoothed(square, outer, width), _smoothed(square, ~outer, width))
        nodes = [max(round(n / spacing) + 1, 3) for n in shape]
        along = [np.linspace(-0.5, n / step - 0.5, m) for n, m in zip(shape, nodes, strict=True)]
        places = np.meshgrid(*along, indexing="ij")
        coarse = np.stack([map_coordinates(v, places, order=1, mode="nearest") for v in variance])
        correlation = _correlation(samples / np.sqrt(np.maximum(variance, 1e-30)))
        return cls(coarse, correlation, float(step), tuple(shape))

    @property
    def reach(self) -> float:
        """Distance at which the correlation has fallen to one half, pixels."""
        row = np.minimum.accumulate(self.correlation[0, self.correlation.shape[1] // 2 :])
        return float(self.step * np.interp(-0.5, -row, np.arange(row.size)))

    def error(self, x: ArrayLike, y: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
        """Return the standard errors of the correction at raw positions, pixels."""
        x, y = np.broadcast_arrays(np.asarray(x, float), np.asarray(y, float))
        my, mx = self.variance.shape[1:]
        at = [y * (my - 1) / (self.shape[0] - 1.0), x * (mx - 1) / (self.shape[1] - 1.0)]
        out = (map_coordinates(v, at, order=1, mode="nearest") for v in self.variance)
        return tuple(np.sqrt(np.maximum(v, 0.0)) for v in out)

    def mean_error(
        self,
        x: np.ndarray,
        y: np.ndarray,
        group: np.ndarray,
        n_groups: int,
        weights: np.ndarray | None = None,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the standard errors of the weighted means of the correction over groups of raw positions.

        Parameters
        ----------
        x, y : ndarray, shape (n,)
            Raw positions, 0-based pixels.
        group : ndarray of int, shape (n,)
            Group (star) of each position, 0 <= group < n_groups; negative ones are left out.
        n_groups : int
        weights : ndarray, shape (n,) or (2, n), optional
            Weights in the mean, of x and y; 1 by default.

        Returns
        -------
        x_err, y_err : ndarray, shape (n_groups,)
            Pixels; NaN for groups without weight.
        """
        x, y = np.asarray(x, float).ravel(), np.asarray(y, float).ravel()
        group = np.asarray(group, np.int64).ravel()
        weights = np.broadcast_to(1.0 if weights is None else np.asarray(weights, float), (2, x.size))
        order, start = sort_into_groups(group, n_groups)
        out = np.empty((2, n_groups))
        _error_kernels.mean_variances(
            order, start, x, y, np.ascontiguousarray(weights), np.stack(self.error(x, y)),
            np.asarray(self.correlation, float), float(self.step), out,
        )  # fmt: skip
        return np.sqrt(out[0]), np.sqrt(out[1])

    def covariance_of_sums(self, x: np.ndarray, y: np.ndarray, coefficients: np.ndarray) -> np.ndarray:
        """Return the covariances of sums of the errors at raw positions, shape (2, k, k), of x and y.

        Parameters
        ----------
        x, y : ndarray, shape (n,)
            Raw positions, 0-based pixels.
        coefficients : ndarray, shape (k, n)
            Of the errors in each sum.
        """
        x, y = np.asarray(x, float), np.asarray(y, float)
        scaled = np.stack([coefficients * e for e in self.error(x, y)])
        middle, out = self.correlation.shape[1] // 2, np.zeros((2, *2 * (len(coefficients),)))
        for first in range(0, x.size, 256):  # rows of pairs: a few MB
            rows = slice(first, first + 256)
            dx, dy = ((c[rows, None] - c) / self.step for c in (x, y))
            at = [np.abs(dy), np.where(dy < 0, -dx, dx) + middle]
            related = map_coordinates(self.correlation, at, order=1, mode="constant")
            out += np.einsum("akn,nm,alm->akl", scaled[:, :, rows], related, scaled, optimize=True)
        # a sampled correlation is not quite positive definite
        values, vectors = np.linalg.eigh(0.5 * (out + out.swapaxes(1, 2)))
        return np.einsum("aij,aj,akj->aik", vectors, np.maximum(values, 0.0), vectors)

    def share(self, measured: np.ndarray, names: Sequence[str]) -> np.ndarray:
        """Return how the errors at two dithers of stars correlate that the correction was made from, (2, n).

        Parameters
        ----------
        measured : ndarray, shape (n,)
            Errors of single measurements of the stars, pixels.
        names : sequence of str
            File names of the stars' exposures; zero where the correction was made from others.
        """
        if self.own_error is None or self.own_share is None or not set(names) & set(self.exposures):
            return np.zeros((2, np.size(measured)))
        return np.stack([np.interp(measured, self.own_error, v) for v in self.own_share])

    def to_meta(self) -> dict[str, Any]:
        """Return arrays and plain values, for a file's metadata."""
        own: dict[str, Any] = {}
        if self.measured:
            own = {"measured": True, "exposures": list(self.exposures)}
        if self.own_error is not None and self.own_share is not None:
            own |= {"own_error": np.asarray(self.own_error), "own_share": np.asarray(self.own_share),
                    "exposures": list(self.exposures)}  # fmt: skip
        return own | {
            "variance": np.asarray(self.variance, np.float32),
            "correlation": np.asarray(self.correlation, np.float32),
            "step": float(self.step), "shape": [int(n) for n in self.shape],
        }  # fmt: skip

    @classmethod
    def from_meta(cls, meta: Mapping[str, Any]) -> "ErrorModel":
        """Make it from what `to_meta` returned."""
        variance, correlation = (np.array(meta[k]) for k in ("variance", "correlation"))
        own_error, own_share = (np.array(meta[k]) if k in meta else None for k in ("own_error", "own_share"))
        return cls(
            variance, correlation, float(meta["step"]), tuple(int(n) for n in meta["shape"]), own_error,
            own_share, tuple(meta.get("exposures", ())), bool(meta.get("measured", False)),
        )  # fmt: skip

    def with_structure(
        self, variance: ArrayLike, length: float, strength: np.ndarray | None = None
    ) -> "ErrorModel":
        """Return the model with an independent error added, of its own reach.

        Parameters
        ----------
        variance : float or ndarray, shape (2,)
            Mean over the detector, pixels², of x and y.
        length : float
            Reach, pixels.
        strength : ndarray, shape (ny, nx), optional
            Relative variance over the detector, on bins that cover it; by default the same everywhere.
        """
        mean = float(self.variance.mean())
        m, n = self.correlation.shape
        dy, dx = np.ogrid[:m, -(n // 2) : n // 2 + 1]
        own = np.exp(-0.5 * (dy**2 + dx**2) * (self.step / length) ** 2)
        axes = np.broadcast_to(np.asarray(variance, float), (2,))
        added = float(axes.mean())
        correlation = (mean * self.correlation + added * own) / max(mean + added, 1e-30)
        here = 1.0
        if strength is not None:
            my, mx = self.variance.shape[1:]
            places = [np.linspace(0, n - 1, m) for n, m in zip(strength.shape, (my, mx), strict=True)]
            here = map_coordinates(strength, np.meshgrid(*places, indexing="ij"), order=1, mode="nearest")
            here = here / here.mean()
        return replace(self, variance=self.variance + axes[:, None, None] * here, correlation=correlation)

    def __eq__(self, other):
        return isinstance(other, ErrorModel) and all(
            np.array_equal(getattr(self, k), getattr(other, k))
            for k in ("variance", "correlation", "step", "shape", "own_error", "own_share", "measured")
        )

    __hash__ = None  # type: ignore[assignment]


def _smoothed(square, zone, width):
    """Gaussian means of squares (2, ny, nx) over the bins of a zone."""

    def smooth(v):
        return gaussian_filter(v, width, mode="reflect", truncate=3.0)

    weight = np.maximum(smooth(zone.astype(float)), 1e-9)
    return np.stack([smooth(v * zone) / weight for v in square])


def _correlation(unit):
    """Autocorrelation of unit-variance samples (n, 2, ny, nx), for distances up to 3/4 of their size."""
    ny, nx = unit.shape[2:]
    top = [3 * n // 4 for n in (ny, nx)]
    size = [next_fast_len(n + m, real=True) for n, m in zip((ny, nx), top, strict=True)]
    power = np.mean(np.abs(rfft2(unit, size)) ** 2, axis=(0, 1))
    products, overlap = (irfft2(v, size) for v in (power, np.abs(rfft2(np.ones((ny, nx)), size)) ** 2))
    j, i = np.ogrid[: top[0], -top[1] + 1 : top[1]]
    correlation = products[j, i] / overlap[j, i]
    return correlation / correlation[0, top[1] - 1]
