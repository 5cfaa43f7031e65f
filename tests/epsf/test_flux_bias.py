"""Fluxes of faint stars whose positions are fitted, too."""

import numpy as np
import pytest

from jwst_hpastrom.epsf import fit_stars
from jwst_hpastrom.epsf.flux_bias import without_position_gain
from tests.epsf.conftest import make_field, make_library


@pytest.mark.parametrize("sky", ["annulus", "fit"])
def test_free_positions_do_not_brighten_faint_stars(sky):
    """1/(S/N)² would be 1.5 %, six of the mean's errors."""
    library, found, snr = make_library(0.8), [], []
    for seed in range(40):
        rng = np.random.default_rng(seed)
        y, x = (g.ravel() + rng.uniform(-0.5, 0.5, 36) for g in np.mgrid[14:113:6j, 14:113:6j])
        field = make_field(x, y, np.full(36, 1.6), one_sigma=0.8, rng=rng)
        t = fit_stars(field.image, library, x, y, sky=sky)
        found.append(t["flux"] / 1.6 - 1)
        snr.append(t["snr"])
    found, error = np.ravel(found), np.std(found) / np.sqrt(np.size(found))
    gain = np.median(np.ravel(snr)) ** -2
    assert 0.01 < gain < 0.03
    assert abs(found.mean()) < 3 * error < gain


def test_bright_and_unknown_ones_stay():
    np.testing.assert_allclose(without_position_gain([5.0, 1e4], [1e3, np.inf]), [5.0, 1e4], rtol=2e-6)
    np.testing.assert_array_equal(without_position_gain([5.0, -1.0], [np.nan, 0.0]), [5.0, -1.0])


def test_the_gain_is_one_over_the_square():
    np.testing.assert_allclose(without_position_gain([101.0, 104.0, 200.0], [10.0, 5.0, 1.0]), 100.0)
