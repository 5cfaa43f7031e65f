"""Motions averaged over systematics: kernels against numpy, and pulls where time and group coincide."""

import numpy as np
import pytest

from jwst_hpastrom.motion.star_fits.field_systematics._marginal_kernels import (
    AxisData,
    Grid,
    grid_likelihoods,
    grid_means,
)
from jwst_hpastrom.motion.star_fits.field_systematics.grid import field_prior
from jwst_hpastrom.motion.star_fits.models import MODEL_SETS, fit_motions
from tests.motion.kinematic_models.conftest import twin_likelihood
from tests.motion.star_fits.test_models import EPOCHS, GROUP

SPLIT = (EPOCHS > 2017).astype(int)  # position angle and time coincide


def covariance(model, t, theta, group):
    """Systematic covariance by its definition."""
    a, tau = np.exp(theta)
    if model == "sqexp":
        return a**2 * np.exp(-((t[:, None] - t) ** 2) / (4 * tau**2))
    same = group[:, None] == group if model == "group" else np.eye(t.size) if model == "additive" else 0.0
    return a**2 * same * np.ones((t.size, t.size))


def field(kind, n=400, seed=0, group=SPLIT, sigma=0.3, amplitude=2.0, tau=2.0):
    """Stars of one error with systematics of some errors."""
    rng = np.random.default_rng(seed)
    v, error = rng.normal(0, 3, (n, 2)), np.full((n, EPOCHS.size), sigma)
    x = np.stack([v[:, [k]] * (EPOCHS - 2017) + rng.normal(0, sigma, error.shape) for k in (0, 1)])
    if kind == "group":
        x += rng.normal(0, amplitude * sigma, (2, n, 2))[:, :, group]
    if kind == "sqexp":
        k = np.exp(-((EPOCHS[:, None] - EPOCHS) ** 2) / (4 * tau**2)) + 1e-9 * np.eye(EPOCHS.size)
        x += amplitude * sigma * rng.normal(size=x.shape) @ np.linalg.cholesky(k).T
    return v, *x, error


@pytest.mark.parametrize(("kind", "group"), [("group", SPLIT), ("sqexp", GROUP), ("none", GROUP)])
def test_pulls_with_systematics(kind, group):
    pulls, chosen = [], []
    for seed in range(4):
        v, x, y, error = field(kind, seed=seed, group=group)
        fits = fit_motions(EPOCHS, x, y, error, error, models="auto", group=group)
        pulls.append(((fits.motion - v) / fits.motion_error).ravel())
        if seed == 0:  # the best hyper-parameters alone
            fits = fit_motions(EPOCHS, x, y, error, error, models=MODEL_SETS["auto"], group=group)
            chosen = ((fits.motion - v) / fits.motion_error).ravel()
    pulls = np.concatenate(pulls)
    assert 0.9 < np.sqrt(np.mean(pulls**2)) < 1.12
    assert np.mean(np.abs(pulls) > 3) < 0.01
    assert kind == "none" or np.sqrt(np.mean(chosen**2)) > 1.4


@pytest.mark.parametrize(("amplitude", "share"), [(2.0, 0.0), (4.0, 0.0), (2.0, 0.05), (0.0, 0.1)])
def test_drifts_are_no_outliers_and_wrong_measurements_are(amplitude, share):
    """Drifts make single epochs look wrong; without these the field's drifts and the errors are too small."""
    pulls, kept, wrong = [], [], []
    for seed in range(3):
        v, x, y, error = field("sqexp", seed=seed, group=GROUP, amplitude=amplitude)
        rng = np.random.default_rng(seed)
        bad = rng.uniform(size=x.shape) < share
        x, y = (c + bad * rng.choice((-1, 1), x.shape) * 40 * error for c in (x, y))
        fits = fit_motions(EPOCHS, x, y, error, error, models="auto", group=GROUP)
        pulls.append(((fits.motion - v) / fits.motion_error).ravel())
        kept.append(fits.used[~bad].mean())
        wrong.append(fits.used[bad])
        assert np.isfinite(fits.loo_mean[:, 0][fits.used]).all()
        assert not np.isfinite(fits.loo_mean[:, 0][~fits.used]).any()
    assert 0.88 < np.sqrt(np.mean(np.square(pulls))) < 1.12
    assert np.mean(np.abs(pulls) > 3) < 0.01
    assert np.mean(kept) > 0.995
    assert not share or np.mean(np.concatenate(wrong)) < 0.03  # a third of a star's epochs are wrong there


def test_stars_of_similar_brightness_teach_the_prior():
    v, x, y, error = field("none", n=400)
    _, xf, yf, _ = field("group", n=400, seed=1, amplitude=4.0)
    vf = field("group", n=400, seed=1, amplitude=4.0)[0]
    x, y, v, e = np.r_[x, xf], np.r_[y, yf], np.r_[v, vf], np.r_[error, error]
    mag = np.r_[np.full(400, 15.0), np.full(400, 19.0)] + np.random.default_rng(2).uniform(0, 1, 800)
    bins = fit_motions(EPOCHS, x, y, e, e, models="auto", group=SPLIT, brightness=mag)
    one = fit_motions(EPOCHS, x, y, e, e, models="auto", group=SPLIT)
    bright, faint = np.arange(800) < 400, np.arange(800) >= 400
    # the bright stars have no systematic, and lose nothing by the faint ones'
    assert np.median(bins.motion_error[bright]) < 0.85 * np.median(one.motion_error[bright])
    for rows in (bright, faint):
        pull = ((bins.motion - v) / bins.motion_error)[rows]
        assert 0.85 < np.sqrt(np.mean(pull**2)) < 1.12


def test_kernels_equal_the_obvious_way():
    rng = np.random.default_rng(4)
    n, t0 = EPOCHS.size, np.array([2017.0])
    y, error, use = rng.normal(size=(1, n)), np.full((1, n), 0.3), np.ones((1, n), bool)
    use[0, 3] = False
    root = rng.normal(0, 0.1, (n, n))
    extra = (root @ root.T)[None]
    names, log_scale, amplitudes = (
        ("sqexp", "additive", "group"),
        np.log(1.7),
        np.array([0.2, 0.4, 0.5, 0.7, 1.0]),
    )
    shapes = np.array([covariance(name, EPOCHS, (0.0, log_scale), GROUP) for name in names])
    points = [("poly", 1.0)] + [(name, a) for name in names for a in amplitudes]
    likelihood, weight = np.empty((1, 16)), rng.dirichlet(np.ones(16), 1)
    problem = (
        AxisData(EPOCHS, y, error, extra, use, t0, 1),
        Grid(shapes, amplitudes[None] ** 2, np.zeros(1, int)),
    )
    grid_likelihoods(*problem, likelihood)
    beta, cov = np.empty((1, 2)), np.empty((1, 2, 2))
    grid_means(*problem, weight, beta, cov)
    i = np.flatnonzero(use[0])
    h, mean, second = np.stack([np.ones(i.size), EPOCHS[i] - 2017]), np.zeros(2), np.zeros((2, 2))
    for q, (name, amplitude) in enumerate(points):
        k = covariance(name, EPOCHS[i], (np.log(amplitude), log_scale), GROUP[i])
        k = k + extra[0][np.ix_(i, i)] + 0.09 * np.eye(i.size)
        assert likelihood[0, q] == pytest.approx(twin_likelihood(k, h, y[0, i])[0], abs=1e-9)
        one = np.linalg.inv(h @ np.linalg.inv(k) @ h.T)
        b = one @ h @ np.linalg.inv(k) @ y[0, i]
        mean, second = mean + weight[0, q] * b, second + weight[0, q] * (one + np.outer(b, b))
    np.testing.assert_allclose(beta[0], mean, rtol=1e-8)
    np.testing.assert_allclose(cov[0], second - np.outer(mean, mean), rtol=1e-7, atol=1e-10)


def test_prior_of_a_field():
    rng = np.random.default_rng(5)
    kind = rng.random(2000) < 0.3
    z = rng.normal(0, np.where(kind, 5.0, 1.0))
    log_likelihood = np.stack([-0.5 * (z / s) ** 2 - np.log(s) for s in (1.0, 5.0)], 1)
    share = field_prior(log_likelihood, np.array([0.5, 0.5]))
    assert share[1] == pytest.approx(0.3, abs=0.04)
    assert share.sum() == pytest.approx(1.0)


def test_one_star_and_stars_of_few_epochs():
    _, x, y, error = field("none", n=3)
    x[1, 3:] = np.nan  # a straight line
    fits = fit_motions(EPOCHS, x, y, error, error, models="auto", group=SPLIT)
    line = fit_motions(EPOCHS, x, y, error, error, models="linear")
    np.testing.assert_array_equal(fits.motion[1], line.motion[1])
    assert np.isfinite(fits.motion_error).all()
    one = fit_motions(EPOCHS, x[:1], y[:1], error[:1], error[:1], models="auto", group=SPLIT)
    assert np.all(one.motion_error >= 0.95 * line.motion_error[:1])
