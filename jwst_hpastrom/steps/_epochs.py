"""Exposures of several epochs: which belong together, and the pipeline's road with them."""

import json
import logging
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from jwst_hpastrom.errors import (
    DegenerateSolutionError,
    MissingDataError,
    NoOverlapError,
    NotEnoughStarsError,
)
from jwst_hpastrom.io.gaia import read_gaia
from jwst_hpastrom.io.star_lists import star_list_path
from jwst_hpastrom.io.writing import atomic_path
from jwst_hpastrom.steps._choices import Choices
from jwst_hpastrom.steps._inputs import GAIA, check_inputs, gaia_product

__all__ = ["Visit", "run_epochs", "split_epochs"]

log = logging.getLogger("stpipe.hpastrom.pipeline")

#: years without exposures that part epochs: a visit takes days, roll and ePSF change within months
GAP = 0.08
#: of the transformations between frames that have been corrected for distortion
FRAME_DEGREE = 1


@dataclass(frozen=True)
class Visit:
    """Exposures of one epoch and filter.

    Attributes
    ----------
    members : tuple of str

    epoch : float
        Mean Julian year.

    band : str
        Filter.

    product : str
        Root of its products.
    """

    members: tuple
    epoch: float
    band: str
    product: str


def split_epochs(members, metas, product, *, gap=GAP):
    """Sort exposures into epochs, and these into filters.

    Parameters
    ----------
    members : sequence of str

    metas : sequence of dict
        ``epoch`` (Julian year), ``filter``, ``filename``, of every member.

    product : str
        The association's; epochs are ``product_e1``, ``product_e2`` and so on in order of time.

    gap : float
        Years without exposures between epochs.

    Returns
    -------
    list of `Visit`

    Raises
    ------
    MissingDataError
        An exposure without a time.

    DegenerateSolutionError
        All exposures are of one epoch.
    """
    epochs = [m["epoch"] for m in metas]
    if unknown := [m["filename"] for m, t in zip(metas, epochs, strict=True) if t is None]:
        raise MissingDataError("no epoch", "EXPMID", "add it", unknown[0])
    order = np.argsort(epochs, kind="stable")
    times = np.array(epochs, float)[order]
    number = np.r_[0, np.cumsum(np.diff(times) > gap)]
    if number[-1] == 0:
        raise DegenerateSolutionError(
            f"{len(times)} exposures of one epoch ({times[0]:.3f} to {times[-1]:.3f})",
            f"exposures that are more than {gap} years apart, for motions from gaia_catalog",
            "add exposures of another epoch, or give reference_catalog instead",
        )
    parts = {}
    for k, row in zip(number.tolist(), order.tolist(), strict=True):
        parts.setdefault((k, metas[row]["filter"]), []).append(row)
    return [
        Visit(
            tuple(members[r] for r in rows), float(np.mean([epochs[r] for r in rows])), band,
            f"{product}_e{i + 1}",
        )
        for i, ((_, band), rows) in enumerate(parts.items())
    ]  # fmt: skip


def write_association(path, product, members):
    """Write an association of files anywhere; return its path."""
    members = [{"expname": str(Path(m).resolve()), "exptype": "science"} for m in members]
    content = {"asn_type": "image3", "products": [{"name": product, "members": members}]}
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(content, indent=2) + "\n")
    return path


def run_epochs(pipeline, association, folder, reading):
    """Run all Steps on exposures of several epochs: frames by epoch, one distortion, motions of all.

    Parameters
    ----------
    pipeline : `~jwst_hpastrom.steps.hpastrom_pipeline.HPAstromPipeline`

    association : `~jwst_hpastrom.io.association.Association`

    folder : `~pathlib.Path`
        Of the products.

    reading : dict
        Parameters of `~jwst_hpastrom.io.exposures.read_exposure`.
    """
    gaia = Path(pipeline.gaia_catalog)
    read_gaia(gaia)
    metas = check_inputs(
        association.members, reading=reading, catalog=pipeline.reference_catalog,
        epsf_file=pipeline.epsf_file, distortion_file=pipeline.distortion_file,
        skip=pipeline.on_error == "skip", several_filters=not pipeline.epsf_file, folder=folder,
        product=association.product,
    )  # fmt: skip
    if str(pipeline.reference_catalog or "").lower() == GAIA:
        pipeline.reference_catalog = str(gaia_product(folder, association.product))
    members = [m for m, meta in zip(association.members, metas, strict=True) if meta is not None]
    visits = split_epochs(members, [m for m in metas if m is not None], association.product)
    files = {
        v.product: write_association(folder / f"{v.product}_asn.json", v.product, v.members) for v in visits
    }
    log.info(
        "%d exposures of %d epochs: %s", len(members), len(visits),
        ", ".join(f"{v.product} {v.epoch:.3f} {v.band} ({len(v.members)})" for v in visits),
    )  # fmt: skip
    distortions, built, pipeline.choices = {}, not pipeline.epsf_file, Choices()
    pipeline.choices.note("ePSF", *(("built", "epoch by epoch") if built else ("given", "epsf_file")))
    bands = sorted({v.band for v in visits})
    for band in bands:
        mine = [v for v in visits if v.band == band]
        name = association.product if len(bands) == 1 else f"{association.product}_{band.lower()}"
        distortions[band] = _distortion(pipeline, mine, files, name, folder)
    masters = []
    for v in visits:
        _measure(pipeline, v, files[v.product], folder, distortions[v.band], pipeline.mode, built)
        master = folder / f"{v.product}_master.ecsv"
        if not pipeline.is_done([master], _lists(v, folder)):
            step = pipeline.hp_master_frame
            step.distortion_file = str(distortions[v.band]) if distortions[v.band] else None
            step.reference_catalog = None
            step.run(str(files[v.product]))
        masters.append(master)
    motions = folder / f"{association.product}_pm.ecsv"
    if not pipeline.is_done([motions], [*masters, gaia]):
        step = pipeline.hp_proper_motion
        step.gaia_catalog, step.first_epoch, step.degree = str(gaia), None, FRAME_DEGREE
        epochs = folder / f"{association.product}_epochs_asn.json"
        step.run(str(write_association(epochs, association.product, masters)))
    pipeline.choices.write(folder / f"{association.product}_choices_quality.ecsv")


def _lists(visit, folder):
    return [star_list_path(m, folder) for m in visit.members]


def _measure(pipeline, visit, file, folder, distortion, mode, build):
    epsf = folder / f"{visit.product}_epsf.fits" if build else Path(pipeline.epsf_file)
    exposures = [Path(m) for m in visit.members]
    pipeline.build_and_fit(str(file), epsf, _lists(visit, folder), exposures, distortion, mode, build=build)


def _distortion(pipeline, visits, files, name, folder):
    """One distortion for a filter's exposures of all epochs; None where the WCS' has to do."""
    part = f"distortion of {name}"
    if pipeline.distortion_file:
        pipeline.choices.note(part, "given", "distortion_file")
        return Path(pipeline.distortion_file)
    path = folder / f"{name}_distortion.asdf"
    members = [m for v in visits for m in v.members]
    catalog = pipeline.reference_catalog
    if pipeline.is_done([path], [Path(m) for m in members] + ([Path(catalog)] if catalog else [])):
        pipeline.choices.note(part, "of an earlier run", "resume")
        return path
    for v in visits:
        _measure(pipeline, v, files[v.product], folder, None, "isolated", not pipeline.epsf_file)
    step = pipeline.hp_distortion_refine
    step.reference_catalog, step.chosen = catalog, None
    if catalog:
        step.few_stars = "refine"
    else:
        step.method = "self"
    try:
        step.run(str(write_association(folder / f"{name}_all_asn.json", name, members)))
    except (NoOverlapError, NotEnoughStarsError, DegenerateSolutionError) as err:
        log.warning("no distortion was solved, that of the exposures' WCS is used: %s", err)
        pipeline.choices.note(part, "the exposures' WCS", f"{err.found}; {err.do}")
        return None
    pipeline.choices.note(part, *step.chosen)
    return path
