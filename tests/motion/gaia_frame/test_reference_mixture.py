"""Reference stars as a mixture: against least squares that know the bad ones."""

import numpy as np
import pytest
from astropy.table import Table

from jwst_hpastrom.motion.gaia_frame.reference_mixture import BAD_FACTORS, quality_log_odds, solve_mixture
from jwst_hpastrom.motion.gaia_frame.reference_terms import ReferenceTerms, reference_table, weighted_terms

N, GAIA, OWN = 40, 0.1, 0.03


def frame(seed, bad):
    """Terms of stars in a frame that is off by a plane in position and in motion, and which are bad."""
    rng = np.random.default_rng(seed)
    x, y = rng.uniform(-1, 1, (2, N))
    plane = np.stack([np.ones(N), x, y], -1)
    response = np.zeros((2, N, 2, 6))
    response[:, :, 0, :3], response[:, :, 1, 3:] = plane, plane
    truth = rng.normal(0, 1, (2, 6))
    wrong = np.arange(N) < bad * N
    noise = rng.normal(size=(2, N, 2)) * np.hypot(GAIA * np.where(wrong, 25.0, 1.0), OWN)[:, None]
    difference = noise - np.einsum("anim,am->ani", response, truth)
    one = np.broadcast_to(np.eye(2), (2, N, 2, 2))
    return ReferenceTerms(difference, response, OWN**2 * one, GAIA**2 * one), truth, wrong


def least_squares(terms, good):
    normal, right, _ = weighted_terms(terms, good[:, None] * 1.0, (1.0,))
    covariance = np.linalg.inv(normal)
    return np.einsum("amk,ak->am", covariance, right), covariance


BASE = 1e-8 * np.broadcast_to(np.eye(6), (2, 6, 6)), np.zeros((2, 6))


@pytest.mark.parametrize("bad", [0.0, 0.2, 0.4])
def test_bad_stars_do_not_turn_the_frame(bad):
    pulls, known, sizes = [], [], []
    for seed in range(6):
        terms, truth, wrong = frame(seed, bad)
        out = solve_mixture(*BASE, terms, np.zeros(N), rng=np.random.default_rng(seed))
        best, covariance = least_squares(terms, ~wrong)
        sigma, least = (np.sqrt(np.diagonal(c, axis1=1, axis2=2)) for c in (out.covariance, covariance))
        pulls.append((out.change - truth) / sigma)
        known.append(np.abs(out.change - best) / least)
        sizes.append(sigma / least)
        assert np.mean(out.membership[wrong] < 0.05) > 0.9 if bad else True
        assert np.mean(out.membership[~wrong] > 0.8) > 0.9
    assert np.sqrt(np.mean(np.square(pulls))) < 1.25
    assert np.sqrt(np.mean(np.square(known))) < 0.35  # of the error that cannot be avoided
    assert 0.95 < np.median(sizes) < 1.15


def test_without_bad_stars_it_is_least_squares_exactly():
    terms, _, _ = frame(1, 0.0)
    out = solve_mixture(*BASE, terms, np.full(N, -50.0))
    best, covariance = least_squares(terms, np.ones(N, bool))
    np.testing.assert_allclose(out.change, best, atol=1e-6)
    np.testing.assert_allclose(out.covariance, covariance, rtol=1e-6, atol=1e-9)


def test_directions_that_the_field_determines_are_kept():
    """The field knows the motions' plane well, and the reference stars then only the positions'."""
    terms, _, _ = frame(2, 0.0)
    base = np.diag([1e-8] * 3 + [1e8] * 3)
    known = np.array([0.0, 0.0, 0.0, 0.3, -0.2, 0.1])
    out = solve_mixture(np.stack([base, base]), np.stack([base @ known] * 2), terms, np.full(N, -50.0))
    np.testing.assert_allclose(out.change[:, 3:], np.stack([known[3:]] * 2), atol=1e-3)
    np.testing.assert_allclose(out.covariance[:, 3:, 3:], np.stack([np.eye(3) * 1e-8] * 2), atol=1e-10)


def test_differences_in_the_table_are_those_without_the_star():
    terms, _, _ = frame(3, 0.0)
    change, covariance = least_squares(terms, np.ones(N, bool))
    states = np.zeros((N, 6))
    states[:, 0] = 1.0
    reference = type("Reference", (), {"row": np.arange(N)})
    table = reference_table(reference, np.arange(N), terms, change, covariance, states, (1.0, *BAD_FACTORS))
    for k in (0, 17):
        other, spread = least_squares(terms, np.arange(N) != k)
        d = terms.difference[0, k] + terms.response[0, k] @ other[0]
        np.testing.assert_allclose([table["d_xi"][k], table["d_pm_xi"][k]], d, rtol=1e-6)
        s = np.diag(terms.response[0, k] @ spread[0] @ terms.response[0, k].T) + OWN**2 + GAIA**2
        assert table["significance"][k] >= np.max(np.abs(d) / np.sqrt(s)) - 1e-9


def test_quality_figures_are_evidence():
    gaia = Table({"ruwe": [0.95, 1.02, 1.3, 1.5, 2.2, np.nan]})
    odds = quality_log_odds(gaia)
    assert odds[0] == pytest.approx(odds[1], abs=0.05)
    assert odds[1] < 0
    assert np.all(np.diff(odds[1:4]) > 0)
    assert odds[4] > 3
    assert odds[5] == 0
    gaia["astrometric_excess_noise_sig"] = [0.0, 0.5, 1.0, 5.0, 50.0, 3.0]
    more = quality_log_odds(gaia) - odds
    assert more[0] < 0 < more[3]
    assert more[4] > 2
    assert more[5] > 0
    assert np.all(quality_log_odds(Table({"ra": [1.0, 2.0]})) == 0)
    assert np.all(quality_log_odds(gaia, max_ruwe=np.inf, max_excess_noise_sig=np.inf) == 0)
