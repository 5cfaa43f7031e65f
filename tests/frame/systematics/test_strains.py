"""Quadratic terms that dithers hide, as the exposures' stretching beside their WCS shows them."""

import numpy as np
import pytest
from astropy.table import Table

from jwst_hpastrom.frame import build_master
from jwst_hpastrom.frame.systematics import Strains
from jwst_hpastrom.frame.systematics.detector import HIDDEN
from jwst_hpastrom.frame.systematics.strains import NOTHING
from jwst_hpastrom.geometry import LinearTransform, TangentPlane, fit_linear, match_nearest

PLANE = TangentPlane(80.4875, -69.4975)
HALF = 512.0
CENTER, TURN = np.array([515.5, 511.5]), np.array([[0.0, -1.0], [1.0, 0.0]])


def strains_of(rng, coefficients, n=4, stretch=0.0, noise=0.0, turn=1e-4, hours=1.0):
    """Strains of dithered exposures whose distortion errs by quadratic terms (2, 3), in master pixels."""
    wcs = np.array([[-2.2, 0.1], [0.1, 2.2]])
    middle = CENTER + rng.uniform(-70, 70, (n, 2))
    p, q = (middle - CENTER).T / HALF
    found = []
    for k in range(n):
        # gradients of p², p q and q² there, which the transformation takes out
        slope = [[2 * a * p[k] + b * q[k], b * p[k] + 2 * c * q[k]] for a, b, c in coefficients]
        own = np.eye(2) + stretch * rng.normal(size=(2, 2)) + turn * rng.normal() * TURN
        found.append(own @ wcs - np.array(slope) / HALF + rng.normal(0, noise / HALF, (2, 2)))
    whole = np.eye(2) + 1e-5 * rng.normal(size=(2, 2))
    return Strains(whole @ np.array(found), np.broadcast_to(wcs, (n, 2, 2)), middle, hours)


def order(terms):
    """Of the columns of the helper's coefficients: p², p q, q²."""
    return [[(2, 0), (1, 1), (0, 2)].index(tuple(t)) for t in terms]


def test_exact_strains_give_the_coefficients():
    rng = np.random.default_rng(1)
    true = rng.normal(0, 0.03, (2, 3))
    # turns and a linear map of all count at their first order: their products with the terms are left
    bends = strains_of(rng, true, turn=1e-6).bends(CENTER, HALF, HIDDEN, 1.0, 1e-12)
    np.testing.assert_allclose((bends.turn @ bends.found).reshape(2, 3), true[:, order(HIDDEN)], atol=1e-4)
    half = strains_of(np.random.default_rng(1), np.zeros((2, 3))).bends(CENTER, HALF, HIDDEN, 1.0, 1e-12)
    np.testing.assert_allclose(half.found, 0.0, atol=1e-4)


def test_two_exposures_leave_most_combinations_untold():
    two = strains_of(np.random.default_rng(2), np.full((2, 3), 0.03), n=2)
    bends = two.bends(CENTER, HALF, HIDDEN, 1.0, 1e-9)
    assert np.sum(bends.variance == NOTHING) == 3  # three numbers for six coefficients
    assert not bends.found[bends.variance == NOTHING].any()


@pytest.mark.parametrize(
    ("n", "stretch", "most"), [(4, 0.0, 1.0), (4, 3e-6, 1.25), (9, 3e-6, 1.15), (9, 2e-5, 1.15)]
)
def test_errors_hold_the_telescope(n, stretch, most):
    """Errors of many exposures are right; of four, which leave three numbers to tell by, not too small."""
    rng = np.random.default_rng(3)
    noise, z = 0.002, []
    for _ in range(150):
        true = rng.normal(0, 0.03, (2, 3))
        bends = strains_of(rng, true, n, stretch, noise).bends(CENTER, HALF, HIDDEN, 1.0, noise**2)
        off = bends.found - bends.turn.T @ true[:, order(HIDDEN)].ravel()
        z.append(off / np.sqrt(bends.variance))
    width = np.sqrt(np.mean(np.square(z)))
    assert (0.35 if stretch == 0 else 0.6 if n == 4 else 0.85) < width < most


def wcs_lists(seed, size, quadratic, n=900, step=8.0, scale=110.9):
    """Four dithers of MIRI whose WCS lack terms of second to fourth degree, of two sizes."""
    rng = np.random.default_rng(seed)
    terms = [(i, d - i) for d in (2, 3, 4) for i in range(d + 1)]
    sizes = [size / (i + j) * (quadratic if i + j == 2 else 1.0) for i, j in terms]
    c = rng.normal(0, sizes, (2, len(terms)))
    xi, eta = rng.uniform(-65, 65, (2, n))
    mag, out = rng.uniform(-8, -5, n), []
    for k in range(4):
        a, b = step * (k % 2 - 0.5), step * (k // 2 - 0.5)
        w = np.stack([-(xi - a), eta - b]) * 1e3 / scale
        x, y = w[0] + CENTER[0], w[1] + CENTER[1]
        for _ in range(3):
            p, q = (x - CENTER[0]) / 516, (y - CENTER[1]) / 516
            x, y = (w[m] + CENTER[m] - sum(e * p**i * q**j for e, (i, j) in zip(c[m], terms, strict=True))
                    for m in (0, 1))  # fmt: skip
        s = np.flatnonzero((x > 5) & (x < 1026) & (y > 5) & (y < 1018))
        x, y = (v[s] + rng.normal(0, 0.004, s.size) for v in (x, y))
        ra, dec = PLANE.to_sky(a - (x - CENTER[0]) * scale / 1e3, b + (y - CENTER[1]) * scale / 1e3)
        error = np.full(s.size, 0.004)
        columns = {"x": x, "y": y, "x_err": error, "y_err": error, "mag": mag[s], "mag_err": error}
        meta = {"filename": f"m{k}_cal.fits", "instrument": "MIRI", "detector": "MIRIMAGE", "filter": "F560W"}
        flags = np.zeros(s.size, int)
        out.append(Table({**columns, "ra": ra, "dec": dec, "flags": flags}, meta=meta | {"epoch": 2022.33}))
    return out, PLANE.to_pixels(xi, eta)


@pytest.mark.parametrize(("size", "quadratic"), [(0.03, 0.0), (0.03, 1.0), (0.03, 4.0), (0.2, 1.0)])
def test_frames_err_as_stated_whatever_quadratic_the_wcs_lacks(size, quadratic):
    """Quadratic terms may be missing, or several times as large as those that residuals show.

    From the latter's size alone pulls would be 0.51 without any, and 2.8 where they are four times as large.
    """
    z = []
    for seed in range(3):
        lists, truth = wcs_lists(seed, size, quadratic)
        table = build_master(lists, plane=PLANE).table
        i, j, _ = match_nearest(table["x"], table["y"], *truth, 3.0)
        at = np.asarray(table["x"])[i], np.asarray(table["y"])[i]
        u, v = fit_linear(*at, truth[0][j], truth[1][j], sigma=None).transform.forward(*at)
        z += [(u - truth[0][j]) / table["x_err"][i], (v - truth[1][j]) / table["y_err"][i]]
    assert 0.65 < np.sqrt(np.mean(np.concatenate(z) ** 2)) < 1.15


def test_of_mosaics_and_of_lists_without_a_wcs_there_are_none():
    class Measured:
        n_exposures = 2
        x = y = np.linspace(0, 1000, 20)
        of = staticmethod(lambda k: slice(10 * k, 10 * k + 10))

    rng = np.random.default_rng(4)
    m, places = Measured(), rng.uniform(0, 1000, (2, 20))
    m.x, m.y = places
    near, far = (
        [LinearTransform(2 * np.eye(2), np.array([d * k, 0.0])) for k in (0, 1)] for d in (200.0, 1400.0)
    )
    epochs = np.array([2022.0, 2022.0])
    found = Strains.of(m, near, tuple(3 * places), epochs)
    np.testing.assert_allclose(found.wcs, [3 * np.eye(2)] * 2, atol=1e-9)
    np.testing.assert_allclose(found.middle, [[50.0, 0.0], [-50.0, 0.0]], atol=1e-9)
    assert Strains.of(m, far, tuple(3 * places), epochs) is None
    assert Strains.of(m, near, tuple(np.full((2, 20), np.nan)), epochs) is None
