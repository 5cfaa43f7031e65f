"""Numba kernels for the distortion: plain arrays in, plain arrays out."""

import numpy as np
from numba import njit

from jwst_hpastrom.numerics.robust_kernels import FAST, clip, clip_sorted, select


@njit(cache=True, nogil=True, fastmath=FAST, inline="always")
def _quintic(p, q, c):
    # c: (a, b) pairs for falling j and, within, falling i; written out, no branch waits
    a0 = c[0, 0]
    b0 = c[0, 1]
    a1 = c[1, 0] * p + c[2, 0]
    b1 = c[1, 1] * p + c[2, 1]
    a2 = (c[3, 0] * p + c[4, 0]) * p + c[5, 0]
    b2 = (c[3, 1] * p + c[4, 1]) * p + c[5, 1]
    a3 = ((c[6, 0] * p + c[7, 0]) * p + c[8, 0]) * p + c[9, 0]
    b3 = ((c[6, 1] * p + c[7, 1]) * p + c[8, 1]) * p + c[9, 1]
    a4 = (((c[10, 0] * p + c[11, 0]) * p + c[12, 0]) * p + c[13, 0]) * p + c[14, 0]
    b4 = (((c[10, 1] * p + c[11, 1]) * p + c[12, 1]) * p + c[13, 1]) * p + c[14, 1]
    a5 = ((((c[15, 0] * p + c[16, 0]) * p + c[17, 0]) * p + c[18, 0]) * p + c[19, 0]) * p + c[20, 0]
    b5 = ((((c[15, 1] * p + c[16, 1]) * p + c[17, 1]) * p + c[18, 1]) * p + c[19, 1]) * p + c[20, 1]
    dx = ((((a0 * q + a1) * q + a2) * q + a3) * q + a4) * q + a5
    dy = ((((b0 * q + b1) * q + b2) * q + b3) * q + b4) * q + b5
    return dx, dy


@njit(cache=True, nogil=True, fastmath=FAST)
def _polynomial(x, y, c, cx, cy, half, dx, dy):
    if c.shape[0] == 21:
        for m in range(x.size):
            dx[m], dy[m] = _quintic((x[m] - cx) * half, (y[m] - cy) * half, c)
        return
    for m in range(x.size):
        p = (x[m] - cx) * half
        q = (y[m] - cy) * half
        da = 0.0
        db = 0.0
        k = 0
        length = 1
        while k < c.shape[0]:
            ra = 0.0
            rb = 0.0
            for _ in range(length):
                ra = ra * p + c[k, 0]
                rb = rb * p + c[k, 1]
                k += 1
            da = da * q + ra
            db = db * q + rb
            length += 1
        dx[m] = da
        dy[m] = db


@njit(cache=True, nogil=True, fastmath=FAST)
def _table(x, y, table, nodes_x, nodes_y, first_x, first_y, step_x, step_y, dx, dy):
    # nodes: positions, and 1/distance to the next one; unsigned indices need no test for negative ones
    zero, one = np.uintp(0), np.uintp(1)
    top_x = nodes_x.shape[0] - 2.0
    top_y = nodes_y.shape[0] - 2.0
    for m in range(x.size):
        if not (x[m] - x[m] == 0.0 and y[m] - y[m] == 0.0):
            continue
        i = np.uintp(min(max((x[m] - first_x) * step_x, 0.0), top_x))
        j = np.uintp(min(max((y[m] - first_y) * step_y, 0.0), top_y))
        f = min(max((x[m] - nodes_x[i, zero]) * nodes_x[i, one], 0.0), 1.0)
        g = min(max((y[m] - nodes_y[j, zero]) * nodes_y[j, one], 0.0), 1.0)
        i1, j1 = i + one, j + one
        lu = table[j, i, zero] + f * (table[j, i1, zero] - table[j, i, zero])
        lv = table[j, i, one] + f * (table[j, i1, one] - table[j, i, one])
        hu = table[j1, i, zero] + f * (table[j1, i1, zero] - table[j1, i, zero])
        hv = table[j1, i, one] + f * (table[j1, i1, one] - table[j1, i, one])
        dx[m] += lu + g * (hu - lu)
        dy[m] += lv + g * (hv - lv)


@njit(cache=True, nogil=True, fastmath=FAST)
def _pixels(x, y, pixels, dx, dy):
    zero, one = np.uintp(0), np.uintp(1)
    top_x = pixels.shape[1] - 1.0
    top_y = pixels.shape[0] - 1.0
    for m in range(x.size):
        if not (x[m] - x[m] == 0.0 and y[m] - y[m] == 0.0):
            continue
        xc = min(max(x[m], 0.0), top_x)
        yc = min(max(y[m], 0.0), top_y)
        i = np.uintp(min(xc, top_x - 1.0))
        j = np.uintp(min(yc, top_y - 1.0))
        f = xc - float(i)
        g = yc - float(j)
        i1, j1 = i + one, j + one
        lu = pixels[j, i, zero] + f * (pixels[j, i1, zero] - pixels[j, i, zero])
        lv = pixels[j, i, one] + f * (pixels[j, i1, one] - pixels[j, i, one])
        hu = pixels[j1, i, zero] + f * (pixels[j1, i1, zero] - pixels[j1, i, zero])
        hv = pixels[j1, i, one] + f * (pixels[j1, i1, one] - pixels[j1, i, one])
        dx[m] += lu + g * (hu - lu)
        dy[m] += lv + g * (hv - lv)


@njit(cache=True, nogil=True, fastmath=FAST)
def evaluate(
    x, y, c, cx, cy, half, table, nodes_x, nodes_y, first_x, first_y, step_x, step_y, pixels, dx, dy
):
    """Corrections at raw positions; ``half`` is 1/half-width, ``step`` 1/cell size; absent parts: size <= 1.

    Part after part, block by block: a function with arrays called per position counts references instead.
    """
    size = 4096
    for first in range(0, x.size, size):
        s = slice(first, min(first + size, x.size))
        xs, ys, us, vs = x[s], y[s], dx[s], dy[s]
        _polynomial(xs, ys, c, cx, cy, half, us, vs)
        if nodes_x.shape[0] > 1:
            _table(xs, ys, table, nodes_x, nodes_y, first_x, first_y, step_x, step_y, us, vs)
        if pixels.shape[0] > 1:
            _pixels(xs, ys, pixels, us, vs)


@njit(cache=True, nogil=True, fastmath=FAST)
def invert(
    u,
    v,
    c,
    cx,
    cy,
    half,
    table,
    nodes_x,
    nodes_y,
    first_x,
    first_y,
    step_x,
    step_y,
    pixels,
    tolerance,
    n_max,
    x,
    y,
):
    """Raw positions of corrected ones: Newton steps with the polynomial's Jacobian at the first guess."""
    size = 1024
    step = 0.5
    work = np.empty((8, size))
    for first in range(0, u.size, size):
        n = min(size, u.size - first)
        s = slice(first, first + n)
        us, vs, xs, ys = u[s], v[s], x[s], y[s]
        dx, dy, ax, ay, m00, m01, m10, m11 = (
            work[0, :n],
            work[1, :n],
            work[2, :n],
            work[3, :n],
            work[4, :n],
            work[5, :n],
            work[6, :n],
            work[7, :n],
        )
        _polynomial(us, vs, c, cx, cy, half, dx, dy)
        for k in range(n):
            xs[k] = us[k] - dx[k]
            ys[k] = vs[k] - dy[k]
        _polynomial(xs, ys, c, cx - step, cy, half, m00, m10)
        _polynomial(xs, ys, c, cx + step, cy, half, dx, dy)
        _polynomial(xs, ys, c, cx, cy - step, half, m01, m11)
        _polynomial(xs, ys, c, cx, cy + step, half, ax, ay)
        for k in range(n):
            m00[k] += 1.0 - dx[k]
            m10[k] -= dy[k]
            m01[k] -= ax[k]
            m11[k] += 1.0 - ay[k]
        for _ in range(n_max):
            evaluate(
                xs,
                ys,
                c,
                cx,
                cy,
                half,
                table,
                nodes_x,
                nodes_y,
                first_x,
                first_y,
                step_x,
                step_y,
                pixels,
                dx,
                dy,
            )
            worst = 0.0
            for k in range(n):
                ex = us[k] - xs[k] - dx[k]
                ey = vs[k] - ys[k] - dy[k]
                size_now = abs(ex) + abs(ey)
                ax[k] = size_now
                if size_now > worst:
                    worst = size_now
                if size_now > tolerance:
                    det = m00[k] * m11[k] - m01[k] * m10[k]
                    xs[k] += (m11[k] * ex - m01[k] * ey) / det
                    ys[k] += (m00[k] * ey - m10[k] * ex) / det
            if worst <= tolerance:
                break
        for k in range(n):
            if not ax[k] <= tolerance:
                xs[k] = np.nan
                ys[k] = np.nan


@njit(cache=True, nogil=True)
def cell_means(order, start, values, weights, sigma, mean, error, count):
    """Clipped weighted mean of each cell's values; order sorts values by cell, start bounds the cells."""
    biggest = 0
    for c in range(start.size - 1):
        biggest = max(biggest, start[c + 1] - start[c])
    v = np.empty(biggest)
    work = np.empty(biggest)
    for c in range(start.size - 1):
        n = 0
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
                n = 0
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
            m = 0
            for s in range(n):
                if dist[s] <= limit:
                    near[m] = near[s]
                    gx[m] = gx[s]
                    gy[m] = gy[s]
                    m += 1
            order_x = np.argsort(rx[near[:m]])
            order_y = np.argsort(ry[near[:m]])
            sx = rx[near[:m]][order_x]
            sy = ry[near[:m]][order_y]
            hx = gx[:m][order_x]
            hy = gy[:m][order_x]
            qx = gx[:m][order_y]
            qy = gy[:m][order_y]
            for y in range(top, min(top + block, y1)):
                fy = np.float32(y - my)
                for x in range(left, min(left + block, nx)):
                    fx = np.float32(x - mx)
                    for s in range(m):
                        dist[s] = (hx[s] - fx) * (hx[s] - fx) + (hy[s] - fy) * (hy[s] - fy)
                    for s in range(m):
                        work[s] = dist[s]
                    last = select(work, m, kk - 1)
                    n = 0
                    for s in range(m):
                        value[n] = sx[s]
                        n += dist[s] <= last
                    n1, m1, s1 = clip_sorted(value, n, sigma)
                    for s in range(m):
                        dist[s] = (qx[s] - fx) * (qx[s] - fx) + (qy[s] - fy) * (qy[s] - fy)
                    n = 0
                    for s in range(m):
                        value[n] = sy[s]
                        n += dist[s] <= last
                    n2, m2, s2 = clip_sorted(value, n, sigma)
                    out[y - y0, x, 0] = m1
                    out[y - y0, x, 1] = m2
                    err[y - y0, x, 0] = 1.2533 * s1 / np.sqrt(n1)
                    err[y - y0, x, 1] = 1.2533 * s2 / np.sqrt(n2)
                    count[y - y0, x] = min(n1, n2)
