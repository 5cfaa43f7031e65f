"""Weights with stars, waves and trend eliminated, against plain linear algebra."""

import numpy as np
import pytest
from scipy import sparse

from jwst_hpastrom.distortion.pixelmap import rim_weights
from jwst_hpastrom.distortion.pixelmap.rim_weights import EliminatingWeights, best_told

N = 40


def turned(rng, wide=True):
    """Stars in two exposures turned against each other, waves of both axes; and the plain matrix."""
    star, angle = np.arange(N) // 2, np.where(np.arange(N) % 2, 0.7, 0.0)
    w = rng.uniform(0.5, 2.0, N)
    c, s = np.cos(angle), np.sin(angle)
    to_sky = np.zeros((2 * (N // 2), 2 * N))
    for a, row in enumerate(((c, s), (-s, c))):
        for b, v in enumerate(row):
            to_sky[2 * star + a, np.arange(N) + b * N] = v
    heavy = np.diag(np.tile(w, 2))
    own = np.linalg.inv(to_sky @ heavy @ to_sky.T + 0.3 * np.eye(len(to_sky)))
    expected = heavy - heavy @ to_sky.T @ own @ to_sky @ heavy
    terms = [(rng.normal(size=(N, 5)), rng.normal(size=(5, k))) for k in (3, 2)]
    columns = np.zeros((2 * N, 5))
    columns[:N, :3], columns[N:, 3:] = (a @ b for a, b in terms)
    if wide:
        product = expected @ columns
        expected = expected - product @ np.linalg.solve(np.eye(5) + columns.T @ product, product.T)
    of = EliminatingWeights(
        w, sparse.csr_array(to_sky @ heavy), sparse.csr_array(to_sky.T @ own),
        [(sparse.csr_array(a), b) for a, b in terms] if wide else (),
    )  # fmt: skip
    return of, expected


@pytest.mark.parametrize("wide", [False, True])
def test_elimination_where_weights_mix_the_axes(wide):
    rng = np.random.default_rng(1)
    weights, expected = turned(rng, wide)
    r = rng.normal(size=(2 * N, 3))
    np.testing.assert_allclose(weights @ r, expected @ r, atol=1e-5)
    np.testing.assert_allclose(weights @ r[:, 0], expected @ r[:, 0], atol=1e-5)


@pytest.mark.parametrize("wide", [False, True])
def test_products_of_residuals_from_their_halves(wide):
    rng = np.random.default_rng(2)
    weights, expected = turned(rng, wide)
    a, b = rng.normal(size=(2 * N, 3)), rng.normal(size=(2 * N, 2))
    (_, q), (p, s) = weights.halves(a), weights.halves(b)
    np.testing.assert_allclose(a.T @ p - q.T @ weights.taken(s), a.T @ expected @ b, atol=1e-5)


def test_the_diagonal_is_without_the_stars():
    weights, expected = turned(np.random.default_rng(3), wide=False)
    np.testing.assert_allclose(weights.diagonal.ravel(), np.diag(expected), rtol=1e-12)


def test_the_stars_are_eliminated_block_by_block(monkeypatch):
    whole, _ = turned(np.random.default_rng(4))
    monkeypatch.setattr(rim_weights, "BLOCK", 7)
    blocks, _ = turned(np.random.default_rng(4))
    np.testing.assert_allclose(blocks.inner, whole.inner, atol=1e-6)


def test_pairs_of_the_stars_that_weigh_most_are_taken_with_all_their_exposures(monkeypatch):
    star = np.array([0, 1, 2, 0, 1, 2, 3, 1])
    weight = np.array([1.0, 5.0, 2.0, 1.0, 5.0, 2.0, 9.0, 5.0])
    for most, stars in ((8, {0, 1, 2, 3}), (6, {1, 2, 3}), (4, {1, 3}), (3, {1})):
        monkeypatch.setattr(rim_weights, "MOST", most)
        np.testing.assert_array_equal(best_told(star, weight), np.isin(star, list(stars)))


def test_noise_is_as_large_as_weights_say():
    w = np.repeat([4.0, 100.0], 2000)
    none = sparse.csr_array((1, 2 * w.size))
    noise = EliminatingWeights(w, none, none.T).noise(np.random.default_rng(5))
    np.testing.assert_allclose(noise[:, :2000].std(1), 0.5, rtol=0.06)
    np.testing.assert_allclose(noise[:, 2000:].std(1), 0.1, rtol=0.06)
    assert abs(np.corrcoef(noise)[0, 1]) < 0.06
