"""Few epochs: chance that they are not on a line, and groups that coincide with time."""

import numpy as np
import pytest

from jwst_hpastrom.motion.many_epoch.few_epochs import group_share_of_time, hangs_on_one, inconsistent_few
from jwst_hpastrom.motion.many_epoch.few_epochs.bad_epochs import average_over_bad_epochs
from jwst_hpastrom.motion.star_fits.models import fit_motions


@pytest.mark.parametrize("n_epochs", [3, 4])
def test_epochs_that_are_not_on_a_line(n_epochs):
    rng = np.random.default_rng(n_epochs)
    t, n = np.linspace(2012, 2022, n_epochs), 3000
    position, error = rng.normal(0, 1, (2, n, n_epochs)), np.ones((2, n, n_epochs))
    wrong = rng.random(n) < 0.3
    position[:, wrong, 0] += 12.0 * rng.choice([-1, 1], (2, wrong.sum()))
    fits = fit_motions(t, *position, *error, models="linear")
    flagged = inconsistent_few(fits, t, position, error)
    assert flagged[wrong].mean() > 0.9
    assert flagged[~wrong].mean() < 0.005


@pytest.mark.parametrize(
    "times",
    [(2010, 2016.75, 2023.5), (2010, 2020.6, 2023.5), (2010, 2015, 2019, 2023), (2010, 2021, 2022, 2023)],
)
def test_stars_whose_wrong_epoch_would_not_show_are_told(times):
    rng, n, t = np.random.default_rng(2), 1500, np.array(times)
    position, error = rng.normal(0, 1, (2, n, t.size)), np.ones((2, n, t.size))
    wrong = rng.random(n) < 0.1
    position[:, wrong, 0] = rng.normal(0, 6, (2, wrong.sum()))
    fits = fit_motions(t, *position, *error, models="linear")
    found, told = average_over_bad_epochs(fits, t, position, error)
    pulls = (found.motion / found.motion_error)[~told.ambiguous]
    alone = hangs_on_one(fits.used, t, error)
    assert alone.all() == alone.any() == (np.mean(np.abs(pulls) > 3) > 0.03)


def test_a_motion_hangs_on_an_epoch_that_weighs():
    times, used = np.array([2010.0, 2021.0, 2022.0, 2023.5, 2024.0]), np.ones((4, 5), bool)
    error = np.ones((2, 4, 5))
    error[:, 1, 0] = 5.0  # which says little
    used[2, 0], error[:, 2, 0] = False, np.nan
    used[3, 2:] = False  # of two epochs nothing shows: another flag's
    np.testing.assert_array_equal(hangs_on_one(used, times, error), [True, False, False, False])


def test_groups_that_coincide_with_time():
    t = np.arange(2010.0, 2020.0)
    assert group_share_of_time(t, t > 2014.5) == pytest.approx(0.76, abs=0.01)
    assert group_share_of_time(np.r_[t[:3], t[-3:]], [0, 0, 0, 1, 1, 1]) > 0.9
    assert group_share_of_time(t, np.arange(10) % 2) < 0.1
    assert np.isnan(group_share_of_time(t, np.zeros(10)))
