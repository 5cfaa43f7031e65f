"""Few values: errors of good ones, and of those among which a fifth is wrong, against truth."""

import numpy as np
import pytest
from scipy import stats

from jwst_hpastrom.numerics import clipped_mean, clipped_median
from jwst_hpastrom.numerics.likely_values import likely_values


def pulls(function, n, wrong, seeds=400):
    out = []
    for seed in range(seeds):
        values = np.random.default_rng([seed, n, 5]).normal(0, 1, n)
        values[:wrong] += 6.0
        value, error, _ = function(values)
        out.append(value / error)
    return np.sqrt(np.mean(np.square(out)))


@pytest.mark.parametrize("function", [clipped_mean, clipped_median])
@pytest.mark.parametrize("n", [5, 8, 15, 30])
def test_errors_of_few_good_values(function, n):
    """Clipping narrowed to some that agree by chance: 2 to 100."""
    assert 0.85 < pulls(function, n, 0) < 1.25


@pytest.mark.parametrize("known", [False, True])
@pytest.mark.parametrize("n", [8, 15, 30])
def test_errors_beside_a_fifth_that_is_wrong(n, known):
    weights = np.ones(n) if known else None
    assert 0.7 < pulls(lambda v: clipped_mean(v, weights), n, n // 5) < 1.25


def test_errors_that_values_scatter_more_than():
    """Their weights alone gave errors three times too small."""
    assert 0.8 < pulls(lambda v: clipped_mean(v, np.full(12, 9.0)), 12, 0) < 1.2


def test_wrong_ones_of_many_errors_are_told():
    for seed in range(50):
        values = np.random.default_rng(seed).normal(3, 1, 12)
        values[[1, 4]] += 12.0
        likely = likely_values(values)
        assert np.isclose(likely.probability.sum(), 1.0)
        assert not likely.best[[1, 4]].any()
        assert likely.best.sum() >= 7


def test_variance_of_good_values_is_students():
    values = np.random.default_rng(2).normal(0, 1, 9)
    likely = likely_values(values, sigma=1e9)  # none can be wrong
    assert likely.best.all()
    expected = stats.t.var(8) * np.var(values, ddof=1) / 9
    assert np.average(likely.variance, weights=likely.probability) == pytest.approx(expected, rel=1e-3)


def test_scale_and_place_do_not_matter():
    values = np.random.default_rng(3).normal(0, 1, 10)
    values[0] = 7.0
    one, other = likely_values(values), likely_values(1e-6 * values + 5.0)
    np.testing.assert_allclose(one.probability, other.probability, atol=1e-6)
    np.testing.assert_allclose(1e-6 * one.mean + 5.0, other.mean, rtol=1e-12)
