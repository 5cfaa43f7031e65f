"""The joint solution and self-calibration against truth and against the direct solution."""

import numpy as np
import pytest
from astropy.table import Table
from scipy.linalg import cho_factor, cho_solve

from jwst_hpastrom.distortion import select_stars, solve_distortion
from jwst_hpastrom.distortion import solution as solution_module
from jwst_hpastrom.distortion.solve import problem as problem_module
from jwst_hpastrom.distortion.solve.design import Layout
from jwst_hpastrom.distortion.solve.iterative import exposure_transforms, solve_polynomial
from jwst_hpastrom.distortion.solve.joint import solve_joint
from jwst_hpastrom.distortion.solve.matching import match_reference
from jwst_hpastrom.distortion.solve.problem import Problem
from jwst_hpastrom.errors import DegenerateSolutionError, ParameterError
from jwst_hpastrom.storage import Store

SMALL = {"polynomial_cells": 12, "table_cells": 12, "amplifiers": 1}


@pytest.fixture(scope="module")
def pairs(scene):
    return match_reference(*scene)


@pytest.fixture(scope="module")
def start(pairs, tools):
    return solve_polynomial(pairs, n_cells=12, shape=tools.shape).correction


@pytest.fixture(scope="module")
def solution(scene, tools):
    return solve_distortion(*scene, method="joint", shape=tools.shape, **SMALL)


@pytest.mark.parametrize("dense", [0.0, np.inf])
def test_elimination_equals_the_direct_solution(pairs, start, tools, monkeypatch, dense):
    monkeypatch.setattr(problem_module, "DENSE", dense)
    monkeypatch.setattr(problem_module, "BLOCK", 1000)  # several blocks
    use = pairs.fitted & (pairs.star < 800)
    layout = Layout(5, 6, len(pairs.planes), False, tools.shape)
    problem = Problem(pairs, start, exposure_transforms(pairs, start), layout, use, 0.0656)
    rng = np.random.default_rng(2)
    weights = rng.uniform(0.5, 2, problem.r.shape) * 1e4
    star_weight = 1.0 / problem.star_variance
    matrix = problem.normal(weights, star_weight)
    rhs = problem.right_side(problem.r, weights)
    matrix[np.diag_indices(layout.n)] += 1.0
    theta = np.linalg.solve(matrix, rhs)
    stars = problem.stars_of(problem.r - problem.of_unknowns(theta), weights)
    # all unknowns at once
    design = tools.design(problem)
    w = np.concatenate(weights)
    full = design.T @ (design * w[:, None])
    full[np.diag_indices(len(full))] += np.r_[np.full(layout.n, 1.0), star_weight.ravel()]
    direct = np.linalg.solve(full, design.T @ (w * np.concatenate(problem.r)))
    np.testing.assert_allclose(theta, direct[: layout.n], atol=1e-8)
    np.testing.assert_allclose(stars.ravel(), direct[layout.n :], atol=1e-8)
    inverse = cho_solve(cho_factor(full), np.eye(len(full)))[: layout.n, : layout.n]
    np.testing.assert_allclose(np.linalg.inv(matrix), inverse, rtol=1e-5, atol=1e-10)
    sizes = [part.pairs.stop - part.pairs.start for part in problem.parts]
    assert len(sizes) > 2
    assert max(sizes) <= 1000
    assert sum(sizes) == problem.use.size


def test_joint_beats_the_published_way(scene, tools, solution):
    published = solve_distortion(
        *scene, method="iterative", shape=tools.shape, polynomial_cells=12, table_cells=12, n_nearest=40
    )
    true = tools.true_rms(solution.correction)
    assert true < 0.0035
    assert true < 0.8 * tools.true_rms(published.correction)


def test_stated_errors_are_of_the_true_size(solution, tools):
    x, y = np.meshgrid(*[np.arange(0, n, 8.0) for n in tools.shape])
    ex, ey = solution.correction.error(x, y)
    stated = np.sqrt(np.mean(ex**2 + ey**2) / 2)
    assert 0.6 < stated / tools.true_rms(solution.correction) < 1.5


def test_table_errors_without_map(pairs, start, tools):
    result = solve_joint(pairs, start, n_cells=12)
    assert np.all(result.correction.table.dx_err > 0)
    assert 0.0005 < np.median(result.correction.table.dx_err) < 0.006
    assert result.correction.table.count.sum() == pytest.approx(pairs.fitted.sum(), rel=0.05)
    assert result.noise < 0.012


def test_errors_go_the_way_of_the_pairs(pairs, start):
    result = solve_joint(pairs, start, n_cells=12)
    p, q = (pairs.x - 255) / 256, (pairs.y - 255) / 256
    r = np.stack([0.01 * p * q**2, -0.02 * p**2])
    shift = np.array([0.1, -0.2])[:, None] * (pairs.exposure == 3)  # an exposure's own: not the distortion's
    found, moved = result.of_errors(r + shift)
    left = r - np.stack(found.forward(pairs.x, pairs.y)) + np.stack([pairs.x, pairs.y]) + shift - moved
    use = pairs.fitted
    assert np.abs(left[:, use]).max() < 2e-4
    np.testing.assert_allclose(np.ptp(moved[:, use], 1), [0.1, 0.2], atol=0.02)


def test_mismatched_stars_do_not_matter(scene, tools):
    solution = solve_distortion(
        tools.mismatched(scene[0]), scene[1], method="joint", shape=tools.shape, **SMALL
    )
    assert tools.true_rms(solution.correction) < 0.006


def test_self_calibration_with_rolls(tools):
    rng = np.random.default_rng(5)
    lists, _ = tools.make_lists(rng, rolls=(0.0, 40.0, 80.0), dither=6.0, known=0.97)
    solution = solve_distortion(lists, None, method="self", shape=tools.shape, **SMALL)
    assert tools.true_rms(solution.correction) < 0.006
    assert solution.pixel_scale is None


def test_one_roll_names_what_it_cannot_determine(scene, tools):
    with pytest.raises(DegenerateSolutionError, match=r"a01\+b10, a10-b01"):
        solve_distortion(scene[0], None, method="self", shape=tools.shape, **SMALL)


def test_one_pointing_is_refused(scene, tools):
    same, rng = [scene[0][4].copy() for _ in range(4)], np.random.default_rng(1)
    for k, t in enumerate(same):  # four exposures, not one given four times
        t["x"] += rng.normal(0, 1e-3, len(t))
        t.meta["filename"] = f"repeat{k}_cal.fits"
    with pytest.raises(DegenerateSolutionError, match="undetermined"):
        solve_distortion(same, None, method="self", shape=tools.shape, **SMALL)
    with pytest.raises(DegenerateSolutionError, match="one exposure"):
        solve_distortion(same[:1], None, method="self", shape=tools.shape, **SMALL)


def test_joint_from_files_is_the_same(tmp_path, scene, pairs, start):
    with Store(0, tmp_path) as store:
        kept = match_reference(*scene, store=store)
        found = solve_joint(kept, start, n_cells=12, store=store)
        assert store.held == 0
        assert store.written > 0
        for name in ("x", "v", "star", "mag"):
            np.testing.assert_array_equal(getattr(kept, name), getattr(pairs, name))
        whole = solve_joint(pairs, start, n_cells=12)
        np.testing.assert_array_equal(found.covariance, whole.covariance)
        np.testing.assert_array_equal(found.weights, whole.weights)
        np.testing.assert_array_equal(found.correction.table.dx, whole.correction.table.dx)


def test_a_map_that_memory_does_not_hold_is_refused(tmp_path, scene, tools, monkeypatch):
    monkeypatch.setattr(solution_module, "solve_polynomial", None)  # before any work
    with Store(0, tmp_path, most=0.4e9) as store, pytest.raises(ParameterError, match="memory.*pixel map of"):
        solve_distortion(*scene, method="joint", shape=tools.shape, store=store, **SMALL)


def test_equations_that_memory_does_not_hold_are_refused(tmp_path, pairs, start):
    with Store(0, tmp_path, most=1e6) as store, pytest.raises(ParameterError, match=r"memory.*equations of"):
        solve_joint(pairs, start, n_cells=12, store=store)


@pytest.mark.parametrize("method", ["iterative", "self"])
def test_the_other_ways_keep_to_memory_or_are_refused(tmp_path, scene, tools, monkeypatch, method):
    def stop(*_, **__):
        raise StopIteration

    for module in ("published", "solve.selfcal"):
        monkeypatch.setattr(f"jwst_hpastrom.distortion.{module}.solve_polynomial", stop)
    lists, catalog = scene[0], None if method == "self" else scene[1]
    way = {"method": method, "shape": tools.shape, **SMALL}
    refused = pytest.raises(ParameterError, match=r"too little memory: .*in all exposures")
    with Store(0, tmp_path, most=1e6) as store, refused:
        solve_distortion(lists, catalog, store=store, **way)
    with Store(0, tmp_path) as store, pytest.raises(StopIteration):
        solve_distortion(lists, catalog, store=store, **way)
    assert store.held == 0
    assert store.written > 0


def test_faint_stars_may_have_the_qfit_of_their_noise():
    rng = np.random.default_rng(4)
    error = np.exp(rng.uniform(np.log(0.002), np.log(0.05), 2000))
    qfit = 3.2 * error * (1 + 0.12 * rng.normal(size=2000))
    table = Table({"x": error, "y": error, "x_err": error, "y_err": 0.99 * error, "qfit": qfit})
    blends = rng.choice(2000, 200, replace=False)
    table["qfit"][blends] += 0.15
    good = select_stars(table)
    assert not good[blends].any()
    assert good[np.setdiff1d(np.arange(2000), blends)].mean() > 0.995
    assert (np.asarray(table["qfit"])[good] >= 0.1).sum() > 250
    few = select_stars(table[:15])  # too few to tell
    np.testing.assert_array_equal(few, table["qfit"][:15] < 0.1)
