"""What a drift of the telescope's wavefront does to effective PSFs, and how far it has drifted."""

from jwst_hpastrom.epsf.wavefront.drift import (
    MOST_STARS,
    REACH,
    Drift,
    drift_of,
    field_equations,
    follow,
    solve_field,
)
from jwst_hpastrom.epsf.wavefront.given import warn_of_another_filter, warn_of_given
from jwst_hpastrom.epsf.wavefront.modes import LINEAR, Modes, modes_of
from jwst_hpastrom.epsf.wavefront.optics import MODES

__all__ = [
    "LINEAR", "MODES", "MOST_STARS", "REACH", "Drift", "Modes", "drift_of", "field_equations", "follow",
    "modes_of", "solve_field", "warn_of_another_filter", "warn_of_given",
]  # fmt: skip
