"""Numba kernels for medians, sorting and clipping: plain arrays in, plain arrays out.

These stand for `numpy.median`, `numpy.sort` and masks, which numba takes seconds to compile, once for each
kind of array. A count starts as ``np.int64(0)`` where a function gets it: a plain 0 is a type of its own to
numba, and the function compiled once more.
"""

from math import erf, exp, pi, sqrt

import numpy as np
from numba import njit

from jwst_hpastrom.numerics import compiling  # noqa: F401  kernels compile quickly from here on
from jwst_hpastrom.numerics.robust import MAD_TO_SIGMA

#: flags of Numba code: no reordering or fusing, results must not depend on what was compiled when
FAST = {"nsz"}


@njit(cache=True, nogil=True)
def select(v, n, k):
    """Value of rank k of v[:n]; reorders v (Hoare's quickselect)."""
    low, high = 0, n - 1
    while low < high:
        pivot = v[(low + high) // 2]
        i, j = low, high
        while i <= j:
            while v[i] < pivot:
                i += 1
            while v[j] > pivot:
                j -= 1
            if i <= j:
                v[i], v[j] = v[j], v[i]
                i += 1
                j -= 1
        if k <= j:
            high = j
        elif k >= i:
            low = i
        else:
            break
    return v[k]


@njit(cache=True, nogil=True)
def median(v, n):
    """Median of v[:n]; reorders v."""
    m = n // 2
    top = select(v, n, m)
    if n % 2:
        return top
    below = v[0]
    for i in range(1, m):
        if v[i] > below:
            below = v[i]
    return 0.5 * (top + below)


@njit(cache=True, nogil=True)
def sort_with(v, rows, n):
    """Sort v[:n] in place, and ``rows``, if it is as long, along with it (quicksort; ties in any order)."""
    low, high = np.empty(64, np.int64), np.empty(64, np.int64)  # the larger part waits: 64 are enough
    low[0], high[0], depth = 0, n - 1, 1
    along = rows.size >= n
    while depth > 0:
        depth -= 1
        a, b = low[depth], high[depth]
        while a < b:
            pivot = v[(a + b) // 2]
            i, j = a, b
            while i <= j:
                while v[i] < pivot:
                    i += 1
                while v[j] > pivot:
                    j -= 1
                if i <= j:
                    v[i], v[j] = v[j], v[i]
                    if along:
                        rows[i], rows[j] = rows[j], rows[i]
                    i += 1
                    j -= 1
            if j - a > b - i:
                low[depth], high[depth] = a, j
                a = i
            else:
                low[depth], high[depth] = i, b
                b = j
            depth += 1


@njit(cache=True, nogil=True)
def kept_median(v, ok, n, work):
    """Median of those of v[:n] that are ok; ``work`` has room for them."""
    m = np.int64(0)
    for k in range(n):
        if ok[k]:
            work[m] = v[k]
            m += 1
    return median(work, m)


@njit(cache=True, nogil=True)
def kept_sigma(v, ok, n, middle, work):
    """Scatter about a middle of those of v[:n] that are ok: 1.4826 times the median of their deviations."""
    m = np.int64(0)
    for k in range(n):
        if ok[k]:
            work[m] = abs(v[k] - middle)
            m += 1
    return MAD_TO_SIGMA * median(work, m)


@njit(cache=True, nogil=True)
def sigma_about(values, middle):
    """Scatter of values about a middle: 1.4826 times the median of the deviations."""
    return MAD_TO_SIGMA * median(np.abs(values - middle), values.size)


@njit(cache=True, nogil=True)
def clipped_group_means(order, start, values, weights, sigma, used):
    """Clipped weighted mean, scatter, formal error, values found and used of each group."""
    n_groups = start.size - 1
    mean = np.full(n_groups, np.nan)
    rms = np.full(n_groups, np.nan)
    formal = np.full(n_groups, np.nan)
    n_found = np.zeros(n_groups, np.int64)
    n_used = np.zeros(n_groups, np.int64)
    for g in range(n_groups):
        a, b = start[g], start[g + 1]
        m = np.int64(0)
        v = np.empty(b - a)
        w = np.empty(b - a)
        formal_of_one, work = np.empty(b - a), np.empty(b - a)
        src = np.empty(b - a, np.int64)
        for k in range(a, b):
            i = order[k]
            if np.isfinite(values[i]) and weights[i] > 0 and np.isfinite(weights[i]):
                v[m], w[m], src[m] = values[i], weights[i], i
                formal_of_one[m] = 1 / np.sqrt(w[m])
                m += 1
        n_found[g] = m
        if m == 0:
            continue
        ok = np.ones(m, np.bool_)
        for _ in range(10):
            n = 0
            for k in range(m):
                n += ok[k]
            if n < 3:
                break
            med = kept_median(v, ok, m, work)
            scale = max(kept_sigma(v, ok, m, med, work), kept_median(formal_of_one, ok, m, work))
            changed = False
            for k in range(m):
                now = abs(v[k] - med) <= sigma * scale
                if now != ok[k]:
                    changed = True
                ok[k] = now
            if not changed:
                break
        sw = 0.0
        sv = 0.0
        n = 0
        for k in range(m):
            if ok[k]:
                sw += w[k]
                sv += w[k] * v[k]
                n += 1
                used[src[k]] = True
        if n == 0:
            continue
        mu = sv / sw
        mean[g], formal[g], n_used[g] = mu, sw**-0.5, n
        if n > 1:
            s2 = 0.0
            for k in range(m):
                if ok[k]:
                    s2 += w[k] * (v[k] - mu) ** 2
            rms[g] = np.sqrt(s2 * n / (sw * (n - 1)))
    return mean, rms, formal, n_found, n_used


@njit(cache=True, nogil=True)
def clip(v, n, sigma, work):
    """Iterative clip about the median with 1.4826 MAD: number kept, median, scale; v is used up."""
    scale = 0.0
    middle = 0.0
    for _ in range(10):
        for i in range(n):
            work[i] = v[i]
        middle = median(work, n)
        for i in range(n):
            work[i] = abs(v[i] - middle)
        scale = MAD_TO_SIGMA * median(work, n)
        if n < 4 or scale == 0.0:
            break
        m = 0
        for i in range(n):
            if abs(v[i] - middle) <= sigma * scale:
                v[m] = v[i]
                m += 1
        if m == n:
            break
        n = m
    return n, middle, scale


@njit(cache=True, nogil=True)
def clip_sorted(v, n, sigma):
    """`clip` of sorted values: number kept, their median, and the standard deviation of one.

    Those kept in the end agree too well by chance: it is of those that the first clipping keeps.
    """
    lo, hi = 0, n
    middle = 0.0
    scale = 0.0
    scatter = -1.0
    for _ in range(10):
        m = hi - lo
        c = lo + m // 2
        middle = v[c] if m % 2 else 0.5 * (v[c - 1] + v[c])
        # deviations rise outward from the middle: merge the two sides up to the median
        j = c
        i = c - 1
        last = 0.0
        before = 0.0
        for _k in range(m // 2 + 1):
            before = last
            below = middle - v[i] if i >= lo else np.inf
            above = v[j] - middle if j < hi else np.inf
            if below < above:
                last = below
                i -= 1
            else:
                last = above
                j += 1
        scale = MAD_TO_SIGMA * (last if m % 2 else 0.5 * (last + before))
        if m < 4 or scale == 0.0:
            break
        limit = sigma * scale
        a, b = lo, hi
        while middle - v[a] > limit:
            a += 1
        while v[b - 1] - middle > limit:
            b -= 1
        if scatter < 0.0:
            scatter = scatter_within(v, a, b, sigma)
        if a == lo and b == hi:
            break
        lo, hi = a, b
    return hi - lo, middle, scale if scatter < 0.0 else scatter


@njit(cache=True, nogil=True)
def scatter_within(v, a, b, sigma):
    """Standard deviation, as wide as Student's, of normal values of which v[a:b] are within ``sigma``."""
    mean = 0.0
    for i in range(a, b):
        mean += v[i]
    mean /= b - a
    square = 0.0
    for i in range(a, b):
        square += (v[i] - mean) ** 2
    cut = 2 * sigma * exp(-0.5 * sigma**2) / (sqrt(2 * pi) * erf(sigma / sqrt(2.0))) if sigma < 10.0 else 0.0
    return sqrt(square / (max(b - a - 3, 1) * (1 - cut)))
