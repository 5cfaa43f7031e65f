"""The imagers: their facts (`INSTRUMENTS`), and what they say of an exposure."""

from jwst_hpastrom.instrument.beam import Beam, identify
from jwst_hpastrom.instrument.imagers import (
    ALIASES,
    FALL,
    FRAME,
    INSTRUMENTS,
    SCALE_CHANGE,
    WCS_ERROR,
    Detector,
    Filter,
    Instrument,
)
from jwst_hpastrom.instrument.metadata import (
    amplifiers,
    detector_name,
    detector_of,
    filter_of,
    instrument_of,
    nominal_scale,
    outputs,
    pixel_mas,
    shape_of,
    stripes,
    wheels,
)

__all__ = [
    "ALIASES",
    "FALL",
    "FRAME",
    "INSTRUMENTS",
    "SCALE_CHANGE",
    "WCS_ERROR",
    "Beam",
    "Detector",
    "Filter",
    "Instrument",
    "amplifiers",
    "detector_name",
    "detector_of",
    "filter_of",
    "identify",
    "instrument_of",
    "nominal_scale",
    "outputs",
    "pixel_mas",
    "shape_of",
    "stripes",
    "wheels",
]
