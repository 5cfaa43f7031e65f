"""Distortion reference files of the official pipeline (ASDF, `DistortionModel`), written and read."""

import io
import warnings
from dataclasses import replace
from os import PathLike
from pathlib import Path
from typing import Any

import asdf
import numpy as np
from astropy import units as u
from astropy.time import Time

import jwst_hpastrom
from jwst_hpastrom.distortion import (
    DistortionCorrection,
    ErrorModel,
    FramePlacement,
    PixelMapCorrection,
    PolynomialCorrection,
    TableCorrection,
    to_v2v3,
)
from jwst_hpastrom.distortion.model.standard_models import find_pixel_tables
from jwst_hpastrom.errors import BadReferenceFileError, HPAstromError
from jwst_hpastrom.geometry import LinearTransform, fit_linear
from jwst_hpastrom.instrument import FRAME, INSTRUMENTS, detector_of, instrument_of, shape_of, wheels
from jwst_hpastrom.io.calibrations.by_detector import check_made_for, file_for
from jwst_hpastrom.io.calibrations.stdgdc import header_meta, read_stdgdc
from jwst_hpastrom.io.files.manifest import stamp
from jwst_hpastrom.io.files.opening import check_asdf, require_file
from jwst_hpastrom.io.files.seals import BLANK
from jwst_hpastrom.io.files.unchanged import file_state, once
from jwst_hpastrom.io.files.writing import write_model
from jwst_hpastrom.numerics import polynomial_basis, polynomial_terms

__all__ = [
    "correction_from_model",
    "open_model",
    "placement_like",
    "read_distortion",
    "reference_meta",
    "write_distortion",
]


def write_distortion(
    path: str | PathLike[str],
    correction: Any,
    placement: Any,
    meta: Any,
    *,
    description: str | None = None,
    place_errors: Any = None,
) -> str:
    """Write a correction as a ``distortion`` reference that ``assign_wcs`` runs with.

    Parameters
    ----------
    path : path-like
        ``.asdf`` file.

    correction : `~jwst_hpastrom.geometry.Mapping`
        Raw to corrected pixels.

    placement : `~jwst_hpastrom.distortion.FramePlacement`
        Corrected pixels to V2V3.

    meta : mapping
        Metadata of one of the exposures: instrument, detector, filter, pupil, epoch.

    description : str, optional

    place_errors : mapping, optional
        Standard errors of the place in V2V3
        (`~jwst_hpastrom.frame.transforms.placement.Placement.table`), written to
        ``meta.hpastrom.place_errors``.

    Returns
    -------
    str
        The path.
    """
    from stdatamodels.jwst.datamodels import DistortionModel

    model = DistortionModel(
        model=to_v2v3(correction, placement), input_units=u.pix, output_units=u.arcsec, strict_validation=True
    )
    instrument = instrument_of(meta)
    wheel, pupil = wheels(meta)
    m = model.meta
    m.instrument.name, m.instrument.detector = instrument, str(meta.get("detector") or "NIS")
    if wheel:
        m.instrument.filter = wheel
    for key, value in getattr(detector_of(meta), "keywords", {}).items():
        setattr(m.instrument, key, value)  # a NIRCam reference is not valid without
    if pupil:
        m.instrument.pupil = pupil
        m.instrument.p_pupil = pupil + "|"
    known = INSTRUMENTS.get(instrument, INSTRUMENTS["NIRISS"])
    m.exposure.type = known.exp_type
    m.exposure.p_exptype = m.exposure.type + "|"
    parts = "+".join(type(p).__name__.removesuffix("Correction") for p in getattr(correction, "parts", []))
    m.description = description or f"jwst_hpastrom distortion, {parts or 'mapping'}"
    m.author, m.pedigree = f"jwst_hpastrom {jwst_hpastrom.__version__}", "INFLIGHT 2022-01-01 2100-01-01"
    epoch = meta.get("epoch")
    day = epoch and Time(epoch, format=None if isinstance(epoch, str) else "jyear").isot[:10]
    m.useafter = (day or "2022-01-01") + "T00:00:00"
    m.title = f"Distortion of {instrument} {meta.get('filter', '')}".strip()
    m.hpastrom = {"gauge": getattr(getattr(correction, "polynomial", None), "gauge", "none"),
                  "linear": {"matrix": placement.transform.matrix.tolist(),
                             "offset": placement.transform.offset.tolist(),
                             "center": placement.transform.center.tolist()},
                  "seal": BLANK, **_parts_meta(correction)}  # fmt: skip
    if made := stamp():
        m.hpastrom.manifest = made
    if place_errors is not None:
        m.hpastrom.place_errors = {k: float(v) for k, v in place_errors.items()}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return write_model(model, path)


def _parts_meta(correction):
    """Polynomial, table and errors as plain lists: read back, they are the ones that were solved for."""
    polynomial, table = (getattr(correction, n, None) for n in ("polynomial", "table"))
    uncertainty, out = getattr(correction, "uncertainty", None), {}
    if polynomial is None:
        return out
    out["polynomial"] = {
        "degree": int(polynomial.degree), "a": np.asarray(polynomial.a, float).tolist(),
        "b": np.asarray(polynomial.b, float).tolist(), "center": [float(c) for c in polynomial.center],
        "half_width": float(polynomial.half_width),
    }  # fmt: skip
    if table is not None:
        out["table"] = {k: np.asarray(getattr(table, k), float).tolist() for k in ("dx", "dy")}
    if uncertainty is not None:
        out["errors"] = uncertainty.to_meta()
    out["pixel_map"] = correction.pixel_map is not None
    return out


def _own_correction(model, meta, shape):
    """The correction in a file that `write_distortion` made, or None if it is not one."""
    if "polynomial" not in meta or "pixel_map" not in meta:
        return None
    p = meta["polynomial"]
    center = p.get("center", p.get("centre"))  # the second: files of versions before 0.1
    polynomial = PolynomialCorrection(
        int(p["degree"]), np.array(p["a"], float), np.array(p["b"], float), np.array(center, float),
        float(p["half_width"]), str(meta.get("gauge", "file")),
    )  # fmt: skip
    table = pixels = None
    if "table" in meta:
        table = TableCorrection(*(np.array(meta["table"][k], float) for k in ("dx", "dy")), shape=shape)
    if meta["pixel_map"]:
        data = find_pixel_tables(model, shape)
        if data is None:
            return None
        pixels = PixelMapCorrection(data)
    errors = ErrorModel.from_meta(meta["errors"]) if "errors" in meta else None
    return DistortionCorrection(polynomial, table, pixels, errors, shape)


def correction_from_model(
    model: Any, *, shape: tuple[int, int] = FRAME, degree: int = 5, gauge_from: Any = None
) -> DistortionCorrection:
    """Turn any model raw pixel -> V2V3 into a correction in pixels.

    Parameters
    ----------
    model : callable
        ``model(x, y)``, 0-based pixels to arcsec.

    shape : tuple of int
        Detector (ny, nx).

    degree : int
        Degree of the polynomial part; what it leaves over becomes a pixel map, exact at pixel centers.

    gauge_from : `~jwst_hpastrom.geometry.LinearTransform`, optional
        Corrected pixels to V2V3, where it is known; otherwise the corrected frame has the mean scale and
        orientation of the raw one at the center.

    Returns
    -------
    `DistortionCorrection`
    """
    ny, nx = shape
    center, half = np.array([nx / 2 - 1.0, ny / 2 - 1.0]), max(nx, ny) / 2.0
    terms = polynomial_terms(degree)

    def design(x, y):
        p, q = (x - center[0]) / half, (y - center[1]) / half
        return polynomial_basis(p, q, terms)

    # Chebyshev points: the fit's error is even over the detector
    nodes = np.cos(np.pi * (np.arange(64) + 0.5) / 64)
    x, y = (c.ravel() for c in np.meshgrid((nx - 1) / 2 * (1 + nodes), (ny - 1) / 2 * (1 + nodes)))
    v2, v3 = model(x, y)
    if not np.all(np.isfinite(v2 + v3)):
        raise BadReferenceFileError(
            "a model without values on parts of the detector", "V2, V3 at every pixel"
        )
    if gauge_from is None:
        d = design(x, y)
        c2, c3 = (np.linalg.lstsq(d, v, rcond=None)[0] for v in (v2, v3))
        jac = np.array([[c2[1], c2[2]], [c3[1], c3[2]]]) / half
        s = np.sign(np.linalg.det(jac))
        a, b = 0.5 * (jac[0, 0] + s * jac[1, 1]), 0.5 * (jac[1, 0] - s * jac[0, 1])
        similarity = np.array([[a, -s * b], [b, s * a]])
        back = np.linalg.inv(similarity)
        offset = np.array([c2[0], c3[0]])

        def to_pixels(v2, v3):
            p = back @ np.stack([v2 - offset[0], v3 - offset[1]])
            return p[0] + center[0], p[1] + center[1]
    else:
        to_pixels = gauge_from.inverse
    cx, cy = to_pixels(v2, v3)
    d = design(x, y)
    a, b = (np.linalg.lstsq(d, v, rcond=None)[0] for v in (cx - x, cy - y))
    left = np.hypot(cx - x - d @ a, cy - y - d @ b).max()
    # where all is polynomial a constant is only the frame's origin; otherwise the map keeps it
    gauge = "file" if gauge_from is not None else "center"
    part = PolynomialCorrection(degree, a[1:], b[1:], center, half, gauge)
    out = DistortionCorrection(part, shape=shape)
    if left < 1e-7:
        return out
    data = np.empty((ny, nx, 2), np.float32)
    xs = np.arange(nx, dtype=float)
    for j0 in range(0, ny, 128):
        gx, gy = (c.ravel() for c in np.meshgrid(xs, np.arange(j0, min(j0 + 128, ny), dtype=float)))
        gu, gv = to_pixels(*model(gx, gy))
        px, py = part.forward(gx, gy)
        data[j0 : j0 + 128, :, 0] = (gu - px).reshape(-1, nx)
        data[j0 : j0 + 128, :, 1] = (gv - py).reshape(-1, nx)
    return replace(out, pixel_map=PixelMapCorrection(data))


def read_distortion(
    path: Any, *, shape: tuple[int, int] | None = None, exposures: Any = None
) -> DistortionCorrection:
    """Read a distortion reference, an official one or one of ours, as a correction.

    Parameters
    ----------
    path : path-like
        ASDF distortion reference, or an STDGDC file of either format (``.fits``). With ``exposures`` also a
        folder of them, or a pattern of their names, see `~jwst_hpastrom.io.calibrations.file_for`.

    shape : tuple of int, optional
        Detector (ny, nx); by default that of the detector which the file is for.

    exposures : mapping, optional
        Metadata of the exposures that it is read for: their detector must be the file's. Another filter is
        logged as a warning: filters differ by tenths of a pixel.

    Returns
    -------
    `DistortionCorrection`
        From ASDF that this package wrote, the parts and their errors, the pixel map up to the file's int16
        quantum; from any other, the polynomial that fits best and, where that leaves something, a pixel map
        of the rest, exact at pixel centers.

    Raises
    ------
    BadFileError
        Missing or unreadable file.

    BadReferenceFileError
        Not a distortion of an imaging detector, or of another one than the exposures'.
    """
    path = Path(path if exposures is None else file_for(path, exposures, "a distortion"))
    require_file(path, "a distortion reference")
    if path.suffix in (".fits", ".gz", ".fit"):
        correction = read_stdgdc(path)
        check_made_for(path, header_meta(path), exposures)
        row = detector_of(exposures) if exposures and shape is None else None
        if row and correction.shape != row.shape:
            found, needed = (f"{nx} x {ny} pixels" for ny, nx in (correction.shape, row.shape))
            raise BadReferenceFileError(
                f"a distortion of {found}", f"one of {exposures.get('detector')}, {needed}",
                "give another distortion_file", path,
            )  # fmt: skip
        return correction
    state = file_state(path)
    # the last one is remembered only: a pixel map is 40 MB
    made_for, correction = once(
        "distortion", state and (state, path.absolute(), shape), "last", lambda: _read_asdf(path, shape)
    )
    check_made_for(path, made_for, exposures)
    return correction


def _read_asdf(path, shape):
    """What a distortion reference is made for, and its correction."""
    model, meta = open_model(path)
    try:
        return _correction(path, model, meta, shape)
    except HPAstromError as err:
        raise err.about(path) from None
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as err:
        raise BadReferenceFileError(
            f"metadata that cannot be read ({type(err).__name__}: {str(err)[:100]})",
            "those of a distortion reference", "fetch or write it again", path,
        ) from err  # fmt: skip


def _correction(path, model, meta, shape):
    made_for = _names(meta)
    shape = shape_of(made_for) if shape is None else shape
    own = meta.get("hpastrom", {}).get("linear")
    if model is None or getattr(model, "n_inputs", 0) != 2 or getattr(model, "n_outputs", 0) != 2:
        raise BadReferenceFileError("no model of two inputs and outputs", "raw pixel -> V2, V3", "", path)
    linear = None
    if own:
        center = own.get("center", own.get("centre"))
        linear = LinearTransform(*(np.array(v, float) for v in (own["matrix"], own["offset"], center)))
        correction = _own_correction(model, meta["hpastrom"], tuple(shape))
        if correction is not None and _says_the_same(correction, linear, model):
            return made_for, correction
    return made_for, correction_from_model(model, shape=shape, gauge_from=linear)


def _says_the_same(correction, linear, model, tolerance=1e-5):
    """Whether parts from the metadata are the file's model: somebody may have changed one of the two."""
    ny, nx = correction.shape
    x, y = np.random.default_rng(0).uniform(0, 1, (2, 200)) * [[nx - 1], [ny - 1]]
    u, v = linear.inverse(*model(x, y))
    a, b = correction.forward(x, y)
    return bool(np.hypot(u - a, v - b).max() < tolerance)


def open_model(path):
    """Return model and metadata of a distortion reference, with all arrays in memory."""
    require_file(path, "a distortion reference")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            check_asdf(content := Path(path).read_bytes())
            with asdf.open(io.BytesIO(content), memmap=False, lazy_load=False, validate_checksums=True) as af:
                return af.tree.get("model"), dict(af.tree.get("meta", {}))
    except Exception as err:
        raise BadReferenceFileError(
            f"no readable ASDF file ({type(err).__name__}: {str(err)[:200]})",
            "a distortion reference",
            "",
            path,
        ) from err


def reference_meta(path: str | PathLike[str]) -> dict[str, Any]:
    """Return instrument, detector and filter that a distortion reference is for."""
    return _names(open_model(path)[1])


def _names(meta):
    instrument = meta.get("instrument", {})
    pupil, wheel = instrument.get("pupil"), instrument.get("filter")
    return {
        "instrument": instrument.get("name"), "detector": instrument.get("detector"), "pupil": pupil,
        "filter": pupil if pupil and str(pupil).startswith("F") else wheel,
    }  # fmt: skip


def placement_like(correction, path, n_grid=64):
    """Place a correction's frame in V2V3 as another reference has it, by a similarity over the detector.

    Parameters
    ----------
    correction : `DistortionCorrection`
    path : path-like
        Distortion reference.
    n_grid : int
        Points along each axis.

    Returns
    -------
    `~jwst_hpastrom.distortion.FramePlacement`
    """
    model, _ = open_model(path)
    ny, nx = correction.shape
    x, y = (c.ravel() for c in np.meshgrid(np.linspace(0, nx - 1, n_grid), np.linspace(0, ny - 1, n_grid)))
    v2, v3 = model(x, y)
    cx, cy = correction.forward(x, y)
    fit = fit_linear(cx, cy, v2, v3, parameters=4, sigma=None).transform
    a, b = fit.forward(cx, cy)
    jump = 1e3 * np.hypot(a - v2, b - v3)
    return FramePlacement(fit, float(jump.max()), 0.0)
