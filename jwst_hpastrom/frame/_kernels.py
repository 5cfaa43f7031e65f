"""Numba kernels for the master frame."""

from typing import NamedTuple

import numpy as np
from numba import njit

from jwst_hpastrom.numerics.robust_kernels import kept_median, kept_sigma


class Detected(NamedTuple):
    """Measurements, star after star: positions and their variances; star g has start[g]:start[g + 1]."""

    start: np.ndarray
    x: np.ndarray
    y: np.ndarray
    vx: np.ndarray
    vy: np.ndarray


class Mean(NamedTuple):
    """What is found of every star: (n, 2), and its count; which measurements were used."""

    mean: np.ndarray
    rms: np.ndarray
    formal: np.ndarray
    expected: np.ndarray
    weight: np.ndarray
    n_used: np.ndarray
    used: np.ndarray


@njit(cache=True, nogil=True)
def average_stars(detected, extra, sigma, out):
    """Clipped weighted mean positions of stars.

    A measurement off in either axis is dropped in both; ``extra`` (2,) is variance that their own, vx and vy,
    lack, so that a deep exposure does not weigh more than it knows. ``rms`` is weighted as the mean is:
    rms/√N is the mean's error, however unequal the exposures. ``formal`` is what vx and vy propagate to,
    ``expected`` with ``extra``; ``weight`` is the weight of a degree of freedom of their χ²: how fast it
    falls as ``extra`` grows. ``out``, a `Mean`, is overwritten.
    """
    start, x, y, vx, vy = detected
    mean, rms, formal, expected, weight, n_used, used = out
    used[:] = False
    for g in range(start.size - 1):
        a, b = start[g], start[g + 1]
        n = b - a
        n_used[g] = 0
        for c in range(2):
            mean[g, c] = np.nan
            rms[g, c] = np.nan
            formal[g, c] = np.nan
            expected[g, c] = np.nan
            weight[g, c] = np.nan
        if n == 0:
            continue
        ok, work = np.ones(n, np.bool_), np.empty(n)
        dx, dy, ex, ey = x[a:b], y[a:b], vx[a:b], vy[a:b]
        for _ in range(10):
            left = 0
            for k in range(n):
                left += ok[k]
            if left < 3:
                break
            mx, my = kept_median(dx, ok, n, work), kept_median(dy, ok, n, work)
            sx = max(kept_sigma(dx, ok, n, mx, work), np.sqrt(kept_median(ex, ok, n, work) + extra[0]))
            sy = max(kept_sigma(dy, ok, n, my, work), np.sqrt(kept_median(ey, ok, n, work) + extra[1]))
            changed = False
            for k in range(n):
                now = abs(dx[k] - mx) <= sigma * sx and abs(dy[k] - my) <= sigma * sy
                if now != ok[k]:
                    changed = True
                    ok[k] = now
            if not changed:
                break
        m = 0
        w = np.zeros(2)
        t = np.zeros(2)
        p = np.zeros(2)
        for k in range(n):
            if ok[k]:
                m += 1
                used[a + k] = True
                for c in range(2):
                    v = vx[a + k] if c == 0 else vy[a + k]
                    one = 1.0 / (v + extra[c])
                    w[c] += one
                    t[c] += one * (dx[k] if c == 0 else dy[k])
                    p[c] += one * one * v
        n_used[g] = m
        if m == 0:
            continue
        for c in range(2):
            mean[g, c] = t[c] / w[c]
            formal[g, c] = np.sqrt(p[c]) / w[c]
            expected[g, c] = w[c] ** -0.5
            if m > 1:
                q = 0.0
                w2 = 0.0
                for k in range(n):
                    if ok[k]:
                        v = vx[a + k] if c == 0 else vy[a + k]
                        q += ((dx[k] if c == 0 else dy[k]) - mean[g, c]) ** 2 / (v + extra[c])
                        w2 += (v + extra[c]) ** -2
                weight[g, c] = (w[c] - w2 / w[c]) / (m - 1)
                rms[g, c] = np.sqrt(m * q / (w[c] * (m - 1)))
