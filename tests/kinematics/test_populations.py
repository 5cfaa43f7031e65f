"""Groups of motions along a direction: recovered, repeatable, freed of the errors."""

import numpy as np
import pytest

from jwst_hpastrom.kinematics import fit_projected_groups, project


def test_groups_subtract_the_mean_square_error():
    rng = np.random.default_rng(9)
    error = np.exp(rng.normal(np.log(0.04), 0.3, 6000))
    v = rng.normal(0, 0.1, error.size) + rng.normal(0, 1, error.size) * error
    groups = fit_projected_groups(v, error, rng=rng, n_groups=1, n_realizations=60, n_bootstrap=8)
    assert groups.sigma[0] == pytest.approx(0.1, abs=0.0018)
    assert groups.sigma_error[0] > groups.width_error[0]


def test_groups_are_recovered():
    rng = np.random.default_rng(5)
    n = np.array([400, 700, 2400])
    mean, sigma = np.array([-0.30, 0.0, 0.12]), np.array([0.045, 0.026, 0.09])
    v = np.concatenate([rng.normal(m, s, k) for m, s, k in zip(mean, sigma, n, strict=True)])
    e = rng.uniform(0.015, 0.03, v.size)
    groups = fit_projected_groups(
        v + rng.normal(0, 1, v.size) * e, e, rng=rng, n_realizations=200, n_bootstrap=25
    )
    truth = n / n.sum()
    assert np.all(np.abs(groups.fraction - truth) < 3.5 * groups.fraction_error)
    assert np.all(np.abs(groups.mean - mean) < 4 * groups.mean_error)
    np.testing.assert_allclose(groups.sigma, sigma, rtol=0.3)
    assert groups.fraction.sum() == pytest.approx(1)
    assert groups.histogram.sum() == pytest.approx(v.size, rel=0.02)


def test_groups_repeat_with_the_seed():
    v = np.random.default_rng(6).normal(0, 0.1, 500)
    a, b = (
        fit_projected_groups(
            v, np.full(500, 0.02), rng=np.random.default_rng(1), n_groups=2, n_realizations=20, n_bootstrap=2
        )
        for _ in range(2)
    )
    np.testing.assert_array_equal(a.fraction, b.fraction)


def test_projection():
    along, error = project([1.0, 0.0], [0.0, 1.0], [0.1, 0.1], [0.2, 0.2], angle=90.0, origin=(0.0, 0.5))
    np.testing.assert_allclose(along, [-0.5, 0.5], atol=1e-12)
    np.testing.assert_allclose(error, 0.2)
