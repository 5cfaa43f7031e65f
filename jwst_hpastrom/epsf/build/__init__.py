"""Effective PSFs from dithered exposures: the builder, its stages, and the perturbation of a library."""

from jwst_hpastrom.epsf.build.build import BuildResult, build_library
from jwst_hpastrom.epsf.build.config import BuildConfig
from jwst_hpastrom.epsf.build.fixed_sources import mark_fixed_sources

__all__ = ["BuildConfig", "BuildResult", "build_library", "mark_fixed_sources"]
