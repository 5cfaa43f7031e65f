"""The random field against dense linear algebra, and the errors that it states against the true ones."""

import numpy as np
import pytest
from scipy.interpolate import RegularGridInterpolator

from jwst_hpastrom.distortion.pixelmap.random_field import (
    SCALES,
    Grid,
    RandomField,
    autocorrelation,
    fit_power,
)
from jwst_hpastrom.distortion.pixelmap.solving import WeighedPairs, solve_field
from jwst_hpastrom.distortion.pixelmap.waves import Waves


def test_bands_along_x_are_those_along_y_of_the_transposed_detector():
    rng = np.random.default_rng(8)
    x, y = rng.uniform(-0.5, 23.5, 200), rng.uniform(-0.5, 31.5, 200)
    turned, plain = Grid((32, 24), 2, 3, "x"), Grid((24, 32), 2, 3)
    assert turned.size == plain.size
    assert abs(turned.bilinear(x, y) - plain.bilinear(y, x)).max() == 0
    image = rng.normal(size=plain.size)
    np.testing.assert_array_equal(turned.full(image), plain.full(image).T)
    assert turned.full(image).shape == (32, 24)
    np.testing.assert_array_equal(turned.upright(turned.upright(image)), image)


def test_bilinear_stays_within_its_band():
    grid = Grid((32, 24), 2, 2)
    rng = np.random.default_rng(1)
    image = rng.normal(size=grid.size)
    x, y = rng.uniform(-0.5, 23.5, 300), rng.uniform(-0.5, 31.5, 300)
    out = grid.bilinear(x, y) @ image.ravel()
    for band, rows in (((y < 15.5), slice(0, 8)), ((y >= 15.5), slice(8, 16))):
        cx = np.clip((x[band] + 0.5) / 2 - 0.5, 0, 11)
        cy = np.clip((y[band] + 0.5) / 2 - 0.5, rows.start, rows.stop - 1)
        twin = RegularGridInterpolator((np.arange(rows.start, rows.stop), np.arange(12)), image[rows])
        np.testing.assert_allclose(out[band], twin(np.c_[cy, cx]), atol=2e-6)


def prior_of(grid, rng, rms=1.0):
    """A prior whose amplitudes differ from bin to bin."""
    grids = (grid, grid.coarser())
    return RandomField(
        grid,
        [
            (rms * rng.uniform(0.5, 1.5, (len(s), 2, *g.size))).astype("f4")
            for s, g in zip(SCALES, grids, strict=True)
        ],
        Waves.flat(grid, [0.1 * rms**2, 0.2 * rms**2]),
    )


def spread_matrix(grid):
    """Interpolation from the coarser bins, written out."""
    up, across = (m.toarray() for m in grid.spread())
    return np.kron(up, across)


def covariance(prior, axis):
    """Prior covariance of all bins, one axis, written out."""
    total = 0.0
    for level, matrix in zip(prior.levels, (None, spread_matrix(prior.grid)), strict=True):
        grid = level.grid
        ny, nx = grid.size
        j, i = (v.ravel() for v in np.mgrid[:ny, :nx])
        band = j // (ny // grid.bands)
        together = band[:, None] == band
        for length, s in zip(level.lengths, level.deviation[:, axis].astype(float), strict=True):
            d2 = (grid.bin / length) ** 2 * ((j[:, None] - j) ** 2 + (i[:, None] - i) ** 2)
            own = np.outer(s.ravel(), s.ravel()) * np.exp(-0.5 * d2) * together
            total = total + (own if matrix is None else matrix @ own @ matrix.T)
    for part in (prior.waves, prior.trend):
        each = [part.total(part.parts(z))[axis].ravel() for z in np.eye(part.white, dtype="f4")]
        total = total + np.transpose(each).astype(float) @ each
    return total


def test_posterior_mean_is_that_of_dense_algebra():
    grid, rng = Grid((64, 48), 2, 2), np.random.default_rng(2)
    prior = prior_of(grid, rng, 0.5)
    n = 150
    evaluate = grid.bilinear(rng.uniform(0, 47, n), rng.uniform(0, 63, n))
    w, r = rng.uniform(1, 4, n), rng.normal(size=(2, n))
    found, _ = solve_field(prior, WeighedPairs(evaluate, w, grid.size), r, tolerance=1e-5)
    out = prior.total(found)
    dense = evaluate.toarray().astype(float)
    for k in (0, 1):
        c = covariance(prior, k)
        direct = c @ dense.T @ np.linalg.solve(dense @ c @ dense.T + np.diag(1 / w), r[k])
        np.testing.assert_allclose(out[k].ravel(), direct, atol=1e-3)


def test_transpose():
    rng = np.random.default_rng(4)
    prior = prior_of(Grid((64, 64), 2, 2), np.random.default_rng(3))
    z = prior.noise(rng)
    f, g = rng.normal(size=(2, 2, 32, 32)).astype("f4")
    parts = prior.parts(z)
    all_scales = np.vdot(prior.total(parts), f)
    assert all_scales == pytest.approx(np.vdot(z, prior.transposed(f)).real, rel=1e-4)
    both = all_scales + np.vdot(prior.total(parts, short=True), g)
    assert both == pytest.approx(np.vdot(z, prior.transposed(f, g)).real, rel=1e-4)


def test_coarser_bins_are_interpolated_within_their_band():
    grid = Grid((64, 48), 2, 2)
    up, across = grid.spread()
    rows = np.where(np.arange(16) < 8, 1.0, 5.0)  # two bands
    np.testing.assert_allclose(up @ rows, np.where(np.arange(32) < 16, 1.0, 5.0))
    np.testing.assert_allclose((across @ np.arange(12.0))[1:-1], np.arange(1, 23) / 2 - 0.25)


def test_variances_are_found_again():
    grid, rng = Grid((512, 512), 4, 2), np.random.default_rng(5)
    power = np.array([0.0, 4e-6, 9e-6, 0.0])
    prior = RandomField.stationary(grid, np.stack([power, power]))
    prior = RandomField(grid, [v.deviation for v in prior.levels], Waves.flat(grid, [0.0, 0.0]))
    scales = np.arange(prior.bounds[-1]) < prior.bounds[-3]  # neither waves nor trend
    fields = [prior.total(prior.parts(prior.noise(rng) * scales))[0] for _ in range(6)]
    found = np.mean(
        [fit_power(*autocorrelation(f, np.ones(grid.size), grid), least=0.0) for f in fields], axis=0
    )
    np.testing.assert_allclose(found[:3], power[:3], atol=2.5e-6)
    assert found[3] < 4e-6
    assert fit_power(*autocorrelation(fields[0], np.ones(grid.size), grid))[0] > 1e-7


def test_a_solution_goes_on_from_one_of_much_the_same(monkeypatch):
    grid, rng = Grid((64, 48), 2, 2), np.random.default_rng(2)
    prior = prior_of(grid, rng, 0.5)
    evaluate = grid.bilinear(rng.uniform(0, 47, 150), rng.uniform(0, 63, 150))
    r, steps = rng.normal(size=(2, 150)), []
    pairs = WeighedPairs(evaluate, rng.uniform(1, 4, 150), grid.size)
    back = pairs.back
    monkeypatch.setattr(pairs, "back", lambda *a: (steps.append(1), back(*a))[1])
    cold, z = solve_field(prior, pairs, r, tolerance=1e-3)
    n = len(steps)
    warm, _ = solve_field(prior, pairs, 1.01 * r, tolerance=1e-3, start=z)
    assert len(steps) - n < 0.8 * n
    np.testing.assert_allclose(prior.total(warm), 1.01 * prior.total(cold), atol=5e-3)


def test_a_scale_shorter_than_the_distances_is_not_taken_from_noise():
    distance = 8.0 * np.arange(2, 20)  # bins of 8 pixels: of a scale of 5, nothing is left at 16
    product = 1e-6 * np.exp(-0.5 * (distance / 30) ** 2)
    product[0] += 1e-7  # of noise
    found = fit_power(distance, product, np.ones(distance.size))
    assert found[0] < 0.05 * found.sum()
    np.testing.assert_allclose(found[2], 1e-6, rtol=0.2)


def test_wide_terms_that_residuals_do_not_tell_are_left_out():
    rng, grid = np.random.default_rng(6), Grid((512, 512), 8, 1)
    x, y = rng.uniform(0, 511, (2, 4000))
    field = RandomField.stationary(grid, np.full((2, 4), 1.25e-7))
    some, all_of_them = (
        at @ terms for at, terms in (field.wide(0, x, y, np.full(4000, w)) for w in (1e4, 1e12))
    )
    assert 0 < some.shape[1] < 0.8 * all_of_them.shape[1]
    lost = all_of_them[:, 1e4 * np.sum(all_of_them**2, 0) <= 3]
    assert np.sqrt(np.mean(np.sum(lost**2, 1))) < 0.002


@pytest.mark.parametrize(("true", "least", "most"), [(0.0, 0.0, 0.005), (0.01, 0.0065, 0.0155)])
def test_strengths_are_found_in_five_turns(true, least, most):
    """Begun three times too strong, or with a structure where there is none."""
    grid, rng, n = Grid((512, 512), 8, 1), np.random.default_rng(8), 600
    evaluate = grid.bilinear(*rng.uniform(0, 511, (2, n)))
    pairs = WeighedPairs(evaluate, np.full(n, 0.012**-2.0), grid.size)
    power = np.array([0.01, 0.01, 1.0, 0.01])
    truth, prior = (RandomField.stationary(grid, np.stack([s**2 * power] * 2)) for s in (true, 0.03))
    waveless = Waves.flat(grid, [0.0, 0.0])
    truth, prior = (RandomField(grid, [v.deviation for v in f.levels], waveless) for f in (truth, prior))

    def measured(field):
        parts = field.parts(field.noise(rng))
        noise = rng.normal(0, 0.012, (2, n))
        return parts, np.stack([evaluate @ v.ravel() for v in field.total(parts)]) + noise

    def solve(r):
        return solve_field(prior, pairs, r, tolerance=6e-3)[0]

    r = measured(truth)[1]
    for _ in range(5):
        drawn, again = measured(prior)
        prior = prior.improved(solve(r), solve(again), drawn)
    typical = prior.typical()
    assert typical[:2].max() < 0.004
    assert (typical[2] >= least).all()
    assert (typical[2] <= most).all()


def test_scales_that_residuals_tell_nothing_of_are_left_alone():
    rng = np.random.default_rng(11)
    prior = prior_of(Grid((64, 48), 4, 2), rng)
    prior.levels[0].deviation[:, 1] *= 1e-3
    prior.levels[1].deviation[0, 0] *= 1e-3
    density = 1.0 / (2 * np.pi)  # the finest has 5 pixels
    told = prior.told(density, 1.0)
    assert [v.told.tolist() for v in told.levels] == [[[True, False]] * 2, [[False, True], [True, True]]]
    z = prior.noise(rng)
    whole, some = prior.parts(z), told.parts(z[told.own])
    for full, part, level in zip(whole[:2], some[:2], told.levels, strict=True):
        np.testing.assert_allclose(part[level.told], full[level.told], atol=1e-6)
        assert not part[~level.told].any()
    field = rng.normal(size=(2, *prior.grid.size)).astype("f4")
    product = np.vdot(told.transposed(field), z[told.own]).real
    assert told.bounds[-4] < 0.7 * prior.bounds[-4]
    assert product == pytest.approx(np.vdot(field, told.total(some)), rel=1e-4)
    new = prior.improved(some, some, whole)
    for level, before, now in zip(told.levels, prior.levels, new.levels, strict=True):
        changed = (np.abs(now.deviation / before.deviation - 1) > 0.01).any((2, 3))
        assert changed[level.told].all()
        assert (now.deviation >= before.deviation * (1 - 1e-6)).all((2, 3))[~level.told].all()  # not lessened


@pytest.mark.parametrize(("true", "least", "most"), [(0.0, 0.0, 0.68), (1.0, 0.75, 1.0)])
def test_what_is_but_the_least_of_a_scale_is_believed_by_its_likelihood(true, least, most):
    """A solution's fine scale is left what it may find; errors are simulated with what there is."""
    grid, rng, n = Grid((512, 512), 4, 1), np.random.default_rng(3), 9000
    evaluate = grid.bilinear(*rng.uniform(0, 511, (2, n)))
    pairs = WeighedPairs(evaluate, np.full(n, 0.01**-2.0), grid.size)
    power = np.array([0.01, 0.01, 1.0, 0.01]) * 0.03**2
    prior = RandomField.stationary(grid, np.stack([power] * 2))
    prior = RandomField(grid, [v.deviation for v in prior.levels], Waves.flat(grid, [0.0, 0.0]))

    def solved(fine):
        z = prior.noise(rng)
        z[: prior.bounds[1]] *= fine
        parts = prior.parts(z)
        r = np.stack([evaluate @ v.ravel() for v in prior.total(parts)]) + rng.normal(0, 0.01, (2, n))
        return solve_field(prior, pairs, r, tolerance=1e-4)[0], parts

    new = prior.improved(solved(true)[0], *solved(1.0))
    used, believed = (np.sqrt(np.mean(v**2, axis=(2, 3))) for v in (new.levels[0].deviation, new.believed[0]))
    assert (used > 0.0025).all()
    assert least <= np.mean(believed / used) <= most
    np.testing.assert_array_equal(new.expected().levels[0].deviation, new.believed[0])
