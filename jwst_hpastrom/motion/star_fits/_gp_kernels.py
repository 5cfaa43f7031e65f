"""Numba kernels for the Gaussian-process motions: covariances, projected likelihood, leave-one-out.

A problem has N data y with covariance K and p linear terms, the rows of H, with a flat prior. Models go by
their codes in `jwst_hpastrom.motion.kinematic_models`. For one that couples the axes N is twice the number of
epochs, x first.
"""

from typing import NamedTuple

import numpy as np
from numba import njit

from jwst_hpastrom.motion.kinematic_models import FAST, fill
from jwst_hpastrom.numerics.cholesky_kernels import factor, invert_lower, small_inverse

ALONE = 1e-10  # share of its weight that an epoch leaves to a prediction of it, below which there is none
LOG_2PI = np.log(2 * np.pi)
# Integers that are no literals: numba compiles every function anew for each literal argument.
NO, ONE = np.int64(0), np.int64(1)
# Grid of starting points: amplitudes a factor exp(0.9) apart, and time scales.
N_AMPLITUDES, N_TIMES, LOG_STEP = 4, 5, 0.9


class Field(NamedTuple):
    """Data y with noise (n, n) and linear terms h (p, n), at times t in groups: what a model is fitted to."""

    t: np.ndarray
    group: np.ndarray
    aux: np.ndarray
    noise: np.ndarray
    h: np.ndarray
    y: np.ndarray


class Box(NamedTuple):
    """Bounds, means and deviations of a model's n_par logarithmic hyper-parameters; two places each."""

    lo: np.ndarray
    hi: np.ndarray
    mu: np.ndarray
    sd: np.ndarray
    n_par: int


class Work(NamedTuple):
    """Room for a covariance (n, n), its derivatives (2, n, n), and rows (p + 1, n)."""

    k: np.ndarray
    dk: np.ndarray
    b: np.ndarray


@njit(cache=True, nogil=True, fastmath=FAST)
def build(model, t, group, aux, theta, k, dk, gradient):
    """Fill the systematic covariance k and, if wanted, its derivatives dk by the (logarithmic) parameters."""
    fill(model, t, group, aux, theta, k, dk, gradient)
    if gradient:
        for i in range(k.shape[0]):
            for j in range(k.shape[0]):
                dk[0, i, j] = 2.0 * k[i, j]


@njit(cache=True, nogil=True, fastmath=FAST)
def log_likelihood(kn, n, h, p, y, b):
    """Projected log likelihood of y; kn is destroyed; b is work, (p + 1, n)."""
    for r in range(p):
        for i in range(n):
            b[r, i] = h[r, i]
    for i in range(n):
        b[p, i] = y[i]
    logdet = factor(kn, n, b, p + 1)
    if not np.isfinite(logdet):
        return -np.inf
    g = np.empty((p + 1, p + 1))
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


@njit(cache=True, nogil=True, fastmath=FAST, inline="always")
def objective(model, field, theta, box, work):
    """Log likelihood plus log prior; inlined, since counting the bundles' arrays costs time."""
    n, k = field.y.size, work.k
    build(model, field.t, field.group, field.aux, theta, k, work.dk, NO)
    for i in range(n):
        for j in range(i + 1):
            k[i, j] += field.noise[i, j]
    f = log_likelihood(k, n, field.h, field.h.shape[0], field.y, work.b)
    for q in range(box.n_par):
        f -= 0.5 * ((theta[q] - box.mu[q]) / box.sd[q]) ** 2
    return f


class Slope(NamedTuple):
    """Gradient and average-information matrix of the objective, and room for them: made once a climb."""

    grad: np.ndarray  # (2,)
    info: np.ndarray  # (2, 2)
    proj: np.ndarray
    beta: np.ndarray
    cov: np.ndarray
    alpha: np.ndarray
    w: np.ndarray
    z: np.ndarray


@njit(cache=True, nogil=True, fastmath=FAST)
def _slope(model, field, theta, box, work, out):
    """Fill the objective's `Slope` at theta; whether that worked."""
    n, p = field.y.size, field.h.shape[0]
    k, dk, y = work.k, work.dk, field.y
    grad, info, proj, beta, cov, alpha, w, z = out
    build(model, field.t, field.group, field.aux, theta, k, dk, ONE)
    for i in range(n):
        for j in range(n):
            k[i, j] += field.noise[i, j]
    if not project(k, n, field.h, p, y, proj, beta, cov):
        return False
    for i in range(n):
        s = 0.0
        for j in range(n):
            s += proj[i, j] * y[j]
        alpha[i] = s
    for q in range(box.n_par):
        trace, quad = 0.0, 0.0
        for i in range(n):
            s = 0.0
            for j in range(n):
                s += dk[q, i, j] * alpha[j]
                trace += dk[q, i, j] * proj[i, j]
            w[q, i] = s
            quad += s * alpha[i]
        grad[q] = 0.5 * (quad - trace) - (theta[q] - box.mu[q]) / box.sd[q] ** 2
        for i in range(n):
            s = 0.0
            for j in range(n):
                s += proj[i, j] * w[q, j]
            z[q, i] = s
    for q in range(box.n_par):
        for r in range(box.n_par):
            s = 0.0
            for i in range(n):
                s += w[q, i] * z[r, i]
            info[q, r] = 0.5 * s
        info[q, q] += 1.0 / box.sd[q] ** 2
    return True


@njit(cache=True, nogil=True, fastmath=FAST)
def _free(q, theta, box, grad):
    """Whether a hyper-parameter may move: not at a bound that the slope points beyond."""
    low = theta[q] <= box.lo[q] and grad[q] < 0
    high = theta[q] >= box.hi[q] and grad[q] > 0
    return q < box.n_par and not (low or high)


@njit(cache=True, nogil=True, fastmath=FAST)
def _step(theta, box, grad, info, damp, new):
    """Fill the damped step's end, at most 1.5 from theta and inside the box."""
    free0, free1 = _free(0, theta, box, grad), _free(1, theta, box, grad)
    d0 = info[0, 0] * (1.0 + damp) + 1e-12
    d1 = info[1, 1] * (1.0 + damp) + 1e-12
    s0, s1 = 0.0, 0.0
    if free0 and free1:
        det = d0 * d1 - info[0, 1] * info[0, 1]
        s0 = (d1 * grad[0] - info[0, 1] * grad[1]) / det
        s1 = (d0 * grad[1] - info[0, 1] * grad[0]) / det
    elif free0:
        s0 = grad[0] / d0
    elif free1:
        s1 = grad[1] / d1
    new[0] = min(max(theta[0] + min(max(s0, -1.5), 1.5), box.lo[0]), box.hi[0])
    new[1] = theta[1]
    if box.n_par > 1:
        new[1] = min(max(theta[1] + min(max(s1, -1.5), 1.5), box.lo[1]), box.hi[1])


@njit(cache=True, nogil=True, fastmath=FAST)
def climb(model, field, theta, box, work):
    """Maximize the objective from theta (overwritten) by damped steps with the average-information matrix."""
    f = objective(model, field, theta, box, work)
    if not np.isfinite(f):
        return -np.inf
    n, p = field.y.size, field.h.shape[0]
    slope = Slope(
        np.zeros(2), np.zeros((2, 2)), np.empty((n, n)), np.empty(p), np.empty((p, p)), np.empty(n),
        np.empty((2, n)), np.empty((2, n)),
    )  # fmt: skip
    new, damp = np.empty(2), 1e-2
    for _ in range(30):
        if not _slope(model, field, theta, box, work, slope):
            break
        better = False
        gain = 0.0
        for _try in range(12):
            _step(theta, box, slope.grad, slope.info, damp, new)
            if abs(new[0] - theta[0]) + abs(new[1] - theta[1]) < 1e-6:
                break
            fn = objective(model, field, new, box, work)
            if fn > f:
                better = True
                gain = fn - f
                f = fn
                theta[0], theta[1] = new[0], new[1]
                damp = max(0.2 * damp, 1e-4)
                break
            damp = max(damp, 0.05) * 6.0
        if not better or gain < 1e-5:
            break
    return f


@njit(cache=True, nogil=True, fastmath=FAST)
def search(model, field, theta, box, n_starts):
    """Best hyper-parameters from several starts: a coarse grid, then climbs from its best points."""
    n, p = field.y.size, field.h.shape[0]
    work = Work(np.empty((n, n)), np.empty((2, n, n)), np.empty((p + 1, n)))
    n_tau = N_TIMES if box.n_par > 1 else 1
    trial = np.empty(2)
    values = np.empty(N_AMPLITUDES * n_tau)
    points = np.empty((N_AMPLITUDES * n_tau, 2))
    c = 0
    for j in range(n_tau):
        for i in range(N_AMPLITUDES):
            trial[0] = min(max(box.mu[0] + LOG_STEP * (i - 2), box.lo[0]), box.hi[0])
            trial[1] = box.lo[1] + (box.hi[1] - box.lo[1]) * (j + 0.5) / n_tau if box.n_par > 1 else 0.0
            points[c] = trial
            values[c] = objective(model, field, trial, box, work)
            c += 1
    best = -np.inf
    for _ in range(n_starts):
        m = -1
        for q in range(c):
            if np.isfinite(values[q]) and (m < 0 or values[q] > values[m]):
                m = q
        if m < 0:
            break
        trial[0], trial[1] = points[m, 0], points[m, 1]
        f = climb(model, field, trial, box, work)
        if f > best:
            best = f
            theta[0], theta[1] = trial[0], trial[1]
        # The next start has another time scale.
        for q in range(c):
            if points[q, 1] == points[m, 1]:
                values[q] = -np.inf
    return best


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
