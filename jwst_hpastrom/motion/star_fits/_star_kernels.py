"""Numba core: one star after the other through outlier rejection, all models, choice and leave-one-out.

A call that takes a bundle counts references of all its arrays, atomically, at its beginning and end. What is
called once a star is therefore written into its caller by Numba (``inline``).
"""

from typing import NamedTuple

import numpy as np
from numba import njit

from jwst_hpastrom.motion.kinematic_models import FAST, fill, scale, table_of
from jwst_hpastrom.motion.star_fits._climb_kernels import Box, Field, climb, new_work, search
from jwst_hpastrom.motion.star_fits._gp_kernels import NO, ONE, leave_one_out, project

COUPLED = table_of(lambda kernel: kernel.coupled)
GROUPED = table_of(lambda kernel: kernel.grouped)
N_PARAMETERS = table_of(lambda kernel: len(kernel.parameters))


class FitSettings(NamedTuple):
    """How all stars are fitted."""

    degree: int
    parallax: bool
    codes: np.ndarray  # of the models that compete with the straight line
    test: int  # code of the model in whose leave-one-out residuals outliers are looked for
    outlier_sigma: float
    margin: float  # of ELPD, by which a model must exceed the straight line's
    group_margin: float  # the same for those that live on groups of epochs
    min_epochs_models: int
    n_starts: int


class Measurements(NamedTuple):
    """What was measured of all stars, (n_stars, n_epochs), and when."""

    t: np.ndarray
    x: np.ndarray
    y: np.ndarray
    x_err: np.ndarray
    y_err: np.ndarray
    extra: np.ndarray  # (n_stars, 2, n_epochs, n_epochs) added covariance, or no stars
    use: np.ndarray
    group: np.ndarray
    factors: np.ndarray  # (2, n_epochs) of the parallax


class Results(NamedTuple):
    """Arrays of `~jwst_hpastrom.motion.star_fits.models.MotionFits` that are filled."""

    model: np.ndarray
    t0: np.ndarray
    coefficients: np.ndarray
    covariance: np.ndarray
    elpd: np.ndarray
    chi2_loo: np.ndarray
    theta: np.ndarray
    loo_mean: np.ndarray
    loo_error: np.ndarray


class Star(NamedTuple):
    """One star's used epochs: data, noise and linear terms."""

    t: np.ndarray
    group: np.ndarray
    aux: np.ndarray  # motion and its covariance, for a kernel that couples the axes
    noise: np.ndarray  # (2, n, n)
    terms: np.ndarray  # (2, p, n) by axis
    joint: np.ndarray  # (q, 2n) of both axes
    y: np.ndarray  # (2n,), x first
    degree: int
    parallax: bool


class Solution(NamedTuple):
    """Projector (2n, 2n), coefficients (q,) and their covariance (q, q) of a model."""

    proj: np.ndarray
    beta: np.ndarray
    cov: np.ndarray


@njit(cache=True, nogil=True)
def new_solution(n, q):
    """Room for a solution."""
    return Solution(np.empty((2 * n, 2 * n)), np.empty(q), np.empty((q, q)))


@njit(cache=True, nogil=True)
def parameter_box(code, t, variance, residuals, speed, box):
    """Fill bounds and priors of the logarithmic hyper-parameters for one axis, or both where coupled."""
    n = t.size
    sx, sy = variance
    rx, ry = residuals
    sigma = np.sqrt(np.median(0.5 * (sx + sy)))
    spread = 0.0
    biggest = 0.0
    for i in range(n):
        r2 = 0.5 * (rx[i] ** 2 + ry[i] ** 2)
        spread += r2 / n
        biggest = max(biggest, np.sqrt(r2))
    spread = max(np.sqrt(spread), sigma)
    lo, hi, mu, sd = box.lo, box.hi, box.mu, box.sd
    lo[0], hi[0] = np.log(0.02 * sigma), np.log(5.0 * (biggest + sigma))
    mu[0], sd[0] = np.log(spread), 2.0
    first, last = t.min(), t.max()
    base = last - first
    gap = base
    order = np.sort(t)
    for i in range(1, n):
        d = order[i] - order[i - 1]
        if d > 1e-6:
            gap = min(gap, d)
    lo[1], hi[1] = scale(code, gap, base, sigma, speed, n)
    mu[1], sd[1] = 0.5 * (lo[1] + hi[1]), max(0.5 * (hi[1] - lo[1]), 0.5)


@njit(cache=True, nogil=True, fastmath=FAST)
def linear_terms(t, t0, degree, factors, axis_terms, joint):
    """Fill H per axis, (2, p, n), and for both axes, (q, 2n)."""
    p, n = degree + 1, t.size
    joint[:, :] = 0.0
    for i in range(n):
        u = t[i] - t0
        c = 1.0
        for r in range(p):
            axis_terms[0, r, i] = axis_terms[1, r, i] = c
            joint[r, i] = joint[p + r, n + i] = c
            c *= u / (r + 1.0)
        if axis_terms.shape[1] > p:
            for axis in range(2):
                axis_terms[axis, p, i] = factors[axis, i]
                joint[2 * p, axis * n + i] = factors[axis, i]


@njit(cache=True, nogil=True, fastmath=FAST)
def evaluate(code, star, theta, out):
    """Projector, coefficients and covariance of a model at its hyper-parameters; whether it worked."""
    if COUPLED[code] or star.parallax:
        return _evaluate_jointly(code, star, theta, out)
    t, group, aux, noise, terms, y = star.t, star.group, star.aux, star.noise, star.terms, star.y
    proj, beta, cov = out
    n, p = t.size, terms.shape[1]
    k, dk = np.empty((n, n)), np.empty((0, n, n))
    pa, ba, ca = np.empty((n, n)), np.empty(p), np.empty((p, p))
    proj[: 2 * n, : 2 * n] = 0.0
    cov[:, :] = 0.0
    for axis in range(2):
        fill(code, t, group, aux, theta[axis], k, dk, NO)
        for i in range(n):
            for j in range(n):
                k[i, j] += noise[axis, i, j]
        if not project(k, n, terms[axis], p, y[axis * n : axis * n + n], pa, ba, ca):
            return False
        for i in range(n):
            for j in range(n):
                proj[axis * n + i, axis * n + j] = pa[i, j]
        for r in range(p):
            beta[axis * p + r] = ba[r]
            for q in range(p):
                cov[axis * p + r, axis * p + q] = ca[r, q]
    return True


@njit(cache=True, nogil=True, fastmath=FAST)
def _evaluate_jointly(code, star, theta, out):
    """`evaluate` where the axes have something in common: the model, or the parallax."""
    n = star.t.size
    k, dk = np.zeros((2 * n, 2 * n)), np.empty((0, n, n))
    if COUPLED[code]:
        fill(code, star.t, star.group, star.aux, theta[0], k, dk, NO)
    else:
        one = np.empty((n, n))
        for axis in range(2):
            fill(code, star.t, star.group, star.aux, theta[axis], one, dk, NO)
            k[axis * n : axis * n + n, axis * n : axis * n + n] = one
    for axis in range(2):
        for i in range(n):
            for j in range(n):
                k[axis * n + i, axis * n + j] += star.noise[axis, i, j]
    return project(k, 2 * n, star.joint, star.joint.shape[0], star.y, out.proj, out.beta, out.cov)


@njit(cache=True, nogil=True, fastmath=FAST)
def velocity(beta, cov, degree, aux):
    """Velocity and its covariance from the linear terms, for a coupled kernel."""
    i, j = 1, degree + 2
    aux[0], aux[1] = beta[i], beta[j]
    aux[2], aux[3], aux[4] = cov[i, i], cov[i, j], cov[j, j]


@njit(cache=True, nogil=True, fastmath=FAST)
def fit_model(code, star, residuals, n_starts, theta):
    """Hyper-parameters of a model by maximum marginal likelihood; aux is updated for a coupled kernel."""
    n = star.t.size
    box = Box(np.empty(2), np.empty(2), np.empty(2), np.empty(2), N_PARAMETERS[code])
    sx, sy = np.empty(n), np.empty(n)
    for i in range(n):
        sx[i], sy[i] = star.noise[0, i, i], star.noise[1, i, i]
    speed = np.hypot(star.aux[0], star.aux[1])
    if not COUPLED[code]:
        work = new_work(n, star.terms.shape[1])
        for axis in range(2):
            s = sx if axis == 0 else sy
            r = residuals[axis, :n]
            parameter_box(code, star.t, (s, s), (r, r), speed, box)
            y = star.y[axis * n : axis * n + n]
            field = Field(star.t, star.group, star.aux, star.noise[axis], star.terms[axis], y)
            search(code, field, theta[axis], box, n_starts, work)
        return
    parameter_box(code, star.t, (sx, sy), (residuals[0, :n], residuals[1, :n]), speed, box)
    m, q = 2 * n, star.joint.shape[0]
    full = np.zeros((m, m))
    full[:n, :n] = star.noise[0]
    full[n:, n:] = star.noise[1]
    field = Field(star.t, star.group, star.aux, full, star.joint, star.y)
    work = new_work(m, q)
    found, new, aux = new_solution(n, q), np.empty(5), star.aux
    search(code, field, theta[0], box, max(ONE, n_starts - 1), work)
    for _ in range(3):  # the motion that the kernel assumes, and the motion that it gives
        if not evaluate(code, star, theta, found):
            break
        velocity(found.beta, found.cov, star.degree, new)
        moved = 0.0
        for i in range(5):
            moved = max(moved, abs(new[i] - aux[i]) / (abs(aux[i]) + 1e-6 + np.sqrt(abs(aux[2] + aux[4]))))
            aux[i] = 0.5 * (aux[i] + new[i])
        climb(code, field, theta[0], box, work, -np.inf, aux)
        if moved < 0.02:
            break


@njit(cache=True, nogil=True, fastmath=FAST)
def solve_model(code, star, residuals, n_starts, theta, out):
    """Find a model's hyper-parameters, then its projector, coefficients and covariance."""
    fit_model(code, star, residuals, n_starts, theta)
    return evaluate(code, star, theta, out)


@njit(cache=True, nogil=True, inline="always")
def _used_epochs(s, idx, data, settings):
    """Data of star s at the epochs idx, and the error-weighted mean time."""
    n, degree = idx.size, settings.degree
    p = degree + 1 + (1 if settings.parallax else 0)
    q = 2 * (degree + 1) + (1 if settings.parallax else 0)
    t = data.t[idx]
    noise, y = np.zeros((2, n, n)), np.empty(2 * n)
    sw, swt = 0.0, 0.0
    for i in range(n):
        k = idx[i]
        y[i], y[n + i] = data.x[s, k], data.y[s, k]
        noise[0, i, i], noise[1, i, i] = data.x_err[s, k] ** 2, data.y_err[s, k] ** 2
        if data.extra.shape[0] > 0:
            for j in range(n):
                noise[0, i, j] += data.extra[s, 0, k, idx[j]]
                noise[1, i, j] += data.extra[s, 1, k, idx[j]]
        w = 1.0 / (noise[0, i, i] + noise[1, i, i])
        sw += w
        swt += w * t[i]
    mid = swt / sw
    terms, joint = np.zeros((2, p, n)), np.zeros((q, 2 * n))
    linear_terms(t, mid, degree, data.factors[:, idx], terms, joint)
    return Star(t, data.group[idx], np.zeros(5), noise, terms, joint, y, degree, settings.parallax), mid


@njit(cache=True, nogil=True, inline="always")
def _residuals(star, beta):
    """Data less the linear terms, (2, n)."""
    n, q = star.t.size, star.joint.shape[0]
    res = np.zeros((2, n))
    for axis in range(2):
        for i in range(n):
            c = star.y[axis * n + i]
            for r in range(q):
                c -= star.joint[r, axis * n + i] * beta[r]
            res[axis, i] = c
    return res


@njit(cache=True, nogil=True, inline="always")
def _worst_outlier(star, several, line, residuals, settings, mean, var):
    """Epoch of the worst outlier in both axes together, or -1."""
    n, q = star.t.size, star.joint.shape[0]
    proj = line.proj
    if settings.test != 0 and several:
        tested = new_solution(n, q)
        if solve_model(settings.test, star, residuals, ONE, np.zeros((2, 2)), tested):
            proj = tested.proj
    leave_one_out(proj, star.y, n, mean, var)
    worst, found = settings.outlier_sigma, -1
    for i in range(n):
        z = max(
            abs(star.y[i] - mean[0, i]) / np.sqrt(var[i, 0]),
            abs(star.y[n + i] - mean[1, i]) / np.sqrt(var[i, 2]),
        )
        if z > worst:
            worst, found = z, i
    return found


@njit(cache=True, nogil=True, inline="always")
def _choose(star, several, line, residuals, settings, elpd, mean, var):
    """Code of the model that predicts best, its hyper-parameters and solution; fills elpd by code.

    Each model must beat poly-only by its own margin; the best of those is taken.
    """
    n, q = star.t.size, star.joint.shape[0]
    chosen, best, best_theta, base, highest = 0, line, np.zeros((2, 2)), elpd[0], 0.0
    for code in settings.codes:
        if GROUPED[code] and not several:
            continue
        velocity(line.beta, line.cov, star.degree, star.aux)
        theta, found = np.zeros((2, 2)), new_solution(n, q)
        if not solve_model(code, star, residuals, settings.n_starts, theta, found):
            continue
        elpd[code] = leave_one_out(found.proj, star.y, n, mean, var)
        need = settings.group_margin if GROUPED[code] else settings.margin
        if elpd[code] - base > need and (chosen == 0 or elpd[code] > highest):
            highest = elpd[code]
            chosen, best, best_theta = code, found, theta
    return chosen, best, best_theta


@njit(cache=True, nogil=True, inline="always")
def _keep_predictions(s, idx, star, mean, var, out):
    """Leave-one-out predictions of star s, and their chi-squares."""
    n = star.t.size
    predicted = 0
    for i in range(n):
        predicted += np.isfinite(mean[0, i])
    out.chi2_loo[s, 0] = out.chi2_loo[s, 1] = 0.0 if predicted else np.nan
    for i in range(n):
        k = idx[i]
        if not np.isfinite(mean[0, i]):
            continue
        out.loo_mean[s, 0, k], out.loo_mean[s, 1, k] = mean[0, i], mean[1, i]
        out.loo_error[s, 0, k], out.loo_error[s, 1, k] = np.sqrt(var[i, 0]), np.sqrt(var[i, 2])
        out.chi2_loo[s, 0] += (star.y[i] - mean[0, i]) ** 2 / var[i, 0] / predicted
        out.chi2_loo[s, 1] += (star.y[n + i] - mean[1, i]) ** 2 / var[i, 2] / predicted


@njit(cache=True, nogil=True, inline="always")
def _fit_star(s, idx, data, settings, out):
    """Fit star s at the epochs idx; the index of an outlier among them, in place of a fit, else -1."""
    n = idx.size
    star, mid = _used_epochs(s, idx, data, settings)
    q = star.joint.shape[0]
    line, none = new_solution(n, q), np.zeros((2, 2))
    if not evaluate(NO, star, none, line):
        return -1
    residuals = _residuals(star, line.beta)
    velocity(line.beta, line.cov, star.degree, star.aux)
    spare = 2 * n > q + 1
    several = False
    for i in range(1, n):
        several = several or star.group[i] != star.group[0]
    mean, var = np.empty((2, n)), np.empty((n, 3))
    if n >= settings.min_epochs_models and settings.outlier_sigma > 0:
        worst = _worst_outlier(star, several, line, residuals, settings, mean, var)
        if worst >= 0:
            return worst
    code, best, theta = 0, line, none
    out.elpd[s, 0] = leave_one_out(line.proj, star.y, n, mean, var) if spare else np.nan
    if n >= settings.min_epochs_models and spare:
        code, best, theta = _choose(star, several, line, residuals, settings, out.elpd[s], mean, var)
    out.model[s], out.t0[s] = code, mid
    out.coefficients[s, :] = best.beta
    out.covariance[s, :, :] = best.cov
    out.theta[s, :, :] = theta
    out.chi2_loo[s, 0] = out.chi2_loo[s, 1] = np.nan
    if spare:
        leave_one_out(best.proj, star.y, n, mean, var)
        _keep_predictions(s, idx, star, mean, var, out)
    return -1


@njit(cache=True, nogil=True)
def fit_paths(data, settings, out):
    """Fit all stars into ``out``; ``data.use`` loses the rejected epochs, worst first."""
    fewest = 2 * (settings.degree + 1) + (1 if settings.parallax else 0)
    for s in range(data.x.shape[0]):
        out.model[s] = -1
        while True:
            idx = np.flatnonzero(data.use[s])
            if idx.size < 2 or 2 * idx.size < fewest:
                break
            outlier = _fit_star(s, idx, data, settings, out)
            if outlier < 0:
                break
            data.use[s, idx[outlier]] = False
