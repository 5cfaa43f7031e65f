"""Steps at random times: a tent in the time between epochs, A² max(0, 1 − Δt/τ)."""

import numpy as np
from numba import njit

from jwst_hpastrom.motion.kinematic_models.kernel import FAST, Kernel


@njit(cache=True, nogil=True, fastmath=FAST)
def fill(t, group, aux, theta, k, dk, gradient):
    """Fill the covariance and its derivative by ln τ."""
    a2, tau = np.exp(2.0 * theta[0]), np.exp(theta[1])
    for i in range(t.size):
        for j in range(i + 1):
            u = abs(t[i] - t[j]) / tau
            k[i, j] = k[j, i] = a2 * (1.0 - u) if u < 1.0 else 0.0
            if gradient:
                dk[1, i, j] = dk[1, j, i] = a2 * u if u < 1.0 else 0.0


KERNEL = Kernel("step", 5, "step", ("amplitude", "time scale"), fill)
