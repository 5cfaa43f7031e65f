"""Many pairs of two kinds that overlap: errors hold that it is not known which are which."""

import numpy as np
import pytest

from jwst_hpastrom.geometry import fit_linear
from jwst_hpastrom.geometry.wrong_pairs import mixed_fit


def offsets(n):
    design = np.zeros((2, n, 2))
    design[0, :, 0] = design[1, :, 1] = 1.0
    return design


@pytest.mark.parametrize(("share", "by"), [(0.4, 4.0), (0.2, 5.0)])
def test_errors_are_errors(share, by):
    """By a cut in the middle errors are those of the good ones alone, 0.8 to 0.9 of these."""
    n, z, error = 400, [], []
    for seed in range(60):
        data = np.random.default_rng([seed, 11]).normal(size=(2, n))
        data[0, : int(share * n)] += by
        beta, covariance, good = mixed_fit(offsets(n), data, data[0] < by / 2, 1e-9)
        z.append(beta / np.sqrt(np.diag(covariance)))
        error.append(np.sqrt(covariance[0, 0] * n * (1 - share)))
        assert np.all((good >= 0) & (good <= 1))
    z = np.sqrt(np.mean(np.square(z), axis=0))
    assert np.all((z > 0.75) & (z < 1 + 3 / np.sqrt(120)))  # three of its own errors
    assert 1.0 < np.mean(error) < 1.35


def test_stray_pairs_do_not_count():
    data = np.random.default_rng(3).normal(size=(2, 300))
    data[0, :90] += 6.0
    data[1, 90:96] += np.linspace(20.0, 300.0, 6)
    beta, covariance, good = mixed_fit(offsets(300), data, data[0] < 3.0, 1e-9)
    assert good[90:96].max() < 0.01
    assert np.all(np.abs(beta) < 3.5 * np.sqrt(np.diag(covariance)))


@pytest.mark.parametrize("parameters", [4, 6])
@pytest.mark.parametrize("mirror", [1.0, -1.0])
def test_a_transformation_of_pairs_that_overlap(parameters, mirror):
    """Scale, turn and reflection are those of the good pairs, and stated as well as they are known."""
    rng, n = np.random.default_rng(5), 1000
    x, y = rng.uniform(0, 2048, (2, n))
    u, v = 1.01 * x - 0.02 * y, mirror * (0.02 * x + 1.01 * y)
    noise = rng.normal(0, 0.01, (2, n))
    noise[0, :350] += 0.05
    fit = fit_linear(x, y, u + noise[0], v + noise[1], parameters=parameters)
    at = np.array([0.0, 1024.0, 2048.0]), np.array([2048.0, 1024.0, 0.0])
    true = np.stack([1.01 * at[0] - 0.02 * at[1], mirror * (0.02 * at[0] + 1.01 * at[1])])
    off = np.stack(fit.transform.forward(*at)) - true
    assert not fit.divided
    assert np.all(np.abs(off) < 3.5 * np.sqrt(fit.variance(*at)))
    assert np.sqrt(fit.variance(*at)).max() < 0.0035
