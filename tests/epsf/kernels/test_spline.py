"""Weights of cubic B-splines: what sums of them must be."""

import numpy as np
import pytest

from jwst_hpastrom.epsf.kernels import spline


def test_spline_weights():
    w, d = np.empty(4), np.empty(4)
    for t in np.linspace(0, 0.999, 7):
        spline.spline_weights(t, w, d)
        assert w.sum() == pytest.approx(1)
        assert d.sum() == pytest.approx(0, abs=1e-15)
        assert w @ [-1, 0, 1, 2] == pytest.approx(t)
        assert d @ [-1, 0, 1, 2] == pytest.approx(1)
