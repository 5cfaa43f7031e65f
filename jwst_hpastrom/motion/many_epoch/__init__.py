"""Motions from star lists of many epochs, in the frame of a reference catalog (H25)."""

from jwst_hpastrom.motion.many_epoch.epoch_table import EpochMotions
from jwst_hpastrom.motion.many_epoch.motions import fit_epochs

__all__ = ["EpochMotions", "fit_epochs"]
