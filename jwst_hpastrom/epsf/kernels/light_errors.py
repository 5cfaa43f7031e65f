"""Numba kernel for what errors in proportion to the light do to fitted stars."""

import numpy as np
from numba import njit

from jwst_hpastrom.epsf.kernels.crowded import star_box, star_model
from jwst_hpastrom.epsf.kernels.spline import PAD
from jwst_hpastrom.epsf.kernels.star_fit import SLACK, cut_box, normal_equations, scratch
from jwst_hpastrom.numerics.cholesky_kernels import cholesky, cholesky_solve
from jwst_hpastrom.numerics.robust_kernels import FAST


@njit(cache=True, nogil=True, fastmath=FAST)
def light_variances(weight, light, grid, x, y, flux, half_box, n, out):
    """Variances of x, y, their covariance, and variance of flux for pixels with errors of ``light``.

    C Jᵀ W L² W J C with the weights W, the light L, the Jacobian J of a star's n parameters (flux, x, y and,
    with four, the sky) and C = (Jᵀ W J)⁻¹; out has shape (stars, 4), NaN where there is no fit.
    """
    most = np.int64(1)
    for s in range(half_box.size):
        most = max(most, half_box[s])
    window, psis, taps, mats, vecs = scratch(grid.os, most)
    room = window, psis, taps
    psi, psi_x, psi_y, light_box, weight_box = psis[0], psis[1], psis[2], psis[3], psis[4]
    a, step = mats[0], vecs[0]
    center = (grid.coeff.shape[1] - 2 * PAD - 1) / 2.0
    for s in range(x.size):
        out[s, :] = np.nan
        if not np.isfinite(x[s] + y[s] + flux[s]):
            continue
        reach = min(half_box[s], int((center - 2 - SLACK) / grid.os - 1.0))
        box = star_box(x[s], y[s], reach, weight.shape[0], weight.shape[1])
        i0, j0, ni, nj = box
        if nj < 1 or ni < 1:
            continue
        star_model(grid, x[s], y[s], box, room)
        cut_box(light, weight, i0, j0, ni, nj, light_box, weight_box)
        normal_equations(light_box, weight_box, nj, ni, 0.0, flux[s], psi, psi_x, psi_y, a, step)
        if not cholesky(a, n):
            continue
        out[s, :] = 0.0
        for j in range(nj):
            for i in range(ni):
                w = weight_box[j, i] * light_box[j, i]
                step[0], step[1], step[2] = psi[j, i], flux[s] * psi_x[j, i], flux[s] * psi_y[j, i]
                step[3] = 1.0
                cholesky_solve(a, n, step)
                out[s, 0] += (w * step[1]) ** 2
                out[s, 1] += (w * step[2]) ** 2
                out[s, 2] += w * step[1] * w * step[2]
                out[s, 3] += (w * step[0]) ** 2
