"""Field positions between those of a grid: found where the ePSF bends, and only there."""

from types import SimpleNamespace

import numpy as np
import pytest

from jwst_hpastrom.epsf.build import BuildConfig
from jwst_hpastrom.epsf.build.bends import find_bends, twice_as_fine
from jwst_hpastrom.epsf.build.iterations import _choose_positions
from jwst_hpastrom.epsf.library import EPSFLibrary
from jwst_hpastrom.epsf.stamps.samples import BINS, RINGS, Samples, hat_weights, mean_residuals

N, OVERSAMPLING = 101, 4
NODES = np.linspace(0, 200, 3)
BENT = 6  # a new position of the 5 x 5, in column 1 and row 1


@pytest.fixture
def coarse():
    offset = (np.arange(N) - N // 2) / OVERSAMPLING
    psf = np.exp(-0.5 * np.add.outer(offset**2, offset**2) / 0.7**2) / (2 * np.pi * 0.7**2)
    return EPSFLibrary(np.repeat(psf[None], 9, 0), NODES, NODES, OVERSAMPLING).normalized()


def half_of_the_stars(rng, fine, bend, noise=0.005, n_stars=400):
    """Residuals as `grid_samples` gathers them, all grid points alike, of a bend and noise."""
    share = hat_weights((fine.x, fine.y), *rng.uniform(0, 200, (2, n_stars)))
    weight = 1 / noise**2
    residual = share @ bend.reshape(len(bend), -1)
    residual += rng.normal(0, noise, residual.shape)
    sum_wr = weight * (share.T @ residual).reshape(len(bend), N, N)
    sum_w = np.broadcast_to((weight * share.sum(0))[:, None, None], sum_wr.shape).copy()
    overlap = np.repeat((weight * share.T @ share)[None], RINGS, 0)
    histogram = np.zeros((RINGS, BINS))
    histogram[:, 7] = n_stars * 100
    return Samples(sum_wr, sum_w, overlap, histogram, np.zeros(n_stars), n_stars, 0)


def test_twice_as_fine_is_the_same_library(coarse):
    rng = np.random.default_rng(1)
    library = EPSFLibrary(rng.normal(0, 1, coarse.data.shape), [0, 60, 200], NODES, OVERSAMPLING)
    fine = twice_as_fine(library)
    np.testing.assert_array_equal(fine.x, [0, 30, 60, 130, 200])
    x, y, dx, dy = rng.uniform(-10, 210, (4, 50))
    dx, dy = 0.02 * dx, 0.02 * dy
    np.testing.assert_allclose(fine.evaluate(dx, dy, x, y), library.evaluate(dx, dy, x, y), atol=1e-12)


def bend_of(fine, strength):
    offset = (np.arange(N) - N // 2) / OVERSAMPLING
    bend = np.zeros_like(fine.data)
    bend[BENT] = strength * np.exp(-0.5 * np.add.outer((offset - 0.5) ** 2, offset**2) / 0.5**2)
    return bend


@pytest.mark.parametrize("strength", [0.0, 0.02])
@pytest.mark.parametrize("own", [True, False])
def test_bends_are_sought_where_polynomials_were_taken(coarse, strength, own):
    """Polynomials may reach all field positions; what is between these they do not tell."""
    rng, fine, config = np.random.default_rng(3), twice_as_fine(coarse), BuildConfig(grid=3)
    halves = [half_of_the_stars(rng, fine, bend_of(fine, strength)) for _ in range(2)]
    polynomials = SimpleNamespace(own=own)  # not own: a given library's, which may be finer already
    run = SimpleNamespace(
        it=config.bends_at, last_fitted=99, difference=polynomials, bends=None, halves=lambda *_: halves
    )
    found = _choose_positions(None, run, coarse, None, config)
    bent = own and strength > 0
    assert found.x.size == (5 if bent else 3)
    assert (run.difference is None) == bent


@pytest.mark.parametrize("strength", [0.0, 0.02])
def test_only_real_bends_are_found_and_solved(coarse, strength):
    rng = np.random.default_rng(2)
    fine = twice_as_fine(coarse)
    bend = bend_of(fine, strength)
    halves = [half_of_the_stars(rng, fine, bend) for _ in range(2)]
    bends = find_bends(halves, coarse, fine, 0.02, None)
    assert bool(bends) == (strength > 0)
    if not bends:
        return
    n_coarse = len(coarse.data)
    new = bends.basis[:, n_coarse:].argmax(0)
    clear = new[bends.penalty[0][n_coarse:] < 0.5]
    assert clear.tolist() == [BENT]
    data, total = fine.data.copy(), Samples.total(halves)
    for _ in range(6):  # the residuals that are left after each update
        left = Samples(**vars(total))
        moved = (data - fine.data).reshape(len(data), -1)
        left.sum_wr = total.sum_wr - (total.overlap[0] @ moved).reshape(data.shape)
        data += mean_residuals(left, 0.02, OVERSAMPLING, bends, data)
    offset = (np.arange(N) - N // 2) / OVERSAMPLING
    core = np.hypot(*np.meshgrid(offset, offset)) < 1.5
    error = (data - fine.data - bend)[:, core]
    assert np.sqrt(np.mean(error[BENT] ** 2)) < 0.2 * np.sqrt(np.mean(bend[BENT][core] ** 2))
    quiet = [k for k in new if k != BENT]
    plain = find_plain(total, fine)[:, core]
    assert np.sqrt(np.mean(error[quiet] ** 2)) < 0.7 * np.sqrt(np.mean(plain[quiet] ** 2))


def find_plain(samples, fine):
    """Noise of the fine grid's positions, all of them solved freely, where nothing bends."""
    return mean_residuals(samples, 0.02, OVERSAMPLING) * (np.arange(len(fine.data)) != BENT)[:, None, None]
