"""Finding the rims of voids in residuals."""

import numpy as np
import pytest
from scipy import sparse

from jwst_hpastrom.distortion.pixelmap.rim_search import find_rims
from jwst_hpastrom.distortion.pixelmap.rim_weights import EliminatingWeights
from jwst_hpastrom.distortion.pixelmap.rims import Rim

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


def alone(n, wide=()):
    """Weights of stars that are in one exposure each and whose places are known."""
    none = sparse.csr_array((1, 2 * n))
    return EliminatingWeights(np.full(n, ERROR**-2.0), none, none.T, wide)


def found_in(x, y, r, known=()):
    return find_rims(x, y, r, alone(x.size), SHAPE, known)[0]


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
    at = sparse.csr_array(columns)
    weights = alone(x.size, [(at, np.eye(2)), (at, np.eye(2)[:, :1])])
    left = weights @ np.concatenate([wave, 0 * x])
    assert np.abs(left).max() < 0.02 * ERROR**-2.0 * 0.03
    found, _ = find_rims(x, y, r + np.stack([wave, 0 * x]), weights, SHAPE)
    assert len(found) == 1
    assert np.hypot(*(found[0].shape[:2] - VOIDS[0].shape[:2])) < 6


@pytest.mark.parametrize("voids", [(), VOIDS[:1]])
def test_exposures_that_are_turned(voids):
    """Stars in two exposures a quarter of a turn apart, about their own means."""
    x, y, r = residuals(voids, n=4000)
    eye = sparse.identity(2000, format="csr")
    none = sparse.csr_array((2000, 2000))
    # residuals are (x1, x2, y1, y2): of the second exposure x is the first's y, and y minus the first's x
    spread = sparse.vstack(
        [sparse.hstack(v) for v in ((eye, none), (none, eye), (none, eye), (-eye, none))], format="csr"
    )
    wave = np.stack([0.04 * np.sin(2 * np.pi * x / 60), 0.04 * np.cos(2 * np.pi * y / 60)])
    columns = [0.02 * np.stack([np.sin(2 * np.pi * v / 60), np.cos(2 * np.pi * v / 60)], 1) for v in (x, y)]
    wide = [(sparse.csr_array(v), np.eye(2)) for v in columns]
    weights = EliminatingWeights(
        np.full(4000, ERROR**-2.0), spread.T * ERROR**-2.0, spread * (0.5 * ERROR**2), wide
    )
    found, _ = find_rims(x, y, r + wave, weights, SHAPE)
    assert len(found) == len(voids)
    for rim, true in zip(found, voids, strict=True):
        assert np.hypot(*(rim.shape[:2] - true.shape[:2])) < 8


@pytest.mark.parametrize("seed", range(4))
def test_few_residuals(seed):
    """Ellipses that hold too few are refused, whatever the refinement does there."""
    x, y, r = residuals(VOIDS, n=110, seed=seed)
    found_in(x, y, 3 * r)
