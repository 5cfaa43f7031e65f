"""Whatever may change a result is in the manifest: every parameter of every Step, every file's content."""

import os
import shutil
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from astropy.table import Table
from jwst.stpipe import Step

from jwst_hpastrom.epsf import EPSFLibrary
from jwst_hpastrom.io.calibrations.stdpsf import write_stdpsf
from jwst_hpastrom.io.exposures.detector_mask import write_detector_mask
from jwst_hpastrom.io.files.manifest import compare_manifests, make_manifest, making
from jwst_hpastrom.io.files.manifest_reading import read_manifest
from jwst_hpastrom.io.files.writing import write_table
from jwst_hpastrom.io.identity import input_entry
from jwst_hpastrom.steps import HPAstromPipeline
from jwst_hpastrom.steps._exposure_fit import Fitted, write_lists
from jwst_hpastrom.steps.pipeline.run import Run
from jwst_hpastrom.steps.products.manifests import fit_inputs, made_by, why_not

pytestmark = pytest.mark.usefixtures("offline")

#: files, whose content counts instead, and how the work is done
ASIDE = {
    "workers", "scheduler", "memory", "on_error", "force", "resume", "void_asn", "epsf_file", "start_epsf",
    "distortion_file", "detector_mask", "reference_catalog", "first_epoch", "gaia_catalog",
}  # fmt: skip


def another(value):
    if isinstance(value, bool):
        return not value
    if isinstance(value, int | float):
        return value * (1 + 1e-9) + 1e-9
    return f"{value}, too"


@pytest.mark.parametrize("alias", HPAstromPipeline.step_defs)
def test_every_parameter_counts_and_is_named(alias):
    step = HPAstromPipeline.step_defs[alias]()
    before = step.manifest({})
    names = set(step.load_spec_file()) - set(Step.load_spec_file()) - ASIDE
    assert len(names) > 5
    for name in names:
        value = getattr(step, name)
        setattr(step, name, another(value))
        (said,) = compare_manifests(step.manifest({}), before)
        assert said.startswith(f"{name} is "), name
        setattr(step, name, value)
    assert compare_manifests(step.manifest({}), before) == []


def test_other_content_of_the_same_size_and_time_is_noticed(tmp_path):
    path = tmp_path / "catalog.ecsv"
    Table({"ra": [1.25, 2.5], "dec": [3.0, 4.0]}).write(path)
    before, status = input_entry(path), path.stat()
    text = path.read_text()
    path.write_text(text.replace("2.5", "2.6"))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert path.stat().st_size == status.st_size
    said = compare_manifests(*({"id": str(e), "step": "s", "inputs": {"c": e}, "parameters": {}}
                               for e in (input_entry(path), before)))  # fmt: skip
    assert said == ["c: ra changed"]


def test_a_star_list_of_another_format_beside_is_noticed(tmp_path):
    """It would be taken instead."""
    step = HPAstromPipeline.step_defs["hp_epsf_fit"](output_dir=str(tmp_path))
    stars = Table({"x": np.arange(3.0), "y": np.arange(3.0)})
    name, vouches = "jw09999001001_02101_00001_nis_stars", tmp_path / "field_epsf_fit_quality.ecsv"
    with making(step.manifest({})) as run:
        write_table(stars, tmp_path / f"{name}.fits")
        run.deciding = True
        write_table(Table({"n": [3]}), vouches)
    checks = tmp_path / "field_checks.ecsv"
    assert why_not(vouches, step.manifest({}), checks) == "field_checks.ecsv is missing or damaged"
    shutil.copy(vouches, Path(tmp_path / f"{name}.ecsv"))
    assert why_not(vouches, step.manifest({}), checks) == f"{name}.ecsv lies beside {name}.fits"


@pytest.mark.parametrize("mine", [True, False])
def test_a_mask_of_another_build_beside_is_not_used(tmp_path, mine):
    steps = HPAstromPipeline.step_defs
    one, other = (steps["hp_epsf_build"](clip=clip).manifest({}) for clip in (3.0, 4.0))
    pipeline = SimpleNamespace(epsf_file=None, detector_mask=None, output_folder=lambda: tmp_path)
    run = Run(pipeline, SimpleNamespace(product="field", members=()), {})
    library, pixels = EPSFLibrary(np.ones((1, 101, 101)), [0.0], [0.0], 4), np.array([[3, 4]])
    with making(one):
        write_stdpsf(library, tmp_path / "field_epsf.fits")
    with making(one if mine else other):
        meta = {"instrument": "NIRISS", "detector": "NIS", "xstart": 1, "ystart": 1}
        write_detector_mask(tmp_path / "field_detector_mask.fits", pixels, (9, 9), meta)
    assert run.own_mask() == (str(tmp_path / "field_detector_mask.fits") if mine else None)


def test_a_list_is_another_beside_other_exposures(tmp_path):
    """Hot pixels are told by all lists of an association: flags of one hang on which those are."""
    exposures = {f"exposure jw{k}": {"file": f"{k}.fits", "hash": {"SCI": str(k)}} for k in range(3)}
    path = tmp_path / "jw0_stars.ecsv"

    def made(*which):
        some = {label: exposures[label] for label in list(exposures)[slice(*which)]}
        stars = Table({"x": [1.0], "y": [2.0], "flags": [0]})
        fitted = [Fitted(dict(list(some.items())[:1]), {"star_list": path.name}, stars)]
        write_lists(fitted, some, folder=tmp_path, manifest=manifest, sources=sources, regions=False)
        assert made_by(path) == read_manifest(path)["id"]
        return made_by(path)

    manifest, sources = partial(make_manifest, "hp_epsf_fit", {}), partial(fit_inputs, {}, {})
    assert len({made(1), made(2), made(3)}) == 3
    assert made(2) == made(2)
