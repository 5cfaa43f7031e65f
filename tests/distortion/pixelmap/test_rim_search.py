"""Finding the rims of voids in residuals."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import sparse

from jwst_hpastrom.distortion.pixelmap.rim_search import BIN, find_rims, least_gain, noisier_rims
from jwst_hpastrom.distortion.pixelmap.rim_weights import EliminatingWeights
from jwst_hpastrom.distortion.pixelmap.rims import COEFFICIENT, Rim

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


def alone(n, wide=(), error=ERROR):
    """Weights of stars that are in one exposure each and whose places are known."""
    none = sparse.csr_array((1, 2 * n))
    return EliminatingWeights(np.full(n, error**-2.0), none, none.T, wide)


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


def test_what_the_model_of_a_rim_leaves_is_no_rim():
    """Precise stars tell that a rim is wider here and there; a weak rim elsewhere is none of that."""
    rng, error = np.random.default_rng(0), 8e-4
    x, y = rng.uniform(0, 511, (2, 2500))
    strong, weak = VOIDS[0], replace(VOIDS[1], coefficients=0.003 * np.eye(2))
    wider = 0.1 * (np.arange(6) == 5)
    wide, narrow = (replace(strong, shape=strong.shape + v).at(x, y) for v in (wider, -wider))
    share = 0.5 * (1 + np.sin(2 * np.arctan2(y - 210, x - 330)))
    r = share * wide + (1 - share) * narrow + weak.at(x, y) + rng.normal(0, error, (2, x.size))
    found, _ = find_rims(x, y, r, alone(x.size, error=error), SHAPE)
    assert len(found) == 2
    for rim, true in zip(found, (weak, strong), strict=True):
        assert np.hypot(*(rim.shape[:2] - true.shape[:2])) < 6


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


def test_the_threshold_is_the_logarithm_of_the_number_of_trials():
    """A quarter of the pixels has a quarter of the middles; small detectors have no large voids."""
    whole, quarter = least_gain((2048, 2048)), least_gain((1024, 1024))
    assert whole - quarter == pytest.approx(np.log(4), abs=0.15)
    # noise: log evidence of one ellipse's terms exceeds g with a probability of exp(-g) at most
    assert np.exp(whole) > 2048**2


@pytest.mark.parametrize("error", [0.02, 0.03])
def test_errors_of_rims_that_are_not_seen(error):
    """Where rims may be that noise hides, what is left of the displacement is as large as is said."""
    along = BIN * (np.arange(64) + 0.5) - 0.5
    at = [v.ravel() for v in np.meshgrid(along, along)]
    true, said, found = [], [], 0
    for seed in range(100, 120):
        rng = np.random.default_rng(seed)
        voids = [
            Rim(np.array([*rng.uniform(60, 450, 2), np.log(rng.uniform(30, 45)), rng.normal(0, 0.15),
                          rng.uniform(0, 3), np.log(0.3)]), (1,), rng.normal(0, COEFFICIENT, (2, 2)))
            for _ in range(3)
        ]  # fmt: skip
        x, y = rng.uniform(0, 511, (2, 2500))
        r = sum(v.at(x, y) for v in voids) + rng.normal(0, error, (2, x.size))
        rims, unseen = find_rims(x, y, r, alone(x.size, error=error), SHAPE)
        left = sum(v.at(*at) for v in voids) - sum((f.at(*at) for f in rims), np.zeros((2, 64 * 64)))
        variance = np.reshape(unseen.deviation**2, (2, -1))
        k = variance > np.quantile(variance, 0.95)
        true.append(np.mean(left[k] ** 2))
        said.append(np.mean(variance[k]))
        found += len(rims)
    assert 25 < found < 55  # of 60
    assert np.sqrt(np.mean(true) / np.mean(said)) == pytest.approx(1.0, abs=0.25)


def test_what_strong_rims_leave_is_no_rim_that_noise_hides():
    """Pieces of a rim that is no ellipse have evidence, but less than is asked for of further rims."""
    rng = np.random.default_rng(5)
    x, y = rng.uniform(0, 511, (2, 9000))
    void = Rim(np.array([256.0, 256.0, np.log(90.0), 0.1, 0.4, np.log(0.2)]), (1,), 0.04 * np.eye(2))
    r = void.at(x + 3.0 * np.sin(y / 15.0), y) + rng.normal(0, 0.002, (2, x.size))
    rims, unseen = find_rims(x, y, r, alone(x.size, error=0.002), SHAPE)
    assert len(rims) < 4
    assert np.sqrt(np.mean(unseen.deviation**2)) < 1e-5


def test_noisier_residuals_have_rims_that_differ_as_noise_makes_them():
    x, y, r = residuals(VOIDS)
    sets = noisier_rims(x, y, r, alone(x.size), SHAPE, rng=np.random.default_rng(4), number=4)
    best = np.array([min((v.shape for v in s), key=lambda f: np.hypot(*(f[:2] - VOIDS[0].shape[:2])))
                     for s in sets])  # fmt: skip
    assert len(best) == 4
    off = best[:, :2] - VOIDS[0].shape[:2]
    assert np.hypot(*off.T).max() < 12
    assert (off.std(0) > 0.1).all()
