"""Effective PSFs from dithered exposures: the builder, its stages, and the perturbation of a library."""

from jwst_hpastrom.epsf.build.build import BuildResult, build_library
from jwst_hpastrom.epsf.build.config import BuildConfig

__all__ = ["BuildConfig", "BuildResult", "build_library"]
