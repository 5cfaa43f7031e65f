"""Kernels of the fit to many exposures against differences, sums and least squares."""

import numpy as np
import pytest

from jwst_hpastrom.measure import _kernels, _search_kernels
from jwst_hpastrom.measure.bundles import Combined, Nodes, Stars
from jwst_hpastrom.measure.stack import Field
from jwst_hpastrom.measure.tile import PHASES, SPACING, STEP, Tile, TileSettings


@pytest.fixture(scope="module")
def tile(scene):
    field = Field(scene.images, scene.library, scene.frame, 1000, True)
    return Tile(field.stack(field.cores[0]), TileSettings())


def star(tile):
    a, b, c, d = tile.stack.core
    return np.array([0.5 * (a + b) + 3.3]), np.array([0.5 * (c + d) - 2.2])


def model(tile, e, x, y, flux, h=0.0, axis=0):
    """Image of a star in one exposure, obvious way; shifted by h in the common frame."""
    x, y = (x + h, y) if axis == 0 else (x, y + h)
    (u,), (v,) = tile.stack.to_raw[e](x, y)
    ny, nx = tile.data.shape[1:]
    jj, ii = np.mgrid[:ny, :nx]
    u0, v0 = tile.stack.origin[e]
    place = np.full(ii.shape, u), np.full(ii.shape, v)
    psi = tile.stack.libraries[0].evaluate(ii + u0 - u, jj + v0 - v, *place)
    return flux * tile.stack.zp[e] * psi


def test_equations_against_differences(tile):
    x, y = star(tile)
    px, py = tile.stack.positions(x, y)
    out = np.empty((1, tile.data.shape[0], 13))
    use = np.ones(px.shape, bool)
    _kernels.all_equations(tile.cutouts, tile.exposures, px, py, use, 2, out)
    for e in range(tile.data.shape[0]):
        i, j = int(np.floor(px[0, e] + 0.5)), int(np.floor(py[0, e] + 0.5))
        box = np.s_[j - 2 : j + 3, i - 2 : i + 3]
        h = 1e-3
        design = [model(tile, e, x, y, 1.0)[box]]
        for k in (0, 1):
            step = model(tile, e, x, y, 1.0, h, k) - model(tile, e, x, y, 1.0, -h, k)
            design.append(step[box] / (2 * h))
        design = np.array(design).reshape(3, -1)
        w, r = tile.weight[e][box].ravel().astype(float), tile.data[e][box].ravel().astype(float)
        matrix, right = (design * w) @ design.T, (design * w) @ r
        lower = matrix[np.tril_indices(3)]
        np.testing.assert_allclose(out[0, e, :6], lower, rtol=2e-3, atol=1e-3 * matrix[0, 0])
        np.testing.assert_allclose(out[0, e, 6:9], right, rtol=2e-3, atol=2e-3 * np.abs(right).max())
        assert out[0, e, 9] == np.sum(w > 0)
        assert out[0, e, 10] == pytest.approx(np.abs(r[w > 0]).sum(), rel=1e-5)


def test_models_added_and_taken_away(tile):
    x, y = star(tile)
    px, py = tile.stack.positions(x, y)
    data = np.zeros_like(tile.data)
    inside = np.ones(px.shape, bool)
    stars = Stars(px, py, np.array([50.0]), inside, inside, np.array([6.0]))
    _kernels.add_models(data, tile.exposures, stars, 1.0, np.ones(1, bool))
    i, j = int(px[0, 0]), int(py[0, 0])
    box = np.s_[j - 3 : j + 4, i - 3 : i + 4]
    np.testing.assert_allclose(data[0][box], model(tile, 0, x, y, 50.0)[box], rtol=1e-4, atol=1e-5)
    _kernels.add_models(data, tile.exposures, stars, -1.0, np.ones(1, bool))
    assert np.abs(data).max() < 1e-5


def test_score_against_sums(tile):
    top, bottom = np.zeros(tile.grid), np.zeros(tile.grid)
    nodes = Nodes(*tile.coarse, SPACING, STEP)
    _search_kernels.score(tile.cutouts, tile.exposures.lib, tile.bank, tile.stack.zp, nodes, top, bottom)
    a, _, c, _ = tile.stack.bounds
    for row, col in ((150, 170), (201, 122)):
        t = d = 0.0
        px, py = tile.stack.positions(np.array([a + STEP * col]), np.array([c + STEP * row]))
        for e in range(tile.data.shape[0]):
            i, j = int(np.floor(px[0, e] + 0.5)), int(np.floor(py[0, e] + 0.5))
            if tile.weight[e, j, i] == 0:
                continue
            phase = [int((p - k + 0.5) * PHASES) for p, k in ((px[0, e], i), (py[0, e], j))]
            k = tile.bank[0, phase[1], phase[0]]
            box = np.s_[j - 2 : j + 3, i - 2 : i + 3]
            t += tile.stack.zp[e] * np.sum(tile.weight[e][box] * k * tile.data[e][box])
            d += tile.stack.zp[e] ** 2 * np.sum(tile.weight[e][box] * k * k)
        assert top[row, col] == pytest.approx(t, rel=1e-4)
        assert bottom[row, col] == pytest.approx(d, rel=1e-4)


def test_maxima():
    top = np.zeros((20, 20))
    top[5, 6], top[5, 8], top[12, 3], top[15, 15] = 10.0, 9.0, 7.0, 4.0
    a, b, f, s = (np.empty(10) for _ in range(4))
    n = _search_kernels.maxima(top, np.full(top.shape, 4.0), 3.0, 2, a, b, f, s)
    assert sorted(zip(a[:n], b[:n], strict=True)) == [(3, 12), (6, 5)]
    np.testing.assert_allclose(sorted(s[:n]), [3.5, 5.0])


def test_combination_against_least_squares():
    """The combined solution is the least-squares one of all exposures; a wild exposure is left out."""
    rng = np.random.default_rng(3)
    n_exp, flux, truth = 8, 100.0, np.array([2.0, 0.03, -0.02])
    eq = np.zeros((1, n_exp, 13))
    matrices, rights = [], []
    for e in range(n_exp):
        design = rng.normal(0, 1, (25, 3))
        r = design @ (truth * [1, flux, flux]) + rng.normal(0, 0.5, 25)
        r += 20.0 * design[:, 1] if e == 5 else 0
        w = 4.0
        matrices.append(design.T @ design * w)
        rights.append(design.T @ r * w)
        eq[0, e, :6], eq[0, e, 6:9] = matrices[e][np.tril_indices(3)], rights[e]
        eq[0, e, 9] = 25
    keep, out = np.zeros((1, n_exp), bool), Combined(*np.full((16, 1), np.nan))
    _kernels.combine(eq, np.array([flux]), 15.0, 4.0, keep, out)
    assert keep[0].tolist() == [e != 5 for e in range(n_exp)]
    good = [e for e in range(n_exp) if e != 5]
    total, right = sum(matrices[e] for e in good), sum(rights[e] for e in good)
    solution, cov = np.linalg.solve(total, right), np.linalg.inv(total)
    f = flux + solution[0]
    np.testing.assert_allclose(np.ravel(out[:3]), solution / [1, f, f], rtol=1e-10)
    np.testing.assert_allclose(np.ravel(out[3:6]), np.sqrt(np.diag(cov)) / [1, f, f], rtol=1e-10)
    own = np.array([np.linalg.solve(matrices[e], rights[e]) for e in good])
    weights = np.array([1 / np.diag(np.linalg.inv(matrices[e])) for e in good])
    spread = np.sqrt(np.sum(weights * (own - solution) ** 2, 0) / weights.sum(0) * 7 / 6) / [1, f, f]
    np.testing.assert_allclose(np.ravel(out[6:9]), spread, rtol=1e-10)
    assert (out.n_found[0], out.n_used[0]) == (8, 7)
