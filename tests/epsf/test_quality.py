"""RADXS and the flags made from it: stars, galaxies, cosmic rays."""

import numpy as np
import pytest
from astropy.table import Table

from jwst_hpastrom.columns import Flag
from jwst_hpastrom.epsf import Image, fit_stars
from jwst_hpastrom.epsf.fit import Pixels
from jwst_hpastrom.epsf.kernels import detection
from jwst_hpastrom.epsf.quality import least_widths, lost_core, mark_cosmic_rays, mark_shapes, radxs_band
from tests.epsf.conftest import make_field, make_library


@pytest.fixture(scope="module")
def mixed():
    """100 stars, 20 discs of stars' brightness and 20 cosmic rays, all on a grid: (table, kind)."""
    rng = np.random.default_rng(7)
    n = 140
    y, x = (g.ravel()[:n] + rng.uniform(-0.4, 0.4, n) for g in np.mgrid[14:242:12j, 14:242:12j])
    kind = np.array([0] * 100 + [1] * 20 + [2] * 20)
    flux = 10 ** rng.uniform(1.6, 2.5, n)
    field = make_field(x[kind == 0], y[kind == 0], flux[kind == 0], shape=(256, 256), one_sigma=0.8)
    data = field.image.data.copy()
    jj, ii = np.mgrid[:256, :256]
    for a, b, f in zip(x[kind == 1], y[kind == 1], flux[kind == 1], strict=True):
        data += f / (2 * np.pi * 4) * np.exp(-np.hypot(ii - a, jj - b) / 2)
    for a, b, f in zip(x[kind == 2], y[kind == 2], flux[kind == 2], strict=True):
        data[round(b), round(a)] += 0.5 * f
    err = np.sqrt(0.05**2 + data / 300)
    none = np.zeros(data.shape, bool)
    image = Image(data + rng.normal(0, err), err, none, none)
    table = fit_stars(image, make_library(0.8, np.array([0.0, 128, 255])), x, y)
    mark_shapes(table)
    return table, kind


def test_radxs_tells_them_apart(mixed):
    table, kind = mixed
    flags = np.asarray(table["flags"])
    extended, cosmic = ((flags & int(f)) > 0 for f in (Flag.EXTENDED, Flag.COSMIC_RAY))
    assert (extended | cosmic)[kind == 0].mean() <= 0.05
    assert extended[kind == 1].mean() >= 0.9
    assert cosmic[kind == 2].mean() >= 0.9
    assert np.median(table["radxs"][kind == 1]) > 0.1
    assert np.median(table["radxs"][kind == 2]) < -0.1


def test_radxs_error_is_its_scatter(mixed):
    table, kind = mixed
    pull = (table["radxs"] / table["radxs_err"])[kind == 0]
    assert 0.7 < np.std(pull) < 1.2  # the fit takes a part of the noise away


def test_band_follows_the_stars():
    rng = np.random.default_rng(0)
    mag = rng.uniform(-8, -2, 4000)
    err = 0.01 * 10 ** (0.2 * (mag + 5))
    radxs = 0.02 * (mag + 5) + rng.normal(0, 2 * err)  # a brighter-fatter trend, twice the formal scatter
    center, sigma = radxs_band(mag, radxs, err)
    np.testing.assert_allclose(np.median(center - 0.02 * (mag + 5)), 0, atol=2e-3)
    inside = np.abs(radxs - center) < 3 * sigma
    assert 0.98 < inside.mean() < 1


def test_few_stars_have_a_band_from_their_errors():
    center, sigma = radxs_band(np.array([-5.0, -4]), np.array([0.5, 0.0]), np.array([0.01, 0.02]))
    assert center.tolist() == [0, 0]
    assert sigma.tolist() == [0.01, 0.02]


def test_tracks_are_sharper_than_any_sum_of_stars():
    rng = np.random.default_rng(11)
    x, y = (g.ravel() + rng.uniform(-0.5, 0.5, 100) for g in np.mgrid[14:186:10j, 14:186:10j])
    flux = 10 ** rng.uniform(1.0, 2.5, 100)
    near = rng.uniform(-2.5, 2.5, (2, 100))  # each star has a companion
    field = make_field(
        np.r_[x, x + near[0]], np.r_[y, y + near[1]], np.r_[flux, 0.5 * flux], shape=(201, 201), rng=rng,
        one_sigma=0.7,
    )  # fmt: skip
    library = make_library(0.7, np.array([0.0, 100, 200]))
    tx, ty = (g.ravel() for g in np.meshgrid(np.arange(20, 190, 18), np.arange(20, 190, 18)))
    for k, (a, b) in enumerate(zip(tx, ty, strict=True)):  # tracks of three pixels, in four directions
        di, dj = [(1, 0), (0, 1), (1, 1), (-1, 1)][k % 4]
        for step in range(3):
            field.image.data[b + dj * step, a + di * step] += 8.0
    everything = fit_stars(field.image, library, np.r_[x, tx + 0.1], np.r_[y, ty])
    everything["flags"] = 0
    mark_cosmic_rays(everything, Pixels.of(field.image), library)
    marked = (np.asarray(everything["flags"]) & int(Flag.COSMIC_RAY)) > 0
    track = np.r_[np.zeros(100, bool), np.ones(tx.size, bool)]
    hit = np.hypot(x[:, None] - tx - 1, y[:, None] - ty - 1).min(1) < 5
    assert not marked[~track][~hit].any()
    assert marked[track].mean() > 0.9


def test_sharpness_against_the_obvious_way():
    rng = np.random.default_rng(5)
    data, weight = rng.exponential(1.0, (20, 22)), rng.uniform(20, 90, (20, 22))
    weight[rng.random(weight.shape) < 0.1] = 0
    x, y, sky = rng.uniform(2, 19, 30), rng.uniform(2, 17, 30), rng.normal(0.1, 0.05, 30)
    least, slack, out = np.array([0.5, 0.4, 0.2, 0.3]), 0.1, np.zeros(30)
    detection.sharpness(data, weight, x, y, sky, least, slack, out)
    for s in range(30):
        worst = 0.0
        for j in range(round(y[s]) - 1, round(y[s]) + 2):
            for i in range(round(x[s]) - 1, round(x[s]) + 2):
                c = data[j, i] - sky[s]
                if weight[j, i] == 0 or c <= 0 or c**2 * weight[j, i] <= 16:
                    continue
                for (dj, di), f in zip([(0, 1), (1, 0), (1, 1), (1, -1)], least, strict=True):
                    one, two = weight[j - dj, i - di], weight[j + dj, i + di]
                    if one > 0 and two > 0:
                        lack = f * c - data[j - dj, i - di] - data[j + dj, i + di] + 2 * sky[s]
                        error = np.sqrt(1 / one + 1 / two + f**2 * (1 / weight[j, i] + (slack * c) ** 2))
                        worst = max(worst, lack / error)
        np.testing.assert_allclose(out[s], worst, atol=1e-12)


def test_least_widths_are_those_of_a_centered_gaussian():
    sigma = 0.7
    expected = 2 * np.exp(-np.array([1, 1, 2, 2]) / (2 * sigma**2))
    np.testing.assert_allclose(least_widths(make_library(sigma)), expected, rtol=0.02)


def test_lost_cores():
    weight = np.ones((20, 30))
    weight[9, 11] = weight[0, 29] = 0
    stars = Table({"x": [10.0, 12.2, 13.0, 29.0, 0.0], "y": [10.0, 8.4, 9.0, 0.0, 19.0]})
    assert lost_core(stars, weight).tolist() == [True, True, False, True, False]
    assert lost_core(stars[:0], weight).shape == (0,)
