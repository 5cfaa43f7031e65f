"""Dispersions against known ones, and against the posterior on a grid."""

import numpy as np
import pytest

from jwst_hpastrom.errors import NotEnoughStarsError
from jwst_hpastrom.kinematics import fit_dispersion, fit_isotropic


def test_dispersion_and_its_error():
    rng = np.random.default_rng(1)
    values = []
    for _ in range(150):
        e = rng.uniform(0.02, 0.1, 400)
        d = fit_dispersion(1.9 + rng.normal(0, 0.144, 400) + rng.normal(0, 1, 400) * e, e)
        values.append((d.mean, d.mean_error, d.sigma, d.sigma_error, d.upper))
    mean, mean_error, sigma, sigma_error, upper = np.array(values).T
    assert abs(sigma.mean() - 0.144) < 0.002
    assert np.std((sigma - 0.144) / sigma_error) == pytest.approx(1, abs=0.15)
    assert np.std((mean - 1.9) / mean_error) == pytest.approx(1, abs=0.15)
    assert np.mean(upper > 0.144) == pytest.approx(0.95, abs=0.05)


def test_dispersion_equals_the_posterior_on_a_grid():
    rng = np.random.default_rng(2)
    e = rng.uniform(0.05, 0.2, 12)
    v = rng.normal(0.3, 0.1, 12) + rng.normal(0, 1, 12) * e
    d = fit_dispersion(v, e, confidence=0.9)
    m = np.linspace(-0.7, 1.3, 1001)[:, None]
    s = np.linspace(0, 1, 4001)
    var = [s**2 + x**2 for x in e]
    log_l = sum(-0.5 * ((x - m) ** 2 / w + np.log(w)) for x, w in zip(v, var, strict=True))
    p = np.exp(log_l - log_l.max()) * s / (s**2 + np.median(e**2))
    p /= p.sum()
    share = np.cumsum(p.sum(0))
    assert d.mean == pytest.approx(np.sum(p * m), abs=2e-3)
    assert d.mean_error == pytest.approx(np.sqrt(np.sum(p * (m - np.sum(p * m)) ** 2)), rel=0.02)
    assert d.sigma == pytest.approx(np.interp(0.5, share, s), rel=0.01)
    assert d.upper == pytest.approx(np.interp(0.9, share, s), rel=0.01)


@pytest.mark.parametrize("n", [5, 10, 30])
def test_few_stars(n):
    rng = np.random.default_rng(n)
    found = [fit_dispersion(rng.normal(0, 1, n), np.full(n, 0.02)) for _ in range(250)]
    mean, error, sigma, upper = np.array([(d.mean, d.mean_error, d.sigma, d.upper) for d in found]).T
    assert np.mean(sigma) == pytest.approx(1, abs=0.055)
    assert np.mean(upper > 1) == pytest.approx(0.95, abs=0.035)
    assert np.std(mean / error) == pytest.approx(1, abs=0.2)


def test_unresolved_dispersion_is_a_limit():
    rng = np.random.default_rng(3)
    zero = 0
    for _ in range(20):
        e = np.full(50, 0.1)
        d = fit_dispersion(rng.normal(0, 0.1, 50), e)
        zero += d.sigma == 0
        assert d.upper > 0.01
        assert np.isnan(d.sigma_error) == (d.sigma == 0)
    assert zero > 3


def test_isotropic_uses_both_axes():
    rng = np.random.default_rng(4)
    e = np.full((2, 3000), 0.03)
    v = rng.normal([[1.9], [0.3]], 0.1, (2, 3000)) + rng.normal(0, 0.03, (2, 3000))
    d = fit_isotropic(*v, *e)
    one = fit_dispersion(v[0], e[0])
    assert d.sigma == pytest.approx(0.1, abs=4 * d.sigma_error)
    assert d.sigma_error == pytest.approx(one.sigma_error / np.sqrt(2), rel=0.1)
    np.testing.assert_allclose(d.mean, [1.9, 0.3], atol=0.01)


def test_too_few_stars():
    with pytest.raises(NotEnoughStarsError, match="2 stars"):
        fit_dispersion([1.0, 2.0, np.nan], [0.1, 0.1, 0.1])


@pytest.mark.parametrize(("n", "by"), [(8, 50.0), (15, 50.0), (30, 10.0), (100, 50.0)])
def test_wrong_stars_do_not_hide_in_the_width_that_they_make(n, by):
    """A fifth wrong by 50 errors was within four widths of a fit to all: a dispersion of 20 for 1."""
    rng, found, pulls = np.random.default_rng([n, int(by)]), [], []
    for _ in range(20):
        v = rng.normal(0, np.sqrt(2), n)
        v[: n // 5] += by
        fit = fit_dispersion(v, np.ones(n))
        found.append(fit.sigma)
        pulls.append(fit.mean / fit.mean_error)
    assert np.median(found) < 1.5
    assert np.median(np.abs(pulls)) < 1.1
