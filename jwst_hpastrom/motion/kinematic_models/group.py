"""Group offset: the epochs of a group (position angle, visit, instrument) share an unknown offset."""

import numpy as np
from numba import njit

from jwst_hpastrom.motion.kinematic_models.kernel import FAST, Kernel


@njit(cache=True, nogil=True, fastmath=FAST)
def fill(t, group, aux, theta, k, dk, gradient):
    """Fill the blocks of epochs that share a group."""
    a2 = np.exp(2.0 * theta[0])
    for i in range(t.size):
        for j in range(i + 1):
            k[i, j] = k[j, i] = a2 if group[i] == group[j] else 0.0


KERNEL = Kernel("group", 6, "group offset", ("amplitude",), fill, grouped=True, sets=("auto",))
