"""The kernels of normal matrices against numpy."""

import numpy as np
import pytest
from scipy import sparse

from jwst_hpastrom.distortion.solve._kernels import Rows, add_gram, eliminate_stars


def rows_of(dense):
    sparse_rows = sparse.csr_array(dense)
    return Rows(sparse_rows.indptr, sparse_rows.indices, sparse_rows.data)


def test_gram_matrix_of_sparse_rows():
    rng = np.random.default_rng(1)
    z = rng.normal(size=(50, 17)) * (rng.random((50, 17)) < 0.3)
    w = rng.normal(size=50)
    w[3] = 0
    matrix = np.ones((17, 17))
    add_gram(rows_of(z), w, matrix)
    np.testing.assert_allclose(matrix, 1 + np.tril((z * w[:, None]).T @ z), rtol=1e-12)


@pytest.mark.parametrize("own", [2, 4])
def test_stars_are_eliminated(own):
    rng = np.random.default_rng(2)
    bounds = np.array([0, 3, 4, 10, 15])
    z = rng.normal(size=(2, 15, 17)) * (rng.random((2, 15, 17)) < 0.3)
    w, arms = rng.uniform(0, 2, (2, 15)), rng.normal(size=(2, 15, own))
    w[:, 4] = 0
    root = np.tril(rng.normal(size=(4, own, own)))
    matrix = np.ones((17, 17))
    eliminate_stars(bounds, rows_of(z[0]), rows_of(z[1]), w, arms, root, matrix)
    expected = np.ones((17, 17))
    for s in range(4):
        k = slice(bounds[s], bounds[s + 1])
        cross = root[s] @ np.einsum("an,anq,anc->qc", w[:, k], arms[:, k], z[:, k])
        expected -= np.tril(cross.T @ cross)
    np.testing.assert_allclose(matrix, expected, rtol=1e-10, atol=1e-12)
