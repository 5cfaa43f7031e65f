"""The Steps; each is imported when it is asked for, so that ``strun`` starts fast."""

from jwst_hpastrom._lazy import lazy

__getattr__, __dir__, __all__ = lazy(
    __name__,
    {
        "epsf_build_step": ("EPSFBuildStep",),
        "epsf_fit_step": ("EPSFFitStep",),
        "distortion_refine_step": ("DistortionRefineStep",),
        "master_frame_step": ("MasterFrameStep",),
        "proper_motion_step": ("ProperMotionStep",),
        "hpastrom_pipeline": ("HPAstromPipeline",),
    },
)
