"""Small symmetric matrices against numpy.linalg."""

import numpy as np
import pytest

from jwst_hpastrom.numerics.cholesky_kernels import (
    LANES,
    cholesky,
    cholesky_solve,
    factor,
    factor_lanes,
    invert_lower,
    small_inverse,
)


def positive(n, seed):
    root = np.random.default_rng(seed).normal(size=(n, n))
    return root @ root.T + 0.1 * np.eye(n)


@pytest.mark.parametrize("n", [1, 2, 7])
def test_factor_solves_and_gives_the_determinant(n):
    a = positive(n, n)
    b = np.random.default_rng(9).normal(size=(3, n))
    work, rows = a.copy(), b.copy()
    logdet = factor(work, n, rows, 3)
    lower = np.linalg.cholesky(a)
    assert logdet == pytest.approx(np.linalg.slogdet(a)[1], abs=1e-12)
    np.testing.assert_allclose(rows, np.linalg.solve(lower, b.T).T, atol=1e-11)
    np.testing.assert_allclose(1 / np.diag(work), np.diag(lower))
    inverse = np.empty((n, n))
    invert_lower(work, n, inverse)
    np.testing.assert_allclose(inverse, np.linalg.inv(lower).T, atol=1e-11)


def test_an_indefinite_matrix_is_told():
    assert np.isnan(factor(np.diag([1.0, -1.0]), 2, np.zeros((1, 2)), 0))


def test_matrices_factored_together_are_those_factored_alone():
    n, rng = 5, np.random.default_rng(2)
    matrices = [positive(n, seed) for seed in range(LANES - 1)] + [-np.eye(n)]
    rows, logdet = rng.normal(size=(LANES, 3, n)), np.empty(LANES)
    together, b = np.stack(matrices, -1), rows.copy()
    factor_lanes(together, n, b, 3, logdet)
    assert np.isnan(logdet[-1])
    for lane in range(LANES - 1):
        alone, c = matrices[lane].copy(), rows[lane].copy()
        assert logdet[lane] == factor(alone, n, c, 3)
        np.testing.assert_array_equal(np.tril(together[:, :, lane]), np.tril(alone))
        np.testing.assert_array_equal(b[lane], c)


def test_small_inverse_does_not_mind_units():
    a = positive(4, 1)
    units = np.array([1e-6, 1.0, 1e5, 1e-2])
    out = np.empty((4, 4))
    assert small_inverse(a * units[:, None] * units, 4, out)
    np.testing.assert_allclose(out * units[:, None] * units, np.linalg.inv(a), rtol=1e-9, atol=1e-11)
    assert not small_inverse(np.ones((2, 2)), 2, np.empty((2, 2)))


def test_cholesky():
    rng = np.random.default_rng(0)
    m = rng.normal(size=(4, 4))
    a = m @ m.T + np.eye(4)
    f, b = a.copy(), rng.normal(size=4)
    x = b.copy()
    assert cholesky(f, 4)
    cholesky_solve(f, 4, x)
    np.testing.assert_allclose(a @ x, b, atol=1e-12)
    assert not cholesky(np.zeros((4, 4)), 3)
