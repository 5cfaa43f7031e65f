"""What an input is, by its content: entries of manifests."""

import io
from pathlib import Path

import numpy as np
from astropy.io import fits
from astropy.table import Column

from jwst_hpastrom.errors import HPAstromError
from jwst_hpastrom.io.calibrations.distortion_reference import read_distortion
from jwst_hpastrom.io.calibrations.epsf_reference import read_epsf
from jwst_hpastrom.io.exposures.exposure import exposure_root, read_exposure
from jwst_hpastrom.io.files.checkpoint import fingerprint
from jwst_hpastrom.io.files.manifest import KEY, array_hash, file_hash
from jwst_hpastrom.io.files.manifest_reading import read_manifest
from jwst_hpastrom.io.files.opening import unpacked
from jwst_hpastrom.io.files.unchanged import file_state, once
from jwst_hpastrom.io.tables.reading import read_table

__all__ = ["copied_entry", "exposure_entry", "input_entry", "product_entry"]

#: metadata of tables that decide nothing
ASIDE = (
    "comments", "comment", "history", "date", "checksum", "datasum", "origin", "author", "creator", "extname",
    "filename", "catalog", "seal", "version", "description", "hprows", KEY,
)  # fmt: skip


def input_entry(path, kind="table"):
    """Return a manifest's entry for a file.

    Parameters
    ----------
    path : path-like

    kind : {'table', 'epsf', 'distortion', 'mask'}
        What it is read as.

    Returns
    -------
    dict
        ``file``, ``bytes``, and ``made``, the id of the manifest of an unchanged product, or ``hash``, the
        hashes of its content by part: what does not change the content that is used does not change them.
    """
    return dict(once(path, file_state(path), kind, lambda: _entry(Path(path), kind)))


def _entry(path, kind):
    out = {"file": path.name, "bytes": path.stat().st_size}
    if made := read_manifest(path):
        of = {k: e.get("file") for k, e in made["inputs"].items() if " " not in k}  # what it was given
        return out | {"made": made["id"]} | ({"of": of} if of else {})
    try:
        return out | {"hash": _PARTS[kind](path)}
    except (HPAstromError, OSError, ValueError, KeyError):
        return out | {"hash": {"bytes": file_hash(path)}}  # its reader will say what is wrong with it


def copied_entry(path):
    """Return the entry of a file that is copied, of which every byte counts."""
    return {"file": Path(path).name, "bytes": Path(path).stat().st_size, "hash": {"bytes": file_hash(path)}}


def product_entry(name, manifest):
    """Return the entry of a product that a manifest will have made."""
    return {"file": name, "made": manifest["id"]}


def _table_parts(path):
    table = read_table(path)
    parts = {"rows": str(len(table))}
    for name in table.colnames:
        column = table[name] if isinstance(table[name], Column) else Column([str(v) for v in table[name]])
        mask = getattr(column, "mask", None)
        values = column if mask is None else np.ma.filled(column, column.dtype.type())
        parts[name] = array_hash(values, np.zeros(0) if mask is None else mask, str(column.unit))
    meta = {k: v for k, v in table.meta.items() if str(k).lower() not in ASIDE}
    return parts | {"metadata": array_hash(str(sorted(meta.items(), key=str)))}


def _epsf_parts(path):
    library = read_epsf(path)
    meta = {k: v for k, v in library.meta.items() if k not in ("epsf_file", "comments")}
    return {
        "ePSFs": array_hash(library.data), "field positions": array_hash(library.x, library.y),
        "oversampling": str(library.oversampling), "borrowed": array_hash(library.borrowed),
        "brighter_fatter": array_hash(np.float64(library.brighter_fatter)),
        "metadata": array_hash(str(sorted(meta.items(), key=str))),
    }  # fmt: skip


def _distortion_parts(path):
    correction = read_distortion(path)
    names = ("polynomial", "table", "pixel_map", "uncertainty", "shape")
    return {name: fingerprint(getattr(correction, name)) for name in names}


def _mask_parts(path):
    with fits.open(io.BytesIO(unpacked(path))) as hdus:
        place = [str(hdus[0].header.get(k)) for k in ("INSTRUME", "DETECTOR", "SUBSTRT1", "SUBSTRT2")]
        return {"DQ": array_hash(np.asarray(hdus["DQ"].data) != 0), "place": " ".join(place)}


_PARTS = {
    "table": _table_parts, "epsf": _epsf_parts, "distortion": _distortion_parts, "mask": _mask_parts,
}  # fmt: skip


def exposure_entry(exposure):
    """Return ``(label, entry)`` of an exposure, or of a path to read it from.

    Parameters
    ----------
    exposure : `~jwst_hpastrom.io.Exposure`, or dict
        Read with ``parts``; a dict holds the parameters to read it with.
    """
    if isinstance(exposure, dict):
        exposure = read_exposure(**exposure, parts=True)
    path = Path(exposure.path)
    size = {"bytes": path.stat().st_size} if path.is_file() else {}
    label = f"exposure {exposure_root(exposure.name)}"
    return label, {"file": path.name, **size, "hash": exposure.parts}
