"""Effective PSFs: the library, its building and perturbation, and star finding and fitting with it."""

from jwst_hpastrom.epsf.build import BuildConfig, BuildResult, build_library
from jwst_hpastrom.epsf.build.perturb import PerturbResult, perturb_library
from jwst_hpastrom.epsf.detect import Detections, SkyMap, find_stars, sky_map
from jwst_hpastrom.epsf.exchange.given import as_image, as_library
from jwst_hpastrom.epsf.exchange.model import GriddedEPSFModel
from jwst_hpastrom.epsf.exchange.photutils_tables import (
    ab_magnitudes,
    from_photutils,
    to_init_params,
    to_photutils,
)
from jwst_hpastrom.epsf.fit import fit_stars
from jwst_hpastrom.epsf.image import Image
from jwst_hpastrom.epsf.library import EPSFLibrary
from jwst_hpastrom.epsf.passes import measure_stars
from jwst_hpastrom.epsf.star_config import StarFitConfig

__all__ = [
    "BuildConfig",
    "BuildResult",
    "Detections",
    "EPSFLibrary",
    "GriddedEPSFModel",
    "Image",
    "PerturbResult",
    "SkyMap",
    "StarFitConfig",
    "ab_magnitudes",
    "as_image",
    "as_library",
    "build_library",
    "find_stars",
    "fit_stars",
    "from_photutils",
    "measure_stars",
    "perturb_library",
    "sky_map",
    "to_init_params",
    "to_photutils",
]
