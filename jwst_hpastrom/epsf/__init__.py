"""Effective PSFs: the library, its building and perturbation, and star finding and fitting with it."""

from jwst_hpastrom.epsf.detect import Detections, find_stars, sky_map
from jwst_hpastrom.epsf.fit import fit_stars
from jwst_hpastrom.epsf.image import Image
from jwst_hpastrom.epsf.library import EPSFLibrary
from jwst_hpastrom.epsf.passes import measure_stars

__all__ = ["Detections", "EPSFLibrary", "Image", "find_stars", "fit_stars", "measure_stars", "sky_map"]
