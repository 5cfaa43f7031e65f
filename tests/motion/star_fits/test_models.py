"""Fits of many epochs and the choice of models, against the truths of simulated stars."""

import numpy as np
import pytest

from jwst_hpastrom.errors import ParameterError
from jwst_hpastrom.motion.star_fits.loo_check import expected_chi2_loo
from jwst_hpastrom.motion.star_fits.models import MODEL_CODES, elpd_margin, fit_motions

EPOCHS = np.array(
    [2010.49, 2011.69, 2012.61, 2014.1, 2018.11, 2019.16, 2019.67, 2019.7, 2020.22, 2022.14, 2023.62]
)
GROUP = np.array([0, 0, 0, 1, 1, 1, 0, 0, 1, 1, 0])


def simulated(n=300, offset=0.0, seed=0, sigma=0.3):
    rng = np.random.default_rng(seed)
    v = rng.normal(0, 3, (n, 2))
    dt = EPOCHS - 2016.0
    error = np.full((n, EPOCHS.size), sigma)
    x = v[:, :1] * dt + rng.normal(size=error.shape) * error
    y = v[:, 1:] * dt + rng.normal(size=error.shape) * error + offset * GROUP
    return v, x, y, error


def test_straight_line_equals_weighted_least_squares():
    _, x, y, error = simulated(20)
    error = error * np.random.default_rng(1).uniform(0.5, 2, error.shape)
    fits = fit_motions(EPOCHS, x, y, error, error, models="linear", outlier_sigma=0)
    for s in range(20):
        w = error[s] ** -2
        t0 = np.sum(w * EPOCHS) / w.sum()
        assert fits.t0[s] == pytest.approx(t0)
        c, v = np.polyfit(EPOCHS - t0, x[s], 1, w=1 / error[s], cov="unscaled")
        np.testing.assert_allclose(fits.coefficients[s, [1, 0]], c, rtol=1e-9, atol=1e-9)
        np.testing.assert_allclose(fits.motion_error[s, 0], np.sqrt(v[0, 0]), rtol=1e-9)


def test_group_offset_is_found_and_its_errors_are_honest():
    v, x, y, error = simulated(offset=1.0)
    linear = fit_motions(EPOCHS, x, y, error, error, models="linear")
    auto = fit_motions(EPOCHS, x, y, error, error, models="auto", group=GROUP)
    assert np.mean(auto.model == MODEL_CODES["group"]) > 0.9
    pull = (auto.motion - v) / auto.motion_error
    np.testing.assert_allclose(pull.std(0), 1.0, atol=0.12)
    assert auto.used.mean() > 0.999
    assert np.median(np.abs(auto.motion - v)[:, 1]) < 0.6 * np.median(np.abs(linear.motion - v)[:, 1])


def test_outliers_go_worst_first():
    _, x, y, error = simulated(100)
    x[:, 4] += 15 * error[:, 4]
    fits = fit_motions(EPOCHS, x, y, error, error, models="linear")
    assert not fits.used[:, 4].any()
    assert fits.used[:, np.arange(EPOCHS.size) != 4].mean() > 0.995


def test_leave_one_out_equals_refits():
    _, x, y, error = simulated(1)
    fits = fit_motions(EPOCHS, x, y, error, error, models="linear", outlier_sigma=0)
    for k in range(EPOCHS.size):
        keep = np.arange(EPOCHS.size) != k
        c, cov = np.polyfit(EPOCHS[keep] - 2016, x[0, keep], 1, w=1 / error[0, keep], cov="unscaled")
        h = np.array([EPOCHS[k] - 2016, 1.0])
        assert fits.loo_mean[0, 0, k] == pytest.approx(h @ c, abs=1e-9)
        assert fits.loo_error[0, 0, k] == pytest.approx(np.sqrt(h @ cov @ h + error[0, k] ** 2), rel=1e-9)


def test_few_epochs_get_a_line_and_bad_values_are_left_out():
    _, x, y, error = simulated(4)
    x[0, 2:] = np.nan
    x[1, 3:] = np.nan
    error[2, 0], error[2, 1] = 0.0, np.nan
    x[3, 1:] = np.nan
    fits = fit_motions(EPOCHS, x, y, error, error, models="auto", group=GROUP)
    assert list(fits.used.sum(1)) == [2, 3, EPOCHS.size - 2, 0] or fits.used[3].sum() <= 1
    assert fits.model[0] == fits.model[1] == 0
    assert fits.model[3] == -1
    assert np.isnan(fits.elpd[0, 0])
    assert np.isfinite(fits.elpd[1, 0])
    assert np.isfinite(fits.motion_error[:3]).all()


def test_parallax_and_acceleration_are_linear_terms():
    rng = np.random.default_rng(5)
    _, x, y, error = simulated(200, sigma=0.1)
    factors = rng.normal(size=(2, EPOCHS.size))
    plx = rng.uniform(0, 2, 200)
    fits = fit_motions(
        EPOCHS, x + plx[:, None] * factors[0], y + plx[:, None] * factors[1], error, error,
        models="h25", factors=factors, outlier_sigma=0,
    )  # fmt: skip
    z = (fits.coefficients[:, -1] - plx) / np.sqrt(fits.covariance[:, -1, -1])
    assert z.std() == pytest.approx(1.0, abs=0.2)
    dt = EPOCHS - 2016.0
    bent = fit_motions(
        EPOCHS, x + 0.05 * dt**2, y, error, error, models="linear", acceleration=True, outlier_sigma=0
    )
    z = (bent.coefficients[:, 2] - 0.1) / np.sqrt(bent.covariance[:, 2, 2])
    assert abs(z.mean()) < 0.3
    assert z.std() == pytest.approx(1.0, abs=0.15)


def test_results_do_not_depend_on_the_chunks():
    _, x, y, error = simulated(7, offset=0.5)
    one = fit_motions(EPOCHS, x, y, error, error, models="auto", group=GROUP)
    two = fit_motions(EPOCHS, x, y, error, error, models="auto", group=GROUP, chunk=3)
    for name in ("model", "coefficients", "covariance", "elpd"):
        np.testing.assert_array_equal(getattr(one, name), getattr(two, name))


def test_margin_and_wrong_names():
    assert elpd_margin(0.997) == pytest.approx(5.806, abs=1e-3)
    with pytest.raises(ParameterError):
        elpd_margin(1.0)
    with pytest.raises(ParameterError):
        fit_motions(
            EPOCHS, np.zeros((1, 11)), np.zeros((1, 11)), np.ones((1, 11)), np.ones((1, 11)), models="spline"
        )


def test_expected_chi2_has_mean_one_and_matches_the_observed():
    _, x, y, error = simulated(200, offset=0.8)
    fits = fit_motions(EPOCHS, x, y, error, error, models="auto", group=GROUP)
    draws = expected_chi2_loo(EPOCHS, error, error, fits, group=GROUP, n_draws=100)
    assert np.nanmean(draws) == pytest.approx(1.0, abs=0.02)
    assert np.median(fits.chi2_loo) == pytest.approx(np.nanmedian(draws), rel=0.15)
    literal = expected_chi2_loo(EPOCHS, error, error, fits, group=GROUP, recipe="h25", n_draws=100)
    assert np.nanmean(literal) < 1.0  # predictions are less certain than the measurements alone
    with pytest.raises(ParameterError):
        expected_chi2_loo(EPOCHS, error, error, fits, recipe="other")
