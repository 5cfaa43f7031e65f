"""Numba kernels for the Gaussian-process motions: projected likelihood, leave-one-out.

A problem has N data y with covariance K and p linear terms, the rows of H, with a flat prior. Models go by
their codes in `jwst_hpastrom.motion.kinematic_models`. For one that couples the axes N is twice the number of
epochs, x first.
"""

import numpy as np
from numba import njit

from jwst_hpastrom.motion.kinematic_models import FAST
from jwst_hpastrom.numerics.cholesky_kernels import factor, invert_lower, small_inverse

ALONE = 1e-10  # share of its weight that an epoch leaves to a prediction of it, below which there is none
LOG_2PI = np.log(2 * np.pi)
# Integers that are no literals: numba compiles every function anew for each literal argument.
NO, ONE = np.int64(0), np.int64(1)


@njit(cache=True, nogil=True, fastmath=FAST)
def whitened_likelihood(logdet, n, p, b, g):
    """Projected log likelihood from whitened rows b, the data last; g becomes their Gram matrix's factor."""
    if not np.isfinite(logdet):
        return -np.inf
    for r in range(p + 1):
        for s in range(r + 1):
            c = 0.0
            for i in range(n):
                c += b[r, i] * b[s, i]
            g[r, s] = c
    # The Cholesky factor of the bordered Gram matrix: its last pivot is the projected quadratic form.
    logdet_g = 0.0
    for r in range(p + 1):
        for s in range(r + 1):
            c = g[r, s]
            for q in range(s):
                c -= g[r, q] * g[s, q]
            if s < r:
                g[r, s] = c / g[s, s]
            elif r < p:
                if not c > 0.0:
                    return -np.inf
                logdet_g += np.log(c)
                g[r, r] = np.sqrt(c)
            else:
                g[r, r] = c
    return -0.5 * (g[p, p] + logdet + logdet_g + (n - p) * LOG_2PI)


@njit(cache=True, nogil=True, fastmath=FAST)
def log_likelihood(kn, n, h, p, y, b):
    """Projected log likelihood of y; kn is destroyed; b is work, (p + 1, n)."""
    for r in range(p):
        for i in range(n):
            b[r, i] = h[r, i]
    for i in range(n):
        b[p, i] = y[i]
    return whitened_likelihood(factor(kn, n, b, p + 1), n, p, b, np.empty((p + 1, p + 1)))


@njit(cache=True, nogil=True, fastmath=FAST)
def project(kn, n, h, p, y, proj, beta, cov):
    """Projector P, coefficients and their covariance; kn is destroyed. Returns whether it worked."""
    b = np.zeros((1, n))
    if not np.isfinite(factor(kn, n, b, 0)):
        return False
    linv = np.empty((n, n))
    invert_lower(kn, n, linv)
    for i in range(n):
        for j in range(i + 1):
            s = 0.0
            for k in range(i, n):
                s += linv[i, k] * linv[j, k]
            proj[i, j] = proj[j, i] = s
    v = np.empty((p, n))
    for r in range(p):
        for i in range(n):
            s = 0.0
            for j in range(n):
                s += proj[i, j] * h[r, j]
            v[r, i] = s
    g = np.empty((p, p))
    rhs = np.empty(p)
    for r in range(p):
        s = 0.0
        for i in range(n):
            s += v[r, i] * y[i]
        rhs[r] = s
        for q in range(p):
            s = 0.0
            for i in range(n):
                s += v[r, i] * h[q, i]
            g[r, q] = s
    if not small_inverse(g, p, cov):
        return False
    for r in range(p):
        s = 0.0
        for q in range(p):
            s += cov[r, q] * rhs[q]
        beta[r] = s
    for i in range(n):
        for j in range(i + 1):
            s = 0.0
            for r in range(p):
                u = 0.0
                for q in range(p):
                    u += cov[r, q] * v[q, j]
                s += v[r, i] * u
            proj[i, j] -= s
            proj[j, i] = proj[i, j]
    return True


@njit(cache=True, nogil=True, fastmath=FAST)
def leave_one_out(proj, y, n, mean, cov):
    """Predictive means (2, n) and covariances (n, 3: xx, xy, yy) of each epoch without it; returns the ELPD.

    ``proj`` and ``y`` are those of both axes, x first; both coordinates of an epoch are left out together. An
    epoch without which nothing can be predicted (the others are of one time) has NaN and infinite variance,
    and no part in the ELPD.
    """
    elpd, top = 0.0, 0.0
    alpha = np.empty(2 * n)
    for i in range(2 * n):
        s = 0.0
        top = max(top, proj[i, i])
        for j in range(2 * n):
            s += proj[i, j] * y[j]
        alpha[i] = s
    for i in range(n):
        pxx, pxy, pyy = proj[i, i], proj[i, n + i], proj[n + i, n + i]
        det = pxx * pyy - pxy * pxy
        if pxx <= ALONE * top or pyy <= ALONE * top or det <= ALONE * ALONE * top * top:
            mean[0, i], mean[1, i] = np.nan, np.nan
            cov[i, 0], cov[i, 1], cov[i, 2] = np.inf, 0.0, np.inf
            continue
        cov[i, 0], cov[i, 1], cov[i, 2] = pyy / det, -pxy / det, pxx / det
        rx = cov[i, 0] * alpha[i] + cov[i, 1] * alpha[n + i]
        ry = cov[i, 1] * alpha[i] + cov[i, 2] * alpha[n + i]
        mean[0, i], mean[1, i] = y[i] - rx, y[n + i] - ry
        elpd += -LOG_2PI + 0.5 * np.log(det) - 0.5 * (rx * alpha[i] + ry * alpha[n + i])
    return elpd
