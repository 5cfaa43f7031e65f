"""Errors of a correction: size, reach, and the error of a mean, against samples of a known field."""

import numpy as np
import pytest
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
    assert model.share.sum() == pytest.approx(1.0)
    assert np.sum(model.share[model.length == 16]) > 0.6
    assert np.sum(model.share * model.length) == pytest.approx(16, rel=0.5)


def twin(model, x, y, w):
    """Variance of a weighted mean, written out."""
    d2 = (x[:, None] - x) ** 2 + (y[:, None] - y) ** 2
    rho = sum(a * np.exp(-0.5 * d2 / b**2) for a, b in zip(model.share, model.length, strict=True))
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
    assert ErrorModel.from_meta(model.to_meta()) == model
