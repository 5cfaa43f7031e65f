"""No systematic: the polynomial alone."""

from numba import njit

from jwst_hpastrom.motion.kinematic_models.kernel import FAST, Kernel


@njit(cache=True, nogil=True, fastmath=FAST)
def fill(t, group, aux, theta, k, dk, gradient):
    """Fill with zeros."""
    k[:, :] = 0.0


KERNEL = Kernel("poly", 0, "poly", (), fill, sets=("linear", "h25", "auto"))
