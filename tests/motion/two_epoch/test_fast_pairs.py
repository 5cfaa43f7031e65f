"""Stars too fast for the first search of two epochs."""

import numpy as np
import pytest

from jwst_hpastrom.columns import Flag
from jwst_hpastrom.motion.two_epoch import two_epoch_motions
from jwst_hpastrom.motion.two_epoch.fast_pairs import fast_pairs
from tests.motion.two_epoch.test_motions import PLANE, T1, T2, scene


def fast_scene(seed, n=800, n_fast=6, speed=120.0, lost=0.05):
    """A field whose first stars move fast, none known; a share of the others is in one list only."""
    rng = np.random.default_rng(seed + 500)
    master, first, _, shuffle = scene(seed, n=n)
    angle = rng.uniform(0, 2 * np.pi, n_fast)
    v = speed * np.stack([np.cos(angle), np.sin(angle)])
    rows = np.argsort(shuffle)[:n_fast]
    xi, eta = PLANE.from_sky(first["ra"][rows], first["dec"][rows])
    first["ra"][rows], first["dec"][rows] = PLANE.to_sky(*(np.stack([xi, eta]) - v * (T2 - T1) / 1e3))
    first["mag"] += rng.normal(0, 0.1, n)
    first.remove_columns(["pmra", "pmdec", "pmra_error", "pmdec_error"])
    keep1, keep2 = rng.random((2, n)) > lost
    keep1[:n_fast], keep2[rows] = True, True
    return master[keep1], first[keep2], v, np.flatnonzero(keep1), shuffle[keep2]


def test_fast_stars_without_known_motions_are_found():
    n_false, stated = 0, 0.0
    for seed in range(6):
        master, first, v, star1, star2 = fast_scene(seed)
        t = two_epoch_motions(master, first).table
        fast = (np.asarray(t["flags"]) & int(Flag.FAST)) > 0
        a, b = star1[t["master_row"]], star2[t["first_epoch_row"]]
        right = fast & (a == b)
        assert set(a[right]) == set(range(6))
        true = v[:, a[right]] + np.array([[1.9], [0.35]]) - np.array([[1.9], [0.35]])
        np.testing.assert_allclose([t["pmra_rel"][right], t["pmdec_rel"][right]], true, atol=1.0)
        n_false, stated = n_false + (fast & ~right).sum(), stated + t.meta["n_fast_false"]
        assert t.meta["n_fast"] == fast.sum()
        assert np.all((t["p_chance"] > 0) == fast)
        # the plain stars are those of before
        plain = two_epoch_motions(master, first, fast_motion=0.0).table
        assert not np.any(np.asarray(plain["flags"]) & int(Flag.FAST))
        np.testing.assert_array_equal(plain["pmra"], t["pmra"][~fast])
    assert n_false <= stated + 3 * np.sqrt(stated) + 1


@pytest.mark.parametrize(("n", "lost", "n_fast"), [(3000, 0.1, 10), (20_000, 0.02, 10)])
def test_where_chance_is_too_frequent_they_are_ambiguous(n, lost, n_fast):
    found, told, chance = 0, 0, 0.0
    for seed in range(2):
        master, first, _, star1, star2 = fast_scene(seed, n=n, n_fast=n_fast, lost=lost)
        t = two_epoch_motions(master, first).table
        flags = np.asarray(t["flags"])
        doubtful = (flags & int(Flag.AMBIGUOUS)) > 0
        assert np.all(flags[doubtful] & int(Flag.FAST))
        assert t.meta["n_fast_ambiguous"] == doubtful.sum()
        np.testing.assert_array_equal(doubtful, np.asarray(t["p_chance"]) > 0.2)
        a, b = star1[t["master_row"]], star2[t["first_epoch_row"]]
        found += (((flags & int(Flag.FAST)) > 0) & (a == b) & (a < n_fast)).sum()
        told, chance = told + doubtful.sum(), max(chance, t["p_chance"].max())
    assert found > 0.7 * 2 * n_fast  # none before
    assert told * (1 - chance) < 2.5 * found


@pytest.mark.parametrize("lost", [0.05, 0.5])
def test_chance_alone_is_taken_for_what_it_is(lost):
    found = 0
    for seed in range(8):
        master, first, *_ = fast_scene(seed, n_fast=0, lost=lost)
        found += two_epoch_motions(master, first).table.meta["n_fast"]
    assert found <= 3


def test_magnitudes_decide():
    rng = np.random.default_rng(3)
    x, y = rng.uniform(0, 1000, (2, 40))
    mag = rng.uniform(0, 8, 40)
    near = np.array([5.0, 0.0])  # a decoy of another magnitude closer than each star's partner
    xy2 = [np.r_[x + 12, x + near[0]], np.r_[y, y + near[1]]]
    mag2 = np.r_[mag + 20, mag + 22]
    i, j, chance = fast_pairs(
        (x, y), xy2, mag, mag2, rng.normal(20, 0.05, 300), inner=2, outer=20, false_share=0.2
    )
    np.testing.assert_array_equal(i, j)
    assert i.size > 30
    assert np.all(chance < 0.2)


def test_nothing_to_pair():
    none = np.zeros(0)
    i, j, chance = fast_pairs((none, none), (none, none), none, none, np.ones(9), inner=1, outer=2)
    assert i.size == j.size == chance.size == 0
