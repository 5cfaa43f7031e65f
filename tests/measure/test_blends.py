"""Blends: resolved where there are two, left where there is one."""

import numpy as np
import pytest
from scipy.optimize import least_squares

from jwst_hpastrom.measure import _pair_kernels
from jwst_hpastrom.measure.blends import error_inflation, no_blends, resolve_blends
from jwst_hpastrom.measure.bundles import Cutouts, Stars
from jwst_hpastrom.measure.stack import Field
from jwst_hpastrom.measure.tile import Tile, TileSettings


@pytest.fixture(scope="module")
def stack(scene):
    field = Field(scene.images, scene.library, scene.frame, 1000, True)
    return field.stack(field.cores[0])


def blank(stack, sources, seed=1):
    """Return a tile of nothing but the given sources (x, y, flux) and noise."""
    rng = np.random.default_rng(seed)
    stack.weight = np.full(stack.data.shape, 400.0, np.float32)
    stack.data = rng.normal(0, 0.05, stack.data.shape).astype(np.float32)
    tile = Tile(stack, TileSettings())
    tile.data[:] = stack.data
    for x, y, flux in sources:
        for e in range(tile.data.shape[0]):
            tile.data[e] += image(tile, e, x, y, flux)
    return tile


def image(tile, e, x, y, flux):
    (u,), (v,) = tile.stack.to_raw[e](np.array([x]), np.array([y]))
    u0, v0 = tile.stack.origin[e]
    jj, ii = np.mgrid[: tile.data.shape[1], : tile.data.shape[2]]
    place = np.full(ii.shape, u), np.full(ii.shape, v)
    return flux * tile.stack.zp[e] * tile.stack.libraries[0].evaluate(ii + u0 - u, jj + v0 - v, *place)


def center(stack):
    a, b, c, d = stack.core
    return 0.5 * (a + b), 0.5 * (c + d)


def test_a_blend_is_resolved_and_a_star_is_not(stack):
    x, y = center(stack)
    pair = ((x, y, 100.0), (x + 0.5, y + 0.5, 60.0))
    single = (x - 30.0, y + 8.0, 150.0)
    tile = blank(stack, (*pair, single))
    tile.subtract(
        *np.array([[x + 0.19, x - 30.0], [y + 0.19, y + 8.0], [160.0, 150.0]]),
    )
    tile.sweep(6)
    assert resolve_blends(tile, tile.solve()) == 1
    assert tile.x.size == 3
    order = np.argsort(tile.x)
    found = np.c_[tile.x, tile.y, tile.flux][order]
    np.testing.assert_allclose(found[1:, :2], np.array(pair)[:, :2], atol=0.03)
    np.testing.assert_allclose(found[1:, 2], [100.0, 60.0], rtol=0.1)
    assert tile.joint[order].tolist() == [False, True, True]
    # they stay apart afterwards, although closer than stars that are found one by one
    tile.sweep(6)
    tile.prune(tile.solve(), 5.0)
    assert tile.x.size == 3


def test_one_exposure_makes_no_blend(stack):
    """A cosmic ray beside a star is not a second star."""
    x, y = center(stack)
    tile = blank(stack, ((x, y, 100.0),))
    tile.data[2] += image(tile, 2, x + 0.6, y, 60.0)
    tile.subtract(np.array([x]), np.array([y]), np.array([100.0]))
    tile.sweep(6)
    tile.solve()
    assert resolve_blends(tile, tile.solve()) == 0


def residuals(p, tile, boxes):
    out = []
    for e, box in enumerate(boxes):
        model = sum(image(tile, e, *p[k : k + 3]) for k in (0, 3))
        out.append(((tile.data[e] - model)[box] * np.sqrt(tile.weight[e][box])).ravel())
    return np.concatenate(out)


def test_fit_of_two_and_errors_against_least_squares(stack):
    x, y = center(stack)
    truth = np.array([x, y, 100.0, x + 0.9, y - 0.4, 50.0])
    tile = blank(stack, truth.reshape(2, 3))
    px, py = tile.stack.positions(np.array([x]), np.array([y]))
    boxes = [
        np.s_[j - 3 : j + 4, i - 3 : i + 4]
        for i, j in zip(np.rint(px[0]).astype(int), np.rint(py[0]).astype(int), strict=True)
    ]
    peer = least_squares(residuals, truth, args=(tile, boxes), x_scale=[0.01, 0.01, 1.0] * 2)
    out, use = no_blends(1), np.ones(px.shape, bool)
    star = Stars(px, py, np.array([100.0]), use, use, np.zeros(1))
    # the cores take a star's own light for subtracted already: give them what they expect
    data = tile.data - np.array([image(tile, e, x, y, 100.0) for e in range(len(tile.data))])
    cutouts = Cutouts(data.astype(np.float32), tile.weight)
    _pair_kernels.split(cutouts, tile.exposures, star, tile.half, np.ones(1, bool), 0.6, out)
    ours = np.r_[np.roll(out.brighter[0], -1), np.roll(out.fainter[0], -1)] + [x, y, 0, x, y, 0]
    np.testing.assert_allclose(ours, peer.x, atol=2e-3, rtol=1e-3)
    assert out.chi2_two[0] == pytest.approx(2 * peer.cost, rel=1e-3)
    assert out.chi2_one[0] > out.chi2_two[0] + 100

    tile.subtract(*peer.x.reshape(2, 3).T)
    covariance = np.linalg.inv(peer.jac.T @ peer.jac)
    alone = np.linalg.inv(peer.jac[:, :3].T @ peer.jac[:, :3])
    expected = np.sqrt(np.diag(covariance)[:3] / np.diag(alone))
    np.testing.assert_allclose(error_inflation(tile)[0], expected[[2, 0, 1]], rtol=0.02)
    assert error_inflation(tile).min() >= 1
