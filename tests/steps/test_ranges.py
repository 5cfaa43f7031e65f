"""Parameters out of their range: refused by name, before any work."""

import inspect
import re

import numpy as np
import pytest
from astropy.table import Table

from jwst_hpastrom.distortion import solve_distortion
from jwst_hpastrom.epsf import build_library, find_stars, fit_stars, measure_stars, perturb_library
from jwst_hpastrom.errors import ParameterError
from jwst_hpastrom.frame import build_master, combine_filters
from jwst_hpastrom.kinematics import bulk_motion, cluster_motion
from jwst_hpastrom.kinematics.dispersion import fit_dispersion, fit_isotropic
from jwst_hpastrom.measure import artificial_stars, measure_many
from jwst_hpastrom.motion import fit_epochs, two_epoch_motions
from jwst_hpastrom.motion.analysis.catalog_cuts import quality_cuts
from jwst_hpastrom.ranges import RANGES, documented
from jwst_hpastrom.steps import (
    DistortionRefineStep,
    EPSFBuildStep,
    EPSFFitStep,
    HPAstromPipeline,
    MasterFrameStep,
    ProperMotionStep,
)
from jwst_hpastrom.steps._ranges import check_ranges

STEPS = (EPSFBuildStep, EPSFFitStep, DistortionRefineStep, MasterFrameStep, ProperMotionStep)
FUNCTIONS = (
    solve_distortion, build_library, find_stars, fit_stars, measure_stars, perturb_library, build_master,
    combine_filters, bulk_motion, cluster_motion, fit_dispersion, fit_isotropic, artificial_stars,
    measure_many, quality_cuts, fit_epochs, two_epoch_motions,
)  # fmt: skip


def numbers(step):
    """Names of a Step's numeric parameters, with their kind."""
    found = {k: re.match(r"(float|integer)\(", str(v)) for k, v in step.load_spec_file().items()}
    return {k: float if v[1] == "float" else int for k, v in found.items() if v}


@pytest.mark.parametrize("step", STEPS)
def test_defaults_are_in_range(step):
    check_ranges(step())


@pytest.mark.parametrize("step", STEPS)
def test_what_is_out_of_range_is_refused_before_the_work(step, tmp_path):
    for name, kind in numbers(step).items():
        low, high = RANGES.get(name, (None, None))
        wrong = [float("nan"), float("inf")] if kind is float else []
        wrong += [] if low is None else [low - 1, high * 10]
        for value in wrong:
            made = step(output_dir=str(tmp_path / "none"))
            setattr(made, name, value)
            with pytest.raises(ParameterError, match=name):
                made.run("no_such_file.fits")
    assert not (tmp_path / "none").exists()


def test_every_range_is_of_a_parameter():
    known = {name for step in STEPS for name in numbers(step)}
    assert set(RANGES) - known <= {name for f in FUNCTIONS for name in inspect.signature(f).parameters}


@pytest.mark.parametrize("step", STEPS)
def test_words_that_are_no_choice_are_refused_before_the_work(step, tmp_path):
    for name, spec in step.load_spec_file().items():
        if str(spec).startswith("option"):
            made = step(output_dir=str(tmp_path / "none"))
            setattr(made, name, "typo")
            with pytest.raises(ParameterError, match=rf"{name}='typo', needed \w+.* or \w+"):
                made.run("no_such_file.fits")
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize(
    ("step", "parameters", "message"),
    [
        (EPSFFitStep, {"sky_inner": 9.0, "sky_outer": 5.0}, "sky_inner below sky_outer"),
        (EPSFFitStep, {"fit_box": 6}, "fit_box=6, needed an odd number from 3 to 21"),
        (EPSFFitStep, {"bad_bits": "typo"}, "bad_bits='typo'"),
        (ProperMotionStep, {"mag_min": -3.0, "mag_max": -7.0}, "mag_min below mag_max"),
        (ProperMotionStep, {"polygon": "1:2 typo"}, "polygon '1:2 typo'"),
        (MasterFrameStep, {"bad_bits": "typo"}, "bad_bits='typo'"),
    ],
)
def test_limits_and_texts_that_make_no_sense(step, parameters, message, tmp_path):
    with pytest.raises(ParameterError, match=message):
        step(output_dir=str(tmp_path / "none"), **parameters).run("no_such_file.fits")
    assert not (tmp_path / "none").exists()


def test_groups_of_epochs_by_what_no_list_has():
    n = 10
    lists = [
        Table({c: np.arange(n) + 10 * t for c in ("x", "y", "x_err", "y_err")}, meta={"epoch": t, "visit": 3})
        for t in (2012.0, 2014.0)
    ]
    with pytest.raises(ParameterError, match=r"group_by=typo, needed none, position_angle, .*epoch, visit"):
        fit_epochs(lists, Table(), group_by="typo")


@pytest.mark.parametrize("function", FUNCTIONS)
def test_functions_check_theirs_on_entry(function):
    """Nothing of what they work on is there: the check comes first."""
    kinds = inspect.signature(function).parameters.values()
    needed = [None for p in kinds if p.default is p.empty and p.kind is p.POSITIONAL_OR_KEYWORD]
    checked = 0
    for p in kinds:
        if p.kind is p.KEYWORD_ONLY and p.name in RANGES:
            for wrong in (float("nan"), RANGES[p.name][0] - 1, "typo"):
                with pytest.raises(ParameterError, match=f"{p.name}='?{wrong}"):
                    function(*needed, **{p.name: wrong})
            checked += 1
        elif documented(function).get(p.name, " ")[0].startswith("{"):
            with pytest.raises(ParameterError, match=f"{p.name}='typo', needed"):
                function(*needed, **{p.name: "typo"})
            checked += 1
    assert checked


def test_a_pipeline_checks_its_steps_first():
    pipeline = HPAstromPipeline()
    name = next(k for k, s in pipeline.step_defs.items() if s is MasterFrameStep)
    getattr(pipeline, name).exposure_sigma = -1.0
    with pytest.raises(ParameterError, match="exposure_sigma=-1"):
        pipeline.run("no_such_file.json")
