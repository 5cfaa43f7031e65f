"""The calibration that a run makes or takes: its distortion, the ePSF built with it, the star lists."""

import logging
from contextlib import contextmanager
from pathlib import Path

from jwst_hpastrom.errors import DegenerateSolutionError, NoOverlapError, NotEnoughStarsError
from jwst_hpastrom.io.calibrations.by_detector import file_for
from jwst_hpastrom.io.identity import product_entry
from jwst_hpastrom.io.tables.reading import read_table
from jwst_hpastrom.steps.pipeline.choices import AS_BEFORE
from jwst_hpastrom.steps.pipeline.planned import (
    built_without,
    first_lists,
    in_vain,
    not_built,
    not_up_to_date,
    note_vain,
)

__all__ = ["calibrate"]

log = logging.getLogger("stpipe.hpastrom.pipeline")

#: ends of the names of what a distortion's Step writes
OF_DISTORTION = (
    "distortion.asdf", "stdgdc.fits", "gdc.fits", "distortion_refine_quality.ecsv",
    "scale_distortion_refine_quality.ecsv",
)  # fmt: skip
#: what says that there is no distortion in some star lists
UNSOLVED = NoOverlapError, NotEnoughStarsError, DegenerateSolutionError
#: parameters of the solution that an ePSF is built with: its errors of 0.009 to 0.014 pixel differ from star
#: to star, and lists by that ePSF are as good as with the whole one; a quarter of the cells makes them worse
TO_BUILD_WITH = {
    "pixel_map": False, "held_out": 0.0, "few_stars": "fail", "void_asn": None, "formats": None,
    "save_exposures": False,
}  # fmt: skip


def calibrate(run, *, several=False):
    """Build the ePSF, fit the stars, solve the distortion; return its file, None where there is none.

    ``several`` says that this is one of several, of detectors and filters or of epochs' filters: the file
    given is theirs, too. What limits the distortion is ``run.limited`` then.
    """
    pipe, own, part = run.pipeline, run.path("distortion.asdf"), "distortion"
    given = pipe.distortion_file or None
    ours = given and Path(given).exists() and own.exists() and own.samefile(given)
    part += f" of {run.association.product}" if several else ""
    step = pipe.hp_distortion_refine
    if step.skip or not step.method or ours or (given and several):  # a run's product is not refined again
        why = "of an earlier run" if ours else "as it is" if given else ""
        why = "hp_distortion_refine left out" if step.skip else why if step.method else "no reference catalog"
        if not given:
            why += "; errors hold what dithers show, not the WCS's own, of up to 5 mas"
        pipe.choices.note(part, "given" if given else "the exposures' WCS", why)
        if not step.method or (step.skip and not given):
            run.limited = why
        for p in run.parts or (run,):
            p.build_and_fit(given, pipe.mode)
        distortion = given
    else:
        distortion = _solve(run, given, part)
    _set_aside(run, distortion)
    return distortion


def _set_aside(run, used):
    """Let an earlier run's distortion, where this run uses another or none, be taken by nothing."""
    own = [path for suffix in OF_DISTORTION if (path := run.path(suffix)).exists()]
    found = Path(file_for(used, run.beam, "a distortion")) if used else None
    if found and found.exists() and any(path.samefile(found) for path in own):
        return
    for path in own:
        path.rename(kept := path.with_name(f"{path.name}.earlier"))
        log.warning("%s is of an earlier run, and not used: it is %s now", path, kept.name)


def _solve(run, given, part):
    """Build the ePSF, fit the stars, and solve or refine the distortion from the last star lists.

    Parameters
    ----------
    given : path-like or None
        Distortion to refine.

    part : str
        How the choices call it.

    Returns
    -------
    path-like or None
        The distortion to use.
    """
    pipe, path, parts = run.pipeline, run.path("distortion.asdf"), run.parts or (run,)
    step = pipe.hp_distortion_refine
    step.reference_catalog, step.distortion_file = pipe.reference_catalog, given and str(given)
    step.beam, step.chosen, start = run.beam, None, given
    if not (given or pipe.epsf_file):  # of what is given nothing is built with a distortion solved here
        start = _to_build_with(run, step)
    for p in parts:
        p.build_and_fit(start, pipe.mode)
    sources = step.sources(run.inputs())
    if pipe.resume and in_vain(run, step, sources):
        log.info("resume: no distortion could be solved from these inputs")
        return _without(run, given, part, AS_BEFORE)
    if not run.up_to_date(step, path, sources):
        try:
            step.run(run.association.path)
        except UNSOLVED as err:
            if isinstance(err, DegenerateSolutionError) and not run.parts:
                raise
            source = "that given" if given else "that of the exposures' WCS"
            log.warning("no distortion was solved, %s is used: %s", source, err)
            note_vain(run, step, sources)
            return _without(run, given, part, f"no star to refine it by: {err.found}; {err.do}")
    chosen = read_table(run.path("distortion_refine_quality.ecsv")).meta["chosen"]
    pipe.choices.note(part, *chosen)
    if not chosen[0].startswith("solved"):
        run.limited = f"few reference stars refined {chosen[0]}"
    return path


def _without(run, given, part, why):
    run.pipeline.choices.note(part, "given" if given else "the exposures' WCS", why)
    run.limited = why
    return given


def _to_build_with(run, step):
    """Solve the distortion that the ePSF is built with, from lists by one that is built without.

    The last solution takes its place, as the last lists take that of these. None where stars are too few to
    solve it: what they could refine changes an ePSF little.
    """
    pipe, path, parts = run.pipeline, run.path("distortion.asdf"), run.parts or (run,)
    for p in parts:
        p.start = {}
    if pipe.resume and built_without(run, step):
        return None
    changed = not_up_to_date(run, step, step.sources(run.inputs())) if pipe.resume else ""
    with _without_details(step):
        first = {label: entry for p in parts for label, entry in first_lists(p).items()}
        sources = step.sources(run.inputs(), first)
        start = {"distortion_file": product_entry(path.name, step.manifest(sources))}
        why = not_built(parts, start) if pipe.resume else ""
        if not pipe.resume or (why and not_up_to_date(run, step, sources)):
            if pipe.resume:
                log.info("resume: %s runs: %s", step.class_alias, changed or why)
            for p in parts:
                p.build_and_fit(None, "isolated")
            try:
                step.run(run.association.path)
            except UNSOLVED as err:
                log.info("the ePSF is built without a distortion of these stars: %s", err)
                return None
    for p in parts:
        p.start = start
    return path


@contextmanager
def _without_details(step):
    """Let the Step solve all stars' polynomial and table only, or fail: positions are averaged with them."""
    before = {name: getattr(step, name) for name in TO_BUILD_WITH}
    try:
        vars(step).update(TO_BUILD_WITH)
        yield
    finally:
        vars(step).update(before)
