"""Calibration files of several detectors: a folder of them, or a pattern of their names."""

import logging
import re
from pathlib import Path
from typing import Any

from jwst_hpastrom.errors import BadReferenceFileError
from jwst_hpastrom.instrument import detector_name, detector_of
from jwst_hpastrom.instrument.metadata import keyword

__all__ = ["check_made_for", "file_for", "group_name", "is_several", "named_after"]

log = logging.getLogger("stpipe.hpastrom.io")

#: which files of a folder are calibrations, the first kind that there is: pattern of the names
KINDS = {
    "an ePSF library": (r"(_epsf\.fits|^(STDPSF|PSFSTD).*\.fits?)(\.gz)?$", r"_epsf\.asdf$"),
    "a distortion": (r"_distortion\.asdf$", r"(^STDGDC.*|_stdgdc)\.fits?(\.gz)?$", r"_gdc\.fits$"),
}
#: a filter's name
BAND = re.compile(r"F\d{3,4}[A-Z]{1,3}\d?")
#: a distortion of ours with the detector's place relative to the others: the same correction
PLACED = "_placed_distortion"


def check_made_for(path: Any, made_for: Any, exposures: Any) -> None:
    """Refuse a distortion of another detector than the exposures'; warn of one of another filter.

    Parameters
    ----------
    path : path-like

    made_for, exposures : mapping
        ``detector`` and ``filter``; nothing is compared where ``exposures`` is None.
    """
    if exposures is None:
        return
    mine = detector_of({"detector": made_for.get("detector")} if made_for.get("detector") else made_for)
    theirs = detector_of(exposures)
    if mine and theirs and mine != theirs:
        names = [f"{m.get('detector')}" for m in (made_for, exposures)]
        raise BadReferenceFileError(
            f"a distortion of {names[0]} for exposures on {names[1]}", f"one of {names[1]}",
            "give another distortion_file", path,
        )  # fmt: skip
    one, other = (keyword(m.get("filter")) for m in (made_for, exposures))
    if one and other and one != other and one.startswith("F"):
        log.warning("%s: a distortion of %s for exposures in %s", path, one, other)


def group_name(product, meta):
    """Name of the products of one detector and filter of an association.

    Examples
    --------
    >>> group_name("visit", {"detector": "NRCB1", "filter": "F200W"})
    'visit_nrcb1_f200w'
    """
    return "_".join([product, *(str(meta[k]).lower() for k in ("detector", "filter") if meta.get(k))])


def is_several(source):
    """Whether a folder or a pattern stands for files of several detectors."""
    return bool(source) and ("{" in str(source) or Path(source).is_dir())


def _tokens(name):
    return {detector_name(t) for t in re.split(r"[_\-.\s]+", name.upper())}


def named_after(path):
    """Return ``detector`` and ``filter`` that a calibration's name has, each where it has just one.

    Examples
    --------
    >>> named_after("STDGDC_NRCB2_F200W.fits")
    {'detector': 'NRCB2', 'filter': 'F200W'}
    """
    tokens = _tokens(Path(path).name)
    detectors = [t for t in tokens if detector_of({"detector": t})]
    bands = [t for t in tokens if BAND.fullmatch(t)]
    found = (("detector", detectors), ("filter", bands))
    return {key: names[0] for key, names in found if len(names) == 1}


def file_for(source: Any, meta: Any, kind: str) -> str:
    """Return the file for one detector and filter.

    Parameters
    ----------
    source : path-like
        A file, which is handed through; a folder; or a pattern with ``{detector}`` and ``{filter}``, which
        stand for names in lower case.

    meta : mapping
        ``detector`` and ``filter`` of the exposures.

    kind : {"an ePSF library", "a distortion"}
        Of a folder the files whose names have detector and filter in them count: ``STDPSF_NRCB1_F200W.fits``,
        ``visit_nrcb1_f200w_epsf.fits``.

    Returns
    -------
    str

    Raises
    ------
    BadReferenceFileError
        A folder without such a file, or with several.

    Examples
    --------
    >>> from jwst_hpastrom.io import file_for
    >>> beam = {"detector": "NRCB1", "filter": "F200W"}
    >>> file_for("out/v_{detector}_{filter}_epsf.fits", beam, "an ePSF library")
    'out/v_nrcb1_f200w_epsf.fits'
    """
    detector, band = (str(meta.get(k) or "") for k in ("detector", "filter"))
    if "{" in str(source):
        return str(source).replace("{detector}", detector.lower()).replace("{filter}", band.lower())
    folder = Path(source)
    if not folder.is_dir():
        return str(source)
    wanted = {detector_name(detector), band.upper()} - {""}
    named = [p for p in sorted(folder.iterdir()) if wanted <= _tokens(p.name) and PLACED not in p.name]
    several = [p for p in sorted(folder.iterdir()) if _in_mosaic(p, detector, band)]
    for pattern in KINDS[kind]:
        found = [p for p in named if re.search(pattern, p.name, re.IGNORECASE)]
        if kind == "an ePSF library" and not found:
            found = several
        if len(found) > 1:
            raise BadReferenceFileError(
                f"{' and '.join(p.name for p in found[:3])} for {detector} in {band}", f"{kind} of it",
                "take the others away, or give a pattern with {detector} and {filter}", folder,
            )  # fmt: skip
        if found:
            return str(found[0])
    raise BadReferenceFileError(
        f"no file named after {detector} and {band}", f"{kind} of it", "see the page on instruments", folder
    )


def _in_mosaic(path, detector, band):
    """Whether a file has all short-wave detectors of NIRCam, this one among them."""
    row = detector_of({"detector": detector})
    short = row is not None and row.keywords.get("channel") == "SHORT"
    return (
        short and re.match(r"STDPSF_NRCSW_", path.name, re.IGNORECASE) and band.upper() in _tokens(path.name)
    )
