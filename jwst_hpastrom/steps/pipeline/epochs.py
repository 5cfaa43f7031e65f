"""Exposures of several epochs: which belong together, and the pipeline's run on them."""

import logging
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from jwst_hpastrom.errors import DegenerateSolutionError, MissingDataError
from jwst_hpastrom.io.association import Association, write_association
from jwst_hpastrom.io.gaia.table import read_gaia
from jwst_hpastrom.steps.pipeline.calibration import calibrate
from jwst_hpastrom.steps.pipeline.inputs import GAIA, check_inputs, gaia_product
from jwst_hpastrom.steps.pipeline.run import Run

__all__ = ["Visit", "run_epochs", "split_epochs"]

log = logging.getLogger("stpipe.hpastrom.pipeline")

#: years without exposures that part epochs: a visit takes days, roll and ePSF change within months
GAP = 0.08


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


def run_epochs(pipeline, association, folder, reading):
    """Run all Steps on exposures of several epochs: frames by epoch, one distortion, motions of all.

    Parameters
    ----------
    pipeline : `~jwst_hpastrom.steps.hpastrom_pipeline.HPAstromPipeline`

    association : `~jwst_hpastrom.io.association.Association`

    folder : `~pathlib.Path`
        Of the products.

    reading : dict
        Parameters of `~jwst_hpastrom.io.read_exposure`.
    """
    gaia = Path(pipeline.gaia_catalog)
    read_gaia(gaia)
    checked = check_inputs(
        association.members, reading=reading, catalog=pipeline.reference_catalog,
        epsf_file=pipeline.epsf_file, distortion_file=pipeline.distortion_file,
        skip=pipeline.on_error == "skip", several_filters=not pipeline.epsf_file, folder=folder,
        product=association.product,
    )  # fmt: skip
    if str(pipeline.reference_catalog or "").lower() == GAIA:
        pipeline.reference_catalog = str(gaia_product(folder, association.product))
    visits = split_epochs(list(checked), [c.meta for c in checked.values()], association.product)
    log.info(
        "%d exposures of %d epochs: %s", len(checked), len(visits),
        ", ".join(f"{v.product} {v.epoch:.3f} {v.band} ({len(v.members)})" for v in visits),
    )  # fmt: skip

    def part(product, members, suffix="asn"):
        path = write_association(folder / f"{product}_{suffix}.json", product, members)
        return Run(pipeline, Association(product, tuple(members), str(path)), checked)

    epsf = ("given", "epsf_file") if pipeline.epsf_file else ("built", "epoch by epoch")
    pipeline.choices.note("ePSF", *epsf)
    runs = [part(v.product, v.members) for v in visits]
    found, bands = {}, sorted({v.band for v in visits})
    for band in bands:
        mine = [r for r, v in zip(runs, visits, strict=True) if v.band == band]
        name = association.product if len(bands) == 1 else f"{association.product}_{band.lower()}"
        together = part(name, [m for r in mine for m in r.association.members], "all_asn")
        together.parts = tuple(mine)
        found[band] = calibrate(together, several=True)
        for run in mine:
            run.limited = together.limited
    masters = [str(run.master(found[v.band], None)) for run, v in zip(runs, visits, strict=True)]
    step = pipeline.hp_proper_motion
    step.gaia_catalog, step.first_epoch = str(gaia), None
    if not step.skip:
        part(association.product, masters, "epochs_asn").motions()
    pipeline.choices.write(folder / f"{association.product}_choices_quality.ecsv")
