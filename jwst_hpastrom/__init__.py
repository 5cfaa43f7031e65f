"""High-precision astrometry with JWST images.

Exposures become star lists, star lists become a master frame, master frames become motions; the ePSF and
the distortion are what each pass through the data improves.

``import jwst_hpastrom as hpa`` offers the sub-packages, the Steps and what people use most; all of it is
imported when it is first asked for.
"""

from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from jwst_hpastrom._compiled import find_cache
from jwst_hpastrom._lazy import lazy

find_cache(Path(__file__).parent)

try:
    __version__ = version("jwst_hpastrom")
except PackageNotFoundError:  # a source tree that was never installed
    __version__ = "0+unknown"

_PACKAGES = (
    "checks", "columns", "configuration", "distortion", "epsf", "errors", "frame", "geometry", "instrument",
    "io", "kinematics", "measure", "motion", "numerics", "plot", "ranges", "report", "simulation", "steps",
    "storage",
)  # fmt: skip
_NAMES = {
    "distortion": ("DistortionCorrection", "solve_distortion"),
    "epsf": ("EPSFLibrary", "GriddedEPSFModel", "Image", "build_library", "fit_stars", "measure_stars",
             "perturb_library"),
    "errors": ("HPAstromError",),
    "frame": ("MasterFrame", "build_master"),
    "io": ("Exposure", "query_gaia", "read_catalog", "read_distortion", "read_epoch_lists", "read_epsf",
           "read_exposure", "read_gaia", "read_star_list", "write_distortion", "write_stdgdc",
           "write_stdpsf"),
    "kinematics": ("fit_dispersion", "study_field"),
    "measure": ("artificial_stars", "measure_many"),
    "motion": ("fit_epochs", "two_epoch_motions"),
    "report": ("write_report",),
    "simulation": ("FieldConfig", "simulate_field", "write_field"),
    "steps": ("DistortionRefineStep", "EPSFBuildStep", "EPSFFitStep", "HPAstromPipeline", "MasterFrameStep",
              "ProperMotionStep"),
}  # fmt: skip

__getattr__, __dir__, __all__ = lazy(__name__, _NAMES, _PACKAGES)
