"""Every module has a test of its name, or the listing here says which other test guards it, and why.

``jwst_hpastrom/a/b/c.py`` is tested by ``tests/a/b/test_c.py`` (``_c.py`` by the same), or a small package
``a/b`` as a whole by ``tests/a/test_b.py``.
"""

import ast
from fnmatch import fnmatch
from functools import cache
from importlib import import_module
from pathlib import Path

import pytest

import jwst_hpastrom

PACKAGE, TESTS = Path(jwst_hpastrom.__file__).parent, Path(__file__).parents[1]
SHELLS = "the bundles and kernels of its folder, which it calls"
STAGES = "stages that only make sense one after the other, run whole against a known truth"
#: folder, its modules, the test that guards them, why it has another name
LISTED = [
    ("", "_lazy", "test_front_door.py", "what it gives is what the packages offer"),
    ("", "__main__", "cli/test_commands.py", "the command line, run as a process of its own"),
    ("", "column_texts", "test_columns.py", "texts of the columns that are tested there"),
    ("", "ranges", "steps/test_ranges.py", "its table is that of the Steps' parameters"),
    ("cli", "completion", "cli/test_run.py", "a line for each command"),
    ("cli", "strun", "cli/test_commands.py", "the pipeline that commands run"),
    ("checks", "causes epochs evidence exposures frame motions scatter verdict", "checks/test_verdicts.py",
     "whole catalogs, right ones and spoiled ones, go through all checks"),
    ("distortion", "published", "distortion/test_solution.py", "the last stage of a solution"),
    ("distortion/model", "correction parts", "contracts/test_mapping_contract.py",
     "the contract of all mappings, theirs too"),
    ("distortion/model", "_error_kernels", "distortion/model/test_error_model.py", SHELLS),
    ("distortion/model", "ideal standard_models", "io/calibrations/test_distortion_reference.py",
     "models of reference files, written and read"),
    ("distortion/pixelmap", "_kernels", "distortion/pixelmap/test_pixel_map.py", SHELLS),
    ("distortion/pixelmap", "grid", "distortion/pixelmap/test_random_field.py", "the bins of that field"),
    ("distortion/pixelmap", "held_out", "distortion/test_solution.py", STAGES),
    ("distortion/products", "official", "io/calibrations/test_distortion_reference.py",
     "models of reference files, written and read"),
    ("distortion/solve", "design matching pairs problem", "distortion/solve/test_joint.py", STAGES),
    ("distortion/solve", "iterative", "distortion/test_solution.py", STAGES),
    ("distortion/solve", "star_frame", "distortion/solve/test_selfcal.py", STAGES),
    ("epsf", "image", "epsf/exchange/test_given.py", "the ways to give one"),
    ("epsf", "star_config", "epsf/test_passes.py", "parameters of what is tested there"),
    ("epsf/build", "iterations start trust", "epsf/build/test_build.py", STAGES),
    ("epsf/build/positions", "averages", "epsf/build/test_build.py", STAGES),
    ("epsf/exchange", "model photutils_tables", "peers/test_photutils.py", "against photutils itself"),
    ("epsf/kernels", "detection", "epsf/test_detect.py", SHELLS),
    ("epsf/kernels", "light_errors", "epsf/test_weights.py", SHELLS),
    ("epsf/kernels", "star_fit", "epsf/test_fit.py", SHELLS),
    ("epsf/stamps", "_sample_kernels neighbors samples", "epsf/stamps/test_kernels.py",
     "the arithmetic and what carries it, against twins"),
    ("epsf/stamps", "bright_stars frames", "epsf/build/test_build.py", STAGES),
    ("epsf/stamps", "drifts", "epsf/wavefront/test_drift.py", "drifts of the stamps of a whole build"),
    ("epsf/wavefront", "modes optics", "epsf/wavefront/test_drift.py",
     "the model of the optics that drifts are told with"),
    ("frame", "_kernels assemble averages colors config measurements quality", "frame/test_master.py",
     STAGES),
    ("frame/diagnostics", "footprints", "frame/diagnostics/test_exposures.py", "a column of that table"),
    ("frame/systematics", "detector", "frame/systematics/test_spread.py", "whose spread is tested"),
    ("frame/transforms", "detector_places", "steps/products/test_several_detectors.py",
     "needs pointings and distortions, too"),
    ("geometry", "_kernels", "geometry/test_matching.py", SHELLS),
    ("geometry", "mapping", "contracts/test_mapping_contract.py", "the contract of all mappings"),
    ("geometry", "transform_fits", "geometry/test_transform.py", "fits of the transformations tested there"),
    ("io", "identity", "steps/products/test_manifests.py", "what manifests hold of each file"),
    ("io/calibrations", "conversion", "io/calibrations/test_stdgdc.py", "from that format and back"),
    ("io", "products", "report/test_report.py", "folders of products as the report finds them"),
    ("io/calibrations", "epsf_reference", "io/calibrations/test_stdpsf.py", "one library in two formats"),
    ("io/calibrations", "psf_models", "peers/test_photutils.py", "read and written as photutils' models are"),
    ("io/calibrations", "refined_wcs", "pipeline/test_official_distortion.py",
     "against the same by the official pipeline"),
    ("io/exposures", "beams", "io/calibrations/test_by_detector.py", "what calibrations are chosen by"),
    ("io/exposures", "quality_bits", "io/exposures/test_exposure.py", "bits as exposures have them"),
    ("io/files", "arrow_columns", "io/files/test_plain_ecsv.py", "the columns of that format"),
    ("io/files", "manifest_reading", "io/files/test_manifest.py", "written and read"),
    ("io/gaia", "table", "io/tables/test_releases.py", "tables of all releases"),
    ("io/tables", "sentinels times", "io/tables/test_catalogs.py", "values and times that catalogs have"),
    ("io/tables", "rest_lists", "cli/test_frame.py", "lists that only this command reads"),
    ("measure", "_pair_kernels", "measure/test_blends.py", SHELLS),
    ("measure", "_search_kernels bundles stack tile", "measure/test_kernels.py",
     "the arithmetic and what carries it, against twins"),
    ("measure", "config passes", "measure/test_many.py", STAGES),
    ("motion", "fast_search", "test_configuration.py", "parameters only"),
    ("motion", "selection", "motion/two_epoch/test_motions.py", "selections of reference stars"),
    ("motion/analysis", "catalog_columns field_pattern", "checks/test_columns.py",
     "what the checks judge columns and distortions by"),
    ("motion/analysis", "catalog_check", "checks/test_catalogs.py", "what the checks judge a catalog by"),
    ("motion/analysis", "catalog_cuts frame_forecast", "motion/analysis/test_frame_study.py",
     "parts of that study"),
    ("motion/analysis", "forecasts rest_frame", "motion/gaia_frame/test_frame_quality.py",
     "the paper's tables, made with them"),
    ("motion/analysis", "catalog_comparison group_systematics", "motion/many_epoch/test_motions.py",
     "of a whole solution"),
    ("motion/gaia_frame", "config reference", "motion/many_epoch/test_motions.py", STAGES),
    ("motion/gaia_frame", "frame_tie reference_choice", "motion/gaia_frame/test_plate_solution.py", STAGES),
    ("motion/gaia_frame", "plate_stars", "motion/many_epoch/test_joint_epochs.py", STAGES),
    ("motion/gaia_frame", "reference_terms", "motion/gaia_frame/test_reference_mixture.py",
     "the terms of that mixture"),
    ("motion/kinematic_models", "kernel", "motion/kinematic_models/test_registry.py",
     "what all models have in common"),
    ("motion/many_epoch", "common_magnitudes config epoch_table frame identified linking "
     "registration", "motion/many_epoch/test_motions.py", STAGES),
    ("motion/star_fits", "_gp_kernels", "motion/star_fits/test_climb_kernels.py", SHELLS),
    ("motion/star_fits/field_systematics", "_marginal_kernels grid",
     "motion/star_fits/field_systematics/test_marginal.py", SHELLS),
    ("motion/star_fits", "_star_kernels config loo_check", "motion/star_fits/test_models.py", SHELLS),
    ("motion/two_epoch", "_kernels catalog config epochs pairs transformation",
     "motion/two_epoch/test_motions.py", STAGES),
    ("plot", "distortion drawing images motions stars", "plot/test_plot.py",
     "a small package: all its figures beside kept pictures"),
    ("report", "artificial_figures captions epochs_figures epsf_figures frame_figures "
     "motion_figures truth", "report/test_report.py", "figures as the page shows them"),
    ("report", "calibration_figures", "cli/test_calibration.py", "what that command's page shows"),
    ("report", "story", "report/page/test_page_parts.py", "the ten lines at the head of a page"),
    ("report/page", "document header interactive style tables verdicts", "report/page/test_page_parts.py",
     "parts of one page"),
    ("simulation", "_kernels", "simulation/test_detector.py", SHELLS),
    ("simulation", "config sky", "simulation/test_field.py", "a field is made of them"),
    ("steps", "_exposure_fit", "steps/test_epsf_fit_step.py", "what that Step's processes do"),
    ("steps", "_inputs _spec _star_lists", "steps/test_base.py", "inputs and specs as Steps have them"),
    ("steps/execution", "resources", "steps/test_base.py", "workers and memory as Steps have them"),
    ("steps", "hpastrom_pipeline", "steps/pipeline/test_inputs.py", "the pipeline's own tests are a folder"),
    ("steps/pipeline", "calibration choices frame planned run", "steps/pipeline/test_resume.py",
     "whole runs, begun and resumed"),
    ("steps/products", "seen", "steps/test_epsf_build_step.py", "what that Step keeps of exposures"),
    ("steps/products", "groups places", "steps/products/test_several_detectors.py",
     "what several detectors in one association need"),
]  # fmt: skip


def module_of(path, root, name):
    parts = path.relative_to(root).with_suffix("").parts
    return ".".join([name, *parts]).removesuffix(".__init__")


FILES = {module_of(p, PACKAGE, "jwst_hpastrom"): p for p in PACKAGE.rglob("*.py")}
FILES |= {module_of(p, TESTS, "tests"): p for p in TESTS.rglob("*.py")}
MODULES = sorted(p.relative_to(PACKAGE) for p in PACKAGE.rglob("*.py") if p.name != "__init__.py")
GUARDS = {Path(folder, f"{name}.py"): test for folder, names, test, _ in LISTED for name in names.split()}


def mirrors(module):
    """Tests of a module's name, or of its folder's."""
    own = TESTS / module.parent / f"test_{module.stem.lstrip('_')}.py"
    folder = module.parent
    whole = TESTS / folder.parent / f"test_{folder.name}.py"
    return [p for p in (own, whole) if p.is_file() and (p is own or folder.name)]


@cache
def imported(module):
    """Modules of ours that a module imports, those that a name comes from where a package offers it."""
    found = set()
    for node in ast.walk(ast.parse(FILES[module].read_text())):
        if isinstance(node, ast.Import):
            found |= {a.name for a in node.names if a.name in FILES}
        elif isinstance(node, ast.ImportFrom) and node.module in FILES:
            found |= {home(node.module, a.name) for a in node.names}
        elif isinstance(node, ast.Constant) and node.value in FILES:  # by name, when it is needed
            found.add("jwst_hpastrom.__main__" if node.value == "jwst_hpastrom" else node.value)
    if module.startswith("jwst_hpastrom.") and FILES[module].name == "__init__.py":  # lazily, perhaps
        found |= {home(module, name) for name in getattr(import_module(module), "__all__", ())}
    return frozenset(found)


def home(package, name):
    if f"{package}.{name}" in FILES or FILES[package].name != "__init__.py":
        return f"{package}.{name}" if f"{package}.{name}" in FILES else package
    place = getattr(getattr(import_module(package), name, None), "__module__", None)
    return place if place in FILES else package


def reached(test):
    """Modules that a test imports, with its fixtures, their stages, and the stages' parts."""
    path = FILES[test]
    fixtures = [module_of(p / "conftest.py", TESTS, "tests") for p in path.parents if p.is_relative_to(TESTS)]
    beside = {m for m in imported(test) if m.startswith("tests.")} | {f for f in fixtures if f in FILES}
    found = {m for t in (test, *beside) for m in imported(t)}
    for _ in range(2):
        found |= {n for m in found for n in imported(m)}
    return found


@pytest.mark.parametrize("module", MODULES, ids=str)
def test_every_module_has_a_test(module):
    name = f"tests/{module.parent}/test_{module.stem.lstrip('_')}.py"
    assert mirrors(module) or module in GUARDS, f"there is no {name}, and no line above"


def test_the_listing_is_of_what_is_there():
    assert not [str(m) for m in GUARDS if m not in MODULES]
    assert not [t for t in GUARDS.values() if not (TESTS / t).is_file()]
    names = [Path(folder, n) for folder, names, *_ in LISTED for n in names.split()]
    assert len(names) == len(set(names)), sorted(n for n in names if names.count(n) > 1)
    assert not [str(m) for m in GUARDS if mirrors(m)], "have tests of their names: take them off the list"


@pytest.mark.parametrize("test", sorted(set(GUARDS.values())))
def test_guards_import_what_they_guard(test):
    guarded = {module_of(PACKAGE / m, PACKAGE, "jwst_hpastrom") for m, t in GUARDS.items() if t == test}
    missed = guarded - reached(module_of(TESTS / test, TESTS, "tests"))
    assert not missed


def test_every_test_says_what_it_guards():
    files = [p for p in TESTS.rglob("test_*.py") if not ast.get_docstring(ast.parse(p.read_text()))]
    assert not [str(p.relative_to(TESTS)) for p in files]


def test_no_test_is_left_out(pytestconfig):
    """Pytest passes folders of some names over, ``build`` among them, unless it is told not to."""
    passed = pytestconfig.getini("norecursedirs")
    folders = {part for p in TESTS.rglob("test_*.py") for part in p.relative_to(TESTS).parts[:-1]}
    assert not [f for f in folders if any(fnmatch(f, pattern) for pattern in passed)]
