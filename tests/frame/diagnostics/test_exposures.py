"""Pointing and pixel phase of the exposures, put in and found again."""

import numpy as np
from astropy.table import Table

from jwst_hpastrom.frame import build_master
from jwst_hpastrom.frame.diagnostics import add_diagnostics
from jwst_hpastrom.geometry import TangentPlane

PLANE = TangentPlane(80.0, -69.0)
SCALE = 65.57


def star_lists(phase, miss, n=900, error=0.01):
    """Lists of one field; each with a sine of the pixel phase in x, and a WCS that misses (arcsec)."""
    rng = np.random.default_rng(7)
    xi, eta = rng.uniform(-35, 35, (2, n))
    mag, out = rng.uniform(-8, -4, n), []
    for k, (amplitude, away) in enumerate(zip(phase, miss, strict=True)):
        x = -xi * 1e3 / SCALE + 600 + 7.3 * k + rng.uniform()
        y = eta * 1e3 / SCALE + 600 - 5.7 * k + rng.uniform()
        ra, dec = PLANE.to_sky(xi + away[0], eta + away[1])
        table = Table(
            {"ra": ra, "dec": dec, "mag": mag, "qfit": np.full(n, 0.015), "flags": np.zeros(n, int)}
        )
        table["x"] = x + amplitude * np.sin(2 * np.pi * x) + rng.normal(0, error, n)
        table["y"] = y + rng.normal(0, error, n)
        table["x_err"] = table["y_err"] = np.full(n, error)
        table["mag_err"] = np.full(n, 0.01)
        table.meta = {"filename": f"e{k}_cal.fits", "epoch": 2022.4}
        out.append(table)
    reference = Table({"ra": PLANE.to_sky(xi, eta)[0], "dec": PLANE.to_sky(xi, eta)[1], "mag": mag})
    reference.meta = {"epoch": 2022.4, **PLANE.to_meta()}
    return out, reference


def test_they_are_found():
    phase, miss = (0.0, 0.02, 0.0, 0.0, 0.0), ((0, 0), (0, 0), (1.5, 0), (0, -0.4), (0, 0))
    lists, reference = star_lists(phase, miss)
    frame = build_master(lists, reference=reference)
    table = add_diagnostics(frame.exposures, frame, lists)
    # the frame is nearer the catalog than any WCS: what the WCS is off by has the other sign
    np.testing.assert_allclose(table["pointing_xi_arcsec"], [0, 0, -1.5, 0, 0], atol=0.02)
    np.testing.assert_allclose(table["pointing_eta_arcsec"], [0, 0, 0, 0.4, 0], atol=0.02)
    # a fifth of it is in the stars' means
    assert abs(table["phase_pix"][1] - 0.017) < 0.002
    # the others have a share of it in the mean that they are compared with, no more
    assert max(table["phase_pix"][[0, 2, 3, 4]]) < 0.4 * table["phase_pix"][1]
    assert np.all(table["phase_error_pix"] < 0.002)


def test_few_stars_tell_nothing():
    lists, reference = star_lists((0.0,) * 3, ((0, 0),) * 3, n=40)
    frame = build_master(lists, reference=reference)
    table = add_diagnostics(frame.exposures, frame, lists)
    assert np.isnan(table["phase_pix"]).all()
    assert np.isfinite(table["pointing_arcsec"]).all()


def test_overlap_parity_and_the_correction():
    lists, reference = star_lists((0.0,) * 4, ((0, 0),) * 4)
    # the last looks at half of the field
    lists[3] = lists[3][np.asarray(lists[3]["x"]) < np.median(lists[3]["x"])]
    frame = build_master(lists, reference=reference, min_exposures=4)
    table = add_diagnostics(frame.exposures, frame, lists)
    np.testing.assert_allclose(table["overlap"], [0.5, 0.5, 0.5, 1.0], atol=0.06)
    assert table["parity"].tolist() == [1] * 4
    assert table["correction_error_pix"].tolist() == [0.0] * 4
    for stars in lists:
        stars["x"], stars["y"] = stars["y"].copy(), stars["x"].copy()
    frame = build_master(lists, reference=reference)
    assert add_diagnostics(frame.exposures, frame, lists)["parity"].tolist() == [-1] * 4


def test_exposures_of_one_pointing_look_at_one_place_whatever_stars_they_have():
    lists, reference = star_lists((0.0,) * 3, ((0, 0),) * 3)
    rng = np.random.default_rng(1)
    place = {c: np.asarray(lists[0][c]).copy() for c in "xy"}
    for k, stars in enumerate(lists):
        for c in "xy":
            stars[c] += np.median(place[c] - np.asarray(stars[c]))
        keep = rng.random(len(stars)) < 0.6 + 0.3 * (np.asarray(stars["x"]) > 600) * (k == 1)
        lists[k] = stars[keep]
    frame = build_master(lists, reference=reference)
    table = add_diagnostics(frame.exposures, frame, lists)
    assert np.ptp(table["dec"]) * 3600 < 0.05
    assert np.ptp(table["ra"]) * 3600 * np.cos(np.deg2rad(69)) < 0.05
