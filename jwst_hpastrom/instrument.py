"""Facts of the imagers, once: detectors, sizes, scales, filters with wheels and wavelengths, EXP_TYPEs.

A new filter is one row of `INSTRUMENTS`, a new imager one entry; nothing else in the package knows them
(the simulation is of NIRISS).
Sizes, scales and reference points are those of the SIAF (pysiaf 0.29, PRDOPSSOC-075: NIS_CEN, NRCA1_FULL …
NRCB5_FULL, FGS1_FULL, FGS2_FULL, MIRIM_FULL); pivot wavelengths and widths are JDox's, for NIRISS the ones
that this package has always used.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from jwst_hpastrom.errors import MissingDataError, ParameterError, UnsupportedExposureError

__all__ = [
    "FRAME", "INSTRUMENTS", "Beam", "Detector", "Filter", "Instrument", "detector_of", "filter_of",
    "identify", "instrument_of", "nominal_scale", "pixel_mas", "shape_of", "stripes", "wheels",
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
    """

    exp_type: str
    detectors: dict
    filters: dict = field(default_factory=dict)
    open: tuple = ()
    unfiltered: str = ""


class Beam(NamedTuple):
    """What an exposure was taken with, see `identify`."""

    instrument: str
    detector: str
    filter: str


#: (ny, nx) of a HAWAII-2RG
FRAME = (2048, 2048)
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

#: what is no filter, by the beginning of its name in a wheel or at the end of an EXP_TYPE
_ELEMENTS = {
    "GR": "a grism", "GDHS": "a grism", "P750L": "a prism", "MASK": "a coronagraph",
    "F1065C": "a coronagraph",
    "F1140C": "a coronagraph", "F1550C": "a coronagraph", "F2300C": "a coronagraph",
    "NRM": "an aperture mask", "WL": "a weak lens", "FLAT": "a flat field", "PINHOLES": "a calibration mask",
    "OPAQUE": "no light", "FLENS": "a pupil lens", "FND": "a neutral-density filter",
}  # fmt: skip
_MODES = {
    "GRISM": "a grism", "WFSS": "a grism", "SOSS": "a grism", "TSGRISM": "a grism", "CORON": "a coronagraph",
    "4QPM": "a coronagraph", "LYOT": "a coronagraph", "CORONCAL": "a coronagraph",
    "DARK": "a dark", "DARKIMG": "a dark", "DARKALL": "a dark", "DARKMRS": "a dark",
    "AMI": "an aperture mask", "FLAT": "a flat field", "FLATIMAGE": "a flat field",
    "FLATIMAGE-EXT": "a flat field", "FLATMRS": "a flat field", "FLATMRS-EXT": "a flat field",
    "INTFLAT": "a flat field", "SKYFLAT": "a flat field", "LAMP": "a lamp", "LED": "a lamp",
    "MRS": "an integral-field unit", "LRS-FIXEDSLIT": "a prism", "LRS-SLITLESS": "a prism",
    "TACQ": "a target acquisition", "TACONFIRM": "a target acquisition", "TSIMAGE": "a time series",
    "FOCUS": "a focus test", "WFSC": "a wavefront test", "EXTCAL": "a calibration",
    "ID-IMAGE": "guiding", "ID-STACK": "guiding", "ACQ1": "guiding", "ACQ2": "guiding", "TRACK": "guiding",
    "FINEGUIDE": "guiding",
}  # fmt: skip


def _element(name):
    kind = next((kind for start, kind in _ELEMENTS.items() if name.startswith(start)), None)
    return f"{name} ({kind})" if kind else name


def _text(value):
    """A header's text in capitals; N/A and nothing are the same."""
    text = str(value or "").strip().upper()
    return "" if text in ("N/A", "NONE") else text


def identify(
    instrument: str | None, detector: str | None, exp_type: str | None, wheel: str | None, pupil: str | None,
    *, force: bool = False, file: str | None = None,
) -> Beam:  # fmt: skip
    """Return what an exposure was taken with, or say why it cannot be measured.

    Parameters
    ----------
    instrument, detector, exp_type, wheel, pupil : str or None
        INSTRUME, DETECTOR, EXP_TYPE, FILTER and PUPIL of the header.

    force : bool
        Accept an instrument, detector or filter that `INSTRUMENTS` has no row for.

    file : str, optional
        For messages.

    Returns
    -------
    `Beam`
        The filter is the one in the beam, from either wheel.

    Raises
    ------
    UnsupportedExposureError
        No imaging; a grism, coronagraph or mask in the beam; keywords that contradict each other; or no row.

    MissingDataError
        No filter in the beam.

    Examples
    --------
    >>> from jwst_hpastrom.instrument import identify
    >>> identify("NIRCAM", "NRCBLONG", "NRC_IMAGE", "F444W", "F405N").filter
    'F405N'
    """
    instrument, detector, exp_type, wheel, pupil = map(_text, (instrument, detector, exp_type, wheel, pupil))
    known = INSTRUMENTS.get(instrument)
    kinds = [i.exp_type for i in INSTRUMENTS.values()]
    if exp_type != known.exp_type if known else exp_type not in kinds:
        mode = _MODES.get(exp_type.partition("_")[2])
        other = exp_type in kinds
        raise UnsupportedExposureError(
            f"EXP_TYPE {exp_type}" + (f" ({mode})" if mode else "") + (f" of {instrument}" if other else ""),
            known.exp_type if known else ", ".join(kinds),
            "correct the header" if other else "only imaging can be measured", file,
        )  # fmt: skip
    if known is None:
        if not force:
            raise UnsupportedExposureError(
                f"imaging of {instrument}", " or ".join(INSTRUMENTS),
                "use --force=true to try it all the same", file,
            )  # fmt: skip
        known = Instrument(exp_type, {})
    row = known.detectors.get(ALIASES.get(detector, detector))
    elsewhere = any(detector in i.detectors for i in INSTRUMENTS.values())
    if row is None and known.detectors and (elsewhere or not force):
        raise UnsupportedExposureError(
            f"DETECTOR {detector} of {instrument}", " or ".join(known.detectors), "correct the header", file
        )
    if known.filters and not wheel:
        raise MissingDataError(
            "no keyword FILTER", "the header of a JWST exposure", "correct the header", file
        )
    detector = ALIASES.get(detector, detector) if row else detector  # one name in all products
    name = next((n for n in (pupil, wheel) if n[:1] == "F" and n[1:2].isdigit()), "")
    if known.unfiltered:  # no wheels: what FILTER says contradicts the instrument, or is only a name
        strange = [n for n in (wheel, pupil) if n and (n == name or _element(n) != n)]
        if strange and (strange != [name] or not force):
            raise UnsupportedExposureError(
                f"{' and '.join(map(_element, strange))} in the beam of {instrument}", "no filter",
                "correct the header", file,
            )  # fmt: skip
        return Beam(instrument, detector, name or known.unfiltered)
    strange = [n for n in (wheel, pupil) if n and n != name and n not in known.open]
    found = known.filters.get(name)
    if found:
        strange = [n for n in strange if n not in (found.wheel, found.pupil)]
    elements = [n for n in (wheel, pupil) if _element(n) != n]
    if elements or (strange and not force):
        raise UnsupportedExposureError(
            f"{' and '.join(map(_element, elements or strange))} in the beam", "a filter alone",
            "only imaging can be measured", file,
        )  # fmt: skip
    if not name:
        raise MissingDataError(
            f"FILTER {wheel or None} and PUPIL {pupil or None}", "a filter in one of them",
            "correct the header", file,
        )  # fmt: skip
    if found is None and known.filters and not force:
        raise UnsupportedExposureError(
            f"filter {name} of {instrument}", f"one of {', '.join(known.filters)}",
            "use --force=true to try it all the same", file,
        )  # fmt: skip
    if found and row and not row.wavelengths[0] <= found.wavelength <= row.wavelengths[1]:
        raise UnsupportedExposureError(
            f"filter {name} on {detector}", "light of {} to {} µm".format(*row.wavelengths),
            "correct the header", file,
        )  # fmt: skip
    return Beam(instrument, detector, name)


def detector_of(meta: Mapping[str, Any]) -> Detector | None:
    """Return the `Detector` of an exposure's or star list's metadata, or None where there is no row.

    Examples
    --------
    >>> from jwst_hpastrom.instrument import detector_of
    >>> detector_of({"instrument": "NIRCAM", "detector": "NRCB5"}).scale
    0.063
    """
    instrument, name = _text(meta.get("instrument")), _text(meta.get("detector"))
    rows = {n: d for key, i in INSTRUMENTS.items() if instrument in ("", key) for n, d in i.detectors.items()}
    if not name and instrument and len(rows) == 1:
        return next(iter(rows.values()))
    return rows.get(ALIASES.get(name, name))


def instrument_of(meta: Mapping[str, Any]) -> str:
    """INSTRUME of metadata, or that of their detector; NIRISS where they say neither.

    Examples
    --------
    >>> from jwst_hpastrom.instrument import instrument_of
    >>> instrument_of({"detector": "NRCB1"}), instrument_of({})
    ('NIRCAM', 'NIRISS')
    """
    name = _text(meta.get("detector"))
    owner = next((key for key, i in INSTRUMENTS.items() if ALIASES.get(name, name) in i.detectors), "NIRISS")
    return _text(meta.get("instrument")) or owner


def shape_of(meta: Mapping[str, Any]) -> tuple[int, int]:
    """Detector (ny, nx) of an exposure's metadata; that of most where there is no row.

    Examples
    --------
    >>> from jwst_hpastrom.instrument import shape_of
    >>> shape_of({"instrument": "NIRISS"}), shape_of({"instrument": "MIRI"})
    ((2048, 2048), (1024, 1032))
    """
    row = detector_of(meta)
    return row.shape if row else FRAME


def nominal_scale(meta: Mapping[str, Any]) -> float | None:
    """Nominal arcsec per pixel of an exposure's metadata, or None where there is no row.

    Examples
    --------
    >>> from jwst_hpastrom.instrument import nominal_scale
    >>> nominal_scale({"instrument": "NIRCAM", "detector": "NRCA1"})
    0.0312
    """
    row = detector_of(meta)
    return row.scale if row else None


def pixel_mas(meta: Mapping[str, Any]) -> float:
    """Nominal size of a detector pixel, mas, of metadata; NIRISS's where they do not tell.

    Examples
    --------
    >>> from jwst_hpastrom.instrument import pixel_mas
    >>> pixel_mas({"instrument": "nircam", "detector": "NRCB5"}), pixel_mas({})
    (63.0, 65.6)
    """
    scale = nominal_scale(meta) or nominal_scale({"instrument": "NIRISS"}) or float("nan")
    return round(1e3 * scale, 6)


def stripes(meta: Mapping[str, Any]) -> str | None:
    """Axis along which the amplifiers' stripes follow each other, "x" or "y": that of the fast read-out.

    From FASTAXIS where the metadata have it, else from the detector's row ("y" without one); None where the
    outputs are interleaved.

    Examples
    --------
    >>> from jwst_hpastrom.instrument import stripes
    >>> stripes({"instrument": "NIRCAM", "detector": "NRCB1"}), stripes({"fastaxis": -2})
    ('x', 'y')
    """
    row = detector_of(meta)
    if row and row.stripes is None:
        return None
    if meta.get("fastaxis"):
        return "x" if abs(int(meta["fastaxis"])) == 1 else "y"
    return row.stripes if row else "y"


def filter_of(name: str, instrument: str = "NIRISS") -> Filter:
    """Return the row of a filter.

    Raises
    ------
    ParameterError
        There is none.

    Examples
    --------
    >>> from jwst_hpastrom.instrument import filter_of
    >>> filter_of("F150W").wavelength
    1.498
    """
    known, name = INSTRUMENTS.get(_text(instrument)), _text(name)
    filters = known.filters if known else {}
    if name not in filters:
        raise ParameterError(f"filter {name} of {instrument}", f"one of {', '.join(filters)}")
    return filters[name]


def wheels(meta: Mapping[str, Any]) -> tuple[str | None, str | None]:
    """FILTER and PUPIL from the filter in the beam; without a row, as far as the metadata know them.

    Examples
    --------
    >>> from jwst_hpastrom.instrument import wheels
    >>> wheels({"instrument": "NIRCAM", "filter": "F405N"})
    ('F444W', 'F405N')
    """
    name = _text(meta.get("filter"))
    known = INSTRUMENTS.get(instrument_of(meta))
    if known and name in known.filters:
        return known.filters[name][:2]
    return (None if known and known.unfiltered else name), meta.get("pupil")
