"""Confusion: the star moves past unseen neighbors, which pull at both axes (H25 App. B)."""

import numpy as np
from numba import njit

from jwst_hpastrom.motion.kinematic_models.kernel import FAST, Kernel

STEP = 1e-5  # of ln ℓ, for the derivative


@njit(cache=True, nogil=True, fastmath=FAST)
def covariance(t, aux, a2, ell, k):
    """E[k(d)] for d_ij ~ N(v Δt, Δt² C_v); aux = (vx, vy, Cxx, Cxy, Cyy)."""
    n = t.size
    l2 = ell * ell
    for i in range(n):
        for j in range(i + 1):
            dt = t[i] - t[j]
            d2 = dt * dt
            qxx, qxy, qyy = l2 + d2 * aux[2], d2 * aux[3], l2 + d2 * aux[4]
            det = qxx * qyy - qxy * qxy
            ixx, ixy, iyy = qyy / det, -qxy / det, qxx / det
            mx, my = aux[0] * dt, aux[1] * dt
            ux, uy = ixx * mx + ixy * my, ixy * mx + iyy * my
            s = a2 * l2 * l2 / np.sqrt(det) * np.exp(-0.5 * (ux * mx + uy * my))
            k[i, j] = k[j, i] = s * (ixx - ux * ux)
            k[n + i, n + j] = k[n + j, n + i] = s * (iyy - uy * uy)
            c = s * (ixy - ux * uy)
            k[i, n + j] = k[n + j, i] = c
            k[j, n + i] = k[n + i, j] = c


@njit(cache=True, nogil=True, fastmath=FAST)
def fill(t, group, aux, theta, k, dk, gradient):
    """Fill the covariance of both axes and its derivative by ln ℓ."""
    a2 = np.exp(2.0 * theta[0])
    covariance(t, aux, a2, np.exp(theta[1]), k)
    if gradient:
        covariance(t, aux, a2, np.exp(theta[1] + STEP), dk[1])
        for i in range(2 * t.size):
            for j in range(2 * t.size):
                dk[1, i, j] = (dk[1, i, j] - k[i, j]) / STEP


@njit(cache=True, nogil=True, fastmath=FAST)
def scale(gap, base, sigma, speed, n):
    """Bounds of ln ℓ: the error, or half a step of the star's motion, and twice the star's path."""
    path = speed * base
    low = max(sigma, path / (2.0 * n))
    return np.log(low), np.log(max(2.0 * path, 20.0 * low))


KERNEL = Kernel("confusion", 1, "confusion", ("amplitude", "angular scale"), fill, scale, coupled=True)
