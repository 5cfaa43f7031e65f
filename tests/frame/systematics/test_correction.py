"""Errors of a correction that a star's exposures share."""

import numpy as np
import pytest
from astropy.table import Table

from jwst_hpastrom.distortion import DistortionCorrection, ErrorModel, PolynomialCorrection
from jwst_hpastrom.frame import build_master
from jwst_hpastrom.geometry import TangentPlane

PLANE = TangentPlane(80.4875, -69.4975)
SCALE, SIZE = 65.57, 0.01


def lists(n=900):
    """Four exposures at places of the detector far from each other, half of the stars bright."""
    rng = np.random.default_rng(3)
    xi, eta = rng.uniform(-40, 40, (2, n))
    error = np.where(np.arange(n) < n // 2, 0.002, 0.02)
    out = []
    for k in range(4):
        x = 1023.5 - (xi - 15 * (k % 2) + 7) * 1e3 / SCALE + rng.normal(0, 1, n) * error
        y = 1023.5 + (eta - 15 * (k // 2) + 7) * 1e3 / SCALE + rng.normal(0, 1, n) * error
        ra, dec = PLANE.to_sky(xi, eta)
        columns = {"x": x, "y": y, "x_err": error, "y_err": error, "mag": np.where(error < 0.01, -8.0, -5.0),
                   "mag_err": np.full(n, 0.003), "flags": np.zeros(n, int), "ra": ra, "dec": dec}  # fmt: skip
        meta = {"filename": f"e{k}_cal.fits", "filter": "", "epoch": 2022.33}
        out.append(Table(columns, meta=meta))
    return out


@pytest.mark.parametrize("own", [True, False])
def test_stars_that_made_the_correction_share_its_errors(own):
    correlation = np.zeros((4, 9))
    correlation[0, 4] = 1.0
    model = ErrorModel(
        np.full((2, 3, 3), SIZE**2), correlation, 4.0, (2048, 2048), np.array([0.002, 0.02]),
        np.array([[0.81, 0.25], [0.81, 0.25]]), ("e0_cal.fits",) if own else ("other_cal.fits",),
    )  # fmt: skip
    polynomial = PolynomialCorrection(1, np.zeros(2), np.zeros(2))
    table = build_master(
        lists(), correction=DistortionCorrection(polynomial, uncertainty=model), plane=PLANE
    ).table
    bright = np.asarray(table["mag"]) < -6
    for some, share in ((bright, 0.81), (~bright, 0.25)):
        expected = SIZE * np.sqrt(share) * SCALE / 50 if own else 0.0
        for axis in "xy":
            got = np.median(np.asarray(table[f"{axis}_err_systematic"])[some])
            assert got == pytest.approx(expected, rel=0.1, abs=1.5e-3)


@pytest.mark.parametrize("measured", [True, False])
def test_what_reference_stars_measured_is_not_counted_again(measured):
    """A pattern that dithers show: a part of the errors where stars in these exposures measured them."""
    made = lists()
    truth = Table({c: made[0][c] for c in ("ra", "dec", "mag")}, meta={"epoch": 2022.33, **PLANE.to_meta()})
    truth["ra_error"] = truth["dec_error"] = np.full(len(truth), 0.1)
    for t in made:
        t["x"] += 2.0 * (t["x"] / 1024 - 1) ** 3
    model = ErrorModel(
        np.full((2, 3, 3), SIZE**2), np.ones((48, 97)), 32.0, (2048, 2048),
        exposures=tuple(t.meta["filename"] for t in made), measured=measured,
    )  # fmt: skip
    model = ErrorModel.from_meta(model.to_meta())  # as a file keeps it
    correction = DistortionCorrection(PolynomialCorrection(1, np.zeros(2), np.zeros(2)), uncertainty=model)
    table = build_master(made, correction=correction, reference=truth, plane=PLANE).table
    got = np.median(np.asarray(table["x_err_systematic"])) * 50 / SCALE
    assert (got == pytest.approx(SIZE, rel=0.05)) == measured
    assert got > 0.95 * SIZE
