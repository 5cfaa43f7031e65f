"""What people see when they type an object's name: one short line that says what it is."""

import inspect
import re
from dataclasses import fields, is_dataclass
from importlib import import_module
from types import SimpleNamespace

import numpy as np
import pytest
from astropy.table import Table

from jwst_hpastrom.checks import Evidence
from jwst_hpastrom.distortion import DistortionCorrection, PixelMapCorrection
from jwst_hpastrom.distortion.model.parts import PolynomialCorrection
from jwst_hpastrom.epsf import Detections, EPSFLibrary, GriddedEPSFModel, Image, PerturbResult
from jwst_hpastrom.epsf.build import BuildResult
from jwst_hpastrom.frame import MasterFrame
from jwst_hpastrom.geometry import LinearTransform
from jwst_hpastrom.io.exposures.exposure import Exposure
from jwst_hpastrom.motion.two_epoch import TwoEpochMotions
from jwst_hpastrom.simulation import EpochConfig, SimulatedEpochs


def line(thing, *needed):
    text = repr(thing)
    assert "\n" not in text
    assert len(text) < 200
    for words in needed:
        assert words in text
    return text


def test_they_are_short_and_say_what_it_is():
    pixels = np.zeros((64, 80), np.float32)
    bad = np.zeros(pixels.shape, bool)
    image = Image(pixels, pixels + 1, bad, bad, "a_cal.fits")
    meta = {"detector": "NIS", "filter": "F150W", "epoch": 2022.4}
    line(
        Exposure(image, "jw1_nis", "a_cal.fits", meta),
        "jw1_nis",
        "NIS F150W",
        "80 x 64",
        "2022.4000",
        "no WCS",
    )
    library = EPSFLibrary(np.ones((4, 101, 101)), [0, 9], [0, 9], meta={"filter": "F200W"})
    line(library, "F200W", "2 x 2 ePSFs", "101 x 101")
    line(EPSFLibrary(np.ones((1, 5, 5)), [0], [0]), "1 x 1")
    polynomial = PolynomialCorrection(1, np.zeros(2), np.zeros(2))
    line(DistortionCorrection(polynomial, shape=(64, 80)), "80 x 64", "degree 1", "polynomial")
    line(DistortionCorrection(shape=(64, 80)), "nothing")
    table = Table(
        {"ra": np.zeros(7)},
        meta={"filter": "F150W", "epoch": 2022.4, "baseline": 15.9, "motions": "absolute"},
    )
    line(BuildResult(library, table, table, table, [], np.zeros((0, 2))), "F200W", "7 iterations")
    line(MasterFrame(table, [], [], None, table, table, 0), "F150W", "7 stars", "2022.4")
    motions = TwoEpochMotions(table, None, np.zeros(2), np.zeros(2), np.ones(7, bool), np.nan)
    line(motions, "7 absolute motions over 15.90 yr", "7 reference stars")
    assert SimpleNamespace(a=library).a is library


def test_notebooks_show_little_and_escape_it():
    pixels = np.zeros((64, 80), np.float32)
    bad = np.zeros(pixels.shape, bool)
    image = Image(pixels, pixels + 1, bad, bad, "<a>")
    assert repr(image) == "<Image <a>: 80 x 64 pixels, 100.0 % with weight>"
    assert "<a>" not in image._repr_html_()
    shown = Exposure(image, "jw1", "jw1", {"filter": "F150W", "x": pixels})._repr_html_()
    assert "<td>F150W</td>" in shown
    assert "array" not in shown
    table = Table({"ra": np.arange(70.0), "dec": np.zeros(70)}, meta={"epoch": 2022.4})
    motions = TwoEpochMotions(table, None, np.zeros(2), np.zeros(2), np.ones(70, bool), np.nan)
    assert motions._repr_html_().count("<tr") < 10
    assert len(motions.coords) == 70
    assert motions.coords.obstime.jyear == pytest.approx(2022.4)


def test_arrays_and_tables_are_told_in_a_few_words():
    pixels = np.zeros((64, 80))
    text = line(PixelMapCorrection(np.zeros((64, 80, 2), np.float32)), "float32 array (64, 80, 2)")
    assert "count" not in text  # None
    line(LinearTransform(offset=np.array([1.5, 2.0])), "offset=[1.5, 2. ]")
    line(Detections(*np.zeros((5, 100))), "x=float64 array (100)")
    line(Evidence(master=Table({"ra": pixels[0]})), "<Evidence: master=table of 80 rows>")
    library = EPSFLibrary(np.ones((1, 5, 5)), [0], [0])
    line(PerturbResult(library, Table({"x": [1]}), True), "library=EPSFLibrary", "perturbed=True")
    line(SimulatedEpochs(EpochConfig(), [Table()] * 10, Table(), Table(), [], []), "lists=10 items")
    assert "table of 80 rows" in Evidence(master=Table({"ra": pixels[0]}))._repr_html_()


def test_no_public_object_prints_its_arrays():
    """What a dataclass makes by itself prints every element of every field."""
    large = re.compile("ndarray|Table|object")
    for package in ("checks", "distortion", "epsf", "frame", "geometry", "io", "kinematics", "measure",
                    "motion", "simulation"):  # fmt: skip
        module = import_module(f"jwst_hpastrom.{package}")
        for thing in (getattr(module, n) for n in module.__all__):
            if inspect.isclass(thing) and is_dataclass(thing) and thing.__module__.split(".")[1] == package:
                holds = any(large.search(str(f.type)) for f in fields(thing))
                assert not holds or "create_fn" not in thing.__repr__.__qualname__, thing


def test_a_model_for_photutils_is_one_line():
    model = GriddedEPSFModel(EPSFLibrary(np.ones((1, 21, 21)), [0], [0], meta={"filter": "F150W"}))
    line(model, "GriddedEPSFModel")
