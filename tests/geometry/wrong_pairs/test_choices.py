"""Wrong pairs among some dozen: which choices of them are likely, and errors that hold them."""

import numpy as np
import pytest

from jwst_hpastrom.geometry import fit_linear
from jwst_hpastrom.geometry.wrong_pairs import likely_choices

NOISE = 0.01


def fits(n, share, by, seeds, alike=True, parameters=6):
    """Errors of the middle over stated ones, of fits that are not divided, and these fits with wrong ones."""
    z, found = [], []
    for seed in range(seeds):
        rng = np.random.default_rng([seed, n, 7])
        x, y = rng.uniform(0, 2048, (2, n))
        noise, off = rng.normal(0, NOISE, (2, n)), np.ones(n, bool)
        while 2 * off.sum() >= n:
            off = rng.uniform(size=n) < share
        angle = rng.uniform(0, 2 * np.pi, n) * (not alike)
        noise += by * NOISE * off * np.stack([np.cos(angle), np.sin(angle)])
        fit = fit_linear(x, y, x + noise[0], y + noise[1], parameters=parameters)
        if not fit.divided:
            middle = np.array([1024.0])
            error = np.sqrt(fit.variance(middle, middle)[:, 0])
            z.append((np.array(fit.transform.forward(1024.0, 1024.0)) - 1024.0) / error)
            found.append((fit, off))
    return np.array(z), found


@pytest.mark.parametrize(
    ("n", "share", "by"), [(8, 0.15, 20.0), (15, 0.27, 6.0), (20, 0.2, 6.0), (40, 0.2, 6.0), (100, 0.4, 6.0)]
)
def test_errors_hold_what_the_pairs_do_not_tell(n, share, by):
    """Clipping, and a search for a narrow group, left 1.3 to 2.3, and 8 pairs with all that are wrong."""
    z, found = fits(n, share, by, 60)
    assert np.sqrt(np.mean(z[:, 0] ** 2)) < 1 + 3 / np.sqrt(2 * len(z))  # three of its own errors
    assert np.mean(np.abs(z) > 3) < 0.03
    assert np.mean([fit.keep[off].mean() for fit, off in found if off.any()]) < 0.3


@pytest.mark.parametrize("parameters", [4, 6])
@pytest.mark.parametrize("n", [9, 15, 40])
def test_good_pairs_are_all_used_as_least_squares_does(n, parameters):
    z, found = fits(n, 0.0, 0.0, 60, parameters=parameters)
    assert np.sqrt(np.mean(z**2)) < 1.25
    used = np.array([fit.n_used for fit, _ in found])
    assert np.mean(used == n) > 0.85
    assert np.mean(used) > 0.985 * n


def test_a_fit_to_good_pairs_is_that_of_least_squares():
    rng = np.random.default_rng(8)
    x, y = rng.uniform(0, 2048, (2, 40))
    noise = rng.normal(0, NOISE, (2, 40))
    fit, alone = (fit_linear(x, y, x + noise[0], y + noise[1], sigma=sigma) for sigma in (3.0, None))
    assert fit.keep.all()
    assert np.array_equal(fit.transform.matrix, alone.transform.matrix)
    np.testing.assert_allclose(np.diag(fit.covariance), np.diag(alone.covariance), rtol=0.05)


def test_a_handful_that_agrees_by_chance_is_no_majority():
    """Four of seven good pairs, of as many parameters, are within a twentieth of their noise now and then."""
    used = []
    for seed in range(300):
        rng = np.random.default_rng(seed)
        x, y = rng.uniform(0, 200, (2, 7))
        noise = rng.normal(0, NOISE, (2, 7))
        used.append(fit_linear(x, y, x + noise[0], y + noise[1], parameters=4).n_used)
    assert min(used) >= 5
    assert np.mean(used) > 6.9


def test_choices_are_probabilities_and_do_not_depend_on_the_order():
    rng, n = np.random.default_rng(2), 16
    x, data, design = rng.uniform(size=n), rng.normal(0, 1, (2, n)), np.zeros((2, n, 2))
    design[0, :, 0] = design[1, :, 1] = 1.0
    data[0, :5] += 4.0  # may be wrong
    choices = likely_choices(design, data, x, np.ones(n, bool), 1, 1e-9)
    assert len(choices) > 1
    assert sum(c.probability for c in choices) == pytest.approx(1.0)
    assert np.all(np.diff([c.probability for c in choices]) <= 0)
    turn = rng.permutation(n)
    again = likely_choices(design[:, turn], data[:, turn], x[turn], np.ones(n, bool), 1, 1e-9)
    assert [c.probability for c in again] == pytest.approx([c.probability for c in choices])
    assert np.array_equal(again[0].good, choices[0].good[turn])


def test_pairs_without_noise():
    x, y = np.random.default_rng(3).uniform(0, 2048, (2, 20))
    u, v = 1.01 * x + 3, 1.01 * y
    u[:4] += 1e-3
    fit = fit_linear(x, y, u, v)
    assert np.array_equal(fit.keep, np.arange(20) >= 4)
    assert fit.rms < 1e-9
