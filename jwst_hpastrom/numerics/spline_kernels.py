"""Numba kernels for cubic B-splines."""

from numba import njit


@njit(cache=True, nogil=True)
def bspline_weights(t):
    """Weights of the four coefficients around a fraction ``t`` of a cubic B-spline."""
    s = 1.0 - t
    return (
        s * s * s / 6.0,
        (4.0 - 6.0 * t * t + 3.0 * t * t * t) / 6.0,
        (4.0 - 6.0 * s * s + 3.0 * s * s * s) / 6.0,
        t * t * t / 6.0,
    )


@njit(cache=True, nogil=True)
def bspline_slopes(t):
    """Derivatives of `bspline_weights`."""
    s = 1.0 - t
    return -0.5 * s * s, -2.0 * t + 1.5 * t * t, 2.0 * s - 1.5 * s * s, 0.5 * t * t
