"""Parameters out of their range: refused by name, before any work."""

import re

import pytest

from jwst_hpastrom.errors import ParameterError
from jwst_hpastrom.steps import (
    DistortionRefineStep,
    EPSFBuildStep,
    EPSFFitStep,
    HPAstromPipeline,
    MasterFrameStep,
    ProperMotionStep,
)
from jwst_hpastrom.steps._ranges import RANGES, check_ranges

STEPS = (EPSFBuildStep, EPSFFitStep, DistortionRefineStep, MasterFrameStep, ProperMotionStep)


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
    assert set(RANGES) <= {name for step in STEPS for name in numbers(step)}


def test_a_pipeline_checks_its_steps_first():
    pipeline = HPAstromPipeline()
    name = next(k for k, s in pipeline.step_defs.items() if s is MasterFrameStep)
    getattr(pipeline, name).exposure_sigma = -1.0
    with pytest.raises(ParameterError, match="exposure_sigma=-1"):
        pipeline.run("no_such_file.json")
