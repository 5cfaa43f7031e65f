"""Facts of the imagers, once: detectors, sizes, scales, filters with wheels and wavelengths, EXP_TYPEs.

A new filter is one row of `INSTRUMENTS`, a new imager one entry; nothing else in the package knows them
(the simulation is of NIRISS).
Sizes, scales and reference points are those of the SIAF (pysiaf 0.29, PRDOPSSOC-075: NIS_CEN, NRCA1_FULL …
NRCB5_FULL, FGS1_FULL, FGS2_FULL, MIRIM_FULL); pivot wavelengths and widths are JDox's, for NIRISS the ones
that this package has always used.
"""

from dataclasses import dataclass, field
from typing import NamedTuple

__all__ = [
    "ALIASES", "FALL", "FRAME", "INSTRUMENTS", "SCALE_CHANGE", "WCS_ERROR", "Detector", "Filter",
    "Instrument",
]  # fmt: skip


class Filter(NamedTuple):
    """A filter: the values of FILTER and PUPIL that put it in the beam, pivot wavelength and width (µm)."""

    wheel: str | None
    pupil: str | None
    wavelength: float
    width: float


class Detector(NamedTuple):
    """A detector, in the science frame.

    ``shape`` (ny, nx); ``scale`` arcsec per pixel, nominal; ``v2 v3`` (arcsec), ``angle`` (degrees) and
    ``parity`` of the reference point, which lies at the 1-based pixel ``reference`` (x, y); ``stripes``: axis
    along which the amplifiers' stripes follow each other (None: outputs interleaved by columns);
    ``wavelengths`` (µm) that reach it.
    """

    shape: tuple
    scale: float
    v2: float
    v3: float
    angle: float
    parity: int = -1
    reference: tuple = (1024.5, 1024.5)
    stripes: str | None = "x"
    wavelengths: tuple = (0.0, 99.0)
    keywords: dict = {}  # noqa: RUF012 - read only; further keywords that its reference files need


@dataclass(frozen=True)
class Instrument:
    """An imager.

    Attributes
    ----------
    exp_type : str
        EXP_TYPE of its imaging.

    detectors, filters : dict
        `Detector` and `Filter` by the names of the header; without ``filters`` it has no wheels.

    open : tuple of str
        What the wheels may hold beside the filter: nothing that changes the image.

    unfiltered : str
        Name of the band where there are no wheels.

    light : `Filter` or None
        Of that band: from here models of the optics let stars tell it.
    """

    exp_type: str
    detectors: dict
    filters: dict = field(default_factory=dict)
    open: tuple = ()
    unfiltered: str = ""
    light: Filter | None = None


#: (ny, nx) of a HAWAII-2RG
FRAME = (2048, 2048)
#: mas an axis within a detector, of NIRISS's official distortion (JDox, NIRISS Imaging Calibration Status,
#: "relative astrometric accuracy within the detector"); taken for the other imagers as well
WCS_ERROR = 3.0
#: relative change of NIRISS's scale in twelve hours (Libralato et al. 2023, PASP 135, 034502, fig. 19)
SCALE_CHANGE = 5e-6
#: coefficients of what a WCS lacks go as this over the degree: those of NIRISS's flight polynomial (F150W) of
#: second to fifth degree are 0.62, 0.62, 0.29 and 0.23 pixel (RMS at the edge)
FALL = 3.0

_SHORT, _LONG = (0.6, 2.35), (2.35, 5.1)  # µm; NIRCam's dichroic is at 2.35


def _nrc(scale, v2, v3, angle, module, wavelengths=_SHORT):
    channel = "LONG" if wavelengths is _LONG else "SHORT"
    return Detector(FRAME, scale, v2, v3, angle, wavelengths=wavelengths,
                    keywords={"module": module, "channel": channel})  # fmt: skip


#: instruments by their name in INSTRUME: all facts about them that the package uses
INSTRUMENTS = {
    "NIRISS": Instrument(
        "NIS_IMAGE",
        {"NIS": Detector(FRAME, 0.0656, -291.141, -698.015, 0.56126717, stripes="y")},
        {
            "F090W": Filter("CLEAR", "F090W", 0.901, 0.194),
            "F115W": Filter("CLEAR", "F115W", 1.152, 0.226),
            "F140M": Filter("CLEAR", "F140M", 1.405, 0.142),
            "F150W": Filter("CLEAR", "F150W", 1.498, 0.338),
            "F158M": Filter("CLEAR", "F158M", 1.585, 0.198),
            "F200W": Filter("CLEAR", "F200W", 1.990, 0.464),
            "F277W": Filter("F277W", "CLEARP", 2.770, 0.715),
            "F356W": Filter("F356W", "CLEARP", 3.593, 0.914),
            "F380M": Filter("F380M", "CLEARP", 3.825, 0.206),
            "F430M": Filter("F430M", "CLEARP", 4.280, 0.210),
            "F444W": Filter("F444W", "CLEARP", 4.436, 1.100),
            "F480M": Filter("F480M", "CLEARP", 4.815, 0.298),
        },
        ("CLEAR", "CLEARP"),
    ),
    "NIRCAM": Instrument(
        "NRC_IMAGE",
        {
            "NRCA1": _nrc(0.0312, 120.576793, -527.501431, -0.55188201, "A"),
            "NRCA2": _nrc(0.0308, 119.740061, -459.784260, -0.20724878, "A"),
            "NRCA3": _nrc(0.0314, 51.946174, -527.927527, 0.28210395, "A"),
            "NRCA4": _nrc(0.0309, 52.359040, -459.901178, 0.10017832, "A"),
            "NRCALONG": _nrc(0.0629, 85.926560, -493.502537, -0.06338311, "A", _LONG),
            "NRCB1": _nrc(0.0307, -122.427986, -457.706754, 0.34481904, "B"),
            "NRCB2": _nrc(0.0312, -122.679933, -525.420878, 0.84655599, "B"),
            "NRCB3": _nrc(0.0309, -54.610778, -457.702913, -0.45164689, "B"),
            "NRCB4": _nrc(0.0313, -54.386704, -525.630307, -0.33826590, "B"),
            "NRCBLONG": _nrc(0.0630, -89.402822, -491.360126, 0.02319705, "B", _LONG),
        },
        {
            "F070W": Filter("F070W", "CLEAR", 0.704, 0.128),
            "F090W": Filter("F090W", "CLEAR", 0.901, 0.194),
            "F115W": Filter("F115W", "CLEAR", 1.154, 0.225),
            "F140M": Filter("F140M", "CLEAR", 1.404, 0.142),
            "F150W": Filter("F150W", "CLEAR", 1.501, 0.318),
            "F162M": Filter("F150W2", "F162M", 1.626, 0.168),
            "F164N": Filter("F150W2", "F164N", 1.644, 0.020),
            "F150W2": Filter("F150W2", "CLEAR", 1.671, 1.227),
            "F182M": Filter("F182M", "CLEAR", 1.845, 0.238),
            "F187N": Filter("F187N", "CLEAR", 1.874, 0.024),
            "F200W": Filter("F200W", "CLEAR", 1.990, 0.461),
            "F210M": Filter("F210M", "CLEAR", 2.093, 0.205),
            "F212N": Filter("F212N", "CLEAR", 2.120, 0.027),
            "F250M": Filter("F250M", "CLEAR", 2.503, 0.181),
            "F277W": Filter("F277W", "CLEAR", 2.786, 0.672),
            "F300M": Filter("F300M", "CLEAR", 2.996, 0.318),
            "F322W2": Filter("F322W2", "CLEAR", 3.247, 1.339),
            "F323N": Filter("F322W2", "F323N", 3.237, 0.038),
            "F335M": Filter("F335M", "CLEAR", 3.365, 0.347),
            "F356W": Filter("F356W", "CLEAR", 3.563, 0.787),
            "F360M": Filter("F360M", "CLEAR", 3.621, 0.372),
            "F405N": Filter("F444W", "F405N", 4.055, 0.046),
            "F410M": Filter("F410M", "CLEAR", 4.092, 0.436),
            "F430M": Filter("F430M", "CLEAR", 4.280, 0.228),
            "F444W": Filter("F444W", "CLEAR", 4.421, 1.024),
            "F460M": Filter("F460M", "CLEAR", 4.624, 0.228),
            "F466N": Filter("F444W", "F466N", 4.654, 0.054),
            "F470N": Filter("F444W", "F470N", 4.707, 0.051),
            "F480M": Filter("F480M", "CLEAR", 4.834, 0.303),
        },
        ("CLEAR",),
    ),
    "FGS": Instrument(
        "FGS_IMAGE",
        {
            "GUIDER1": Detector(FRAME, 0.0692, 206.407, -697.765, -1.24120427, stripes="y"),
            "GUIDER2": Detector(FRAME, 0.0688, 22.865, -699.280, 0.29148280, stripes="y"),
        },
        unfiltered="FGS",  # stpsf's name
        light=Filter(None, None, 2.15, 2.70),
    ),
    "MIRI": Instrument(
        "MIR_IMAGE",
        {"MIRIMAGE": Detector((1024, 1032), 0.1109, -453.34829, -373.667949, 4.83544897,
                              reference=(693.5, 512.5), stripes=None)},
        {
            "F560W": Filter("F560W", None, 5.635, 1.00),
            "F770W": Filter("F770W", None, 7.639, 1.95),
            "F1000W": Filter("F1000W", None, 9.953, 1.80),
            "F1130W": Filter("F1130W", None, 11.309, 0.73),
            "F1280W": Filter("F1280W", None, 12.810, 2.47),
            "F1500W": Filter("F1500W", None, 15.064, 2.92),
            "F1800W": Filter("F1800W", None, 17.984, 2.95),
            "F2100W": Filter("F2100W", None, 20.795, 4.58),
            "F2550W": Filter("F2550W", None, 25.365, 3.67),
        },
    ),
}  # fmt: skip

#: names that other software's files have for a detector; STDPSF files are named by camera where it has one
ALIASES = {
    "NRCA5": "NRCALONG", "NRCB5": "NRCBLONG", "NRCAL": "NRCALONG", "NRCBL": "NRCBLONG", "NIRISS": "NIS",
    "MIRI": "MIRIMAGE", "FGS1": "GUIDER1", "FGS2": "GUIDER2",
}  # fmt: skip
