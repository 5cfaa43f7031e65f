"""The Steps; each is imported when it is asked for, so that ``strun`` starts fast."""

from importlib import import_module

_HOMES = {
    "EPSFBuildStep": "epsf_build_step",
    "EPSFFitStep": "epsf_fit_step",
    "DistortionRefineStep": "distortion_refine_step",
    "MasterFrameStep": "master_frame_step",
    "ProperMotionStep": "proper_motion_step",
    "HPAstromPipeline": "hpastrom_pipeline",
}

__all__ = [
    "DistortionRefineStep",
    "EPSFBuildStep",
    "EPSFFitStep",
    "HPAstromPipeline",
    "MasterFrameStep",
    "ProperMotionStep",
]


def __getattr__(name):
    if name in _HOMES:
        return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__():
    return sorted([*globals(), *_HOMES])
