"""Numba core: one star after the other through outlier rejection, all models, choice and leave-one-out."""

from typing import NamedTuple

import numpy as np
from numba import njit

from jwst_hpastrom.motion.kinematic_models import FAST, scale, table_of
from jwst_hpastrom.motion.star_fits._gp_kernels import (
    NO,
    ONE,
    build,
    climb,
    leave_one_out,
    project,
    search,
)

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


@njit(cache=True, nogil=True)
def parameter_box(code, t, sx, sy, rx, ry, speed, lo, hi, mu, sd):
    """Bounds and priors of the logarithmic hyper-parameters for one axis (or both, where coupled)."""
    n = t.size
    sigma = np.sqrt(np.median(0.5 * (sx + sy)))
    spread = 0.0
    biggest = 0.0
    for i in range(n):
        r2 = 0.5 * (rx[i] ** 2 + ry[i] ** 2)
        spread += r2 / n
        biggest = max(biggest, np.sqrt(r2))
    spread = max(np.sqrt(spread), sigma)
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
def linear_terms(t, t0, degree, factors, n, axis_terms, joint):
    """Fill H per axis, (2, p, n), and for both axes, (q, 2n)."""
    p = degree + 1
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
def evaluate(code, t, group, aux, theta, noise, n, axis_terms, joint, yj, parallax, proj, beta, cov):
    """Joint projector (2n, 2n), coefficients and covariance of a model at its hyper-parameters."""
    p = axis_terms.shape[1]
    if not COUPLED[code] and not parallax:
        k, dk = np.empty((n, n)), np.empty((0, n, n))
        pa, ba, ca = np.empty((n, n)), np.empty(p), np.empty((p, p))
        proj[: 2 * n, : 2 * n] = 0.0
        cov[:, :] = 0.0
        for axis in range(2):
            build(code, t, group, aux, theta[axis], k, dk, NO)
            for i in range(n):
                for j in range(n):
                    k[i, j] += noise[axis, i, j]
            if not project(k, n, axis_terms[axis], p, yj[axis * n : axis * n + n], pa, ba, ca):
                return False
            for i in range(n):
                for j in range(n):
                    proj[axis * n + i, axis * n + j] = pa[i, j]
            for r in range(p):
                beta[axis * p + r] = ba[r]
                for q in range(p):
                    cov[axis * p + r, axis * p + q] = ca[r, q]
        return True
    k, dk = np.zeros((2 * n, 2 * n)), np.empty((0, n, n))
    if COUPLED[code]:
        build(code, t, group, aux, theta[0], k, dk, NO)
    else:
        one = np.empty((n, n))
        for axis in range(2):
            build(code, t, group, aux, theta[axis], one, dk, NO)
            k[axis * n : axis * n + n, axis * n : axis * n + n] = one
    for axis in range(2):
        for i in range(n):
            for j in range(n):
                k[axis * n + i, axis * n + j] += noise[axis, i, j]
    return project(k, 2 * n, joint, joint.shape[0], yj, proj, beta, cov)


@njit(cache=True, nogil=True, fastmath=FAST)
def velocity(beta, cov, degree, aux):
    """Velocity and its covariance from the linear terms, for a coupled kernel."""
    i, j = 1, degree + 2
    aux[0], aux[1] = beta[i], beta[j]
    aux[2], aux[3], aux[4] = cov[i, i], cov[i, j], cov[j, j]


@njit(cache=True, nogil=True, fastmath=FAST)
def fit_model(code, t, group, aux, noise, n, axis_terms, joint, yj, parallax, degree, n_starts, res, theta):
    """Hyper-parameters of a model by maximum marginal likelihood; aux is updated for a coupled kernel."""
    lo, hi, mu, sd = np.empty(2), np.empty(2), np.empty(2), np.empty(2)
    sx, sy = np.empty(n), np.empty(n)
    for i in range(n):
        sx[i], sy[i] = noise[0, i, i], noise[1, i, i]
    speed = np.hypot(aux[0], aux[1])
    p = axis_terms.shape[1]
    n_par = N_PARAMETERS[code]
    if not COUPLED[code]:
        for axis in range(2):
            s = sx if axis == 0 else sy
            r = res[axis, :n]
            parameter_box(code, t, s, s, r, r, speed, lo, hi, mu, sd)
            y = yj[axis * n : axis * n + n]
            h = axis_terms[axis]
            search(code, t, group, aux, theta[axis], noise[axis], n, h, p, y, lo, hi, mu, sd, n_par, n_starts)
        return
    parameter_box(code, t, sx, sy, res[0, :n], res[1, :n], speed, lo, hi, mu, sd)
    m, q = 2 * n, joint.shape[0]
    full = np.zeros((m, m))
    full[:n, :n] = noise[0]
    full[n:, n:] = noise[1]
    k, dk, b = np.empty((m, m)), np.empty((2, m, m)), np.empty((q + 1, m))
    proj, beta, cov, new = np.empty((m, m)), np.empty(q), np.empty((q, q)), np.empty(5)
    search(
        code, t, group, aux, theta[0], full, m, joint, q, yj, lo, hi, mu, sd, n_par, max(ONE, n_starts - 1)
    )
    for _ in range(3):  # the motion that the kernel assumes, and the motion that it gives
        if not evaluate(
            code, t, group, aux, theta, noise, n, axis_terms, joint, yj, parallax, proj, beta, cov
        ):
            break
        velocity(beta, cov, degree, new)
        moved = 0.0
        for i in range(5):
            moved = max(moved, abs(new[i] - aux[i]) / (abs(aux[i]) + 1e-6 + np.sqrt(abs(aux[2] + aux[4]))))
            aux[i] = 0.5 * (aux[i] + new[i])
        climb(code, t, group, aux, theta[0], full, m, joint, q, yj, lo, hi, mu, sd, n_par, k, dk, b)
        if moved < 0.02:
            break


@njit(cache=True, nogil=True, fastmath=FAST)
def solve_model(
    code, t, group, aux, noise, n, axis_terms, joint, yj, parallax, degree, n_starts, res,
    theta, proj, beta, cov,
):  # fmt: skip
    """Find a model's hyper-parameters, then its projector, coefficients and covariance."""
    fit_model(
        code, t, group, aux, noise, n, axis_terms, joint, yj, parallax, degree, n_starts, res, theta
    )  # fmt: skip
    return evaluate(code, t, group, aux, theta, noise, n, axis_terms, joint, yj, parallax, proj, beta, cov)


@njit(cache=True, nogil=True)
def fit_stars(
    t_all,
    x,
    y,
    ex,
    ey,
    extra,
    use,
    group_all,
    factors_all,
    degree,
    parallax,
    candidates,
    test_model,
    outlier_sigma,
    delta,
    delta_group,
    min_epochs_models,
    n_starts,
    model,
    t0,
    beta_out,
    cov_out,
    elpd_out,
    chi2,
    theta_out,
    loo_mean,
    loo_error,
):
    """Fit all stars. Arrays (n_stars, n_epochs); ``use`` loses the rejected epochs; the rest is output."""
    n_stars = x.shape[0]
    p = degree + 1 + (1 if parallax else 0)
    q = 2 * (degree + 1) + (1 if parallax else 0)
    aux = np.zeros(5)
    for s in range(n_stars):
        model[s] = -1
        while True:
            idx = np.flatnonzero(use[s])
            n = idx.size
            if n < 2 or 2 * n < q:
                break
            t, group = t_all[idx], group_all[idx]
            factors = factors_all[:, idx]
            noise, yj = np.zeros((2, n, n)), np.empty(2 * n)
            sw, swt = 0.0, 0.0
            for i in range(n):
                k = idx[i]
                yj[i], yj[n + i] = x[s, k], y[s, k]
                noise[0, i, i], noise[1, i, i] = ex[s, k] ** 2, ey[s, k] ** 2
                if extra.shape[0] > 0:
                    for j in range(n):
                        noise[0, i, j] += extra[s, 0, k, idx[j]]
                        noise[1, i, j] += extra[s, 1, k, idx[j]]
                w = 1.0 / (noise[0, i, i] + noise[1, i, i])
                sw += w
                swt += w * t[i]
            mid = swt / sw
            axis_terms, joint = np.zeros((2, p, n)), np.zeros((q, 2 * n))
            linear_terms(t, mid, degree, factors, n, axis_terms, joint)
            proj, beta, cov = np.empty((2 * n, 2 * n)), np.empty(q), np.empty((q, q))
            theta, res = np.zeros((2, 2)), np.zeros((2, n))
            mean, var = np.empty((2, n)), np.empty((n, 3))
            done = evaluate(
                NO, t, group, aux, theta, noise, n, axis_terms, joint, yj, parallax, proj, beta, cov
            )
            if not done:
                break
            for axis in range(2):
                for i in range(n):
                    c = yj[axis * n + i]
                    for r in range(q):
                        c -= joint[r, axis * n + i] * beta[r]
                    res[axis, i] = c
            velocity(beta, cov, degree, aux)
            spare = 2 * n > q + 1
            several = False
            for i in range(1, n):
                several = several or group[i] != group[0]
            # Outliers: worst first, in both axes together.
            if n >= min_epochs_models and outlier_sigma > 0:
                worst, w_i = outlier_sigma, -1
                if test_model != 0 and several:
                    tp, tb, tc = np.empty((2 * n, 2 * n)), np.empty(q), np.empty((q, q))
                    ok = solve_model(
                        test_model, t, group, aux, noise, n, axis_terms, joint, yj, parallax, degree, ONE,
                        res, theta, tp, tb, tc,
                    )  # fmt: skip
                    if not ok:
                        tp[:, :] = proj
                else:
                    tp = proj
                leave_one_out(tp, yj, n, mean, var)
                for i in range(n):
                    z = max(
                        abs(yj[i] - mean[0, i]) / np.sqrt(var[i, 0]),
                        abs(yj[n + i] - mean[1, i]) / np.sqrt(var[i, 2]),
                    )
                    if z > worst:
                        worst, w_i = z, i
                if w_i >= 0:
                    use[s, idx[w_i]] = False
                    continue
            best_elpd = np.nan
            model[s] = 0
            if spare:
                best_elpd = leave_one_out(proj, yj, n, mean, var)
            elpd_out[s, 0] = best_elpd
            base = best_elpd
            best_theta, best_proj, best_beta, best_cov = np.zeros((2, 2)), proj, beta, cov
            if n >= min_epochs_models and spare:
                best_gain = 0.0
                for code in candidates:
                    if GROUPED[code] and not several:
                        continue
                    velocity(beta, cov, degree, aux)
                    th = np.zeros((2, 2))
                    mp, mb, mc = np.empty((2 * n, 2 * n)), np.empty(q), np.empty((q, q))
                    ok = solve_model(
                        code, t, group, aux, noise, n, axis_terms, joint, yj, parallax, degree, n_starts,
                        res, th, mp, mb, mc,
                    )  # fmt: skip
                    if not ok:
                        continue
                    e = leave_one_out(mp, yj, n, mean, var)
                    elpd_out[s, code] = e
                    # Each model must beat poly-only by its own margin; the best of those is taken.
                    need = delta_group if GROUPED[code] else delta
                    if e - base > need and (model[s] == 0 or e > best_gain):
                        best_gain = e
                        model[s] = code
                        best_proj, best_beta, best_cov, best_theta = mp, mb, mc, th
            t0[s] = mid
            beta_out[s, :] = best_beta
            cov_out[s, :, :] = best_cov
            theta_out[s, :, :] = best_theta
            chi2[s, 0] = chi2[s, 1] = np.nan
            if spare:
                leave_one_out(best_proj, yj, n, mean, var)
                chi2[s, 0] = chi2[s, 1] = 0.0
                predicted = 0
                for i in range(n):
                    predicted += np.isfinite(mean[0, i])
                if predicted == 0:
                    chi2[s, 0] = chi2[s, 1] = np.nan
                for i in range(n):
                    k = idx[i]
                    if not np.isfinite(mean[0, i]):
                        continue
                    loo_mean[s, 0, k], loo_mean[s, 1, k] = mean[0, i], mean[1, i]
                    loo_error[s, 0, k], loo_error[s, 1, k] = np.sqrt(var[i, 0]), np.sqrt(var[i, 2])
                    chi2[s, 0] += (yj[i] - mean[0, i]) ** 2 / var[i, 0] / predicted
                    chi2[s, 1] += (yj[n + i] - mean[1, i]) ** 2 / var[i, 2] / predicted
            break
