"""The distortion that plane coordinates hold, without their place, turn and scale."""

import numpy as np

from jwst_hpastrom.epsf.build.positions import plane_polynomial


def test_only_the_distortion_is_left():
    turn = np.array([[0.8, -0.7], [-0.6, -0.9]])  # of another parity, too

    def bent(x, y):
        p, q = x - 249.5, y - 199.5
        return p + 2e-5 * p * q, q - 3e-5 * p * p

    def to_plane(x, y):
        u, v = bent(x, y)
        return turn @ np.stack([u, v]) + np.array([[1e3], [-2e3]])

    correction = plane_polynomial(to_plane, (400, 500))
    x, y = np.random.default_rng(0).uniform(0, 399, (2, 50))
    u, v = bent(x, y)
    np.testing.assert_allclose(correction.forward(x, y), (u + 249.5, v + 199.5), atol=1e-6)
