"""Entry points: what stpipe and asdf ask for. Imports nothing heavy, since ``strun`` calls it every time."""

__all__ = ["get_resource_mappings", "get_steps"]


def get_steps():
    """Return the Steps as (class, alias, is_pipeline)."""
    return [
        ("jwst_hpastrom.steps.EPSFBuildStep", "hp_epsf_build", False),
        ("jwst_hpastrom.steps.EPSFFitStep", "hp_epsf_fit", False),
        ("jwst_hpastrom.steps.DistortionRefineStep", "hp_distortion_refine", False),
        ("jwst_hpastrom.steps.MasterFrameStep", "hp_master_frame", False),
        ("jwst_hpastrom.steps.ProperMotionStep", "hp_proper_motion", False),
        ("jwst_hpastrom.steps.HPAstromPipeline", "calwebb_hpastrom", True),
    ]


def get_resource_mappings():
    """Return the asdf resource mappings of the reference files' schemas."""
    from importlib.resources import files

    from asdf.resource import DirectoryResourceMapping

    root = files("jwst_hpastrom") / "io" / "schemas"
    return [
        DirectoryResourceMapping(
            root,
            "http://jwst-hpastrom.readthedocs.io/schemas/",
            recursive=True,
            filename_pattern="*.schema.yaml",
            stem_filename=True,
        )
    ]
