"""Numba kernels for rims of voids: plain arrays in, plain arrays out."""

import numpy as np
from numba import njit

from jwst_hpastrom.numerics.robust_kernels import FAST, sort_with

#: widths of the profile within which a rim is
ACROSS = 4.0


@njit(cache=True, nogil=True, fastmath=FAST)
def rim_evidence(shape, orders, x, y, left, weight, variance):
    """Log evidence of a rim's coefficients of this prior variance, against none.

    ``shape`` and ``orders`` are those of `rims.profile`, ``left`` (2, n) weighed residuals, ``weight`` (2, n)
    those of single ones. Returns it and the number of residuals on the rim.
    """
    c, s = np.cos(shape[4]), np.sin(shape[4])
    a, b, width = np.exp(-shape[2] - shape[3]), np.exp(shape[3] - shape[2]), np.exp(shape[5])
    inner, outer = max(1.0 - ACROSS * width, 0.0) ** 2, (1.0 + ACROSS * width) ** 2
    m = np.int64(0)
    for k in orders:
        m += 2 if k > 0 else 1
    term = np.empty(m)
    normal, right = np.zeros((2, m, m)), np.zeros((2, m))
    strong = np.int64(0)
    for i in range(x.size):
        dx, dy = x[i] - shape[0], y[i] - shape[1]
        u, v = (dx * c + dy * s) * a, (dy * c - dx * s) * b
        square = u * u + v * v
        if square < inner or square > outer:
            continue
        r = np.sqrt(square) + 1e-9
        u, v = u / r, v / r
        rim = np.exp(-0.5 * ((r - 1.0) / width) ** 2)
        j, most = 0, 0.0
        for k in orders:
            p, q = rim, 0.0
            for _ in range(k):
                p, q = p * u - q * v, p * v + q * u
            term[j] = p
            if k > 0:
                term[j + 1] = q
            most = max(most, abs(p), abs(q))
            j += 2 if k > 0 else 1
        strong += most > 0.3
        for axis in range(2):
            for k in range(m):
                right[axis, k] += term[k] * left[axis, i]
                heavy = weight[axis, i] * term[k]
                for n in range(k + 1):
                    normal[axis, k, n] += heavy * term[n]
    gain = 0.0
    for axis in range(2):
        root, z = normal[axis], right[axis]
        for k in range(m):
            for n in range(k + 1):
                value = variance * root[k, n] + (1.0 if n == k else 0.0)
                for i in range(n):
                    value -= root[k, i] * root[n, i]
                root[k, n] = np.sqrt(value) if n == k else value / root[n, n]
            for n in range(k):
                z[k] -= root[k, n] * z[n]
            z[k] /= root[k, k]
            gain += 0.5 * variance * z[k] * z[k] - np.log(root[k, k])
    return gain, strong


@njit(cache=True, nogil=True, fastmath=FAST)
def _cost(shape, orders, x, y, left, weight, prior):
    """Minus log evidence and prior of an ellipse, see `refine_rim`."""
    oval, width, spread, smallest, biggest, variance, fewest, refused = prior
    gain, strong = rim_evidence(shape, orders, x, y, left, weight, variance)
    if strong < fewest:
        gain = refused
    outside = max(shape[2] - biggest, smallest - shape[2], 0.0) / 0.1
    return 0.5 * ((shape[3] / oval) ** 2 + ((shape[5] - width) / spread) ** 2 + outside**2) - gain


@njit(cache=True, nogil=True, fastmath=FAST)
def _between(a, b, share, out):
    """Put a + share (b - a) into out, number by number: assignments of arrays take the compiler seconds."""
    for k in range(out.size):
        out[k] = a[k] + share * (b[k] - a[k])


@njit(cache=True, nogil=True, fastmath=FAST)
def refine_rim(start, steps, tolerance, trials, orders, x, y, left, weight, prior):
    """Find the ellipse of the largest evidence near a first one, by the simplex of Nelder and Mead.

    ``prior`` has the deviation of half the difference of the half-axes' logarithms; middle and deviation of
    the width's logarithm; the limits of the half-axes'; the variance of the coefficients; the fewest
    residuals on a rim, and the gain of one with fewer. Returns the ellipse and its cost.
    """
    n = start.size
    simplex, cost, order = np.empty((n + 1, n)), np.empty(n + 1), np.empty(n + 1, np.int64)
    middle, back, trial = np.empty(n), np.empty(n), np.empty(n)
    for k in range(n + 1):
        order[k] = k
        for i in range(n):
            simplex[k, i] = start[i] + (steps[i] if i == k - 1 else 0.0)
        cost[k] = _cost(simplex[k], orders, x, y, left, weight, prior)
    for turn in range(trials + 1):
        sort_with(cost, order, n + 1)
        if turn == trials or cost[n] - cost[0] <= tolerance:
            break
        best, worst = simplex[order[0]], simplex[order[n]]
        for i in range(n):
            middle[i] = 0.0
            for k in range(n):
                middle[i] += simplex[order[k], i] / n
        _between(worst, middle, 2.0, back)
        other = _cost(back, orders, x, y, left, weight, prior)
        if cost[0] <= other < cost[n - 1]:
            _between(back, back, 0.0, worst)
            cost[n] = other
            continue
        _between(worst, middle, 3.0 if other < cost[0] else 1.5 if other < cost[n] else 0.5, trial)
        tried = _cost(trial, orders, x, y, left, weight, prior)
        if tried <= min(other, cost[n]) or other < cost[0]:
            far = other < cost[0] and tried >= other  # twice as far is too far
            _between(back if far else trial, back, 0.0, worst)
            cost[n] = other if far else tried
            continue
        for k in range(1, n + 1):
            _between(best, simplex[order[k]], 0.5, simplex[order[k]])
            cost[k] = _cost(simplex[order[k]], orders, x, y, left, weight, prior)
    return simplex[order[0]], cost[0]
