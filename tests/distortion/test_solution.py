"""Solutions against the invented truth, and what happens to bad input."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from astropy.table import Table

from jwst_hpastrom.distortion import solve_distortion
from jwst_hpastrom.distortion.pixelmap.held_out import NeighborResiduals, fit_structure, held_out_frame
from jwst_hpastrom.distortion.products.pixel_scale import smooth_area
from jwst_hpastrom.distortion.published import simulated_errors
from jwst_hpastrom.distortion.solve.iterative import fix_gauge, solve_polynomial
from jwst_hpastrom.distortion.solve.matching import match_reference
from jwst_hpastrom.distortion.solve.quality import quality_table
from jwst_hpastrom.errors import (
    DegenerateSolutionError,
    HPAstromError,
    MissingDataError,
    MixedExposuresError,
    NoOverlapError,
    NotEnoughStarsError,
    ParameterError,
)

SMALL = {"method": "iterative", "polynomial_cells": 12, "table_cells": 12, "n_nearest": 40}


@pytest.fixture(scope="module")
def solution(scene, tools):
    return solve_distortion(*scene, shape=tools.shape, **SMALL)


def test_the_truth_is_found(solution, tools):
    # catalog errors of 0.7 mas = 0.011 px per star dominate, as in the published way
    assert tools.true_rms(solution.correction) < 0.006


def test_stated_errors_are_of_the_true_size(solution, tools):
    x, y = np.meshgrid(*[np.arange(0, n, 8.0) for n in tools.shape])
    stated = np.sqrt(np.mean(np.square(solution.correction.error(x, y))))
    # two thirds of them are what cells and medians smooth away
    assert 0.8 < stated / tools.true_rms(solution.correction) < 1.2


def test_structure_of_one_axis_is_seen_with_its_size(solution):
    # a random field in x, 15 px wide, that no part of the solution followed
    pairs, transforms = solution.pairs, solution.transforms
    found = []
    for seed in range(4):
        rng = np.random.default_rng(seed)
        k, phase = rng.normal(0, 1 / 15.0, (2, 300)), rng.uniform(0, 2 * np.pi, 300)
        field = np.cos(np.outer(pairs.x, k[0]) + np.outer(pairs.y, k[1]) + phase).sum(1) / np.sqrt(150)
        r = rng.normal(0, 0.006, (2, len(pairs)))
        r[0] += 0.006 * field
        seen = NeighborResiduals(held_out_frame(pairs, transforms, r)).products(r)
        found.append(fit_structure(*seen)[0])
    x, y = np.mean(found, axis=0) / 0.006**2
    assert 0.6 < x < 1.5
    assert y < 0.2


def test_convergence_is_in_the_product(solution, caplog):
    table = quality_table(solution)
    for part in ("polynomial", "table"):
        assert table.meta[f"{part}_converged"] is True
        assert 0 <= table.meta[f"{part}_increment_px"] < 1e-3
        assert table.meta[f"{part}_iterations"] > 1
    with caplog.at_level("WARNING", logger="stpipe.hpastrom.distortion"):
        short = solve_polynomial(
            solution.pairs, n_cells=12, shape=solution.correction.shape, max_iterations=2
        )
    assert not short.converged
    assert "not converged" in caplog.text


def test_stars_on_the_limit_do_not_keep_the_polynomial_moving(tools):
    """Clipped anew in each iteration, they went in and out of sparse cells: 0.0002 px after 100 steps."""
    pairs = match_reference(*tools.make_lists(np.random.default_rng(2), n_stars=2000, n_side=2))
    found = solve_polynomial(pairs, n_cells=12, shape=tools.shape)
    assert found.increment < 1e-5
    assert found.iterations < 30
    assert tools.true_rms(found.correction) < 0.015


def test_exposures_matched_two_at_a_time_are_those_matched_alone(tools):
    lists, reference = tools.make_lists(np.random.default_rng(2), n_stars=2000, n_side=2)
    lists = lists[:3]
    whole = match_reference(lists, reference)
    for e, table in enumerate(lists):
        table.meta["filename"] = f"number_{e}"
        alone = match_reference([table], reference)
        for name in ("star", "x", "y", "u", "v", "mag"):
            found = getattr(whole, name)[whole.exposure == e]
            np.testing.assert_array_equal(found, getattr(alone, name))
    with pytest.raises(NotEnoughStarsError, match="number_0"):
        match_reference([t[:3] for t in lists], reference)


def test_errors_that_are_no_numbers_are_refused(solution):
    calls = []

    def broken(pairs):
        calls.append(1)
        found = solution.correction
        if len(calls) > 1:
            data = found.pixel_map.data.copy()
            data[100:140, 200:240] = np.nan
            found = replace(found, pixel_map=replace(found.pixel_map, data=data))
        return found

    solved = [SimpleNamespace(pairs=solution.pairs, correction=replace(solution.correction, pixel_map=None))]
    with pytest.raises(DegenerateSolutionError, match="no numbers"):
        simulated_errors(solved, solution.correction, broken, np.random.default_rng(1))


def test_residuals_get_smaller_stage_by_stage(solution):
    stages = solution.stages
    assert list(stages["stage"]) == ["before", "polynomial", "table", "pixel map"]
    assert stages["rms_x"][0] > 0.2 > 0.04 > stages["rms_x"][1] > stages["rms_x"][2]
    assert stages["internal_x"][1] > 1.3 * stages["internal_x"][2] > 0.006


def test_held_out_stars_are_not_fitted(scene, tools, solution):
    pairs = solution.pairs
    assert 0.07 < pairs.held_out.mean() < 0.13
    again = solve_distortion(*scene, shape=tools.shape, rng=np.random.default_rng(0), **SMALL)
    assert again.correction == solution.correction


def test_pixel_scale_without_velocity_aberration(solution, tools):
    meta = solution.pixel_scale.meta
    truth = SimpleNamespace(delta=tools.true_delta, shape=tools.shape, polynomial=None)
    expected = tools.scale * np.sqrt(smooth_area(truth))
    assert meta["pixel_scale_ideal"] == pytest.approx(expected, abs=3 * meta["pixel_scale_error"] + 1e-4)
    assert 0 < meta["pixel_scale_error"] < 5e-3
    factor = np.sqrt(np.cos(np.deg2rad(698 / 3600)))
    assert meta["pixel_scale"] == pytest.approx(factor * meta["pixel_scale_ideal"], rel=1e-12)


def test_gauges():
    a, b = np.array([0.3, 0.2, 1.0]), np.array([0.1, -0.5, 2.0])
    ca, cb = fix_gauge(a, b, "center")
    assert ca[0] + cb[1] == pytest.approx(0)
    assert ca[1] == pytest.approx(cb[0])
    ba, bb = fix_gauge(a, b, "bb10")
    assert ba[0] == pytest.approx(0)
    assert ba[1] == pytest.approx(0)
    # only a similarity was taken out
    for x, y in ((ca, cb), (ba, bb)):
        assert a[0] - x[0] == pytest.approx(b[1] - y[1])
        assert a[1] - x[1] == pytest.approx(-(b[0] - y[0]))
    with pytest.raises(ParameterError):
        fix_gauge(a, b, "other")


def test_mixed_filters_are_refused(scene):
    lists = [t.copy() for t in scene[0]]
    lists[2].meta["filter"] = "F150W"
    with pytest.raises(MixedExposuresError, match="F150W and F277W"):
        solve_distortion(lists, scene[1])


def test_a_catalog_of_another_field_is_refused(scene, tools):
    other = scene[1].copy()
    other["ra"] = other["ra"] + 1.0
    with pytest.raises(NoOverlapError, match="jw000"):
        solve_distortion(scene[0], other, shape=tools.shape)
    shuffled = scene[1].copy()
    rng = np.random.default_rng(1)
    shuffled["ra"], shuffled["dec"] = rng.permutation(shuffled["ra"]), rng.permutation(shuffled["dec"])
    with pytest.raises(HPAstromError, match="jw000"):
        solve_distortion(scene[0], shuffled, shape=tools.shape)


def test_a_corner_without_stars_is_refused(scene, tools):
    lists = [t[~((t["x"] > 380) & (t["y"] > 380))] for t in scene[0]]
    with pytest.raises(NotEnoughStarsError, match=r"x 384\.\.511, y 384\.\.511"):
        solve_distortion(lists, scene[1], shape=tools.shape)
    part = [t[(t["x"] < 250) & (t["y"] > 260)] for t in scene[0]]
    with pytest.raises(NotEnoughStarsError, match=r"all stars are in x \d+\.\.2\d\d, y 2.*subarrays alone"):
        solve_distortion(part, scene[1], shape=tools.shape)


def test_thirty_per_cent_mismatched_survive(scene, tools):
    solution = solve_distortion(tools.mismatched(scene[0]), scene[1], shape=tools.shape, **SMALL)
    assert tools.true_rms(solution.correction) < 0.0075


def test_missing_things_are_named(scene, tools):
    with pytest.raises(MissingDataError, match="no reference catalog"):
        solve_distortion(scene[0], None)
    with pytest.raises(ParameterError):
        solve_distortion(*scene, method="magic")
    for wrong in ({"degree": 0}, {"degree": 99}, {"n_nearest": 0}, {"table_cells": -1}):
        with pytest.raises(ParameterError, match=f"{next(iter(wrong))}={next(iter(wrong.values()))}"):
            solve_distortion(*scene, **wrong)
    with pytest.raises(NotEnoughStarsError):
        solve_distortion([], scene[1])
    lists = [t.copy() for t in scene[0]]
    lists[0].remove_column("ra")
    with pytest.raises(MissingDataError, match="jw000"):
        solve_distortion(lists, scene[1])
    few = [Table(t[:20], meta=t.meta) for t in scene[0]]
    with pytest.raises(NotEnoughStarsError, match="20 well-measured stars"):
        solve_distortion(few, scene[1])


def test_an_executor_changes_nothing(scene, tools, solution):
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(2) as pool:
        other = solve_distortion(*scene, shape=tools.shape, executor=pool, **SMALL)
    assert other.correction == solution.correction
