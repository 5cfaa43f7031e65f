"""One exposure's star list: what a process does that works for EPSFFitStep."""

import logging
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from astropy.table import Column, Table

from jwst_hpastrom import __version__
from jwst_hpastrom.epsf import measure_stars, perturb_library
from jwst_hpastrom.epsf.build import mark_fixed_sources
from jwst_hpastrom.epsf.summary import summarize_fit
from jwst_hpastrom.epsf.wavefront import modes_of
from jwst_hpastrom.errors import HPAstromError, NotEnoughStarsError
from jwst_hpastrom.io.calibrations.stdpsf import write_stdpsf
from jwst_hpastrom.io.exposures.exposure import exposure_root, read_exposure
from jwst_hpastrom.io.files.manifest import making
from jwst_hpastrom.io.files.writing import write_table
from jwst_hpastrom.io.identity import exposure_entry
from jwst_hpastrom.io.tables.regions import write_regions
from jwst_hpastrom.io.tables.star_lists import star_list_path
from jwst_hpastrom.steps._errors import errors_by_cause
from jwst_hpastrom.steps.products.manifests import fitted_together

__all__ = ["Fitted", "fit_exposure", "held", "remove_products", "write_lists"]

log = logging.getLogger("stpipe.hpastrom.epsf")


@dataclass
class Fitted:
    """What became of an exposure.

    Attributes
    ----------
    exposure : dict
        Its entry in manifests.

    row : dict or None
        Of the quality table.

    stars : `~astropy.table.Table` or None
        Its star list.

    products : dict
        Hashes of the files written, by name.

    error : HPAstromError or None
        Why there are none.
    """

    exposure: dict = field(default_factory=dict)
    row: dict | None = None
    stars: Table | None = None
    products: dict = field(default_factory=dict)
    error: HPAstromError | None = None


def fit_exposure(member, *, folder, reading, manifest, sources, **how):
    """Measure one exposure; nothing of an earlier run stays that would be beside its star list."""
    exposure = read_exposure(member, need_wcs=True, parts=True, **reading)
    out = Fitted(dict([exposure_entry(exposure)]))
    try:
        with errors_by_cause(exposure.path), making(manifest(sources(out.exposure))) as run:
            (out.row, out.stars), out.products = _fit(exposure, folder=Path(folder), **how), run.products
            remove_products(exposure.name, folder, keep=run.products)
    except HPAstromError as err:
        out.error = err
    return out


def held(table, store, columns=None):
    """Return a list, or some columns of it, in a store."""
    table = table[[name for name in table.colnames if columns is None or name in columns]]
    for name in table.colnames:
        old = table[name]
        if not hasattr(old, "mask"):
            table[name] = Column(store.copy(old), unit=old.unit, description=old.description, copy=False)
    return table


def write_lists(fitted, exposures, *, folder, manifest, sources, regions, **_):
    """Write the star lists of an association, which name all its exposures: these tell hot pixels."""
    together, marked = fitted_together(exposures), mark_fixed_sources([one.stars for one in fitted])
    for one, n in zip(fitted, marked, strict=True):
        path = Path(folder) / one.row["star_list"]
        if n:
            log.info("%s: %d entries stay on the detector (hot pixels): flag COSMIC_RAY", path.name, n)
        with making(manifest(sources(one.exposure | together))) as run:
            write_table(one.stars, path)
            if regions:
                write_regions(one.stars, path.with_suffix(".reg"))
            one.products |= run.products


def remove_products(exposure, folder, keep=()):
    """Delete what an earlier run wrote of an exposure, but for files of names to keep."""
    stars = star_list_path(exposure, folder)
    pepsf = Path(folder) / f"{exposure_root(exposure)}_pepsf.fits"
    for path in (stars, stars.with_suffix(".parquet"), stars.with_suffix(".reg"), pepsf):
        if path.name not in keep:
            path.unlink(missing_ok=True)


def _fit(exposure, *, library, folder, list_format, parameters, perturbation, **_):
    meta, image = exposure.meta, replace(exposure.image, origin=None)  # the library is moved to it
    library.check_made_for(meta)
    x0, y0 = meta["xstart"] - 1, meta["ystart"] - 1
    local = library.shifted(-x0, -y0)
    row = {"filename": meta["filename"], "epoch": meta["epoch"] or np.nan}
    if perturbation["zones"] != "none":
        first = measure_stars(image, local, **{**parameters, "mode": "isolated"})
        result = perturb_library(image, local, first, **perturbation)
        local, zones = result.library, result.table
        for name in ("central_before", "central_after", "qfit_before", "qfit_after"):
            known = np.isfinite(zones[name])
            row[name] = float(np.average(zones[name][known], weights=zones["n_stars"][known]))
        stars = measure_stars(image, local, **{**parameters, "follow_wavefront": False})
        drift = local.meta.get("wavefront_nm")
    else:
        stars = measure_stars(image, local, **parameters)
        drift = stars.meta.get("wavefront_nm")
        if drift is not None:
            local = modes_of(local).change(np.array(drift), local)
    if perturbation["zones"] != "none" or drift is not None:
        write_stdpsf(local.shifted(x0, y0), folder / f"{exposure.name}_pepsf.fits")
    if len(stars) == 0:
        raise NotEnoughStarsError("no star", "at least one", "check the exposure and the threshold")
    summary = summarize_fit(stars, image, local)
    stars["ra"], stars["dec"] = exposure.to_sky(stars["x"], stars["y"])
    stars["ra"].unit = stars["dec"].unit = "deg"
    wings = stars.meta.get("wing_shift")
    stars.meta = {
        **meta, "epsf_file": str(library.meta.get("epsf_file")), "perturb": perturbation["zones"],
        "version": __version__, "parameters": dict(parameters),
    }  # fmt: skip
    stars.meta |= {k: v for k, v in (("wavefront_nm", drift), ("wing_shift", wings)) if v is not None}
    name = star_list_path(exposure.name, folder, list_format).name
    off = float(np.linalg.norm(drift)) if drift is not None else 0.0
    return {**row, "star_list": name, **summary, "wavefront_drift": off}, stars
