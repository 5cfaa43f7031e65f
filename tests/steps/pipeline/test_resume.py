"""--resume=true: what changed is noticed and named, what did not is not made again, nothing old is mixed."""

import gzip
import itertools
import json
import os
import shutil
import signal
from contextlib import suppress
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Column, MaskedColumn, Table
from stdatamodels.jwst.datamodels import ImageModel

from jwst_hpastrom.distortion import DistortionCorrection, PolynomialCorrection
from jwst_hpastrom.epsf import EPSFLibrary
from jwst_hpastrom.errors import UnexpectedError
from jwst_hpastrom.io.calibrations.distortion_reference import (
    placement_like,
    read_distortion,
    write_distortion,
)
from jwst_hpastrom.io.calibrations.epsf_reference import read_epsf, write_epsf_reference
from jwst_hpastrom.io.exposures.detector_mask import write_detector_mask
from jwst_hpastrom.io.exposures.exposure import read_exposure
from jwst_hpastrom.io.files.manifest import file_hash
from jwst_hpastrom.io.files.manifest_reading import read_manifest
from jwst_hpastrom.io.files.writing import write_table
from jwst_hpastrom.simulation import simulate_field, write_field
from jwst_hpastrom.simulation.optics import OpticsConfig
from jwst_hpastrom.steps import HPAstromPipeline

pytestmark = pytest.mark.usefixtures("offline")

QUICK = {
    "n_iterations": 2, "n_global": 1, "n_fitted": 1, "grid": 2, "choose_grid": False, "mesh": 50,
}  # fmt: skip
SIZE = 200  # pixels
STEPS = tuple(HPAstromPipeline.step_defs)
NAME = "jw09999001001_02101_0000{}_nis"


class StoppedError(Exception):
    """A Step began."""


_known = {}


def read_once(path, **reading):
    """Read exposures of the same content to the byte once in all tests: a WCS takes a third of a second."""
    mask = reading.get("detector_mask")
    how = {**reading, "detector_mask": mask and file_hash(mask)}
    key = file_hash(path), Path(path).name, tuple(sorted((k, str(v)) for k, v in how.items()))
    if key not in _known:
        _known[key] = read_exposure(path, **reading)
    return replace(_known[key], path=str(path))


@pytest.fixture(scope="module", autouse=True)
def reading():
    with pytest.MonkeyPatch.context() as patch:
        for module in ("products.seen", "_exposure_fit"):
            patch.setattr(f"jwst_hpastrom.steps.{module}.read_exposure", read_once)
        yield


def write_sky(folder, **stars):
    """Write exposures, catalogs and an ePSF to start from; return the field."""
    sky = simulate_field(
        size=SIZE, n_exposures=3, dither_arcsec=3.0, filter="F200W", seed=3,
        optics=OpticsConfig(n_field=2, n_wavelengths=1), **stars,
    )  # fmt: skip
    write_field(sky, folder)
    library = EPSFLibrary(*sky.epsf.sampled(), meta={"filter": "F200W"}).normalized()
    write_epsf_reference(library, folder / "start_epsf.asdf")
    return sky


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """Folder with exposures, catalogs, a distortion, and the products of one run."""
    folder = tmp_path_factory.mktemp("done")
    sky = write_sky(folder, n_stars=130, mag_faint=-4.0)
    exposure = sky.exposures[0]
    write_detector_mask(folder / "mask.fits", np.array([[3, 4]]), (SIZE, SIZE), exposure.meta)
    write_small_distortion(folder)
    run(folder)
    return folder


def write_small_distortion(folder, scale=1.0):
    """A distortion that is read quickly."""
    terms = scale * 1e-3 * np.arange(1.0, 6.0)
    polynomial = PolynomialCorrection(2, terms, terms, np.array([1023.0, 1023.0]), 1024.0, "center")
    correction = DistortionCorrection(polynomial, shape=(2048, 2048))
    place = placement_like(correction, folder / "field_official_distortion.asdf")
    meta = {"instrument": "NIRISS", "detector": "NIS", "filter": "F200W"}
    write_distortion(folder / "distortion.asdf", correction, place, meta)


@pytest.fixture
def folder(done, tmp_path):
    return Path(shutil.copytree(done, tmp_path / "copy"))


def run(folder, *, build=None, steps=None, **parameters):
    given = {
        "reference_catalog": folder / "first_epoch.ecsv", "start_epsf": folder / "start_epsf.asdf",
        "distortion_file": folder / "distortion.asdf", "detector_mask": folder / "mask.fits",
    } | parameters  # fmt: skip
    given = {k: str(v) if isinstance(v, Path) else v for k, v in given.items()}
    pipeline = HPAstromPipeline(output_dir=str(folder / "out"), mode="isolated")
    for name, value in given.items():
        setattr(pipeline, name, value)
    for name, values in ({"hp_epsf_build": QUICK | (build or {})} | (steps or {})).items():
        for key, value in values.items():
            setattr(getattr(pipeline, name), key, value)
    pipeline.run(str(folder / "field_asn.json"))


def first_redone(folder, monkeypatch, caplog, **parameters):
    """The first Step that a resumed run begins, and why; it is not let work."""

    def began(step, inputs):
        raise StoppedError(step.class_alias)

    for step in HPAstromPipeline.step_defs.values():
        monkeypatch.setattr(step, "run_step", began)
    caplog.clear()
    with caplog.at_level("INFO", "stpipe.hpastrom"), suppress(UnexpectedError):  # StoppedError
        run(folder, resume=True, **parameters)
    lines = [r.getMessage() for r in caplog.records if " runs: " in r.getMessage()]
    # where the first pass has to be made again, too, its Step is named after the one that asked for it
    return lines[-1].removeprefix("resume: ").split(" runs: ") if lines else (None, "")


def change(path, hdu, function):
    with fits.open(path, mode="update") as hdus:
        function(hdus[hdu])


def pixel(hdu):
    hdu.data[100, 100] += 1


def rewrite(path, function, read=Table.read, write=write_table):
    content = read(path)
    function(content)
    write(content, path)


def shift(table):
    table["ra"][7] += 1e-9


def heavier(library):
    library.data[0, 50, 50] *= 1.001


def wcs(folder):
    path = folder / f"{NAME.format(2)}_cal.fits"
    with ImageModel(str(path)) as model:
        first = model.meta.wcs.pipeline[0].transform
        first.parameters = first.parameters * (1 + 1e-9)
        model.save(str(path))


def exposure(k, hdu="SCI", function=pixel):
    return lambda d: change(d / f"{NAME.format(k)}_cal.fits", hdu, function)


def dq(hdu):
    hdu.data[50, 50] |= 1


def epoch(hdu):
    hdu.header["EXPMID"] += 1.0


def groups(hdu):
    hdu.header["NGROUPS"] += 1


def saturated(hdu):
    hdu.data[100, 100] |= 2


def began(hdu):
    hdu.header["EXPSTART"] = hdu.header["EXPMID"] - 0.01


def members(folder, function):
    path = folder / "field_asn.json"
    association = json.loads(path.read_text())
    function(association["products"][0]["members"])
    path.write_text(json.dumps(association))


def with_member(folder):
    new = f"{NAME.format(4)}_cal.fits"
    shutil.copy(folder / f"{NAME.format(3)}_cal.fits", folder / new)
    members(folder, lambda m: m.append({"expname": new, "exptype": "science"}))


def without_member(folder):
    members(folder, lambda m: m.pop(0))


def other_distortion(folder):
    write_small_distortion(folder, 1.0 + 1e-7)


def other_mask(folder):
    with fits.open(folder / "mask.fits") as hdus:
        meta = {"instrument": "NIRISS", "detector": "NIS", "xstart": hdus[0].header["SUBSTRT1"],
                "ystart": hdus[0].header["SUBSTRT2"]}  # fmt: skip
    write_detector_mask(folder / "mask.fits", np.array([[3, 5]]), (SIZE, SIZE), meta)


def linked_catalog(folder):
    """The same name stands for another file."""
    path = folder / "first_epoch.ecsv"
    path.rename(folder / "a.ecsv")
    rewrite(folder / "a.ecsv", shift)
    path.symlink_to("a.ecsv")


def other_name(folder):
    path = folder / "field_asn.json"
    association = json.loads(path.read_text())
    association["products"][0]["name"] = "other"
    path.write_text(json.dumps(association))


def renamed(folder):
    """The same exposure by another name."""
    new = f"{NAME.format(7)}_cal.fits"
    (folder / f"{NAME.format(2)}_cal.fits").rename(folder / new)
    members(folder, lambda m: m[1].update(expname=new))


def as_background(folder):
    members(folder, lambda m: m[2].update(exptype="background"))


def pointing(key):
    return lambda hdu: hdu.header.update({key: hdu.header[key] + 1e-5})


def not_a_number(hdu):
    hdu.data[20, 30] = np.nan


def packed(folder):
    """Another catalog, gzipped, under the name that the old one had a link to."""
    rewrite(folder / "first_epoch.ecsv", shift)
    path = folder / "first_epoch.ecsv"
    (folder / "packed.gz").write_bytes(gzip.compress(path.read_bytes()))
    path.unlink()
    path.symlink_to("packed.gz")


def masked(table):
    table["ra"] = MaskedColumn(table["ra"], mask=np.arange(len(table)) == 3)


def reordered(table):
    table[:2] = table[[1, 0]]


def coarser(table):
    table["mag"] = Column(np.float32(table["mag"]), unit=table["mag"].unit)


def with_charge(path):
    library = replace(read_epsf(path), brighter_fatter=1e-7)
    write_epsf_reference(library, path)


def more_positions(path):
    library = read_epsf(path)
    write_epsf_reference(replace(library, x=library.x + 0.01), path)


INPUTS = {
    "SCI": (exposure(1), "hp_epsf_build", f"exposure {NAME.format(1)}: SCI changed"),
    "ERR": (exposure(3, "ERR"), "hp_epsf_build", f"exposure {NAME.format(3)}: ERR changed"),
    "DQ": (exposure(1, "DQ", dq), "hp_epsf_build", f"exposure {NAME.format(1)}: DQ changed"),
    "epoch": (exposure(2, 0, epoch), "hp_epsf_build", f"exposure {NAME.format(2)}: header changed"),
    "variance": (
        exposure(2, "VAR_POISSON"), "hp_epsf_build", f"exposure {NAME.format(2)}: VAR_POISSON changed",
    ),
    "groups": (exposure(2, 0, groups), "hp_epsf_build", f"exposure {NAME.format(2)}: header changed"),
    "WCS": (wcs, "hp_epsf_build", f"exposure {NAME.format(2)}: WCS changed"),
    # bits that take no pixel's weight tell which groups of a ramp count
    "saturated": (exposure(2, "DQ", saturated), "hp_epsf_build", f"exposure {NAME.format(2)}: DQ changed"),
    "start": (exposure(2, 0, began), "hp_epsf_build", f"exposure {NAME.format(2)}: header changed"),
    "order": (
        lambda d: members(d, list.reverse), "hp_epsf_build", "the inputs come in another order",
    ),
    "new member": (with_member, "hp_epsf_build", f"exposure {NAME.format(4)} is given, was not"),
    "member": (without_member, "hp_epsf_build", "is not given, was"),
    "distortion": (other_distortion, "hp_epsf_build", "distortion_file: polynomial"),
    "mask": (other_mask, "hp_epsf_build", "detector_mask: DQ changed"),
    "start_epsf": (
        lambda d: rewrite(d / "start_epsf.asdf", heavier, read_epsf, write_epsf_reference),
        "hp_epsf_build", "start_epsf: ePSFs changed",
    ),
    "catalog": (
        lambda d: rewrite(d / "first_epoch.ecsv", shift),
        "hp_distortion_refine", "reference_catalog: ra changed",
    ),
    "catalog's rows": (
        lambda d: rewrite(d / "first_epoch.ecsv", lambda t: t.remove_row(5)),
        "hp_distortion_refine", "reference_catalog: rows",
    ),
    "link": (linked_catalog, "hp_distortion_refine", "reference_catalog: ra changed"),
    "ERR scaled": (
        exposure(2, "ERR", lambda h: np.multiply(h.data, 1.0001, out=h.data)),
        "hp_epsf_build", f"exposure {NAME.format(2)}: ERR changed",
    ),
    "name of the product": (other_name, "hp_epsf_build", "there is no other_epsf.fits"),
    "catalog's epoch": (
        lambda d: rewrite(d / "first_epoch.ecsv", lambda t: t.meta.update(epoch=2007.0)),
        "hp_distortion_refine", "reference_catalog: metadata changed",
    ),
    "name of an exposure": (renamed, "hp_epsf_build", f"exposure {NAME.format(7)} is given, was not"),
    "kind of a member": (as_background, "hp_epsf_build", f"exposure {NAME.format(3)} is not given, was"),
    "orbit": (
        exposure(2, "SCI", pointing("VA_SCALE")), "hp_epsf_build", f"exposure {NAME.format(2)}: header",
    ),
    "no number": (exposure(3, "SCI", not_a_number), "hp_epsf_build", f"exposure {NAME.format(3)}: SCI"),
    "gzipped": (packed, "hp_distortion_refine", "reference_catalog: ra changed"),
    "mask of a value": (
        lambda d: rewrite(d / "first_epoch.ecsv", masked),
        "hp_distortion_refine", "reference_catalog: ra changed",
    ),
    "order of rows": (
        lambda d: rewrite(d / "first_epoch.ecsv", reordered), "hp_distortion_refine", "reference_catalog: ",
    ),
    "precision": (
        lambda d: rewrite(d / "first_epoch.ecsv", coarser),
        "hp_distortion_refine", "reference_catalog: mag changed",
    ),
    "column": (
        lambda d: rewrite(d / "first_epoch.ecsv", lambda t: t.remove_column("ra_error")),
        "hp_distortion_refine", "reference_catalog: ra_error",
    ),
    "brighter-fatter": (
        lambda d: with_charge(d / "start_epsf.asdf"), "hp_epsf_build", "start_epsf: brighter_fatter changed",
    ),
    "field positions": (
        lambda d: more_positions(d / "start_epsf.asdf"), "hp_epsf_build", "start_epsf: field positions",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", INPUTS)
def test_a_changed_input_is_noticed_and_named(folder, monkeypatch, caplog, name):
    function, step, reason = INPUTS[name]
    function(folder)
    found = first_redone(folder, monkeypatch, caplog)
    assert found[0] == step
    assert reason in found[1]


@pytest.mark.parametrize(
    ("parameters", "step", "reason"),
    [
        ({"build": {"clip": 4.0}}, "hp_epsf_build", "clip is 4, was"),
        ({"build": {"clip": 3.5 + 1e-9}}, "hp_epsf_build", "clip is 3.500000001, was"),
        ({"steps": {"hp_distortion_refine": {"formats": ["asdf"]}}}, "hp_distortion_refine", "formats is"),
        ({"bad_bits": "DO_NOT_USE"}, "hp_epsf_build", "bad_bits is DO_NOT_USE, was DO_NOT_USE+NON_SCIENCE"),
        ({"start_epsf": None}, "hp_epsf_build", "start_epsf is not given, was"),
        ({"distortion_file": None, "reference_catalog": None}, "hp_epsf_build", "distortion_file is not"),
        ({"mode": "catalog"}, "hp_epsf_fit", "mode is catalog, was isolated"),
        ({"steps": {"hp_epsf_fit": {"threshold": 6.5}}}, "hp_epsf_fit", "threshold is 6.5, was"),
        ({"steps": {"hp_epsf_fit": {"perturb": "global"}}}, "hp_epsf_fit", "perturb is global, was none"),
        ({"steps": {"hp_master_frame": {"min_exposures": 2}}}, "hp_master_frame", "min_exposures is 2, was"),
        ({"steps": {"hp_proper_motion": {"seed": 2}}}, "hp_proper_motion", "seed is 2, was 1"),
        ({"steps": {"hp_epsf_fit": {"list_format": "parquet"}}}, "hp_epsf_fit", "list_format is parquet"),
        ({"steps": {"hp_epsf_fit": {"regions": True}}}, "hp_epsf_fit", "regions is True, was False"),
        ({"detector_mask": None}, "hp_epsf_build", "detector_mask is not given, was"),
        ({"steps": {"hp_master_frame": {"mode": "many"}}}, "hp_master_frame", "mode is many, was average"),
        ({"steps": {"hp_proper_motion": {"transformation": "local"}}}, "hp_proper_motion", "transformation"),
    ],
)  # fmt: skip
def test_a_changed_parameter_is_noticed_and_named(folder, monkeypatch, caplog, parameters, step, reason):
    found = first_redone(folder, monkeypatch, caplog, **parameters)
    assert found[0] == step
    assert reason in found[1]


def damage(path):
    path.write_bytes(path.read_bytes().replace(b"0", b"1", 1))


def cut_short(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def test_every_product_counts(folder, monkeypatch, caplog):
    kept = folder / "kept"
    shutil.copytree(folder / "out", kept)
    names = sorted(p.name for p in kept.iterdir() if not p.name.endswith("_choices_quality.ecsv"))
    assert len(names) == 16
    for name, how in zip(names, itertools.cycle((Path.unlink, damage, cut_short)), strict=False):
        how(folder / "out" / name)
        found = first_redone(folder, monkeypatch, caplog)
        assert found[0] in STEPS, name
        assert name in found[1]
        shutil.copy(kept / name, folder / "out" / name)


def test_what_changes_no_result_makes_nothing_anew(folder, monkeypatch, caplog):
    (folder / "out" / "notes.txt").write_text("mine")
    before = {p: (p.read_bytes(), p.stat().st_mtime_ns) for p in (folder / "out").iterdir()}
    for path in folder.glob("*.*"):
        os.utime(path)
    change(folder / f"{NAME.format(1)}_cal.fits", 0, lambda h: h.header.add_history("looked at"))
    change(folder / f"{NAME.format(2)}_cal.fits", 0, lambda h: h.header.set("DATE", "2030-01-01T00:00:00"))
    rewrite(folder / "first_epoch.ecsv", lambda t: t.meta.update(comments=["a word"]))
    rewrite(folder / "start_epsf.asdf", lambda library: None, read_epsf, write_epsf_reference)
    how = {"workers": 2, "on_error": "skip", "memory": "2GB"}
    assert first_redone(folder, monkeypatch, caplog, **how) == (None, "")
    assert {p: (p.read_bytes(), p.stat().st_mtime_ns) for p in (folder / "out").iterdir()} == before
    (folder / "first_epoch.ecsv").rename(folder / "same.ecsv")
    (folder / "linked.ecsv").symlink_to("same.ecsv")
    found = first_redone(folder, monkeypatch, caplog, reference_catalog=folder / "linked.ecsv")
    assert found == (None, "")


def test_every_product_names_what_made_it(done):
    for path in (done / "out").iterdir():
        if not path.name.endswith(("_checks.ecsv", "_choices_quality.ecsv")):  # of all Steps
            manifest = read_manifest(path)
            assert manifest, path.name
            assert manifest["step"] in STEPS
            assert manifest["versions"]["jwst_hpastrom"]
            assert all(e.get("hash") or e.get("made") for e in manifest["inputs"].values())
    motions = read_manifest(done / "out" / "field_pm.ecsv")
    assert motions["parameters"]["seed"] == 1
    assert set(motions["inputs"]) == {"master frame", "first_epoch"}
    assert motions["inputs"]["master frame"]["of"]["distortion_file"] == "field_distortion.asdf"
    assert set(Table.read(done / "out" / "field_checks.ecsv").meta["manifests"]) == set(STEPS)


def killed(folder, moment, when, **how):
    """Run in a process that kills itself before or after the file ``moment`` gets its name."""
    if (pid := os.fork()) == 0:
        count, rename = itertools.count(1), os.replace

        def replace(*args):
            at = next(count) == moment
            if at and when == "before":
                os.kill(os.getpid(), signal.SIGKILL)
            rename(*args)
            if at:
                os.kill(os.getpid(), signal.SIGKILL)

        try:
            os.replace = replace
            run(folder, **how)
        finally:
            os._exit(1)
    return os.WIFSIGNALED(os.waitpid(pid, 0)[1])


def same(one, two):
    """Whether two folders hold the same products: tables to the byte; elsewhere there are dates."""
    names = {p.name for p in one.iterdir()}
    assert names == {p.name for p in two.iterdir()}
    for name in names:
        a, b = one / name, two / name
        if name.endswith((".fits", ".asdf")):
            assert read_manifest(a)["id"] == read_manifest(b)["id"], name
            for one_part, other in zip(content(a), content(b), strict=True):
                np.testing.assert_array_equal(one_part, other, name)
        else:
            assert a.read_bytes() == b.read_bytes(), name


def content(path):
    """Arrays of a file."""
    if path.name.endswith("_distortion.asdf"):
        x, y = np.meshgrid(*2 * [np.linspace(0, SIZE - 1, 7)])
        return read_distortion(path).forward(x, y)
    if path.name.endswith("_epsf.asdf"):
        return [read_epsf(path).data]
    with fits.open(path) as hdus:
        return [np.asarray(h.data) for h in hdus if h.data is not None and h.name != "MANIFEST"]


def test_a_killed_build_goes_on(done, folder):
    shutil.rmtree(folder / "out")
    assert killed(folder, 3, "after")
    run(folder, resume=True)
    same(done / "out", folder / "out")


GIVEN = {"start_epsf": None, "distortion_file": None, "detector_mask": None, "mode": "catalog"}


@pytest.fixture(scope="module")
def fitted(done, tmp_path_factory):
    """Folder with the products of a run with a given library."""
    folder = Path(shutil.copytree(done, tmp_path_factory.mktemp("fitted") / "copy"))
    shutil.rmtree(folder / "out")
    run(folder, epsf_file=folder / "start_epsf.asdf", **GIVEN)
    return folder


# in the star lists; when it is noted that they tell no distortion; at the end
@pytest.mark.parametrize(("moment", "when"), [(2, "after"), (7, "after"), (15, "before")])
def test_after_a_kill_the_products_are_those_of_an_undisturbed_run(fitted, tmp_path, moment, when):
    folder = Path(shutil.copytree(fitted, tmp_path / "copy"))
    shutil.rmtree(folder / "out")
    how = {"epsf_file": folder / "start_epsf.asdf", **GIVEN}
    assert killed(folder, moment, when, **how)
    run(folder, resume=True, **how)
    same(fitted / "out", folder / "out")
    assert read_manifest(folder / "out" / "field_epsf_fit_quality.ecsv")["parameters"]["mode"] == "catalog"


def test_nothing_of_an_earlier_run_is_mixed_in(fitted, tmp_path):
    folder = Path(shutil.copytree(fitted, tmp_path / "copy"))
    how = {"epsf_file": folder / "start_epsf.asdf", **GIVEN, "reference_catalog": None, "mode": "isolated"}
    steps = {"hp_epsf_fit": {"perturb": "global", "perturb_sn": 50.0, "regions": True}}
    out = folder / "out"
    assert (out / "field_distortion.asdf").exists()
    (out / "field_stdgdc.fits").touch()  # of a run that asked for it
    run(folder, resume=True, steps=steps, **how)
    # without a catalog there is no distortion: what is there of one is taken by nothing
    left = {p.name for p in out.glob("*") if "distortion" in p.name or "gdc" in p.name}
    assert {"field_distortion.asdf.earlier", "field_stdgdc.fits.earlier"} <= left
    assert all(name.endswith(".earlier") for name in left)
    assert Table.read(out / "field_master.ecsv").meta["distortion"] == "none"
    assert len(list(out.glob("*_pepsf.fits"))) == len(list(out.glob("*_stars.reg"))) == 3
    # an exposure without stars is skipped: its old list goes, and so do the other lists' old companions
    change(folder / f"{NAME.format(3)}_cal.fits", "SCI", flat)
    run(folder, resume=True, on_error="skip", **how)
    assert sorted(p.name for p in out.glob("*_stars.*")) == [f"{NAME.format(k)}_stars.ecsv" for k in (1, 2)]
    assert not list(out.glob("*_pepsf.fits"))
    assert len(Table.read(out / "field_master_frame_quality.ecsv")) == 2
    if find_spec("pyarrow") and find_spec("pandas"):
        run(folder, resume=True, on_error="skip", steps={"hp_epsf_fit": {"list_format": "parquet"}}, **how)
        assert {p.suffix for p in out.glob("*_stars.*")} == {".parquet"}


def flat(hdu):
    hdu.data[:] = np.median(hdu.data)


#: no distortion is given, and many stars are in the catalog
SOLVED = {"distortion_file": None, "detector_mask": None}
SOLVE = {"degree": 1, "table_cells": 4, "pixel_map": False, "max_shift": 1.0, "match_radius": 0.05}
SOLVES = {"hp_distortion_refine": SOLVE}


@pytest.fixture(scope="module")
def solved(tmp_path_factory, small_detector):
    """Folder with the products of a run that solves its distortion, builds with it, and solves it again."""
    folder = tmp_path_factory.mktemp("solved")
    write_sky(folder, n_stars=700, mag_faint=-4.5)
    began = counted(folder, **SOLVED)
    assert began == [
        "hp_epsf_build", "hp_epsf_fit", "hp_distortion_refine", "hp_epsf_build", "hp_epsf_fit",
        "hp_distortion_refine", "hp_master_frame", "hp_proper_motion",
    ]  # fmt: skip
    return folder


@pytest.fixture(autouse=True, scope="module")
def small_detector():
    """Let a distortion be solved of stars on a part of the detector: a whole one takes longer to build."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("jwst_hpastrom.distortion.solve.iterative.check_coverage", lambda *args: None)
        yield


def counted(folder, steps=SOLVES, **parameters):
    """Run, and return the Steps that began, in their order."""
    began = []
    with pytest.MonkeyPatch.context() as patch:
        for step in HPAstromPipeline.step_defs.values():

            def run_step(self, inputs, work=step.run_step):
                began.append(self.class_alias)
                return work(self, inputs)

            patch.setattr(step, "run_step", run_step)
        run(folder, steps=steps, **parameters)
    return began


def test_the_distortion_is_of_the_last_lists(solved):
    out = solved / "out"
    of = {
        name: read_manifest(out / f"field_{name}") for name in ("epsf.fits", "distortion.asdf", "master.ecsv")
    }
    lists = {f"star list {p.name.removesuffix('_stars.ecsv')}": read_manifest(p)
             for p in out.glob("*_stars.ecsv")}  # fmt: skip
    inputs = of["distortion.asdf"]["inputs"]
    assert {k: m["id"] for k, m in lists.items()} == {k: inputs[k]["made"] for k in lists}
    for made in lists.values():
        assert made["inputs"]["epsf_file"]["made"] == of["epsf.fits"]["id"]
    assert of["master.ecsv"]["inputs"]["distortion_file"]["made"] == of["distortion.asdf"]["id"]
    # which is not the one that the ePSF is built with: what the lists of an earlier one told, without details
    first = of["epsf.fits"]["inputs"]["distortion_file"]["made"]
    assert first != of["distortion.asdf"]["id"]
    assert of["distortion.asdf"]["parameters"]["held_out"] == 0.1


def test_a_solved_distortion_is_not_solved_again(solved, tmp_path):
    folder = Path(shutil.copytree(solved, tmp_path / "copy"))
    assert counted(folder, resume=True, **SOLVED) == []
    # the last lists of another mode, by the same ePSF: the first distortion is not needed for them
    began = counted(folder, resume=True, **SOLVED, mode="catalog")
    assert began == ["hp_epsf_fit", "hp_distortion_refine", "hp_master_frame", "hp_proper_motion"]
    (folder / "out" / "field_epsf.fits").unlink()
    assert counted(folder, resume=True, **SOLVED, mode="catalog")[:3] == [
        "hp_epsf_build", "hp_epsf_fit", "hp_distortion_refine",
    ]  # fmt: skip


def test_what_changed_is_named_where_the_first_distortion_is_gone(solved, tmp_path, caplog, monkeypatch):
    folder = Path(shutil.copytree(solved, tmp_path / "copy"))
    rewrite(folder / "first_epoch.ecsv", shift)
    monkeypatch.setattr("jwst_hpastrom.steps.pipeline.run.Run.build_and_fit", stop)
    with caplog.at_level("INFO", "stpipe.hpastrom"), suppress(UnexpectedError):
        run(folder, resume=True, steps=SOLVES, **SOLVED)
    assert "resume: hp_distortion_refine runs: reference_catalog: ra changed" in caplog.text


def stop(*args):
    raise StoppedError


# with the first distortion; with what is written before the last one
@pytest.mark.parametrize(("name", "time"), [("distortion.asdf", 1), ("distortion_refine_quality.ecsv", 2)])
def test_a_killed_run_ends_with_the_last_distortion(solved, tmp_path, name, time):
    folder = Path(shutil.copytree(solved, tmp_path / "copy"))
    shutil.rmtree(folder / "out")
    assert killed_at(folder, f"field_{name}", time)
    run(folder, resume=True, steps=SOLVES, **SOLVED)
    same(solved / "out", folder / "out")


def killed_at(folder, name, time):
    """Run in a process that kills itself after a file gets its name for the first or second time."""
    if (pid := os.fork()) == 0:
        count, rename = itertools.count(1), os.replace

        def replace(source, target, **how):
            rename(source, target, **how)
            if Path(target).name == name and next(count) == time:
                os.kill(os.getpid(), signal.SIGKILL)

        try:
            os.replace = replace
            run(folder, steps=SOLVES, **SOLVED)
        finally:
            os._exit(1)
    return os.WIFSIGNALED(os.waitpid(pid, 0)[1])


def test_where_few_stars_refine_no_second_epsf_is_built(solved, tmp_path):
    folder = Path(shutil.copytree(solved, tmp_path / "copy"))
    how = {**SOLVED, "mode": "catalog", "steps": {"hp_distortion_refine": SOLVE | {"min_stars": 1000}}}
    assert counted(folder, **how)[:5] == [
        "hp_epsf_build", "hp_epsf_fit", "hp_distortion_refine", "hp_epsf_fit", "hp_distortion_refine",
    ]  # fmt: skip
    chosen = {row["part"]: row["chosen"] for row in Table.read(folder / "out" / "field_choices_quality.ecsv")}
    assert chosen["distortion"].startswith("the exposures' WCS")
    assert counted(folder, resume=True, **how) == []


def test_lists_of_what_is_given_are_made_once(solved, tmp_path):
    folder = Path(shutil.copytree(solved, tmp_path / "copy"))
    given = shutil.copy(folder / "out" / "field_epsf.asdf", folder / "given.asdf")
    shutil.rmtree(folder / "out")
    assert counted(folder, epsf_file=given, **SOLVED | {"start_epsf": None}) == [
        "hp_epsf_fit", "hp_distortion_refine", "hp_master_frame", "hp_proper_motion",
    ]  # fmt: skip
