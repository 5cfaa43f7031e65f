"""Means of cells against plain numpy, and empty cells."""

import numpy as np
import pytest

from jwst_hpastrom.distortion.solve.cells import CellGrid, CellMeans, fill_cells


@pytest.fixture
def rng():
    return np.random.default_rng(3)


def test_cell_means_clip_and_weight(rng, clipped):
    n = 4000
    x, y = rng.uniform(0, 100, (2, n))
    values, weights = rng.normal(1, 0.1, n), rng.uniform(0.5, 2, n)
    values[::50] = 9
    grid = CellGrid(x, y, 4, (100, 100))
    mean, error, count = grid.means(values, weights, sigma=3.0)
    for c in range(16):
        v, w = values[grid.cell == c], weights[grid.cell == c]
        middle, scale, _ = clipped(v, 3.0)
        keep = np.abs(v - middle) <= 3 * scale
        assert count[c] == keep.sum()
        assert mean[c] == pytest.approx(np.average(v[keep], weights=w[keep]))
    assert np.median(error) == pytest.approx(0.1 / np.sqrt(n / 16), rel=0.2)


def test_empty_cells_borrow_from_their_neighbors():
    values, count = np.full((5, 5), 2.0), np.full((5, 5), 9)
    values[:2, :2], count[:2, :2] = np.nan, 0
    assert (fill_cells(values, count) == 2.0).all()


@pytest.mark.parametrize("excess", [0.0, 3.0])
def test_polynomial_through_cells_against_normal_equations(excess):
    """Where the polynomial leaves more than the means' errors, its own errors grow by as much."""
    rng = np.random.default_rng(7)
    p, q = rng.uniform(-1, 1, (2, 100))
    design = np.stack([np.ones(100), p, q, p * q], 1)
    count = rng.integers(1, 60, 100)
    error = 0.02 / np.sqrt(count)
    error[5] = 0.0  # of stars that are all alike
    mean = design @ [0.1, 1.0, -2.0, 0.5] + excess * error * rng.choice([-1, 1], 100)
    mean[count < 3] += 50.0
    cells = CellMeans(mean, error, count)
    good = count >= 3
    normal = (design[good].T * count[good]) @ design[good]
    expected = np.linalg.solve(normal, (design[good].T * count[good]) @ mean[good])
    np.testing.assert_allclose(cells.through(design), expected, rtol=1e-10)
    good[5] = False
    full = np.linalg.inv((design[good].T / error[good] ** 2) @ design[good])
    found = cells.covariance(design)
    assert found.shape == (3, 3)
    np.testing.assert_allclose(found, full[1:, 1:] * (found[0, 0] / full[1, 1]), rtol=1e-9)
    assert found[0, 0] / full[1, 1] == pytest.approx(max(excess**2, 1.0), rel=0.1)
