"""The kernels of normal matrices against numpy."""

import numpy as np
import pytest
from scipy import sparse

from jwst_hpastrom.distortion.solve._kernels import Rows, add_gram, cross_of_stars, eliminate_stars
from jwst_hpastrom.distortion.solve.design import Layout, distortion_rows, pair_rows


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
    cross = np.zeros((4, own, 17))
    cross_of_stars(bounds, rows_of(z[0]), rows_of(z[1]), w, arms, cross)
    cross = (root @ cross).reshape(-1, 17)
    np.testing.assert_allclose(1 - np.tril(cross.T @ cross), expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("layout", [(5, 6, 3, False), (3, 0, 3, True), (4, 5, 3, True)])
def test_rows_of_pairs_are_their_derivatives(layout):
    rng = np.random.default_rng(3)
    layout = Layout(*layout, (100, 120), drift=layout[1] == 5)
    x, y, exposure = *rng.uniform(0, 100, (2, 40)), rng.integers(0, 3, 40)
    arm, years = rng.normal(size=(2, 40)), rng.normal(size=40)
    rows = pair_rows(layout, x, y, exposure, arm, years)
    p, q = (x - layout.center[0]) / layout.half_width, (y - layout.center[1]) / layout.half_width
    one, zero, own = np.ones(40), np.zeros(40), np.eye(3)[exposure]
    similarity = [[one, zero, -arm[1], arm[0]], [zero, one, arm[0], arm[1]]]
    for axis, drift in enumerate(([p, p, q], [q, -q, p])):
        values = np.stack(similarity[axis][: layout.per_exposure], 1)
        of_exposures = -(own[:, :, None] * values[:, None]).reshape(40, -1)
        expected = [distortion_rows(layout, x, y)[axis].toarray(), of_exposures]
        if layout.drift:
            expected.append(np.stack(drift, 1) * years[:, None])
        assert rows[axis].has_canonical_format
        np.testing.assert_allclose(rows[axis].toarray(), np.hstack(expected), rtol=1e-12, atol=1e-15)
