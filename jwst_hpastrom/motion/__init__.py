"""Positions at epochs become proper motions, in the field's own frame or in Gaia's."""

from jwst_hpastrom.motion import kinematic_models
from jwst_hpastrom.motion.analysis.catalog_comparison import LinearMotions, compare_catalogs
from jwst_hpastrom.motion.analysis.catalog_cuts import CatalogCuts, apply_quality_cuts, quality_cuts
from jwst_hpastrom.motion.analysis.forecasts import extended_mass_motion, motion_error, transformation_error
from jwst_hpastrom.motion.analysis.frame_forecast import forecast_frame
from jwst_hpastrom.motion.analysis.frame_study import FrameStudy, FrameTerm, study_frame
from jwst_hpastrom.motion.analysis.rest_frame import RADIO_SGRA, RestPoint, at_rest, at_rest_table
from jwst_hpastrom.motion.analysis.systematics import compare_motions, motion_systematics
from jwst_hpastrom.motion.fast_search import FastSearch
from jwst_hpastrom.motion.gaia_frame.config import GaiaCuts, PlateModel, ReferenceRule
from jwst_hpastrom.motion.gaia_frame.frame_quality import FrameBias, JointTest, error_budget, joint_test
from jwst_hpastrom.motion.gaia_frame.frame_tie import EpochTie
from jwst_hpastrom.motion.gaia_frame.reference import ReferenceStars
from jwst_hpastrom.motion.many_epoch import EpochMotions, fit_epochs
from jwst_hpastrom.motion.many_epoch.config import EpochsConfig, Linking, Unknowns
from jwst_hpastrom.motion.many_epoch.linking import LinkedStars
from jwst_hpastrom.motion.selection import well_measured
from jwst_hpastrom.motion.star_fits.config import Context, FitMotionsConfig, Kinematics, ModelSearch
from jwst_hpastrom.motion.star_fits.models import MODEL_CODES, MODEL_SETS, MotionFits, fit_motions
from jwst_hpastrom.motion.two_epoch import TwoEpochMotions, two_epoch_motions
from jwst_hpastrom.motion.two_epoch.config import Matching, ReferenceCuts, Transformation, TwoEpochConfig

__all__ = [
    "MODEL_CODES",
    "MODEL_SETS",
    "RADIO_SGRA",
    "CatalogCuts",
    "Context",
    "EpochMotions",
    "EpochTie",
    "EpochsConfig",
    "FastSearch",
    "FitMotionsConfig",
    "FrameBias",
    "FrameStudy",
    "FrameTerm",
    "GaiaCuts",
    "JointTest",
    "Kinematics",
    "LinearMotions",
    "LinkedStars",
    "Linking",
    "Matching",
    "ModelSearch",
    "MotionFits",
    "PlateModel",
    "ReferenceCuts",
    "ReferenceRule",
    "ReferenceStars",
    "RestPoint",
    "Transformation",
    "TwoEpochConfig",
    "TwoEpochMotions",
    "Unknowns",
    "apply_quality_cuts",
    "at_rest",
    "at_rest_table",
    "compare_catalogs",
    "compare_motions",
    "error_budget",
    "extended_mass_motion",
    "fit_epochs",
    "fit_motions",
    "forecast_frame",
    "joint_test",
    "kinematic_models",
    "motion_error",
    "motion_systematics",
    "quality_cuts",
    "study_frame",
    "transformation_error",
    "two_epoch_motions",
    "well_measured",
]
