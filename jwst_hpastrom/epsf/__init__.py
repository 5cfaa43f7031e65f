"""Effective PSFs: the library, its building and perturbation, and star finding and fitting with it."""

from jwst_hpastrom.epsf.image import Image
from jwst_hpastrom.epsf.library import EPSFLibrary

__all__ = ["EPSFLibrary", "Image"]
