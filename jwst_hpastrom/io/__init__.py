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
        "exposures.beams": ("read_beam",),
        "calibrations.by_detector": ("file_for",),
        "tables.catalogs": ("read_catalog",),
        "exposures.detector_mask": (
            "read_detector_mask",
            "write_detector_mask",
        ),
        "calibrations.distortion_reference": (
            "correction_from_model",
            "read_distortion",
            "reference_meta",
            "write_distortion",
        ),
        "calibrations.refined_wcs": ("refine_exposure_wcs",),
        "tables.epochs": (
            "convert_flystar_list",
            "epoch_from_name",
            "read_epoch_list",
            "read_epoch_lists",
        ),
        "calibrations.epsf_reference": (
            "EPSFModel",
            "read_epsf",
            "read_epsf_reference",
            "write_epsf_reference",
        ),
        "exposures.exposure": (
            "Exposure",
            "exposure_root",
            "read_exposure",
        ),
        "exposures.quality_bits": ("dq_bits",),
        "gaia.table": (
            "convert_flystar_gaia",
            "read_gaia",
        ),
        "files.manifest_reading": ("read_manifest",),
        "gaia.archive": ("query_gaia",),
        "calibrations.found": ("Calibration", "find_calibrations"),
        "tables.rest_lists": ("read_comparison", "read_points"),
        "products": (
            "Products",
            "find_products",
            "frame_residuals",
        ),
        "tables.reading": ("read_table",),
        "tables.regions": ("write_regions",),
        "tables.star_lists": (
            "find_star_list",
            "read_star_list",
            "star_list_path",
        ),
        "calibrations.conversion": ("convert_distortion",),
        "calibrations.stdgdc": (
            "read_stdgdc",
            "write_stdgdc",
        ),
        "calibrations.stdpsf": (
            "check_normalization",
            "read_stdpsf",
            "write_stdpsf",
        ),
        "files.writing": (
            "atomic_path",
            "write_table",
        ),
    },
)
