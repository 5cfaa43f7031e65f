"""Numba core of the marginalized motions: likelihoods and straight lines on a grid of hyper-parameters."""

from typing import NamedTuple

import numpy as np
from numba import njit

from jwst_hpastrom.motion.star_fits._climb_kernels import row_likelihoods
from jwst_hpastrom.motion.star_fits._gp_kernels import FAST, log_likelihood
from jwst_hpastrom.numerics.cholesky_kernels import LANES, factor, small_inverse

TINY = 1e-4  # weight below which a point of the grid does not count


class AxisData(NamedTuple):
    """What was measured of all stars along one axis."""

    t: np.ndarray  # (n_epochs,)
    y: np.ndarray  # (n_stars, n_epochs)
    error: np.ndarray
    extra: np.ndarray  # (n_stars, n_epochs, n_epochs) added covariance, or no stars
    use: np.ndarray
    t0: np.ndarray  # (n_stars,)
    degree: int


class Grid(NamedTuple):
    """Systematics, each at all amplitudes, and the bin of each star; the first point of all is the line."""

    shapes: np.ndarray  # (n_rows, n_epochs, n_epochs) covariances of amplitude one
    squares: np.ndarray  # (n_bins, n_amplitudes)
    bin_of: np.ndarray  # (n_stars,)


@njit(cache=True, nogil=True, fastmath=FAST)
def _problem(s, data):
    """Used epochs, data, noise and linear terms of one star and axis."""
    idx = np.flatnonzero(data.use[s])
    n, degree = idx.size, data.degree
    t, y, noise = data.t[idx], data.y[s][idx], np.zeros((n, n))
    terms = np.ones((degree + 1, n))
    for i in range(n):
        noise[i, i] = data.error[s, idx[i]] ** 2
        if data.extra.shape[0] > 0:
            for j in range(n):
                noise[i, j] += data.extra[s, idx[i], idx[j]]
        for r in range(degree):
            terms[r + 1, i] = terms[r, i] * (t[i] - data.t0[s]) / (r + 1.0)
    return idx, y, noise, terms


@njit(cache=True, nogil=True, fastmath=FAST)
def _line(k, n, terms, p, y, b, beta, cov):
    """Linear terms and their covariance by generalized least squares; k is destroyed. Whether it worked."""
    for i in range(n):
        for r in range(p):
            b[r, i] = terms[r, i]
        b[p, i] = y[i]
    if not np.isfinite(factor(k, n, b, p + 1)):
        return False
    g = np.zeros((p, p))
    for r in range(p):
        for q in range(p):
            for i in range(n):
                g[r, q] += b[r, i] * b[q, i]
    if not small_inverse(g, p, cov):
        return False
    for r in range(p):
        beta[r] = 0.0
        for q in range(p):
            for i in range(n):
                beta[r] += cov[r, q] * b[q, i] * b[p, i]
    return True


@njit(cache=True, nogil=True)
def grid_likelihoods(data, grid, out):
    """Log likelihood of every star of one axis at every point of its bin's grid, (n_stars, n_points)."""
    amplitudes = grid.squares.shape[1]
    square, found = np.empty(LANES), np.empty(LANES)
    for s in range(data.y.shape[0]):
        idx, y, noise, terms = _problem(s, data)
        n, p = idx.size, data.degree + 1
        a, b = np.empty((n, n, LANES)), np.empty((LANES, p + 1, n))
        shape, g = np.empty((n, n)), np.empty((p + 1, p + 1))
        shape[:, :] = noise
        out[s, 0] = log_likelihood(shape, n, terms, p, y, b[0])
        for row in range(grid.shapes.shape[0]):
            for i in range(n):
                for j in range(i + 1):
                    shape[i, j] = grid.shapes[row, idx[i], idx[j]]
            for first in range(0, amplitudes, LANES):
                for i in range(LANES):  # the last ones are idle where amplitudes run out
                    square[i] = grid.squares[grid.bin_of[s], min(first + i, amplitudes - 1)]
                row_likelihoods(shape, square, noise, terms, y, a, b, g, found)
                for i in range(min(LANES, amplitudes - first)):
                    out[s, 1 + row * amplitudes + first + i] = found[i]


@njit(cache=True, nogil=True)
def grid_means(data, grid, weight, beta, covariance):
    """Mean and covariance of the linear terms over the grid with weights (n_stars, n_points)."""
    p, amplitudes = data.degree + 1, grid.squares.shape[1]
    for s in range(data.y.shape[0]):
        idx, y, noise, terms = _problem(s, data)
        n = idx.size
        k, b = np.empty((n, n)), np.empty((p + 1, n))
        one, cov, total = np.empty(p), np.empty((p, p)), 0.0
        mean, second = np.zeros(p), np.zeros((p, p))
        for q in range(weight.shape[1]):
            w = weight[s, q]
            if w < TINY:
                continue
            k[:, :] = noise
            if q > 0:
                square = grid.squares[grid.bin_of[s], (q - 1) % amplitudes]
                for i in range(n):
                    for j in range(i + 1):
                        k[i, j] += square * grid.shapes[(q - 1) // amplitudes, idx[i], idx[j]]
            if not _line(k, n, terms, p, y, b, one, cov):
                continue
            total += w
            for i in range(p):
                mean[i] += w * one[i]
                for j in range(p):
                    second[i, j] += w * (cov[i, j] + one[i] * one[j])
        if total > 0.0:
            for i in range(p):
                beta[s, i] = mean[i] / total
            for i in range(p):
                for j in range(p):
                    covariance[s, i, j] = second[i, j] / total - beta[s, i] * beta[s, j]
