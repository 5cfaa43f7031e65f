"""STDPSF files: grids of 4x-oversampled ePSFs as the hst1pass family of programs and photutils read them."""

import io
import re
import warnings
from os import PathLike
from pathlib import Path
from textwrap import wrap
from typing import Any

import numpy as np
from astropy.io import fits
from astropy.time import Time

from jwst_hpastrom.epsf.library import EPSFLibrary
from jwst_hpastrom.errors import BadReferenceFileError, ParameterError
from jwst_hpastrom.instrument import FRAME, detector_of
from jwst_hpastrom.io.calibrations.by_detector import BAND
from jwst_hpastrom.io.files.manifest_reading import append_manifest
from jwst_hpastrom.io.files.opening import BLOCK, CARD, check_fits, fits_sum, require_file, unpacked
from jwst_hpastrom.io.files.writing import atomic_path

__all__ = ["check_normalization", "read_stdpsf", "write_stdpsf"]

OVERSAMPLING = 4
NODES = 10  # positions a header has room for in each direction
UNUSED = 9999
#: NIRCam's short-wave detectors in files that hold all of them: from left to right, the lower row first
MOSAIC = ("NRCA1", "NRCA3", "NRCB4", "NRCB2", "NRCA2", "NRCA4", "NRCB3", "NRCB1")
MARK = "jwst_hpastrom"  # begins the comment that holds what the format has no keyword for


def _cards(library):
    """Return the header's cards, at most 36: they must fit into one block."""
    nx, ny = library.x.size, library.y.size
    now = Time.now().isot
    side = library.data.shape[1]
    values = [
        ("SIMPLE", "T"), ("BITPIX", -32), ("NAXIS", 3), ("NAXIS1", side), ("NAXIS2", side),
        ("NAXIS3", nx * ny), ("DATE", f"'{now[:10]}'"), ("TIME", f"'{now[11:19]}'"), ("BSCALE", "1.0000"),
        ("BZERO", "0.0000"), ("NXPSFs", nx), ("NYPSFs", ny),
    ]  # fmt: skip
    for prefix, nodes in (("IPSFX", library.x), ("JPSFY", library.y)):
        # 1-based whole pixels; a quarter of a pixel is nothing to an ePSF that varies over 500
        numbers = [int(np.rint(p)) + 1 for p in nodes] + [UNUSED] * (NODES - nodes.size)
        values += [(f"{prefix}{k:02d}", v) for k, v in enumerate(numbers, 1)]
    cards = [f"{k:<8}= {v:>20}" if not str(v).startswith("'") else f"{k:<8}= {v}" for k, v in values]
    borrowed = "".join("1" if b else "0" for b in library.borrowed)
    facts = {k: library.meta[k] for k in ("instrument", "detector", "filter", "epoch") if library.meta.get(k)}
    if isinstance(facts.get("epoch"), float):
        facts["epoch"] = f"{facts['epoch']:.4f}"
    if library.brighter_fatter:
        facts["brighter_fatter"] = f"{library.brighter_fatter:.6g}"
    if library.borrowed.any():
        facts["borrowed"] = f"{int(borrowed, 2):x}"
    room = CARD - len(f"COMMENT {MARK} ")  # a fact that is cut off is another one
    comments = wrap(" ".join(f"{k}={v}" for k, v in facts.items()), room, break_on_hyphens=False) or [""]
    spare = ["DATE", "TIME"]  # what no reader needs
    spare += [f"{p}{NODES}" for p, g in (("IPSFX", library.x), ("JPSFY", library.y)) if g.size < NODES]
    while len(cards) + len(comments) + 3 > BLOCK // CARD:  # room for the sums
        least = spare.pop()
        cards = [c for c in cards if not c.startswith(least)]
    cards += ["CHECKSUM= '0000000000000000'", "DATASUM = '         0'"]
    return [*cards, *(f"COMMENT {MARK} {c}" for c in comments), "END"]


def _checksum(value):
    """Return 16 letters and digits that add a value to the sum of a FITS header, as its standard has them."""
    out = bytearray(16)
    for k, byte in enumerate(value.to_bytes(4, "big")):
        quotient, rest = byte // 4 + ord("0"), byte % 4
        four = [quotient + rest, quotient, quotient, quotient]
        while any(not chr(c).isalnum() for c in four):
            for j in (0, 2):
                if not (chr(four[j]).isalnum() and chr(four[j + 1]).isalnum()):
                    four[j] += 1
                    four[j + 1] -= 1
        out[k::4] = bytes(four)
    return bytes(out[-1:] + out[:-1])


def write_stdpsf(library: EPSFLibrary, path: str | PathLike[str]) -> str:
    """Write a library as STDPSF FITS file.

    The layout is that of the published files: one 3-dimensional float32 array, the header in exactly one
    2880-byte block with the mixed-case keywords ``NXPSFs``, ``NYPSFs``, and the field positions 1-based and
    rounded to whole pixels (the ASDF reference keeps them exactly).

    Parameters
    ----------
    library : `~jwst_hpastrom.epsf.library.EPSFLibrary`
        Oversampled 4 times, at most 10 x 10 positions.

    path : path-like

    Returns
    -------
    str
        The path.
    """
    if library.oversampling != OVERSAMPLING:
        raise ParameterError(
            f"an ePSF oversampled {library.oversampling} times", "4 times, as STDPSF files are", file=path
        )
    if max(library.x.size, library.y.size) > NODES:
        raise ParameterError(
            f"{library.x.size} x {library.y.size} field positions",
            f"at most {NODES} in each direction",
            file=path,
        )
    header = "".join(f"{card:<{CARD}}" for card in _cards(library))
    data = library.data.astype(">f4").tobytes()
    data += b"\0" * (-len(data) % BLOCK)
    header = header.replace("'         0'", f"'{fits_sum(data):10d}'").ljust(BLOCK).encode("ascii")
    check = _checksum(0xFFFFFFFF - fits_sum(header + data))
    header = header.replace(b"'0000000000000000'", b"'" + check + b"'")
    with atomic_path(path) as temporary:
        temporary.write_bytes(header + data)
        append_manifest(temporary)
    return str(path)


def _nodes(header, prefix, n, path):
    if f"{prefix}01" not in header and f"{prefix}A5" in header:  # five positions a keyword
        try:
            texts = [header[f"{prefix}{c}5"] for c in "ABCD"[: -(-n // 5)]]
            return np.array([float(v) - 1 for t in texts for v in str(t).split()][:n])
        except (KeyError, ValueError):
            pass
    try:
        return np.array([float(header[f"{prefix}{k:02d}"]) - 1 for k in range(1, n + 1)])
    except (KeyError, ValueError, TypeError) as err:
        raise BadReferenceFileError(
            f"no field positions {prefix}01 to {prefix}{n:02d}", "an STDPSF header", "", path
        ) from err


def _name_says(path):
    """Detector (or camera) and filter by the tokens of ``STDPSF_NRCA1_F150W…`` in any case and packing."""
    stem = re.sub(r"(\.fits?|\.gz|\s*\(\d+\))+$", "", Path(path).name, flags=re.IGNORECASE).upper()
    start, *tokens = re.split(r"[_\-.\s]+", stem)
    if not start.startswith(("STDPSF", "PSFSTD")):
        return {}
    band = next((t for t in tokens if BAND.fullmatch(t)), None)
    cameras = [t for t in tokens if t != band]
    known = next((t for t in cameras if detector_of({"detector": t})), None)
    camera = known or next(iter(cameras), None)
    return {k: v for k, v in (("detector", camera), ("filter", band)) if v}


def _metadata(header, path):
    """Read what our own comments say, and what the file's name does."""
    meta = {"epsf_file": Path(path).name}
    meta.update(_name_says(path))
    comments = [str(c) for c in header.get("COMMENT", [])]
    for comment in comments:
        if comment.startswith(MARK):
            meta.update(re.findall(r"(\w+)=(\S+)", comment))
    for key in ("epoch", "brighter_fatter"):
        if key in meta:
            meta[key] = float(meta[key])
    other = [c for c in comments if c.strip() and not c.startswith(MARK)]
    return {**meta, "comments": other} if other else meta


def _part(data, borrowed, x, y, detector, path):
    """Effective PSFs and positions of one detector of a file of NIRCam's eight short-wave ones."""
    place = next((k for k, name in enumerate(MOSAIC) if name == detector), None)
    if place is None:
        raise BadReferenceFileError(
            f"ePSFs of {len(MOSAIC)} detectors for {detector or 'an unknown one'}", " or ".join(MOSAIC),
            "read it with one of them, or give another library", path,
        )  # fmt: skip
    row, column = divmod(place, 4)
    nx, ny = x.size // 4, y.size // 2
    rows, columns = slice(row * ny, (row + 1) * ny), slice(column * nx, (column + 1) * nx)
    data = data.reshape(y.size, x.size, *data.shape[1:])[rows, columns].reshape(-1, *data.shape[1:])
    borrowed = borrowed.reshape(y.size, x.size)[rows, columns].ravel()
    return data, borrowed, x[columns] - column * FRAME[1], y[rows] - row * FRAME[0]


def read_stdpsf(path: str | PathLike[str], *, chip: Any = None, detector: Any = None) -> EPSFLibrary:
    """Read an STDPSF file.

    Files of two-chip cameras hold both chips above each other, with the rows of both at the border. Such a
    grid is read as one detector of twice the height, the upper chip beginning one pixel above the lower one's
    last row, or one chip of it. Files of all short-wave detectors of NIRCam (``STDPSF_NRCSW_…``, 20 x 10
    positions) are read for one of them.

    Parameters
    ----------
    path : path-like

    chip : {None, 1, 2}
        Of a two-chip file: the lower (1) or the upper (2) chip in its own pixels.

    detector : str, optional
        Of a file of NIRCam's eight short-wave detectors: which one.

    Returns
    -------
    `~jwst_hpastrom.epsf.library.EPSFLibrary`

    Raises
    ------
    BadFileError
        No such file, or it is no FITS file.

    BadReferenceFileError
        The header is damaged or the array is not a grid of ePSFs oversampled 4 times.
    """
    require_file(path, "an STDPSF file")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warnings.filterwarnings("error", message=".*truncated.*")
            with fits.open(io.BytesIO(check_fits(unpacked(path)))) as hdus:
                header, data = hdus[0].header, hdus[0].data
    except Exception as err:
        raise BadReferenceFileError(
            f"a damaged FITS file ({' '.join(str(err).split())[:120]})",
            "an STDPSF file with a complete header and array", "fetch the file again", path,
        ) from err  # fmt: skip
    missing = [k for k in ("NXPSFS", "NYPSFS") if not isinstance(header.get(k), int)]
    if missing or data is None or data.ndim != 3:
        found = f"no keyword {', '.join(missing)}" if missing else "no three-dimensional array"
        photutils = "write_epsf_reference(as_library(model), path) makes a file of photutils' model"
        do = photutils if "DET_YX0" in header else ""
        raise BadReferenceFileError(found, "an STDPSF file", do, path)
    nx, ny = header["NXPSFS"], header["NYPSFS"]
    if nx * ny != data.shape[0] or nx < 1 or ny < 1:
        raise BadReferenceFileError(f"{data.shape[0]} ePSFs", f"{nx} x {ny} = {nx * ny}", "", path)
    data = data.astype(float)
    x, y = _nodes(header, "IPSFX", nx, path), _nodes(header, "JPSFY", ny, path)
    meta = _metadata(header, path)
    borrowed, shift = _borrowed(meta.pop("borrowed", ""), nx * ny), meta.pop("brighter_fatter", 0.0)
    if (nx, ny) == (20, 10):
        detector = str(detector or "").upper()
        data, borrowed, x, y = _part(data, borrowed, x, y, detector, path)
        meta["detector"] = detector
    seam = np.flatnonzero(np.diff(y) == 0)
    if seam.size == 1:
        k = int(seam[0]) + 1
        rows = {None: slice(0, ny), 1: slice(0, k), 2: slice(k, ny)}[chip]
        y[k:] = y[k:] - y[k] if chip == 2 else np.where(np.arange(ny - k) == 0, y[k] + 1, y[k:])
        data = data.reshape(ny, nx, *data.shape[1:])[rows].reshape(-1, *data.shape[1:])
        borrowed, y = borrowed.reshape(ny, nx)[rows].ravel(), y[rows]
    elif chip is not None:
        raise ParameterError(f"chip={chip} for a file of one chip", "chip=None", file=path)
    try:
        library = EPSFLibrary(data, x, y, OVERSAMPLING, borrowed, meta, shift)
    except ParameterError as err:
        raise BadReferenceFileError(err.found, err.needed, err.do, path) from err
    return check_normalization(library, path)


def _borrowed(code, n):
    if not code:
        return np.zeros(n, bool)
    return np.array([c == "1" for c in f"{int(code, 16):0{n}b}"])


def check_normalization(library: EPSFLibrary, path: Any) -> EPSFLibrary:
    """Return the library, or raise where its ePSFs' sums show another oversampling or other units."""
    volumes = library.volumes()
    if not ((volumes > 0.5) & (volumes < 1.5)).all():
        worst = volumes[np.argmax(np.abs(np.log(np.maximum(volumes, 1e-30))))]
        raise BadReferenceFileError(
            f"an ePSF whose sum within 5 pixels is {worst:.3g} at oversampling {library.oversampling}",
            "sums near 1", "check the oversampling and the normalization", path,
        )  # fmt: skip
    return library
