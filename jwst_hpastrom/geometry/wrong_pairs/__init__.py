"""Pairs of which some are wrong: which of them, by the evidence."""

from jwst_hpastrom.geometry.wrong_pairs.choices import Choice, likely_choices

__all__ = ["Choice", "likely_choices"]
