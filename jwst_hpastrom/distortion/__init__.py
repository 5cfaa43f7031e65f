"""Residuals become a correction, raw positions corrected ones, the correction a V2V3 transform."""

from jwst_hpastrom.distortion.model.correction import DistortionCorrection, pixel_area_magnitude
from jwst_hpastrom.distortion.model.error_model import ErrorModel
from jwst_hpastrom.distortion.model.parts import (
    PixelMapCorrection,
    PolynomialCorrection,
    TableCorrection,
    table_nodes,
)
from jwst_hpastrom.distortion.pixelmap.pixel_map import build_pixel_map
from jwst_hpastrom.distortion.products.filters import average_corrections, filter_differences
from jwst_hpastrom.distortion.products.official import FramePlacement, place_frame, to_v2v3
from jwst_hpastrom.distortion.products.pixel_scale import pixel_scale, pixel_scale_history
from jwst_hpastrom.distortion.solution import DistortionSolution, solve_distortion
from jwst_hpastrom.distortion.solve.matching import match_reference
from jwst_hpastrom.distortion.solve.pairs import Pairs, check_one_filter, select_stars
from jwst_hpastrom.distortion.solve.settings import DistortionConfig, Model, PairMatching

__all__ = [
    "DistortionConfig",
    "DistortionCorrection",
    "DistortionSolution",
    "ErrorModel",
    "FramePlacement",
    "Model",
    "PairMatching",
    "Pairs",
    "PixelMapCorrection",
    "PolynomialCorrection",
    "TableCorrection",
    "average_corrections",
    "build_pixel_map",
    "check_one_filter",
    "filter_differences",
    "match_reference",
    "pixel_area_magnitude",
    "pixel_scale",
    "pixel_scale_history",
    "place_frame",
    "select_stars",
    "solve_distortion",
    "table_nodes",
    "to_v2v3",
]
