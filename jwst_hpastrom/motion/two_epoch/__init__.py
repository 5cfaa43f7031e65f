"""Motions from two master frames (L23 section 6)."""

from jwst_hpastrom.motion.two_epoch.epochs import check_epochs
from jwst_hpastrom.motion.two_epoch.motions import TwoEpochMotions, two_epoch_motions

__all__ = ["TwoEpochMotions", "check_epochs", "two_epoch_motions"]
