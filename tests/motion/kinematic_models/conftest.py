"""What every kinematic model must hold, given its covariance by definition in plain numpy."""

import numpy as np
import pytest

from jwst_hpastrom.motion.kinematic_models import KERNELS, fill
from jwst_hpastrom.motion.star_fits import _gp_kernels as core

T = np.array([-6.51, -5.31, -4.39, -2.9, 1.11, 2.16, 2.67, 2.7, 3.22, 5.14, 6.62])
GROUP = np.array([0, 0, 0, 1, 1, 1, 0, 0, 1, 1, 0])
AUX = np.array([1.3, -0.4, 0.02, 0.005, 0.03])  # motion and its covariance: vx, vy, Cxx, Cxy, Cyy
THETA = np.array([0.3, 0.7])


def twin_likelihood(k, h, y):
    """Projected likelihood from explicit inverses."""
    inverse = np.linalg.inv(k)
    g = h @ inverse @ h.T
    p = inverse - inverse @ h.T @ np.linalg.inv(g) @ h @ inverse
    logdet = np.linalg.slogdet(k)[1] + np.linalg.slogdet(g)[1]
    return -0.5 * (y @ p @ y + logdet + (y.size - len(h)) * np.log(2 * np.pi)), p


@pytest.fixture
def check_kernel():
    """Compare a kernel with ``twin(t, group, aux, amplitude, scale)``, and the likelihood with it."""

    def check(name, twin):
        kernel = KERNELS[name]
        n = T.size
        size = 2 * n if kernel.coupled else n
        k, dk = np.full((size, size), np.nan), np.full((2, size, size), np.nan)
        fill(kernel.code, T, GROUP, AUX, THETA, k, dk, True)
        expected = twin(T, GROUP, AUX, *np.exp(THETA))
        np.testing.assert_allclose(k, expected, atol=1e-13)
        dk[0] = 2 * k  # what the climb takes for the derivative by the amplitude
        for q in range(len(kernel.parameters)):
            up, down = THETA.copy(), THETA.copy()
            up[q] += 1e-5
            down[q] -= 1e-5
            numeric = (twin(T, GROUP, AUX, *np.exp(up)) - twin(T, GROUP, AUX, *np.exp(down))) / 2e-5
            np.testing.assert_allclose(dk[q], numeric, atol=1e-4)

        rng = np.random.default_rng(3)
        noise = np.diag(rng.uniform(0.1, 0.5, size) ** 2)
        line = np.stack([np.ones(n), T])
        h = np.block([[line, 0 * line], [0 * line, line]]) if kernel.coupled else line
        y = rng.normal(size=size)
        value, p = twin_likelihood(expected + noise, h, y)
        work = np.empty((len(h) + 1, size))
        assert core.log_likelihood(k + noise, size, h, len(h), y, work) == pytest.approx(value, abs=1e-9)
        proj, beta, cov = np.empty((size, size)), np.empty(len(h)), np.empty((len(h), len(h)))
        assert core.project(k + noise, size, h, len(h), y, proj, beta, cov)
        np.testing.assert_allclose(proj, p, atol=1e-8)
        inverse = np.linalg.inv(expected + noise)
        np.testing.assert_allclose(cov, np.linalg.inv(h @ inverse @ h.T), rtol=1e-8, atol=1e-12)
        np.testing.assert_allclose(beta, cov @ h @ inverse @ y, rtol=1e-8, atol=1e-10)

    return check
