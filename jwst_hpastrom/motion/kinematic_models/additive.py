"""Additive error: every epoch is off by as much more, independently."""

import numpy as np
from numba import njit

from jwst_hpastrom.motion.kinematic_models.kernel import FAST, Kernel


@njit(cache=True, nogil=True, fastmath=FAST)
def fill(t, group, aux, theta, k, dk, gradient):
    """Fill the diagonal."""
    k[:, :] = 0.0
    a2 = np.exp(2.0 * theta[0])
    for i in range(t.size):
        k[i, i] = a2


KERNEL = Kernel("additive", 3, "additive", ("amplitude",), fill)
