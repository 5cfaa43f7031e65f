"""Tangent planes and positions in time, against astropy."""

import astropy.units as u
import numpy as np
import pytest
from astropy.coordinates import SkyCoord

from jwst_hpastrom.errors import NotEnoughStarsError
from jwst_hpastrom.geometry import (
    TangentPlane,
    fill_motions,
    likely_motions,
    propagate,
    sky_axes,
    sky_middle,
)


@pytest.fixture
def plane():
    return TangentPlane(80.4875, -69.4975, 65.0, 5000.0, 6000.0)


def test_against_astropy(plane):
    rng = np.random.default_rng(3)
    xi, eta = rng.uniform(-300, 300, (2, 50))
    ra, dec = plane.to_sky(xi, eta)
    center = SkyCoord(plane.ra, plane.dec, unit="deg")
    frame = SkyCoord(ra, dec, unit="deg").transform_to(center.skyoffset_frame())
    lon, lat = frame.lon.rad, frame.lat.rad
    arcsec = u.rad.to("arcsec")
    np.testing.assert_allclose(xi, np.tan(lon) * arcsec, atol=1e-7)
    np.testing.assert_allclose(eta, np.tan(lat) / np.cos(lon) * arcsec, atol=1e-7)


def test_round_trips(plane):
    rng = np.random.default_rng(4)
    xi, eta = rng.uniform(-200, 200, (2, 50))
    np.testing.assert_allclose(plane.from_sky(*plane.to_sky(xi, eta)), (xi, eta), atol=1e-8)
    np.testing.assert_allclose(plane.from_pixels(*plane.to_pixels(xi, eta)), (xi, eta), atol=1e-10)
    assert TangentPlane.from_meta(plane.to_meta()) == plane
    assert TangentPlane.from_meta({"epoch": 2000.0}) is None


def test_north_is_up_and_east_is_left(plane):
    x, y = plane.to_pixels(*plane.from_sky([80.5, 80.4875], [-69.4975, -69.49]))
    assert x[0] < plane.x0
    assert y[1] > plane.y0
    assert x[1] == pytest.approx(plane.x0)


def test_the_pole_and_the_far_side():
    xi, eta = TangentPlane(0.0, 90.0).from_sky([0.0, 0.0], [89.999, -89.0])
    assert eta[0] == pytest.approx(-3.6, abs=1e-6)
    assert np.isnan(xi[1])


def test_propagation_with_errors_and_unknown_motions():
    xi, eta, ex, ey = propagate(
        np.zeros(2),
        np.ones(2),
        np.array([100.0, np.nan]),
        np.array([-50.0, np.nan]),
        10.0,
        errors=(np.full(2, 3.0), np.full(2, 4.0), np.array([0.4, np.nan]), np.array([0.3, np.nan])),
    )
    np.testing.assert_allclose(xi, [1.0, 0.0])
    np.testing.assert_allclose(eta, [0.5, 1.0])
    np.testing.assert_allclose(ex, [5.0, 3.0])
    np.testing.assert_allclose(ey, [5.0, 4.0])


def test_unknown_motions_are_the_mean_with_the_dispersion():
    rng = np.random.default_rng(1)
    pm, error = rng.normal([[2.0], [-1.0]], 3.0, (2, 400)), np.full((2, 400), 0.1)
    pm[0, :80] = np.nan
    filled, filled_error = fill_motions(tuple(pm), tuple(error))
    np.testing.assert_allclose([c[0] for c in filled], [2, -1], atol=0.6)
    np.testing.assert_allclose([c[:80] for c in filled_error], 3.0, rtol=0.15)
    np.testing.assert_array_equal(filled[1][80:], pm[1, 80:])
    few = fill_motions((pm[0, 76:84], pm[1, 76:84]), (error[0, 76:84], error[1, 76:84]))
    assert np.isnan(few[0][0][:4]).all()


def test_likely_motions_are_nearer_to_the_truth_and_keep_rotation_and_strangers():
    rng = np.random.default_rng(2)
    n, dispersion = 20_000, 0.12
    x, y = rng.uniform(-100, 100, (2, n))
    turning = 0.004 * np.stack([y, -x]) + [[1.9], [0.3]]
    true = turning + rng.normal(0, dispersion, (2, n))
    true[:, :50] += 6.0  # of another population
    error = rng.uniform(0.05, 0.3, (2, n))
    measured = true + rng.normal(size=(2, n)) * error
    error[1, -10:], measured[0, -20:-10] = np.nan, np.nan
    likely, sigma = (np.array(v) for v in likely_motions(x, y, tuple(measured), tuple(error)))
    np.testing.assert_array_equal(likely[:, :50], measured[:, :50])
    np.testing.assert_array_equal(sigma[:, :50], error[:, :50])
    np.testing.assert_array_equal(likely[1, -10:], measured[1, -10:])
    assert np.isnan(np.r_[likely[0, -20:-10], sigma[1, -10:]]).all()
    k = slice(50, -20)
    off = (likely - true)[:, k]
    expected = error[:, k] * dispersion / np.hypot(error[:, k], dispersion)
    np.testing.assert_allclose(sigma[:, k], expected, rtol=0.03)
    assert np.std(off / sigma[:, k]) == pytest.approx(1.0, abs=0.02)
    assert np.mean(off**2) < 0.5 * np.mean((measured - true)[:, k] ** 2)
    slope = np.polyfit(y[k], off[0], 1)[0]
    assert abs(slope) < 4 * np.std(off[0]) / np.std(y[k]) / np.sqrt(off.shape[1])


def test_motions_without_dispersion_are_not_known_to_be_alike():
    rng = np.random.default_rng(3)
    x, y, measured = rng.normal(size=(3, 400))
    _, sigma = likely_motions(x, y, (measured, measured), (np.ones(400), np.ones(400)))
    least = 1 / np.sqrt(1 + 1 / np.sqrt(2 / 400))  # the dispersion's own error, of errors of one
    assert np.all(sigma[0] >= 0.9 * least)
    few = slice(None, 49)
    same = likely_motions(x[few], y[few], (measured[few],) * 2, (np.ones(49),) * 2)
    np.testing.assert_array_equal(same[0][0], measured[few])


def test_the_middle_of_a_field_at_0h_at_a_pole_and_in_any_order():
    rng = np.random.default_rng(5)
    for ra0, dec0 in ((0.003, -72.0), (266.4, -29.0), (120.0, 90.0)):
        field = TangentPlane(ra0, dec0)
        ra, dec = field.to_sky(*rng.uniform(-60, 60, (2, 2000)))
        ra[7] = np.nan
        xi, eta = field.from_sky(*sky_middle(ra, dec))
        assert np.hypot(xi, eta) < 5  # arcsec: three standard errors of the middle
        turned = rng.permutation(ra.size)
        np.testing.assert_allclose(sky_middle(ra[turned], dec[turned]), sky_middle(ra, dec), atol=1e-11)


def test_axes_of_the_sky_against_astropys_offsets(plane):
    xi, eta = np.array([0.0, 200.0, -150.0]), np.array([0.0, -100.0, 250.0])
    axes = sky_axes(plane, xi, eta)
    np.testing.assert_allclose(axes[0], np.eye(2), atol=1e-6)
    here = SkyCoord(*plane.to_sky(xi, eta), unit="deg")
    for k, angle in enumerate((90, 0)):  # East, North
        there = here.directional_offset_by(angle * u.deg, 0.1 * u.arcsec)
        step = np.stack(plane.from_sky(there.ra.deg, there.dec.deg), -1) - np.stack([xi, eta], -1)
        np.testing.assert_allclose(axes[:, :, k], step / 0.1, atol=1e-5)


def test_the_middle_of_a_wide_field_is_the_mean_direction():
    rng = np.random.default_rng(6)
    ra, dec = rng.uniform(-30, 50, 300) % 360, rng.uniform(-20, 60, 300)
    mean = SkyCoord(ra * u.deg, dec * u.deg).cartesian.mean()
    expected = SkyCoord(mean, frame="icrs").spherical
    np.testing.assert_allclose(sky_middle(ra, dec), (expected.lon.deg, expected.lat.deg), atol=1e-9)


@pytest.mark.parametrize("n", [0, 3])
def test_middle_of_no_position_is_a_named_error(n):
    with pytest.raises(NotEnoughStarsError, match=f"{n} rows"):
        sky_middle(np.full(n, np.nan), np.zeros(n))
