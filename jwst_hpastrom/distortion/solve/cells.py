"""Residuals averaged in square cells of the detector."""

from dataclasses import dataclass

import numpy as np

from jwst_hpastrom.distortion.solve import _kernels
from jwst_hpastrom.numerics import cell_index, clipped_median, sort_into_groups

__all__ = ["CellGrid", "CellMeans", "fill_cells"]


@dataclass
class CellGrid:
    """Assignment of positions to n × n cells of the detector.

    Parameters
    ----------
    x, y : ndarray
        Raw positions, 0-based pixels.

    n : int
        Cells along each axis.

    shape : tuple of int
        Detector (ny, nx).
    """

    x: np.ndarray
    y: np.ndarray
    n: int
    shape: tuple

    def __post_init__(self):
        n, (ny, nx) = self.n, self.shape
        self.cell = cell_index(self.y, n, ny) * n + cell_index(self.x, n, nx)
        self.order, self.start = sort_into_groups(self.cell, n * n)
        found = np.maximum(np.diff(self.start), 1)
        # where the residuals are, which is not exactly the cell's center
        self.mean_x = np.bincount(self.cell, self.x, n * n) / found
        self.mean_y = np.bincount(self.cell, self.y, n * n) / found

    def means(self, values, weights=None, *, sigma=3.0):
        """Return clipped mean, its standard error and the count of each cell, each of shape (n*n,)."""
        size = self.n * self.n
        mean, error, count = np.empty(size), np.empty(size), np.empty(size, np.int64)
        weights = np.ones(values.size) if weights is None else np.ascontiguousarray(weights, float)
        _kernels.cell_means(
            self.order,
            self.start,
            np.ascontiguousarray(values, float),
            weights,
            float(sigma),
            mean,
            error,
            count,
        )
        return mean, error, count

    def clip(self, values, sigma):
        """Return the values with those clipped from their cells' means replaced by NaN."""
        out = np.asarray(values, float).copy()
        for lo, hi in zip(self.start[:-1], self.start[1:], strict=True):
            k = self.order[lo:hi]
            _, _, keep = clipped_median(out[k], sigma=sigma)
            out[k[~keep]] = np.nan
        return out


@dataclass(frozen=True, eq=False)
class CellMeans:
    """Mean residual of one coordinate in every cell, its error, and the number of stars."""

    mean: np.ndarray
    error: np.ndarray
    count: np.ndarray

    @property
    def filled(self):
        """Cells of so many stars that their mean has an error."""
        return self.count >= 3

    def through(self, design):
        """Coefficients of the polynomial through the means; the first one is the constant."""
        good = self.filled
        w = np.sqrt(self.count[good])
        return np.linalg.lstsq(design[good] * w[:, None], self.mean[good] * w, rcond=None)[0]

    def covariance(self, design):
        """Covariance of the coefficients but the constant, by the means' errors and what they leave."""
        g = self.filled & (self.error > 0)
        m, e = self.mean[g], self.error[g]
        d = design[g] / e[:, None]
        left = (m - design[g] @ np.linalg.lstsq(design[g], m, rcond=None)[0]) / e
        return (np.linalg.pinv(d.T @ d) * max(np.mean(left**2), 1.0))[1:, 1:]


def fill_cells(values, count, minimum=3):
    """Give cells with fewer than ``minimum`` residuals the mean of their nearest filled neighbors.

    Parameters
    ----------
    values, count : ndarray, shape (ny, nx)

    minimum : int

    Returns
    -------
    ndarray, shape (ny, nx)
    """
    known = (count >= minimum) & np.isfinite(values)
    out = np.where(known, values, 0.0)
    while not known.all() and known.any():
        total, number = np.zeros(out.shape), np.zeros(out.shape)
        padded, mask = np.pad(np.where(known, out, 0.0), 1), np.pad(known, 1)
        ny, nx = out.shape
        for j in range(3):
            for i in range(3):
                total += padded[j : j + ny, i : i + nx]
                number += mask[j : j + ny, i : i + nx]
        new = ~known & (number > 0)
        out[new] = total[new] / number[new]
        known = known | new
    return out
