"""What the pipeline hands on to its Steps: one table, read by the spec, by refusing and by handing on."""

import logging
import re
from contextlib import contextmanager

from jwst_hpastrom.errors import ParameterError

__all__ = ["handed_on", "without_defaults"]

log = logging.getLogger("stpipe.hpastrom.pipeline")

ALL = "hp_epsf_build", "hp_epsf_fit", "hp_distortion_refine", "hp_master_frame", "hp_proper_motion"


def _method(pipeline):
    """How distortions are solved; None where nothing tells one but what the Step is asked to try."""
    return "joint" if pipeline.reference_catalog else "self" if pipeline.gaia_catalog else None


#: Steps, their parameter, and what they have of it where no value is given to them: the pipeline's parameter
#: of that name, or a value. As elsewhere in the JWST pipeline a Step's own value wins.
OWN = (
    *((ALL, name, name) for name in ("workers", "scheduler", "memory", "on_error")),
    (ALL[:1], "resume", "resume"),
    (ALL[1:2], "mode", "mode"),
    (ALL[2:3], "few_stars", lambda pipeline: "refine"),
    (ALL[2:3], "method", _method),
    (ALL[4:], "degree", lambda pipeline: 1),  # between frames that have been corrected for distortion
)
#: Steps, their parameter, and the pipeline's, which is for all of them: they would not go together else
COMMON = (
    *((ALL, name, name) for name in ("force", "bad_bits", "detector_mask", "output_dir")),
    ((ALL[0], ALL[2], ALL[3]), "distortion_file", "distortion_file"),
    (ALL[:1], "start_epsf", "start_epsf"),
    (ALL[1:4], "epsf_file", "epsf_file"),
    (ALL[2:4], "reference_catalog", "reference_catalog"),
    (ALL[4:], "first_epoch", "reference_catalog"),
    (ALL[4:], "gaia_catalog", "gaia_catalog"),
)
#: what is set while the pipeline works
SET = "mode", "reference_catalog"
#: Steps that can be left out, and what makes up for them
LEFT_OUT = {"hp_epsf_build": "epsf_file", "hp_distortion_refine": None, "hp_proper_motion": None}


def _rows(table):
    for steps, name, common in table:
        for step in steps:
            yield step, name, common


def without_defaults(spec):
    """Let Steps' parameters have no default where the pipeline hands one on: None is the pipeline's.

    Parameters
    ----------
    spec : `configobj.ConfigObj`
        The pipeline's, changed.

    Returns
    -------
    `configobj.ConfigObj`
    """
    for step, name, _ in _rows(OWN):
        spec["steps"][step][name] = re.sub(r"default=.*\)$", "default=None)", spec["steps"][step][name])
    return spec


@contextmanager
def handed_on(pipeline):
    """Let Steps have what the pipeline hands on, and their own values again after the block.

    Parameters
    ----------
    pipeline : `~jwst_hpastrom.steps.HPAstromPipeline`

    Raises
    ------
    ParameterError
        A Step has a value of its own of what must be the same for all.
    """
    places = {(step, name) for step, name, _ in _rows((*OWN, *COMMON))}
    owners = [(getattr(pipeline, step), name) for step, name in places] + [(pipeline, n) for n in SET]
    before = [(owner, name, getattr(owner, name)) for owner, name in owners]
    try:
        _refuse(pipeline)
        _hand_on(pipeline)
        yield
    finally:
        for owner, name, value in before:
            setattr(owner, name, value)


def _refuse(pipeline):
    for step, name, common in _rows(COMMON):
        own = getattr(pipeline, step)
        value, default = getattr(own, name), _default(own, name)
        if str(value) not in (str(getattr(pipeline, common)), str(default)):
            raise ParameterError(
                f"{name}={value} of {step}", "what the whole pipeline uses",
                f"give --{common}={value}, without steps.{step}",
            )  # fmt: skip
    method = pipeline.hp_distortion_refine.method
    if not pipeline.reference_catalog and method not in (None, "self"):
        raise ParameterError(
            f"method={method} of hp_distortion_refine without reference_catalog", "a catalog",
            "give one, or steps.hp_distortion_refine.method=self",
        )  # fmt: skip
    for step in ALL:
        makes_up = LEFT_OUT.get(step, "")
        if getattr(pipeline, step).skip and makes_up is not None and not getattr(pipeline, makes_up, None):
            needed = f"{makes_up}, or this Step" if makes_up else "this Step, whose products others take"
            raise ParameterError(f"skip=True of {step}", needed, "leave skip out")


def _hand_on(pipeline):
    for step in ALL:
        getattr(pipeline, step).save_results = False  # Steps write their own products
    for step, name, common in _rows(OWN):
        own = getattr(pipeline, step)
        given, value = getattr(own, name), common(pipeline) if callable(common) else getattr(pipeline, common)
        if given is None:
            setattr(own, name, value)
        elif given != value:
            log.info("%s: %s=%s of its own, not %s", step, name, given, value)
        if name == "workers" and given:
            own.scheduler = own.scheduler or ""  # the pipeline's would take their place
    for step, name, common in _rows(COMMON):
        if name in ("force", "bad_bits", "detector_mask"):
            setattr(getattr(pipeline, step), name, getattr(pipeline, common))
    pipeline.mode = pipeline.hp_epsf_fit.mode


def _default(step, name):
    found = re.search(r"default=(.*)\)$", str(type(step).load_spec_file()[name]))
    return found[1].strip("'") if found else None
