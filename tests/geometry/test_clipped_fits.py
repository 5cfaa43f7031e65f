"""Pairs of which many are wrong alike."""

import numpy as np
import pytest

from jwst_hpastrom.geometry import fit_linear, fit_polynomial

NOISE = 0.01


def pairs(seed, n):
    """Places of pairs, and noise of either axis."""
    rng = np.random.default_rng(seed)
    return *rng.uniform(0, 2048, (2, n)), rng.normal(0, NOISE, (2, n))


def offsets(fit, shift, share, n=400, seeds=20):
    """Errors of a fit's middle in units of the noise's share, and how many wrong pairs each kept."""
    d, wrong = [], []
    for seed in range(seeds):
        x, y, noise = pairs([seed, n], n)
        bad = np.arange(n) < share * n
        found = fit(x, y, x + noise[0] + shift * NOISE * bad, y + noise[1])
        d.append((found.transform.forward(1024.0, 1024.0)[0] - 1024.0) / (NOISE / np.sqrt(n * (1 - share))))
        wrong.append(found.keep[bad].sum())
    return np.array(d), np.array(wrong)


@pytest.mark.parametrize("shift", [12.0, 20.0, 100.0])
@pytest.mark.parametrize("fit", [fit_linear, lambda *pairs: fit_polynomial(*pairs, degree=2)])
def test_two_pairs_in_five_that_are_wrong_alike_are_left_out(fit, shift):
    d, wrong = offsets(fit, shift, 0.4)
    assert not wrong.any()
    assert np.sqrt(np.mean(d**2)) < 2.5  # errors at the middle, of six or twelve parameters


@pytest.mark.parametrize(("n", "share"), [(40, 0.2), (40, 0.3), (60, 0.3), (100, 0.35)])
def test_wrong_pairs_among_few_are_left_out_or_told(n, share):
    """They tilt the fit to all of them, so that none stands out of it; other starts find the majority."""
    for seed in range(30):
        x, y, noise = pairs([seed, n], n)
        bad = np.arange(n) < share * n
        fit = fit_linear(x, y, x + noise[0] + 20 * NOISE * bad, y + noise[1])
        assert not fit.keep[bad].any(), seed
        assert fit.keep[~bad].mean() > 0.8
        assert not fit.divided or bad.mean() > 0.25


@pytest.mark.parametrize(("n", "share"), [(20, 0.2), (24, 0.3), (28, 0.4)])
def test_two_dozen_pairs_are_right_or_told(n, share):
    """A handful of wrong ones tilts the fit as far; where they are as many as the good ones, that is said."""
    z, divided, good = [], 0, 0
    for seed in range(40):
        rng = np.random.default_rng([seed, n])
        x, y, noise = pairs(rng, n)
        good += fit_linear(x, y, x + noise[0], y + noise[1]).divided
        noise[0] += 20 * NOISE * (rng.uniform(size=n) < share)
        fit = fit_linear(x, y, x + noise[0], y + noise[1])
        divided += fit.divided
        if not fit.divided:
            error = np.sqrt(fit.variance(np.array([1024.0]), np.array([1024.0]))[0, 0])
            z.append((fit.transform.forward(1024.0, 1024.0)[0] - 1024.0) / error)
    assert np.sqrt(np.mean(np.square(z))) < 1 + 3 / np.sqrt(2 * len(z))  # three of its own errors
    assert good < 0.25 * 40
    assert divided > good


@pytest.mark.parametrize("wrong", ["alike", "apart", "none"])
def test_of_fifteen_pairs_three_in_ten_may_be_wrong(wrong):
    """They widen the scatter that they are clipped by; a majority is far likelier than one wide kind."""
    z, kept = [], []
    for seed in range(60):
        rng = np.random.default_rng([seed, 15])
        x, y, noise = pairs(rng, 15)
        bad, angle = np.arange(15) < 4, rng.uniform(0, 2 * np.pi, 15) * (wrong == "apart")
        if wrong != "none":
            noise += 17 * NOISE * bad * np.stack([np.cos(angle), np.sin(angle)])
        fit = fit_linear(x, y, x + noise[0], y + noise[1], weights=np.full(15, NOISE**-2))
        kept.append([fit.keep[bad].mean(), fit.keep[~bad].mean()])
        error = np.sqrt(fit.variance(np.array([1024.0]), np.array([1024.0]))[:, 0])
        z.append((np.array(fit.transform.forward(1024.0, 1024.0)) - 1024.0) / error)
    kept = np.mean(kept, axis=0)
    assert kept[0] < 0.15 or wrong == "none"  # one fit in twenty keeps all; clipping alone 70 and 40 %
    assert kept[1] > 0.95
    # a fit of sixty has four wrong ones at an end, where a tilt makes a larger majority of them
    assert np.mean(np.abs(z) > 3) < 0.04  # clipping alone 0.17
    assert np.sqrt(np.mean(np.sort(np.square(z), axis=0)[:-1])) < 1.25


@pytest.mark.parametrize(
    ("n", "share", "shift"), [(400, 0.3, 6.0), (400, 0.4, 5.0), (100, 0.2, 6.0), (400, 0.4, 4.0)]
)
def test_pairs_that_are_wrong_by_few_errors_are_parted_from_the_others_or_told(n, share, shift):
    """Clipping at 4.2 errors keeps some of them, all on one side; a mixture parts them in the middle."""
    z, wrong, divided = [], [], 0
    for seed in range(12):
        x, y, noise = pairs([seed, n], n)
        bad = np.arange(n) < share * n
        fit = fit_linear(x, y, x + noise[0] + shift * NOISE * bad, y + noise[1])
        divided += fit.divided
        if not fit.divided:
            error = np.sqrt(fit.variance(np.array([1024.0]), np.array([1024.0]))[0, 0])
            z.append((fit.transform.forward(1024.0, 1024.0)[0] - 1024.0) / error)
            wrong.append(fit.keep[bad].mean())
    assert np.sqrt(np.mean(np.square(z))) < 1 + 3 / np.sqrt(2 * len(z))
    assert np.mean(wrong) < 0.04  # those beyond the middle between the kinds
    assert divided < 9 or shift < 5  # of overlapping ones some cannot be told to be two


@pytest.mark.parametrize("by", [3.0, 8.0])
def test_equal_halves_are_told_and_stay(by):
    for seed in range(8):
        x, y, noise = pairs(seed, 400)
        noise[0] += by * NOISE * np.repeat([-1.0, 1.0], 200)
        fit = fit_linear(x, y, x + noise[0], y + noise[1])
        assert fit.divided
        assert fit.keep.mean() > 0.95


@pytest.mark.parametrize("n", [20, 100, 20000])
def test_wide_and_skewed_residuals_are_one_kind(n):
    told = 0
    for seed in range(20 if n < 1000 else 2):
        rng = np.random.default_rng([seed, n])
        x, y = rng.uniform(0, 2048, (2, n))
        for e in (rng.standard_t(4, (2, n)), rng.normal(0, 1, (2, n)), rng.gamma(6.0, 1.0, (2, n))):
            told += fit_linear(x, y, x + NOISE * e[0], y + NOISE * e[1]).divided
    assert told <= (6 if n == 20 else 1)


@pytest.mark.parametrize("n_bad", [18, 20])
def test_two_kinds_of_pairs_nearly_as_many_are_told(n_bad):
    for seed in range(10):
        x, y, noise = pairs(seed, 40)
        good = fit_linear(x, y, x + noise[0], y + noise[1])
        noise[0, :n_bad] += 20 * NOISE
        assert fit_linear(x, y, x + noise[0], y + noise[1]).divided
        assert not good.divided


def test_halves_that_differ_have_no_majority():
    for seed in range(5):
        x, y, noise = pairs(seed, 400)
        side = np.repeat([-1.0, 1.0], 200)
        fit = fit_linear(x, y, x + noise[0] + 8 * NOISE * side, y + noise[1])
        assert fit.keep.mean() > 0.95
        error = np.sqrt(fit.variance(np.array([1024.0]), np.array([1024.0]))[0, 0])
        assert abs(fit.transform.forward(1024.0, 1024.0)[0] - 1024.0) < 4 * error


def test_good_pairs_stay_as_they_were():
    """Residuals of a normal distribution, and of a wide-tailed one, are no reason for another start."""
    rng = np.random.default_rng(4)
    for n in (20, 30, 100, 1000):
        for _ in range(20):
            x, y = rng.uniform(0, 2048, (2, n))
            wide = rng.standard_t(5, (2, n)) * NOISE
            fit = fit_linear(x, y, x + wide[0], y + wide[1])
            assert fit.keep.mean() > 0.8
