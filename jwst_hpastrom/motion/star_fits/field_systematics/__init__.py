"""Systematics that the stars of a field share, and what they make of each star's motion and measurements."""
