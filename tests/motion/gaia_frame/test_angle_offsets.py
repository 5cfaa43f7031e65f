"""Offsets that epochs of a position angle share, by magnitude and star by star."""

import numpy as np
import pytest

from jwst_hpastrom.columns import Flag
from jwst_hpastrom.motion import fit_epochs
from jwst_hpastrom.motion.gaia_frame.angle_offsets import learn_offsets, magnitude_basis
from tests.motion.jwst_epochs import simulate

TIMES = (2014.0, 2017.1, 2019.8, 2023.0)


def curve(mag):
    return 1.5 * np.clip((mag - 14.0) / 6.0, 0, 1)


def field(group, own=0.0, n=800, seed=1):
    """Positions, errors, magnitudes and the true offsets of stars on lines, 2 % of measurements wrong."""
    rng = np.random.default_rng(seed)
    t, mag = np.linspace(2014, 2023, len(group)), rng.uniform(13, 20, n)
    sigma = 0.1 * 10 ** (0.1 * (mag - 14))
    error = np.repeat(sigma[None, :, None], 2, 0) * np.ones(len(group))
    sign = np.where(np.asarray(group) == 0, 1.0, -1.0)
    offset = np.stack([curve(mag)[:, None] * sign, 0 * curve(mag)[:, None] * sign])
    own = own * rng.normal(size=(2, n, 2))[..., np.asarray(group)]
    y = rng.normal(0, 1e3, (2, n, 1)) + rng.normal(0, 3, (2, n, 1)) * (t - 2018) + offset + own
    wrong = rng.random(error.shape) < 0.02
    y += error * rng.normal(size=y.shape) * np.where(wrong, 30, 1)
    return t, y, error, mag, offset


@pytest.mark.parametrize("group", [(0, 1, 1, 0), (0, 0, 1, 0), (0, 0, 1), (0, 1, 0, 1, 0, 1)])
def test_curves_over_magnitude(group):
    t, y, error, mag, offset = field(group)
    found = learn_offsets(t, y, error, np.isfinite(y[0]), np.array(group), mag)
    # what all stars of a group share, and what is linear in time, is no offset
    design = np.stack([np.ones(t.size), t - t.mean()], -1)
    off = found.shift - (offset - offset.mean(1, keepdims=True))
    off = off - off @ design @ np.linalg.inv(design.T @ design) @ design.T
    assert np.sqrt(np.mean(off**2)) < 0.06
    assert np.median(found.spread / error[:, :, 0]) < 0.4


def test_offsets_of_their_own():
    t, y, error, mag, _ = field((0, 1, 1, 0, 1), own=0.5)
    found = learn_offsets(t, y, error, np.isfinite(y[0]), np.array([0, 1, 1, 0, 1]), mag)
    assert np.median(found.spread) == pytest.approx(0.5, rel=0.15)
    own = found.own(np.arange(mag.size) < 10)
    assert own[[3]].shape == (1, 2, 5, 5)
    assert own[3, 0][0, 3] == pytest.approx(found.spread[0, 3] ** 2)
    assert own[3, 0][0, 1] == 0
    assert not own[10:].any()


def test_nothing_to_learn_from():
    t, y, error, mag, _ = field((0, 1, 1, 0))
    usable = np.isfinite(y[0])
    assert learn_offsets(t, y, error, usable, np.zeros(4, int), mag) is None
    assert learn_offsets(t, y, error, usable, np.arange(4), mag) is None
    assert learn_offsets(t, y, error, usable & (np.arange(4) > 1), np.array([0, 1, 1, 0]), mag) is None
    unknown = learn_offsets(t, y, error, usable, np.array([0, 1, 1, 0]))
    assert np.all(unknown.shift == 0)
    assert np.median(unknown.spread[0]) > 0.3  # the offsets are then the stars' own
    np.testing.assert_array_equal(magnitude_basis(np.array([1.0, np.nan, 3.0]), 2)[1], [0.5, 0.5])


@pytest.mark.parametrize("angles", [(10, 190, 190, 10), (10, 10, 190, 10)])
def test_four_epochs_at_two_angles(angles):
    lists, gaia, truth = simulate(3, n=600, when=tuple(zip(TIMES, angles, strict=True)))
    for table in lists:  # faint stars are shifted on the detector, elsewhere on the sky at each angle
        shift = 0.02 * np.clip((np.asarray(table["mag"]) + 6) / 5, 0, 1)
        table["x"], table["y"] = table["x"] + shift, table["y"] - 0.5 * shift
    out = fit_epochs(lists, gaia)
    rows = np.array([int(name[1:]) for name in out.table["source_name"]])
    full = np.asarray(out.table["n_found"]) == 4
    pulls = []
    for c in ("pmra", "pmdec"):
        d = np.asarray(out.table[c]) - np.asarray(truth[c])[rows]
        pulls.append(((d - np.nanmedian(d[full])) / np.asarray(out.table[f"{c}_error"]))[full])
    assert 1.4826 * np.nanmedian(np.abs(pulls)) == pytest.approx(1.0, abs=0.15)
    assert np.mean((np.asarray(out.table["flags"])[full] & int(Flag.AMBIGUOUS)) > 0) < 0.05
    measured = out.residuals()
    assert np.ptp(measured["shift_xi"]) > 0.5
