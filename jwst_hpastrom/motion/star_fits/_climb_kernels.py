"""Numba kernels that look for a kinematic model's hyper-parameters: a coarse grid, then climbs.

The covariance of a model goes with its squared amplitude: a row of the grid has the same shape, which is
filled once, and its amplitudes are factored together.
"""

from typing import NamedTuple

import numpy as np
from numba import njit

from jwst_hpastrom.motion.kinematic_models import FAST, fill
from jwst_hpastrom.motion.star_fits._gp_kernels import NO, ONE, whitened_likelihood
from jwst_hpastrom.numerics.cholesky_kernels import LANES, factor, factor_lanes, invert_lower

# Grid of starting points: as many amplitudes as are factored together, exp(0.9) apart, and time scales.
N_AMPLITUDES, N_TIMES, LOG_STEP = LANES, 5, 0.9
# Longest step in a logarithm, steps, and tries of a step that is shortened.
LONGEST, STEPS, TRIES = 1.5, 30, 8
# Gain of log likelihood that a step must promise, and the least that one may bring where more follow.
PROMISED, GAIN = 1e-5, 1e-6
# A climb this near to the best point of an earlier one, and lower, ends on the same hill.
NEAR = 0.05
# Least part of the curvature believed before that a step must show (Powell 1978), so that it stays positive.
DAMP = 0.2


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
    """Room for a covariance (n, n), its derivatives (2, n, n), rows (p + 1, n), and what follows."""

    k: np.ndarray
    dk: np.ndarray
    b: np.ndarray
    g: np.ndarray  # (p + 1, p + 1)
    inverse: np.ndarray  # (n, n)
    proj: np.ndarray  # (n, n)
    e: np.ndarray  # (n,) whitened residuals
    alpha: np.ndarray  # (n,)
    w: np.ndarray  # (2, n)


@njit(cache=True, nogil=True)
def new_work(n, p):
    """Room for n data and p linear terms."""
    return Work(
        np.empty((n, n)), np.empty((2, n, n)), np.empty((p + 1, n)), np.empty((p + 1, p + 1)),
        np.empty((n, n)), np.empty((n, n)), np.empty(n), np.empty(n), np.empty((2, n)),
    )  # fmt: skip


@njit(cache=True, nogil=True, fastmath=FAST)
def _whiten(model, field, theta, work):
    """Log likelihood; leaves the factor in k, whitened rows in b and their Gram matrix's factor in g."""
    n, p, k, b = field.y.size, field.h.shape[0], work.k, work.b
    fill(model, field.t, field.group, field.aux, theta, k, work.dk, ONE)
    for i in range(n):
        for j in range(i + 1):
            k[i, j] += field.noise[i, j]
        for r in range(p):
            b[r, i] = field.h[r, i]
        b[p, i] = field.y[i]
    return whitened_likelihood(factor(k, n, b, p + 1), n, p, b, work.g)


@njit(cache=True, nogil=True, fastmath=FAST)
def _project(n, p, work):
    """Fill the projector's lower half and its product alpha with the data, from what `_whiten` leaves.

    The rows of b become orthonormal, then those of the linear terms times the factor's inverse.
    """
    b, g, e, alpha, inverse, proj = work.b, work.g, work.e, work.alpha, work.inverse, work.proj
    invert_lower(work.k, n, inverse)
    for r in range(p):
        for i in range(n):
            c = b[r, i]
            for s in range(r):
                c -= g[r, s] * b[s, i]
            b[r, i] = c / g[r, r]
    for i in range(n):
        c = b[p, i]
        for r in range(p):
            c -= g[p, r] * b[r, i]
        e[i] = c
    for j in range(n):
        c = 0.0
        for i in range(j, n):
            c += inverse[j, i] * e[i]
        alpha[j] = c
        for r in range(p):
            c = 0.0
            for i in range(j, n):
                c += inverse[j, i] * b[r, i]
            b[r, j] = c  # nothing below j is read again
    for i in range(n):
        for j in range(i + 1):
            c = 0.0
            for q in range(i, n):
                c += inverse[i, q] * inverse[j, q]
            for r in range(p):
                c -= b[r, i] * b[r, j]
            proj[i, j] = c


@njit(cache=True, nogil=True, fastmath=FAST)
def value_and_slope(model, field, theta, box, work, grad):
    """Log likelihood plus log prior, and its gradient."""
    n, p = field.y.size, field.h.shape[0]
    f = _whiten(model, field, theta, work)
    if not np.isfinite(f):
        return -np.inf
    _project(n, p, work)
    alpha, proj, noise, dk = work.alpha, work.proj, field.noise, work.dk
    # The derivative by the amplitude is twice the covariance less its noise, of which all but the noise's
    # part is known: trace(P K) = n - p, and P K P = P.
    first, second = work.g[p, p] - (n - p), 0.0
    for i in range(n):
        for j in range(i + 1):
            c = (0.5 if i == j else 1.0) * (alpha[i] * alpha[j] - proj[i, j])
            first -= 2.0 * c * noise[i, j]
            if box.n_par > 1:
                second += c * dk[1, i, j]
    grad[0], grad[1] = first, second
    for q in range(box.n_par):
        z = (theta[q] - box.mu[q]) / box.sd[q]
        f -= 0.5 * z * z
        grad[q] -= z / box.sd[q]
    return f


@njit(cache=True, nogil=True, fastmath=FAST)
def _information(field, box, work, info):
    """Fill the average-information matrix where `value_and_slope` was taken last."""
    n, w, alpha, noise = field.y.size, work.w, work.alpha, field.noise
    for i in range(n):
        c = work.e[i] / work.k[i, i]  # the factor's diagonal holds reciprocals
        for j in range(i):
            c += work.k[i, j] * work.e[j]
        v = 0.0
        for j in range(n):
            c -= noise[i, j] * alpha[j]
            if box.n_par > 1:
                v += work.dk[1, i, j] * alpha[j]
        w[0, i], w[1, i] = 2.0 * c, v
    for q in range(box.n_par):
        for r in range(q + 1):
            c = 0.0
            for i in range(n):
                c += w[q, i] * work.proj[i, i] * w[r, i]
                for j in range(i):
                    c += work.proj[i, j] * (w[q, i] * w[r, j] + w[q, j] * w[r, i])
            info[q, r] = info[r, q] = 0.5 * c
        info[q, q] += 1.0 / box.sd[q] ** 2


@njit(cache=True, nogil=True, fastmath=FAST)
def _free(q, theta, box, grad):
    """Whether a hyper-parameter may move: not at a bound that the slope points beyond."""
    low = theta[q] <= box.lo[q] and grad[q] < 0
    high = theta[q] >= box.hi[q] and grad[q] > 0
    return q < box.n_par and not (low or high)


@njit(cache=True, nogil=True, fastmath=FAST)
def _limited(q, s, theta, box):
    """Step s of a hyper-parameter, limited in length and to the box."""
    s = min(max(s, -LONGEST), LONGEST)
    return min(max(theta[q] + s, box.lo[q]), box.hi[q]) - theta[q]


@njit(cache=True, nogil=True, fastmath=FAST)
def _step(theta, box, grad, info, new):
    """Fill the end of Newton's step within its limits; the gain that the slope alone promises."""
    free0, free1 = _free(0, theta, box, grad), _free(1, theta, box, grad)
    s0, s1 = 0.0, 0.0
    if free0 and free1:
        det = info[0, 0] * info[1, 1] - info[0, 1] * info[0, 1]
        full0 = (info[1, 1] * grad[0] - info[0, 1] * grad[1]) / det
        full1 = (info[0, 0] * grad[1] - info[0, 1] * grad[0]) / det
        s0, s1 = _limited(0, full0, theta, box), _limited(1, full1, theta, box)
        # Where one is limited the other goes to the top along that limit.
        if s1 != full1:
            s0 = _limited(0, (grad[0] - info[0, 1] * s1) / info[0, 0], theta, box)
        elif s0 != full0:
            s1 = _limited(1, (grad[1] - info[0, 1] * s0) / info[1, 1], theta, box)
    elif free0:
        s0 = _limited(0, grad[0] / info[0, 0], theta, box)
    elif free1:
        s1 = _limited(1, grad[1] / info[1, 1], theta, box)
    new[0], new[1] = theta[0] + s0, theta[1] + s1
    return grad[0] * s0 + grad[1] * s1


@njit(cache=True, nogil=True, fastmath=FAST)
def _learn_curvature(theta, new, grad, new_grad, info):
    """Update the curvature by what the slope did along a step (BFGS, damped)."""
    s0, s1 = new[0] - theta[0], new[1] - theta[1]
    y0, y1 = grad[0] - new_grad[0], grad[1] - new_grad[1]
    b0, b1 = info[0, 0] * s0 + info[0, 1] * s1, info[0, 1] * s0 + info[1, 1] * s1
    sbs, sy = s0 * b0 + s1 * b1, s0 * y0 + s1 * y1
    if not sbs > 0.0:
        return
    if sy < DAMP * sbs:
        c = (1.0 - DAMP) * sbs / (sbs - sy)
        y0, y1 = c * y0 + (1.0 - c) * b0, c * y1 + (1.0 - c) * b1
        sy = s0 * y0 + s1 * y1
    info[0, 0] += y0 * y0 / sy - b0 * b0 / sbs
    info[1, 1] += y1 * y1 / sy - b1 * b1 / sbs
    info[0, 1] += y0 * y1 / sy - b0 * b1 / sbs
    info[1, 0] = info[0, 1]


@njit(cache=True, nogil=True, fastmath=FAST)
def climb(model, field, theta, box, work, best, best_theta):
    """Maximize the objective from theta (overwritten); ends early near to best_theta if not above best."""
    grad, new_grad, new, info = np.zeros(2), np.zeros(2), np.empty(2), np.zeros((2, 2))
    f = value_and_slope(model, field, theta, box, work, grad)
    if not np.isfinite(f):
        return -np.inf
    _information(field, box, work, info)
    for _ in range(STEPS):
        promised = _step(theta, box, grad, info, new)
        if promised < PROMISED:
            break
        gain = 0.0
        for _try in range(TRIES):
            fn = value_and_slope(model, field, new, box, work, new_grad)
            if np.isfinite(fn):
                _learn_curvature(theta, new, grad, new_grad, info)
            if fn > f:
                gain = fn - f
                break
            # The top of the parabola through both values and the slope.
            c = min(max(0.5 * promised / (promised + f - fn), 0.1), 0.5)
            new[0], new[1] = theta[0] + c * (new[0] - theta[0]), theta[1] + c * (new[1] - theta[1])
            promised *= c
            if promised < PROMISED:
                break
        if gain <= 0.0:
            break
        f = fn
        theta[0], theta[1], grad[0], grad[1] = new[0], new[1], new_grad[0], new_grad[1]
        near = abs(theta[0] - best_theta[0]) < NEAR and abs(theta[1] - best_theta[1]) < NEAR
        if gain < GAIN or (near and f <= best):
            break
    return f


@njit(cache=True, nogil=True, fastmath=FAST)
def row_likelihoods(shape, square, noise, h, y, a, b, g, out):
    """Log likelihoods with covariances square[l] shape + noise, all l together; a, b, g are room."""
    n, p = y.size, h.shape[0]
    s0, s1, s2, s3 = square[0], square[1], square[2], square[3]
    for i in range(n):
        for j in range(i + 1):
            c, v = shape[i, j], noise[i, j]
            a[i, j, 0], a[i, j, 1], a[i, j, 2], a[i, j, 3] = s0 * c + v, s1 * c + v, s2 * c + v, s3 * c + v
    for lane in range(LANES):
        for r in range(p):
            for i in range(n):
                b[lane, r, i] = h[r, i]
        for i in range(n):
            b[lane, p, i] = y[i]
    factor_lanes(a, n, b, p + 1, out)
    for lane in range(LANES):
        out[lane] = whitened_likelihood(out[lane], n, p, b[lane], g)


@njit(cache=True, nogil=True, fastmath=FAST)
def _grid(model, field, box, work, points, values):
    """Fill the coarse grid's points and the objective there; how many they are."""
    n, p = field.y.size, field.h.shape[0]
    a, b = np.empty((n, n, LANES)), np.empty((LANES, p + 1, n))
    square, trial, count = np.empty(LANES), np.zeros(2), 0
    for j in range(N_TIMES if box.n_par > 1 else 1):
        trial[0] = 0.0
        trial[1] = box.lo[1] + (box.hi[1] - box.lo[1]) * (j + 0.5) / N_TIMES if box.n_par > 1 else 0.0
        fill(model, field.t, field.group, field.aux, trial, work.k, work.dk, NO)
        for i in range(LANES):
            trial[0] = min(max(box.mu[0] + LOG_STEP * (i - 2), box.lo[0]), box.hi[0])
            square[i] = np.exp(2.0 * trial[0])
            points[count + i, 0], points[count + i, 1] = trial[0], trial[1]
        row = values[count : count + LANES]
        row_likelihoods(work.k, square, field.noise, field.h, field.y, a, b, work.g, row)
        for i in range(count, count + LANES):
            for q in range(box.n_par):
                values[i] -= 0.5 * ((points[i, q] - box.mu[q]) / box.sd[q]) ** 2
        count += LANES
    return count


@njit(cache=True, nogil=True, fastmath=FAST)
def search(model, field, theta, box, n_starts, work):
    """Best hyper-parameters from several starts: a coarse grid, then climbs from its best points."""
    values, points = np.empty(N_AMPLITUDES * N_TIMES), np.empty((N_AMPLITUDES * N_TIMES, 2))
    count = _grid(model, field, box, work, points, values)
    best, trial = -np.inf, np.empty(2)
    for _ in range(n_starts):
        m = -1
        for q in range(count):
            if np.isfinite(values[q]) and (m < 0 or values[q] > values[m]):
                m = q
        if m < 0:
            break
        trial[0], trial[1] = points[m, 0], points[m, 1]
        f = climb(model, field, trial, box, work, best, theta)
        if f > best:
            best = f
            theta[0], theta[1] = trial[0], trial[1]
        # The next start has another time scale.
        for q in range(count):
            if points[q, 1] == points[m, 1]:
                values[q] = -np.inf
    return best
