"""Exposures of several epochs are told apart by time and filter."""

import json
from types import SimpleNamespace

import numpy as np
import pytest

from jwst_hpastrom.errors import DegenerateSolutionError, MissingDataError
from jwst_hpastrom.io.association import read_association, write_association
from jwst_hpastrom.io.tables.epochs import read_epoch_list
from jwst_hpastrom.steps import HPAstromPipeline, hpastrom_pipeline
from jwst_hpastrom.steps.pipeline import epochs
from jwst_hpastrom.steps.pipeline.epochs import Visit, split_epochs


def metas(epochs, bands=None):
    bands = bands or ["F150W"] * len(epochs)
    return [
        {"epoch": t, "filter": b, "filename": f"x{k}_cal.fits"}
        for k, (t, b) in enumerate(zip(epochs, bands, strict=True))
    ]


def test_epochs_in_order_of_time():
    epochs = [2025.20, 2022.33, 2023.60, 2022.34, 2025.21]
    visits = split_epochs([f"m{k}" for k in range(5)], metas(epochs), "lmc")
    assert [v.members for v in visits] == [("m1", "m3"), ("m2",), ("m0", "m4")]
    assert [v.product for v in visits] == ["lmc_e1", "lmc_e2", "lmc_e3"]
    np.testing.assert_allclose([v.epoch for v in visits], [2022.335, 2023.60, 2025.205])


def test_filters_of_one_epoch_are_lists_of_their_own():
    visits = split_epochs(
        list("abcd"), metas([2022.3, 2022.3, 2024.0, 2024.0], ["F150W", "F277W", "F277W", "F277W"]), "p"
    )
    assert [(v.band, v.members) for v in visits] == [
        ("F150W", ("a",)), ("F277W", ("b",)), ("F277W", ("c", "d")),
    ]  # fmt: skip


def test_one_epoch_is_refused():
    with pytest.raises(DegenerateSolutionError, match="one epoch"):
        split_epochs(["a", "b"], metas([2022.30, 2022.33]), "p")
    with pytest.raises(MissingDataError, match="EXPMID"):
        split_epochs(["a", "b"], metas([2022.30, None]), "p")


def test_associations_lead_anywhere(tmp_path):
    (tmp_path / "far").mkdir()
    (tmp_path / "far" / "x_stars.ecsv").write_text("x")
    path = write_association(tmp_path / "e1_asn.json", "e1", [tmp_path / "far" / "x_stars.ecsv"])
    found = read_association(path)
    assert found.product == "e1"
    assert json.loads(path.read_text())["products"][0]["members"][0]["exptype"] == "science"


def test_master_frames_say_how_they_lie(tmp_path):
    path = tmp_path / "e1_master.ecsv"
    path.write_text(
        "# %ECSV 1.0\n# ---\n# datatype:\n"
        + "".join(f"# - {{name: {c}, datatype: float64}}\n" for c in ("x", "y", "x_err", "y_err"))
        + "# meta: {epoch: 2022.3, ra_tangent: 80.5, dec_tangent: -69.5, scale_mas: 65.6, "
        "x_tangent: 1e4, y_tangent: 1.1e4}\n# schema: astropy-2.0\nx y x_err y_err\n1 2 0.1 0.1\n"
    )
    meta = read_epoch_list(path).meta
    assert (meta["position_angle"], meta["ra_ref"], meta["dec_ref"]) == (0.0, 80.5, -69.5)
    assert (meta["x_ref"], meta["y_ref"], meta["pixel_scale_mas"]) == (1e4, 1.1e4, 65.6)


def test_few_reference_stars_of_one_filter_limit_no_other(monkeypatch, tmp_path):
    """The verdict of a frame is that of its own distortion, whatever was solved after it."""
    limits = {}

    class Part:
        limited = None

        def __init__(self, pipeline, association, checked):
            self.association = association

        def master(self, distortion, catalog):
            limits[self.association.product] = self.limited
            return distortion

    def calibrate(run, *, several):
        run.limited = "few stars" if run.association.product.endswith("f277w") else None
        return "distortion.asdf"

    visits = [Visit((f"m{k}",), 2022.0 + k, band, f"p_e{k}") for k, band in enumerate(["F150W", "F277W"] * 2)]
    for name, made in {
        "Run": Part, "calibrate": calibrate, "read_gaia": lambda _: None,
        "check_inputs": lambda *_, **__: {}, "split_epochs": lambda *_: visits,
    }.items():  # fmt: skip
        monkeypatch.setattr(epochs, name, made)
    pipeline = SimpleNamespace(
        gaia_catalog="gaia.fits", reference_catalog=None, epsf_file=None, distortion_file=None,
        on_error="fail", hp_distortion_refine=SimpleNamespace(skip=False),
        hp_proper_motion=SimpleNamespace(skip=True),
        choices=SimpleNamespace(note=lambda *_: None, write=lambda _: None),
    )  # fmt: skip
    epochs.run_epochs(pipeline, SimpleNamespace(product="p", members=()), tmp_path, {})
    assert limits == {"p_e0": None, "p_e1": "few stars", "p_e2": None, "p_e3": "few stars"}


@pytest.mark.parametrize(("limits", "of_frame"), [
    ((None, "few stars"), None), (("few stars", None), None), (("few stars", "few stars"), "few stars"),
])  # fmt: skip
def test_few_reference_stars_of_one_detector_limit_no_other(monkeypatch, tmp_path, limits, of_frame):
    """A frame of several detectors is judged by the distortions that were solved, if any was."""
    parts = [SimpleNamespace(product=f"p_{k}", members=(f"m{k}",), path=f"p_{k}_asn.json") for k in range(2)]
    told, limits = [], iter(limits)

    def calibrate(run, *, several):
        run.limited = next(limits)

    for name, made in {
        "read_association": lambda _: SimpleNamespace(product="p", members=("m0", "m1"), path="p_asn.json"),
        "check_inputs": lambda *_, **__: {}, "sub_associations": lambda *_, **__: parts,
        "calibrate": calibrate, "join_catfiles": lambda *_: None,
        "frame_and_motions": lambda run, distortion: told.append(run.limited),
    }.items():  # fmt: skip
        monkeypatch.setattr(hpastrom_pipeline, name, made)
    HPAstromPipeline(output_dir=str(tmp_path))._run("p_asn.json")
    assert told == [of_frame]
