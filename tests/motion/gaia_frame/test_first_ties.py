"""First transformations: what the lists' registration and the plane say, stars or none in between."""

from types import SimpleNamespace

import numpy as np

from jwst_hpastrom.geometry import LinearTransform
from jwst_hpastrom.motion.gaia_frame.first_ties import first_ties


def test_each_list_reaches_the_plane_through_the_common_frame():
    rng = np.random.default_rng(1)
    x, y = rng.uniform(0, 2000, (2, 40, 3))
    x[::5, 1] = np.nan  # stars that this list lacks
    turns = (0.0, 0.3, -1.0)
    turned = [np.array([[np.cos(a), -np.sin(a)], [np.sin(a), np.cos(a)]]) for a in turns]
    mappings = [LinearTransform(m, np.array([50.0 * a, 7.0])) for m, a in zip(turned, turns, strict=True)]
    to_plane = LinearTransform(65.0 * np.array([[-1.0, 0.0], [0.0, 1.0]]), np.array([1000.0, -3000.0]))
    ties = first_ties(SimpleNamespace(x=x, y=y), mappings, to_plane, degree=2)
    u, v = np.array([3.0, 900.0]), np.array([1500.0, 20.0])
    for tie, mapping in zip(ties, mappings, strict=True):
        np.testing.assert_allclose(tie.apply(u, v), to_plane.forward(*mapping.forward(u, v)), atol=1e-6)
