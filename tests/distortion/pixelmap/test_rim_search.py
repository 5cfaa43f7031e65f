"""Finding the rims of voids in residuals."""

import numpy as np
import pytest

from jwst_hpastrom.distortion.pixelmap._kernels import rim_evidence
from jwst_hpastrom.distortion.pixelmap.rim_search import find_rims, without
from jwst_hpastrom.distortion.pixelmap.rims import Rim, profile

ERROR = 0.012
SHAPE = (512, 512)
VOIDS = (
    Rim(np.array([330.0, 210.0, np.log(90.0), 0.15, 0.4, np.log(0.2)]), (1,), 0.03 * np.eye(2)),
    Rim(np.array([120.0, 380.0, np.log(45.0), -0.1, 1.2, np.log(0.25)]), (1,), 0.025 * np.eye(2)),
)


def residuals(voids, n=2500, seed=3):
    rng = np.random.default_rng(seed)
    x, y = rng.uniform(0, 511, (2, n))
    return x, y, sum((v.at(x, y) for v in voids), rng.normal(0, ERROR, (2, n)))


def found_in(x, y, r, known=()):
    w = np.full((2, x.size), ERROR**-2.0)
    return find_rims(x, y, r, lambda v: v * ERROR**-2.0, w, SHAPE, known)


def test_rims_are_found_where_they_are():
    x, y, r = residuals(VOIDS)
    found = found_in(x, y, r)
    assert len(found) == 2
    for rim in VOIDS:
        near = min(found, key=lambda f: np.hypot(*(f.shape[:2] - rim.shape[:2])))
        assert np.hypot(*(near.shape[:2] - rim.shape[:2])) < 8
        assert near.shape[2] == pytest.approx(rim.shape[2], abs=0.12)
    gx, gy = np.meshgrid(np.arange(4, 512, 8.0), np.arange(4, 512, 8.0))
    left = sum(f.at(gx.ravel(), gy.ravel()) for f in found) - sum(v.at(gx.ravel(), gy.ravel()) for v in VOIDS)
    assert left.std() < 0.0022  # of 0.0061


@pytest.mark.parametrize("seed", range(3))
def test_noise_has_none(seed):
    assert found_in(*residuals((), seed=seed)) == []


def test_what_is_no_longer_there_goes():
    x, y, r = residuals(VOIDS[:1])
    again = found_in(x, y, r, VOIDS)
    assert len(again) == 1
    assert np.hypot(*(again[0].shape[:2] - VOIDS[0].shape[:2])) < 6


def test_waves_are_no_rims():
    """What is eliminated as well is not taken for rims, and rims are found beside it."""
    x, y, r = residuals(VOIDS[:1])
    wave = 0.03 * np.sin(2 * np.pi * x / 120)
    columns = 0.02 * np.stack([np.sin(2 * np.pi * x / 120), np.cos(2 * np.pi * x / 120)], 1)
    w = np.full((2, x.size), ERROR**-2.0)
    weigh = without(lambda v: v * ERROR**-2.0, [columns, columns[:, :1]])
    assert np.abs(weigh(np.stack([wave, 0 * x]))[0]).max() < 0.02 * ERROR**-2.0 * 0.03
    found = find_rims(x, y, r + np.stack([wave, 0 * x]), weigh, w, SHAPE)
    assert len(found) == 1
    assert np.hypot(*(found[0].shape[:2] - VOIDS[0].shape[:2])) < 6


def test_elimination_where_weights_mix_the_axes():
    """Exposures turned against each other: a star's position takes x of one from y of another."""
    rng = np.random.default_rng(1)
    n, columns = 20, [rng.normal(size=(20, 3)), rng.normal(size=(20, 2))]
    half = rng.normal(size=(2 * n, 2 * n))
    weights = half @ half.T
    c = np.zeros((2 * n, 5))
    c[:n, :3], c[n:, 3:] = columns
    r, product = rng.normal(size=(2, n)), weights @ c
    expected = weights - product @ np.linalg.solve(np.eye(5) + c.T @ product, product.T)
    less = without(lambda v: (weights @ np.ravel(v)).reshape(2, n), columns)
    np.testing.assert_allclose(less(r).ravel(), expected @ r.ravel(), rtol=1e-3, atol=1e-3 * half.std())


@pytest.mark.parametrize("voids", [(), VOIDS[:1]])
def test_exposures_that_are_turned(voids):
    """Stars in two exposures a quarter of a turn apart, about their own means."""
    x, y, r = residuals(voids, n=4000)
    first, second = slice(0, 2000), slice(2000, 4000)

    def weigh(v):
        mean = 0.5 * (v[:, first] + np.stack([v[1, second], -v[0, second]]))
        out = v.copy()
        out[:, first] -= mean
        out[:, second] -= np.stack([-mean[1], mean[0]])
        return out * ERROR**-2.0

    wave = np.stack([0.04 * np.sin(2 * np.pi * x / 60), 0.04 * np.cos(2 * np.pi * y / 60)])
    columns = [0.02 * np.stack([np.sin(2 * np.pi * v / 60), np.cos(2 * np.pi * v / 60)], 1) for v in (x, y)]
    w = np.full((2, x.size), 0.5 * ERROR**-2.0)
    found = find_rims(x, y, r + wave, without(weigh, columns), w, SHAPE)
    assert len(found) == len(voids)
    for rim, true in zip(found, voids, strict=True):
        assert np.hypot(*(rim.shape[:2] - true.shape[:2])) < 8


@pytest.mark.parametrize("orders", [(1,), (0, 1, 3)])
def test_evidence_is_that_of_plain_linear_algebra(orders):
    rng, shape = np.random.default_rng(5), VOIDS[0].shape
    x, y = rng.uniform(0, 511, (2, 3000))
    left, weight, variance = rng.normal(0, 90, (2, 3000)), rng.uniform(4e3, 9e3, (2, 3000)), 0.02**2
    gain, strong = rim_evidence(shape, np.array(orders), 400.0, x, y, left, weight, variance)
    terms, expected = profile(shape, x, y, orders), 0.0
    for v, w in zip(left, weight, strict=True):
        right, whole = terms.T @ v, np.eye(terms.shape[1]) + variance * terms.T @ (w[:, None] * terms)
        expected += 0.5 * variance * right @ np.linalg.solve(whole, right) - 0.5 * np.linalg.slogdet(whole)[1]
    assert gain == pytest.approx(expected, rel=1e-4)
    assert strong == np.sum(np.abs(terms).max(1) > 0.3)


@pytest.mark.parametrize("seed", range(4))
def test_few_residuals(seed):
    """Ellipses that hold too few are refused, whatever the refinement does there."""
    x, y, r = residuals(VOIDS, n=110, seed=seed)
    found_in(x, y, 3 * r)
