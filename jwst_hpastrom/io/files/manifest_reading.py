"""Manifests in files: those of FITS stand in an extension, of which other readers see nothing."""

import io
import json
import warnings
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from asdf.util import load_yaml
from astropy.io import fits
from astropy.table.meta import get_header_from_yaml

from jwst_hpastrom.io.files.manifest import KEY, SUMS, fits_hash, parse_manifest, stamp
from jwst_hpastrom.io.files.opening import BLOCK
from jwst_hpastrom.io.files.seals import check_seal, has_seal

__all__ = ["append_manifest", "read_manifest"]

EXTENSION = "MANIFEST"
COMMENT = b"# manifest "  # begins the line of text files


def append_manifest(path):
    """Append the manifest of the Step at work, if any, to a FITS file: a table of text, and a hash."""
    if (text := stamp()) is None:
        return
    content = Path(path).read_bytes()
    lines = json.dumps(json.loads(text), indent=1).splitlines()
    width = max(map(len, lines))
    column = fits.Column("JSON", f"{width}A", array=np.array(lines, f"S{width}"))
    hdu = fits.BinTableHDU.from_columns([column], name=EXTENSION)
    hdu.header["HPHASH"] = (fits_hash(content, SUMS), "of all before this extension")
    out = io.BytesIO()
    fits.HDUList([fits.PrimaryHDU(), hdu]).writeto(out, checksum=True)
    with open(path, "ab") as file:
        file.write(out.getvalue()[BLOCK:])


def read_manifest(path: str | PathLike[str], *, unchanged: bool = True) -> dict[str, Any] | None:
    """Read what made a product.

    Parameters
    ----------
    path : path-like

    unchanged : bool
        Return None where the file is not, to the byte, what was written.

    Returns
    -------
    dict or None
        None where there is no manifest in it, or no such file.
    """
    try:
        content = Path(path).read_bytes()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            text, whole = _find(content)
            if unchanged and not whole():
                return None
    except Exception:  # of whatever a damaged file makes its reader say: it vouches for nothing
        return None
    return parse_manifest(text)


def _find(content):
    """The manifest's text, and a function that says whether the file is as it was written."""
    if content.startswith(b"SIMPLE  ="):
        return _in_fits(content)
    text = None
    if content.startswith(b"# %ECSV"):
        header = content[: content.find(b"\n", content.rfind(b"\n# ") + 1)].decode().splitlines()
        text = _of_table([line[2:] for line in header if line.startswith("# ")])
    elif content.startswith(b"PAR1"):
        from pyarrow import parquet

        meta = parquet.read_metadata(io.BytesIO(content)).metadata or {}
        text = _of_table(meta[b"table_meta_yaml"].decode().splitlines())
    elif content.startswith(b"#ASDF"):
        text = load_yaml(io.BytesIO(content))["meta"]["hpastrom"].get(KEY)
    else:
        text = next((r[len(COMMENT) :] for r in content.splitlines() if r.startswith(COMMENT)), None)
        return text, lambda: True  # nothing in it tells
    return text, lambda: has_seal(content) and check_seal(content) is None


def _of_table(lines):
    return (get_header_from_yaml(lines).get("meta") or {}).get(KEY)


def _in_fits(content):
    with fits.open(io.BytesIO(content), memmap=False) as hdus:
        if EXTENSION not in hdus:  # a table, or an exposure
            meta = next((h.header[KEY] for h in hdus if KEY in h.header), None)
            return meta, lambda: has_seal(content) and check_seal(content) is None
        hdu = hdus[EXTENSION]
        text = "\n".join(str(line) for line in hdu.data["JSON"])
        begin, stated = hdu.fileinfo()["hdrLoc"], hdu.header["HPHASH"]
    return text, lambda: fits_hash(content[:begin], SUMS) == stated
