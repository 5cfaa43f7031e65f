"""Stars of many epochs too fast for the linking."""

import numpy as np
import pytest

from jwst_hpastrom.columns import Flag
from jwst_hpastrom.motion.many_epoch import fit_epochs
from jwst_hpastrom.motion.many_epoch.fast_tracks import join_fast
from tests.motion.many_epoch.test_motions import SCALE, field, star_numbers


def fast_field(seed, n=300, n_fast=5, speed=50.0, lost=0.0):
    """A field whose last stars have a fast motion on top of their own; a share of all entries is missing."""
    lists, gaia, pm = field(seed, n=n)
    rng = np.random.default_rng(seed + 900)
    angle = rng.uniform(0, 2 * np.pi, n_fast)
    v = speed * np.stack([np.cos(angle), np.sin(angle)], -1)
    fast = np.arange(n - n_fast, n)
    pm[fast] += v
    for k, table in enumerate(lists):
        name = np.array([int(s[1:]) for s in table["name"]])
        a, dt = np.deg2rad(table.meta["position_angle"]), table.meta["epoch"] - 2016.0
        for star, (east, north) in zip(fast, v * dt / SCALE, strict=True):
            row = name == star
            table["x"][row] += -east * np.cos(a) + north * np.sin(a)
            table["y"][row] += east * np.sin(a) + north * np.cos(a)
        lists[k] = table[(rng.random(len(table)) > lost) | (name < 30)]
    return lists, gaia, pm, fast


@pytest.mark.parametrize(("speed", "lost"), [(50.0, 0.0), (120.0, 0.0), (50.0, 0.2)])
def test_a_fast_star_is_one_row(speed, lost):
    lists, gaia, pm, fast = fast_field(1, speed=speed, lost=lost)
    t = fit_epochs(lists, gaia, models="linear").table
    star = star_numbers(t)
    rows = np.flatnonzero(np.isin(star, fast))
    assert sorted(star[rows]) == sorted(set(star[rows]))  # none is in pieces
    assert rows.size >= (5 if lost == 0 else 4)
    flagged = (np.asarray(t["flags"]) & int(Flag.FAST)) > 0
    np.testing.assert_array_equal(np.flatnonzero(flagged), rows)
    np.testing.assert_allclose(np.c_[t["pmra"], t["pmdec"]][rows], pm[star[rows]], atol=1.0)
    assert t.meta["n_fast"] == rows.size
    assert np.all(t["n_epochs"][rows] > (5 if lost == 0 else 2))
    assert fit_epochs(lists, gaia, models="linear", fast_motion=0.0).table.meta["n_fast"] == 0


def test_no_fast_star_no_track():
    for seed in range(3):
        lists, gaia, *_ = fast_field(seed, n_fast=0, lost=0.5)
        assert fit_epochs(lists, gaia, models="linear").table.meta["n_fast"] == 0


def test_rows_with_more_entries_keep_them():
    rng = np.random.default_rng(2)
    epochs = np.arange(2010.0, 2018.0)
    n, size = 8, 5  # entries of a list; entry 0 is a fast star's, in pieces of one list each
    u, v = rng.uniform(0, 6e4, (2, size))
    uv = [(u.copy(), v.copy()) for _ in epochs]
    for k, t in enumerate(epochs):
        uv[k][0][0] += 60 * (t - 2010)
    index = np.full((n + size - 1, n), -1)
    index[np.arange(n), np.arange(n)] = 0
    index[n:] = np.arange(1, size)[:, None]
    err, mags = [np.full(size, 0.5)] * n, [np.arange(size) * 1.0] * n
    options = {"slow": 15.0, "fast": 200.0, "floor": 3.0, "max_mag_difference": 1.0}
    new, fast = join_fast(index, epochs, uv, err, mags, **options)
    assert fast.sum() == 1
    np.testing.assert_array_equal(new[fast][0], np.zeros(n))
    np.testing.assert_array_equal(new[~fast], index[n:])
    same, none = join_fast(index, epochs, uv, err, [np.arange(size) + 3.0 * k for k in range(n)], **options)
    assert not none.any()  # of other magnitudes
    np.testing.assert_array_equal(same, index)
