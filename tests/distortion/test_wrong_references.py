"""Wrong reference stars: which, by the evidence, and how much that leaves unknown."""

import numpy as np
import pytest

from jwst_hpastrom.distortion import wrong_references
from jwst_hpastrom.distortion.shrunk import averaged, shrunk_fit
from jwst_hpastrom.distortion.wrong_references import RIGHT, likely_references
from jwst_hpastrom.geometry import polynomial_terms
from jwst_hpastrom.geometry.wrong_pairs import NEAREST
from jwst_hpastrom.numerics.choices import FACTORS, log_shares


def field(seed, n, wrong=0, by=(3.0, 12.0)):
    """Similarity and terms up to the fifth degree of ``n`` stars, 0.1 each; the first ones are off."""
    rng = np.random.default_rng([seed, n])
    p, q = rng.uniform(-1, 1, (2, n))
    one, none = np.ones(n), np.zeros(n)
    free = np.stack([np.stack([one, none, p, -q], 1), np.stack([none, one, q, p], 1)])
    each = [p**i * q**j / (i + j) ** 2 for i, j in polynomial_terms(5, 2)]
    terms = np.stack([np.stack(c) for t in each for c in ((t, none), (none, t))], -1)
    true = free @ rng.normal(0, 1, 4) + terms @ rng.normal(0, 1.0, terms.shape[2])
    data = true + rng.normal(0, 0.1, true.shape)
    angle = rng.uniform(0, 2 * np.pi, wrong)
    data[:, :wrong] += rng.uniform(*by, wrong) * np.stack([np.cos(angle), np.sin(angle)])
    return (free, terms, data, np.full(n, 0.01), 1.0), true


def subset(problem, k):
    free, terms, data, variance, size = problem
    return free[:, k], terms[:, k], data[:, k], variance[k], size


def test_probabilities_are_those_of_fits_without_the_stars(monkeypatch):
    """What leaving stars out changes is exact; wrong ones' densities are those of their distances."""
    monkeypatch.setattr(wrong_references, "COARSE_STRUCTURES", 1)
    monkeypatch.setattr(wrong_references, "COARSE_SIZES", 1)
    problem, _ = field(1, 14)
    problem[2][:, :2] += 1e3  # so far off that distances do not hang on the fits
    fits = wrong_references._Fits(*problem, 1.0)
    value = fits.with_one_more((0,))[1]
    k = np.arange(14) > 1
    alone = shrunk_fit(*subset(problem, k))
    off = problem[2][:, :2] - np.concatenate(problem[:2], axis=2)[:, :2] @ alone.coefficients
    square = np.maximum(np.sum(off**2, axis=0), NEAREST**2 * 0.01)
    expected = alone.evidence - np.log(FACTORS * square).sum() + log_shares(12, 2, right=RIGHT)
    assert value == pytest.approx(expected, abs=0.02)


@pytest.mark.parametrize(("n", "wrong"), [(12, 2), (30, 4)])
def test_fits_are_near_those_of_the_good_ones(n, wrong):
    """One by one, by their residuals about the others, two of a dozen hide each other."""
    found, alone, everything = [], [], []
    for seed in range(8):
        problem, true = field(seed, n, wrong)
        choices = likely_references(*problem)
        assert sum(c.probability for c in choices) == pytest.approx(1.0)
        fits = [shrunk_fit(*subset(problem, c.good)) for c in choices]
        columns = np.concatenate(problem[:2], axis=2)
        good = np.arange(n) >= wrong
        for out, c in (
            (found, averaged(fits, [c.probability for c in choices])[0]),
            (alone, shrunk_fit(*subset(problem, good)).coefficients),
            (everything, shrunk_fit(*problem).coefficients),
        ):
            out.append(np.mean((columns @ c - true)[:, good] ** 2))
    found, alone, everything = (np.sqrt(np.mean(v)) for v in (found, alone, everything))
    assert found < 1.5 * alone
    assert everything > 2 * alone


def test_good_ones_stay():
    used = [likely_references(*field(seed, 12)[0])[0].good.sum() for seed in range(100, 112)]
    assert np.mean(used) > 11.7


def test_few_stars_are_all_kept():
    """Of five nothing tells: there would be no residuals of three."""
    problem, _ = field(2, 5, 1)
    choices = likely_references(*problem)
    assert len(choices) == 1
    assert choices[0].good.all()
