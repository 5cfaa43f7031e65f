"""The factor between two measurements of the same motions."""

import numpy as np
import pytest

from jwst_hpastrom.motion.analysis.common_scale import common_scale


def found(seed, n=1500, factor=1.0, theirs_stated=1.0, ours_stated=1.0, dispersion=0.15, grow=True):
    rng = np.random.default_rng(seed)
    mag, motion = rng.uniform(-8, -3, n), rng.normal(0, dispersion, n)
    error = 0.05 * (np.sqrt(1 + 10 ** (0.5 * (mag + 4))) if grow else np.ones(n))
    ours, theirs = (f * motion + rng.normal(0, error) for f in (factor, 1.0))
    return common_scale(ours, error * ours_stated, theirs, error * theirs_stated, mag)


@pytest.mark.parametrize("factor", [-1.0, 0.84, 1.0, 1.23, 3.0])
@pytest.mark.parametrize("stated", [(1, 1), (0.3, 1), (3, 1), (1, 0.3)])
def test_wrong_errors_do_not_change_the_factor(factor, stated):
    results = [found(s, factor=factor, theirs_stated=stated[0], ours_stated=stated[1]) for s in range(6)]
    pulls = [(r["factor"] - factor) / r["factor_error"] for r in results]
    # noise on top of the stated can only be positive, which draws the factor down by part of its error
    assert np.mean([r["factor"] for r in results]) == pytest.approx(factor, rel=0.06)
    assert np.max(np.abs(pulls)) < 4.5
    assert np.mean([r["factor_error"] for r in results]) < 0.05 * abs(factor) + 0.01
    theirs, error = (np.array([r[f"their_error_factor{c}"] for r in results]) for c in ("", "_error"))
    assert np.mean(theirs) == pytest.approx(1 / stated[0], rel=0.25)
    assert np.max(np.abs(theirs - 1 / stated[0]) / error) < 4.5


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("factor", [0.84, 1.0])
def test_errors_in_other_units_do_not_pass_for_a_factor(seed, factor):
    r = found(seed, factor=factor, theirs_stated=0.02)
    assert r["factor"] == pytest.approx(factor, abs=4 * r["factor_error"])
    assert r["factor"] == pytest.approx(factor, rel=0.12)
    assert r["their_error_factor"] == pytest.approx(50, rel=0.4)


@pytest.mark.parametrize("seed", range(4))
def test_noise_on_top_that_the_errors_hold_as_a_constant_does_not_pass_for_a_factor(seed):
    rng = np.random.default_rng(seed)
    n = 600
    mag, motion = rng.uniform(-8, -3, n), rng.normal(0, 0.15, n)
    theirs_error = 0.05 * np.sqrt(1 + 10 ** (0.5 * (mag + 4)))
    theirs, ours = motion + rng.normal(0, theirs_error), motion + rng.normal(0, 0.07, n)
    stated = np.where(mag > -3.5, 0.45, 0.1)  # few stars: too large, and of a wrong shape
    r = common_scale(ours, stated, theirs, theirs_error, mag)
    assert r["factor"] == pytest.approx(1, abs=3.5 * r["factor_error"])
    assert r["factor"] == pytest.approx(1, abs=0.15)


def test_equal_errors_have_a_factor_of_larger_error():
    assert found(1, grow=False)["factor_error"] > 1.3 * found(1)["factor_error"]


def test_nothing_in_common_or_too_few():
    assert found(1, dispersion=0.0) is None
    assert found(1, n=60) is None


def test_unknown_errors_are_free():
    rng = np.random.default_rng(3)
    motion, none = rng.normal(0, 1, 500), np.full(500, np.nan)
    assert common_scale(0.5 * motion, none, motion, none, motion * 0)["factor"] == pytest.approx(
        0.5, abs=1e-3
    )
