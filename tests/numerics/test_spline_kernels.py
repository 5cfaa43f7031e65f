"""Weights of the cubic B-spline against scipy."""

import numpy as np
from scipy.interpolate import BSpline

from jwst_hpastrom.numerics.spline_kernels import bspline_slopes, bspline_weights


def test_weights_and_slopes_are_scipys():
    basis = BSpline.basis_element(np.arange(5.0))
    for t in (0.0, 0.13, 0.5, 0.99):
        at = t + np.arange(3, -1, -1)  # of the coefficients at -1, 0, 1, 2
        np.testing.assert_allclose(bspline_weights(t), basis(at), atol=1e-15)
        np.testing.assert_allclose(bspline_slopes(t), basis.derivative()(at), atol=1e-14)
