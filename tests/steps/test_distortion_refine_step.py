"""DistortionRefineStep: products from star lists, other filters for the map, refusals."""

import json
from pathlib import Path

import numpy as np
import pytest
from astropy.table import Table
from jwst.datamodels import ImageModel
from stpipe import Step

from jwst_hpastrom.errors import BadFileError, MixedExposuresError, NoOverlapError, ParameterError
from jwst_hpastrom.io.calibrations.distortion_reference import read_distortion
from jwst_hpastrom.io.calibrations.stdgdc import read_stdgdc
from jwst_hpastrom.io.files.writing import write_table
from jwst_hpastrom.simulation import simulate_field, write_field
from jwst_hpastrom.steps import DistortionRefineStep

FEW = {"table_cells": 8, "polynomial_cells": 10, "n_nearest": 12}


def write_lists(sky, folder, band, product, n_exposures=4):
    """Star lists from truth and noise (no images are needed), and their association."""
    rng = np.random.default_rng(len(product))
    names = []
    for exposure in sky.exposures[:n_exposures]:
        t = exposure.truth
        x, y = (np.asarray(t[c], float) + rng.normal(0, 0.005, len(t)) for c in "xy")
        k = (x > 2) & (x < 2045) & (y > 2) & (y < 2045)
        ra, dec = exposure.to_sky(x, y)
        e, mag = np.full(len(t), 0.005), np.asarray(t["mag"], float)
        columns = {"x": x, "y": y, "x_err": e, "y_err": e, "mag": mag, "flux": 10 ** (-0.4 * mag),
                   "qfit": 4 * e, "flags": np.zeros(len(t), int), "ra": ra, "dec": dec}  # fmt: skip
        name = exposure.name.replace("jw09999001", f"jw0999900{len(product)}")
        meta = {**exposure.meta, "filter": band, "filename": f"{name}_cal.fits"}
        names.append(f"{name}_stars.ecsv")
        write_table(Table(columns, meta=meta)[k], folder / names[-1])
    members = [{"expname": n, "exptype": "science"} for n in names]
    path = folder / f"{product}_asn.json"
    path.write_text(json.dumps({"products": [{"name": product, "members": members}]}))
    return str(path)


@pytest.fixture(scope="module")
def lists(tmp_path_factory):
    """Associations of three filters, and the reference catalog."""
    folder = tmp_path_factory.mktemp("lists")
    sky = simulate_field(n_exposures=4, n_stars=6000, mag_faint=-5.0, dither_arcsec=12.0, seed=4)
    main = write_lists(sky, folder, "F150W", "one")
    others = [write_lists(sky, folder, *names, 2) for names in (("F200W", "other"), ("F115W", "third_"))]
    write_table(sky.reference_catalog, folder / "catalog.ecsv")
    return sky, main, others, str(folder / "catalog.ecsv")


def test_products_with_other_filters_in_the_map(lists, tmp_path):
    sky, main, others, catalog = lists
    stages = DistortionRefineStep(
        output_dir=str(tmp_path), reference_catalog=catalog, void_asn=others, formats=["stdgdc"], **FEW
    ).run(main)
    assert list(stages["stage"]) == ["before", "polynomial", "table", "pixel map"]
    assert stages["internal_x"][-1] < stages["internal_x"][1]
    correction = read_distortion(tmp_path / "one_distortion.asdf")
    assert correction.uncertainty is not None
    # the shape of the truth, a six-parameter transformation being free
    x, y = (v.ravel() for v in np.meshgrid(np.linspace(20, 2027, 40), np.linspace(20, 2027, 40)))
    truth = np.stack(sky.distortion.forward(x, y))
    design = np.c_[np.ones(x.size), truth.T]
    left = [v - design @ np.linalg.lstsq(design, v, rcond=None)[0] for v in correction.forward(x, y)]
    assert np.sqrt(0.5 * (np.var(left[0]) + np.var(left[1]))) < 0.02
    other = read_stdgdc(tmp_path / "one_stdgdc.fits")
    np.testing.assert_allclose(other.forward(x, y), correction.forward(x, y), atol=2e-4)
    quality = Table.read(tmp_path / "one_distortion_refine_quality.ecsv")
    assert 1e-4 < quality.meta["stated_error_px"] < 0.05
    assert quality.meta["parameters"]["n_filters"] == 3
    scale = Table.read(tmp_path / "one_scale_distortion_refine_quality.ecsv")
    assert len(scale) == 4
    assert scale.meta["filter"] == "F150W"


@pytest.mark.parametrize("comma", [",", ", "])
def test_several_associations_on_the_command_line(lists, comma, monkeypatch):
    # the second one is looked for under its own name
    monkeypatch.setenv("STPIPE_DISABLE_CRDS_STEPPARS", "true")
    _, main, others, catalog = lists
    missing = others[1].replace("third_", "nowhere")
    with pytest.raises(BadFileError, match="nowhere_asn.json: found no such file"):
        Step.from_cmdline(
            ["hp_distortion_refine", main, "--reference_catalog", catalog, "--void_asn",
             f"{others[0]}{comma}{missing}"]
        )  # fmt: skip


def test_refusals(lists, tmp_path):
    _, main, others, catalog = lists
    with pytest.raises(ParameterError, match="without reference_catalog"):
        DistortionRefineStep(output_dir=str(tmp_path)).run(main)
    other = Table.read(catalog)
    other["ra"] = np.asarray(other["ra"]) + 1.0
    if "ra_tangent" in other.meta:
        other.meta["ra_tangent"] += 1.0
    write_table(other, tmp_path / "other.ecsv")
    with pytest.raises(NoOverlapError, match="catalog of this field"):
        DistortionRefineStep(output_dir=str(tmp_path), reference_catalog=str(tmp_path / "other.ecsv")).run(
            main
        )
    both = json.loads(Path(main).read_text())
    second = json.loads(Path(others[0]).read_text())
    both["products"][0]["members"] += second["products"][0]["members"]
    path = main.replace("one_asn", "mixed_asn")
    Path(path).write_text(json.dumps(both))
    with pytest.raises(MixedExposuresError, match="F150W and F200W"):
        DistortionRefineStep(output_dir=str(tmp_path), reference_catalog=catalog).run(path)
    assert not list(tmp_path.glob("*_distortion.asdf"))


@pytest.mark.parametrize(
    ("formats", "wanted"),
    [
        (None, []),
        (["stdgdc", "gdc"], ["stdgdc", "gdc"]),
        (["asdf"], []),
        (["stdgdc"], ["stdgdc"]),
        (["GDC", " asdf"], ["gdc"]),
    ],
)
def test_only_the_formats_asked_for_are_written(formats, wanted, tmp_path, monkeypatch):
    module, written = "jwst_hpastrom.io.calibrations.layouts", []
    monkeypatch.setattr(f"{module}.write_stdgdc", lambda path, *_, **__: written.append(Path(path).name))
    monkeypatch.setattr(f"{module}.forward_layers", lambda correction: None)
    DistortionRefineStep(output_dir=str(tmp_path), formats=formats)._write_layouts("one", None, {})
    assert written == [f"one_{suffix}.fits" for suffix in wanted]


def test_an_unknown_format_is_refused_before_the_work(tmp_path):
    step = DistortionRefineStep(output_dir=str(tmp_path), formats=["asdf", "hdf5"])
    with pytest.raises(ParameterError, match="formats=hdf5"):
        step.run_step(None)


def test_exposures_are_saved_where_the_distortion_is_refined_too(tmp_path, offline):
    sky = simulate_field(size=320, n_exposures=2, n_stars=300, mag_faint=-4.0, dither_arcsec=4.0, seed=6)
    files = write_field(sky, tmp_path)
    write_lists(sky, tmp_path, sky.exposures[0].meta["filter"], "x")  # beside them, under their names
    DistortionRefineStep(
        output_dir=str(tmp_path), reference_catalog=files.reference_catalog, few_stars="refine",
        save_exposures=True,
    ).run(files.association)  # fmt: skip
    for path, exposure in zip(files.exposures, sky.exposures, strict=True):
        t, scatter = exposure.truth, []
        for name in (path, path.replace("_cal", "_hpcal")):
            with ImageModel(name) as model:
                ra, dec = model.meta.wcs(np.asarray(t["x"], float), np.asarray(t["y"], float))
            scatter.append(np.nanstd(ra - t["ra"]) + np.nanstd(dec - t["dec"]))
        assert scatter[1] < scatter[0]
