"""Numba core of the marginalized motions: likelihoods and straight lines on a grid of hyper-parameters."""

from typing import NamedTuple

import numpy as np
from numba import njit

from jwst_hpastrom.motion.star_fits._gp_kernels import FAST, NO, build, factor, log_likelihood, small_inverse

TINY = 1e-4  # weight below which a point of the grid does not count


class AxisData(NamedTuple):
    """What was measured of all stars along one axis."""

    t: np.ndarray  # (n_epochs,)
    y: np.ndarray  # (n_stars, n_epochs)
    error: np.ndarray
    extra: np.ndarray  # (n_stars, n_epochs, n_epochs) added covariance, or no stars
    use: np.ndarray
    group: np.ndarray  # (n_epochs,)
    t0: np.ndarray  # (n_stars,)
    degree: int


class Grid(NamedTuple):
    """Models and hyper-parameters, and the bin of each star."""

    codes: np.ndarray  # (n_points,)
    thetas: np.ndarray  # (n_bins, n_points, 2)
    bin_of: np.ndarray  # (n_stars,)


@njit(cache=True, nogil=True, fastmath=FAST)
def _problem(s, data):
    """Times, groups, data, noise and linear terms of one star and axis."""
    idx = np.flatnonzero(data.use[s])
    n, degree = idx.size, data.degree
    t, group, y, noise = data.t[idx], data.group[idx], data.y[s][idx], np.zeros((n, n))
    terms = np.ones((degree + 1, n))
    for i in range(n):
        noise[i, i] = data.error[s, idx[i]] ** 2
        if data.extra.shape[0] > 0:
            for j in range(n):
                noise[i, j] += data.extra[s, idx[i], idx[j]]
        for r in range(degree):
            terms[r + 1, i] = terms[r, i] * (t[i] - data.t0[s]) / (r + 1.0)
    return t, group, y, noise, terms


@njit(cache=True, nogil=True, fastmath=FAST)
def _covariance(code, t, group, theta, noise, k):
    n = t.size
    if code == 0:
        k[:, :] = noise
        return
    build(code, t, group, np.zeros(5), theta, k, np.empty((0, n, n)), NO)
    for i in range(n):
        for j in range(n):
            k[i, j] += noise[i, j]


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
    for s in range(data.y.shape[0]):
        t, group, y, noise, terms = _problem(s, data)
        n, p = t.size, data.degree + 1
        k, b = np.empty((n, n)), np.empty((p + 1, n))
        for q in range(grid.codes.size):
            _covariance(grid.codes[q], t, group, grid.thetas[grid.bin_of[s], q], noise, k)
            out[s, q] = log_likelihood(k, n, terms, p, y, b)


@njit(cache=True, nogil=True)
def grid_means(data, grid, weight, beta, covariance):
    """Mean and covariance of the linear terms over the grid with weights (n_stars, n_points)."""
    p = data.degree + 1
    for s in range(data.y.shape[0]):
        t, group, y, noise, terms = _problem(s, data)
        n = t.size
        k, b = np.empty((n, n)), np.empty((p + 1, n))
        one, cov, total = np.empty(p), np.empty((p, p)), 0.0
        mean, second = np.zeros(p), np.zeros((p, p))
        for q in range(grid.codes.size):
            w = weight[s, q]
            if w < TINY:
                continue
            _covariance(grid.codes[q], t, group, grid.thetas[grid.bin_of[s], q], noise, k)
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
