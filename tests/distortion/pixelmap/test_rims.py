"""Rims of voids as parts of the field."""

from dataclasses import replace

import numpy as np
import pytest

from jwst_hpastrom.distortion.pixelmap.random_field import Grid, RandomField
from jwst_hpastrom.distortion.pixelmap.rims import COEFFICIENT, Rim, Rims, Unseen, profile
from jwst_hpastrom.distortion.pixelmap.solving import WeighedPairs, solve_field
from jwst_hpastrom.distortion.pixelmap.waves import Waves

SHAPE = np.array([150.0, 90.0, np.log(50.0), 0.2, 0.4, np.log(0.25)])
RIM = Rim(SHAPE, (1,), np.array([[0.03, 0.0], [0.0, 0.015]]))


def test_the_profile_is_highest_on_the_ellipse_and_turns_with_it():
    t = np.linspace(0, 2 * np.pi, 9)
    c, s = np.cos(0.4), np.sin(0.4)
    a, b = 50 * np.exp(0.2) * np.cos(t), 50 * np.exp(-0.2) * np.sin(t)
    x, y = 150 + c * a - s * b, 90 + s * a + c * b
    on = profile(SHAPE, x, y, (0, 1))
    np.testing.assert_allclose(on, np.stack([np.ones(9), np.cos(t), np.sin(t)], 1), atol=1e-6)
    assert profile(SHAPE, np.array([150.0]), np.array([90.0]), (0,)) < 1e-3
    far = RIM.near(x + 400, y)
    assert RIM.near(x, y).all()
    assert not far.any()


def test_columns_are_terms_and_what_moves_the_ellipse_does():
    rng = np.random.default_rng(1)
    x, y = rng.uniform(0, 255, (2, 300))
    columns = RIM.columns(x, y)
    assert columns.shape == (2, 2 + 6, 300)
    np.testing.assert_array_equal(columns[0, :2], columns[1, :2])
    np.testing.assert_allclose(columns[0, :2], COEFFICIENT * profile(SHAPE, x, y, (1,)).T)
    step = np.array([0.3, 0, 0, 0, 0, 0])
    moved = Rim(SHAPE + step, RIM.orders, RIM.coefficients).at(x, y) - RIM.at(x, y)
    np.testing.assert_allclose(columns[:, 2] / 6 * 0.3, moved, atol=2e-5)


@pytest.mark.parametrize("axis", ["y", "x"])
def test_on_the_grid_and_its_transpose(axis):
    grid = Grid((192, 256), 4, 2, axis)
    rims = Rims(grid, [RIM])
    rng = np.random.default_rng(2)
    z = rng.normal(size=rims.white).astype("f4")
    f = rng.normal(size=(2, *grid.size)).astype("f4")
    total = rims.total(rims.parts(z))
    assert np.vdot(total, f) == pytest.approx(np.vdot(z, rims.transposed(f)), rel=1e-4)
    x, y = np.meshgrid(np.arange(64) * 4 + 1.5, np.arange(48) * 4 + 1.5)
    own = np.stack([np.append(z[:2], z[4:]), z[2:]])  # the series of x, that of y, what both share
    expected = np.einsum("ak,akn->an", own, RIM.columns(x.ravel(), y.ravel())).reshape(2, 48, 64)
    np.testing.assert_allclose(grid.upright(total), expected, atol=1e-4)
    assert Rims(grid).white == 0


def test_products_of_rims_are_those_of_their_columns():
    """With each other, where they meet and where not, with functions, and summed over groups of bins."""
    grid, rng = Grid((192, 256), 4, 2), np.random.default_rng(3)
    beside, far = (replace(RIM, shape=SHAPE + np.array([*v, 0, 0, 0, 0])) for v in ((25, 9), (70, -60)))
    rims = Rims(grid, [RIM, replace(beside, orders=(0, 1), coefficients=np.ones((2, 3))), far])
    columns = np.stack([rims.total([v]).reshape(2, -1) for v in np.eye(rims.white, dtype="f4")])
    weight, functions = rng.uniform(1, 9, 48 * 64), rng.normal(size=(48 * 64, 3))
    expected = np.einsum("kan,n,lan->kl", columns, weight, columns)
    np.testing.assert_allclose(rims.normal(weight), expected, atol=1e-5 * np.abs(expected).max())
    groups = rng.integers(0, 7, weight.size)
    for axis in (0, 1):
        heavy = columns[:, axis] * weight
        sums = np.stack([heavy[:, groups == g].sum(1) for g in range(7)])
        np.testing.assert_allclose(rims.sums(axis, weight, groups, 7), sums, atol=1e-4)
        found = rims.products(axis, functions)
        np.testing.assert_allclose(found, functions.T @ columns[:, axis].T, atol=1e-4)


def test_the_field_with_rims_follows_them():
    """Told its place to some pixels: better than as structure without a shape."""
    grid, rng = Grid((192, 256), 4, 2), np.random.default_rng(5)
    x, y = rng.uniform(0, 255, 900), rng.uniform(0, 191, 900)
    evaluate, w = grid.bilinear(x, y), np.full(x.size, 0.01**-2.0)
    true = Rim(SHAPE + np.array([3, -2, 0.04, 0, 0.1, 0.1]), (1,), RIM.coefficients)
    r = true.at(x, y) + rng.normal(0, 0.01, (2, x.size))
    gx, gy = np.meshgrid(np.arange(64) * 4 + 1.5, np.arange(48) * 4 + 1.5)
    left = []
    levels = RandomField.stationary(grid, np.full((2, 4), 1e-6)).levels
    prior = RandomField(grid, [v.deviation for v in levels], Waves.flat(grid, [1e-6, 1e-6]))
    with_rims = prior.with_rims([RIM])
    pairs = WeighedPairs(evaluate, w, grid.size)
    for one, options in ((prior, {}), (with_rims, {}), (with_rims, {"known": with_rims.known})):
        found, _ = solve_field(one, pairs, r, **options)
        left.append(np.std(one.total(found) - true.at(gx.ravel(), gy.ravel()).reshape(2, 48, 64)))
    assert left[1] < 0.002
    assert left[0] > 1.7 * left[1]
    assert left[2] == pytest.approx(left[1], rel=0.01)


def test_coordinates_of_rims_as_they_were_found():
    grid = Grid((192, 256), 4, 2)
    field = RandomField.stationary(grid, np.full((2, 4), 1e-6))
    assert field.known is None
    field = field.with_rims([RIM, RIM])
    x, y = np.meshgrid(np.arange(64) * 4 + 1.5, np.arange(48) * 4 + 1.5)
    expected = 2 * RIM.at(x.ravel(), y.ravel()).reshape(2, 48, 64)
    np.testing.assert_allclose(field.total(field.parts(field.known)), expected, atol=5e-6)


def test_what_is_not_seen_is_drawn_as_rough_as_rims():
    variance = np.zeros((2, 64, 64))
    variance[0, :, 32:] = 0.01**2
    drawn = Unseen(variance, 8).draw(np.random.default_rng(2), Grid((512, 512), 4, 4))
    assert drawn.shape == (2, 128, 128)
    assert drawn[0, :, 64:].std() == pytest.approx(0.01, rel=0.1)
    assert not drawn[1].any()
    # correlated as a profile across: at 4 pixels nearly one, at 64 none
    part = drawn[0, :, 64:]
    assert np.corrcoef(part[1:].ravel(), part[:-1].ravel())[0, 1] > 0.95
    assert abs(np.corrcoef(part[16:].ravel(), part[:-16].ravel())[0, 1]) < 0.2
