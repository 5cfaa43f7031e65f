"""Transformations fitted again, against the truth and against the fit that searches for a majority."""

import numpy as np
import pytest

from jwst_hpastrom.epsf.build.positions.alignment import aligned_again
from jwst_hpastrom.geometry import LinearTransform, fit_linear

HALF = np.full(2, 500.0)
TRUE = LinearTransform(np.array([[1.0002, 3e-4], [-2e-4, 0.9997]]), np.array([510.0, 480.0]), HALF)


def pairs_of(n, n_wrong, seed):
    rng = np.random.default_rng(seed)
    x, y = rng.uniform(0, 1000, (2, n))
    error = 10 ** rng.uniform(-2.5, -1.5, n)
    u, v = np.array(TRUE.forward(x, y)) + error * rng.normal(size=(2, n))
    wrong = np.arange(n) < n_wrong
    u[wrong] += 0.5
    return (x, y, u, v, error**-2), ~wrong


@pytest.mark.parametrize("n_wrong", [0, 100])
def test_as_the_fit_that_searches(n_wrong):
    pairs, good = pairs_of(600, n_wrong, 3)
    near = LinearTransform(TRUE.matrix, TRUE.offset + 0.004, TRUE.center)
    transform, kept = aligned_again(near, *pairs, good)
    fit = fit_linear(*pairs[:4], weights=pairs[4])
    places = np.array([[0.0, 1000.0, 500.0], [0.0, 300.0, 1000.0]])
    np.testing.assert_allclose(transform.forward(*places), fit.transform.forward(*places), atol=2e-4)
    np.testing.assert_allclose(transform.forward(*places), TRUE.forward(*places), atol=2e-3)
    assert not kept[~good].any()
    assert kept[good].mean() > 0.97
    assert np.array_equal(kept, fit.keep)


def test_pairs_that_cannot_be_used_are_left_out():
    (x, y, u, v, weight), good = pairs_of(100, 0, 4)
    u[3], weight[5] = np.nan, 0.0
    _, kept = aligned_again(TRUE, x, y, u, v, weight, good)
    assert not kept[[3, 5]].any()
    assert kept.sum() > 90


def test_no_fit_where_a_minority_agreed():
    pairs, good = pairs_of(100, 50, 5)
    assert aligned_again(TRUE, *pairs, good) is None
    assert aligned_again(TRUE, *(a[:15] for a in pairs), np.ones(15, bool)) is None
