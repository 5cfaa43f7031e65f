"""Numba kernels for means in cells and for normal matrices: plain arrays in, plain arrays out."""

from typing import NamedTuple

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
        if m > 1:  # of few wider by Student's distribution
            error[c] = np.sqrt(s2 * m / max(m - 3.0, 0.5)) / sw


class Rows(NamedTuple):
    """Rows of a CSR matrix, whose columns ascend."""

    start: np.ndarray
    column: np.ndarray
    value: np.ndarray


@njit(cache=True, nogil=True)
def fill_rows(place, terms, node, weight, exposure, arm, years, sizes, columns, values):
    """Write the columns and values (2, n, width) of the rows of `design.pair_rows`.

    ``place`` (2, n) are positions about the detector's center, ``terms`` the polynomial's exponents,
    ``sizes`` how many unknowns there are: polynomial, table of an axis, an exposure, all but drift, drift.
    """
    n_polynomial, n_table, per_exposure, end, n_drift = sizes
    for i in range(place.shape[1]):
        p, q = place[0, i], place[1, i]
        own = n_polynomial + 2 * n_table + exposure[i] * per_exposure
        for axis in range(2):
            c, v = columns[axis, i], values[axis, i]
            c[0], c[1] = 0, 1
            v[0], v[1] = (p, q) if axis == 0 else (-q, p)
            k = 2
            for t in range(terms.shape[0]):
                c[k] = 2 + 2 * t + axis
                v[k] = p ** terms[t, 0] * q ** terms[t, 1]
                k += 1
            for t in range(node.shape[1]):
                c[k] = n_polynomial + axis * n_table + node[i, t]
                v[k] = weight[i, t]
                k += 1
            # offset, rotation and scale: the transformation is taken from the correction
            c[k], v[k] = own + axis, -1.0
            c[k + 1], v[k + 1] = own + 2, arm[1, i] if axis == 0 else -arm[0, i]
            k += 2
            if per_exposure > 3:
                c[k], v[k] = own + 3, -arm[axis, i]
                k += 1
            if n_drift:
                c[k], c[k + 1], c[k + 2] = end, end + 1, end + 2
                u, w = p * years[i], q * years[i]  # a product of arrays takes the compiler seconds
                v[k], v[k + 1], v[k + 2] = (u, u, w) if axis == 0 else (w, -w, u)


@njit(cache=True, nogil=True)
def add_gram(rows, weights, matrix):
    """Add Σ w zᵀz of sparse rows z to the lower triangle of a dense matrix."""
    start, column, values = rows
    for r in range(start.size - 1):
        w = weights[r]
        if w == 0.0:
            continue
        for a in range(start[r], start[r + 1]):
            v = w * values[a]
            row = matrix[column[a]]
            for b in range(start[r], a + 1):
                row[column[b]] += v * values[b]


@njit(cache=True, nogil=True)
def eliminate_stars(bounds, rows_x, rows_y, weights, arms, root, matrix):
    """Subtract what the stars' own unknowns, at most four, take from the lower triangle of a normal matrix.

    ``bounds`` part the rows star by star, ``arms`` (2, n, k) are their derivatives by the star's k unknowns,
    ``root`` (n_stars, k, k) the inverse Cholesky factors of these. A star's rows reach a tenth of the
    other unknowns, which are gathered: products of dense rows would be zeros for the most part.
    """
    n, own = matrix.shape[0], arms.shape[2]
    cross = np.zeros((n, 4))
    seen = np.zeros(n, np.bool_)
    column = np.empty(n, np.int64)
    z = np.zeros((n, 4))
    for s in range(bounds.size - 1):
        for axis in range(2):
            start, columns, values = rows_x if axis == 0 else rows_y
            for i in range(bounds[s], bounds[s + 1]):
                w = weights[axis, i]
                if w == 0.0:
                    continue
                for t in range(start[i], start[i + 1]):
                    c = columns[t]
                    seen[c] = True
                    for q in range(own):
                        cross[c, q] += w * values[t] * arms[axis, i, q]
        m = 0
        for c in range(n):
            if not seen[c]:
                continue
            seen[c] = False
            column[m] = c
            for q in range(own):
                z[m, q] = 0.0
                for p in range(q + 1):
                    z[m, q] += root[s, q, p] * cross[c, p]
            for q in range(own):
                cross[c, q] = 0.0
            m += 1
        for a in range(m):
            row = matrix[column[a]]
            z0, z1, z2, z3 = z[a, 0], z[a, 1], z[a, 2], z[a, 3]
            for b in range(a + 1):
                row[column[b]] -= z0 * z[b, 0] + z1 * z[b, 1] + z2 * z[b, 2] + z3 * z[b, 3]


@njit(cache=True, nogil=True)
def cross_of_stars(bounds, rows_x, rows_y, weights, arms, out):
    """Add Σ w aᵀz of the stars' rows, ``a`` (``arms``) by their own unknowns, to ``out`` (n_stars, k, n)."""
    own = arms.shape[2]
    for s in range(bounds.size - 1):
        for axis in range(2):
            start, columns, values = rows_x if axis == 0 else rows_y
            for i in range(bounds[s], bounds[s + 1]):
                for q in range(own):
                    w = weights[axis, i] * arms[axis, i, q]
                    row = out[s, q]
                    for t in range(start[i], start[i + 1]):
                        row[columns[t]] += w * values[t]


@njit(cache=True, nogil=True)
def without_stars(order, bounds, r, weights, basis, back, exposure, matrices, inverses, out):
    """Residuals (2, n) about the stars' own positions, and motions where ``basis`` (n, k) has them.

    ``order`` sorts the pairs by star, ``back`` (n_stars, k, k) are the stars' inverse normal matrices.
    """
    k = basis.shape[1]
    side = np.empty((2, k))
    own = np.empty((2, k))
    for s in range(bounds.size - 1):
        side[:] = 0.0
        for t in range(bounds[s], bounds[s + 1]):
            i = order[t]
            m = inverses[exposure[i]]
            for a in range(2):
                v = weights[i] * (m[a, 0] * r[0, i] + m[a, 1] * r[1, i])
                for q in range(k):
                    side[a, q] += v * basis[i, q]
        for a in range(2):
            for q in range(k):
                own[a, q] = 0.0
                for p in range(k):
                    own[a, q] += back[s, q, p] * side[a, p]
        for t in range(bounds[s], bounds[s + 1]):
            i = order[t]
            m = matrices[exposure[i]]
            x = 0.0
            y = 0.0
            for q in range(k):
                x += own[0, q] * basis[i, q]
                y += own[1, q] * basis[i, q]
            for a in range(2):
                out[a, i] = r[a, i] - m[a, 0] * x - m[a, 1] * y
