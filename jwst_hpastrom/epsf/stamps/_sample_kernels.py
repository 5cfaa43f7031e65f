"""Numba kernels that grid the samples of the ePSF: residuals of stars' pixels about the interpolated model.

Arguments as in `stamps._kernels`. All pixels of a star have the same phase, and go to points of the grid a
pixel apart: a row of pixels is worked on at a time.
"""

import numpy as np
from numba import njit

from jwst_hpastrom.epsf.kernels.spline import PAD, cell_of, spline_weights
from jwst_hpastrom.numerics.robust_kernels import FAST


@njit(cache=True, nogil=True, fastmath=FAST)
def model_line(models, share, p, wy, k0, n, line):
    """Coefficients of the model at a field position for a row of pixels: four rows from row p summed.

    ``models``: the four field positions around the star, ``share``: what each has in it.
    """
    a, b, c, e = models
    for k in range(n):
        line[k] = np.float32(0.0)
    for q in range(4):
        g00, g01 = np.float32(wy[q] * share[0]), np.float32(wy[q] * share[1])
        g10, g11 = np.float32(wy[q] * share[2]), np.float32(wy[q] * share[3])
        ra = a[p + q, k0 : k0 + n]
        if share[0] == 1.0:
            for k in range(n):
                line[k] += g00 * ra[k]
            continue
        rb, rc, re = b[p + q, k0 : k0 + n], c[p + q, k0 : k0 + n], e[p + q, k0 : k0 + n]
        for k in range(n):
            line[k] += g00 * ra[k] + g01 * rb[k] + g10 * rc[k] + g11 * re[k]


@njit(cache=True, nogil=True, fastmath=FAST)
def corners(gx, gy, x, y, share):
    """Put the shares of the four field positions around a star where they belong; return their numbers."""
    kx, tx = cell_of(gx, x)
    ky, ty = cell_of(gy, y)
    kx1, ky1 = min(kx + 1, gx.size - 1), min(ky + 1, gy.size - 1)
    share[0], share[1], share[2], share[3] = (
        (1.0 - tx) * (1.0 - ty),
        tx * (1.0 - ty),
        (1.0 - tx) * ty,
        tx * ty,
    )
    return ky * gx.size + kx, ky * gx.size + kx1, ky1 * gx.size + kx, ky1 * gx.size + kx1


@njit(cache=True, nogil=True, fastmath=FAST, error_model="numpy")
def row_residuals(d, base, line, wx, knots, noise, x, dy2, residual, weight, chi, radius):
    """Residuals of a row of pixels, their weights, sizes in sigmas and distances from the star.

    ``noise``: 1/z, slope/z and the floor's square. Variances are above zero: without the test for it the
    loop works on several pixels at once.
    """
    w0, w1, w2, w3 = np.float32(wx[0]), np.float32(wx[1]), np.float32(wx[2]), np.float32(wx[3])
    back, slope, floor2 = noise[0], noise[1], noise[2]
    for i in range(d.size):
        k = i * knots
        m = w0 * line[k] + w1 * line[k + 1] + w2 * line[k + 2] + w3 * line[k + 3]
        mp = max(m, np.float32(0.0))
        r = d[i] * back - m
        w = np.float32(1.0) / (base[i] * (back * back) + slope * mp + floor2 * (mp * mp))
        dx = np.float32(i) - x
        residual[i] = r
        weight[i] = w
        chi[i] = abs(r) * np.sqrt(w)
        radius[i] = np.sqrt(dx * dx + dy2)


@njit(cache=True, nogil=True, fastmath=FAST)
def judge_row(residual, weight, chi, radius, limit, histogram, misfit, ring_weight):
    """Count a row's samples and set the weight of those that are left out to zero; numbers used and not."""
    rings, bins = histogram.shape
    used = dropped = 0
    for i in range(residual.size):
        if not np.isfinite(residual[i]):
            residual[i] = weight[i] = np.float32(0.0)
            continue
        ring = min(int(radius[i]), rings - 1)
        histogram[ring, min(int(chi[i] * 10.0), bins - 1)] += 1.0
        if radius[i] < 2.0:
            misfit[0] += abs(residual[i])
            misfit[1] += 1.0
        if chi[i] > limit[ring]:
            dropped += 1
            weight[i] = np.float32(0.0)
            continue
        used += 1
        ring_weight[ring] += weight[i]
    return used, dropped


@njit(cache=True, nogil=True, fastmath=FAST)
def add_row(weight, weighted, share, first, os, fu, n, planes):
    """Add a row's weights, and weighted residuals, to sums (os, 8, columns) of the points a pixel apart.

    Each sample goes to two neighboring points, and to the four field positions around the star by their
    share; points of the same phase lie side by side, so that several pixels are added at once.
    """
    for a in range(2):
        g = first + a
        phase = g % os
        lowest = (g - phase) // os
        skip = max(-lowest, 0)
        end = min(weight.size, (n - 1 - phase) // os + 1 - lowest)
        if end <= skip:
            continue
        w, u = weight[skip:end], weighted[skip:end]
        for f in range(4):
            c = np.float32(share[f] * (fu if a else 1.0 - fu))
            if c == 0.0:
                continue
            to_w = planes[phase, f, lowest + skip : lowest + end]
            to_u = planes[phase, 4 + f, lowest + skip : lowest + end]
            for i in range(w.size):
                to_w[i] += c * w[i]
                to_u[i] += c * u[i]


@njit(cache=True, nogil=True, fastmath=FAST)
def add_sums(sums, node, sum_w, sum_wr):
    """Add the sums of the stars of a cell of field positions to those of its corners, and clear them."""
    n, os = sum_w.shape[1], sums.shape[1]
    for j in range(n):
        for f in range(4):
            row_w, row_r = sum_w[node[f], j], sum_wr[node[f], j]
            for phase in range(os):
                from_w, from_r = sums[j, phase, f], sums[j, phase, 4 + f]
                for i in range((n - 1 - phase) // os + 1):
                    row_w[phase + i * os] += from_w[i]
                    row_r[phase + i * os] += from_r[i]
                    from_w[i] = from_r[i] = np.float32(0.0)


@njit(cache=True, nogil=True, fastmath=FAST)
def add_products(ring_weight, share, products):
    """Add a star's weights, ring by ring, times the products of the shares of its field positions."""
    for f in range(4):
        for h in range(4):
            c, to = share[f] * share[h], products[f, h]
            for ring in range(ring_weight.size):
                to[ring] += c * ring_weight[ring]


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
    knots,
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

    The grid has ``os`` points a pixel, the model's spline ``knots``. Every good pixel within ``reach``
    (square) of a star gives the residual of (P - s)/z about the model at its own offset, with weight
    z²/(variance + (floor z ψ)²). It is shared bilinearly among the four nearest
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
    line, noise = np.empty((side + 1) * knots + 4, np.float32), np.empty(3, np.float32)
    middle = (coeff.shape[1] - 2 * PAD - 1) / 2.0
    sums = np.zeros(
        (n, os, 8, (n - 1) // os + 1), np.float32
    )  # of a cell's stars: no more digits than they have
    work, row_share, in_model = np.empty((5, side), np.float32), np.empty(4), np.empty(4)
    floor2, products = floor * floor, np.zeros((4, 4, limit.size))
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
            um, vm = (i0 + ox[s] - x[s]) * knots + middle, (j0 + oy[s] - y[s]) * knots + middle
            im, jm = int(np.floor(um)), int(np.floor(vm))
            spline_weights(um - im, wx, ux)
            spline_weights(vm - jm, wy, uy)
            r, w, chi, rad = work[0, :width], work[1, :width], work[2, :width], work[3, :width]
            weighted = work[4, :width]
            k00, k01, k10, k11 = corners(gx, gy, x[s], y[s], in_model)
            models = coeff[k00], coeff[k01], coeff[k10], coeff[k11]
            noise[0], noise[1], noise[2] = 1.0 / z, slope / z, floor2
            for j in range(j0, j1 + 1):
                jv = jv0 + (j - j0) * os
                row = jm + (j - j0) * knots + PAD - 1
                model_line(models, in_model, row, wy, im + PAD - 1, (width - 1) * knots + 4, line)
                row_residuals(
                    clean[s, j, i0 : i1 + 1], base[s, j, i0 : i1 + 1], line, wx, knots, noise,
                    np.float32(x[s] - i0 - ox[s]), np.float32((j + oy[s] - y[s]) ** 2), r, w, chi, rad,
                )  # fmt: skip
                u, d = judge_row(r, w, chi, rad, limit, histogram, star_misfit[number], ring_weight)
                used += u
                dropped += d
                for i in range(width):
                    weighted[i] = w[i] * r[i]
                for b in range(2):
                    if 0 <= jv + b < n:
                        for f in range(4):
                            row_share[f] = share[f] * (fv if b else 1.0 - fv)
                        add_row(w, weighted, row_share, iu0, os, fu, n, sums[jv + b])
            if ax.size > 1 or ay.size > 1:
                add_products(ring_weight, share, products)
        if any_star:
            add_sums(sums, node, sum_w, sum_wr)
            for f in range(4):
                for h in range(4):
                    for ring in range(limit.size):
                        overlap[ring, node[f], node[h]] += products[f, h, ring]
                        products[f, h, ring] = 0.0
    return used, dropped
