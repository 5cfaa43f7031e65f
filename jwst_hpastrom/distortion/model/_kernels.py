"""Numba kernels for corrections at positions: plain arrays in, plain arrays out."""

from typing import NamedTuple

import numpy as np
from numba import njit

from jwst_hpastrom.numerics.robust_kernels import FAST


class Polynomial(NamedTuple):
    """Coefficients in Horner's order, (n, 2), center, and 1/half-width."""

    c: np.ndarray
    cx: float
    cy: float
    half: float


class Table(NamedTuple):
    """Values (ny, nx, 2) at nodes; a node's row is its position, and 1/distance to the next one."""

    values: np.ndarray
    nodes_x: np.ndarray
    nodes_y: np.ndarray
    first_x: float  # center of the first cell
    first_y: float
    step_x: float  # 1/size of a cell
    step_y: float


class Correction(NamedTuple):
    """All parts; of those that are not there the arrays have one row."""

    polynomial: Polynomial
    table: Table
    pixels: np.ndarray


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
def _polynomial(x, y, polynomial, step_x, step_y, dx, dy):
    # step: displacement of the positions
    c, half = polynomial.c, polynomial.half
    cx, cy = polynomial.cx - step_x, polynomial.cy - step_y
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
def _table(x, y, parts, dx, dy):
    # unsigned indices need no test for negative ones
    table, nodes_x, nodes_y, first_x, first_y, step_x, step_y = parts
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
def evaluate(x, y, correction, dx, dy):
    """Corrections at raw positions.

    Part after part, block by block: a function with arrays called per position counts references instead.
    """
    size = 4096
    for first in range(0, x.size, size):
        s = slice(first, min(first + size, x.size))
        xs, ys, us, vs = x[s], y[s], dx[s], dy[s]
        _polynomial(xs, ys, correction.polynomial, 0.0, 0.0, us, vs)
        if correction.table.nodes_x.shape[0] > 1:
            _table(xs, ys, correction.table, us, vs)
        if correction.pixels.shape[0] > 1:
            _pixels(xs, ys, correction.pixels, us, vs)


@njit(cache=True, nogil=True, fastmath=FAST)
def invert(u, v, correction, tolerance, n_max, x, y):
    """Raw positions of corrected ones: Newton steps with the polynomial's Jacobian at the first guess."""
    size = 1024
    step = 0.5
    part = correction.polynomial
    work = np.empty((8, size))
    for first in range(0, u.size, size):
        n = min(size, u.size - first)
        s = slice(first, first + n)
        us, vs, xs, ys = u[s], v[s], x[s], y[s]
        dx, dy, ax, ay = work[0, :n], work[1, :n], work[2, :n], work[3, :n]
        m00, m01, m10, m11 = work[4, :n], work[5, :n], work[6, :n], work[7, :n]
        _polynomial(us, vs, part, 0.0, 0.0, dx, dy)
        for k in range(n):
            xs[k] = us[k] - dx[k]
            ys[k] = vs[k] - dy[k]
        _polynomial(xs, ys, part, step, 0.0, m00, m10)
        _polynomial(xs, ys, part, -step, 0.0, dx, dy)
        _polynomial(xs, ys, part, 0.0, step, m01, m11)
        _polynomial(xs, ys, part, 0.0, -step, ax, ay)
        for k in range(n):
            m00[k] += 1.0 - dx[k]
            m10[k] -= dy[k]
            m01[k] -= ax[k]
            m11[k] += 1.0 - ay[k]
        for _ in range(n_max):
            evaluate(xs, ys, correction, dx, dy)
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
