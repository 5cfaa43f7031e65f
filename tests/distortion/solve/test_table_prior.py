"""A table of few cells and structure finer than they are: neither drives the polynomial away."""

import numpy as np
import pytest

from jwst_hpastrom.distortion import solve_distortion
from jwst_hpastrom.distortion.solve.design import Layout, distortion_rows
from jwst_hpastrom.distortion.solve.table_prior import TablePrior
from jwst_hpastrom.numerics import polynomial_basis, polynomial_terms

AT = np.linspace(4, 507, 64)
CORNERS = [0, 63, -64, -1]


def wave(v, phase):
    """Structure whose period, 60 pixels, is about that of the kinks of a table of 8 cells."""
    return 0.05 * np.sin(2 * np.pi * v / 60 + phase)


@pytest.mark.parametrize("method", ["joint", "self"])
def test_corners_of_a_table_of_few_cells(method, tools):
    turned = {"n_side": 3, "rolls": (0.0, 40.0, 80.0, 110.0), "dither": 6.0, "known": 0.97}
    way = turned if method == "self" else {"n_side": 2}
    lists, catalog = tools.make_lists(np.random.default_rng(3), noise=0.003, **way)
    for t in lists:
        t["x"] -= wave(np.asarray(t["x"]), 0.0)
        t["y"] -= wave(np.asarray(t["y"]), 1.0)
    solution = solve_distortion(
        lists, catalog if method == "joint" else None, method=method, shape=tools.shape,
        polynomial_cells=12, table_cells=8, amplifiers=1,
    )  # fmt: skip
    x, y = (v.ravel() for v in np.meshgrid(AT, AT))
    tx, ty = tools.true_delta(x, y)
    true = np.stack([np.ones_like(x), x + tx + wave(x, 0.0), y + ty + wave(y, 1.0)], 1)
    correction = solution.correction
    left = np.stack([v - true @ np.linalg.lstsq(true, v, rcond=None)[0] for v in correction.forward(x, y)])
    stated = np.stack(correction.error(x, y))
    # 1.7 and 5.9 where polynomial and table were free to grow against each other, 0.6 and 1.5 off in corners
    assert np.std(correction.table.dx) < 0.05
    assert np.sqrt(np.mean(left**2)) < 0.003
    assert np.abs(left[:, CORNERS]).max() < 0.02
    assert stated.max() < 0.01
    assert 0.5 < np.sqrt(np.mean(stated**2) / np.mean(left**2)) < 2.0


@pytest.mark.parametrize(("degree", "n_cells"), [(5, 8), (5, 2), (3, 12), (5, 0)])
def test_width_is_that_of_what_no_polynomial_follows(degree, n_cells):
    layout = Layout(degree, n_cells, 3, False, (512, 512))
    prior, rng = TablePrior(layout), np.random.default_rng(4)
    size, first = n_cells**2, layout.n_polynomial
    assert prior.free == max(size - len(polynomial_terms(degree)), 0)
    theta, covariance = np.zeros(layout.n), np.diag(np.full(layout.n_distortion, 1e-4))
    theta[first : first + 2 * size] = rng.normal(0, 0.02, 2 * size)
    matrix = np.zeros((layout.n, layout.n))
    prior.add_to(matrix, 0.5)
    diagonal = np.zeros(layout.n)
    diagonal[first : first + 2 * size] = 4.0
    np.testing.assert_array_equal(matrix, np.diag(diagonal))
    found = prior.improved(theta, covariance, 0.5)
    assert found == (pytest.approx(np.hypot(0.02, 0.01), rel=0.25) if prior.free else 0.5)
    if n_cells:  # a polynomial at the nodes, one pixel high, is not the table's own
        p, q = distortion_nodes(layout)
        terms = polynomial_terms(degree)
        theta[first : first + size] += polynomial_basis(p, q, terms) @ rng.normal(size=len(terms))
        assert prior.improved(theta, covariance, 0.5) == pytest.approx(found, rel=1e-6)


def distortion_nodes(layout):
    """Where the weights of single nodes are one, in the polynomial's coordinates."""
    from jwst_hpastrom.distortion.model.parts import table_nodes

    x, y = (v.ravel() for v in np.meshgrid(*(table_nodes(layout.n_cells, n) for n in layout.shape[::-1])))
    rows = distortion_rows(layout, x, y)[0].toarray()[:, layout.n_polynomial :]
    np.testing.assert_allclose(rows[:, : x.size], np.eye(x.size), atol=1e-12)
    return (x - layout.center[0]) / layout.half_width, (y - layout.center[1]) / layout.half_width
