"""Exposures: their pixels, their headers and the masks of their detectors."""

from jwst_hpastrom._lazy import lazy

__getattr__, __dir__, __all__ = lazy(
    __name__,
    {
        "exposure": ("Exposure", "exposure_root", "read_exposure"),
        "quality_bits": ("dq_bits",),
        "detector_mask": ("read_detector_mask", "write_detector_mask"),
    },
)
