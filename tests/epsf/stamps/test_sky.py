"""Sky and noise of simulated pixels whose sky and noise are known."""

import numpy as np

from jwst_hpastrom.epsf.stamps.sky import mesh_sky, sky_image, variance_law


def test_sky_follows_a_slope():
    _jj, ii = np.mgrid[:256, :256]
    slope = 1 + ii / 256.0
    mesh = mesh_sky(slope, np.zeros(slope.shape, bool), 32)
    error = np.abs(sky_image(mesh, slope.shape) - slope)
    assert error[32:-32, 32:-32].max() < 1e-3
    nothing = mesh_sky(slope, np.ones(slope.shape, bool), 32)
    assert (nothing == 0).all()


def test_variance_law():
    rng = np.random.default_rng(6)
    data = rng.normal(1.0, 0.2, (200, 200)) + 20 * rng.exponential(1.0, (200, 200)) * (
        rng.random((200, 200)) < 0.05
    )
    err = np.sqrt(0.04 + 0.02 * data)
    var0, slope = variance_law(data, err, np.ones(data.shape, bool))
    np.testing.assert_allclose([var0, slope], [0.04, 0.02], rtol=0.05)
