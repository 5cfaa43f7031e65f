"""Damaged files over all readers: nothing hangs, nothing costs much, nothing leaves but errors by cause.

python benchmarks/corrupted_inputs.py [N] [SEED]: 5000 by default; exit status 1 where one did.
"""

import gzip
import json
import resource
import sys
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np
from astropy.io import fits
from astropy.table import Table

from jwst_hpastrom.distortion import DistortionCorrection, FramePlacement, PolynomialCorrection
from jwst_hpastrom.epsf import EPSFLibrary
from jwst_hpastrom.errors import HPAstromError
from jwst_hpastrom.geometry import LinearTransform, polynomial_terms
from jwst_hpastrom.io import (
    read_association,
    read_catalog,
    read_detector_mask,
    read_distortion,
    read_epsf,
    read_exposure,
    read_star_list,
    write_detector_mask,
    write_distortion,
    write_epsf_reference,
    write_stdgdc,
    write_stdpsf,
    write_table,
)
from jwst_hpastrom.io.files.opening import fits_sum

META = {"instrument": "NIRISS", "detector": "NIS", "filter": "F150W", "xstart": 1, "ystart": 1}
SHAPE = (64, 64)
#: products whose checksum tells every change
SEALED = ("a.ecsv", "a.fits", "a.parquet", "a_epsf.fits", "a_epsf.asdf", "a_stdgdc.fits", "a_distortion.asdf",
          "a_mask.fits", "a.ecsv.gz")  # fmt: skip


def _exposure(path):
    image = np.ones(SHAPE, "f4")
    hdus = fits.HDUList([fits.PrimaryHDU(), *(fits.ImageHDU(image, name=n) for n in ("SCI", "ERR"))])
    hdus[0].header.update(
        INSTRUME="NIRISS", DETECTOR="NIS", FILTER="CLEAR", PUPIL="F150W", EXP_TYPE="NIS_IMAGE", SUBSTRT1=1,
        SUBSTRT2=1,
    )  # fmt: skip
    hdus.writeto(path)


def _coded_list(path):
    codes = "".join(f"# ({k:02d})  {c} -- of it   c{k:03d}-c{k:03d}\n" for k, c in enumerate("xymq", 1))
    rows = "".join(f" {k}.25 {2 * k}.5 -{k % 9}.1 0.03\n" for k in range(1, 101))
    path.write_text(f"#  FILT:   F814W\n{codes}#\n{rows}")


def make(folder):
    """Write one good file of each kind; return (path, reader) of each."""
    rng = np.random.default_rng(5)
    n, terms = 100, len(polynomial_terms(3, 1))
    t = Table(
        {"id": np.arange(n), "ra": 80 + rng.random(n), "dec": -69 + rng.random(n), "mag": rng.random(n)}
    )
    t.meta["epoch"] = 2006.4
    part = PolynomialCorrection(3, *rng.normal(0, 0.1, (2, terms)), np.array([31.0, 31.0]), 32.0, "file")
    correction = DistortionCorrection(part, shape=SHAPE)
    placement = FramePlacement(LinearTransform(0.065 * np.eye(2), np.zeros(2), np.zeros(2)), 0.0, 0.0)
    r2 = np.add.outer(*2 * [np.linspace(-6, 6, 49) ** 2])
    library = EPSFLibrary(np.tile(np.exp(-r2 / 2), (4, 1, 1)), [0, 2047], [0, 2047], meta=META).normalized()
    files = {}

    def add(name, write, read):
        write(folder / name)
        files[folder / name] = read

    for suffix in ("ecsv", "fits", "parquet"):
        add(f"a.{suffix}", lambda p: write_table(t, p), read_catalog)
    add("a.csv", lambda p: t.write(p, format="ascii.csv"), read_catalog)
    add("a.vot", lambda p: t.write(p, format="votable"), read_catalog)
    packed = gzip.compress((folder / "a.ecsv").read_bytes())
    add("a.ecsv.gz", lambda p: p.write_bytes(packed), read_catalog)
    add("a_epsf.fits", lambda p: write_stdpsf(library, p), read_epsf)
    add("a_epsf.asdf", lambda p: write_epsf_reference(library, p), read_epsf)
    add("a_stdgdc.fits", lambda p: write_stdgdc(p, correction), read_distortion)
    add("a_distortion.asdf", lambda p: write_distortion(p, correction, placement, META),
        lambda p: read_distortion(p, shape=SHAPE))  # fmt: skip
    add("a_mask.fits", lambda p: write_detector_mask(p, np.array([[3, 4]]), SHAPE, META),
        lambda p: read_detector_mask(p, META, SHAPE))  # fmt: skip
    add("a_cal.fits", _exposure, read_exposure)
    add("a.xymq", _coded_list, read_star_list)
    asn = {"products": [{"name": "a", "members": [{"expname": "a_cal.fits", "exptype": "science"}]}]}
    add("a_asn.json", lambda p: p.write_text(json.dumps(asn)), read_association)
    return files


def damage(content, rng):
    """Return content with a bit flipped, a part cut off, zeroed, or two parts exchanged."""
    out, n = bytearray(content), len(content)
    at = int(rng.integers(n))
    long = int(rng.integers(1, max(2, n // 4)))
    kind = rng.integers(5)
    if kind == 0:
        out[at] ^= 1 << int(rng.integers(8))
    elif kind == 1:
        out = out[:at]
    elif kind == 2:
        out[at : at + long] = bytes(len(out[at : at + long]))
    elif kind == 3:
        other = int(rng.integers(n))
        out[at], out[other] = out[other], out[at]
    else:
        for k in rng.integers(0, n, 20):
            out[k] = int(rng.integers(256))
    return bytes(out)


def run(n, seed, folder):
    """Read n damaged files; return what should not be, as text."""
    rng, wrong = np.random.default_rng(seed), []
    files = make(Path(folder))
    good = {path: path.read_bytes() for path in files}
    for k in range(n):
        path, read = list(files.items())[k % len(files)]
        bad = damage(good[path], rng)
        if bad == good[path]:
            continue
        path.write_bytes(bad)
        start, memory = time.monotonic(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                read(path)
            if path.name in SEALED and can_be_told(bad, good[path]):
                wrong.append(f"{k} {path.name}: accepted")
        except HPAstromError as err:
            if path.name not in str(err):
                wrong.append(f"{k} {path.name}: no name in {err}")
        except Exception as err:
            wrong.append(f"{k} {path.name}: {type(err).__name__}: {str(err)[:100]}")
        if time.monotonic() - start > 10:
            wrong.append(f"{k} {path.name}: {time.monotonic() - start:.0f} s")
        if resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - memory > 1e6:
            wrong.append(f"{k} {path.name}: more than 1 GB")
        path.write_bytes(good[path])
    return wrong


def can_be_told(bad, good):
    """Whether a sum can tell: it is there, and the FITS sum, blind to exchanged words, is another."""
    if good.startswith(b"\x1f\x8b"):  # a changed date or name in the header of gzip changes no number
        return gzip.decompress(bad) != gzip.decompress(good)
    index = good.rfind(b"#ASDF BLOCK INDEX")  # all numbers stand before it, and it may be missing
    if index > 0 and len(bad) < len(good) and bad[:index] == good[:index]:
        return False
    if good.startswith(b"SIMPLE") and bad.ljust(len(good), b"\0") == good:  # cut within the last padding
        return False
    marks = (b"CHECKSUM= '", b"DATASUM = '", b"jwst_hpastrom-seal-")
    if any(bad.count(m) != good.count(m) for m in marks):
        return False
    sealed = marks[2] in good
    return sealed or len(bad) != len(good) or fits_sum(bad) != fits_sum(good)


if __name__ == "__main__":
    count, first = (int(a) for a in (*sys.argv[1:], *("5000", "1")[len(sys.argv) - 1 :]))
    with tempfile.TemporaryDirectory() as place:
        found = run(count, first, place)
    print("\n".join(found))
    print(f"{count} damaged files, {len(found)} that should not be")
    sys.exit(bool(found))
