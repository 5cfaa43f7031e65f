"""Pairs of star lists and a reference become a correction."""
