"""What people have at hand, as `Image` and `EPSFLibrary`: exposures, data models, NDData, arrays, models."""

from dataclasses import replace
from functools import reduce
from typing import Any

import astropy.units as u
import numpy as np
from astropy.nddata import NDData, StdDevUncertainty, UnknownUncertainty

from jwst_hpastrom.epsf.exchange.charge import SATURATED, ramp_charge
from jwst_hpastrom.epsf.image import Image
from jwst_hpastrom.epsf.library import EPSFLibrary
from jwst_hpastrom.errors import MissingDataError, ParameterError

__all__ = ["as_image", "as_library"]

#: DQ bits of JWST images that take a pixel's weight away: DO_NOT_USE, NON_SCIENCE
BAD = 1 | 512
#: where a data model has the groups of a ramp, their time, and the flux calibration
RAMP = "exposure.ngroups", "exposure.group_time", "photometry.conversion_megajanskys"
#: of an ePSF's light within 5 pixels, as of files
LEAST_SUM, MOST_SUM = 0.5, 1.5


def as_image(data: Any, err: Any = None, mask: Any = None) -> Image:
    """Return what was given as `Image`.

    Parameters
    ----------
    data : object
        `Image`; `~jwst_hpastrom.io.Exposure` or anything else with an ``image``; a data model of jwst
        (``data``, ``err``, ``dq``); `~astropy.nddata.NDData` or CCDData with an uncertainty; or an array,
        shape (ny, nx). In any unit, which the star list then states.

    err : array-like, optional
        Standard errors, of an array, or in place of those of ``data``; without a unit in that of ``data``.

    mask : array-like of bool, optional
        True where a pixel must not count, beside those that ``data`` marks itself.

    Returns
    -------
    `Image`

    Raises
    ------
    ParameterError
        No errors, no numbers, shapes or units that do not go together.

    MissingDataError
        No pixel counts.

    Examples
    --------
    >>> import numpy as np
    >>> from jwst_hpastrom.epsf import as_image
    >>> as_image(np.zeros((20, 30)), err=np.ones((20, 30)))
    <Image array: 30 x 20 pixels, 100.0 % with weight>
    """
    origin = _origin(data)
    if hasattr(data, "image"):
        data = data.image
    if isinstance(data, Image) and err is None and mask is None:
        return data
    pixels, own_err, bad, saturated, name, unit, charge = _parts(data)
    image = _image(pixels, own_err, bad, saturated, name, unit, err, mask)
    return replace(image, charge=charge, origin=origin)


def _parts(data: Any) -> tuple[Any, Any, Any, Any, str, Any, Any]:
    """Return pixels, errors, bad and saturated pixels, the name of what is given, its unit and charge."""
    if isinstance(data, Image):
        return data.data, data.err, data.bad, data.saturated, data.name, data.unit, data.charge
    if isinstance(data, NDData):
        return *_from_nddata(data), None
    if hasattr(data, "meta") and hasattr(data, "dq"):
        dq = np.asarray(data.dq).astype(np.int64)
        bad = ((dq & BAD) > 0) | ~np.isfinite(data.data)
        name = str(getattr(data.meta, "filename", None) or "model in memory")
        unit = getattr(data.meta, "bunit_data", None)
        # with a slope a pixel that saturated late is a measurement
        charge = _charge(data, dq, bad, unit)
        return data.data, data.err, bad, bad & ((dq & SATURATED) > 0), name, unit, charge
    return data, None, False, False, "array", None, None


def _charge(model, dq, bad, unit):
    """Charge at the ends of a data model's ramps; None where it does not tell."""
    ramp = (reduce(lambda at, name: getattr(at, name, None), p.split("."), model.meta) for p in RAMP)
    variance = getattr(model, "var_poisson", None)
    return ramp_charge(*ramp, unit, np.asarray(model.data), dq, bad, variance)


def _from_nddata(data):
    err, name = data.uncertainty, str(data.meta.get("FILENAME", "array"))
    if err is not None:
        if isinstance(err, UnknownUncertainty):
            raise ParameterError(
                "an uncertainty of unknown kind",
                "standard errors",
                "give StdDevUncertainty(...), or err=",
                name,
            )
        with np.errstate(divide="ignore", invalid="ignore"):  # no weight, no finite error
            err = err.represent_as(StdDevUncertainty)
        err = err.array if err.unit is None else err.array * err.unit
    bad = False if data.mask is None else np.asarray(data.mask) > 0
    return data.data, err, bad, False, name, data.unit


def _numbers(values, what, name):
    """Return plain numbers, which of them are masked, and their unit, None where none is stated."""
    unit = getattr(values, "unit", None) if hasattr(values, "value") else None
    masked = values.mask if hasattr(values, "unmasked") else np.ma.getmaskarray(values)
    values = getattr(values, "unmasked", values)
    values = np.asarray(getattr(values, "value", values))
    if values.dtype.kind not in "biuf":
        try:
            values = values.astype(float, casting="unsafe" if values.dtype.kind == "O" else "same_kind")
        except (TypeError, ValueError) as error:
            raise ParameterError(
                f"{what} of type {values.dtype}", "a two-dimensional array of numbers, NDData or an exposure",
                "read a file with jwst_hpastrom.read_exposure(path)", name,
            ) from error  # fmt: skip
    return values, masked, unit


def _image(values, own_err, bad, saturated, name, unit, err, mask):
    err = own_err if err is None else err
    values, masked, own_unit = _numbers(values, "an image", name)
    if err is None:
        raise ParameterError("an image without errors", "the standard error of each pixel", "give err=", name)
    err, masked_err, err_unit = _numbers(err, "errors", name)
    err = np.full(values.shape, float(err)) if err.ndim == 0 else err
    mask = np.zeros(values.shape, bool) if mask is None else np.asarray(mask, bool)
    if values.ndim != 2 or not values.size or err.shape != values.shape or mask.shape != values.shape:
        raise ParameterError(
            f"an image of shape {values.shape}, errors {err.shape}, a mask {mask.shape}",
            "three two-dimensional arrays of one shape", "", name,
        )  # fmt: skip
    unit = unit or own_unit or err_unit
    if unit is not None and u.Unit(unit, parse_strict="silent").is_equivalent(u.mag):
        raise ParameterError(f"an image in {unit}", "light, not magnitudes", "", name)
    if err_unit is not None and err_unit != u.Unit(unit, parse_strict="silent"):
        try:
            err = err * err_unit.to(unit)
        except (u.UnitConversionError, ValueError) as error:
            raise ParameterError(
                f"an image in {unit} and errors in {err_unit}",
                "one unit",
                "give the errors in the image's",
                name,
            ) from error
    with np.errstate(invalid="ignore"):
        lost = np.asarray(bad, bool) | mask | ~np.isfinite(values) | ~np.isfinite(err) | ~(err > 0)
    lost |= np.asarray(masked, bool) | np.asarray(masked_err, bool)
    if lost.all():
        raise MissingDataError(
            "no pixel with weight", "finite pixels with positive errors that no mask takes out", "", name
        )
    saturated = np.broadcast_to(np.asarray(saturated, bool), values.shape) & ~mask
    values, err = np.where(np.isfinite(values), values, 0), np.where(lost, np.inf, err)
    stated = {} if unit is None else {"unit": str(unit)}
    return Image(
        values.astype(np.float32), err.astype(np.float32), lost & ~saturated, saturated, name, **stated
    )


def as_library(library: Any, data: Any = None) -> EPSFLibrary:
    """Return an ePSF library, or that of a model.

    Parameters
    ----------
    library : `EPSFLibrary`, `GriddedEPSFModel` or `~photutils.psf.GriddedPSFModel`
        Field positions on the full detector. Of photutils' model the light within 5 pixels must be about 1.

    data : object, optional
        What it is to be used on: where that says that it is a subarray (an exposure, its ``image``, a data
        model), field positions are moved to it.

    Returns
    -------
    `EPSFLibrary`

    Examples
    --------
    >>> import numpy as np
    >>> from jwst_hpastrom.epsf import EPSFLibrary, GriddedEPSFModel, as_library
    >>> library = EPSFLibrary(np.ones((1, 21, 21)), [1023], [1023])
    >>> as_library(GriddedEPSFModel(library))
    <EPSFLibrary: 1 x 1 ePSFs of 21 x 21 samples, 4 a pixel>
    """
    found = _library(library)
    x0, y0 = _origin(data) or (0, 0)
    return found.shifted(-x0, -y0) if x0 or y0 else found


def _origin(data):
    """Pixel of the full detector that is the first of an exposure, its image or model; None where unknown."""
    if isinstance(data, Image):
        return data.origin
    meta = getattr(data, "meta", None)
    if isinstance(data, NDData) or meta is None:
        return None
    if isinstance(meta, dict):
        start = meta.get("xstart"), meta.get("ystart")
    else:
        start = (getattr(getattr(meta, "subarray", None), c, None) for c in ("xstart", "ystart"))
    return tuple(int(s or 1) - 1 for s in start)


def _normalized(library):
    """Refuse a model whose sums show another oversampling or other units: fluxes would be wrong by them."""
    volumes = library.volumes()
    if not ((volumes > LEAST_SUM) & (volumes < MOST_SUM)).all():
        raise ParameterError(
            f"a model whose sum within 5 pixels is {volumes[0]:.3g} at oversampling {library.oversampling}",
            "sums near 1", "check its oversampling, and normalize its data to oversampling**2",
        )  # fmt: skip
    return library


def _library(library):
    if isinstance(library, EPSFLibrary):
        return library
    own = getattr(library, "library", None)  # a model of ours, or the result of a build
    if isinstance(own, EPSFLibrary):
        return own
    from photutils.psf import GriddedPSFModel

    if isinstance(library, GriddedPSFModel):
        from jwst_hpastrom.epsf.exchange.model import GriddedEPSFModel

        return _normalized(GriddedEPSFModel.from_photutils(library).library)
    do = "read a file with jwst_hpastrom.read_epsf(path)"
    raise ParameterError(f"a {type(library).__name__}", "an ePSF library or a gridded PSF model", do)
