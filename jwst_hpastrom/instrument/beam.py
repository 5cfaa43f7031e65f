"""What an exposure was taken with, from its header; what is no image through a filter is refused by name."""

from typing import NamedTuple

from jwst_hpastrom.errors import MissingDataError, UnsupportedExposureError
from jwst_hpastrom.instrument.imagers import INSTRUMENTS, Instrument
from jwst_hpastrom.instrument.metadata import detector_name, keyword

__all__ = ["Beam", "identify"]


class Beam(NamedTuple):
    """What an exposure was taken with, see `identify`."""

    instrument: str
    detector: str
    filter: str


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
    "FINEGUIDE": "guiding", "AUTOFLAT": "a flat field", "AUTOWAVE": "a lamp", "BRIGHTOBJ": "a spectrum",
    "FIXEDSLIT": "a spectrum", "MSASPEC": "a spectrum", "IFU": "an integral-field unit",
    "MIMF": "a wavefront test", "MSATA": "a target acquisition", "TASLIT": "a target acquisition",
    "WATA": "a target acquisition", "CONFIRM": "a target acquisition", "VERIFY": "a calibration",
    "IMAGE": "imaging of another instrument",
}  # fmt: skip


def _element(name):
    kind = next((kind for start, kind in _ELEMENTS.items() if name.startswith(start)), None)
    return f"{name} ({kind})" if kind else name


def _imager(instrument, exp_type, force, file):
    """The instrument's row, or one without detectors and filters; what is no imaging is refused."""
    known = INSTRUMENTS.get(instrument)
    kinds = [i.exp_type for i in INSTRUMENTS.values()]
    if exp_type != known.exp_type if known else exp_type not in kinds:
        mode = _MODES.get(str(exp_type).partition("_")[2])
        other = exp_type in kinds
        raise UnsupportedExposureError(
            f"EXP_TYPE {exp_type}" + (f" of {instrument}" if other else f" ({mode})" if mode else ""),
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
    return known


def _detector(known, instrument, detector, force, file):
    """The detector's row; None for one that may be the instrument's all the same."""
    row = known.detectors.get(detector_name(detector))
    elsewhere = any(detector in i.detectors for i in INSTRUMENTS.values())
    if row is None and known.detectors and (elsewhere or not force):
        raise UnsupportedExposureError(
            f"DETECTOR {detector} of {instrument}", " or ".join(known.detectors), "correct the header", file
        )
    return row


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
    given = instrument, detector, exp_type, wheel, pupil
    instrument, detector, exp_type, wheel, pupil = map(keyword, given)
    known = _imager(instrument, exp_type or given[2], force, file)
    row = _detector(known, instrument, detector, force, file)
    if known.filters and not wheel:
        raise MissingDataError(
            "no keyword FILTER", "the header of a JWST exposure", "correct the header", file
        )
    detector = detector_name(detector) if row else detector  # one name in all products
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
