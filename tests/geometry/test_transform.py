"""Transformations: recovered, with their errors, through outliers; chains and inverses."""

import numpy as np
import pytest

from jwst_hpastrom.errors import NotEnoughStarsError, ParameterError
from jwst_hpastrom.geometry import LinearTransform, PolynomialTransform, fit_linear, fit_polynomial

MATRIX = np.array([[0.8, -0.59], [0.61, 0.81]])


def pairs(n=400, noise=0.01, seed=1, matrix=MATRIX):
    rng = np.random.default_rng(seed)
    x, y = rng.uniform(0, 2048, (2, n))
    u, v = matrix @ np.array([x, y]) + np.array([[10000.0], [9000.0]])
    return x, y, u + rng.normal(0, noise, n), v + rng.normal(0, noise, n)


def test_six_parameters():
    x, y, u, v = pairs()
    fit = fit_linear(x, y, u, v)
    np.testing.assert_allclose(fit.transform.matrix, MATRIX, atol=1e-5)
    assert fit.rms == pytest.approx(0.01, rel=0.15)
    assert fit.n_used > 380


def test_errors_and_covariance_are_the_scatter_of_fits():
    values = np.array(
        [fit_linear(*pairs(60, 0.05, seed)).transform.forward(500.0, 700.0) for seed in range(200)]
    )
    fits = fit_linear(*pairs(60, 0.05, 1), sigma=None)
    center = fits.transform.center
    a = np.array([1.0, 500.0 - center[0], 700.0 - center[1]])
    assert np.std(values[:, 0]) == pytest.approx(np.sqrt(a @ fits.covariance[:3, :3] @ a), rel=0.25)


def test_outliers_are_clipped():
    x, y, u, v = pairs()
    u[:30] += 1.0
    fit = fit_linear(x, y, u, v)
    assert not fit.keep[:30].any()
    np.testing.assert_allclose(fit.transform.matrix, MATRIX, atol=1e-5)


def test_clipping_is_in_units_of_each_error():
    rng = np.random.default_rng(2)
    x, y, u, v = pairs(400, 0.0)
    sigma = np.where(np.arange(400) % 2, 0.2, 0.001)
    u, v = u + rng.normal(0, 1, 400) * sigma, v + rng.normal(0, 1, 400) * sigma
    u[0] += 0.02  # twenty sigma, but small among the poor ones
    fit = fit_linear(x, y, u, v, weights=1 / sigma**2)
    assert not fit.keep[0]
    assert fit.keep[1::2].mean() > 0.95


@pytest.mark.parametrize("parity", [1, -1])
def test_four_parameters(parity):
    a, s = np.deg2rad(35), 1.3
    matrix = s * np.array([[np.cos(a), -np.sin(a)], [np.sin(a), np.cos(a)]]) @ np.diag([parity, 1])
    fit = fit_linear(*pairs(matrix=matrix), parameters=4)
    np.testing.assert_allclose(fit.transform.matrix, matrix, atol=1e-5)
    assert fit.transform.scale == pytest.approx(s, abs=1e-5)
    assert fit.covariance.shape == (4, 4)


def test_refusals():
    x, y, u, v = pairs(3)
    with pytest.raises(NotEnoughStarsError, match="found 3 stars in common"):
        fit_linear(x, y, u, v)
    with pytest.raises(ParameterError):
        fit_linear(*pairs(), parameters=5)
    with pytest.raises(NotEnoughStarsError):
        fit_polynomial(*pairs(8), 3)
    x, y, u, v = pairs(20)
    x[:18] = np.nan
    with pytest.raises(NotEnoughStarsError):
        fit_linear(x, y, u, v)


def test_exact_pairs_stay():
    fit = fit_linear(*pairs(50, 0.0))
    assert fit.keep.all()


def test_chain_and_inverse():
    rng = np.random.default_rng(3)
    one = LinearTransform(rng.normal(0, 1, (2, 2)), rng.normal(0, 9, 2), rng.normal(0, 9, 2))
    two = LinearTransform(rng.normal(0, 1, (2, 2)), rng.normal(0, 9, 2), rng.normal(0, 9, 2))
    x, y = rng.normal(0, 100, (2, 20))
    np.testing.assert_allclose(one.then(two).forward(x, y), two.forward(*one.forward(x, y)), rtol=1e-12)
    np.testing.assert_allclose(one.inverse(*one.forward(x, y)), (x, y), rtol=1e-9)
    assert one == LinearTransform(one.matrix.copy(), one.offset.copy(), one.center.copy())
    assert one != two


def test_polynomial():
    rng = np.random.default_rng(4)
    n = 21
    a, b = rng.normal(0, 0.5, (2, n))
    a[:3], b[:3] = (0.0, 1000.0, 0.0), (0.0, 0.0, 1000.0)
    true = PolynomialTransform(5, a, b, np.array([1024.0, 1024.0]), 1024.0)
    x, y = rng.uniform(0, 2048, (2, 3000))
    u, v = true.forward(x, y)
    fit = fit_polynomial(x, y, u + rng.normal(0, 1e-3, 3000), v + rng.normal(0, 1e-3, 3000), 5)
    gx, gy = np.meshgrid(np.linspace(0, 2048, 9), np.linspace(0, 2048, 9))
    np.testing.assert_allclose(fit.transform.forward(gx, gy), true.forward(gx, gy), atol=1e-3)
    np.testing.assert_allclose(fit.transform.inverse(*fit.transform.forward(gx, gy)), (gx, gy), atol=1e-6)


@pytest.mark.parametrize("parameters", [4, 6])
def test_one_sided_contamination(parameters):
    # residuals that are skewed or bimodal: clipping about zero lost the good pairs
    rng = np.random.default_rng(5)
    x, y = rng.uniform(0, 2000, (2, 500))
    u, v = x + 3.0 + rng.normal(0, 0.01, 500), y - 2.0 + rng.normal(0, 0.01, 500)
    wrong = np.arange(500) < 200
    u[wrong] += 0.2
    fit = fit_linear(x, y, u, v, parameters=parameters)
    assert not fit.keep[wrong].any()
    assert fit.keep[~wrong].mean() > 0.95
    middle = fit.transform.forward(np.array([1000.0]), np.array([1000.0]))
    assert abs(middle[0][0] - 1003.0) < 0.002
    assert abs(middle[1][0] - 998.0) < 0.002


@pytest.mark.parametrize("n", [5, 6, 7, 8, 12])
def test_errors_of_six_parameters_from_few_stars(n):
    rng = np.random.default_rng(n)
    pulls = []
    for _ in range(400):
        x, y = rng.uniform(-1, 1, (2, n))
        fit = fit_linear(x, y, x + rng.normal(0, 0.1, n), y + rng.normal(0, 0.1, n))
        assert fit.n_used == n or n > 6  # no wrong one can be told
        u, v = fit.transform.forward(0.3, -0.2)
        error = np.sqrt(fit.variance(np.array([0.3]), np.array([-0.2])))[:, 0]
        pulls += [(u - 0.3) / error[0], (v + 0.2) / error[1]]
    pulls = np.abs(pulls)
    assert np.mean(pulls > 3) < 0.02
    assert 0.75 < np.sqrt(np.mean(pulls**2)) < 1.25
