"""Numba kernels for the pixel map: plain arrays in, plain arrays out."""

from typing import NamedTuple

import numpy as np
from numba import njit

from jwst_hpastrom.numerics.robust_kernels import FAST, clip_sorted, select, sort_with


@njit(cache=True, nogil=True, fastmath=FAST)
def in_order(residual, near, m, order, gx, gy, value, hx, hy):
    """Residuals of the stars near[:m] in ascending order, and their places (gx, gy) in that order."""
    for s in range(m):
        value[s] = residual[near[s]]
        order[s] = s
    sort_with(value, order, m)
    for s in range(m):
        hx[s], hy[s] = gx[order[s]], gy[order[s]]


@njit(cache=True, nogil=True, fastmath=FAST)
def map_rows(
    y0, y1, nx, bx, by, rx, ry, start, n_bin_x, n_bin_y, bin_size, k_nearest, sigma, block, out, err, count
):
    """Clipped medians of the nearest residuals for the pixels of rows y0..y1-1.

    Residuals (bx, by, rx, ry) are sorted by square bins of ``bin_size``; ``start`` bounds the bins. For
    each block of pixels the candidates are gathered and sorted by residual once.
    """
    size = bx.size
    gx = np.empty(size, np.float32)
    gy = np.empty(size, np.float32)
    near = np.empty(size, np.int64)
    dist = np.empty(size, np.float32)
    work = np.empty(size, np.float32)
    value = np.empty(size, np.float32)
    order = np.empty(size, np.int64)
    sx, hx, hy = np.empty(size, np.float32), np.empty(size, np.float32), np.empty(size, np.float32)
    sy, qx, qy = np.empty(size, np.float32), np.empty(size, np.float32), np.empty(size, np.float32)
    radius = 0.0
    half = 0.5 * (block - 1)
    diagonal = half * 1.41422
    for top in range(y0, y1, block):
        for left in range(0, nx, block):
            mx = left + half
            my = top + half
            reach = max(radius + 2.0 * diagonal, bin_size)
            while True:
                i0 = max(int(np.floor((mx - reach) / bin_size)), 0)
                i1 = min(int(np.floor((mx + reach) / bin_size)), n_bin_x - 1)
                j0 = max(int(np.floor((my - reach) / bin_size)), 0)
                j1 = min(int(np.floor((my + reach) / bin_size)), n_bin_y - 1)
                n = np.int64(0)
                for j in range(j0, j1 + 1):
                    for s in range(start[j * n_bin_x + i0], start[j * n_bin_x + i1 + 1]):
                        near[n] = s
                        gx[n] = bx[s] - mx
                        gy[n] = by[s] - my
                        n += 1
                whole = i0 == 0 and j0 == 0 and i1 == n_bin_x - 1 and j1 == n_bin_y - 1
                if n < k_nearest and not whole:
                    reach *= 1.5
                    continue
                for s in range(n):
                    dist[s] = gx[s] * gx[s] + gy[s] * gy[s]
                    work[s] = dist[s]
                kk = min(k_nearest, n)
                radius = np.sqrt(select(work, n, kk - 1))
                if whole or radius + 2.0 * diagonal <= reach:
                    break
                reach = (radius + 2.0 * diagonal) * 1.0001
            # a pixel's k-th neighbor is within radius + diagonal of it
            limit = (radius + 2.0 * diagonal) ** 2 * 1.0001 + 1e-6
            m = np.int64(0)
            for s in range(n):
                if dist[s] <= limit:
                    near[m] = near[s]
                    gx[m] = gx[s]
                    gy[m] = gy[s]
                    m += 1
            in_order(rx, near, m, order, gx, gy, sx, hx, hy)
            in_order(ry, near, m, order, gx, gy, sy, qx, qy)
            for y in range(top, min(top + block, y1)):
                fy = np.float32(y - my)
                for x in range(left, min(left + block, nx)):
                    fx = np.float32(x - mx)
                    for s in range(m):
                        dist[s] = (hx[s] - fx) * (hx[s] - fx) + (hy[s] - fy) * (hy[s] - fy)
                    for s in range(m):
                        work[s] = dist[s]
                    last = select(work, m, kk - 1)
                    n = np.int64(0)
                    for s in range(m):
                        value[n] = sx[s]
                        n += dist[s] <= last
                    n1, m1, s1 = clip_sorted(value, n, sigma)
                    for s in range(m):
                        dist[s] = (qx[s] - fx) * (qx[s] - fx) + (qy[s] - fy) * (qy[s] - fy)
                    n = np.int64(0)
                    for s in range(m):
                        value[n] = sy[s]
                        n += dist[s] <= last
                    n2, m2, s2 = clip_sorted(value, n, sigma)
                    out[y - y0, x, 0] = m1
                    out[y - y0, x, 1] = m2
                    err[y - y0, x, 0] = 1.2533 * s1 / np.sqrt(n1)
                    err[y - y0, x, 1] = 1.2533 * s2 / np.sqrt(n2)
                    count[y - y0, x] = min(n1, n2)


class ByStar(NamedTuple):
    """Pairs sorted by star, and what their stars and exposures are.

    ``bounds`` has where each star's pairs begin, ``first`` the first of the four bins that ``corner`` (n, 4)
    interpolates from; the rest is as of `without_stars` of the joint solution.
    """

    bounds: np.ndarray
    first: np.ndarray
    corner: np.ndarray
    weight: np.ndarray
    basis: np.ndarray
    exposure: np.ndarray
    back: np.ndarray
    matrices: np.ndarray
    inverses: np.ndarray


@njit(cache=True, nogil=True, fastmath=FAST)
def normal_image(pairs, nx, image, given, out):
    """Add the weighed residuals about the stars' own positions, of residuals and an image's, to bins.

    All numbers are of single precision, as the image is: that is half the memory that a product waits for.

    ``image`` and ``out`` (ny nx, 2) have rows of ``nx`` bins, ``given`` (n, 2), or none at all, is what the
    image's values are added to.
    """
    bounds, index, corner, weight, basis, exposure, back, matrices, inverses = pairs
    k = basis.shape[1]
    zero = np.float32(0.0)
    side, own = np.empty((2, k), np.float32), np.empty((2, k), np.float32)
    most = np.int64(0)
    for s in range(bounds.size - 1):
        most = max(most, bounds[s + 1] - bounds[s])
    r = np.empty((most, 2), np.float32)
    for s in range(bounds.size - 1):
        first = bounds[s]
        side[:] = 0.0
        for t in range(first, bounds[s + 1]):
            m, j, c, w = inverses[exposure[t]], index[t], corner[t], weight[t]
            low, high = image[j : j + 2], image[j + nx : j + nx + 2]
            x = c[0] * low[0, 0] + c[1] * low[1, 0] + c[2] * high[0, 0] + c[3] * high[1, 0]
            y = c[0] * low[0, 1] + c[1] * low[1, 1] + c[2] * high[0, 1] + c[3] * high[1, 1]
            if given.shape[0] > 0:
                x += given[t, 0]
                y += given[t, 1]
            r[t - first, 0], r[t - first, 1] = x, y
            u, v = w * (m[0, 0] * x + m[0, 1] * y), w * (m[1, 0] * x + m[1, 1] * y)
            for q in range(k):
                side[0, q] += u * basis[t, q]
                side[1, q] += v * basis[t, q]
        for a in range(2):
            for q in range(k):
                own[a, q] = zero
                for p in range(k):
                    own[a, q] += back[s, q, p] * side[a, p]
        for t in range(first, bounds[s + 1]):
            m, j, c, w = matrices[exposure[t]], index[t], corner[t], weight[t]
            x, y = zero, zero
            for q in range(k):
                x += own[0, q] * basis[t, q]
                y += own[1, q] * basis[t, q]
            u = w * (r[t - first, 0] - m[0, 0] * x - m[0, 1] * y)
            v = w * (r[t - first, 1] - m[1, 0] * x - m[1, 1] * y)
            low, high = out[j : j + 2], out[j + nx : j + nx + 2]
            for a in range(2):
                low[a, 0] += c[a] * u
                low[a, 1] += c[a] * v
                high[a, 0] += c[a + 2] * u
                high[a, 1] += c[a + 2] * v
