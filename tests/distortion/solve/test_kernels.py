"""The kernel of normal matrices against numpy."""

import numpy as np
from scipy import sparse

from jwst_hpastrom.distortion.solve.problem import _add_gram


def test_gram_matrix_of_sparse_rows():
    rng = np.random.default_rng(1)
    z = rng.normal(size=(50, 17)) * (rng.random((50, 17)) < 0.3)
    rows = sparse.csr_array(z[:, ::-1])[:, ::-1]
    w = rng.normal(size=50)
    w[3] = 0
    matrix = np.ones((17, 17))
    _add_gram(rows, w, matrix)
    np.testing.assert_allclose(matrix, 1 + np.tril((z * w[:, None]).T @ z), rtol=1e-12)
