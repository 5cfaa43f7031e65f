"""Numba kernels that add stars to images; library arguments as in `epsf.kernels.spline`."""

import numpy as np
from numba import njit

from jwst_hpastrom.epsf.kernels.spline import PAD, cell_of, spline_weights
from jwst_hpastrom.numerics.robust_kernels import FAST


@njit(cache=True, nogil=True, fastmath=FAST)
def add_one(image, coeff, gx, gy, os, x, y, z, limit, line, taps):
    """Add z ψ of one star to the image, out to ``limit`` pixels; ``line`` has room for a row of coefficients.

    Each pixel row needs four rows of coefficients of four field positions, and shares them with no other.
    """
    ny, nx = image.shape
    center = (coeff.shape[1] - 2 * PAD - 1) / 2.0
    wx, ux, wy, uy = taps[0], taps[1], taps[2], taps[3]
    i0, j0 = max(int(np.ceil(x - limit)), 0), max(int(np.ceil(y - limit)), 0)
    j1 = min(int(np.floor(y + limit)), ny - 1)
    u, v = (i0 - x) * os + center, (j0 - y) * os + center
    iu, jv = int(np.floor(u)), int(np.floor(v))
    spline_weights(u - iu, wx, ux)
    spline_weights(v - jv, wy, uy)
    kx, tx = cell_of(gx, x)
    ky, ty = cell_of(gy, y)
    kx1, ky1 = min(kx + 1, gx.size - 1), min(ky + 1, gy.size - 1)
    w00, w01 = z * (1.0 - tx) * (1.0 - ty), z * tx * (1.0 - ty)
    w10, w11 = z * (1.0 - tx) * ty, z * tx * ty
    a, b = coeff[ky * gx.size + kx], coeff[ky * gx.size + kx1]
    c, e = coeff[ky1 * gx.size + kx], coeff[ky1 * gx.size + kx1]
    alone = gx.size * gy.size == 1
    for j in range(j0, j1 + 1):
        chord = np.sqrt(max(limit * limit - (j - y) ** 2, 0.0))
        ia, ib = max(int(np.ceil(x - chord)), 0), min(int(np.floor(x + chord)), nx - 1)
        if ib < ia:
            continue
        k0 = iu + PAD - 1 + (ia - i0) * os
        n = (ib - ia) * os + 4
        for k in range(n):
            line[k] = 0.0
        for q in range(4):
            p = jv + PAD - 1 + (j - j0) * os + q
            g00, g01, g10, g11 = wy[q] * w00, wy[q] * w01, wy[q] * w10, wy[q] * w11
            ra = a[p, k0 : k0 + n]
            if alone:
                for k in range(n):
                    line[k] += g00 * ra[k]
                continue
            rb, rc, re = b[p, k0 : k0 + n], c[p, k0 : k0 + n], e[p, k0 : k0 + n]
            for k in range(n):
                line[k] += g00 * ra[k] + g01 * rb[k] + g10 * rc[k] + g11 * re[k]
        for i in range(ia, ib + 1):
            k = (i - ia) * os
            image[j, i] += wx[0] * line[k] + wx[1] * line[k + 1] + wx[2] * line[k + 2] + wx[3] * line[k + 3]


@njit(cache=True, nogil=True, fastmath=FAST)
def add_many(image, coeff, gx, gy, os, x, y, flux, sign, radius):
    """Add sign * flux * ψ of every star to the image, out to each star's radius; NaN are passed over."""
    half_width = (coeff.shape[1] - 2 * PAD - 1) / (2.0 * os)
    line, taps = np.empty(coeff.shape[1] + os), np.empty((4, 4))
    for s in range(x.size):
        if np.isfinite(flux[s]) and np.isfinite(x[s]) and np.isfinite(y[s]):
            add_one(
                image, coeff, gx, gy, os, x[s], y[s], sign * flux[s], min(radius[s], half_width), line, taps
            )
