"""Causes that several checks name."""

__all__ = ["COS_DEC", "LARGE", "SHIFTED", "SMALL"]

SMALL, LARGE = "errors of the star lists that are too small", "errors of the star lists that are too large"
#: what is wrong with pmra where it is to be multiplied by this power of cos(dec)
COS_DEC = {1: "without the factor cos(dec)", -1: "with the factor cos(dec) twice"}
SHIFTED = "images of which a part is shifted: rows lost, doubled or moved, halves exchanged"
