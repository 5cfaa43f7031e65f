"""Extended sources: one head each."""

import numpy as np
import pytest

from jwst_hpastrom.measure.extended import clumps, misfit


def test_misfit_is_free_of_noise():
    rng = np.random.default_rng(1)
    noise = rng.normal(0, 1, (500, 450))
    chi2, qfit = (noise**2).mean(1), np.abs(noise).sum(1) / 1000
    assert misfit(qfit, chi2, np.full(500, 450)).max() == 0
    wrong = noise + 3.0 * rng.choice([-1, 1], noise.shape)
    got = misfit(np.abs(wrong).sum(1) / 1000, (wrong**2).mean(1), np.full(500, 450))
    assert np.mean(got) == pytest.approx(3 * 450 / 1000, rel=0.06)


def test_a_clump_has_one_head_and_stars_stay():
    x = np.array([10.0, 12.0, 13.5, 11.0, 12.0, 30.0, 60.0, 62.0])
    y = np.array([10.0, 10.0, 11.0, 12.0, 8.5, 10.0, 10.0, 10.0])
    flux = np.array([50.0, 80.0, 30.0, 5.0, 200.0, 40.0, 20.0, 9.0])
    #        the clump's          | faint | star before it | alone | another
    misfits = np.array([1.0, 0.9, 1.2, 0.0, 0.1, 1.1, 0.8, 0.0])
    unsure = np.array([True, True, True, True, False, True, True, False])
    assert clumps(x, y, flux, misfits, unsure).tolist() == [1, 1, 1, 1, 4, 5, 6, 7]
    assert clumps(x, y, flux, 0 * misfits, unsure).tolist() == list(range(8))
