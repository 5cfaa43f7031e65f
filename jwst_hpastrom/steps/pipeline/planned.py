"""What a run's products will have been made from: known before they are made, and whether they are there."""

from jwst_hpastrom.io.files.manifest import make_manifest
from jwst_hpastrom.io.identity import input_entry, product_entry
from jwst_hpastrom.steps.products.manifests import fit_inputs, fitted_together, list_label, why_not

__all__ = ["build_sources", "ends_without", "epsf_entry", "first_lists", "fit_manifest"]

EXPOSURE = "exposure "  # begins the labels of exposures in manifests


def first_lists(run, given):
    """Return the entries of the star lists of the first pass, which those of the second replace."""
    run.prepare(given, "isolated")
    epsf = epsf_entry(run, planned=True)
    together = fitted_together(run.exposures)
    return {
        list_label(label.removeprefix(EXPOSURE)): product_entry(
            label.removeprefix(EXPOSURE), fit_manifest(run, epsf, {label: entry} | together)
        )
        for label, entry in run.exposures.items()
    }


def ends_without(run, tried, given):
    """Whether, of an earlier run, star lists are there that followed the same vain attempt."""
    if run.pipeline.mode == "isolated":
        return False
    run.tried = tried
    run.prepare(given, run.pipeline.mode)
    run.tried = {}
    manifest = fit_manifest(run, epsf_entry(run, planned=True), run.exposures)
    path = run.path("epsf_fit_quality.ecsv")
    return not why_not(path, manifest, run.path("checks.ecsv"))


def build_sources(run):
    """Return what the library is made from."""
    build = run.pipeline.hp_epsf_build
    return run.exposures | build.given("distortion_file", "start_epsf", "detector_mask")


def epsf_entry(run, *, planned=False):
    """Return the entry of the library: as it is there, or as it will have been made."""
    if planned and not run.pipeline.epsf_file:
        return product_entry(run.epsf.name, run.pipeline.hp_epsf_build.manifest(build_sources(run)))
    return input_entry(run.epsf, "epsf") if run.epsf.is_file() else {}


def fit_manifest(run, epsf, exposures):
    """Return the manifest of star lists."""
    fit = run.pipeline.hp_epsf_fit
    mask = {} if run.own_mask() else fit.given("detector_mask")
    return make_manifest(
        fit.class_alias, fit.deciding_parameters(), fit_inputs(epsf, mask, fit.extra_inputs, exposures)
    )
