"""The size of a pattern's coefficients, and what is expected of the unseen ones."""

import numpy as np
import pytest

from jwst_hpastrom.frame.systematics import Spread
from jwst_hpastrom.frame.systematics.detector import _most_telling
from jwst_hpastrom.frame.systematics.spread import USUAL, expected_variance


@pytest.mark.parametrize("scale", [0.01, 1.0])
def test_a_large_pattern_is_told_whatever_was_expected(scale):
    rng = np.random.default_rng(1)
    found = rng.normal(0, 1.0, (2, 9))
    spread = Spread.unknown(scale).given(found, np.full((2, 9), 1e-4))
    assert spread.told
    assert not spread.noise_like
    assert np.sqrt(spread.square) == pytest.approx(np.sqrt(np.mean(found**2)), rel=0.25)
    products = spread.products(found[0], np.full(9, 1e-4))
    np.testing.assert_allclose(products, np.outer(found[0], found[0]), atol=0.01)


def test_noise_is_called_noise():
    rng = np.random.default_rng(2)
    noise = np.full((2, 9), 0.04)
    spread = Spread.unknown(0.05).given(rng.normal(0, 0.2, (2, 9)), noise)
    assert spread.noise_like
    assert np.trace(spread.products(np.zeros(9), noise[0])) < 0.3 * 9 * 0.04
    assert not Spread.unknown(0.05).given([[0.1]], [[0.04]]).told


def test_the_upper_limit_is_far_where_noise_hides_the_size():
    rng = np.random.default_rng(4)
    told = Spread.unknown(0.05).given(rng.normal(0, 1.0, (2, 9)), np.full((2, 9), 1e-4))
    hidden = Spread.unknown(0.05).given(rng.normal(0, 1.0, (2, 9)), np.full((2, 9), 1.0))
    assert told.margin < 2.5
    assert hidden.margin > 3.5
    assert 0.7 < np.sqrt(told.square * 1.7) / 1.28 < 1.3  # 95 % of 1 ± 0.17 lie below


def test_expected_squares_are_those_of_the_truth():
    rng = np.random.default_rng(3)
    expected, true = np.zeros(2), np.zeros(2)
    for _ in range(400):
        size = abs(0.1 * rng.standard_cauchy())
        if size > 1:
            continue
        c, noise = rng.normal(0, size, (2, 10)), np.full((2, 9), 0.01)
        spread = Spread.unknown(0.1).given(c[:, :9] + rng.normal(0, 0.1, (2, 9)), noise)
        expected += np.trace(spread.products(c[0, :9], noise[0])), spread.square
        true += np.sum(c[0, :9] ** 2), c[0, 9] ** 2
    assert expected[1] == pytest.approx(true[1], rel=0.25)


def test_faint_stars_do_not_drown_what_bright_ones_tell():
    variance = np.r_[np.full(1000, 1e4), np.full(100, 1.0)]
    star = np.repeat(np.arange(550), 2)
    rows = _most_telling(np.arange(5000, 6100), variance, star)
    np.testing.assert_array_equal(rows, np.arange(6000, 6100))
    # one exposure far deeper than the other: a star's measurements stay together
    assert _most_telling(np.arange(200), np.tile([1.0, 1e4], 100), star[:200]).size == 200
    assert _most_telling(np.arange(0), np.ones(0), np.zeros(0, int)).size == 0


def test_expected_variance_is_that_of_the_truth():
    """Noise alone is not taken for what it may hide, nor what stands out of it for noise."""
    rng, own, noise = np.random.default_rng(5), 1.0, 2.0
    size = USUAL * own * np.abs(rng.standard_cauchy(4000))
    size = size[size < 4.0]  # beyond, all tell
    found = size**2 + rng.normal(0, noise, size.size)
    expected = [expected_variance(f, noise, own) for f in found]
    assert np.mean(expected) == pytest.approx(np.mean(size**2), rel=0.15)
    assert np.mean(expected) < 0.8 * np.mean(np.maximum(found, 0.0))
    assert expected_variance(100.0, 2.0, 1.0) == pytest.approx(100.0, rel=0.01)
    assert 0 < expected_variance(-20.0, 2.0, 1.0) < 0.1
