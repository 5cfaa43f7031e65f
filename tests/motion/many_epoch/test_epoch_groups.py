"""Epochs grouped by position angle."""

import numpy as np
from astropy.table import Table

from jwst_hpastrom.motion.many_epoch.epoch_groups import angle_groups, group_epochs


def same(groups):
    return [[int(a == b) for b in groups] for a in groups]


def test_no_edge_parts_equal_angles():
    for offset in np.arange(0.0, 360.0, 0.7):  # wherever an edge might lie
        assert same(angle_groups(np.array([0.0, 0.2, 90.1, 89.8, 180.0]) + offset)) == same([0, 0, 1, 1, 2])


def test_angles_across_zero_are_one():
    assert same(angle_groups([359.5, 0.5, -1.0, 361.0, 45.0])) == same([0, 0, 0, 0, 1])


def test_a_chain_of_angles_is_not_one_group():
    groups = angle_groups(np.arange(0.0, 60.0, 4.0))
    angles = np.arange(0.0, 60.0, 4.0)
    assert all(np.ptp(angles[groups == g]) <= 12.0 for g in np.unique(groups))
    assert np.unique(angle_groups(np.arange(0.0, 360.0, 1.0))).size >= 30


def test_unknown_angles_and_other_keys():
    assert same(angle_groups([np.nan, 10.0, np.nan, 11.0])) == same([0, 1, 0, 1])
    assert angle_groups([]).size == 0
    lists = [
        Table(meta={"visit": v, "position_angle": a}) for v, a in (("a", 92.4), ("b", 92.6), ("a", None))
    ]
    assert same(group_epochs(lists, "visit")) == same([0, 1, 0])
    assert same(group_epochs(lists, "position_angle")) == same([0, 0, 1])
    assert same(group_epochs(lists, "none")) == same([0, 1, 2])
