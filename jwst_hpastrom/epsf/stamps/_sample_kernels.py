"""Numba kernels that grid the samples of the ePSF: residuals of stars' pixels about the interpolated model.

Arguments as in `stamps._kernels`. All pixels of a star have the same phase, and go to points of the grid a
pixel apart: a row of pixels is worked on at a time.
"""

import numpy as np
from numba import njit

from jwst_hpastrom.epsf.kernels.spline import PAD, cell_of, spline_weights
from jwst_hpastrom.numerics.robust_kernels import FAST


@njit(cache=True, nogil=True, fastmath=FAST)
def model_line(coeff, gx, gy, x, y, p, wy, k0, n, line):
    """Coefficients of the model at a field position for a row of pixels: four rows from row p summed."""
    kx, tx = cell_of(gx, x)
    ky, ty = cell_of(gy, y)
    kx1, ky1 = min(kx + 1, gx.size - 1), min(ky + 1, gy.size - 1)
    w00, w01, w10, w11 = (1.0 - tx) * (1.0 - ty), tx * (1.0 - ty), (1.0 - tx) * ty, tx * ty
    a, b = coeff[ky * gx.size + kx], coeff[ky * gx.size + kx1]
    c, e = coeff[ky1 * gx.size + kx], coeff[ky1 * gx.size + kx1]
    for k in range(n):
        line[k] = 0.0
    for q in range(4):
        g00, g01, g10, g11 = wy[q] * w00, wy[q] * w01, wy[q] * w10, wy[q] * w11
        ra, rb, rc, re = (
            a[p + q, k0 : k0 + n],
            b[p + q, k0 : k0 + n],
            c[p + q, k0 : k0 + n],
            e[p + q, k0 : k0 + n],
        )
        for k in range(n):
            line[k] += g00 * ra[k] + g01 * rb[k] + g10 * rc[k] + g11 * re[k]


@njit(cache=True, nogil=True, fastmath=FAST, error_model="numpy")
def row_residuals(d, base, line, wx, os, z, slope, floor, place, x, dy, residual, weight, chi, radius):
    """Residuals of a row of pixels, their weights, sizes in sigmas and distances from the star.

    Variances are above zero: without the test for it the loop works on several pixels at once.
    """
    for i in range(d.size):
        k = i * os
        m = wx[0] * line[k] + wx[1] * line[k + 1] + wx[2] * line[k + 2] + wx[3] * line[k + 3]
        mp = max(m, 0.0)
        r = d[i] / z - m
        var = (base[i] + slope * z * mp) / (z * z) + (floor * mp) ** 2
        dx = (place + i) - x
        residual[i] = r
        weight[i] = 1.0 / var
        chi[i] = abs(r) / np.sqrt(var)
        radius[i] = np.sqrt(dx * dx + dy * dy)


@njit(cache=True, nogil=True, fastmath=FAST)
def judge_row(residual, weight, chi, radius, limit, histogram, misfit, ring_weight):
    """Count a row's samples and set the weight of those that are left out to zero; numbers used and not."""
    rings, bins = histogram.shape
    used = dropped = 0
    for i in range(residual.size):
        if not np.isfinite(residual[i]):
            residual[i] = weight[i] = 0.0
            continue
        ring = min(int(radius[i]), rings - 1)
        histogram[ring, min(int(chi[i] * 10.0), bins - 1)] += 1.0
        if radius[i] < 2.0:
            misfit[0] += abs(residual[i])
            misfit[1] += 1.0
        if chi[i] > limit[ring]:
            dropped += 1
            weight[i] = 0.0
            continue
        used += 1
        ring_weight[ring] += weight[i]
    return used, dropped


@njit(cache=True, nogil=True, fastmath=FAST)
def add_row(residual, weight, part, share, first, os, fu, sums):
    """Add a row's samples, times ``part``, to a row (n, 8) of sums: of weights, and weighted residuals.

    Each goes to two neighboring points, and to the four field positions around the star by their share.
    """
    n = sums.shape[0]
    s0, s1, s2, s3 = share[0], share[1], share[2], share[3]
    for i in range(residual.size):
        w, r = part * weight[i], residual[i]
        if w == 0.0:
            continue
        for a in range(2):
            g = first + i * os + a
            if g < 0 or g >= n:
                continue
            t = w * (fu if a else 1.0 - fu)
            q, u = sums[g], t * r
            q[0] += s0 * t
            q[1] += s1 * t
            q[2] += s2 * t
            q[3] += s3 * t
            q[4] += s0 * u
            q[5] += s1 * u
            q[6] += s2 * u
            q[7] += s3 * u


@njit(cache=True, nogil=True, fastmath=FAST)
def add_sums(sums, node, sum_w, sum_wr):
    """Add the sums of the stars of a cell of field positions to those of its corners, and clear them."""
    for j in range(sums.shape[0]):
        for f in range(4):
            row_w, row_r = sum_w[node[f], j], sum_wr[node[f], j]
            for i in range(sums.shape[1]):
                row_w[i] += sums[j, i, f]
                row_r[i] += sums[j, i, 4 + f]
        for i in range(sums.shape[1]):
            for f in range(8):
                sums[j, i, f] = 0.0


@njit(cache=True, nogil=True, fastmath=FAST)
def grid_samples(
    clean,
    base,
    ox,
    oy,
    rows,
    x,
    y,
    flux,
    coeff,
    gx,
    gy,
    os,
    reach,
    slope,
    floor,
    limit,
    ax,
    ay,
    sum_wr,
    sum_w,
    overlap,
    histogram,
    star_misfit,
):
    """Grid the residuals of all samples about the interpolated model.

    Every good pixel within ``reach`` (square) of a star gives the residual of (P - s)/z about the model at
    its own offset, with weight z²/(variance + (floor z ψ)²). It is shared bilinearly among the four nearest
    grid points, and among the four nearest of the field positions (ax, ay): sum_wr, sum_w (field, n, n).
    overlap (rings, field, field): weights times the products of the field positions' bilinear weights.
    Samples farther than limit[ring] (in their own sigmas) are left out; ring = integer part of the radius in
    pixels. rows: the stars to use. histogram (rings, bins): counts of |residual|/sigma in steps of 0.1.
    star_misfit (rows, 2): Σ|residual| and number of good pixels within 2 pixels. Returns the numbers of
    samples used and left out.
    """
    n = sum_w.shape[1]
    half = (n - 1) / 2.0
    side = clean.shape[1]
    line, sums = np.empty((side + 1) * os + 4), np.zeros((n, n, 8))
    work = np.empty((4, side))
    wx, ux, wy, uy = np.empty(4), np.empty(4), np.empty(4), np.empty(4)
    node, share, ring_weight = np.empty(4, np.int64), np.empty(4), np.empty(limit.size)
    used = dropped = 0
    for cell in range(max(ax.size - 1, 1) * max(ay.size - 1, 1)):  # cell by cell: their sums stay at hand
        cx, cy = cell % max(ax.size - 1, 1), cell // max(ax.size - 1, 1)
        for f in range(4):
            node[f] = min(cy + (f >> 1), ay.size - 1) * ax.size + min(cx + (f & 1), ax.size - 1)
        any_star = False
        for number in range(rows.size):
            s = rows[number]
            kx, tx = cell_of(ax, x[s])
            ky, ty = cell_of(ay, y[s])
            if kx != cx or ky != cy:
                continue
            any_star = True
            z = flux[s]
            for f in range(4):
                share[f] = (tx if f & 1 else 1.0 - tx) * (ty if f & 2 else 1.0 - ty)
            star_misfit[number, 0] = star_misfit[number, 1] = 0.0
            ring_weight[:] = 0.0
            i0 = max(int(np.ceil(x[s] - reach)) - ox[s], 0)
            i1 = min(int(np.floor(x[s] + reach)) - ox[s], side - 1)
            j0 = max(int(np.ceil(y[s] - reach)) - oy[s], 0)
            j1 = min(int(np.floor(y[s] + reach)) - oy[s], side - 1)
            width = i1 - i0 + 1
            if width < 1:
                continue
            u0, v0 = (i0 + ox[s] - x[s]) * os + half, (j0 + oy[s] - y[s]) * os + half
            iu0, jv0 = int(np.floor(u0)), int(np.floor(v0))
            fu, fv = u0 - iu0, v0 - jv0
            spline_weights(fu, wx, ux)
            spline_weights(fv, wy, uy)
            r, w, chi, rad = work[0, :width], work[1, :width], work[2, :width], work[3, :width]
            for j in range(j0, j1 + 1):
                jv = jv0 + (j - j0) * os
                model_line(
                    coeff, gx, gy, x[s], y[s], jv + PAD - 1, wy, iu0 + PAD - 1, (width - 1) * os + 4, line
                )
                row_residuals(
                    clean[s, j, i0 : i1 + 1], base[s, j, i0 : i1 + 1], line, wx, os, z, slope, floor,
                    i0 + ox[s], x[s], j + oy[s] - y[s], r, w, chi, rad,
                )  # fmt: skip
                u, d = judge_row(r, w, chi, rad, limit, histogram, star_misfit[number], ring_weight)
                used += u
                dropped += d
                for b in range(2):
                    if 0 <= jv + b < n:
                        add_row(r, w, fv if b else 1.0 - fv, share, iu0, os, fu, sums[jv + b])
            if ax.size > 1 or ay.size > 1:
                for ring in range(limit.size):
                    for f in range(4):
                        for h in range(4):
                            overlap[ring, node[f], node[h]] += ring_weight[ring] * share[f] * share[h]
        if any_star:
            add_sums(sums, node, sum_w, sum_wr)
    return used, dropped
