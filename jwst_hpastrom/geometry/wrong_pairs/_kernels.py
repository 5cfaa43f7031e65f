"""Numba kernels for pairs of three kinds: good ones, wrong ones that are off alike, and stray ones.

Design (2, n, q) and data (2, n) are in units of the pairs' errors but for a factor that all have in common.
"""

from math import lgamma, log, pi

import numpy as np
from numba import njit

from jwst_hpastrom.numerics.choices import FACTORS, RIGHT, WRONG
from jwst_hpastrom.numerics.cholesky_kernels import factor
from jwst_hpastrom.numerics.robust_kernels import FAST, select

GOOD, ALIKE, STRAY = 0, 1, 2
#: errors beyond which a pair may be wrong, and how many of them two are apart at most that are off alike
NEAREST = 3.0
#: degrees of freedom of the good pairs below which there is no evidence: chance makes four of seven agree
FEWEST = 6
#: steps to the nearest pairs; steps of the kinds, and those of them in which alike ones are looked for anew
GATHERED, STEPS, SOUGHT = 10, 15, 4
#: standard deviation of a plane's normal distribution over that of its nearest half
OF_HALF = 1.6


@njit(cache=True, nogil=True, fastmath=FAST)
def fit(x, t, kind, beta, z):
    """Least squares of good pairs, and of alike ones with a shift of their own, into ``beta`` (q + 2).

    Residuals of all pairs, without the shift, go to ``z``. Returns degrees of freedom, the sum of squares,
    and the logarithm of the normal equations' determinant.
    """
    n, q = t.shape[1], x.shape[2]
    normal, right = np.zeros((q + 2, q + 2)), np.zeros((1, q + 2))
    used, alike = 0, 0
    for i in range(n):
        if kind[i] == STRAY:
            continue
        used += 1
        alike += kind[i] == ALIKE
        for a in range(2):
            for r in range(q):
                v = x[a, i, r]
                right[0, r] += v * t[a, i]
                for c in range(r + 1):
                    normal[r, c] += v * x[a, i, c]
                if kind[i] == ALIKE:
                    normal[q + a, r] += v
            if kind[i] == ALIKE:
                normal[q + a, q + a] += 1.0
                right[0, q + a] += t[a, i]
    p = q + 2 if alike > 0 else q
    logdet = factor(normal, p, right, 1)
    beta[:] = 0.0
    for r in range(p - 1, -1, -1):
        s = right[0, r]
        for c in range(r + 1, p):
            s -= normal[c, r] * beta[c]
        beta[r] = s * normal[r, r]
    rss = 0.0
    for i in range(n):
        for a in range(2):
            d = t[a, i]
            for r in range(q):
                d -= x[a, i, r] * beta[r]
            z[a, i] = d
            if kind[i] != STRAY:
                rss += (d - beta[q + a] if kind[i] == ALIKE else d) ** 2
    return 2 * used - p, rss, logdet


@njit(cache=True, nogil=True, fastmath=FAST)
def group_alike(z, kind, s):
    """Call the largest group of wrong pairs near to one of them alike, the other wrong ones stray."""
    n = kind.size
    reach, best, most = (NEAREST * s) ** 2, -1, 1
    for i in range(n):
        if kind[i] == ALIKE:
            kind[i] = STRAY
    for i in range(n):
        if kind[i] == STRAY:
            count = 0
            for j in range(n):
                near = (z[0, i] - z[0, j]) ** 2 + (z[1, i] - z[1, j]) ** 2 < reach
                count += near and kind[j] == STRAY
            if count > most:
                best, most = i, count
    if best >= 0:
        for j in range(n):
            near = (z[0, best] - z[0, j]) ** 2 + (z[1, best] - z[1, j]) ** 2 < reach
            if near and kind[j] == STRAY:
                kind[j] = ALIKE


@njit(cache=True, nogil=True, fastmath=FAST)
def likeliest(z, shift, s, kind):
    """Give each pair the likeliest kind; whether any changed."""
    n, count = kind.size, np.zeros(3)
    for i in range(n):
        count[kind[i]] += 1
    good, alike, stray = log(count[0] + RIGHT), log(0.5 * (count[1] + WRONG)), log(0.5 * (count[2] + WRONG))
    changed = False
    for i in range(n):
        square = (z[0, i] ** 2 + z[1, i] ** 2) / s**2
        other = ((z[0, i] - shift[0]) ** 2 + (z[1, i] - shift[1]) ** 2) / s**2
        best, value = STRAY, stray - log(FACTORS * max(square, NEAREST**2))
        if count[1] > 1 and alike - 0.5 * other > value:
            best, value = ALIKE, alike - 0.5 * other
        if good - 0.5 * square >= value:
            best = GOOD
        changed |= best != kind[i]
        kind[i] = best
    return changed


@njit(cache=True, nogil=True, fastmath=FAST)
def evidence(z, shift, kind, dof, rss, logdet):
    """Logarithm of the data's probability with these kinds: over all transformations, scatters and shifts."""
    least, alike = NEAREST**2 * rss / dof, 0
    value = lgamma(0.5 * dof) - 0.5 * dof * log(pi * rss) - 0.5 * logdet
    for i in range(kind.size):
        alike += kind[i] == ALIKE
        if kind[i] == STRAY:
            value -= log(2 * pi * FACTORS * max(z[0, i] ** 2 + z[1, i] ** 2, least))
    if alike > 0:
        value -= log(2 * pi * FACTORS * max(shift[0] ** 2 + shift[1] ** 2, least))
    return value


@njit(cache=True, nogil=True, fastmath=FAST)
def settle(x, t, gathered, tiny, kinds, values):
    """Follow starts, ``kinds`` (k, n) of which GOOD are believed, to kinds that agree with their own fits.

    ``gathered``: steps to the nearest half of the pairs before. ``values`` get the evidence: -inf where fewer
    than half are good, or too few.
    """
    n, q = t.shape[1], x.shape[2]
    z, beta, square = np.empty((2, n)), np.empty(q + 2), np.empty(n)
    for k in range(values.size):
        kind, gather, changed = kinds[k], gathered[k], True
        for _ in range(gather):
            fit(x, t, kind, beta, z)
            for i in range(n):
                square[i] = z[0, i] ** 2 + z[1, i] ** 2
            limit, changed = select(square, n, n // 2), False
            for i in range(n):
                new = GOOD if z[0, i] ** 2 + z[1, i] ** 2 <= limit else STRAY
                changed |= new != kind[i]
                kind[i] = new
            if not changed:
                break
        dof, rss, logdet = fit(x, t, kind, beta, z)
        for step in range(STEPS):
            s = max(np.sqrt(rss / max(dof, 1)), tiny) * (OF_HALF if step == 0 and gather > 0 else 1.0)
            if step < SOUGHT:
                group_alike(z, kind, s)
                dof, rss, logdet = fit(x, t, kind, beta, z)
            changed = likeliest(z, beta[q:], s, kind)
            dof, rss, logdet = fit(x, t, kind, beta, z)
            if not changed and step > 0:
                break
        good = 0
        for i in range(n):
            good += kind[i] == GOOD
        values[k] = -np.inf
        if dof >= FEWEST and 2 * good >= n and np.isfinite(logdet):
            values[k] = evidence(z, beta[q:], kind, dof, max(rss, dof * tiny**2), logdet)
