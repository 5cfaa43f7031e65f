"""EPSFFitStep on paths, models, containers and libraries."""

import inspect
import shutil
from pathlib import Path

import numpy as np
import pytest
from astropy.table import Table
from jwst.datamodels import ModelContainer, ModelLibrary
from jwst.stpipe import Step
from stdatamodels.jwst.datamodels import ImageModel

from jwst_hpastrom.columns import STAR_LIST, Flag
from jwst_hpastrom.epsf import EPSFLibrary, measure_stars
from jwst_hpastrom.errors import BadReferenceFileError, MissingDataError, NotEnoughStarsError, ParameterError
from jwst_hpastrom.geometry import match_nearest, robust_sigma
from jwst_hpastrom.io.calibrations.epsf_reference import write_epsf_reference
from jwst_hpastrom.io.calibrations.stdpsf import read_stdpsf
from jwst_hpastrom.io.files.manifest import product_hash
from jwst_hpastrom.io.files.manifest_reading import read_manifest
from jwst_hpastrom.io.tables.star_lists import read_star_list
from jwst_hpastrom.simulation import NoiseConfig, simulate_field, write_field
from jwst_hpastrom.steps import EPSFFitStep

SIZE = 256


@pytest.fixture(scope="module")
def field():
    return simulate_field(
        size=SIZE, n_exposures=2, n_stars=160, mag_faint=-4.0, min_separation=10, filter="F200W", seed=3
    )


@pytest.fixture(scope="module")
def files(field, tmp_path_factory):
    return write_field(field, tmp_path_factory.mktemp("field"))


@pytest.fixture(scope="module")
def epsf_file(field, tmp_path_factory):
    """The true ePSF on the 4x grid."""
    library = EPSFLibrary(*field.epsf.sampled(), meta={"filter": "F200W"}).normalized()
    return write_epsf_reference(library, tmp_path_factory.mktemp("epsf") / "true_epsf.asdf")


def good(path, truth):
    """Whether a star list agrees with the truth."""
    table = Table.read(path)
    truth = truth[np.all([(truth[c] > 3) & (truth[c] < SIZE - 4) for c in "xy"], axis=0)]
    i, j, _ = match_nearest(*(np.asarray(t[c]) for t in (table, truth) for c in ("x", "y")), 0.5)
    pull = (table["x"][i] - truth["x"][j]) / table["x_err"][i]
    assert i.size > 0.85 * len(truth)
    assert robust_sigma(pull) < 1.5
    return table


def step(tmp_path, epsf_file, **kwargs):
    return EPSFFitStep(epsf_file=str(epsf_file), output_dir=str(tmp_path), **kwargs)


def test_association(field, files, epsf_file, tmp_path):
    before = {p: Path(p).read_bytes() for p in files.exposures}
    quality = step(tmp_path, epsf_file).run(files.association)
    assert len(quality) == 2
    for exposure in field.exposures:
        table = good(tmp_path / f"{exposure.name}_stars.ecsv", exposure.truth)
        wanted = [c.name for c in STAR_LIST if c.name not in ("x_corr", "y_corr")]
        assert [c for c in table.colnames if c in wanted] == wanted
        for name in (
            "filename",
            "filter",
            "epoch",
            "exposure_time",
            "va_scale",
            "epsf_file",
            "version",
            "parameters",
        ):
            assert table.meta[name] is not None
        # the header's pointing is not the true one: a common shift, no scatter
        i, j, _ = match_nearest(*(np.asarray(t[c]) for t in (table, exposure.truth) for c in ("x", "y")), 0.5)
        offset = (table["dec"][i] - exposure.truth["dec"][j]) * 3.6e6
        assert robust_sigma(offset) < 10
    lines = (tmp_path / "field_catfile.txt").read_text().split("\n")
    assert lines.pop(-2).startswith("# manifest {")
    names = [e.name for e in field.exposures]
    assert lines == [*(f"{n}_cal.fits {n}_stars.ecsv" for n in names), ""]
    assert (tmp_path / "field_epsf_fit_quality.ecsv").exists()
    assert {p: Path(p).read_bytes() for p in files.exposures} == before


def test_hot_pixels_of_an_association_are_flagged(epsf_file, tmp_path):
    """Where other dithers have them; the quality table vouches for the lists as they are then."""
    field = simulate_field(
        size=SIZE, n_exposures=2, n_stars=80, min_separation=10, filter="F200W", seed=3,
        noise=NoiseConfig(hot_fraction=5e-3),
    )  # fmt: skip
    step(tmp_path, epsf_file, regions=True).run(write_field(field, tmp_path / "in").association)
    made = read_manifest(tmp_path / "field_epsf_fit_quality.ecsv")["products"]
    for exposure in field.exposures:
        path = tmp_path / f"{exposure.name}_stars.ecsv"
        table, regions = read_star_list(path), path.with_suffix(".reg")
        assert made[path.name] == product_hash(path)
        assert made[regions.name] == product_hash(regions)
        assert read_manifest(path)["step"] == "hp_epsf_fit"
        cosmic = np.asarray(table["flags"]) & int(Flag.COSMIC_RAY) > 0
        assert regions.read_text().count("color=red") == cosmic.sum()
        j, i = (np.rint(table[c]).astype(int) for c in "yx")
        hot = field.sensor.dark[j, i] > 0
        assert cosmic[hot].sum() > 0.4 * hot.sum() > 10  # faint ones are in one list only
        assert not cosmic[~hot].any()


def test_paths_are_paths_and_what_names_no_product_is_said(files, epsf_file, tmp_path, caplog):
    options = {"epsf_file": Path(epsf_file), "output_dir": tmp_path / "a b", "output_file": "mine.ecsv"}
    EPSFFitStep.call(Path(files.exposures[0]), **options)
    assert len(list((tmp_path / "a b").glob("*_stars.ecsv"))) == 1
    assert "output_file names no product here" in caplog.text


def test_workers_change_nothing(files, epsf_file, tmp_path):
    for n in (1, 2):
        step(tmp_path / str(n), epsf_file, workers=n).run(files.association)
    for path in (tmp_path / "1").glob("*_stars.ecsv"):
        assert path.read_bytes() == (tmp_path / "2" / path.name).read_bytes()


def test_models_come_back_marked(field, files, epsf_file, tmp_path):
    for kind in ("model", "container", "library", "tuple"):
        out = tmp_path / kind
        models = [ImageModel(p) for p in files.exposures]
        kinds = {"model": models[0], "container": ModelContainer(models), "tuple": tuple(models)}
        given = kinds.get(kind) or ModelLibrary(models)
        result = step(out, epsf_file, save_results=False).run(given)
        if kind == "library":
            assert isinstance(result, ModelLibrary)
            with result:
                marked = list(result)
                for k, model in enumerate(marked):
                    result.shelve(model, k, modify=False)
        else:
            marked = [result] if kind == "model" else list(result)
        assert isinstance(marked[0], ImageModel)
        assert [p.name for p in out.glob("*_catfile.txt")] == [f"{field.exposures[0].name}_catfile.txt"]
        for model, exposure in zip(marked, field.exposures, strict=False):
            assert model.meta.cal_step.instance["hp_epsf_fit"] == "COMPLETE"
            good(model.meta.tweakreg_catalog, exposure.truth)
            assert model.meta.hpastrom.instance["n_stars"] > 90
        for model in models:
            model.close()


def test_subarrays_use_their_own_part_of_the_field(field, files, epsf_file, tmp_path):
    # the field itself is a sub-array; as if it began at the origin, the ePSF of the corner would be taken
    step(tmp_path, epsf_file).run(files.exposures[0])
    table = good(tmp_path / f"{field.exposures[0].name}_stars.ecsv", field.exposures[0].truth)
    assert table.meta["xstart"] > 1


def test_perturbed_library_and_regions_are_saved(field, files, epsf_file, tmp_path):
    step(tmp_path, epsf_file, perturb="global", regions=True, perturb_sn=50.0).run(files.exposures[0])
    name = field.exposures[0].name
    library = read_stdpsf(tmp_path / f"{name}_pepsf.fits")
    assert library.data.shape[1:] == (101, 101)
    quality = Table.read(tmp_path / f"{name}_epsf_fit_quality.ecsv")
    assert quality["central_after"][0] == pytest.approx(quality["central_before"][0], rel=0.02)
    regions = (tmp_path / f"{name}_stars.reg").read_text().splitlines()
    table = Table.read(tmp_path / f"{name}_stars.ecsv")
    assert len(regions) == len(table) + 4  # the last: what made it
    assert regions[3].startswith(f"circle({table['x'][0] + 1:.3f},{table['y'][0] + 1:.3f},")


def test_crf_files_and_parquet(field, files, epsf_file, tmp_path):
    for needed in ("pyarrow", "pandas"):
        pytest.importorskip(needed)
    crf = tmp_path / f"{field.exposures[0].name}_crf.fits"
    shutil.copy(files.exposures[0], crf)
    step(tmp_path, epsf_file, list_format="parquet").run(str(crf))
    stars = read_star_list(tmp_path / f"{field.exposures[0].name}_stars.parquet", exposure=crf)
    assert len(stars) > 90
    assert stars["x"].unit == "pix"


class Nothing(Step):
    """A pipeline Step to hang hooks on."""

    class_alias = "nothing"
    spec = ""

    def process(self, model):
        return model


@pytest.mark.parametrize("hook", ["instance", "name"])
def test_as_hook_of_another_step(field, files, epsf_file, tmp_path, monkeypatch, hook):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HPASTROM_EPSF_FILE", str(epsf_file))
    hooks = [EPSFFitStep()] if hook == "instance" else ["jwst_hpastrom.steps.EPSFFitStep"]
    with ImageModel(files.exposures[0]) as model:
        result = Nothing(post_hooks=hooks).run(model)
        assert result.meta.cal_step.instance["hp_epsf_fit"] == "COMPLETE"
        good(result.meta.tweakreg_catalog, field.exposures[0].truth)


def test_epsf_by_environment(files, epsf_file, tmp_path, monkeypatch):
    monkeypatch.setenv("HPASTROM_EPSF_FILE", str(epsf_file))
    EPSFFitStep(output_dir=str(tmp_path)).run(files.exposures[0])
    assert list(tmp_path.glob("*_stars.ecsv"))


def test_what_cannot_be_fitted(field, files, epsf_file, tmp_path, monkeypatch):
    monkeypatch.delenv("HPASTROM_EPSF_FILE", raising=False)
    path = files.exposures[0]
    with pytest.raises(ParameterError, match="no epsf_file"):
        EPSFFitStep(output_dir=str(tmp_path)).run(path)
    other = read_epsf_as("F150W", epsf_file, tmp_path)
    with pytest.raises(BadReferenceFileError, match="an ePSF of F150W"):
        step(tmp_path, other).run(path)
    with pytest.raises(NotEnoughStarsError, match="no star"):
        step(tmp_path, epsf_file, threshold=1e9).run(path)
    with ImageModel(path) as model:
        model.meta.wcs = None
        with pytest.raises(MissingDataError, match="no WCS"):
            step(tmp_path, epsf_file).run(model)
    assert not list(tmp_path.glob("*_stars.ecsv"))


def read_epsf_as(name, path, folder):
    from jwst_hpastrom.io.calibrations.epsf_reference import read_epsf

    library = read_epsf(path)
    library.meta["filter"] = name
    return write_epsf_reference(library, folder / "other_epsf.asdf")


def test_bad_members_are_skipped_on_request(files, epsf_file, tmp_path):
    spoilt = [ImageModel(p) for p in files.exposures]
    spoilt[0].meta.wcs = None
    result = step(tmp_path, epsf_file, on_error="skip").run(ModelContainer(spoilt))
    states = [m.meta.cal_step.instance["hp_epsf_fit"] for m in result]
    assert states == ["FAILED", "COMPLETE"]
    assert len(list(tmp_path.glob("*_stars.ecsv"))) == 1
    for model in spoilt:
        model.close()


def test_spec_has_the_function_s_defaults():
    fresh = EPSFFitStep()
    for name, p in inspect.signature(measure_stars).parameters.items():
        if p.kind is p.KEYWORD_ONLY and name != "config":
            assert getattr(fresh, name) == p.default
