"""What lists show by themselves: double images."""

import numpy as np
import pytest
from astropy.table import Table

from jwst_hpastrom.frame.diagnostics.lists import double_shares


def stars(n=600, side=400, seed=2):
    return np.random.default_rng(seed).uniform(0, side, (n, 2))


@pytest.mark.parametrize(("part", "low", "high"), [(1.0, 0.4, 0.5), (0.5, 0.2, 0.34), (0.0, 0.0, 0.02)])
def test_second_images(part, low, high):
    place = stars()
    double = np.vstack([place, np.add(place[: int(part * len(place))], (2.0, -3.4))])
    double += np.random.default_rng(3).normal(0, 0.03, double.shape)
    (share,) = double_shares([Table({"x": double[:, 0], "y": double[:, 1]})])
    assert low <= share <= high


def test_grids_and_few_stars_are_no_double_images():
    y, x = (g.ravel() * 9.0 for g in np.mgrid[:20, :20])
    few = Table({"x": x[:9], "y": y[:9]})
    found = double_shares([Table({"x": x, "y": y}), few, Table({"x": 50 * x, "y": 50 * y})])
    assert found[0] == 0
    assert np.isnan(found[1])
    assert found[2] == 0  # none within reach
