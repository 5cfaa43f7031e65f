"""What a file holds, in a few lines."""

import io
from os import PathLike
from pathlib import Path

import numpy as np
from astropy.io import fits

from jwst_hpastrom.columns import describe_flags
from jwst_hpastrom.errors import BadFileError
from jwst_hpastrom.io.association import read_association
from jwst_hpastrom.io.calibrations.distortion_reference import open_model, read_distortion
from jwst_hpastrom.io.exposures.exposure import read_exposure
from jwst_hpastrom.io.files.manifest_reading import read_manifest
from jwst_hpastrom.io.files.opening import check_fits, require_file
from jwst_hpastrom.io.tables.catalogs import read_catalog

__all__ = ["describe"]

HASHES = 8  # of an input, by part, that are shown
SHOWN = (
    "filter",
    "epoch",
    "exposure_time",
    "epsf_file",
    "distortion_file",
    "catalog",
    "scale_mas",
    "product",
)


def describe(path: str | PathLike[str]) -> str:
    """Describe a file.

    Parameters
    ----------
    path : path-like
        Exposure, association, catalog, ePSF library or distortion reference.

    Returns
    -------
    str
        Several lines.

    Raises
    ------
    HPAstromError
        The file is missing, damaged, or of an unknown kind.
    """
    path = Path(path)
    if not path.exists():
        raise BadFileError("no such file", "a product, exposure or catalog", "check the path", path)
    stem = path.stem
    if path.suffix == ".json":
        lines = _association(path)
    elif (kind := _kind(path)) == "epsf" or stem.lower().endswith("epsf"):
        lines = _epsf(path)
    elif kind == "mask":
        lines = _mask(path)
    elif path.suffix == ".asdf":
        lines = _distortion(path)
    elif kind == "distortion":
        lines = _stdgdc(path)
    elif path.suffix == ".fits" and stem.split("_")[-1] in ("cal", "crf", "hpcal", "rate", "calints"):
        lines = _exposure(path)
    else:
        lines = _catalog(path)
    return "\n  ".join([str(path), *lines, *_made(path)])


def _made(path):
    """What made it, as it says itself."""
    if (manifest := read_manifest(path, unchanged=False)) is None:
        return []
    changed = "" if read_manifest(path) else ", and changed since"
    versions = " ".join(f"{k} {v}" for k, v in manifest.get("versions", {}).items())
    lines = [f"made by {manifest.get('step')}, manifest {manifest['id']}{changed}", f"  with {versions}"]
    for label, entry in manifest.get("inputs", {}).items():
        parts = " ".join(f"{k}={v}" for k, v in list(entry.get("hash", {}).items())[:HASHES])
        given = ", ".join(f"{k} {v}" for k, v in entry.get("of", {}).items())
        source = f"of manifest {entry['made']} ({given})" if entry.get("made") else parts
        size = f", {entry['bytes']} bytes" if entry.get("bytes") else ""
        lines.append(f"  from {label}: {entry.get('file')}{size}, {source}")
    parameters = (f"{k}={v}" for k, v in manifest.get("parameters", {}).items())
    return [*lines, f"  parameters: {' '.join(parameters)}"]


def _kind(path):
    """What a FITS image says that it is: an ePSF library, a distortion, a mask, or nothing."""
    if not require_file(path, "a product, exposure or catalog").startswith(b"SIMPLE  ="):
        return None
    try:
        content = check_fits(path)
        with fits.open(io.BytesIO(content) if isinstance(content, bytes) else path, memmap=False) as hdus:
            keys, names = hdus[0].header, {h.name for h in hdus}
    except (OSError, ValueError):
        return None  # the reader of its name will say what is wrong
    if "NXPSFS" in keys:
        return "epsf"
    if names == {"PRIMARY", "DQ"}:
        return "mask"
    return "distortion" if "GDCFMT" in keys or "NAME_GDC" in keys or {"XGC", "YGC"} <= names else None


def _mask(path):
    with fits.open(path, memmap=False) as hdus:
        hot = hdus["DQ"].data != 0
    return [f"detector mask of {hot.shape[1]} x {hot.shape[0]} pixels, {int(hot.sum())} hot"]


def _stdgdc(path):
    correction = read_distortion(path)
    ny, nx = correction.shape
    y, x = np.mgrid[0:ny:32, 0:nx:32].astype(float)
    return [
        f"STDGDC distortion of {nx} x {ny} pixels",
        f"corrections up to {np.hypot(*correction.delta(x, y)).max():.3f} pixels",
    ]


def _association(path):
    association = read_association(path)
    return [f"association of {len(association.members)} science members, product {association.product}"]


def _exposure(path):
    exposure = read_exposure(path, force=True)
    m, image = exposure.meta, exposure.image
    sky = "WCS attached" if exposure.wcs is not None else "no WCS: run assign_wcs"
    epoch = "unknown" if m["epoch"] is None else f"{m['epoch']:.4f}"
    return [
        f"exposure of {m['instrument']} {m['filter']}, epoch {epoch}, "
        f"{image.shape[1]} x {image.shape[0]} pixels, {sky}",
        f"{100 * image.bad.mean():.2f} % bad pixels, {int(image.saturated.sum())} saturated, median "
        f"{np.median(image.data[image.good]):.4g} ± {np.median(image.err[image.good]):.3g} {m['unit'] or ''}",
    ]


def _epsf(path):
    from jwst_hpastrom.io.calibrations.epsf_reference import read_epsf

    e = read_epsf(path)
    c = e.data.shape[1] // 2
    center = e.data[:, c, c]
    return [
        f"ePSF library, {e.x.size} x {e.y.size} field positions ({int(e.borrowed.sum())} borrowed), "
        f"{e.oversampling} samples per pixel, filter {e.meta.get('filter', 'unknown')}",
        f"central value {center.mean():.4f}, from {center.min():.4f} to {center.max():.4f} over the field",
    ]


def _distortion(path):
    model, meta = open_model(path)
    kind = meta.get("reftype", "unknown kind")
    lines = [f"reference file of type {kind}: {meta.get('description', '')}"]
    if model is not None:
        v2, v3 = model(*np.array([[0.0, 0.0, 2047.0], [0.0, 2047.0, 0.0]]))
        side = np.hypot(v2[1:] - v2[0], v3[1:] - v3[0])
        lines.append(f"the detector's sides are {side[1]:.3f} and {side[0]:.3f} arcsec long")
    return lines


def _catalog(path):
    table = read_catalog(path, need_sky=False)
    lines = [f"table of {len(table)} rows: {' '.join(table.colnames)}"]
    known = [f"{k}={table.meta[k]}" for k in SHOWN if table.meta.get(k) is not None]
    if known:
        lines.append(" ".join(known))
    if "mag" in table.colnames:
        mag = np.asarray(table["mag"], float)
        lines.append(f"magnitudes from {np.nanmin(mag):.2f} to {np.nanmax(mag):.2f}")
    if "flags" in table.colnames:
        flags = np.asarray(table["flags"]).astype(np.int64)
        bits = [1 << k for k in range(30)]
        counts = [(describe_flags(b)[0], int(np.sum((flags & b) > 0))) for b in bits if describe_flags(b)]
        lines.append("flags: " + " ".join(f"{name}={n}" for name, n in counts if n))
    return lines
