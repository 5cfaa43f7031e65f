"""Self-calibration over several epochs: stars move, which is neither noise nor distortion."""

from dataclasses import replace

import numpy as np
import pytest

from jwst_hpastrom.distortion import solve_distortion
from jwst_hpastrom.distortion.solve.design import Layout
from jwst_hpastrom.distortion.solve.iterative import exposure_transforms, solve_polynomial
from jwst_hpastrom.distortion.solve.matching import match_reference
from jwst_hpastrom.distortion.solve.problem import Problem
from jwst_hpastrom.distortion.solve.selfcal import solve_self
from jwst_hpastrom.distortion.solve.settings import PairMatching
from jwst_hpastrom.distortion.solve.star_frame import StarFrame
from jwst_hpastrom.errors import MissingDataError
from jwst_hpastrom.geometry import TangentPlane, fit_linear

YEARS = (-1.5, -0.2, 1.7)
#: dispersion of the motions, mas/yr
DISPERSION = 1.0


@pytest.fixture(scope="module")
def field(tools):
    """Three epochs of three rolls, nine exposures, whose stars move; a catalog that knows no motions."""
    rng = np.random.default_rng(5)
    lists, catalog = tools.make_lists(
        rng, n_stars=3000, rolls=(0.0, 97.0, 36.0), noise=0.003, catalog_error=0.0, motions=False, known=1.0
    )
    xi, eta = TangentPlane.from_meta(catalog.meta).from_sky(
        np.asarray(catalog["ra"]), np.asarray(catalog["dec"])
    )
    motion = rng.normal(0.0, DISPERSION / 1e3, (2, len(catalog)))
    for k, t in enumerate(lists):
        star = np.asarray(t["star"])
        to_pixels = fit_linear(xi[star], eta[star], np.asarray(t["x"]), np.asarray(t["y"])).transform.matrix
        dx, dy = to_pixels @ motion[:, star] * YEARS[k % 3]
        t["x"] += dx
        t["y"] += dy
        t.meta["epoch"] += YEARS[k % 3]
    catalog.remove_columns([c for c in catalog.colnames if c.startswith("pm")])
    return lists, catalog


@pytest.fixture(scope="module")
def epochs(field):
    return field[0]


def of_one_time(lists):
    """The same lists, as if they were of one epoch: the motions are noise."""
    out = [t.copy() for t in lists]
    for t in out:
        t.meta["epoch"] = 2022.0
    return out


def solved(lists, tools):
    matching = PairMatching(0.1, 0.05, 10.0, 0.1, 50, 0.2, 0.3).keywords()
    return solve_self(
        lists, rng=np.random.default_rng(0), degree=5, gauge="center", n_cells=12, shape=tools.shape,
        matching=matching,
    )  # fmt: skip


def test_motions_are_found_and_not_taken_for_distortion(epochs, tools):
    pairs, result = solved(epochs, tools)
    assert 1e3 * pairs.motion == pytest.approx(DISPERSION, rel=0.1)
    still, plain = solved(of_one_time(epochs), tools)
    assert still.motion == 0.0
    assert tools.true_rms(result.correction) < 0.8 * tools.true_rms(plain.correction)
    assert result.noise < 0.5 * plain.noise


def test_with_a_catalog_the_stars_move_as_well(field, tools):
    lists, catalog = field
    way = {
        "method": "joint",
        "shape": tools.shape,
        "polynomial_cells": 12,
        "table_cells": 12,
        "pixel_map": False,
    }
    moving = solve_distortion(lists, catalog, **way)
    assert 1e3 * moving.pairs.motion == pytest.approx(DISPERSION, rel=0.1)
    still = solve_distortion(of_one_time(lists), catalog, **way)
    assert still.pairs.motion == 0.0
    assert tools.true_rms(moving.correction) < 0.8 * tools.true_rms(still.correction)


def changing(lists, tools, rates):
    """The same lists with a detector whose scale and skews (pixels at the edge a year) change."""
    scale, stretch, skew = rates
    out = [t.copy() for t in lists]
    for k, t in enumerate(out):
        p, q = ((np.asarray(t[c]) - 255.0) / 256.0 * YEARS[k % 3] for c in "xy")
        # corrected = raw + what is found: a change of the correction moves the raw positions the other way
        t["x"] -= scale * p + stretch * p + skew * q
        t["y"] -= scale * q - stretch * q + skew * p
    return out


def test_a_change_of_scale_and_skew_with_time_is_found(epochs, tools):
    rates = np.array([2e-5 * 256, 0.005, -0.005])
    for true in (0 * rates, rates):
        _, result = solved(changing(epochs, tools, true), tools)
        assert np.all(np.abs(result.drift - true) < 3 * result.drift_error)
        assert np.all(result.drift_error < 0.002)
        assert tools.true_rms(result.correction) < 0.004


def test_two_epochs_tell_no_change_and_the_skew_is_kept(epochs, tools):
    pairs, result = solved([t for k, t in enumerate(epochs) if k % 3 < 2], tools)
    assert pairs.motion > 0
    assert result.drift.size == 0
    true = 0.4 - 0.4, 0.4 + 0.4  # of the linear terms: a10 - b01, a01 + b10
    a, b = result.correction.polynomial.a, result.correction.polynomial.b
    np.testing.assert_allclose((a[0] - b[1], a[1] + b[0]), true, atol=0.02)


@pytest.mark.parametrize("epoch", [None, np.nan])
def test_an_exposure_without_a_time_is_refused(epochs, tools, epoch):
    lists = [t.copy() for t in epochs]
    lists[4].meta["epoch"] = epoch
    with pytest.raises(MissingDataError, match=r"epoch (None|nan).*time of every exposure"):
        solved(lists, tools)


@pytest.fixture(scope="module")
def moving(scene):
    """Pairs with a catalog, of exposures given other times."""
    pairs = match_reference(*scene)
    metas = [m | {"epoch": m["epoch"] + YEARS[k % 3]} for k, m in enumerate(pairs.metas)]
    return replace(pairs, metas=metas, motion=0.3e-3)


def test_elimination_of_motions_equals_the_direct_solution(moving, tools):
    use = moving.fitted & (moving.star < 800)
    start = solve_polynomial(moving, n_cells=12, shape=tools.shape).correction
    layout = Layout(5, 6, len(moving.planes), True, tools.shape)
    problem = Problem(moving, start, exposure_transforms(moving, start), layout, use, 0.0656)
    weights = np.random.default_rng(2).uniform(0.5, 2, problem.r.shape) * 1e4
    star_weight = np.full_like(problem.star_variance, 1e-2)
    matrix = problem.normal(weights, star_weight)
    rhs = problem.right_side(problem.r, weights)
    matrix[np.diag_indices(layout.n)] += 1.0
    theta = np.linalg.solve(matrix, rhs)
    own = problem.stars_of(problem.r - problem.of_unknowns(theta), weights)
    assert own.shape == (problem.stars.size, 4)
    design = tools.design(problem)
    w = np.concatenate(weights)
    full = design.T @ (design * w[:, None])
    precision = np.c_[star_weight, np.full_like(star_weight, (0.0656 / 0.3e-3) ** 2)]
    full[np.diag_indices(len(full))] += np.r_[np.full(layout.n, 1.0), precision.ravel()]
    direct = np.linalg.solve(full, design.T @ (w * np.concatenate(problem.r)))
    np.testing.assert_allclose(theta, direct[: layout.n], atol=1e-7)
    np.testing.assert_allclose(own.ravel(), direct[layout.n :], atol=1e-7)


def test_residuals_about_moving_stars_know_no_motion(moving):
    rng = np.random.default_rng(3)
    transforms = _similarities(moving)
    weights = (np.full(len(moving), 1e8),) * 2
    frame = StarFrame(moving, transforms, weights, prior=False)
    place, motion = rng.normal(0, 0.01, (2, 2, len(moving.held_out)))
    sky = place[:, moving.star] + motion[:, moving.star] * moving.years[moving.exposure]
    m = frame.matrices[moving.exposure]
    r = np.stack([m[:, k, 0] * sky[0] + m[:, k, 1] * sky[1] for k in (0, 1)])
    many = np.bincount(moving.star)[moving.star] >= 4
    left = frame.about(r)
    assert np.abs(left[:, many]).max() < 0.02 * np.abs(r).max()
    still = StarFrame(replace(moving, motion=0.0), transforms, weights, prior=False)
    assert np.std(left[:, many]) < 0.05 * np.std(still.about(r)[:, many])
    assert np.all((frame.share >= still.share - 1e-12) & (frame.share <= 1 + 1e-9))


@pytest.mark.parametrize("motion", [0.0, 0.3e-3])
def test_residuals_about_stars_against_numpy(moving, motion):
    rng = np.random.default_rng(4)
    pairs = replace(moving, motion=motion)
    weights = rng.uniform(0.5, 2.0, len(pairs)) * 1e4 * (rng.random(len(pairs)) > 0.1)
    frame = StarFrame(pairs, _similarities(pairs), (weights, weights), prior=False)
    r = rng.normal(size=(2, len(pairs)))
    design = frame.basis if motion else np.ones((len(pairs), 1))
    matrices = frame.matrices[pairs.exposure]
    sky = np.linalg.solve(matrices, r.T[..., None])[..., 0]
    left = frame.about(r)
    for star in rng.choice(np.flatnonzero(np.bincount(pairs.star) >= 3), 20, replace=False):
        k = pairs.star == star
        d, w = design[k], weights[k]
        prior = np.diag([0.0, (frame.scale / motion) ** 2] if motion else [0.0])
        own = np.linalg.solve(d.T @ (d * w[:, None]) + prior, d.T @ (sky[k] * w[:, None]))
        expected = r[:, k] - np.einsum("nab,nb->an", matrices[k], d @ own)
        np.testing.assert_allclose(left[:, k], expected, rtol=1e-8, atol=1e-9)


def _similarities(pairs):
    return [
        fit_linear(pairs.u[k], pairs.v[k], pairs.x[k], pairs.y[k], parameters=4).transform
        for k in (pairs.exposure == e for e in range(len(pairs.planes)))
    ]
