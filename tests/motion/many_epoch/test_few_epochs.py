"""Few epochs: chance that they are not on a line, and groups that coincide with time."""

import numpy as np
import pytest

from jwst_hpastrom.motion.many_epoch.few_epochs import group_share_of_time, inconsistent_few
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


def test_groups_that_coincide_with_time():
    t = np.arange(2010.0, 2020.0)
    assert group_share_of_time(t, t > 2014.5) == pytest.approx(0.76, abs=0.01)
    assert group_share_of_time(np.r_[t[:3], t[-3:]], [0, 0, 0, 1, 1, 1]) > 0.9
    assert group_share_of_time(t, np.arange(10) % 2) < 0.1
    assert np.isnan(group_share_of_time(t, np.zeros(10)))
