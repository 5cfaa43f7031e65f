"""What stays on the detector, or is seen by one exposure only, builds no ePSF."""

import numpy as np
import pytest
from astropy.table import Table

from jwst_hpastrom.columns import Flag
from jwst_hpastrom.epsf.build.fixed_sources import leave_out_fixed_sources, mark_fixed_sources
from jwst_hpastrom.epsf.stamps.frames import Frame
from jwst_hpastrom.geometry import TangentPlane

SIDE = 500
STARS, HOT, COSMIC = 360, 300, 20


def scene(pointings, seed=1, hot=HOT, cosmic=COSMIC):
    """Frames with stars, hot pixels and cosmic rays; what each source is: 0, 1, 2."""
    rng = np.random.default_rng(seed)
    u, v = rng.uniform(-50, SIDE + 50, (2, STARS))
    flux = 10 ** rng.uniform(1.5, 3, u.size)
    i, j = rng.integers(10, SIDE - 10, (2, hot))
    light = 10 ** rng.uniform(1.5, 3, hot)
    frames, planes, kinds = [], [], []
    for dx, dy in pointings:
        error = rng.normal(0, 3, 2)  # of the pointing
        x, y = u + dx + error[0], v + dy + error[1]
        on = (x > 6) & (y > 6) & (x < SIDE - 7) & (y < SIDE - 7)
        cx, cy = rng.integers(10, SIDE - 10, (2, cosmic))
        x, y = np.r_[x[on], i, cx] + rng.normal(0, 0.02, on.sum() + hot + cosmic), np.r_[y[on], j, cy]
        f = np.r_[flux[on], light, 10 ** rng.uniform(1.5, 3, cosmic)]
        f = f * rng.normal(1, 0.02, f.size)
        data = np.zeros((SIDE, SIDE), np.float32)
        np.add.at(data, (np.rint(y).astype(int), np.rint(x).astype(int)), f)
        bright = np.argsort(-f)
        frames.append(
            Frame(
                data, np.zeros(data.shape, bool), np.zeros(data.shape, bool), 1.0, 0.0, np.zeros((1, 1)),
                x, y, f, np.full(f.size, 2), bright, "made",
            )
        )  # fmt: skip
        planes.append(lambda x, y, dx=dx, dy=dy: (x - dx, y - dy))
        kinds.append(np.r_[np.zeros(on.sum(), int), np.ones(hot, int), np.full(cosmic, 2)])
    return frames, planes, kinds, np.c_[j, i]


@pytest.mark.parametrize("pointings", [[(0, 0), (46, 0), (46, 46), (0, 46)], [(0, 0), (30, 20)]])
def test_only_stars_are_left(pointings):
    frames, planes, kinds, hot = scene(pointings)
    before = [(f.x.copy(), f.flux.copy()) for f in frames]
    fixed, n = leave_out_fixed_sources(frames, planes)
    truth = {tuple(p) for p in hot}
    found = {tuple(p) for p in fixed}
    assert len(found - truth) <= 2
    assert len(found) > 0.9 * len(truth)
    assert n > 0
    for frame, (x, flux), kind in zip(frames, before, kinds, strict=True):
        kept = kind[np.isin(x, frame.x[frame.bright]) & np.isin(flux, frame.flux[frame.bright])]
        assert (kept == 0).sum() > 0.93 * (kind == 0).sum()
        # what nobody else could have seen, at the borders, is left as it is
        assert (kept > 0).sum() < 0.05 * kept.size
        assert np.all(np.diff(frame.flux[frame.bright]) <= 0)
        assert frame.bad[fixed[:, 0], fixed[:, 1]].all()


def test_without_dithers_nothing_is_judged():
    for pointings in ([(0, 0)], [(0, 0), (0.3, -0.4)]):
        frames, planes, _, _ = scene(pointings)
        before = [f.bright.copy() for f in frames]
        fixed, n = leave_out_fixed_sources(frames, planes)
        assert n == 0
        assert len(fixed) == 0
        for frame, bright in zip(frames, before, strict=True):
            np.testing.assert_array_equal(frame.bright, bright)


def test_a_wrong_pointing_costs_no_stars():
    frames, planes, kinds, _ = scene([(0, 0), (46, 0), (0, 46)], hot=0)
    planes[2] = lambda x, y: (x + 9000, y)
    leave_out_fixed_sources(frames, planes)
    assert all(f.bright.size > 0.85 * (k == 0).sum() for f, k in zip(frames, kinds, strict=True))


def test_many_cosmic_rays_are_no_wrong_pointing(caplog):
    frames, planes, kinds, _ = scene([(0, 0), (46, 0), (46, 46), (0, 46)], cosmic=1600)
    before = [f.x.copy() for f in frames]
    leave_out_fixed_sources(frames, planes)
    assert "bright sources are in no other exposure, and not built from" in caplog.text
    assert "do not have its stars" not in caplog.text
    for frame, x, kind in zip(frames, before, kinds, strict=True):
        kept = np.isin(x, frame.x[frame.bright])
        assert kept[kind == 0].mean() > 0.9
        assert kept[kind == 2].mean() < 0.1


def test_an_exposure_of_another_field_is_used_as_it_is():
    """Bright stars at other places, among as many sources as make a few coincide."""
    frames, planes, kinds, _ = scene([(0, 0), (46, 0), (0, 46)], hot=0)
    others, _, other_kinds, _ = scene([(0, 46)], seed=2, hot=0)
    frames[2], kinds[2] = others[0], other_kinds[0]
    leave_out_fixed_sources(frames, planes)
    assert frames[2].bright.size > 0.9 * kinds[2].size


def star_lists(pointings, **how):
    """Star lists of the scene that lack a quarter of it, as of faint stars; the first is a subarray."""
    frames, planes, kinds, _ = scene(pointings, **how)
    rng, sky, out = np.random.default_rng(5), TangentPlane(80.0, -69.0, scale_mas=65.0), []
    for frame, plane, kind in zip(frames, planes, kinds, strict=True):
        ra, dec = sky.to_sky(*sky.from_pixels(*plane(frame.x, frame.y)))
        error = np.full(frame.x.size, 0.02)
        columns = {"x": frame.x, "y": frame.y, "x_err": error, "y_err": error, "ra": ra, "dec": dec}
        columns |= {"mag": -2.5 * np.log10(frame.flux), "mag_err": error, "flags": 0 * kind, "kind": kind}
        out.append(Table(columns)[rng.uniform(size=kind.size) < 0.75])
    out[0]["x"] -= 3
    out[0].meta["xstart"] = 4
    return out


@pytest.mark.parametrize("pointings", [[(0, 0), (46, 0), (46, 46), (0, 46)], [(0, 0), (30, 20)]])
def test_entries_that_stay_on_the_detector_are_flagged(pointings):
    tables = star_lists(pointings)
    marked = mark_fixed_sources(tables)
    for table, n in zip(tables, marked, strict=True):
        flagged = np.asarray(table["flags"]) == int(Flag.COSMIC_RAY)
        assert flagged.sum() == n
        assert flagged[table["kind"] != 1].sum() <= 1  # one in 10,000
        again = 1 - 0.25 ** (len(tables) - 1)  # what another list has
        assert flagged[table["kind"] == 1].mean() > again - 0.1
    assert mark_fixed_sources(tables) == [0] * len(tables)


def test_no_star_is_flagged_without_dithers_or_by_a_wrong_pointing():
    assert mark_fixed_sources(star_lists([(0, 0), (0.3, -0.4)])) == [0, 0]
    assert mark_fixed_sources(star_lists([(0, 0)])) == [0]
    tables = star_lists([(0, 0), (46, 0), (0, 46)], hot=0)
    tables[2]["dec"] += 0.05
    assert sum(mark_fixed_sources(tables)) <= 1
