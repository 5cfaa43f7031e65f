"""Means of cells against plain numpy, and empty cells."""

import numpy as np
import pytest

from jwst_hpastrom.distortion.solve.cells import CellGrid, fill_cells


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
