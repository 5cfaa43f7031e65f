"""Files become arrays and tables, and back: exposures, associations, star lists, catalogs, reference files.

Only this package opens files.
"""

from jwst_hpastrom._lazy import lazy

__getattr__, __dir__, __all__ = lazy(
    __name__,
    {
        "association": (
            "Association",
            "read_association",
        ),
        "beams": ("read_beam",),
        "by_detector": ("file_for",),
        "catalogs": ("read_catalog",),
        "detector_mask": (
            "read_detector_mask",
            "write_detector_mask",
        ),
        "distortion_reference": (
            "correction_from_model",
            "read_distortion",
            "reference_meta",
            "refine_exposure_wcs",
            "write_distortion",
        ),
        "epochs": (
            "convert_flystar_list",
            "epoch_from_name",
            "read_epoch_list",
            "read_epoch_lists",
        ),
        "epsf_reference": (
            "EPSFModel",
            "read_epsf",
            "read_epsf_reference",
            "write_epsf_reference",
        ),
        "exposures": (
            "Exposure",
            "dq_bits",
            "exposure_root",
            "read_exposure",
        ),
        "gaia": (
            "convert_flystar_gaia",
            "read_gaia",
        ),
        "manifest_reading": ("read_manifest",),
        "gaia_archive": ("query_gaia",),
        "calibrations": ("Calibration", "find_calibrations"),
        "rest_lists": ("read_comparison", "read_points"),
        "products": (
            "Products",
            "find_products",
            "frame_residuals",
        ),
        "reading": ("read_table",),
        "regions": ("write_regions",),
        "star_lists": (
            "find_star_list",
            "read_star_list",
            "star_list_path",
        ),
        "stdgdc": (
            "convert_distortion",
            "read_stdgdc",
            "write_stdgdc",
        ),
        "stdpsf": (
            "check_normalization",
            "read_stdpsf",
            "write_stdpsf",
        ),
        "writing": (
            "atomic_path",
            "write_table",
        ),
    },
)
