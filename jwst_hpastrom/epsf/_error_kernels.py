"""Numba kernel for what errors in proportion to the light do to fitted stars."""

import numpy as np
from numba import njit

from jwst_hpastrom.epsf._kernels import (
    FAST,
    PAD,
    SLACK,
    blend,
    box_model,
    cholesky,
    cholesky_solve,
    normal_equations,
    scratch,
)


@njit(cache=True, nogil=True, fastmath=FAST)
def light_variances(weight, light, grid, x, y, flux, half_box, n, out):
    """Variances of x, y, their covariance, and variance of flux for pixels with errors of ``light``.

    C Jᵀ W L² W J C with the weights W, the light L, the Jacobian J of a star's n parameters (flux, x, y and,
    with four, the sky) and C = (Jᵀ W J)⁻¹; out has shape (stars, 4), NaN where there is no fit.
    """
    coeff, gx, gy, os = grid.coeff, grid.gx, grid.gy, grid.os
    most = 1
    for s in range(half_box.size):
        most = max(most, half_box[s])
    window, psis, taps, mats, vecs = scratch(os, most)
    psi, psi_x, psi_y, light_box, weight_box = psis[0], psis[1], psis[2], psis[3], psis[4]
    a, step = mats[0], vecs[0]
    n_grid = coeff.shape[1] - 2 * PAD
    center = (n_grid - 1) / 2.0
    ny, nx = weight.shape
    for s in range(x.size):
        out[s, :] = np.nan
        if not np.isfinite(x[s] + y[s] + flux[s]):
            continue
        reach = min(half_box[s], int((center - 2 - SLACK) / os - 1.0))
        px, py = int(np.floor(x[s] + 0.5)), int(np.floor(y[s] + 0.5))
        i0, i1, j0, j1 = (
            max(px - reach, 0),
            min(px + reach, nx - 1),
            max(py - reach, 0),
            min(py + reach, ny - 1),
        )
        nj, ni = j1 - j0 + 1, i1 - i0 + 1
        if nj < 1 or ni < 1:
            continue
        u, v = (i0 - x[s]) * os + center, (j0 - y[s]) * os + center
        c0, r0 = int(np.floor(u)) + PAD - 1, int(np.floor(v)) + PAD - 1
        high, wide = (nj - 1) * os + 4, (ni - 1) * os + 4
        blend(coeff, gx, gy, x[s], y[s], r0, c0, high, wide, window)
        box_model(window, r0, c0, os, u, v, nj, ni, psi, psi_x, psi_y, taps[0], taps[1], taps[2], taps[3])
        for j in range(nj):
            for i in range(ni):
                light_box[j, i], weight_box[j, i] = light[j0 + j, i0 + i], weight[j0 + j, i0 + i]
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
