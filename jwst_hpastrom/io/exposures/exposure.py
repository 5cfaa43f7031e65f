"""Exposures: ``_cal``/``_crf`` files and in-memory data models become arrays, metadata and a WCS."""

import io
import logging
import re
import warnings
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asdf
import numpy as np
from astropy.io import fits
from astropy.time import Time
from astropy.utils.exceptions import AstropyUserWarning

from jwst_hpastrom import plot
from jwst_hpastrom._display import Displayed
from jwst_hpastrom.epsf.exchange.charge import ramp_charge
from jwst_hpastrom.epsf.image import Image
from jwst_hpastrom.errors import BadFileError, MissingDataError, UnsupportedExposureError
from jwst_hpastrom.instrument import ALIASES, INSTRUMENTS, identify
from jwst_hpastrom.io.exposures.detector_mask import read_detector_mask
from jwst_hpastrom.io.exposures.header import mid_time, place_on_detector, read_header
from jwst_hpastrom.io.exposures.parts import content_parts
from jwst_hpastrom.io.exposures.quality_bits import BAD_BITS, bad_pixels, dq_bits
from jwst_hpastrom.io.files.opening import check_asdf, check_fits, require_file
from jwst_hpastrom.io.files.unchanged import file_state, once

__all__ = ["Exposure", "exposure_root", "read_exposure", "read_image"]

log = logging.getLogger("stpipe.hpastrom.io")

ARRAYS = {"SCI": "data", "ERR": "err", "DQ": "dq", "VAR_POISSON": "var_poisson"}
_DETECTORS = "|".join(
    [*(d.lower() for i in INSTRUMENTS.values() for d in i.detectors), *map(str.lower, ALIASES)]
)
EXPOSURE_NAME = re.compile(rf"jw\d{{11}}_\d{{5}}_\d{{5}}(-seg\d+)?_({_DETECTORS})(?=[._]|$)")
SUFFIXES = re.compile(r"_(cal|([a-z]\d+_)?crf|hpcal|rate|master|tweakreg|[a-z0-9]+(step|pipeline))$")


@dataclass(frozen=True, eq=False)
class Exposure(Displayed):
    """One exposure in memory.

    Attributes
    ----------
    image : `~jwst_hpastrom.epsf.image.Image`

    name : str
        Root name, as ``jw01086004001_02101_00001_nis``.
    path : str
        File it came from, or its name where it was in memory.

    meta : dict
        filename, instrument, detector, filter (the one in the beam), pupil, epoch (Julian year of
        mid-exposure; TDB and UTC are not told apart), exposure_time (s), unit, mjsr_per_dns, va_scale,
        pixel_area_sr, xstart, ystart (1-based), fastaxis, noutputs, v2_ref, v3_ref, v3yangle, vparity,
        ra_ref, dec_ref, roll_ref.

    wcs : `~gwcs.WCS` or None

    parts : dict of str to str, optional
        Hashes of SCI, ERR, DQ, VAR_POISSON, WCS and metadata, as far as they are used; without
        ``detector_mask``.
    """

    image: Image
    name: str
    path: str
    meta: dict = field(default_factory=dict)
    wcs: Any = None
    parts: dict | None = None

    def __repr__(self):
        m, (ny, nx) = self.meta, self.image.shape
        what = " ".join(str(m[k]) for k in ("detector", "filter") if m.get(k))
        epoch = f", epoch {m['epoch']:.4f}" if m.get("epoch") else ""
        wcs = "" if self.wcs is not None else ", no WCS"
        return f"<{type(self).__name__} {self.name}: {what} {nx} x {ny} pixels{epoch}{wcs}>"

    def plot(self, stars: Any = None, ax: Any = None) -> Any:
        """Draw the pixels, see `jwst_hpastrom.plot.image`."""
        return plot.image(self, stars, ax)

    def to_sky(self, x: Any, y: Any) -> tuple[Any, Any]:
        """Raw pixels to right ascension and declination in degrees, through the exposure's WCS."""
        if self.wcs is None:
            raise MissingDataError(
                "no WCS", "an exposure that assign_wcs has run on", "run assign_wcs", self.path
            )
        return self.wcs(np.asarray(x, float), np.asarray(y, float), with_bounding_box=False)


def exposure_root(name: Any) -> str:
    """File name without folder, extension and what processing added (``_cal``, ``_a3001_crf``…).

    The name of an exposure of JWST ends with its detector; other names lose the suffixes known here.

    Examples
    --------
    >>> from jwst_hpastrom.io import exposure_root
    >>> exposure_root("data/jw01086004001_02101_00001_nis_a3001_crf.fits")
    'jw01086004001_02101_00001_nis'
    """
    stem = Path(name).name
    if found := EXPOSURE_NAME.match(stem):
        return found[0]
    for ext in (".gz", ".fits", ".asdf", ".ecsv"):
        stem = stem.removesuffix(ext)
    return SUFFIXES.sub("", stem)


def _from_fits(path, with_wcs=True):
    """Return SCI, ERR, DQ, VAR_POISSON, a metadata getter and, if wanted, the WCS of a FITS file."""
    require_file(path, "an existing exposure")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warnings.filterwarnings("error", message=".*truncated.*", category=AstropyUserWarning)
            content = check_fits(path)
            packed = isinstance(content, bytes)
            source = io.BytesIO(content) if packed else path
            with fits.open(source, memmap=False) as hdus:
                names = [h.name for h in hdus]
                last = hdus[-1].fileinfo()
                end = last["datLoc"] + last["datSpan"]
                length = source.getbuffer().nbytes if packed else Path(path).stat().st_size
                if length != end:  # astropy drops half a header in silence
                    raise OSError(f"{length} bytes, of which the extensions take {end}")
                headers = [hdus[0].header, *(h.header for h in hdus[1:] if h.name == "SCI")]
                twice = [n for n in ARRAYS if names.count(n) > 1]
                arrays = {n: hdus[n].data for n in ARRAYS if n in names}
                tree = hdus["ASDF"].data.tobytes() if with_wcs and "ASDF" in names else None
    except Exception as err:
        raise BadFileError(
            f"no FITS file, or a damaged one ({err})", "a readable _cal file", "fetch the file again", path
        ) from err
    if twice:
        raise BadFileError(
            f"{names.count(twice[0])} extensions {twice[0]}", "an image of one", "make a file of each", path
        )
    wcs = None
    if tree is not None:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                # Lazy, and left open: the tree's other arrays live in the FITS file, out of reach here.
                check_asdf(tree)
                tree = asdf.open(io.BytesIO(tree), memmap=False, validate_checksums=True).tree
                wcs = tree.get("meta", {}).get("wcs")
        except Exception as err:
            raise BadFileError(
                f"an ASDF extension that cannot be read ({err})",
                "the WCS of assign_wcs",
                "run assign_wcs again",
                path,
            ) from err

    def get(keyword, _):
        for header in reversed(headers):
            if keyword in header:
                try:
                    return header[keyword]
                except fits.VerifyError as err:
                    raise BadFileError(
                        f"a damaged header ({err})", f"keyword {keyword}", "fetch the file again", path
                    ) from err
        return None

    return arrays, get, wcs


def _from_model(model):
    def get(_, path):
        node = model.meta
        for part in path.split("."):
            node = getattr(node, part, None)
            if node is None:
                return None
        return node

    arrays = {}
    for name, attribute in ARRAYS.items():
        if model.hasattr(attribute) and getattr(model, attribute) is not None:
            arrays[name] = np.asarray(getattr(model, attribute))
    return arrays, get, getattr(model.meta, "wcs", None)


def _check_wcs(wcs, shape, path, needed=False):
    """Raise where a WCS cannot be called: tags of a newer gwcs become plain dictionaries, anywhere within."""
    if wcs is None:
        if needed:
            raise MissingDataError("no WCS", "an exposure that assign_wcs has run on", "run assign_wcs", path)
        return
    try:
        with np.errstate(all="ignore"):
            sky = wcs(np.array([shape[1] / 2.0]), np.array([shape[0] / 2.0]), with_bounding_box=False)
        if len(sky) != 2:
            raise ValueError(f"{len(sky)} coordinates")
    except Exception as err:
        raise MissingDataError(
            f"a WCS that the installed gwcs cannot read ({type(err).__name__}: {str(err)[:100]})",
            "one that it knows", "update gwcs and asdf, or run assign_wcs again", path,
        ) from err  # fmt: skip


def _beam(meta, force, path):
    """What the exposure was taken with; the keywords that only tell this leave the metadata."""
    beam = identify(
        meta["instrument"], meta["detector"], meta.pop("exp_type"), meta.pop("filter_wheel"), meta["pupil"],
        force=force, file=path,
    )  # fmt: skip
    if meta.pop("resampled") == "COMPLETE":
        raise UnsupportedExposureError(
            "a resampled image", "a _cal or _crf file", "its pixels have no ePSF of their own", path
        )
    return beam


def _images(arrays, path):
    """SCI, ERR and DQ, of one shape."""
    for name in ("SCI", "ERR"):
        if arrays.get(name) is None:
            raise MissingDataError(f"no {name} array", "SCI and ERR", "use a level-2 _cal or _crf file", path)
    data, err = (np.asarray(arrays[n], dtype=np.float32) for n in ("SCI", "ERR"))
    if data.ndim != 2 or err.shape != data.shape:
        raise MissingDataError(f"SCI {data.shape}, ERR {err.shape}", "two images of one shape", "", path)
    dq = arrays.get("DQ")
    if dq is None:
        log.warning("%s: no DQ array: which pixels are bad is not known", path)
    dq = np.zeros(data.shape, np.uint32) if dq is None else np.asarray(dq).astype(np.uint32)
    if dq.shape != data.shape:
        raise MissingDataError(f"DQ {dq.shape}", f"the shape of SCI, {data.shape}", "", path)
    return data, err, dq


def read_exposure(
    source: Any,
    *,
    force: bool = False,
    need_wcs: bool = False,
    bad_bits: Any = BAD_BITS,
    detector_mask: Any = None,
    parts: bool = False,
) -> Exposure:
    """Read one exposure.

    Parameters
    ----------
    source : path-like or `~stdatamodels.jwst.datamodels.JwstDataModel`
        A ``_cal`` or ``_crf`` file, or an image model.

    force : bool
        Accept imaging with an instrument, detector or filter that `~jwst_hpastrom.instrument` has no row for.

    need_wcs : bool
        Refuse an exposure without WCS.

    bad_bits : str or int
        DQ bits that take a pixel's weight away, as `dq_bits` takes them. A pixel without a slope has none
        either way; where SATURATED is set as well, it belongs to a saturated core.

    detector_mask : path-like, optional
        Mask of more pixels to leave out (see `~jwst_hpastrom.io.exposures.write_detector_mask`).

    parts : bool
        Hash what was read.

    Returns
    -------
    `Exposure`

    Raises
    ------
    BadFileError
        Missing, truncated or damaged file.

    UnsupportedExposureError
        Not imaging, resampled, a grism or mask in the beam, or no row and no ``force``.

    MissingDataError
        No SCI, ERR or WCS, or a keyword that is missing or makes no sense.

    ParameterError
        ``bad_bits`` that name no bits.
    """
    reading = {"force": force, "bad_bits": bad_bits, "detector_mask": detector_mask}
    return _read(source, need_wcs=need_wcs, parts=parts, **reading)


def _read(source, *, force, bad_bits, detector_mask, need_wcs=False, parts=False, with_wcs=True):
    bits = dq_bits(bad_bits)
    in_memory = hasattr(source, "meta")
    path = str(source.meta.filename or "exposure in memory") if in_memory else str(source)
    state = file_state(path) if parts and not in_memory else None
    arrays, get, wcs = _from_model(source) if in_memory else _from_fits(path, with_wcs)
    meta = read_header(get, path)
    beam = _beam(meta, force, path)
    data, err, dq = _images(arrays, path)
    _check_wcs(wcs, data.shape, path, need_wcs)
    times = meta.pop("epoch"), meta.pop("epoch_start"), meta.pop("epoch_end")
    mjd = mid_time(times, path)
    meta["instrument"], meta["detector"] = beam.instrument, beam.detector
    meta["xstart"], meta["ystart"] = place_on_detector(meta, data.shape, path)
    variance = arrays.get("VAR_POISSON")
    content = (data, err, dq, variance, meta | {"times": times}, wcs)
    found = dict(once(path, state, "parts", lambda: content_parts(*content))) if parts else None
    mask = read_detector_mask(detector_mask, meta, data.shape) if detector_mask else False
    bad, saturated = bad_pixels(data, err, dq, bits, mask)
    lost = bad | saturated
    if lost.all():
        raise MissingDataError("no pixel with weight", "finite SCI and ERR with good DQ", "check it", path)
    meta.update(
        filename=Path(path).name,
        filter=beam.filter,
        epoch=None if mjd is None else float(Time(float(mjd), format="mjd").jyear),
        va_scale=float(meta["va_scale"] or 1.0),
    )
    ramp = (meta.pop(key) for key in ("n_groups", "group_time"))
    charge = ramp_charge(*ramp, meta["mjsr_per_dns"], meta["unit"], data, dq, lost, variance)
    data = np.where(np.isfinite(data), data, np.float32(0))
    err = np.where(lost, np.float32(np.inf), err)
    origin = meta["xstart"] - 1, meta["ystart"] - 1
    image = Image(data, err, bad, saturated, Path(path).name, charge, meta["unit"], origin)
    return Exposure(image, exposure_root(path), path, meta, wcs, found)


def read_image(path: Any, reading: dict[str, Any]) -> Image:
    """Return the pixels of an exposure, whose WCS is not read, with the parameters of `read_exposure`."""
    return _read(path, with_wcs=False, **reading).image
