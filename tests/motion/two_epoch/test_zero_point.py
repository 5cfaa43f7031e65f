"""Zero points of motions: which stars count, and by how much."""

import numpy as np

from jwst_hpastrom.motion.two_epoch.zero_point import zero_point


def test_a_star_without_an_absolute_error_is_not_a_perfect_one():
    rng = np.random.default_rng(4)
    relative, error = rng.normal(0, 1, (2, 60)), np.full((2, 60), 0.02)
    absolute_error = np.full((2, 60), 0.3)
    absolute = relative + 1.5 + rng.normal(0, 0.3, (2, 60))
    absolute_error[:, :6] = np.nan
    absolute[:, :6] += 0.5  # of unknown errors, and wrong
    zero, zero_error, n = zero_point(relative, error, absolute, absolute_error)
    assert n <= 54
    assert (np.abs(zero - 1.5) < 3 * zero_error).all()
    none = np.full((2, 60), np.nan)
    assert zero_point(relative, error, absolute, none)[2] > 50


def test_an_axis_without_absolute_errors():
    rng = np.random.default_rng(5)
    relative, error = rng.normal(0, 1, (2, 60)), np.full((2, 60), 0.1)
    absolute = relative + 1.5 + rng.normal(0, 0.1, (2, 60))
    absolute_error = np.full((2, 60), 0.02)
    absolute_error[1] = np.nan
    zero, zero_error, n = zero_point(relative, error, absolute, absolute_error)
    assert n > 50
    assert (np.abs(zero - 1.5) < 4 * zero_error).all()
