"""Positions at epochs become proper motions, in the field's own frame or in Gaia's."""

from jwst_hpastrom.motion import kinematic_models
from jwst_hpastrom.motion.many_epoch import EpochMotions, fit_epochs
from jwst_hpastrom.motion.models import MODEL_CODES, MODEL_SETS, MotionFits, fit_motions
from jwst_hpastrom.motion.selection import well_measured
from jwst_hpastrom.motion.systematics import compare_motions, motion_systematics
from jwst_hpastrom.motion.two_epoch import TwoEpochMotions, two_epoch_motions

__all__ = [
    "MODEL_CODES",
    "MODEL_SETS",
    "EpochMotions",
    "MotionFits",
    "TwoEpochMotions",
    "compare_motions",
    "fit_epochs",
    "fit_motions",
    "kinematic_models",
    "motion_systematics",
    "two_epoch_motions",
    "well_measured",
]
