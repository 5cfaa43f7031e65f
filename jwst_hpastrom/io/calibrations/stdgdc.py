"""STDGDC files (Anderson's and L23's formats): 1-based in the file, 0-based everywhere else.

Format #1: five image extensions, ``XGC YGC`` (corrected position of each raw pixel), ``MGC`` (magnitude to
add), ``XCG YCG`` (raw position of each corrected pixel, whose grid starts at ``XGC_0, YGC_0``), stored as
integers with BSCALE 1e-5 (1e-4 for magnitudes). Format #2: the corrections themselves in the first two
layers, and the magnitudes, as floats.
"""

import io
import warnings
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from astropy.io import fits
from astropy.table import Table

from jwst_hpastrom.distortion import (
    DistortionCorrection,
    PixelMapCorrection,
    PolynomialCorrection,
    TableCorrection,
    pixel_area_magnitude,
)
from jwst_hpastrom.errors import BadReferenceFileError
from jwst_hpastrom.io.calibrations.by_detector import named_after
from jwst_hpastrom.io.files.manifest_reading import append_manifest
from jwst_hpastrom.io.files.opening import check_fits, require_file, unpacked
from jwst_hpastrom.io.files.writing import atomic_path
from jwst_hpastrom.numerics import polynomial_basis, polynomial_terms

__all__ = ["forward_layers", "header_meta", "read_stdgdc", "write_stdgdc"]

#: steps of the integers that STDGDC holds, pixels and magnitudes, and what it has where there is no value
QUANTUM, MAG_QUANTUM, OUTSIDE = 1e-5, 1e-4, -20000.0


def forward_layers(correction):
    """Return the corrections along x and y, and the pixel-area magnitudes, at all pixel centers."""
    ny, nx = correction.shape
    dx, dy, mag = (np.empty((ny, nx)) for _ in range(3))
    xs = np.arange(nx, dtype=float)
    for j in range(0, ny, 128):
        x, y = np.meshgrid(xs, np.arange(j, min(j + 128, ny), dtype=float))
        s = slice(j, j + len(x))
        dx[s], dy[s] = correction.delta(x, y)
        mag[s] = pixel_area_magnitude(correction, x, y)
    return dx, dy, mag


def _inverse_layers(correction, dx, dy):
    """Raw positions on the corrected grid, and the grid's first pixel (all 0-based)."""
    ny, nx = correction.shape
    u, v = dx + np.arange(nx), dy + np.arange(ny)[:, None]
    x0, x1 = int(np.floor(u.min())) - 1, int(np.ceil(u.max())) + 1
    y0, y1 = int(np.floor(v.min())) - 1, int(np.ceil(v.max())) + 1
    out = np.empty((2, y1 - y0 + 1, x1 - x0 + 1))
    xs = np.arange(x0, x1 + 1, dtype=float)
    for j in range(0, out.shape[1], 128):
        gu, gv = np.meshgrid(xs, np.arange(y0 + j, min(y0 + j + 128, y1 + 1), dtype=float))
        x, y = correction.inverse(gu, gv)
        # nodes just outside the detector are kept, for the interpolation at its edge
        inside = (x > -2.5) & (x < nx + 1.5) & (y > -2.5) & (y < ny + 1.5)
        out[0, j : j + len(gu)] = np.where(inside, x, np.nan)
        out[1, j : j + len(gu)] = np.where(inside, y, np.nan)
    return out, x0, y0


def _scaled(name, values, quantum, missing=OUTSIDE):
    """Image extension of scaled 32-bit integers."""
    values = np.where(np.isfinite(values), values, missing)
    hdu = fits.ImageHDU(np.round(values / quantum).astype(">i4"), name=name)
    hdu.header["BSCALE"], hdu.header["BZERO"] = quantum, 0.0
    return hdu


def _spots(header, title, values):
    """Put a 5 × 5 table of values into COMMENT cards, as the originals have it."""
    ny, nx = values.shape
    xs, ys = (np.unique(np.clip(np.round(np.linspace(0, n, 5)).astype(int), 1, n)) for n in (nx, ny))
    header["COMMENT"] = title
    header["COMMENT"] = "        " + " ".join(f"X={x:04d}   " for x in xs)
    for y in ys[::-1]:
        header["COMMENT"] = f"Y={y:04d}  " + " ".join(f"{values[y - 1, x - 1]:9.4f}" for x in xs)


def write_stdgdc(
    path: str | PathLike[str],
    correction: Any,
    *,
    layout: int = 1,
    meta: Any = None,
    parts: bool = True,
    layers: Any = None,
) -> str:
    """Write a correction as an STDGDC file.

    Parameters
    ----------
    path : path-like
        FITS file.

    correction : `DistortionCorrection`

    layout : {1, 2}
        Format #1 (positions, integers, with inverse layers) or #2 (corrections, floats).

    meta : mapping, optional
        instrument, detector, filter, epoch for the header.

    parts : bool
        Append the parts (polynomial, cells, pixel map, with errors and counts), so that `read_stdgdc` gives
        back the same correction bit for bit; readers of the five layers do not see them.

    layers : tuple of ndarray, optional
        What `forward_layers` gives for the correction, where it is at hand.

    Returns
    -------
    str
        The path.
    """
    meta = dict(meta or {})
    ny, nx = correction.shape
    dx, dy, mag = forward_layers(correction) if layers is None else layers
    primary = fits.PrimaryHDU()
    h = primary.header
    h["NAME_GDC"] = (Path(path).name[:60], "name of this file")
    h["GDCFMT"] = (layout, "1: corrected positions, 2: corrections")
    for key, name in (
        ("INSTRUME", "instrument"),
        ("DETECTOR", "detector"),
        ("FILTER", "filter"),
        ("EPOCH", "epoch"),
    ):
        if meta.get(name) is not None:
            h[key] = meta[name]
    h["NDIM_XGC"], h["NDIM_YGC"] = (nx, "raw pixels along x"), (ny, "raw pixels along y")
    h["PIXBASE"] = (1, "center of the first pixel is 1")
    if layout == 1:
        x, y = np.arange(1, nx + 1), np.arange(1, ny + 1)[:, None]
        layers = [
            _scaled("XGC", x + dx, QUANTUM),
            _scaled("YGC", y + dy, QUANTUM),
            _scaled("MGC", mag, MAG_QUANTUM),
        ]
        inverse, x0, y0 = _inverse_layers(correction, dx, dy)
        h["NDIM_XCG"], h["NDIM_YCG"] = inverse.shape[2], inverse.shape[1]
        h["XGC_0"], h["YGC_0"] = (x0 + 1, "first corrected x of the inverse"), (y0 + 1, "first corrected y")
        for name, values in zip(("XCG", "YCG"), inverse, strict=True):
            hdu = _scaled(name, values + 1, QUANTUM)
            hdu.header["LTV1"], hdu.header["LTV2"] = 1 - h["XGC_0"], 1 - h["YGC_0"]
            layers.append(hdu)
        _spots(layers[0].header, "X-FORWARD DISTORTION MAPPING", x + dx)
        _spots(layers[1].header, "Y-FORWARD DISTORTION MAPPING", y + dy)
        _spots(layers[2].header, "PIXEL-AREA CORRECTION (MAG)", mag)
    else:
        layers = [fits.ImageHDU(v.astype(">f4"), name=n) for n, v in (("DX", dx), ("DY", dy), ("DMAG", mag))]
    extra = _part_hdus(correction, small_only=layout == 2) if parts else []
    with atomic_path(path) as temporary:
        fits.HDUList([primary, *layers, *extra]).writeto(temporary, overwrite=True, checksum=True)
        append_manifest(temporary)
    return str(path)


def _part_hdus(correction, small_only=False):
    out = []
    p = correction.polynomial
    if p is not None:
        i, j = np.transpose(polynomial_terms(p.degree, 1))
        data = {"i": i, "j": j, "a": p.a, "b": p.b}
        if p.covariance is not None:
            n, s = len(i), np.sqrt(np.maximum(np.diag(p.covariance), 0))
            data |= {"a_err": s[:n], "b_err": s[n:]}
        hdu = fits.table_to_hdu(Table(data))
        hdu.name = "POLYNOMIAL"
        hdu.header["DEGREE"], hdu.header["HALFWID"], hdu.header["GAUGE"] = p.degree, p.half_width, p.gauge
        hdu.header["XREF"], hdu.header["YREF"] = (p.center[0] + 1, "1-based"), (p.center[1] + 1, "1-based")
        out.append(hdu)
        if p.covariance is not None:
            out.append(fits.ImageHDU(np.asarray(p.covariance, ">f8"), name="POLYCOV"))
    t = correction.table
    if t is not None:
        for name, values in (("CELLDX", t.dx), ("CELLDY", t.dy), ("CELLEX", t.dx_err), ("CELLEY", t.dy_err)):
            if values is not None:
                out.append(fits.ImageHDU(np.asarray(values, ">f8"), name=name))
        if t.count is not None:
            out.append(fits.ImageHDU(np.asarray(t.count, ">i4"), name="CELLN"))
    m = correction.pixel_map
    if m is not None and not small_only:
        for k, axis in enumerate("XY"):
            out.append(fits.ImageHDU(np.asarray(m.data[..., k], ">f4"), name=f"VOIDD{axis}"))
            if m.errors is not None:
                out.append(fits.ImageHDU(np.asarray(m.errors[..., k], ">f4"), name=f"VOIDE{axis}"))
        if m.count is not None:
            out.append(fits.ImageHDU(np.asarray(m.count, ">i2"), name="VOIDN"))
    if out:
        out[0].header["HPWHOLE"] = (not small_only or m is None, "all parts are here")
    return out


def _native(hdu, dtype=float):
    return np.ascontiguousarray(hdu.data, dtype=dtype)


def _read_parts(hdus, shape):
    names = [h.name for h in hdus]
    first = next((h for h in hdus if "HPWHOLE" in h.header), None)
    if first is None or not first.header["HPWHOLE"]:
        return None
    polynomial = table = pixels = None
    if "POLYNOMIAL" in names:
        hdu = hdus["POLYNOMIAL"]
        cov = _native(hdus["POLYCOV"]) if "POLYCOV" in names else None
        polynomial = PolynomialCorrection(
            int(hdu.header["DEGREE"]), np.array(hdu.data["a"], float), np.array(hdu.data["b"], float),
            np.array([hdu.header["XREF"] - 1.0, hdu.header["YREF"] - 1.0]), float(hdu.header["HALFWID"]),
            hdu.header["GAUGE"], cov,
        )  # fmt: skip
    if "CELLDX" in names:
        get = {n: _native(hdus[n]) if n in names else None for n in ("CELLDX", "CELLDY", "CELLEX", "CELLEY")}
        count = _native(hdus["CELLN"], int) if "CELLN" in names else None
        table = TableCorrection(*get.values(), count, shape)
    if "VOIDDX" in names:
        data = np.stack([_native(hdus[f"VOIDD{a}"], np.float32) for a in "XY"], -1)
        err = (
            np.stack([_native(hdus[f"VOIDE{a}"], np.float32) for a in "XY"], -1)
            if "VOIDEX" in names
            else None
        )
        count = _native(hdus["VOIDN"], np.int16) if "VOIDN" in names else None
        pixels = PixelMapCorrection(data, err, count)
    return DistortionCorrection(polynomial, table, pixels, shape=shape)


def _layers(hdus):
    """Two or three two-dimensional layers, from extensions or from a data cube."""
    cube = next((h for h in hdus if h.data is not None and getattr(h.data, "ndim", 0) == 3), None)
    if cube is not None:
        return [np.asarray(v, float) for v in cube.data]
    return [np.asarray(h.data, float) for h in hdus if h.is_image and h.data is not None and h.data.ndim == 2]


def read_stdgdc(path: str | PathLike[str], *, layout: int | None = None) -> DistortionCorrection:
    """Read an STDGDC file of either format.

    Parameters
    ----------
    path : path-like

    layout : {1, 2}, optional
        Format; by default it is told from the values.

    Returns
    -------
    `DistortionCorrection`
        The parts of our own files bit for bit; from others a polynomial and a pixel map of what it leaves.
        Unmeasured pixels (zeros) are filled by the polynomial.

    Raises
    ------
    BadFileError, BadReferenceFileError
        Unreadable file, or one that is no STDGDC file.
    """
    path = Path(path)
    require_file(path, "an STDGDC file")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with fits.open(io.BytesIO(check_fits(unpacked(path)))) as hdus:
                if "SCI" in hdus or "NXPSFS" in hdus[0].header:
                    kind = "an exposure" if "SCI" in hdus else "an ePSF library"
                    raise BadReferenceFileError(kind, "an STDGDC file", "give a distortion", path)
                layers = _layers(hdus)
                shape = layers[0].shape if layers else (0, 0)
                own = _read_parts(hdus, tuple(int(n) for n in shape))
    except BadReferenceFileError:
        raise
    except Exception as err:
        raise BadReferenceFileError(
            f"no readable FITS file ({type(err).__name__}: {str(err)[:200]})", "an STDGDC file", "", path
        ) from err
    if own is not None:
        return own
    if len(layers) < 2 or layers[1].shape != shape or min(shape) < 16:
        raise BadReferenceFileError(
            f"{len(layers)} image layers of shape {shape}", "at least x and y of every pixel", "", path
        )
    return _from_layers(layers[0], layers[1], layout, path)


def _from_layers(a, b, layout, path):
    ny, nx = a.shape
    x, y = np.arange(nx, dtype=float), np.arange(ny, dtype=float)[:, None]
    unmeasured = ((a == 0) & (b == 0)) | ~np.isfinite(a) | ~np.isfinite(b)
    if unmeasured.mean() > 0.5:
        raise BadReferenceFileError("mostly empty layers", "x and y of every pixel", "", path)
    if layout is None:
        layout = 1 if np.median(np.abs(a[~unmeasured])) > 0.2 * nx else 2
    if layout == 1:
        a, b = a - 1.0 - x, b - 1.0 - y
    else:
        # a correction of exactly zero is a value in format 2
        unmeasured = ~np.isfinite(a) | ~np.isfinite(b)
    if max(np.abs(a[~unmeasured]).max(), np.abs(b[~unmeasured]).max()) > 0.2 * max(nx, ny):
        raise BadReferenceFileError(
            "positions far from their pixels", "an STDGDC file of format 1 or 2", "", path
        )
    degree, center, half = 5, np.array([nx / 2 - 1.0, ny / 2 - 1.0]), max(nx, ny) / 2.0
    step = max(min(nx, ny) // 128, 1)
    js, is_ = np.mgrid[0:ny:step, 0:nx:step]
    good = ~unmeasured[js, is_]
    js, is_ = js[good], is_[good]
    p, q = (is_ - center[0]) / half, (js - center[1]) / half
    design = polynomial_basis(p, q, polynomial_terms(degree))
    ca, cb = (np.linalg.lstsq(design, v[js, is_], rcond=None)[0] for v in (a, b))
    polynomial = PolynomialCorrection(degree, ca[1:], cb[1:], center, half, "file")
    px, py = polynomial.delta(np.broadcast_to(x, a.shape), np.broadcast_to(y, a.shape))
    # the layers' constant is part of their frame: it stays, in the map
    left = np.stack([np.where(unmeasured, ca[0], a - px), np.where(unmeasured, cb[0], b - py)], -1)
    return DistortionCorrection(
        polynomial, pixel_map=PixelMapCorrection(left.astype(np.float32)), shape=(ny, nx)
    )


def header_meta(path):
    """What an STDGDC file was made for, as far as its header says: instrument, detector, filter, epoch.

    Published files say detector and filter in their names alone.
    """
    with fits.open(path) as hdus:
        header = hdus[0].header
    keys = {"instrument": "INSTRUME", "detector": "DETECTOR", "filter": "FILTER", "epoch": "EPOCH"}
    return named_after(path) | {k: header[v] for k, v in keys.items() if v in header}
