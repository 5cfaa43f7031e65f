"""Sky to raw pixels and back."""

import numpy as np

from jwst_hpastrom.geometry import fit_polynomial
from jwst_hpastrom.simulation.camera import FineStructure, OfficialDistortion, Pointing, TrueDistortion


def _truth(**kwargs):
    fine = FineStructure(np.random.default_rng(1), np.random.default_rng(2), **kwargs)
    return TrueDistortion(OfficialDistortion(), fine)


def test_pointing_round_trip_and_orientation():
    p = Pointing(80.5, -69.5, 38.0, 1.00003)
    ra, dec = p.to_sky(0.0, 0.0)
    np.testing.assert_allclose([ra, dec], [80.5, -69.5], atol=1e-12)
    u, v = np.random.default_rng(1).uniform(-70, 70, (2, 100))
    np.testing.assert_allclose(p.to_ideal(*p.to_sky(u, v)), [u, v], atol=1e-7)
    # the y axis of the ideal frame is V3 turned by the aperture's angle; V3 points to the roll angle
    ra, dec = p.to_sky(0.0, 10.0)
    angle = np.rad2deg(np.arctan2((ra - 80.5) * np.cos(np.deg2rad(dec)), dec + 69.5))
    np.testing.assert_allclose(angle, 38.0 + 0.56, atol=0.02)
    # aberration: the same pixel looks farther out by the factor
    far = Pointing(80.5, -69.5, 38.0, 1.0).to_ideal(*p.to_sky(u, v))
    np.testing.assert_allclose(far, np.array([u, v]) * 1.00003, atol=1e-6)


def test_ray_tracing_inverts_the_true_distortion():
    truth = _truth()
    x, y = np.random.default_rng(3).uniform(-5, 2052, (2, 20000))
    back = truth.inverse(*truth.forward(x, y), tolerance=1e-9)
    np.testing.assert_allclose(back, [x, y], atol=1e-7)


def test_size_of_the_fine_structure():
    truth = _truth()
    grid = np.linspace(0, 2047, 120)
    x, y = (a.ravel() for a in np.meshgrid(grid, grid))
    u, v = (w / 0.0656 for w in truth.forward(x, y))
    fit = fit_polynomial(x, y, u, v, 5, sigma=100.0).transform
    rms = np.std(np.array(fit.forward(x, y)) - (u, v), axis=1)
    # L23: 0.03 pixel are left by the polynomial
    assert np.all((rms > 0.01) & (rms < 0.05))
    # and the whole correction against a scale and rotation is pixels
    du, dv = u - x + 1023.5, v - y + 1023.5
    assert 1 < np.std(du) < 8
    assert 1 < np.std(dv) < 8


def test_no_fine_structure_is_the_official_polynomial():
    truth = _truth(wave_pix=0, void_pix=0, filter_pix=0)
    x, y = np.random.default_rng(3).uniform(0, 2047, (2, 100))
    np.testing.assert_array_equal(truth.forward(x, y), truth.official.forward(x, y))


def test_official_astropy_model():
    official = OfficialDistortion()
    model = official.to_astropy()
    x, y = np.random.default_rng(4).uniform(0, 2047, (2, 2000))
    u, v = model(x, y)
    np.testing.assert_allclose([u, v], official.forward(x, y), atol=1e-10)
    np.testing.assert_allclose(model.inverse(u, v), [x, y], atol=2e-4)
