"""Find and read the products in a folder; nothing is computed anew that a Step could have written."""

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from astropy.table import Table

from jwst_hpastrom._display import Displayed
from jwst_hpastrom.errors import BadFileError, HPAstromError
from jwst_hpastrom.geometry import TangentPlane, fit_linear, match_nearest
from jwst_hpastrom.io.exposures.exposure import exposure_root
from jwst_hpastrom.io.tables.star_lists import read_star_list

__all__ = ["Products", "find_products", "frame_residuals"]


@dataclass
class Products(Displayed):
    """What a folder holds of one field.

    Attributes
    ----------
    folder : `~pathlib.Path`

    name : str
        Product name.

    stars : dict of str to `~astropy.table.Table`
        Star lists by exposure.

    quality : dict of str to `~astropy.table.Table`
        Quality tables by file name.

    epsf, correction, master, motions, artificial : object or None
        ePSF library, distortion correction, master frame, motions, artificial stars.

    detectors : `~astropy.table.Table` or None
        The detectors' relative places.

    measurements : `~astropy.table.Table` or None
        Every measurement of many-epoch motions, with its leave-one-out prediction.

    notes : list of str
        What could not be read, and why.

    exposures : dict of str to `~pathlib.Path`
        Exposures that were found, by name.
    """

    folder: Path
    name: str
    stars: dict = field(default_factory=dict)
    quality: dict = field(default_factory=dict)
    epsf: Any = None
    correction: Any = None
    master: Table | None = None
    motions: Table | None = None
    artificial: Table | None = None
    detectors: Table | None = None
    measurements: Table | None = None
    notes: list = field(default_factory=list)
    exposures: dict = field(default_factory=dict)

    @cached_property
    def residuals(self):
        """Residuals about the master frame, see `frame_residuals`."""
        return frame_residuals(self)


def _product_name(folder):
    suffixes = ("_pm.ecsv", "_master.ecsv", "_distortion.asdf", "_epsf.fits", "_epsf_fit_quality.ecsv")
    for suffix in (*suffixes, "_stars.ecsv"):
        names = sorted(p.name.removesuffix(suffix) for p in folder.glob(f"*{suffix}"))
        if names:
            return names[0]
    return None


def find_products(
    folder: Any, name: Any = None, exposures: Any = None, *, tables_only: bool = False
) -> Products:
    """Read the products in a folder.

    Parameters
    ----------
    folder : path-like

    name : str, optional
        Product name; by default that of the furthest product there.

    exposures : path-like, optional
        Folder with the exposures, for the figures that need pixels; by default ``folder`` itself.

    tables_only : bool
        Read quality tables, master frame and motions only.

    Returns
    -------
    `Products`

    Raises
    ------
    BadFileError
        No folder, or nothing in it.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise BadFileError("no such folder", "a folder with products", "check the path", folder)
    name = name or _product_name(folder)
    if name is None:
        raise BadFileError(
            "no products",
            "files that end in _stars.ecsv, _epsf.fits, _distortion.asdf, _master.ecsv or _pm.ecsv",
            "run the pipeline first",
            folder,
        )
    out = Products(folder, name)

    def attempt(path, read):
        if not path.exists():
            return None
        try:
            return read(path)
        except (HPAstromError, OSError, ValueError, KeyError) as err:
            out.notes.append(f"{path.name}: {type(err).__name__}: {err}")
            return None

    for path in () if tables_only else sorted(folder.glob("*_stars.ecsv")):
        table = attempt(path, read_star_list)
        if table is not None:
            out.stars[path.name.removesuffix("_stars.ecsv")] = table
    for path in () if tables_only else sorted(Path(exposures or folder).glob("*.fits")):
        if exposure_root(path) in out.stars and path.stem.endswith(("_cal", "_crf")):
            out.exposures[exposure_root(path)] = path
    for path in sorted(folder.glob("*_quality.ecsv")):
        table = attempt(path, Table.read)
        if table is not None:
            out.quality[path.name] = table
    out.master = attempt(folder / f"{name}_master.ecsv", Table.read)
    out.motions = attempt(folder / f"{name}_pm.ecsv", Table.read)
    out.detectors = attempt(folder / f"{name}_detectors.ecsv", Table.read)
    if tables_only:
        return out
    out.measurements = attempt(folder / f"{name}_pm_residuals.ecsv", Table.read)
    out.artificial = attempt(folder / f"{name}_artificial.ecsv", Table.read)
    for candidate in (folder / f"{name}_epsf.asdf", folder / f"{name}_epsf.fits"):
        if out.epsf is None:
            out.epsf = attempt(candidate, _read_epsf)
    for candidate in (folder / f"{name}_distortion.asdf", folder / f"{name}_gdc.fits"):
        if out.correction is None:
            out.correction = attempt(candidate, _read_correction)
    return out


def _read_epsf(path):
    from jwst_hpastrom.io.calibrations.epsf_reference import read_epsf

    return read_epsf(path)


def _read_correction(path):
    from jwst_hpastrom.io.calibrations.distortion_reference import read_distortion

    return read_distortion(path)


def frame_residuals(products: Products, *, qfit_max: float = 0.1) -> Table | None:
    """Residuals of every star of every exposure about the master frame, before and after the correction.

    Parameters
    ----------
    products : `Products`
        With star lists and a master frame.

    qfit_max : float
        Worse stars are left out.

    Returns
    -------
    `~astropy.table.Table` or None
        ``x y mag`` (raw full-frame pixels) ``dx dy`` (corrected minus master frame carried back by a
        six-parameter transformation, pixels) ``dx_raw dy_raw`` (the same of the raw positions, four
        parameters); None where star lists or master frame are missing.
    """
    master = products.master
    plane = None if master is None else TangentPlane.from_meta(master.meta)
    if master is None or plane is None or not products.stars or not {"x", "y"} <= set(master.colnames):
        return None
    mx, my = (np.asarray(master[c], float) for c in "xy")
    parts = []
    for stars in products.stars.values():
        if not {"ra", "dec"} <= set(stars.colnames):
            continue
        good = np.isfinite(stars["ra"]) & (np.asarray(stars["qfit"], float) < qfit_max)
        stars = stars[good]
        x, y = (np.asarray(stars[c], float) + int(stars.meta.get(f"{c}start") or 1) - 1 for c in "xy")
        u, v = plane.to_pixels(*plane.from_sky(np.asarray(stars["ra"]), np.asarray(stars["dec"])))
        # the header's pointing is good to a fraction of an arcsecond: match twice, the second time tightly
        i, j, _ = match_nearest(u, v, mx, my, 8.0)
        if len(i) < 20:
            continue
        shift = np.median(mx[j] - u[i]), np.median(my[j] - v[i])
        i, j, _ = match_nearest(u + shift[0], v + shift[1], mx, my, 1.0)
        if len(i) < 20:
            continue
        part = {"x": x[i], "y": y[i], "mag": np.asarray(stars["mag"], float)[i]}
        raw = fit_linear(mx[j], my[j], x[i], y[i], parameters=4, sigma=4.0).transform
        raw = raw.forward(mx[j], my[j])
        part["dx_raw"], part["dy_raw"] = x[i] - raw[0], y[i] - raw[1]
        xc, yc = (x, y) if products.correction is None else products.correction.forward(x, y)
        back = fit_linear(mx[j], my[j], xc[i], yc[i], parameters=6, sigma=4.0).transform
        back = back.forward(mx[j], my[j])
        part["dx"], part["dy"] = xc[i] - back[0], yc[i] - back[1]
        parts.append(part)
    if not parts:
        return None
    first = next(iter(products.stars.values())).meta
    meta = {k: first.get(k) for k in ("instrument", "detector", "fastaxis", "noutputs", "xstart", "ystart")}
    return Table({c: np.concatenate([p[c] for p in parts]) for c in parts[0]}, meta=meta)
