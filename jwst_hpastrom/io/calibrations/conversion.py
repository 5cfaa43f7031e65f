"""A distortion from one format to the other: ASDF reference and STDGDC."""

from pathlib import Path
from typing import Any

from jwst_hpastrom.errors import BadReferenceFileError, ParameterError
from jwst_hpastrom.io.calibrations.distortion_reference import (
    placement_like,
    read_distortion,
    reference_meta,
    write_distortion,
)
from jwst_hpastrom.io.calibrations.stdgdc import header_meta, write_stdgdc

__all__ = ["convert_distortion"]


def convert_distortion(source: Any, target: Any, *, like: Any = None) -> str:
    """Convert a distortion between ASDF reference and STDGDC formats, by the files' names.

    Parameters
    ----------
    source : path-like
        ASDF reference, or STDGDC of either format.

    target : path-like
        ``.asdf``, ``*_gdc.fits`` (format #2) or any other ``.fits`` (format #1).

    like : path-like, optional
        ASDF distortion reference of the detector, needed to write ASDF: the converted correction takes over
        its place in V2V3 (least-squares similarity over the detector).

    Returns
    -------
    str
        The target's path.

    Raises
    ------
    ParameterError
        A target that is neither.

    BadReferenceFileError
        ASDF without ``like``.
    """
    target = Path(target)
    if not {".asdf", ".fits"} & set(target.suffixes):
        raise ParameterError(f"a target {target.name}", ".asdf or .fits for a distortion")
    correction = read_distortion(source)
    if target.suffix == ".asdf":
        like = like or (source if Path(source).suffix == ".asdf" else None)
        if like is None:
            raise BadReferenceFileError(
                "an STDGDC file, which does not say where its frame lies in V2V3", "a distortion reference",
                "give one by --like", source,
            )  # fmt: skip
        return write_distortion(target, correction, placement_like(correction, like), reference_meta(like))
    meta = reference_meta(source) if Path(source).suffix == ".asdf" else header_meta(source)
    return write_stdgdc(target, correction, layout=2 if target.stem.endswith("_gdc") else 1, meta=meta)
