"""Zero points of exposures: of different depth, and with stars that are wrong."""

from types import SimpleNamespace

import numpy as np
import pytest

from jwst_hpastrom.frame.zero_points import zero_points


@pytest.mark.parametrize("depth", [1.0, 10.0, 100.0, 1000.0])
def test_zero_points_of_exposures_of_different_depth(depth):
    pulls = []
    for seed in range(8):
        rng, n = np.random.default_rng(seed), 500
        true, zero = rng.uniform(-8, -4, n), rng.normal(0, 0.5, 4)
        star = np.concatenate([np.flatnonzero(rng.random(n) < 0.9) for _ in range(4)])
        exposure = np.cumsum(np.r_[0, np.diff(star) < 0])
        error = 0.005 * np.sqrt((1 + 10 ** (0.4 * (true[star] + 5))) / np.where(exposure == 0, depth, 1.0))
        m = SimpleNamespace(
            n_exposures=4, exposure=exposure, reference=np.ones(star.size, bool), mag_var=error**2,
            mag=true[star] + zero[exposure] + rng.normal(0, error),
        )  # fmt: skip
        found, covariance = zero_points(m, star, n, seed % 4)
        left = np.delete(found + zero - zero[seed % 4], seed % 4)
        assert np.abs(left).max() < 0.003
        pulls.append(left / np.sqrt(np.delete(np.diag(covariance), seed % 4)))
    assert 0.6 < np.sqrt(np.mean(np.square(pulls))) < 1.4


def test_one_of_two_exposures_is_a_thousand_times_as_deep():
    rng, n = np.random.default_rng(1), 500
    true, exposure, star = rng.uniform(-8, -4, n), np.repeat([0, 1], n), np.tile(np.arange(n), 2)
    error = 0.005 * np.sqrt((1 + 10 ** (0.4 * (true[star] + 5))) / np.where(exposure == 0, 1000.0, 1.0))
    mag = true[star] + 0.3 * exposure + rng.normal(0, error)
    m = SimpleNamespace(
        n_exposures=2, exposure=exposure, reference=np.ones(2 * n, bool), mag_var=error**2, mag=mag
    )
    zero, covariance = zero_points(m, star, n, 0)
    assert zero[1] == pytest.approx(-0.3, abs=4 * np.sqrt(covariance[1, 1]))
    assert np.sqrt(covariance[1, 1]) < 0.001  # not the flux calibration's


def some_wrong(rng, n, exposures, number, by=0.06):
    """Magnitudes with errors of 0.01, of which ``number`` of one exposure's are off; and the zero points."""
    star, exposure = np.tile(np.arange(n), exposures), np.repeat(np.arange(exposures), n)
    true = np.r_[0.0, rng.normal(0, 0.3, exposures - 1)]
    mag = rng.uniform(-8, -5, n)[star] - true[exposure] + rng.normal(0, 0.01, star.size)
    mag[n + rng.choice(n, number, replace=False)] += by
    m = SimpleNamespace(
        n_exposures=exposures, reference=np.ones(star.size, bool), mag_var=np.full(star.size, 1e-4),
        mag=mag, exposure=exposure,
    )  # fmt: skip
    return m, star, true


@pytest.mark.parametrize(
    ("n", "exposures", "share"),
    [(400, 4, 0.2), (400, 4, 0.0), (30, 4, 0.2), (30, 2, 0.2), (30, 2, 0.0), (10, 2, 0.0), (10, 2, 0.2),
     (5, 2, 0.0), (15, 2, 0.2), (15, 4, 0.2), (400, 2, 0.2)],
)  # fmt: skip
def test_zero_points_of_an_exposure_in_which_some_stars_are_off_alike(n, exposures, share):
    """A fifth by 6 errors, of which a star's mean takes its part; clipping made pulls of 1.5 to 8."""
    pulls = []
    for seed in range(20):
        rng = np.random.default_rng([seed, n, 9])
        m, star, true = some_wrong(rng, n, exposures, int(share * n))
        zero, covariance = zero_points(m, star, n, 0)
        pulls.append(((zero - true) / np.sqrt(np.maximum(np.diag(covariance), 1e-300)))[1:])
    assert np.sqrt(np.mean(np.square(pulls))) < 1 + 2.5 / np.sqrt(2 * 20)


def test_what_stars_do_not_tell_is_told(caplog):
    names = ["a_cal.fits", "b_cal.fits"]
    for seed in range(6):
        m, star, _ = some_wrong(np.random.default_rng(seed), 10, 2, 3)
        zero_points(m, star, 10, 0, names=names)
    assert "b_cal.fits: the stars in common with other exposures do not tell" in caplog.text
    caplog.clear()
    m, star, _ = some_wrong(np.random.default_rng(1), 30, 2, 0)
    zero_points(m, star, 30, 0, names=names)
    assert not caplog.text
    m, star, _ = some_wrong(np.random.default_rng(1), 4, 2, 0)
    zero_points(m, star, 4, 0, names=names)
    assert "fewer than 5 stars" in caplog.text
    assert "zero points of b_cal.fits" in caplog.text
