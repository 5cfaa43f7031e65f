"""Zero points of motions: which stars count, and by how much."""

import numpy as np
import pytest

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


@pytest.mark.parametrize(("n", "share"), [(15, 0.2), (30, 0.2), (400, 0.3), (30, 0.0)])
def test_stars_that_are_off_alike(n, share):
    """Clipping keeps some of them, all on one side: 30 stars of which a fifth is off by 6 errors had 2.4."""
    z = []
    for seed in range(60):
        rng = np.random.default_rng([seed, n, 3])
        absolute, wrong = rng.normal(0, 1, (2, n)), np.ones(n, bool)
        while 2 * wrong.sum() >= n:
            wrong = rng.uniform(size=n) < share
        absolute[0, wrong] += 6.0
        zero, error, _ = zero_point(np.zeros((2, n)), np.full((2, n), 0.01), absolute, np.ones((2, n)))
        z.append(zero / error)
    z = np.sqrt(np.mean(np.square(z), axis=0))
    assert np.all((z > 0.75) & (z < 1 + 3 / np.sqrt(120)))


def test_too_few_stars_have_none():
    zero, error, n = zero_point(*np.ones((4, 2, 2)))
    assert n == 2
    assert np.isnan([zero, error]).all()


def test_two_kinds_are_told(caplog):
    absolute = np.random.default_rng(7).normal(0, 1, (2, 60))
    absolute[0, :29] += 12.0
    zero_point(np.zeros((2, 60)), np.full((2, 60), 0.01), absolute, np.ones((2, 60)))
    assert "of two kinds" in caplog.text
