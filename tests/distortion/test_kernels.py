"""Numba cores against slow and obvious numpy."""

import numpy as np
import pytest
from scipy.interpolate import RegularGridInterpolator
from scipy.spatial import cKDTree

from jwst_hpastrom.distortion import (
    DistortionCorrection,
    PixelMapCorrection,
    PolynomialCorrection,
    TableCorrection,
    build_pixel_map,
    table_nodes,
)
from jwst_hpastrom.distortion.cells import CellGrid, fill_cells
from jwst_hpastrom.errors import NotEnoughStarsError
from jwst_hpastrom.geometry import polynomial_terms

SHAPE = (96, 128)


@pytest.fixture
def rng():
    return np.random.default_rng(3)


@pytest.mark.parametrize("degree", [1, 3, 5, 6])
def test_polynomial_is_the_sum_of_its_terms(rng, degree):
    terms = polynomial_terms(degree, 1)
    a, b = rng.normal(size=(2, len(terms)))
    part = PolynomialCorrection(degree, a, b, np.array([60.0, 50.0]), 64.0)
    x, y = rng.uniform(-10, 140, (2, 300))
    p, q = (x - 60) / 64, (y - 50) / 64
    dx, dy = part.delta(x, y)
    np.testing.assert_allclose(
        dx, sum(c * p**i * q**j for (i, j), c in zip(terms, a, strict=True)), atol=1e-11
    )
    np.testing.assert_allclose(
        dy, sum(c * p**i * q**j for (i, j), c in zip(terms, b, strict=True)), atol=1e-11
    )


def test_nodes_are_those_of_the_paper():
    nodes = table_nodes(32, 2048)
    assert nodes[[0, 1, 2, -2, -1]].tolist() == [0.0, 95.5, 159.5, 1951.5, 2047.0]


def test_table_and_map_are_bilinear_and_keep_their_edges(rng):
    table = TableCorrection(*rng.normal(size=(2, 6, 8)), shape=SHAPE)
    pixels = PixelMapCorrection(rng.normal(size=(*SHAPE, 2)).astype(np.float32))
    x, y = rng.uniform(-30, 150, (2, 2000))
    cx, cy = np.clip(x, 0, 127), np.clip(y, 0, 95)
    nodes = table.nodes
    for k, values in enumerate((table.dx, table.dy)):
        twin = RegularGridInterpolator((nodes[1], nodes[0]), values)(np.c_[cy, cx])
        np.testing.assert_allclose(table.delta(x, y)[k], twin, atol=1e-12)
        grid = (np.arange(96), np.arange(128))
        twin = RegularGridInterpolator(grid, pixels.data[..., k].astype(float))(np.c_[cy, cx])
        np.testing.assert_allclose(pixels.delta(x, y)[k], twin, atol=1e-6)


def test_the_sum_is_the_sum(rng):
    terms = polynomial_terms(5, 1)
    parts = (
        PolynomialCorrection(5, *rng.normal(size=(2, len(terms))), np.array([63.0, 47.0]), 64.0),
        TableCorrection(*rng.normal(size=(2, 6, 8)), shape=SHAPE),
        PixelMapCorrection(rng.normal(size=(*SHAPE, 2)).astype(np.float32)),
    )
    x, y = rng.uniform(-1, 128, (2, 500))
    total = DistortionCorrection(*parts, shape=SHAPE).delta(x, y)
    for k in (0, 1):
        np.testing.assert_allclose(total[k], sum(p.delta(x, y)[k] for p in parts), atol=1e-12)


def test_not_a_number_in_and_out():
    part = PolynomialCorrection(5, np.zeros(20), np.zeros(20))
    x, _ = part.forward(np.array([1.0, np.nan]), np.array([np.nan, 2.0]))
    assert np.isnan(x).all()
    x, _ = part.inverse(np.array([1.0, np.nan]), np.array([3.0, 2.0]))
    assert x[0] == 1.0
    assert np.isnan(x[1])


def _clipped(values, sigma):
    values = np.sort(values)
    for _ in range(10):
        middle = np.median(values)
        scale = 1.4826 * np.median(np.abs(values - middle))
        keep = np.abs(values - middle) <= sigma * scale
        if keep.all() or values.size < 4:
            break
        values = values[keep]
    return middle, scale, values.size


def test_pixel_map_is_the_clipped_median_of_the_nearest(rng):
    shape, n = (40, 56), 700
    x, y = rng.uniform(-0.5, 55.5, n), rng.uniform(-0.5, 39.5, n)
    dx, dy = rng.normal(0, 0.01, (2, n)).astype(np.float32).astype(float)
    dx[::9] += 0.1
    found = build_pixel_map(x, y, dx, dy, n_nearest=30, shape=shape, rows=16)
    gy, gx = np.mgrid[:40, :56]
    _, near = cKDTree(np.c_[x, y]).query(np.c_[gx.ravel(), gy.ravel()], 30)
    for k, values in enumerate((dx, dy)):
        twin = np.array([_clipped(values[i], 2.5) for i in near])
        same = np.isclose(found.data[..., k].ravel(), twin[:, 0], atol=1e-7)
        assert same.mean() > 0.995  # equal distances to float32 may go either way
        np.testing.assert_allclose(
            found.errors[..., k].ravel()[same], (1.2533 * twin[:, 1] / np.sqrt(twin[:, 2]))[same], rtol=2e-2
        )
    assert found.count.max() <= 31


def test_pixel_map_with_fewer_residuals_than_it_needs():
    with pytest.raises(NotEnoughStarsError, match="found 10 residuals"):
        build_pixel_map(*np.zeros((4, 10)), shape=(16, 16))


def test_pixel_map_with_a_hole_reaches_across_it(rng):
    x, y = rng.uniform(0, 63, (2, 3000))
    keep = np.hypot(x - 32, y - 32) > 25
    found = build_pixel_map(x[keep], y[keep], 0.01 * x[keep], 0 * y[keep], shape=(64, 64))
    assert np.isfinite(found.data).all()


def test_cell_means_clip_and_weight(rng):
    n = 4000
    x, y = rng.uniform(0, 100, (2, n))
    values, weights = rng.normal(1, 0.1, n), rng.uniform(0.5, 2, n)
    values[::50] = 9
    grid = CellGrid(x, y, 4, (100, 100))
    mean, error, count = grid.means(values, weights, sigma=3.0)
    for c in range(16):
        v, w = values[grid.cell == c], weights[grid.cell == c]
        middle, scale, _ = _clipped(v, 3.0)
        keep = np.abs(v - middle) <= 3 * scale
        assert count[c] == keep.sum()
        assert mean[c] == pytest.approx(np.average(v[keep], weights=w[keep]))
    assert np.median(error) == pytest.approx(0.1 / np.sqrt(n / 16), rel=0.2)


def test_empty_cells_borrow_from_their_neighbors():
    values, count = np.full((5, 5), 2.0), np.full((5, 5), 9)
    values[:2, :2], count[:2, :2] = np.nan, 0
    assert (fill_cells(values, count) == 2.0).all()
