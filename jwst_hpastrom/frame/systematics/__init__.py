"""What a star's repeated measurements have in common, and their scatter therefore does not show."""

from jwst_hpastrom.frame.systematics.correction import correction_errors
from jwst_hpastrom.frame.systematics.detector import (
    DetectorErrors,
    curvature_error,
    detector_errors,
    same_places,
    shared_weight,
)
from jwst_hpastrom.frame.systematics.light import light_errors
from jwst_hpastrom.frame.systematics.profile import Profile
from jwst_hpastrom.frame.systematics.shared import SharedErrors

__all__ = [
    "DetectorErrors",
    "Profile",
    "SharedErrors",
    "correction_errors",
    "curvature_error",
    "detector_errors",
    "light_errors",
    "same_places",
    "shared_weight",
]
