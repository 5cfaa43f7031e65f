"""Rows and columns that repeat over the whole detector, and what the polynomial is off by."""

import numpy as np
import pytest

from jwst_hpastrom.distortion.pixelmap.random_field import SCALES, WAVY, Grid, RandomField
from jwst_hpastrom.distortion.pixelmap.solving import WeighedPairs, solve_field
from jwst_hpastrom.distortion.pixelmap.waves import GROWTH, Passage, Trend, Waves

ERROR = 0.01
AT = 4 * np.arange(64) + 1.5  # centers of the bins


def solved(signal, turns=3, n=1500):
    """Strengths found in turns from noisy residuals of a signal (2, n)."""
    grid, rng = Grid((256, 256), 4, 2), np.random.default_rng(9)
    x, y = rng.uniform(0, 255, (2, n))
    evaluate, w = grid.bilinear(x, y), np.full(n, ERROR**-2.0)
    r = signal(x, y) + rng.normal(0, ERROR, (2, n))
    prior = RandomField.stationary(grid, np.full((2, 4), 4e-5) / (1 + 2 * WAVY))
    for _ in range(turns):
        found, _ = solve_field(prior, WeighedPairs(evaluate, w, grid.size), r)
        drawn = prior.parts(prior.noise(rng))
        at = np.stack([evaluate @ v.ravel() for v in prior.total(drawn)])
        again, _ = solve_field(prior, WeighedPairs(evaluate, w, grid.size), at + rng.normal(0, ERROR, (2, n)))
        prior = prior.improved(found, again, drawn)
    return prior, solve_field(prior, WeighedPairs(evaluate, w, grid.size), r)[0]


def test_a_wave_along_the_bands_is_told_from_what_has_no_direction():
    """Each band has a phase of its own; the correction of y is the same in all columns."""

    def signal(x, y):
        band = np.where(y < 127.5, 0.0, 2.0)
        return 0.02 * np.stack([np.sin(2 * np.pi * x / 70 + band), np.sin(2 * np.pi * y / 64)])

    prior, found = solved(signal)
    strength = np.sqrt([p.sum(1) for p in prior.waves.power])  # along, across; corrections of x, y
    assert strength[0, 0] > 0.009
    assert strength[1, 1] > 0.009
    assert max(strength[0, 1], strength[1, 0]) < 0.005
    assert prior.typical().max() < 0.5 * strength[0, 0]
    left = prior.total(found) - signal(*np.meshgrid(AT, AT))
    assert (left.std((1, 2)) < 0.0028).all()  # of 0.014: a field without waves leaves 0.0037, 0.0045


def test_noise_has_no_waves():
    prior, found = solved(lambda x, y: np.zeros((2, x.size)))
    assert np.std(prior.waves.total(found[2:4])) < 0.001
    assert max(p.sum() for p in prior.waves.power) < 3e-5


def test_the_spectrum_finds_the_period():
    prior, _ = solved(lambda x, y: np.stack([0.02 * np.sin(2 * np.pi * x / 64), 0 * x]))
    power = prior.waves.power[0][0]
    assert np.argmax(power) == pytest.approx(512 / 64, abs=1)
    assert power[np.argmax(power)] > 0.2 * power.sum()


def test_a_trend_is_found():
    grid, rng = Grid((256, 256), 4, 2), np.random.default_rng(3)
    x, y, error = *rng.uniform(0, 255, (2, 1500)), 0.002
    evaluate, w = grid.bilinear(x, y), np.full(x.size, error**-2.0)

    def signal(x, y):
        p, q = x / 128 - 1, y / 128 - 1
        return 0.003 * np.stack([p * q + q**3 - 0.6 * q, p**2 - 1 / 3])

    none = RandomField.stationary(grid, np.full((2, 4), 1e-12))
    r = signal(x, y) + rng.normal(0, error, (2, x.size))
    left = none.total(solve_field(none, WeighedPairs(evaluate, w, grid.size), r)[0]) - signal(
        *np.meshgrid(AT, AT)
    )
    assert (left.std((1, 2)) < 0.0005).all()  # of 0.0016 and 0.0009


@pytest.mark.parametrize("axis", ["y", "x"])
def test_columns_have_the_covariance_of_what_is_drawn(axis):
    grid, rng = Grid((96, 128), 4, 2, axis), np.random.default_rng(8)
    waves = Waves.flat(grid, [1.0, 2.0])
    for kind in (0, 1):
        waves.power[kind][1, 2:] = 0.0  # one long wave each for the corrections of y
    trend = Trend(grid)
    x, y = np.array([10.0, 30.0, 10.0, 70.0]), np.array([5.0, 5.0, 80.0, 40.0])
    at = grid.bilinear(x, y).toarray()
    waves = Waves(grid, waves.power)
    waved, terms = waves.columns(1, x, y)
    for part, columns in ((waves, waved @ terms), (trend, trend.columns(x, y))):
        drawn = [part.total(part.parts(rng.normal(size=part.white).astype("f4")))[1] for _ in range(4000)]
        values = np.array([at @ v.ravel() for v in drawn])
        size = np.mean(values**2)
        np.testing.assert_allclose(columns @ columns.T, values.T @ values / 4000, atol=0.1 * size)


def test_transposes():
    rng = np.random.default_rng(4)
    grid = Grid((64, 48), 2, 2)
    for part in (Waves.flat(grid, [1.0, 2.0]), Trend(grid)):
        z = rng.normal(size=part.white).astype("f4")
        f = rng.normal(size=(2, *grid.size)).astype("f4")
        assert np.vdot(part.total(part.parts(z)), f) == pytest.approx(
            np.vdot(z, part.transposed(f)), rel=1e-4
        )


def test_variance_is_the_power():
    rng = np.random.default_rng(5)
    waves = Waves.flat(Grid((256, 256), 4, 4), [1.0, 4.0])
    along, across = zip(*(waves.parts(rng.standard_normal(waves.white)) for _ in range(60)), strict=True)
    for parts in (along, across):
        np.testing.assert_allclose(np.var(parts, axis=(0, 2, 3)), [1.0, 4.0], rtol=0.15)


def test_power_changes_by_no_more_than_a_factor_a_turn():
    waves = Waves.flat(Grid((64, 64), 4, 1), [1.0, 1.0])
    shapes = [(2, 1, 32), (2, 1, 32)]
    parts = [np.full(s, 50.0) * np.cos(2 * np.pi * 3 * np.arange(32) / 32) for s in shapes]
    new = waves.improved(parts, [0.5 * p for p in parts])
    ratio = np.array(new.power)[:, :, 1:5] / np.array(waves.power)[:, :, 1:5]
    assert ratio.max() <= GROWTH * (1 + 1e-6)
    assert ratio.min() >= (1 - 1e-6) / GROWTH
    assert len(np.concatenate(SCALES)) == 4


@pytest.mark.parametrize("axis", ["y", "x"])
@pytest.mark.parametrize("width", [0.0, 6.0])
def test_bands_pass_into_each_other_as_residuals_say(width, axis):
    """A step with the tails of a hyperbolic tangent, or a sharp one."""
    grid, rng = Grid((256, 256), 4, 4, axis), np.random.default_rng(4)
    t = np.arange(90)
    found = 0.03 * np.array([[np.sin(t / 5 + 2 * b), np.cos(t / 7 + b)] for b in range(4)]).swapaxes(0, 1)

    def lacks(along, across):
        out = np.zeros((2, along.size))
        for b in range(3):
            d = across - (64 * (b + 1) - 0.5)
            soft = 0.5 * (1 + np.tanh(d / width)) if width else 1.0 * (d > 0)
            step = [np.interp((along + 0.5) / 4 - 0.5, t, v) for v in found[:, b + 1] - found[:, b]]
            out += (soft - (d > 0)) * step
        return out

    x, y = rng.uniform(0, 255, (2, 3000))
    true = lacks(x, y) if axis == "y" else lacks(y, x)
    passage = Passage(grid)
    assert not passage.at(x, y).any()
    assert not passage.full().any()
    passage.improve(found, x, y, true + rng.normal(0, 0.004, true.shape), np.full(3000, 0.004**-2.0), np.copy)
    left = passage.at(x, y) - true
    if width:
        assert true.std() > 0.003
        assert left.std() < 0.1 * true.std()
    else:
        assert np.abs(left).max() < 5e-4  # of steps of 0.04
    i, j = rng.integers(0, 256, (2, 500))
    np.testing.assert_allclose(passage.full()[:, j, i], passage.at(i.astype(float), j.astype(float)))
