"""One exposure against the others."""

import numpy as np
import pytest
from astropy.table import Table

from jwst_hpastrom.checks import Evidence, overall, run_checks


def exposures(n=4, **columns):
    names = [f"e{k}_cal.fits" for k in range(n)]
    data = {
        "exposure": names, "detector": ["NIS"] * n, "n_found": 1000, "n_matched": 800, "n_used": 780,
        "rms_x_pix": 0.01, "rms_y_pix": 0.01, "rotation_deg": 61.0, "epoch": 2022.3, "rounding_pix": 0.0,
        "error_factor": 1.05, "alike": 0.95, "ra": 0.0, "dec": np.arange(n) / 600, "pointing_xi_arcsec": 0.01,
        "pointing_eta_arcsec": 0.0, "pointing_arcsec": 0.01, "pointing_rotation_deg": 0.01,
        "pointing_scale": 1.0001, "scale_mas": 65.5, "twice_share": 0.0, "error_range": 4.0,
        "bright_residual_pix": 0.006,
    }  # fmt: skip
    table = Table({k: v if np.ndim(v) else np.full(n, v) for k, v in data.items()})
    for name, value in columns.items():
        table[name] = value
    return run_checks(Evidence(exposures=table))


def test_exposures_that_agree():
    assert overall(exposures()) == "ok"


@pytest.mark.parametrize(
    ("columns", "cause", "about"),
    [
        (
            {"n_used": [780, 90, 780, 780], "rotation_deg": [61.0, 151.0, 61.0, 61.0]},
            "x and y of this list",
            1,
        ),
        (
            {
                "n_used": [780, 0, 780, 780],
                "n_matched": [800, 25, 800, 800],
                "rotation_deg": [61.0, 241.0, 61.0, 61.0],
            },
            "x and y of this list",
            1,
        ),
        ({"n_used": [780, 90, 780, 780]}, "the distortion or ePSF does not fit this exposure", 1),
        ({"rms_x_pix": [0.01, 0.01, 0.2, 0.01]}, "the distortion or ePSF does not fit this exposure", 2),
        ({"error_factor": [1.0, 10.0, 1.0, 1.0]}, "errors of this list that are too small", 1),
        (
            {
                "error_factor": [1.0, 10.0, 1.0, 1.0],
                "phase_pix": [0.7, 1.4, 0.2, 0.2],
                "phase_error_pix": 0.02,
            },
            "the distortion or ePSF does not fit",
            1,
        ),
        ({"error_factor": [1.0, 1.0, 1.0, 0.015]}, "errors of this list that are too large", 3),
        ({"alike": [0.01, 0.95, 0.95, 0.01]}, "one exposure twice", 0),
        ({"epoch": [2022.3, 2022.3, 2017.3, 2022.3]}, "a wrong time in this exposure's header", 2),
        ({"rounding_pix": 0.1}, "positions that were rounded", 0),
        (
            {"bright_residual_pix": [0.006, 0.006, 0.04, 0.006]},
            "the distortion or ePSF does not fit this exposure",
            2,
        ),
        ({"twice_share": [0.0, 0.3, 0.0, 0.0]}, "stars that this list has twice", 1),
        ({"double_share": [0.0, 0.6, 0.0, 0.0]}, "a double exposure", 1),
        (
            {"zero_point": [0.0, -1.4, 0.0, 0.0], "zero_point_error": [0.0, 0.004, 0.001, 0.001]},
            "magnitudes of this list that are other stars'",
            1,
        ),
        (
            {"zero_point": [0.0, -75.0, 0.0, 0.0], "zero_point_error": [0.0, 0.9, 0.001, 0.001]},
            "fluxes of this exposure in other units",
            1,
        ),
        ({"scale_mas": [65.5, 65.5, 66.0, 65.5]}, "pixels of another scale in this list", 2),
        ({"pointing_rotation_deg": 0.8}, "a catalog of another system, rotated", None),
        ({"pointing_rotation_deg": [0.0, 0.0, 1.0, 0.0]}, "a wrong roll in this exposure's WCS", 2),
        ({"pointing_scale": 1.01}, "a catalog of another system, rotated or scaled", None),
    ],
)
def test_one_that_does_not(columns, cause, about):
    first = exposures(**columns)[0]
    assert first.verdict == "bad"
    assert first.causes[0].startswith(cause)
    assert about is None or first.about.startswith(f"e{about}_cal.fits")


def test_detectors_of_different_scale_are_not_compared():
    two = {"detector": ["NRCB1", "NRCB2"] * 4, "n": 8, "ra": 0.0}
    assert overall(exposures(scale_mas=[30.7, 31.2] * 4, **two)) == "ok"
    bad = exposures(scale_mas=[30.7, 31.2] * 3 + [31.2, 31.2], **two)[0]
    assert bad.about.startswith("e6_cal.fits")
    assert "another scale" in bad.causes[0]


def test_errors_that_are_all_the_same_deserve_a_look():
    checks = exposures(error_range=[4.0, 4.0, 4.0, 1.0])
    assert overall(checks) == "look"
    assert checks[0].causes[0].startswith("errors of this list that are one and the same")
    assert checks[0].about.startswith("e3")


@pytest.mark.parametrize(
    ("factor", "n", "verdict"),
    [(1.5, 800, "ok"), (1.9, 800, "look"), (0.54, 800, "look"), (1.6, 120, "ok")],
)
def test_errors_of_one_list_off_by_two_are_told(factor, n, verdict):
    found = exposures(error_factor=[1.0, factor, 1.0, 1.02], n_matched=n, n_used=n - 5, n_found=n + 50)
    assert overall(found) == verdict
    assert [c.about for c in found if c.verdict != "ok"] == ["e1_cal.fits"] * (verdict != "ok")


def test_of_two_exposures_none_is_blamed():
    assert {c.verdict for c in exposures(2, n_used=[780, 90], rms_x_pix=[0.2, 0.01])} <= {"ok", "look"}


def test_errors_that_hold_are_not_too_large_beside_exposures_that_a_distortion_scatters():
    assert overall(exposures(error_factor=[3.0, 3.2, 1.2, 3.1])) == "ok"
