"""ePSF libraries as ASDF reference files, and one reader for both formats."""

import io
import warnings
from os import PathLike
from pathlib import Path
from typing import Any

import asdf
import numpy as np
from stdatamodels.jwst.datamodels import ReferenceFileModel

from jwst_hpastrom.epsf.library import EPSFLibrary
from jwst_hpastrom.errors import BadReferenceFileError, ParameterError
from jwst_hpastrom.instrument import instrument_of
from jwst_hpastrom.io.calibrations.by_detector import file_for
from jwst_hpastrom.io.calibrations.stdpsf import check_normalization, read_stdpsf
from jwst_hpastrom.io.files.manifest import KEY, stamp
from jwst_hpastrom.io.files.opening import check_asdf, require_file
from jwst_hpastrom.io.files.seals import BLANK
from jwst_hpastrom.io.files.writing import write_model

__all__ = ["EPSFModel", "read_epsf", "read_epsf_reference", "write_epsf_reference"]

PLAIN = (str, int, float, bool, type(None))


class EPSFModel(ReferenceFileModel):
    """Reference file of type ``epsf``; keep it as ASDF (in FITS its grid would be lost).

    Parameters
    ----------
    init : object
        As for other data models: a path, a tree, or None.

    library : `~jwst_hpastrom.epsf.library.EPSFLibrary`, optional
        Contents.

    **kwargs : dict
        Passed on.
    """

    schema_url = "http://jwst-hpastrom.readthedocs.io/schemas/epsf.schema"
    reftype = "epsf"

    def __init__(self, init=None, library=None, **kwargs):
        super().__init__(init=init, **kwargs)
        if library is not None:
            self._fill(library)

    def _fill(self, library):
        meta = library.meta
        self.data = library.data
        history = {k: v for k, v in meta.items() if isinstance(v, PLAIN)}
        self.meta.epsf = {
            "oversampling": library.oversampling,
            "x": [float(v) for v in library.x],
            "y": [float(v) for v in library.y],
            "borrowed": [bool(v) for v in library.borrowed],
            "brighter_fatter": float(library.brighter_fatter),
            "effective_filter": str(meta.get("filter", "")),
            "history": history,
        }
        self.meta.instrument.name = instrument_of(meta)
        if meta.get("detector"):
            self.meta.instrument.detector = str(meta["detector"])
        self.meta.hpastrom = {"seal": BLANK} | ({KEY: made} if (made := stamp()) else {})
        self.meta.telescope = "JWST"
        self.meta.description = "Effective PSFs on a grid of detector positions"
        self.meta.author = "jwst_hpastrom"
        self.meta.pedigree = "INFLIGHT 2022-01-01 2100-01-01" if not meta.get("simulated") else "DUMMY"
        self.meta.useafter = "2022-01-01T00:00:00"

    @property
    def library(self) -> EPSFLibrary:
        """The contents as `~jwst_hpastrom.epsf.library.EPSFLibrary`."""
        grid = self.meta.epsf.instance
        return EPSFLibrary(
            np.array(self.data, float),
            np.array(grid["x"], float),
            np.array(grid["y"], float),
            grid["oversampling"],
            np.array(grid["borrowed"], bool) if grid.get("borrowed") is not None else None,
            dict(grid.get("history") or {}),
            float(grid.get("brighter_fatter") or 0.0),
        )

    def on_save(self, path: Any = None) -> Any:
        """Set the type before saving."""
        super().on_save(path)
        self.meta.reftype = self.reftype


def write_epsf_reference(library: EPSFLibrary, path: str | PathLike[str]) -> str:
    """Write a library as ASDF reference file; returns the path."""
    with EPSFModel(library=library) as model:
        return write_model(model, path)


def read_epsf_reference(path: str | PathLike[str]) -> EPSFLibrary:
    """Read an ASDF reference file.

    Raises
    ------
    BadFileError
        No such file.

    BadReferenceFileError
        It is damaged, or no ePSF reference.
    """
    require_file(path, "an ePSF reference")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            check_asdf(content := Path(path).read_bytes())
            whole = {"memmap": False, "lazy_load": False, "validate_checksums": True}  # as no data model does
            with asdf.open(io.BytesIO(content), **whole) as tree, EPSFModel(tree) as model:
                library = model.library
    except ParameterError as err:
        raise BadReferenceFileError(err.found, err.needed, err.do, path) from err
    except Exception as err:
        raise BadReferenceFileError(
            f"no ePSF reference ({type(err).__name__}: {' '.join(str(err).split())[:120]})",
            "an ASDF file of type epsf", "", path,
        ) from err  # fmt: skip
    library.meta["epsf_file"] = Path(path).name
    return check_normalization(library, path)


def read_epsf(source: Any, exposures: Any = None) -> EPSFLibrary:
    """Read a library from an STDPSF file (``.fits``) or an ASDF reference (``.asdf``).

    Parameters
    ----------
    source : path-like or `~jwst_hpastrom.epsf.library.EPSFLibrary`
        A library is handed through. With ``exposures`` also a folder of libraries, or a pattern of their
        names, see `~jwst_hpastrom.io.calibrations.by_detector.file_for`.

    exposures : mapping, optional
        Metadata of the exposures that it is read for, ``detector`` and ``filter``.

    Returns
    -------
    `~jwst_hpastrom.epsf.library.EPSFLibrary`
        ``meta["epsf_file"]`` holds the file's name.
    """
    if isinstance(source, EPSFLibrary):
        return source
    detector = None
    if exposures is not None:
        source, detector = file_for(source, exposures, "an ePSF library"), exposures.get("detector")
    if Path(source).suffix == ".asdf":
        return read_epsf_reference(source)
    return read_stdpsf(source, detector=detector)
