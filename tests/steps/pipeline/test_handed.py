"""What a Step of the pipeline is given is honored or refused by name, however it is given."""

import asdf
import pytest
from jwst.stpipe import Step

from jwst_hpastrom.errors import ParameterError
from jwst_hpastrom.io.association import Association
from jwst_hpastrom.steps import HPAstromPipeline, MasterFrameStep
from jwst_hpastrom.steps.pipeline.handed import OWN, handed_on
from jwst_hpastrom.steps.pipeline.run import Run

pytestmark = pytest.mark.usefixtures("offline")

#: the pipeline's values, a Step, and its own
HONORED = [
    ({"workers": 4}, "hp_epsf_fit", {"workers": 1}),
    ({"workers": 4}, "hp_epsf_build", {"memory": "9GB"}),
    ({}, "hp_epsf_fit", {"mode": "isolated"}),
    ({"mode": "isolated"}, "hp_epsf_fit", {"mode": "catalog"}),
    ({"on_error": "skip"}, "hp_master_frame", {"on_error": "fail"}),
    ({}, "hp_epsf_build", {"resume": True}),
    ({"reference_catalog": "c.ecsv"}, "hp_distortion_refine", {"few_stars": "fail"}),
    ({"reference_catalog": "c.ecsv"}, "hp_distortion_refine", {"method": "iterative"}),
    ({}, "hp_distortion_refine", {"method": "self"}),
    ({"gaia_catalog": "g.ecsv"}, "hp_proper_motion", {"degree": 3}),
    ({"reference_catalog": "c.ecsv"}, "hp_master_frame", {"mode": "many"}),
]
REFUSED = [
    ("hp_epsf_build", {"start_epsf": "mine.asdf"}, "give --start_epsf=mine.asdf"),
    ("hp_epsf_fit", {"epsf_file": "mine.fits"}, "give --epsf_file=mine.fits"),
    ("hp_master_frame", {"reference_catalog": "mine.fits"}, "give --reference_catalog"),
    ("hp_proper_motion", {"first_epoch": "mine.fits"}, "give --reference_catalog=mine.fits"),
    ("hp_proper_motion", {"gaia_catalog": "mine.fits"}, "give --gaia_catalog=mine.fits"),
    ("hp_epsf_fit", {"bad_bits": "DO_NOT_USE"}, "give --bad_bits=DO_NOT_USE"),
    ("hp_epsf_fit", {"force": True}, "give --force=True"),
    ("hp_epsf_fit", {"output_dir": "lists"}, "give --output_dir=lists"),
    ("hp_distortion_refine", {"method": "joint"}, "without reference_catalog"),
    ("hp_epsf_build", {"skip": True}, "needed epsf_file"),
    ("hp_master_frame", {"skip": True}, "whose products others take"),
]


def commanded(folder, common, step, own):
    held = []
    words = [f"--{k}={v}" for k, v in common.items()] + [f"--steps.{step}.{k}={v}" for k, v in own.items()]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(HPAstromPipeline, "run", lambda self, *_: held.append(self))
        Step.from_cmdline(["calwebb_hpastrom", str(folder / "none_asn.json"), *words])
    return held[0]


def called(folder, common, step, own):
    return HPAstromPipeline(**common, steps={step: own})


def set_later(folder, common, step, own):
    pipeline = HPAstromPipeline(**common)
    for name, value in own.items():
        setattr(getattr(pipeline, step), name, value)
    return pipeline


def from_file(folder, common, step, own):
    name = f"jwst_hpastrom.steps.{HPAstromPipeline.step_defs[step].__name__}"
    tree = {
        "class": "jwst_hpastrom.steps.HPAstromPipeline", "name": "p", "parameters": common,
        "steps": [{"class": name, "name": step, "parameters": own}],
    }  # fmt: skip
    asdf.AsdfFile(tree).write_to(folder / "pars.asdf")
    return HPAstromPipeline.from_config_file(str(folder / "pars.asdf"))


def saved(folder, common, step, own):
    set_later(folder, common, step, own).export_config(folder / "saved.asdf")
    return HPAstromPipeline.from_config_file(str(folder / "saved.asdf"))


WAYS = [commanded, set_later, from_file, saved]


def every_way(cases):
    """All cases by one way, and one case by every way."""
    return [(called, *case) for case in cases] + [(way, *cases[0]) for way in WAYS]


@pytest.mark.parametrize(("given", "common", "step", "own"), every_way(HONORED))
def test_a_value_of_a_step_is_honored(given, common, step, own, tmp_path):
    pipeline = given(tmp_path, common, step, own)
    (name, value), mine = next(iter(own.items())), getattr(pipeline, step)
    mode = pipeline.mode
    for _ in range(2):  # a second run has the same
        with handed_on(pipeline):
            assert getattr(mine, name) == value
            for steps, shared, source in OWN:  # all others have the pipeline's
                for other in (s for s in steps if s != step and isinstance(source, str)):
                    assert getattr(getattr(pipeline, other), shared) == getattr(pipeline, source)
            assert pipeline.mode == pipeline.hp_epsf_fit.mode
        assert pipeline.mode == mode


def test_a_step_with_workers_of_its_own_does_not_go_to_the_scheduler():
    pipeline = called(None, {"scheduler": "tcp://host:1"}, "hp_epsf_fit", {"workers": 2})
    with handed_on(pipeline):
        assert not pipeline.hp_epsf_fit.scheduler
        assert pipeline.hp_epsf_build.scheduler == "tcp://host:1"


@pytest.mark.parametrize(("given", "step", "own", "told"), every_way(REFUSED))
def test_what_must_be_one_for_all_is_refused_by_name(given, step, own, told, tmp_path):
    pipeline = given(tmp_path, {}, step, own)
    with pytest.raises(ParameterError, match=f"{next(iter(own))}=.*{step}.*{told}"):
        pipeline.run(str(tmp_path / "none_asn.json"))


def test_stars_measured_anew_have_the_runs_own_epsf(tmp_path, monkeypatch):
    pipeline = called(None, {"output_dir": str(tmp_path)}, "hp_master_frame", {"mode": "many"})
    pipeline.limited = None
    monkeypatch.setattr(Run, "up_to_date", lambda *_: True)
    monkeypatch.setattr(MasterFrameStep, "sources", lambda *_: {})
    with handed_on(pipeline):
        Run(pipeline, Association("field", (), ""), {}).master(None, None)
        assert pipeline.hp_master_frame.epsf_file == str(tmp_path / "field_epsf.fits")
    assert pipeline.hp_master_frame.epsf_file is None
