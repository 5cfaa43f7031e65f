"""Every input of the pipeline opened and checked before any work is done or any product overwritten."""

import logging
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from astropy.table import Table

from jwst_hpastrom.errors import (
    ONE_UNIT,
    BadFileError,
    BadReferenceFileError,
    HPAstromError,
    MissingDataError,
    MixedExposuresError,
    NoBaselineError,
    NotEnoughStarsError,
)
from jwst_hpastrom.io.calibrations.distortion_reference import read_distortion
from jwst_hpastrom.io.calibrations.epsf_reference import read_epsf
from jwst_hpastrom.io.gaia.archive import circle_around, gaia_file
from jwst_hpastrom.io.tables.catalogs import read_catalog
from jwst_hpastrom.motion.two_epoch import check_epochs
from jwst_hpastrom.steps.pipeline.fields import check_catalog_field, check_one_field
from jwst_hpastrom.steps.products.seen import look

__all__ = ["GAIA", "Checked", "check_inputs", "check_names", "gaia_product"]

log = logging.getLogger("stpipe.hpastrom.pipeline")


#: value of reference_catalog that asks the archive
GAIA = "gaia"


@dataclass(frozen=True)
class Checked:
    """An exposure that can be read.

    Attributes
    ----------
    meta : dict

    label : str

    entry : dict
        Its label and entry in manifests.
    """

    meta: dict
    label: str
    entry: dict


def gaia_product(folder, product):
    """Path of the Gaia table that a run with the catalog "gaia" keeps."""
    return Path(folder) / f"{product}_gaia.ecsv"


def check_names(members):
    """Refuse exposures whose names a catfile of tweakreg, two words a line, cannot hold.

    Parameters
    ----------
    members : sequence of str

    Raises
    ------
    BadFileError
        A name with blanks.
    """
    for member in members:
        if len(Path(member).name.split()) != 1:
            raise BadFileError(
                "a name with blanks", "one without, for tweakreg's catfile", "rename the file", member
            )


def check_inputs(
    members,
    *,
    reading,
    catalog=None,
    epsf_file=None,
    distortion_file=None,
    skip=False,
    several_filters=False,
    folder=".",
    product="field",
):
    """Open everything that a run will need.

    Parameters
    ----------
    members : sequence of str
        Paths of the exposures.

    reading : dict
        Parameters of `~jwst_hpastrom.io.read_exposure`.

    catalog, epsf_file, distortion_file : path-like, optional
        The catalog "gaia" is asked of the archive around the exposures, or of ``<product>_gaia.ecsv``.

    skip : bool
        Leave out exposures that cannot be read, as long as one can.

    several_filters : bool
        Exposures may be of more than one filter.

    folder, product : path-like, str
        Where Gaia's table is kept, see `gaia_product`.

    Returns
    -------
    dict of str to `Checked`
        By member; without those that were left out.


    Raises
    ------
    HPAstromError
        One of them is missing, damaged, lacks columns or an epoch, or is not for these exposures.
    """
    check_names(members)
    asked = str(catalog or "").lower() == GAIA
    reference = read_catalog(catalog) if catalog and not asked else None  # first: these are quick
    checked, fields = _opened(members, reading, skip)
    metas = [c.meta for c in checked.values()]
    check_one_field(np.array(fields), [meta["filename"] for meta in metas])
    if several_filters:
        MixedExposuresError.unless_same(metas, "instrument", "detector")
        MixedExposuresError.unless_same(metas, "unit", do=ONE_UNIT)
    else:
        MixedExposuresError.unless_one_filter_a_detector(metas)
    _check_files(metas, epsf_file, distortion_file)
    if asked:
        path = gaia_product(folder, product)
        circle = circle_around(*np.moveaxis(np.array(fields), 1, 0))
        reference = read_catalog(gaia_file(*circle, cache_dir=path.parent, name=path.name))
    if reference is not None:
        _check_catalog(reference, metas, np.array(fields))
    return checked


def _opened(members, reading, skip):
    """Every exposure that can be read, by member, and the corners of each on the sky."""
    checked, fields = {}, []
    for member in members:
        try:
            seen = look(member, reading)
        except HPAstromError as err:
            if not skip:
                raise err.about(member) from None
            log.error("skipped: %s: %s", type(err).__name__, err.about(member))
            continue
        checked[member] = Checked(seen.meta, *seen.entry)
        fields.append(seen.corners)
    if not checked:
        raise NotEnoughStarsError("no exposure that can be read", "at least one")
    return checked, fields


def _check_files(metas, epsf_file, distortion_file):
    """Open the ePSF and the distortion of every detector and filter."""
    for meta in {(m["detector"], m["filter"]): m for m in metas}.values():
        if epsf_file:
            try:
                read_epsf(epsf_file, meta).check_made_for(meta)
            except BadReferenceFileError as err:
                raise err.about(epsf_file) from None
        if distortion_file:
            read_distortion(distortion_file, exposures=meta)


def _check_catalog(reference, metas, corners):
    """Epochs on both sides, and stars where the exposures look."""
    epochs = [meta["epoch"] for meta in metas]
    if unknown := [meta["filename"] for meta in metas if meta["epoch"] is None]:
        raise MissingDataError(
            "no epoch", "EXPMID, for motions from a reference catalog", "add it", unknown[0]
        )
    try:
        check_epochs(Table(meta={"epoch": float(np.mean(epochs))}), reference)
    except NoBaselineError as err:
        log.warning("no motions can be had; frame and distortion are made: %s", err)
    check_catalog_field(reference, corners)
