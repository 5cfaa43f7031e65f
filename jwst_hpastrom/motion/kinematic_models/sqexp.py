"""Squared exponential in time: a smooth systematic, A² exp(−Δt²/4τ²)."""

import numpy as np
from numba import njit

from jwst_hpastrom.motion.kinematic_models.kernel import FAST, Kernel


@njit(cache=True, nogil=True, fastmath=FAST)
def fill(t, group, aux, theta, k, dk, gradient):
    """Fill the covariance and its derivative by ln τ."""
    a2, tau = np.exp(2.0 * theta[0]), np.exp(theta[1])
    for i in range(t.size):
        for j in range(i + 1):
            d = abs(t[i] - t[j])
            u = d * d / (4.0 * tau * tau)
            e = a2 * np.exp(-u)
            k[i, j] = k[j, i] = e
            if gradient:
                dk[1, i, j] = dk[1, j, i] = 2.0 * u * e


KERNEL = Kernel("sqexp", 2, "sqexp", ("amplitude", "time scale"), fill)
