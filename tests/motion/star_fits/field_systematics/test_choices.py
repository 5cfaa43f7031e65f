"""Which of a star's few measurements count: all choices are weighed, and the field's shares with them."""

from itertools import combinations

import numpy as np
import pytest

from jwst_hpastrom.motion.many_epoch.few_epochs.bad_epochs import average_over_bad_epochs
from jwst_hpastrom.motion.star_fits.field_systematics import choices
from jwst_hpastrom.motion.star_fits.field_systematics.choices import _all_choices, _from_lines, _normalized
from jwst_hpastrom.motion.star_fits.models import fit_motions

TIMES = np.array([2010.0, 2012.1, 2014.9, 2017.2, 2020.6, 2023.5])
GROUP = np.arange(6) % 2


def field(seed, share, wrong, offset=0.0, n=500):
    """Stars at rest: position, error and which measurements are wrong, by a normal distribution."""
    rng = np.random.default_rng(seed)
    position, bad = rng.normal(0, 1, (2, n, 6)), rng.random((n, 6)) < share
    position += bad * rng.normal(0, wrong, (2, n, 6)) + rng.normal(0, offset, (2, n, 1)) * GROUP
    return position, np.ones(position.shape), bad


@pytest.mark.parametrize("offset", [0.0, 2.0])
@pytest.mark.parametrize("wrong", [12.0, 50.0])
def test_pulls_where_a_tenth_is_wrong(wrong, offset):
    pulls, ambiguous, good = [], [], []
    for seed in range(2):
        position, error, bad = field(seed, 0.1, wrong, offset)
        fits = fit_motions(TIMES, *position, *error, models="auto", group=GROUP)
        found, told = average_over_bad_epochs(fits, TIMES, position, error)
        pulls.append((found.motion / found.motion_error)[~told.ambiguous])
        ambiguous.append(told.ambiguous)
        good.append(found.used[~bad])
    pulls = np.concatenate(pulls)
    assert np.mean(abs(pulls) > 3) < 0.01
    usual = np.sort(abs(pulls), axis=None)[: -pulls.size // 500]  # three bad of six
    assert 0.85 < np.sqrt(np.mean(usual**2)) < 1.1
    assert np.mean(np.concatenate(good)) > 0.99
    assert np.mean(np.concatenate(ambiguous)) < 0.03


def test_two_wrong_ones_of_six_are_found_or_doubted():
    """Rejecting the worst first takes good ones, and keeps one that is wrong."""
    rng = np.random.default_rng(3)
    position, error, _ = field(3, 0.05, 12.0)
    bad = np.zeros((500, 6), bool)
    for s, pair in enumerate([*combinations(range(6), 2)] * 10):
        bad[s, pair] = True
    position[:, bad] = rng.normal(0, 1, (2, bad.sum())) + 12.0 * rng.choice((-1, 1), (2, bad.sum()))
    fits = fit_motions(TIMES, *position, *error, models="auto", group=GROUP)
    _, told = average_over_bad_epochs(fits, TIMES, position, error)
    two, off = bad.any(1), abs(fits.motion / fits.motion_error).max(1)
    assert np.mean((off > 5) & two & ~told.ambiguous) < 0.01
    assert np.isfinite(fits.doubt[two]).all()


def test_good_fields_have_no_doubts():
    position, error, _ = field(4, 0.0, 0.0)
    fits = fit_motions(TIMES, *position, *error, models="auto", group=GROUP)
    assert np.isnan(fits.doubt).all() == fits.used.all()
    assert np.std(fits.motion / fits.motion_error) == pytest.approx(1, abs=0.1)


@pytest.mark.parametrize("wrong", [8.0, 50.0])
def test_a_fifth_of_five_epochs_wrong_is_in_the_errors(wrong):
    """Two wrong ones in line with a good one, or three of five, are as likely as the true choice."""
    rng, times, group = np.random.default_rng([11, int(wrong)]), np.delete(TIMES, 3), np.arange(5) % 2
    position, bad = rng.normal(0, 1, (2, 400, 5)), rng.random((400, 5)) < 0.2
    position += bad * wrong * rng.choice((-1, 1), position.shape)
    error = np.ones(position.shape)
    fits = fit_motions(times, *position, *error, models="auto", group=group)
    found, told = average_over_bad_epochs(fits, times, position, error)
    pulls = (found.motion / found.motion_error)[~told.ambiguous]
    assert np.mean(abs(pulls) > 3) < 0.012  # 0.03 to 0.04 where as many as were rejected are wrong
    assert np.mean(told.ambiguous) < 0.12


def test_choices_of_a_star(monkeypatch):
    use, used = np.ones((2, 6), bool), np.ones((2, 6), bool)
    use[:, 1] = used[:, 1] = False
    used[0, 3] = False
    given = np.array([0, 1]), use, used, np.array([True, False]), 1
    star, masks, _ = _all_choices(*given)
    assert np.bincount(star).tolist() == [1 + 5 + 10 + 10] * 2  # three of five make a line and no more
    monkeypatch.setattr(choices, "ANY_NUMBER", 4)
    star, masks, wrong = _all_choices(*given)
    first = {tuple(m) for m in masks[star == 0]}
    assert len(first) == 1 + 5 + 10
    assert masks[star == 1].tolist() == use[:1].tolist()
    assert not masks[:, 1].any()
    np.testing.assert_array_equal(wrong, 5 - masks.sum(1))
    np.testing.assert_allclose(_normalized(np.log([1.0, 3.0, 5.0]), np.array([0, 0, 1])), [0.25, 0.75, 1.0])


def test_residuals_from_lines():
    position, error, _ = field(5, 0.0, 0.0, n=1)
    used = np.array([[True, True, True, False, True, True]])
    residual, left = _from_lines(TIMES, position, error, used)
    keep = used[0]
    for axis in (0, 1):
        line = np.polyfit(TIMES[keep] - 2016, position[axis, 0, keep], 1)
        np.testing.assert_allclose(residual[axis, 0], position[axis, 0] - np.polyval(line, TIMES - 2016))
    h = np.stack([np.ones(5), TIMES[keep] - 2016])
    np.testing.assert_allclose(left[0, 0, keep], 1 - np.diag(h.T @ np.linalg.inv(h @ h.T) @ h))
