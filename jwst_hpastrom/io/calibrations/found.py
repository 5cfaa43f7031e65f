"""What folders of products hold of calibrations: libraries, distortions, pixel scales, fits of exposures."""

import logging
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
from astropy.table import Table

from jwst_hpastrom._display import Displayed
from jwst_hpastrom.columns import values
from jwst_hpastrom.errors import BadFileError
from jwst_hpastrom.io.calibrations.distortion_reference import read_distortion, reference_meta
from jwst_hpastrom.io.calibrations.epsf_reference import read_epsf

__all__ = ["Calibration", "find_calibrations"]

log = logging.getLogger("stpipe.hpastrom.io")

#: products that make a calibration, by their ends
ENDS = {
    "correction": "_distortion.asdf",
    "library": "_epsf.fits",
    "scale": "_scale_distortion_refine_quality.ecsv",
    "fits": "_epsf_fit_quality.ecsv",
}


@dataclass(frozen=True)
class Calibration(Displayed):
    """One field's calibration.

    Attributes
    ----------
    name : str
        Path of the folder and product.

    filter, detector, instrument : str

    epoch : float
        Mean of the exposures, Julian year; NaN where no product says.

    correction : `~jwst_hpastrom.distortion.DistortionCorrection` or None

    library : `~jwst_hpastrom.epsf.EPSFLibrary` or None

    scale : `~astropy.table.Table` or None
        Of `~jwst_hpastrom.distortion.pixel_scale`.

    fits : `~astropy.table.Table` or None
        ``PRODUCT_epsf_fit_quality.ecsv``, a row an exposure.
    """

    name: str
    filter: str
    detector: str
    epoch: float
    correction: object = None
    library: object = None
    scale: Table | None = None
    fits: Table | None = None
    instrument: str = ""

    @property
    def kind(self) -> str:
        """Detector and filter."""
        return f"{self.detector} {self.filter}".strip()


def find_calibrations(folders: Any) -> list[Calibration]:
    """Read the calibrations in folders of products.

    Parameters
    ----------
    folders : sequence of path-like
        Each with the products of one field or of several (filters).

    Returns
    -------
    list of `Calibration`
        In the order of time.

    Raises
    ------
    BadFileError
        A folder is missing, has no calibration in it, or has the exposures of another.
    """
    out: list[Calibration] = []
    for folder in map(Path, folders):
        if not folder.is_dir():
            raise BadFileError("no such folder", "a folder with products", "check the path", folder)
        found: dict[str, dict[str, Path]] = {}
        for part, end in ENDS.items():
            for path in sorted(folder.glob(f"*{end}")):
                found.setdefault(path.name.removesuffix(end), {})[part] = path
        if not found:
            raise BadFileError(
                "no calibration",
                f"files that end in {', '.join(ENDS.values())}",
                "run the pipeline first",
                folder,
            )
        out += [_read(folder, name, paths) for name, paths in found.items()]
    out.sort(key=lambda c: (np.isnan(c.epoch), c.epoch, c.name))
    for one, other in combinations(out, 2):
        if (one.instrument, one.kind, one.epoch) == (other.instrument, other.kind, other.epoch):
            raise BadFileError(
                f"{one.kind} of the same exposures in {one.name} ({one.epoch:.5f})", "each date once",
                "take one of them out", other.name,
            )  # fmt: skip
    return out


def _read(folder, name, paths):
    facts, parts = {}, {}
    if "scale" in paths:
        parts["scale"] = Table.read(paths["scale"])
        facts["filter"] = str(parts["scale"].meta.get("filter") or "")
    if "fits" in paths:
        parts["fits"] = Table.read(paths["fits"])
    if "library" in paths:
        parts["library"] = read_epsf(paths["library"])
        facts |= {k: v for k, v in parts["library"].meta.items() if v}
    if "correction" in paths:
        parts["correction"] = read_distortion(paths["correction"])
        facts |= {k: v for k, v in reference_meta(paths["correction"]).items() if v}
    epochs = [values(parts[p], "epoch") for p in ("scale", "fits") if p in parts]
    known = [e[np.isfinite(e)] for e in epochs if np.isfinite(e).any()]
    epoch = float(np.mean(known[0])) if known else float(facts.get("epoch") or np.nan)
    if not np.isfinite(epoch):
        log.warning("%s: no product says when the exposures were taken", folder / name)
    label = str(folder / name)
    return Calibration(
        label,
        str(facts.get("filter") or "?"),
        str(facts.get("detector") or ""),
        epoch,
        instrument=str(facts.get("instrument") or ""),
        **parts,
    )
