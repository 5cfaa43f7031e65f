"""The calibration that a run makes or takes: its distortion, the ePSF built with it, the star lists."""

import logging
from pathlib import Path

from jwst_hpastrom.errors import DegenerateSolutionError, NoOverlapError, NotEnoughStarsError
from jwst_hpastrom.io.calibrations.by_detector import file_for
from jwst_hpastrom.io.identity import product_entry
from jwst_hpastrom.io.tables.reading import read_table
from jwst_hpastrom.steps.pipeline.choices import AS_BEFORE
from jwst_hpastrom.steps.pipeline.planned import ends_without, first_lists

__all__ = ["calibrate", "set_aside", "solve"]

log = logging.getLogger("stpipe.hpastrom.pipeline")

#: ends of the names of what a distortion's Step writes
OF_DISTORTION = (
    "distortion.asdf", "stdgdc.fits", "gdc.fits", "distortion_refine_quality.ecsv",
    "scale_distortion_refine_quality.ecsv",
)  # fmt: skip


def calibrate(run, *, several=False):
    """Build the ePSF, fit the stars, solve the distortion; return its file, None where there is none.

    ``several`` says that this is one of several detectors and filters.
    """
    pipe, own = run.pipeline, run.path("distortion.asdf")
    given = pipe.distortion_file or None
    ours = given and Path(given).exists() and own.exists() and own.samefile(given)
    part = f"distortion of {run.association.product}" if several else "distortion"
    step = pipe.hp_distortion_refine
    if step.skip or not step.method or ours or (given and several):  # a run's product is not refined again
        why = "of an earlier run" if ours else "several detectors" if given else ""
        why = "hp_distortion_refine left out" if step.skip else why if step.method else "no reference catalog"
        if not given:
            why += "; errors hold what dithers show, not the WCS's own, of up to 5 mas"
        pipe.choices.note(part, "given" if given else "the exposures' WCS", why)
        if not step.method or (step.skip and not given):
            pipe.limited = why
        distortion = start = given
    else:
        distortion, start = solve(run, given, part)
    set_aside(run, distortion)
    run.build_and_fit(start, pipe.mode)
    return distortion


def set_aside(run, used):
    """Let an earlier run's distortion, where this run uses another or none, be taken by nothing."""
    own = [path for suffix in OF_DISTORTION if (path := run.path(suffix)).exists()]
    found = Path(file_for(used, run.beam, "a distortion")) if used else None
    if found and found.exists() and any(path.samefile(found) for path in own):
        return
    for path in own:
        path.rename(kept := path.with_name(f"{path.name}.earlier"))
        log.warning("%s is of an earlier run, and not used: it is %s now", path, kept.name)


def solve(run, given, part="distortion"):
    """Solve or refine the distortion.

    Parameters
    ----------
    given : path-like or None
        Distortion to refine.

    part : str
        How the choices call it.

    Returns
    -------
    distortion, start : path-like or None
        The one to use, and the one to build ePSFs with: few stars change little, the ePSF of the first
        round then holds.
    """
    pipe, path, parts = run.pipeline, run.path("distortion.asdf"), run.parts or (run,)
    step = pipe.hp_distortion_refine
    step.reference_catalog, step.distortion_file = pipe.reference_catalog, given and str(given)
    step.beam, step.chosen = run.beam, None
    first = {label: entry for p in parts for label, entry in first_lists(p, given).items()}
    sources = step.sources(run.inputs(), first)
    tried = {step.class_alias: product_entry("none", step.manifest(sources))}
    if pipe.resume and all(ends_without(p, tried, given) for p in parts):
        log.info("resume: no distortion could be solved from these inputs")
        return _without(run, tried, given, part, AS_BEFORE)
    if not run.up_to_date(step, path, sources):
        for p in parts:
            p.build_and_fit(given, "isolated")
        try:
            step.run(run.association.path)
        except (NoOverlapError, NotEnoughStarsError, DegenerateSolutionError) as err:
            if isinstance(err, DegenerateSolutionError) and not run.parts:
                raise
            source = "that given" if given else "that of the exposures' WCS"
            log.warning("no distortion was solved, %s is used: %s", source, err)
            return _without(run, tried, given, part, f"no star to refine it by: {err.found}; {err.do}")
    chosen = read_table(run.path("distortion_refine_quality.ecsv")).meta["chosen"]
    pipe.choices.note(part, *chosen)
    whole = chosen[0].startswith("solved")
    if not whole:
        pipe.limited = f"few reference stars refined {chosen[0]}"
    return path, path if whole else given


def _without(run, tried, given, part, why):
    """No distortion: the star lists tell what was tried, unless trying again costs nothing."""
    for p in run.parts or (run,):
        p.tried = {} if run.pipeline.mode == "isolated" else tried
    run.pipeline.choices.note(part, "given" if given else "the exposures' WCS", why)
    run.pipeline.limited = why
    return given, given
