"""Evidence of rims, and the simplex that looks for the largest."""

import numpy as np
import pytest
from scipy.optimize import minimize

from jwst_hpastrom.distortion.pixelmap._rim_kernels import _cost, refine_rim, rim_evidence
from jwst_hpastrom.distortion.pixelmap.rim_search import STEPS
from jwst_hpastrom.distortion.pixelmap.rims import profile

ERROR = 0.012
SHAPE = np.array([330.0, 210.0, np.log(90.0), 0.15, 0.4, np.log(0.2)])


@pytest.mark.parametrize("orders", [(1,), (0, 1, 3)])
def test_evidence_is_that_of_plain_linear_algebra(orders):
    rng, shape = np.random.default_rng(5), SHAPE
    x, y = rng.uniform(0, 511, (2, 3000))
    left, weight, variance = rng.normal(0, 90, (2, 3000)), rng.uniform(4e3, 9e3, (2, 3000)), 0.02**2
    gain, strong = rim_evidence(shape, np.array(orders), x, y, left, weight, variance)
    terms, expected = profile(shape, x, y, orders), 0.0
    for v, w in zip(left, weight, strict=True):
        right, whole = terms.T @ v, np.eye(terms.shape[1]) + variance * terms.T @ (w[:, None] * terms)
        expected += 0.5 * variance * right @ np.linalg.solve(whole, right) - 0.5 * np.linalg.slogdet(whole)[1]
    assert gain == pytest.approx(expected, rel=1e-4)
    assert strong == np.sum(np.abs(terms).max(1) > 0.3)


def test_the_simplex_is_that_of_scipy():
    rng = np.random.default_rng(3)
    x, y = rng.uniform(0, 511, (2, 2500))
    r = 0.03 * profile(SHAPE, x, y, (1,)).T + rng.normal(0, ERROR, (2, 2500))
    stars = (x, y, r * ERROR**-2.0, np.full((2, x.size), ERROR**-2.0))
    prior = np.array([0.25, -1.2, 0.5, np.log(18.0), np.log(90.0), 0.02**2, 12, -16.0])
    start = SHAPE + np.array([9.0, -6.0, 0.1, 0.0, 0.2, 0.1])
    found, cost = refine_rim(start, STEPS, 0.01, 200, np.array([1]), *stars, prior)
    simplex = start + np.vstack([np.zeros(6), np.diag(STEPS)])
    expected = minimize(
        _cost, start, (np.array([1]), *stars, prior), method="Nelder-Mead",
        options={"initial_simplex": simplex, "maxiter": 200, "fatol": 0.01, "xatol": np.inf},
    )  # fmt: skip
    assert cost == pytest.approx(expected.fun, abs=1e-6)
    np.testing.assert_allclose(found, expected.x, atol=1e-6)
