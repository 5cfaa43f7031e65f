"""The confusion kernel against a sum over sources, and its marginal form against Monte Carlo."""

import numpy as np
import pytest

from jwst_hpastrom.motion.kinematic_models import fill


def confusion(t, motion, motion_cov, a, ell):
    n = len(t)
    k = np.zeros((2 * n, 2 * n))
    aux = np.array([*motion, motion_cov[0][0], motion_cov[0][1], motion_cov[1][1]])
    fill(1, np.asarray(t, float), np.zeros(n, int), aux, np.log([a, ell]), k, np.zeros((0, 1, 1)), False)
    return k


def test_equals_a_sum_over_a_fine_grid_of_sources():
    """s(x) = Σ_c w_c (c − x) exp(−|c − x|²/2λ²), ℓ² = 2λ²: normalized to A² at d = 0."""
    lam, a = 1.0, 0.7
    ell = np.sqrt(2) * lam
    grid = np.arange(-9, 9, 0.05)
    cx, cy = np.meshgrid(grid, grid)
    t, v = np.array([0.0, 0.6, 1.3, 2.0]), np.array([0.8, -0.5])
    k = confusion(t, v, np.zeros((2, 2)), a, ell)
    x = t[:, None] * v
    windows = [
        np.stack([cx - p[0], cy - p[1]]) * np.exp(-((cx - p[0]) ** 2 + (cy - p[1]) ** 2) / (2 * lam**2))
        for p in x
    ]
    norm = np.sum(windows[0][0] ** 2)
    for i in range(4):
        for j in range(4):
            brute = a**2 * np.einsum("axy,bxy->ab", windows[i], windows[j]) / norm
            np.testing.assert_allclose(k[i::4, j::4], brute, atol=1e-4 * a**2)


def test_marginal_form_equals_monte_carlo():
    rng = np.random.default_rng(2)
    t, v = np.array([0.0, 1.0, 2.5]), np.array([0.6, 0.3])
    cov, a, ell = np.array([[0.09, 0.03], [0.03, 0.05]]), 1.0, 1.5
    k = confusion(t, v, cov, a, ell)
    mean = np.zeros_like(k)
    draws = rng.multivariate_normal(v, cov, 20000)
    for i in range(3):
        for j in range(3):
            d = (t[i] - t[j]) * draws
            e = a**2 * np.exp(-np.sum(d**2, 1) / (2 * ell**2))
            block = e[:, None, None] * (np.eye(2) - d[:, :, None] * d[:, None, :] / ell**2)
            mean[i::3, j::3] = block.mean(0)
    np.testing.assert_allclose(k, mean, atol=0.01)
    np.testing.assert_allclose(np.diag(k), a**2)


@pytest.mark.parametrize("seed", range(5))
def test_is_a_covariance(seed):
    rng = np.random.default_rng(seed)
    t = np.sort(rng.uniform(0, 13, 9))
    root = rng.normal(0, 0.2, (2, 2))
    k = confusion(t, rng.normal(0, 2, 2), root @ root.T, 1.0, rng.uniform(0.5, 5))
    assert np.linalg.eigvalsh(k).min() > -1e-10


def twin(t, group, aux, amplitude, scale):
    n, out = t.size, np.zeros((2 * t.size, 2 * t.size))
    dt = t[:, None] - t
    motion_cov = np.array([[aux[2], aux[3]], [aux[3], aux[4]]])
    for i in range(n):
        for j in range(n):
            mu = aux[:2] * dt[i, j]
            q = scale**2 * np.eye(2) + dt[i, j] ** 2 * motion_cov
            m = scale**2 * np.linalg.inv(q)
            e = amplitude**2 * np.sqrt(np.linalg.det(m)) * np.exp(-mu @ m @ mu / (2 * scale**2))
            out[i::n, j::n] = e * (m - m @ np.outer(mu, mu) @ m / scale**2)
    return out


def test_equals_its_definition(check_kernel):
    check_kernel("confusion", twin)
