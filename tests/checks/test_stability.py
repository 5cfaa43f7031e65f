"""Changes of calibrations from date to date: those that were put in, and no others."""

import numpy as np
import pytest
from astropy.table import Table

from jwst_hpastrom.checks.stability import calibration_changes, calibration_table, filter_average, stability
from jwst_hpastrom.io.calibrations.found import Calibration


def calibration(epoch, scale=65.5, skew=0.0, central=None, qfit=None, name="F150W"):
    meta = {"pixel_scale": scale, "pixel_scale_error": 1e-4, "skew": skew, "skew_error": 1e-6}
    fits = Table({"qfit": [0.03, 0.031, 0.032] if qfit is None else qfit})
    if central is not None:
        fits["central_before"], fits["central_after"] = 0.2, central
    table = Table({"x": [1.0, 2.0]}, meta=meta)
    return Calibration(f"field{epoch}", name, "NIS", epoch, scale=table, fits=fits, instrument="NIRISS")


def by_quantity(*calibrations):
    return {r["quantity"]: r for r in calibration_changes(calibrations)}


def test_what_changed_and_what_did_not():
    rows = by_quantity(calibration(2022.0), calibration(2023.0, scale=65.5 * (1 + 2e-5), skew=1e-6))
    scale = rows["pixel scale"]
    assert scale["change"] == pytest.approx(20.0, abs=1e-3)
    assert scale["error"] == pytest.approx(1e6 * np.sqrt(2) * 1e-4 / 65.5, rel=1e-4)
    assert scale["verdict"] == "changed"
    assert (rows["skew"]["change"], rows["skew"]["verdict"]) == (pytest.approx(1.0), "stable")
    assert (rows["QFIT"]["change"], rows["QFIT"]["verdict"]) == (0.0, "stable")
    assert "stretch" not in rows  # of which nothing is known


def test_a_wavefront_error_from_the_core():
    nm = 2 * np.pi * 40 / 1501.0  # 40 nm more, by Maréchal
    core = 0.2 * (1 + 1e-4 * np.array([-1.0, 0.0, 1.0]))
    lost = np.exp(-(nm**2))
    rows = by_quantity(calibration(2022.0, central=core), calibration(2023.0, central=core * lost))
    assert rows["central value"]["change"] == pytest.approx(100 * (lost - 1), rel=1e-6)
    assert rows["wavefront"]["change"] == pytest.approx(40.0, rel=0.01)
    sharper = by_quantity(calibration(2022.0, central=core * lost), calibration(2023.0, central=core))
    assert sharper["wavefront"]["change"] == pytest.approx(-40.0, rel=0.01)


def test_lines_and_averages():
    dates = [calibration(2022.0), calibration(2023.0, scale=65.6), calibration(2022.5, name="F277W")]
    changes = calibration_changes(dates)
    assert set(changes["kind"]) == {"NIS F150W"}  # of one date there is nothing to compare
    (line,) = stability(changes)
    assert line.startswith("NIS F150W: changed: pixel scale by")
    assert stability(calibration_changes(dates[:1])) == []
    table = calibration_table(dates)
    assert table["pixel_scale"].tolist() == [65.5, 65.6, 65.5]
    assert table["qfit"].tolist() == [0.031] * 3
    summary = Table({"pixel_scale": [65.50, 65.54, 65.52], "pixel_scale_total_error": [0.1] * 3})
    assert filter_average(summary) == pytest.approx((65.52, 0.02 / np.sqrt(3)))
    assert filter_average(summary[:1]) == (65.50, 0.1)
