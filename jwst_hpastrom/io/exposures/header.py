"""What an exposure's header says, and whether it can be true."""

import logging
from numbers import Real

from astropy import units as u

from jwst_hpastrom.errors import MissingDataError
from jwst_hpastrom.instrument import detector_of

__all__ = ["mid_time", "place_on_detector", "read_header"]

log = logging.getLogger("stpipe.hpastrom.io")

# metadata key -> (FITS keyword, path in a data model, needed)
_META = {
    "telescope": ("TELESCOP", "telescope", False),
    "instrument": ("INSTRUME", "instrument.name", True),
    "detector": ("DETECTOR", "instrument.detector", True),
    "filter_wheel": ("FILTER", "instrument.filter", False),
    "pupil": ("PUPIL", "instrument.pupil", False),
    "exp_type": ("EXP_TYPE", "exposure.type", True),
    "epoch": ("EXPMID", "exposure.mid_time", False),
    "epoch_start": ("EXPSTART", "exposure.start_time", False),
    "epoch_end": ("EXPEND", "exposure.end_time", False),
    "exposure_time": ("EFFEXPTM", "exposure.exposure_time", False),
    "n_groups": ("NGROUPS", "exposure.ngroups", False),
    "group_time": ("TGROUP", "exposure.group_time", False),
    "mjsr_per_dns": ("PHOTMJSR", "photometry.conversion_megajanskys", False),
    "va_scale": ("VA_SCALE", "velocity_aberration.scale_factor", False),
    "pixel_area_sr": ("PIXAR_SR", "photometry.pixelarea_steradians", False),
    "unit": ("BUNIT", "bunit_data", False),
    "resampled": ("S_RESAMP", "cal_step.resample", False),
    "flat": ("S_FLAT", "cal_step.flat_field", False),
    "xstart": ("SUBSTRT1", "subarray.xstart", False),
    "ystart": ("SUBSTRT2", "subarray.ystart", False),
    "xsize": ("SUBSIZE1", "subarray.xsize", False),
    "ysize": ("SUBSIZE2", "subarray.ysize", False),
    "fastaxis": ("FASTAXIS", "subarray.fastaxis", False),
    "noutputs": ("NOUTPUTS", "exposure.noutputs", False),
    "v2_ref": ("V2_REF", "wcsinfo.v2_ref", False),
    "v3_ref": ("V3_REF", "wcsinfo.v3_ref", False),
    "v3yangle": ("V3I_YANG", "wcsinfo.v3yangle", False),
    "vparity": ("VPARITY", "wcsinfo.vparity", False),
    "ra_ref": ("RA_REF", "wcsinfo.ra_ref", False),
    "dec_ref": ("DEC_REF", "wcsinfo.dec_ref", False),
    "roll_ref": ("ROLL_REF", "wcsinfo.roll_ref", False),
}
_TEXTS = (
    "telescope", "instrument", "detector", "filter_wheel", "pupil", "exp_type", "unit", "resampled", "flat",
)  # fmt: skip
LAUNCH = 59573.0  # of JWST, MJD
LATEST = 88069.0  # 2100 January 1: later MJDs are wrong keywords
DAY = 1.0  # that the middle of an exposure may lie outside of it: leap seconds, barycentric times
ABERRATION = 2e-4  # twice what velocities in the Solar System make of a scale
FIELD = 2000.0  # arcsec from the telescope's axis beyond which no detector looks
#: what numbers can be: of the ramp's charge, the pixels' scale, and where the telescope looked
_POSSIBLE = (
    dict.fromkeys(
        ("n_groups", "group_time", "mjsr_per_dns", "pixel_area_sr"), (lambda v: v >= 0, "0 or more")
    )
    | {"va_scale": (lambda v: abs(v - 1) < ABERRATION, "1 but for aberration")}
    | dict.fromkeys(("v2_ref", "v3_ref"), (lambda v: abs(v) < FIELD, "arcsec in the telescope's field"))
    | {"dec_ref": (lambda v: abs(v) <= 90, "-90 to 90 degrees"), "vparity": (lambda v: abs(v) == 1, "±1")}
    | dict.fromkeys(("ra_ref", "roll_ref", "v3yangle"), (lambda v: abs(v) <= 720, "degrees"))
)


def read_header(get, path):
    """Return the raw metadata; what is needed is there, and numbers are numbers.

    Parameters
    ----------
    get : callable
        Value of a FITS keyword, or of a path in a data model; None where it is not there.

    path : path-like
        For messages.

    Returns
    -------
    dict

    Raises
    ------
    MissingDataError
        A keyword is missing or makes no sense.
    """
    meta = {key: get(keyword, place) for key, (keyword, place, _) in _META.items()}
    missing = [_META[k][0] for k in _META if _META[k][2] and meta[k] is None]
    if missing:
        raise MissingDataError(
            f"no keyword {', '.join(missing)}",
            "the header of a JWST exposure",
            "use a _cal file of the pipeline",
            path,
        )
    for key in [k for k in _META if k not in _TEXTS]:
        if isinstance(meta[key], bool) or not isinstance(meta[key], Real | None):
            raise MissingDataError(f"{_META[key][0]} = {meta[key]!r}", "a number", "correct the header", path)
    for key, (possible, needed) in _POSSIBLE.items():
        if meta[key] is not None and not possible(meta[key]):
            raise MissingDataError(f"{_META[key][0]} = {meta[key]}", needed, "correct the header", path)
    meta["unit"] = "".join(str(meta["unit"] or "").split())  # blanks or none, it is one unit
    if u.Unit(meta["unit"], parse_strict="silent").is_equivalent(u.mag):
        raise MissingDataError(
            f"an image in {meta['unit']}", "light, not magnitudes", "take a _cal file", path
        )
    if not meta["unit"]:
        meta["unit"] = "MJy/sr"
        log.warning("%s: no BUNIT: its pixels are taken to be in MJy/sr, as those of _cal files", path)
    flat = meta.pop("flat")
    if flat != "COMPLETE" and (flat or "DN/S" in meta["unit"].upper()):  # a _rate file has no keyword
        log.warning(
            "%s: S_FLAT = %s, not COMPLETE: without a flat field positions and fluxes err; take a _cal file",
            path, flat,
        )  # fmt: skip
    return meta


def place_on_detector(meta, shape, path):
    """Return 1-based x and y of the first pixel on the detector; the subarray's size leaves ``meta``.

    Parameters
    ----------
    meta : dict
        From `read_header`.

    shape : (int, int)
        Rows and columns of the image.

    path : path-like
        For the error.

    Returns
    -------
    x, y : int

    Raises
    ------
    MissingDataError
        It is not known, off the detector, or that of an image of another size: pixels were cut off.
    """
    start, size = (meta["xstart"], meta["ystart"]), (meta.pop("xsize"), meta.pop("ysize"))
    row, found = detector_of(meta), " x ".join(str(n) for n in shape[::-1])
    if None not in size and tuple(size) != tuple(shape[::-1]):
        raise MissingDataError(
            f"SUBSIZE1, SUBSIZE2 = {size[0]}, {size[1]} of an image of {found} pixels",
            "the image as it was read out, or SUBSTRT1, SUBSTRT2, SUBSIZE1, SUBSIZE2 and a WCS of the part",
            "take the whole image: where a part lies on the detector decides its ePSF and distortion", path,
        )  # fmt: skip
    if start == (None, None) and (row is None or shape == row.shape):
        return 1, 1
    if None in start or min(start) < 1 or any(c != int(c) for c in start):
        raise MissingDataError(
            f"SUBSTRT1, SUBSTRT2 = {start[0]}, {start[1]} of an image of {found} pixels",
            "its place on the detector", "correct the header", path,
        )  # fmt: skip
    x, y = (int(c) for c in start)
    if row is not None and (x + shape[1] - 1 > row.shape[1] or y + shape[0] - 1 > row.shape[0]):
        raise MissingDataError(
            f"SUBSTRT1, SUBSTRT2 = {x}, {y} of an image of {found} pixels",
            f"a place on the detector of {row.shape[1]} x {row.shape[0]}", "correct the header", path,
        )  # fmt: skip
    return x, y


def mid_time(times, path):
    """Return EXPMID, or EXPSTART where there is none; None without either.

    Parameters
    ----------
    times : (float, float, float)
        EXPMID, EXPSTART and EXPEND, MJD; None where unknown.

    path : path-like
        For the error.

    Returns
    -------
    float or None

    Raises
    ------
    MissingDataError
        No MJD of a JWST exposure, or one that is not between start and end.
    """
    middle, start, end = times
    mjd = middle or start
    if mjd is not None and not LAUNCH < mjd < LATEST:
        raise MissingDataError(f"EXPMID = {mjd}", "the MJD of a JWST exposure", "correct the header", path)
    if middle and ((start and middle < start - DAY) or (end and middle > end + DAY)):
        raise MissingDataError(
            f"EXPMID = {middle}, EXPSTART = {start}, EXPEND = {end}", "the first between the others",
            "correct the header", path,
        )  # fmt: skip
    return mjd
