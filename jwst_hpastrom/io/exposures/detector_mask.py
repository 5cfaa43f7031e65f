"""Detector masks: pixels that the DQ calls good and the dithers of an association show to be hot."""

import io
from os import PathLike
from typing import Any

import numpy as np
from astropy.io import fits

from jwst_hpastrom.errors import BadFileError, BadReferenceFileError
from jwst_hpastrom.instrument import detector_name
from jwst_hpastrom.io.files.manifest_reading import append_manifest
from jwst_hpastrom.io.files.opening import check_fits, require_file
from jwst_hpastrom.io.files.writing import atomic_path

__all__ = ["read_detector_mask", "write_detector_mask"]

BITS = 1 | 2048  # DO_NOT_USE, HOT
PLACE = {"INSTRUME": "instrument", "DETECTOR": "detector", "SUBSTRT1": "xstart", "SUBSTRT2": "ystart"}


def write_detector_mask(path: str | PathLike[str], pixels: Any, shape: tuple[int, int], meta: Any) -> str:
    """Write the pixels as a FITS image of DQ bits (DO_NOT_USE and HOT).

    Parameters
    ----------
    path : path-like

    pixels : ndarray of int, shape (n, 2)
        Rows and columns, 0-based.

    shape : (int, int)
        Shape of the exposures (ny, nx).

    meta : dict
        instrument, detector, xstart and ystart of the exposures.

    Returns
    -------
    str
        The path.
    """
    dq = np.zeros(shape, np.uint16)
    dq[pixels[:, 0], pixels[:, 1]] = BITS
    hdus = fits.HDUList([fits.PrimaryHDU(), fits.CompImageHDU(dq, name="DQ", compression_type="RICE_1")])
    for keyword, key in PLACE.items():
        hdus[0].header[keyword] = meta[key]
    hdus[0].header["NHOT"] = (len(pixels), "hot pixels found from the dithers")
    with atomic_path(path) as temporary:
        hdus.writeto(temporary, overwrite=True, checksum=True)
        append_manifest(temporary)
    return str(path)


def read_detector_mask(path: str | PathLike[str], meta: Any, shape: tuple[int, int]) -> np.ndarray:
    """Read the pixels that a mask takes out of an exposure.

    Parameters
    ----------
    path : path-like
        File with an extension ``DQ``: every pixel with a bit set is left out.

    meta : dict
        instrument, detector, xstart and ystart of the exposure (1-based).

    shape : (int, int)
        Its shape (ny, nx).

    Returns
    -------
    ndarray of bool, shape (ny, nx)

    Raises
    ------
    BadFileError
        No such file, or no FITS file with ``DQ``.

    BadReferenceFileError
        The mask of another detector, or one that does not cover the exposure.
    """
    require_file(path, "a detector mask")
    try:
        content = check_fits(path)
        source = io.BytesIO(content) if isinstance(content, bytes) else path
        with fits.open(source, memmap=False) as hdus:
            header, mask = hdus[0].header, np.asarray(hdus["DQ"].data) != 0
    except Exception as err:
        raise BadFileError(
            f"no detector mask ({err})", "a FITS image DQ, as hp_epsf_build writes it", "", path
        ) from err
    for keyword in ("INSTRUME", "DETECTOR"):
        found, needed = str(header.get(keyword, "")).upper(), str(meta[PLACE[keyword]]).upper()
        if found and detector_name(found) != detector_name(needed):
            raise BadReferenceFileError(f"a detector mask of {found}", needed, "give another mask", path)
    x0, y0 = (int(meta[PLACE[k]]) - int(header.get(k) or 1) for k in ("SUBSTRT1", "SUBSTRT2"))
    if min(x0, y0) < 0 or x0 + shape[1] > mask.shape[1] or y0 + shape[0] > mask.shape[0]:
        raise BadReferenceFileError(
            f"a detector mask of {mask.shape[1]} x {mask.shape[0]} pixels",
            "one that covers the exposure",
            "",
            path,
        )
    return mask[y0 : y0 + shape[0], x0 : x0 + shape[1]]
