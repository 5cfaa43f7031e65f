"""Kernels of corrections against slow and obvious numpy."""

import numpy as np
import pytest
from scipy.interpolate import RegularGridInterpolator

from jwst_hpastrom.distortion import (
    DistortionCorrection,
    PixelMapCorrection,
    PolynomialCorrection,
    TableCorrection,
    table_nodes,
)
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
