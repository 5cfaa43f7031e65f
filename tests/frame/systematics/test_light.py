"""Errors by light that was not subtracted, against all pairs of stars."""

import numpy as np
import pytest

from jwst_hpastrom.columns import Flag
from jwst_hpastrom.frame.systematics import light_errors


def test_light_errors_against_all_pairs():
    rng = np.random.default_rng(7)
    n, pixel = 400, 1.3
    x, y = rng.uniform(0, 200, (2, n))
    mag, flags = rng.uniform(-9, -3, n), np.where(rng.uniform(size=n) < 0.5, int(Flag.SUBTRACTED), 0)
    got = light_errors(x, y, mag, flags, "F150W", pixel)
    brightest = np.argsort(mag)[: n // 8]
    for k in range(0, n, 7):
        r = np.hypot(x - x[k], y - y[k]) / pixel
        near = (r > (12.5 if flags[k] else 0)) & (r <= 25) & (np.arange(n) != k)
        far = (r > 25) & (r <= 50) & np.isin(np.arange(n), brightest)
        near |= far
        shift = 10 ** (-0.4 * (mag[near] - mag[k])) * np.minimum(0.13 * 1.5**2 / r[near] ** 3, 0.2)
        assert got[k] == pytest.approx(pixel * np.sqrt(np.sum(np.minimum(shift, 1) ** 2)), rel=1e-9)
    for name in ("F814W", "F438W", "F275W", "F475W", "F380W", "F430W"):  # HST's, in nm
        assert not light_errors(x, y, mag, flags, name, pixel).any()
    for instrument in ("nircam", "NIRCAM"):
        assert light_errors(x, y, mag, flags, "F150W", pixel, instrument).any()
    assert not light_errors(x[:1], y[:1], mag[:1], flags[:1], "F150W", pixel).any()


def test_light_errors_know_every_imager_of_jwst_and_no_other():
    rng = np.random.default_rng(3)
    x, y = rng.uniform(0, 300, (2, 400))
    mag, flags = rng.uniform(-10, -4, 400), np.zeros(400, int)
    nircam = light_errors(x, y, mag, flags, "F410M", 1.0, "NIRCAM")
    assert (nircam > 0).all()
    shorter = light_errors(x, y, mag, flags, "F200W", 1.0, "NIRCAM")
    niriss = light_errors(x, y, mag, flags, "F200W", 1.0, "NIRISS")
    np.testing.assert_allclose(shorter, niriss, rtol=0.1)
    for name, instrument in (("F140W", "WFC3"), ("F410M", "WFC3"), ("F410M", ""), ("NONE", "NIRCAM")):
        assert not light_errors(x, y, mag, flags, name, 1.0, instrument).any()


def test_light_errors_follow_the_epsf_where_it_tells():
    rng = np.random.default_rng(5)
    stars = (*rng.uniform(0, 900, (2, 500)), rng.uniform(-8, -4, 500), np.zeros(500, int))
    usual = light_errors(*stars, "F277W", 1.0)
    alike = light_errors(*stars, "F277W", 1.0, wing_shift=0.13e-3 * 2.77**2)
    np.testing.assert_allclose(alike, usual, rtol=1e-9)
    third = light_errors(*stars, "F277W", 1.0, wing_shift=0.13e-3 * 2.77**2 / 3)
    np.testing.assert_allclose(np.median(third[usual > 0] / usual[usual > 0]), 1 / 3, rtol=0.05)
    np.testing.assert_allclose(light_errors(*stars, "F277W", 1.0, wing_shift=np.nan), usual)
    # noise is no telescope's wings
    np.testing.assert_array_equal(light_errors(*stars, "F277W", 1.0, wing_shift=3e-3), usual)
