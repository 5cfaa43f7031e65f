"""Positions that the builder trusts more than its own fits: the stars of all exposures, averaged."""

from jwst_hpastrom.epsf.build.positions.averages import TELL_DISTORTION, Averager, Predictions
from jwst_hpastrom.epsf.build.positions.identification import POINTING, cross_identify, pointing_error
from jwst_hpastrom.epsf.build.positions.plane import plane_polynomial

__all__ = [
    "POINTING",
    "TELL_DISTORTION",
    "Averager",
    "Predictions",
    "cross_identify",
    "plane_polynomial",
    "pointing_error",
]
