"""Star lists -> matched, transformed, averaged: the master frame."""

from jwst_hpastrom.frame.colors import combine_filters
from jwst_hpastrom.frame.config import FrameConfig
from jwst_hpastrom.frame.errors import combine_errors, position_errors
from jwst_hpastrom.frame.filters import join_filters
from jwst_hpastrom.frame.master import MasterFrame, build_master
from jwst_hpastrom.frame.quality import rms_against_magnitude

__all__ = [
    "FrameConfig",
    "MasterFrame",
    "build_master",
    "combine_errors",
    "combine_filters",
    "join_filters",
    "position_errors",
    "rms_against_magnitude",
]
