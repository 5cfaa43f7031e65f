"""Numba kernels for the least-squares fit of a star; library arguments as in `epsf.kernels.spline`."""

import numpy as np
from numba import njit

from jwst_hpastrom.epsf.kernels.spline import PAD, blend, box_model
from jwst_hpastrom.numerics.cholesky_kernels import cholesky, cholesky_solve
from jwst_hpastrom.numerics.robust_kernels import FAST

SLACK = 2  # grid steps a star may move before its window is blended again

N_OUT = 15  # columns of a fit's result

N_STATE = (
    9  # of a fit under way: x, y, flux, sky, χ², pixels, iterations, 1 if converged, 1 if there is a flux
)


@njit(cache=True, nogil=True, fastmath=FAST)
def normal_equations(data, weight, nj, ni, sky, flux, psi, psi_x, psi_y, a, g):
    """Normal matrix and gradient of (flux, x, y[, sky]) in a box; returns χ² and the number of pixels."""
    a00 = a01 = a02 = a03 = a11 = a12 = a13 = a22 = a23 = a33 = 0.0
    g0 = g1 = g2 = g3 = chi2 = 0.0
    count = 0
    for j in range(nj):
        for i in range(ni):
            w = weight[j, i]
            p = psi[j, i]
            r = data[j, i] - sky - flux * p
            px, py = flux * psi_x[j, i], flux * psi_y[j, i]
            wp, wpx, wpy, wr = w * p, w * px, w * py, w * r
            count += w > 0.0
            chi2 += wr * r
            a00 += wp * p
            a01 += wp * px
            a02 += wp * py
            a03 += wp
            a11 += wpx * px
            a12 += wpx * py
            a13 += wpx
            a22 += wpy * py
            a23 += wpy
            a33 += w
            g0 += wp * r
            g1 += wpx * r
            g2 += wpy * r
            g3 += wr
    a[0, 0], a[1, 0], a[1, 1], a[2, 0], a[2, 1], a[2, 2] = a00, a01, a11, a02, a12, a22
    a[3, 0], a[3, 1], a[3, 2], a[3, 3] = a03, a13, a23, a33
    g[0], g[1], g[2], g[3] = g0, g1, g2, g3
    return chi2, count


@njit(cache=True, nogil=True, fastmath=FAST)
def scratch(os, most):
    """Return work space for boxes of 2 most + 1 pixels: window, (ψ, gradient, pixels, weights), equations."""
    side = 2 * most + 1
    nw = 2 * most * os + 4 + 2 * SLACK
    return (
        np.empty((nw, nw)),
        np.empty((5, side, side)),
        np.empty((4, 4)),
        np.zeros((2, 4, 4)),
        np.zeros((3, N_STATE)),
    )


@njit(cache=True, nogil=True, fastmath=FAST)
def copy_square(a, f):
    """Copy a to f; an assignment of arrays takes the compiler seconds, for the text of an error."""
    for j in range(a.shape[0]):
        for i in range(a.shape[1]):
            f[j, i] = a[j, i]


@njit(cache=True, nogil=True, fastmath=FAST)
def covariance(a, f, step, n, sky_err, out):
    """Put the covariances into a result row; a given sky's error is carried through C Jᵀ W 1."""
    copy_square(a, f)
    if not cholesky(f, n):
        return
    for k in range(3):
        for m in range(n):
            step[m] = 1.0 if m == k else 0.0
        cholesky_solve(f, n, step)
        if k == 0:
            out[7], out[12], out[13] = step[0], step[1], step[2]
        elif k == 1:
            out[4], out[6] = step[1], step[2]
        else:
            out[5] = step[2]
    if n == 3:
        for m in range(3):
            step[m] = a[3, m]
        cholesky_solve(f, n, step)
        out[14] = sky_err * sky_err
        e2 = sky_err * sky_err
        out[4] += e2 * step[1] * step[1]
        out[5] += e2 * step[2] * step[2]
        out[6] += e2 * step[1] * step[2]
        out[7] += e2 * step[0] * step[0]
        out[12] += e2 * step[0] * step[1]
        out[13] += e2 * step[0] * step[2]
    else:
        for m in range(4):
            step[m] = 1.0 if m == 3 else 0.0
        cholesky_solve(f, n, step)
        out[14] = step[3]


@njit(cache=True, nogil=True, fastmath=FAST)
def cut_box(data, weight, i0, j0, ni, nj, box, box_weight):
    """Copy a box of an image, of whatever kind, to where the fit works on it."""
    for j in range(nj):
        for i in range(ni):
            box[j, i] = data[j0 + j, i0 + i]
            box_weight[j, i] = weight[j0 + j, i0 + i]


@njit(cache=True, nogil=True, fastmath=FAST)
def linear_flux(data, weight, nj, ni, sky, psi):
    """Flux of ψ in a box; NaN where nothing tells."""
    num, den = 0.0, 0.0
    for j in range(nj):
        for i in range(ni):
            wp = weight[j, i] * psi[j, i]
            num += wp * (data[j, i] - sky)
            den += wp * psi[j, i]
    return num / den if den > 0.0 else np.nan


@njit(cache=True, nogil=True, fastmath=FAST)
def fit_box(
    i0, j0, ni, nj, coeff, gx, gy, os, x0, y0, fit_sky, max_iterations, tolerance, max_shift, window, psis,
    taps, mats, vecs,
):  # fmt: skip
    """Fit the star whose box lies in ``psis[3]`` and its weights in ``psis[4]``; ``vecs[2]`` is the state.

    False if it cannot be fitted.
    """
    n_grid = coeff.shape[1] - 2 * PAD
    center = (n_grid - 1) / 2.0
    psi, psi_x, psi_y, data, weight = psis[0], psis[1], psis[2], psis[3], psis[4]
    a, f, g, step, state = mats[0], mats[1], vecs[0], vecs[1], vecs[2]
    n = 4 if fit_sky else 3
    x, y, flux, sky = state[0], state[1], state[2], state[3]
    used, count, converged = int(state[6]), int(state[5]), False
    r0, c0 = -1, -1
    damping, chi2_old = 0.0, np.inf
    xo, yo, fo, so = x, y, flux, sky
    while used < max_iterations:
        used += 1
        u, v = (i0 - x) * os + center, (j0 - y) * os + center
        ci, rj = int(np.floor(u)) + PAD - 1, int(np.floor(v)) + PAD - 1
        if r0 < 0 or ci < c0 or rj < r0 or ci > c0 + 2 * SLACK or rj > r0 + 2 * SLACK:
            c0, r0 = ci - SLACK, rj - SLACK
            high, wide = (nj - 1) * os + 4 + 2 * SLACK, (ni - 1) * os + 4 + 2 * SLACK
            if c0 < 0 or r0 < 0 or c0 + wide > n_grid + 2 * PAD or r0 + high > n_grid + 2 * PAD:
                return False
            blend(coeff, gx, gy, x, y, r0, c0, high, wide, window)
        box_model(window, r0, c0, os, u, v, nj, ni, psi, psi_x, psi_y, taps[0], taps[1], taps[2], taps[3])
        if state[8] == 0.0:  # flux at the first position: linear
            flux = linear_flux(data, weight, nj, ni, sky, psi)
            if flux != flux:
                return False
            fo = flux
            state[8] = 1.0
        chi2, count = normal_equations(data, weight, nj, ni, sky, flux, psi, psi_x, psi_y, a, g)
        if chi2 <= chi2_old * (1.0 + 1e-9) + 1e-12:
            xo, yo, fo, so, chi2_old = x, y, flux, sky, chi2
            damping = damping * 0.1 if damping > 1e-6 else 0.0
            copy_square(a, f)
            for k in range(n):
                step[k] = g[k]
                f[k, k] = a[k, k] * (1.0 + damping)
            if count < n or flux == 0.0 or not cholesky(f, n):
                return False
            cholesky_solve(f, n, step)
        else:  # worse: back, and a shorter step
            damping = max(damping * 10.0, 1e-2)
            for k in range(n):
                step[k] *= 0.3
        dx, dy = step[1], step[2]
        big = max(abs(dx), abs(dy))
        scale = 1.0 if big <= 0.5 else 0.5 / big
        x, y, flux = xo + dx * scale, yo + dy * scale, fo + step[0] * scale
        if fit_sky:
            sky = so + step[3] * scale
        if not (abs(x - x0) <= max_shift and abs(y - y0) <= max_shift):
            return False
        if big < tolerance:
            converged = True
            break
    state[0], state[1], state[2], state[3] = x, y, flux, sky
    state[4], state[5], state[6], state[7] = chi2_old, count, used, converged
    return True


@njit(cache=True, nogil=True, fastmath=FAST)
def start_fit(ny, nx, x, y, sky, state, out):
    """Put the starting values of a star where they belong; False if it is not in the image."""
    for k in range(N_OUT):
        out[k] = np.nan
    out[0], out[1], out[3] = x, y, sky
    out[9] = out[10] = out[11] = 0.0
    for k in range(N_STATE):
        state[k] = 0.0
    state[0], state[1], state[3], state[4] = x, y, sky, np.inf
    return x > -0.5 and y > -0.5 and x < nx - 0.5 and y < ny - 0.5


@njit(cache=True, nogil=True, fastmath=FAST)
def end_fit(fit_sky, sky_err, mats, vecs, out):
    """Put the result of a fit, and its covariances, into a row."""
    state = vecs[2]
    for k in range(4):
        out[k] = state[k]
    for k in range(4):
        out[8 + k] = state[4 + k]
    covariance(mats[0], mats[1], vecs[1], 4 if fit_sky else 3, sky_err, out)


@njit(cache=True, nogil=True, fastmath=FAST, inline="always")
def fit_one(
    data, weight, coeff, gx, gy, os, x0, y0, sky0, sky_err, half, fit_sky, max_iterations, tolerance,
    max_shift, window, psis, taps, mats, vecs, out,
):  # fmt: skip
    """Fit one star by damped least squares (Levenberg, Marquardt); the work space comes from `scratch`.

    out gets: x, y, flux, sky, var x, var y, cov xy, var flux, χ², pixels with weight, iterations, 1 if
    converged, cov(flux, x), cov(flux, y), var sky. Returns whether the star could be fitted: if not, out
    holds NaN but for the starting position and sky. The variances include the error of a sky that is given.
    Only what copies the box depends on the kind of image: all else is compiled once.
    """
    ny, nx = data.shape
    state = vecs[2]
    if not start_fit(ny, nx, x0, y0, sky0, state, out):
        return False
    center = (coeff.shape[1] - 2 * PAD - 1) / 2.0
    reach = min(half, int((center - 2 - SLACK) / os - 1.0))
    for _ in range(3):  # boxes: one more where the star turns out to lie in another pixel
        px, py = int(np.floor(state[0] + 0.5)), int(np.floor(state[1] + 0.5))
        i0, i1 = max(px - reach, 0), min(px + reach, nx - 1)
        j0, j1 = max(py - reach, 0), min(py + reach, ny - 1)
        nj, ni = j1 - j0 + 1, i1 - i0 + 1
        if nj < 1 or ni < 1:
            return False
        cut_box(data, weight, i0, j0, ni, nj, psis[3], psis[4])
        if not fit_box(
            i0, j0, ni, nj, coeff, gx, gy, os, x0, y0, fit_sky, max_iterations, tolerance, max_shift, window,
            psis, taps, mats, vecs,
        ):  # fmt: skip
            return False
        if state[7] == 0.0 or (abs(state[0] - px) <= 0.6 and abs(state[1] - py) <= 0.6):
            break
    end_fit(fit_sky, sky_err, mats, vecs, out)
    return True


@njit(cache=True, nogil=True, fastmath=FAST)
def fit_many(
    data, weight, coeff, gx, gy, os, x0, y0, sky0, sky_err, half_box, fit_sky, max_iterations, tolerance,
    max_shift, out,
):  # fmt: skip
    """Fit every star with `fit_one`; out has shape (n, N_OUT).

    data must be finite everywhere, weight is 1/σ² or 0.
    """
    most = np.int64(1)
    for s in range(half_box.size):
        most = max(most, half_box[s])
    window, psis, taps, mats, vecs = scratch(os, most)
    for s in range(x0.size):
        fit_one(
            data, weight, coeff, gx, gy, os, x0[s], y0[s], sky0[s], sky_err[s], half_box[s], fit_sky,
            max_iterations, tolerance, max_shift, window, psis, taps, mats, vecs, out[s],
        )  # fmt: skip
