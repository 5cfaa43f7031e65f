"""What a catalog tells of a quadratic error of the field."""

import numpy as np
import pytest

from jwst_hpastrom.frame.systematics import curvature_error


@pytest.mark.parametrize(("n", "size"), [(4000, 0.003), (30, 0.1)])
def test_a_curvature_is_found(n, size):
    rng = np.random.default_rng(8)
    x, y = rng.uniform(-1000, 1000, (2, n))
    noise, truth = 0.01, size * (x / 1000) ** 2
    weights = (np.full(n, noise**-2),) * 2
    dx, dy = truth + rng.normal(0, noise, n), rng.normal(0, noise, n)
    profile = curvature_error(x, y, dx, dy, weights)
    true = np.std(truth)  # the linear part is none by symmetry
    assert np.sqrt(np.mean(profile.error[0] ** 2)) == pytest.approx(true, rel=0.2)
    assert np.sqrt(np.mean(profile.error[1] ** 2)) < 0.4 * true  # noise, of one size with the other axis


def test_errors_of_what_few_stars_tell_are_errors():
    rng, z = np.random.default_rng(2), []
    for _ in range(200):
        n, size = 25, 10 ** rng.uniform(-3, -1)
        x, y = rng.uniform(-1000, 1000, (2, n))
        p, q = x / 1000, y / 1000
        terms = np.stack([p * p, p * q, q * q], 1)
        true = terms @ rng.normal(0, size, (3, 2))
        d = true + rng.normal(0, 0.01, true.shape)
        linear = np.stack([np.ones(n), p, q], 1)
        true -= linear @ np.linalg.lstsq(linear, true, rcond=None)[0]
        profile = curvature_error(x, y, *d.T, (np.full(n, 1e4),) * 2)
        z.append(true.T / profile.error[:, :1])
    assert 0.9 < np.sqrt(np.mean(np.square(z))) < 1.15


def test_too_few_tell_nothing():
    x = np.linspace(0, 1, 11)
    assert curvature_error(x, x**2, x, x, (np.ones(11),) * 2) is None
