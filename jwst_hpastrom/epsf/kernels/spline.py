"""Numba kernels for the spline evaluation of an ePSF grid.

A library is passed as ``coeff`` (n_fields, n + 2 PAD, n + 2 PAD): cubic B-spline coefficients of each
ePSF, mirrored at the border; ``gx``, ``gy``: field positions of the grid; ``os``: samples per pixel.
Pixel columns are ``os`` samples apart, so that all pixels of a star share the four spline weights of
its phase: the weights are computed once a star and the sums over the taps are separable.
"""

import numpy as np
from numba import njit

from jwst_hpastrom.numerics.robust_kernels import FAST

PAD = 3  # rows and columns of mirrored coefficients around each grid


@njit(cache=True, nogil=True, fastmath=FAST)
def spline_weights(t, w, d):
    """Cubic B-spline weights and derivatives of the taps at -1, 0, 1, 2 for a fraction 0 <= t < 1."""
    s = 1.0 - t
    w[0] = s * s * s / 6.0
    w[1] = (4.0 - 6.0 * t * t + 3.0 * t * t * t) / 6.0
    w[2] = (4.0 - 6.0 * s * s + 3.0 * s * s * s) / 6.0
    w[3] = t * t * t / 6.0
    d[0] = -0.5 * s * s
    d[1] = -2.0 * t + 1.5 * t * t
    d[2] = 2.0 * s - 1.5 * s * s
    d[3] = 0.5 * t * t


@njit(cache=True, nogil=True, fastmath=FAST)
def cell_of(g, p):
    """Lower index and fraction of p in the ascending nodes g, clamped at the ends."""
    n = g.size
    if n == 1 or p <= g[0]:
        return 0, 0.0
    if p >= g[n - 1]:
        return n - 2, 1.0
    i = 0
    while p > g[i + 1]:
        i += 1
    return i, (p - g[i]) / (g[i + 1] - g[i])


@njit(cache=True, nogil=True, fastmath=FAST)
def blend(coeff, gx, gy, x, y, j0, i0, nj, ni, out):
    """Bilinear mean of the four nearest ePSFs at (x, y): rows j0.., columns i0.. of the padded grids."""
    kx, tx = cell_of(gx, x)
    ky, ty = cell_of(gy, y)
    nx = gx.size
    kx1 = min(kx + 1, nx - 1)
    ky1 = min(ky + 1, gy.size - 1)
    w00, w01 = (1.0 - tx) * (1.0 - ty), tx * (1.0 - ty)
    w10, w11 = (1.0 - tx) * ty, tx * ty
    a, b = coeff[ky * nx + kx], coeff[ky * nx + kx1]
    c, e = coeff[ky1 * nx + kx], coeff[ky1 * nx + kx1]
    for j in range(nj):
        p, q = j0 + j, slice(i0, i0 + ni)  # from 0 on in a slice: without tests for negative places
        ra, row = a[p, q], out[j]
        if nx * gy.size == 1:
            for i in range(ni):
                row[i] = ra[i]
            continue
        rb, rc, re = b[p, q], c[p, q], e[p, q]
        for i in range(ni):
            row[i] = w00 * ra[i] + w01 * rb[i] + w10 * rc[i] + w11 * re[i]


@njit(cache=True, nogil=True, fastmath=FAST)
def evaluate(coeff, gx, gy, os, dx, dy, x, y, value, value_x, value_y):
    """ψ and its derivatives by dx, dy (per pixel) at offsets from stars at (x, y); 0 off the grid."""
    n = coeff.shape[1] - 2 * PAD
    half = (n - 1) / 2.0
    wx, ux, wy, uy = np.empty(4), np.empty(4), np.empty(4), np.empty(4)
    nx = gx.size
    for s in range(dx.size):
        u, v = dx[s] * os + half, dy[s] * os + half
        value[s] = value_x[s] = value_y[s] = 0.0
        if not (u >= 0.0 and u <= n - 1.0 and v >= 0.0 and v <= n - 1.0):
            continue
        iu, jv = min(int(u), n - 2), min(int(v), n - 2)
        spline_weights(u - iu, wx, ux)
        spline_weights(v - jv, wy, uy)
        kx, tx = cell_of(gx, x[s])
        ky, ty = cell_of(gy, y[s])
        for fy in range(2):
            by = ty if fy else 1.0 - ty
            for fx in range(2):
                b = by * (tx if fx else 1.0 - tx)
                if b == 0.0:
                    continue
                c = coeff[(ky + fy) * nx + kx + fx]
                for q in range(4):
                    h, hx = 0.0, 0.0
                    for m in range(4):
                        t = c[jv + PAD - 1 + q, iu + PAD - 1 + m]
                        h += wx[m] * t
                        hx += ux[m] * t
                    value[s] += b * wy[q] * h
                    value_x[s] += b * wy[q] * hx * os
                    value_y[s] += b * uy[q] * h * os


@njit(cache=True, nogil=True, fastmath=FAST)
def box_model(window, r0, c0, os, u, v, nj, ni, psi, psi_x, psi_y, wx, ux, wy, uy):
    """ψ and ∂ψ/∂x*, ∂ψ/∂y* in a box of nj x ni pixels; (u, v): grid coordinates of its first pixel.

    ``window`` holds padded coefficients from row r0 and column c0.
    """
    iu, jv = int(np.floor(u)), int(np.floor(v))
    spline_weights(u - iu, wx, ux)
    spline_weights(v - jv, wy, uy)
    i0, j0 = iu + PAD - 1 - c0, jv + PAD - 1 - r0
    for j in range(nj):
        for i in range(ni):
            psi[j, i] = 0.0
            psi_x[j, i] = 0.0
            psi_y[j, i] = 0.0
        for q in range(4):
            row = window[j0 + j * os + q]
            a, b = wy[q], -os * uy[q]
            for i in range(ni):
                k = i0 + i * os
                h = wx[0] * row[k] + wx[1] * row[k + 1] + wx[2] * row[k + 2] + wx[3] * row[k + 3]
                hx = ux[0] * row[k] + ux[1] * row[k + 1] + ux[2] * row[k + 2] + ux[3] * row[k + 3]
                psi[j, i] += a * h
                psi_x[j, i] += a * (-os * hx)
                psi_y[j, i] += b * h
