"""Search for hyper-parameters: slopes against differences, tops against scipy, limits of steps."""

import numpy as np
import pytest
from scipy.optimize import minimize

from jwst_hpastrom.motion.kinematic_models import MODEL_CODES, fill
from jwst_hpastrom.motion.star_fits import _climb_kernels as climbs
from jwst_hpastrom.motion.star_fits._gp_kernels import log_likelihood
from tests.motion.kinematic_models.conftest import AUX, GROUP, T


def problem(model, seed=0, amplitude=0.8):
    """Field, box and work of a model, of correlated noise."""
    rng, n = np.random.default_rng(seed), T.size
    axes = 2 if model == "confusion" else 1
    root = rng.normal(0, 0.05, (axes * n, axes * n))
    noise = np.diag(rng.uniform(0.2, 0.5, axes * n) ** 2) + root @ root.T
    line = np.stack([np.ones(n), T])
    h = np.block([[line, 0 * line], [0 * line, line]]) if axes == 2 else line
    k = np.kron(np.eye(axes), amplitude**2 * np.exp(-((T[:, None] - T) ** 2) / 8)) + noise
    y = rng.multivariate_normal(np.zeros(axes * n), k)
    field = climbs.Field(T, GROUP, AUX, noise, h, y)
    n_par = 1 if model in ("additive", "group") else 2
    box = climbs.Box(*(np.array(v, float) for v in ([-4, -1], [2, 2.5], [-0.5, 0.7], [2, 1.5])), n_par)
    return field, box, climbs.new_work(axes * n, len(h))


def objective(model, field, box, theta):
    """Log likelihood plus log prior from `log_likelihood`."""
    n = field.y.size
    k = np.empty((n, n))
    fill(MODEL_CODES[model], T, GROUP, AUX, theta, k, np.empty((0, 1, 1)), False)
    f = log_likelihood(k + field.noise, n, field.h, len(field.h), field.y, np.empty((len(field.h) + 1, n)))
    z = ((theta - box.mu) / box.sd)[: box.n_par]
    return f - 0.5 * z @ z


@pytest.mark.parametrize("model", ["additive", "group", "sqexp", "step", "confusion"])
def test_slope_equals_differences(model):
    field, box, work = problem(model)
    theta, grad = np.array([-0.3, 0.9]), np.zeros(2)
    value = climbs.value_and_slope(MODEL_CODES[model], field, theta, box, work, grad)
    assert value == pytest.approx(objective(model, field, box, theta), abs=1e-10)
    for q in range(box.n_par):
        d = 1e-5 * np.eye(2)[q]
        numeric = (objective(model, field, box, theta + d) - objective(model, field, box, theta - d)) / 2e-5
        assert grad[q] == pytest.approx(numeric, abs=2e-4)


@pytest.mark.parametrize("model", ["additive", "group", "sqexp", "confusion"])
def test_top_is_as_high_as_scipy_finds(model):
    for seed in range(5):
        field, box, work = problem(model, seed, amplitude=(0.0, 0.3, 0.8, 1.5, 3.0)[seed])
        theta = np.zeros(2)
        f = climbs.search(MODEL_CODES[model], field, theta, box, 2, work)
        bounds = list(zip(box.lo, box.hi, strict=True))
        starts = [(a, b) for a in (-2, -0.5, 1) for b in (-0.5, 0.7, 2)]
        cost = [
            minimize(lambda v: -objective(model, field, box, v), s, method="L-BFGS-B", bounds=bounds).fun
            for s in starts
        ]
        assert f > -min(cost) - 1e-4
        assert np.all(
            (theta[: box.n_par] >= box.lo[: box.n_par]) & (theta[: box.n_par] <= box.hi[: box.n_par])
        )


def test_a_step_that_is_limited_goes_to_the_top_along_the_limit():
    box = climbs.Box(np.array([-4.0, -1.0]), np.array([2.0, 2.5]), np.zeros(2), np.ones(2), 2)
    theta, grad, new = np.array([0.0, -0.9]), np.array([1.0, -10.0]), np.empty(2)
    info = np.array([[4.0, 3.0], [3.0, 5.0]])
    assert climbs._step(theta, box, grad, info, new) > 0
    np.testing.assert_allclose(new, [(1.0 + 3.0 * 0.1) / 4.0, -1.0])


def test_a_climb_ends_on_a_hill_that_is_known():
    field, box, work = problem("sqexp")
    code, top = MODEL_CODES["sqexp"], np.array([-0.3, 0.9])
    best = climbs.climb(code, field, top, box, work, -np.inf, np.full(2, np.nan))
    again = top + 0.5
    f = climbs.climb(code, field, again, box, work, best, top)
    assert f <= best + 1e-4
    np.testing.assert_allclose(again, top, atol=climbs.NEAR)
