"""Which files of a distortion are written, and that the others of an earlier run go."""

import numpy as np
import pytest

from jwst_hpastrom.distortion import DistortionCorrection, PolynomialCorrection
from jwst_hpastrom.errors import ParameterError
from jwst_hpastrom.geometry import polynomial_terms
from jwst_hpastrom.io.calibrations.layouts import LAYOUTS, wanted_formats, write_layouts
from jwst_hpastrom.io.calibrations.stdgdc import read_stdgdc


@pytest.mark.parametrize("formats", [None, [], ["None"], [""]])
def test_the_reference_alone_where_none_is_named(formats):
    assert wanted_formats(formats) == ("asdf",)


def test_names_in_any_case_and_unknown_ones():
    assert wanted_formats([" GDC", "asdf"]) == ("gdc", "asdf")
    with pytest.raises(ParameterError, match="formats=fits,"):
        wanted_formats(["fits"])


def test_what_is_not_wanted_goes(tmp_path):
    n = len(polynomial_terms(3, 1))
    part = PolynomialCorrection(3, *np.full((2, n), 0.1), np.array([31.0, 31.0]), 32.0)
    correction, paths = DistortionCorrection(part, shape=(64, 64)), {}
    for suffix in LAYOUTS:
        paths[suffix] = tmp_path / f"a_{suffix}.fits"
    meta = {"detector": "NIS", "filter": "F150W"}
    write_layouts(paths, correction, meta, ["stdgdc", "gdc"])
    assert all(p.is_file() for p in paths.values())
    write_layouts(paths, correction, meta, ["gdc", "asdf"])
    assert [p.is_file() for p in paths.values()] == [False, True]
    x, y = np.array([5.0, 40.0]), np.array([20.0, 50.0])
    read = read_stdgdc(paths["gdc"])
    np.testing.assert_allclose(read.forward(x, y), correction.forward(x, y), atol=1e-4)
