"""Errors of a correction: size, reach, and the error of a mean, against samples of a known field."""

import numpy as np
import pytest
from scipy.interpolate import RegularGridInterpolator
from scipy.ndimage import gaussian_filter

from jwst_hpastrom.distortion import DistortionCorrection, ErrorModel, PixelMapCorrection

SHAPE = (512, 512)


@pytest.fixture(scope="module")
def model():
    """Samples with a reach of 16 pixels (a kernel of 16/√2) and an amplitude that rises along x."""
    rng = np.random.default_rng(1)
    amplitude = np.linspace(0.001, 0.003, 128)
    field = np.stack(
        [gaussian_filter(f, 4 / np.sqrt(2), mode="wrap") for f in rng.normal(size=(16, 128, 128))]
    )
    field *= amplitude / field.std()
    return ErrorModel.from_samples(field.reshape(8, 2, 128, 128), SHAPE)


def test_size_and_reach(model):
    x = np.array([100.0, 256.0, 400.0])
    ex, ey = model.error(x, np.full(3, 250.0))
    expected = 0.001 + 0.002 * x / 512
    np.testing.assert_allclose(ex, expected, rtol=0.15)
    np.testing.assert_allclose(ey, expected, rtol=0.15)
    # exp(-d²/2·16²), to the noise of 16 samples of 300 independent places each
    middle = model.correlation.shape[1] // 2
    dy, dx = (model.step * np.indices(model.correlation.shape).T - [0, model.step * middle]).T
    expected = np.exp(-0.5 * (dx**2 + dy**2) / 16**2)
    near = np.hypot(dx, dy) < 150
    assert np.std((model.correlation - expected)[near]) < 0.02
    assert model.reach == pytest.approx(16 * np.sqrt(2 * np.log(2)), rel=0.1)


def test_what_repeats_at_the_dither_step_is_in_the_mean():
    """The same noise again 160 pixels further along x, as a star's error in the catalog."""
    rng = np.random.default_rng(3)
    noise = gaussian_filter(rng.normal(size=(8, 2, 64, 128)), (0, 0, 1, 1))
    noise = noise + 0.5 * np.roll(noise, 40, -1)  # correlation 0.5 / 1.25
    model = ErrorModel.from_samples(noise / noise.std(), (256, 512))
    at = np.array([100.0, 260.0]), np.array([100.0, 100.0])
    single, _ = model.error(*at)
    together, _ = model.mean_error(*at, np.zeros(2, int), 1)
    apart, _ = model.mean_error(at[0] + [0, 40], at[1], np.zeros(2, int), 1)
    mean = np.sum(single**2) / 4
    assert together[0] ** 2 == pytest.approx(mean * 1.4, rel=0.05)
    assert apart[0] ** 2 == pytest.approx(mean, rel=0.05)


def test_added_structure(model):
    """Of the same size, four times shorter."""
    own = float(model.variance.mean())
    both = model.with_structure(own, 4.0)
    assert both.variance.mean() == pytest.approx(2 * own)
    middle = model.correlation.shape[1] // 2
    near = model.correlation[0, middle + 1], both.correlation[0, middle + 1]
    assert near[1] == pytest.approx(0.5 * near[0] + 0.5 * np.exp(-0.5), abs=1e-9)
    assert both.correlation[0, middle] == pytest.approx(1.0)


def twin(model, x, y, w):
    """Variance of a weighted mean, written out."""
    m, n = model.correlation.shape
    dx, dy = x[:, None] - x, y[:, None] - y
    flip = np.where(dy < 0, -1, 1)
    table = np.pad(model.correlation, ((0, 1), (1, 1)))  # zero beyond
    grid = model.step * np.arange(m + 1), model.step * (np.arange(n + 2) - n // 2 - 1)
    inside = np.abs(dx) < model.step * (n // 2), np.abs(dy) < model.step * (m - 1)
    rho = RegularGridInterpolator(grid, table, bounds_error=False, fill_value=0.0)((dy * flip, dx * flip))
    rho = np.where(inside[0] & inside[1], rho, 0.0)
    e = np.stack(model.error(x, y))
    return [np.sqrt((w * s) @ rho @ (w * s)) / w.sum() for s in e]


def test_mean_of_a_star(model):
    rng = np.random.default_rng(2)
    x, y, w = rng.uniform(0, 511, 40), rng.uniform(0, 511, 40), rng.uniform(0.5, 2, 40)
    group = np.repeat([0, 1, 3, -1], 10)
    correction = DistortionCorrection(uncertainty=model, shape=SHAPE)
    out = np.stack(correction.mean_error(x, y, group, 4, w))
    for g in (0, 1, 3):
        k = group == g
        np.testing.assert_allclose(out[:, g], twin(model, x[k], y[k], w[k]), rtol=1e-12)
    assert np.isnan(out[:, 2]).all()
    # one position: its own error; the same position many times: no better
    same = np.stack(correction.mean_error(x[:1].repeat(5), y[:1].repeat(5), np.zeros(5, int), 1))
    np.testing.assert_allclose(same[:, 0], np.ravel(correction.error(x[:1], y[:1])), rtol=1e-12)


def test_without_a_model_errors_are_common():
    part = PixelMapCorrection(np.zeros((64, 64, 2)), np.full((64, 64, 2), 0.002))
    correction = DistortionCorrection(pixel_map=part, shape=(64, 64))
    x = np.array([3.0, 50.0, 20.0])
    ex, ey = correction.mean_error(x, x, np.array([0, 0, 2]), 3)
    np.testing.assert_allclose(ex, [0.002, np.nan, 0.002])
    np.testing.assert_allclose(ey, [0.002, np.nan, 0.002])


def test_meta_and_back(model):
    back = ErrorModel.from_meta(model.to_meta())
    assert ErrorModel.from_meta(back.to_meta()) == back
    np.testing.assert_allclose(back.correlation, model.correlation, atol=1e-6)
    np.testing.assert_allclose(back.error([100.0], [200.0]), model.error([100.0], [200.0]), rtol=1e-5)
