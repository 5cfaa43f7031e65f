"""Systematic errors of master positions: of the distortion, the detector's places, other stars' light."""

from jwst_hpastrom.frame.systematics.correction import correction_errors
from jwst_hpastrom.frame.systematics.curvature import curvature_error
from jwst_hpastrom.frame.systematics.detector import (
    DetectorErrors,
    detector_errors,
    same_places,
    shared_weight,
)
from jwst_hpastrom.frame.systematics.light import light_errors
from jwst_hpastrom.frame.systematics.shared import SharedErrors
from jwst_hpastrom.frame.systematics.spread import Profile, Spread
from jwst_hpastrom.frame.systematics.strains import Strains

__all__ = [
    "DetectorErrors",
    "Profile",
    "SharedErrors",
    "Spread",
    "Strains",
    "correction_errors",
    "curvature_error",
    "detector_errors",
    "light_errors",
    "same_places",
    "shared_weight",
]
