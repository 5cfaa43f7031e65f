"""What a run's products will have been made from: known before they are made, and whether they are there."""

from jwst_hpastrom.errors import HPAstromError
from jwst_hpastrom.io.files.manifest import make_manifest
from jwst_hpastrom.io.identity import input_entry, product_entry
from jwst_hpastrom.io.tables.reading import read_table
from jwst_hpastrom.steps.products.manifests import fit_inputs, fitted_together, list_label, why_not
from jwst_hpastrom.steps.products.verdicts import JUDGED

__all__ = [
    "build_sources", "built_without", "epsf_entry", "first_lists", "fit_manifest", "in_vain", "not_built",
    "not_up_to_date", "note_vain",
]  # fmt: skip

EXPOSURE = "exposure "  # begins the labels of exposures in manifests


def first_lists(run):
    """Return the entries of the star lists of the first pass, which those of the second replace."""
    run.prepare(None, "isolated")
    epsf = epsf_entry(run, planned=True)
    together = fitted_together(run.exposures)
    return {
        list_label(label.removeprefix(EXPOSURE)): product_entry(
            label.removeprefix(EXPOSURE), fit_manifest(run, epsf, {label: entry} | together)
        )
        for label, entry in run.exposures.items()
    }


def not_built(parts, start):
    """Say why a library of a part is not what would be built with a distortion; nothing where all are.

    Parameters
    ----------
    parts : sequence of `~jwst_hpastrom.steps.pipeline.run.Run`

    start : dict of str to dict
        Entry of that distortion, whose file is another's by then, by its label.
    """
    build = parts[0].pipeline.hp_epsf_build
    whys = (why_not(p.epsf, build.manifest(build_sources(p, start)), p.path("checks.ecsv")) for p in parts)
    return next(filter(None, whys), "")


def built_without(run, step):
    """Whether an earlier run ended with libraries built without a distortion: none could be solved first."""
    for p in run.parts or (run,):
        p.prepare(None, p.pipeline.mode)
        manifest = fit_manifest(p, epsf_entry(p, planned=True), p.exposures)
        if why_not(p.path("epsf_fit_quality.ecsv"), manifest, p.path("checks.ecsv")):
            return False
    sources = step.sources(run.inputs())
    return in_vain(run, step, sources) or not not_up_to_date(run, step, sources)


def not_up_to_date(run, step, sources):
    """Say why a run's distortion is not what the Step would make of sources; nothing where it is."""
    return why_not(run.path("distortion.asdf"), step.manifest(sources), run.path("checks.ecsv"))


def in_vain(run, step, sources):
    """Whether an earlier run noted that no distortion can be solved from these inputs."""
    try:
        judged = read_table(run.path("checks.ecsv")).meta.get(JUDGED, {})
    except HPAstromError:
        return False
    return judged.get(step.class_alias) == _vain(step, sources)


def note_vain(run, step, sources):
    """Note that no distortion can be solved from these inputs, where checks of one would stand."""
    step.evidence = None
    step.judge(run.association.product, _vain(step, sources))


def _vain(step, sources):
    return f"none of {step.manifest(sources)['id']}"


def build_sources(run, start=None):
    """Return what the library is made from; ``start`` is the distortion's entry, where that is no file."""
    build = run.pipeline.hp_epsf_build
    start = start or run.start or build.given("distortion_file")
    return run.exposures | start | build.given("start_epsf", "detector_mask")


def epsf_entry(run, *, planned=False):
    """Return the entry of the library: as it is there, or as it will have been made."""
    if planned and not run.pipeline.epsf_file:
        return product_entry(run.epsf.name, run.pipeline.hp_epsf_build.manifest(build_sources(run)))
    return input_entry(run.epsf, "epsf") if run.epsf.is_file() else {}


def fit_manifest(run, epsf, exposures):
    """Return the manifest of star lists."""
    fit = run.pipeline.hp_epsf_fit
    mask = {} if run.own_mask() else fit.given("detector_mask")
    return make_manifest(fit.class_alias, fit.deciding_parameters(), fit_inputs(epsf, mask, exposures))
