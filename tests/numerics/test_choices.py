"""Probabilities of choices, and averages over them."""

import numpy as np
import pytest
from scipy.integrate import quad

from jwst_hpastrom.numerics.choices import (
    LEAST,
    RIGHT,
    WRONG,
    log_kinds,
    log_shares,
    mixture_moments,
    probabilities,
)


@pytest.mark.parametrize(("good", "wrong", "right"), [(10, 0, RIGHT), (7, 3, RIGHT), (12, 2, 19.0)])
def test_shares_are_integrals_over_all_shares(good, wrong, right):
    def density(share):
        return share ** (wrong + WRONG - 1) * (1 - share) ** (good + right - 1)

    assert log_shares(good, wrong, right=right) == pytest.approx(np.log(quad(density, 0, 1)[0]))
    assert log_kinds(wrong, 2) == pytest.approx(np.log(quad(lambda s: s**wrong * (1 - s) ** 2, 0, 1)[0]))


def test_unlikely_choices_are_left_out():
    p = probabilities(np.array([-1000.0, -1001.0, -1010.0]), LEAST)
    np.testing.assert_allclose(p, [1 / (1 + np.exp(-1)), 1 / (1 + np.exp(1)), 0.0])


def test_moments_are_those_of_draws():
    rng, p = np.random.default_rng(1), np.array([0.5, 0.3, 0.2])
    value, root = rng.normal(0, 2, (3, 2)), rng.normal(0, 1, (3, 2, 2))
    which = rng.choice(3, 200_000, p=p)
    drawn = value[which] + np.einsum("nij,nj->ni", root[which], rng.normal(size=(which.size, 2)))
    mean, covariance = mixture_moments(p, value, root @ np.swapaxes(root, 1, 2))
    np.testing.assert_allclose(drawn.mean(axis=0), mean, atol=0.03)
    np.testing.assert_allclose(np.cov(drawn.T), covariance, atol=0.1)
    about = mixture_moments(p, value[:, 0], np.zeros(3), about=value[0, 0])[1]
    assert about == pytest.approx(p @ (value[:, 0] - value[0, 0]) ** 2)
