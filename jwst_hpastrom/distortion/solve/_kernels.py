"""Numba kernels for means in cells and for normal matrices: plain arrays in, plain arrays out."""

import numpy as np
from numba import njit

from jwst_hpastrom.numerics.robust_kernels import clip


@njit(cache=True, nogil=True)
def cell_means(order, start, values, weights, sigma, mean, error, count):
    """Clipped weighted mean of each cell's values; order sorts values by cell, start bounds the cells."""
    biggest = 0
    for c in range(start.size - 1):
        biggest = max(biggest, start[c + 1] - start[c])
    v = np.empty(biggest)
    work = np.empty(biggest)
    for c in range(start.size - 1):
        n = np.int64(0)
        for k in range(start[c], start[c + 1]):
            value = values[order[k]]
            if value == value:
                v[n] = value
                n += 1
        count[c] = 0
        mean[c] = np.nan
        error[c] = np.nan
        if n == 0:
            continue
        _, middle, scale = clip(v, n, sigma, work)
        limit = sigma * scale if scale > 0 else np.inf
        sw = 0.0
        s1 = 0.0
        m = 0
        for k in range(start[c], start[c + 1]):
            i = order[k]
            if abs(values[i] - middle) <= limit:
                sw += weights[i]
                s1 += weights[i] * values[i]
                m += 1
        if sw <= 0:
            continue
        mu = s1 / sw
        s2 = 0.0
        for k in range(start[c], start[c + 1]):
            i = order[k]
            if abs(values[i] - middle) <= limit:
                s2 += weights[i] ** 2 * (values[i] - mu) ** 2
        mean[c] = mu
        count[c] = m
        if m > 1:
            error[c] = np.sqrt(s2 * m / (m - 1.0)) / sw


@njit(cache=True, nogil=True)
def add_gram(start, column, values, weights, matrix):
    """Add Σ w zᵀz of sparse rows z to the lower triangle of a dense matrix.

    Rows as in a CSR matrix whose columns ascend. A star's row reaches a tenth of the unknowns: products of
    dense rows would be zeros for the most part.
    """
    for r in range(start.size - 1):
        w = weights[r]
        if w == 0.0:
            continue
        for a in range(start[r], start[r + 1]):
            v = w * values[a]
            row = matrix[column[a]]
            for b in range(start[r], a + 1):
                row[column[b]] += v * values[b]
