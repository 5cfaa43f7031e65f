"""``hpastrom info``: what is said of a file."""

import numpy as np

from jwst_hpastrom.distortion import DistortionCorrection, PolynomialCorrection
from jwst_hpastrom.geometry import polynomial_terms
from jwst_hpastrom.io.calibrations.stdgdc import write_stdgdc
from jwst_hpastrom.report.information import describe


def test_information_on_a_distortion(tmp_path):
    n = len(polynomial_terms(3, 1))
    p = PolynomialCorrection(3, *np.full((2, n), 0.1), np.array([31.0, 31.0]), 32.0, "file")
    path = write_stdgdc(tmp_path / "x.fits", DistortionCorrection(p, shape=(64, 64)))
    assert "STDGDC distortion of 64 x 64 pixels" in describe(path)
