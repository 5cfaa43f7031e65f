"""Scatter of motions by magnitude."""

import numpy as np

from jwst_hpastrom.kinematics import vector_points
from tests.kinematics.fields import cluster


def test_vector_points():
    rng = np.random.default_rng(8)
    table, _ = cluster(rng)
    rows = vector_points(table, edges=[-6.5, -6, -5, 10, 20])
    assert len(rows) == 2
    np.testing.assert_allclose(rows["pmra_sigma"], 0.144, atol=0.02)
    assert np.all(rows["pmra_observed"] > rows["pmra_median_error"])
