"""Mixtures of two normal distributions, against their truth."""

import numpy as np
import pytest

from jwst_hpastrom.numerics.two_kinds import kinds_apart, mixture_of_two, normal_of, one_kind, two_means


@pytest.mark.parametrize(("share", "by"), [(0.7, 6.0), (0.55, 8.0)])
def test_a_mixture_is_found(share, by):
    rng, n = np.random.default_rng(1), 4000
    other = rng.random(n) > share
    z = rng.normal(0, 1, (2, n)) + np.array([[by], [0.0]]) * other
    assert not one_kind(z, 1e-9)
    found, parts, log = mixture_of_two(z, ~two_means(z[0]), 1e-9)
    assert found == pytest.approx(share, abs=0.03)
    assert kinds_apart(parts) == pytest.approx(by, rel=0.05)
    np.testing.assert_allclose([parts[0][0], parts[1][0]], [[0, 0], [by, 0]], atol=0.15)
    assert log > normal_of(z, np.ones(n), 1e-9)[2].sum() + 500


def test_what_is_of_one_kind():
    rng = np.random.default_rng(2)
    assert one_kind(rng.normal(5, 2, (2, 4000)), 1e-9)
    assert one_kind(rng.normal(0, 1, (2, 4000)) * [[1e-3], [1e3]], 1e-9)
    assert not one_kind(rng.exponential(1, (2, 4000)), 1e-9)
