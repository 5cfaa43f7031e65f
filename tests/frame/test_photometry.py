"""Mean magnitudes: without bias at low S/N, with errors that hold for few exposures."""

import numpy as np
import pytest

from jwst_hpastrom.frame.errors import combine_errors
from jwst_hpastrom.frame.photometry import PER_MAG, mean_magnitudes


def measured(snr, n_exposures, n=20_000, seed=1, depth=1.0):
    """Magnitudes of stars of one S/N and of brighter ones, with errors from their own noisy fluxes."""
    rng = np.random.default_rng(seed)
    true = np.where(np.arange(n) % 4 < 2, 1.0, 10 ** rng.uniform(0, 1.5, n)) * 100.0
    slope = 0.5 * (100.0 / snr) ** 2 / 100.0  # half the variance at that S/N is the star's own
    depth = np.broadcast_to(depth, n_exposures)
    star = np.tile(np.arange(n), n_exposures)
    exposure = np.repeat(np.arange(n_exposures), n)
    var = (slope * 100.0 + slope * true[star]) * depth[exposure]
    flux = true[star] + rng.normal(0, np.sqrt(var))
    good = flux > 0
    own = (slope * 100.0 + slope * np.maximum(flux, 0)) * depth[exposure]
    mag = -2.5 * np.log10(np.where(good, flux, np.nan))
    mag_var = own * (PER_MAG / np.where(good, flux, np.nan)) ** 2
    out = mean_magnitudes(np.where(good, star, -1), mag, mag_var, n, exposure=exposure)
    return out, -2.5 * np.log10(true), true == 100.0


@pytest.mark.parametrize(("snr", "n"), [(10, 2), (10, 4), (10, 12), (20, 4), (7, 9)])
def test_no_bias_at_low_snr(snr, n):
    out, true, faint = measured(snr, n)
    # the logarithm of an unbiased mean flux is biased by half its relative variance
    expected = 0.5 * PER_MAG / snr**2 / n
    error = PER_MAG / snr / np.sqrt(n * faint.sum())
    bias = np.mean(out.mean[faint] - true[faint])
    assert abs(bias - expected) < 4 * error + 0.0015
    assert abs(np.median(out.mean[faint] - true[faint])) < 4 * error + 0.002


@pytest.mark.parametrize("n", [2, 3, 6])
def test_errors_of_few_exposures(n):
    out, true, faint = measured(30, n)
    scatter = np.where(out.n_used > 1, out.rms / np.sqrt(out.n_used), np.nan)
    error = combine_errors(scatter, out.formal, out.n_used, out.mean)
    pull = ((out.mean - true) / error)[faint]
    assert np.all(error > 0)
    assert 0.9 < np.sqrt(np.mean(pull**2)) < 1.15
    assert np.mean(np.abs(pull) > 3) < 0.01


def test_a_deep_exposure_has_its_weight():
    out, true, faint = measured(10, 4, depth=np.array([0.01, 1.0, 1.0, 1.0]))
    ideal = PER_MAG / 10 / np.sqrt(1 / 0.01 + 3)
    assert np.std((out.mean - true)[faint]) < 1.1 * ideal


@pytest.mark.parametrize(("deep", "said"), [(0.0003, True), (0.005, False)])
def test_flat_fields_that_no_scatter_tells_are_said(deep, said, caplog):
    rng, n = np.random.default_rng(5), 500
    star, error = np.tile(np.arange(n), 4), np.repeat([deep, 0.005, 0.005, 0.005], n)
    mag = -5 + rng.normal(0, error)
    mean_magnitudes(star, mag, error**2, n, exposure=np.repeat(np.arange(4), n))
    assert ("exposures do not tell" in caplog.text) == said


def test_errors_beside_stars_that_one_exposure_measures_badly():
    rng, n = np.random.default_rng(2), 3000
    true, star, exposure = rng.uniform(-8, -4, n), np.tile(np.arange(n), 2), np.repeat([0, 1], n)
    bright = true < -7  # saturated in the second: magnitudes from what is left
    error = (
        0.005 * np.sqrt(1 + 10 ** (0.4 * (true[star] + 5))) * np.where(bright[star] & (exposure == 1), 5, 1)
    )
    out = mean_magnitudes(star, true[star] + rng.normal(0, error), error**2, n, exposure=exposure)
    pulls = (out.mean - true) / out.formal
    assert 0.9 < np.std(pulls[~bright]) < 1.05
    assert 0.9 < np.std(pulls[bright]) < 1.05


@pytest.mark.parametrize(("flat", "low", "high"), [(0.0, 0.6, 1.0), (0.001, 0.9, 1.3), (0.003, 0.9, 1.15)])
def test_a_flat_field_in_a_deep_exposure(flat, low, high):
    """Its 1 mmag was taken for granted: 3 mmag had pulls of 2.5, none 0.5."""
    pulls = []
    for seed in range(6):
        rng, n = np.random.default_rng([seed, 3]), 600
        true, star, exposure = rng.uniform(-8, -4, n), np.tile(np.arange(n), 4), np.repeat(np.arange(4), n)
        error = 0.005 * np.sqrt((1 + 10 ** (0.4 * (true[star] + 5))) / np.where(exposure == 0, 100.0, 1.0))
        mag = true[star] + rng.normal(0, np.hypot(error, flat))
        out = mean_magnitudes(star, mag, error**2, n, exposure=exposure)
        pulls.append((out.mean - true) / out.formal)
    assert low < np.sqrt(np.mean(np.square(pulls))) < high
