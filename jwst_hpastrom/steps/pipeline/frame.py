"""The frame and the motions that a run ends with, tied to the catalog where that can be."""

import logging
from pathlib import Path

from jwst_hpastrom.errors import (
    HPAstromError,
    NoBaselineError,
    NoOverlapError,
    NotEnoughStarsError,
    OrientationError,
)
from jwst_hpastrom.io.tables.catalogs import read_catalog
from jwst_hpastrom.io.tables.reading import read_table
from jwst_hpastrom.steps.pipeline.fields import stars_in_field

__all__ = ["frame_and_motions"]

log = logging.getLogger("stpipe.hpastrom.pipeline")


def frame_and_motions(run, distortion):
    """Average all star lists to one master frame, and measure motions against the catalog."""
    pipe = run.pipeline
    tied = _tied(run, distortion)
    if not pipe.reference_catalog:
        solved = "neither distortion nor" if pipe.hp_distortion_refine.method is None else "no"
        log.warning("no reference_catalog: %s motions were measured", solved)
    elif pipe.hp_proper_motion.skip:
        pipe.choices.note("motions", "none", "hp_proper_motion left out")
    elif tied:
        pipe.hp_proper_motion.first_epoch = pipe.reference_catalog
        try:
            run.motions(str(run.path("master.ecsv")))
        except (NoBaselineError, NoOverlapError, NotEnoughStarsError) as err:
            log.warning("no motions: %s", err)
            pipe.choices.note("motions", "none", f"{err.found}; {err.do}")
        else:
            pipe.choices.note("motions", "against the catalog", Path(pipe.reference_catalog).name)


def _tied(run, distortion):
    """Make the master frame, tied to the catalog where that can be; whether it was."""
    catalog, note = run.pipeline.reference_catalog, run.pipeline.choices.note
    try:
        meta = read_table(run.master(distortion, catalog)).meta
    except (NoOverlapError, NotEnoughStarsError) as err:
        if not catalog:
            raise
        try:
            frame = read_table(run.master(distortion, None))
        except HPAstromError as alone:  # it is not the catalog that fails
            raise (err if isinstance(err, OrientationError) else alone) from None
        run.pipeline.choices.meta["untied_stars"] = stars_in_field(frame, read_catalog(catalog))
        if isinstance(err, OrientationError):
            run.pipeline.choices.meta["untied_because"] = f"{err.found} against the catalog"
        log.warning("the frame is not tied to the catalog, the exposures' WCS place it: %s", err)
        note("frame", "placed by the exposures' WCS", f"{err.found}; {err.do}")
        return False
    if meta.get("tied_to") == "reference":
        note("frame", f"tied to {meta['n_tie']} stars", f"scatter {meta['tie_rms_mas']:.2f} mas")
    else:
        note("frame", "placed by the exposures' WCS", "no reference catalog")
    return bool(catalog)
