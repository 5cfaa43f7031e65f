"""Pairs of which some are wrong: which of them, by the evidence."""

from jwst_hpastrom.geometry.wrong_pairs._kernels import FEWEST, NEAREST
from jwst_hpastrom.geometry.wrong_pairs.choices import Choice, likely_choices
from jwst_hpastrom.geometry.wrong_pairs.mixture import mixed_fit
from jwst_hpastrom.geometry.wrong_pairs.two_kinds import larger_kind

__all__ = ["FEWEST", "NEAREST", "Choice", "larger_kind", "likely_choices", "mixed_fit"]
