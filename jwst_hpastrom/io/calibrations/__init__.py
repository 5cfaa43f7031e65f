"""Calibrations in files: effective PSFs and distortions, for the official pipeline and for hst1pass."""

from jwst_hpastrom._lazy import lazy

__getattr__, __dir__, __all__ = lazy(
    __name__,
    {
        "by_detector": ("file_for",),
        "found": ("Calibration", "find_calibrations"),
        "distortion_reference": (
            "correction_from_model",
            "read_distortion",
            "reference_meta",
            "write_distortion",
        ),
        "refined_wcs": ("refine_exposure_wcs",),
        "epsf_reference": ("EPSFModel", "read_epsf", "read_epsf_reference", "write_epsf_reference"),
        "conversion": ("convert_distortion",),
        "stdgdc": ("read_stdgdc", "write_stdgdc"),
        "stdpsf": ("check_normalization", "read_stdpsf", "write_stdpsf"),
    },
)
