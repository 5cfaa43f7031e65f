"""Numba kernels for small symmetric positive matrices: plain arrays in, plain arrays out.

`factor` gives the determinant, too, and keeps reciprocals for many right-hand sides; `cholesky`, of normal
equations, refuses matrices that are singular but for rounding.
"""

import numpy as np
from numba import njit

from jwst_hpastrom.numerics.robust_kernels import FAST

# Matrices that are factored together: each waits for its own sums, the core works at the others meanwhile.
LANES = 4


@njit(cache=True, nogil=True, fastmath=FAST)
def factor(a, n, b, m):
    """Cholesky factor of a (lower, in place), rows of b to (L⁻¹ bᵀ)ᵀ; returns ln|a|, NaN if not definite."""
    logdet = 0.0
    for i in range(n):
        for j in range(i):
            s = a[i, j]
            for k in range(j):
                s -= a[i, k] * a[j, k]
            a[i, j] = s * a[j, j]
        d = a[i, i]
        for k in range(i):
            d -= a[i, k] * a[i, k]
        if not d > 0.0:
            return np.nan
        logdet += np.log(d)
        a[i, i] = 1.0 / np.sqrt(d)  # the diagonal holds the reciprocal
    for r in range(m):
        for i in range(n):
            s = b[r, i]
            for k in range(i):
                s -= a[i, k] * b[r, k]
            b[r, i] = s * a[i, i]
    return logdet


@njit(cache=True, nogil=True, fastmath=FAST)
def factor_lanes(a, n, b, m, logdet):
    """`factor` of the matrices a[:, :, lane] with the rows b[lane], into logdet[lane]: the same numbers."""
    logdet[:] = 0.0
    for i in range(n):
        for j in range(i + 1):
            s0, s1, s2, s3 = a[i, j, 0], a[i, j, 1], a[i, j, 2], a[i, j, 3]
            for k in range(j):
                s0 -= a[i, k, 0] * a[j, k, 0]
                s1 -= a[i, k, 1] * a[j, k, 1]
                s2 -= a[i, k, 2] * a[j, k, 2]
                s3 -= a[i, k, 3] * a[j, k, 3]
            a[i, j, 0], a[i, j, 1], a[i, j, 2], a[i, j, 3] = s0, s1, s2, s3
            for lane in range(LANES):
                if j < i:
                    a[i, j, lane] *= a[j, j, lane]
                    continue
                d = a[i, i, lane]
                logdet[lane] += np.log(d) if d > 0.0 else np.nan
                a[i, i, lane] = 1.0 / np.sqrt(d) if d > 0.0 else np.nan
    for r in range(m):
        for i in range(n):
            s0, s1, s2, s3 = b[0, r, i], b[1, r, i], b[2, r, i], b[3, r, i]
            for k in range(i):
                s0 -= a[i, k, 0] * b[0, r, k]
                s1 -= a[i, k, 1] * b[1, r, k]
                s2 -= a[i, k, 2] * b[2, r, k]
                s3 -= a[i, k, 3] * b[3, r, k]
            b[0, r, i], b[1, r, i] = s0 * a[i, i, 0], s1 * a[i, i, 1]
            b[2, r, i], b[3, r, i] = s2 * a[i, i, 2], s3 * a[i, i, 3]


@njit(cache=True, nogil=True, fastmath=FAST)
def invert_lower(a, n, out):
    """Inverse of the factor from `factor`, transposed: out[j, i] = (L⁻¹)_ij, i >= j."""
    for j in range(n):
        out[j, j] = a[j, j]
        for i in range(j):
            out[j, i] = 0.0
        for i in range(j + 1, n):
            s = 0.0
            for k in range(j, i):
                s += a[i, k] * out[j, k]
            out[j, i] = -s * a[i, i]


@njit(cache=True, nogil=True, fastmath=FAST)
def small_inverse(g, p, out):
    """Inverse of a small symmetric positive matrix by its Cholesky factor, scaled to unit diagonal."""
    s = np.empty(p)
    for i in range(p):
        if not g[i, i] > 0.0:
            return False
        s[i] = 1.0 / np.sqrt(g[i, i])
    a = np.empty((p, p))
    for i in range(p):
        for j in range(p):
            a[i, j] = g[i, j] * s[i] * s[j]
    b = np.eye(p)
    if not np.isfinite(factor(a, p, b, p)):
        return False
    for i in range(p):
        if a[i, i] > 1e7:
            return False
        for j in range(p):
            c = 0.0
            for k in range(p):
                c += b[i, k] * b[j, k]
            out[i, j] = c * s[i] * s[j]
    return True


@njit(cache=True, nogil=True, fastmath=FAST)
def cholesky(a, n):
    """Replace the lower triangle of the symmetric a[:n, :n] by its Cholesky factor; False if not definite."""
    for j in range(n):
        s = a[j, j]
        for k in range(j):
            s -= a[j, k] * a[j, k]
        if not s > 1e-14 * abs(a[j, j]) + 1e-300:
            return False
        d = np.sqrt(s)
        a[j, j] = d
        for i in range(j + 1, n):
            s = a[i, j]
            for k in range(j):
                s -= a[i, k] * a[j, k]
            a[i, j] = s / d
    return True


@njit(cache=True, nogil=True, fastmath=FAST)
def cholesky_solve(a, n, b):
    """Solve in place with the factor made by `cholesky`."""
    for i in range(n):
        s = b[i]
        for k in range(i):
            s -= a[i, k] * b[k]
        b[i] = s / a[i, i]
    for i in range(n - 1, -1, -1):
        s = b[i]
        for k in range(i + 1, n):
            s -= a[k, i] * b[k]
        b[i] = s / a[i, i]
