"""Means over dithers: what they keep of pixel-phase errors."""

import numpy as np

from jwst_hpastrom.epsf.build.positions.phase_errors import hidden_phase_error


def measurements(steps, n_stars=800, noise=0.01, seed=3):
    """Positions of dithered stars, their phase error, and offsets from each star's mean."""
    rng = np.random.default_rng(seed)
    true = rng.uniform(0, 2000, n_stars)[:, None] + steps
    error = 0.02 * np.sin(2 * np.pi * true + 0.4) + 0.006 * np.cos(4 * np.pi * true)
    measured = true + error + rng.normal(0, noise, true.shape)
    offset = (measured - steps) - (measured - steps).mean(1)[:, None]
    star = np.repeat(np.arange(n_stars), len(steps))
    return true.ravel(), error, offset.ravel(), star


def test_errors_that_dithers_hide_are_found():
    """Phases 0, 0.1, 0.2 and 0.35 hide three quarters of an error; little of it is left."""
    steps = np.array([0, 11.1, -7.8, 5.35])
    x, error, offset, star = measurements(steps)
    hidden = hidden_phase_error(x, offset, np.ones(x.size), star, 800).reshape(-1, 4)
    kept = error.mean(1)
    assert kept.std() > 0.008
    assert np.std(hidden[:, 0] - kept) < 0.15 * kept.std()
    assert np.ptp(hidden, axis=1).max() == 0.0  # of a star's mean, not of its measurements


def test_what_no_dither_tells_is_left_alone():
    x, error, offset, star = measurements(np.array([0, 11.0, -8.0, 5.0]))
    hidden = hidden_phase_error(x, offset, np.ones(x.size), star, 800)
    assert np.abs(hidden).max() < 0.002 < error.std()
    # few or no measurements: nothing, not NaN
    assert not hidden_phase_error(x[:20], offset[:20], np.ones(20), star[:20], 800).any()
    assert not hidden_phase_error(x, np.full(x.size, np.nan), np.ones(x.size), star, 800).any()
