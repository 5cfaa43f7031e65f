"""Size and reach of the structure that noise hides."""

import numpy as np
import pytest

from jwst_hpastrom.distortion.model.error_model import ErrorModel
from jwst_hpastrom.distortion.pixelmap.held_out import fit_structure

DISTANCE = np.arange(8.0, 29.0, 4.0)


@pytest.mark.parametrize("length", [8.0, 15.0, 25.0])
def test_size_and_reach_come_back_through_noise(length):
    rng = np.random.default_rng(int(length))
    weight = np.linspace(1, 4, DISTANCE.size) * np.ones((2, 1))
    product = np.array([[3.0], [0.5]]) * np.exp(-0.5 * (DISTANCE / length) ** 2)
    found = [
        fit_structure(DISTANCE, product + rng.normal(0, 0.05, product.shape) / np.sqrt(weight), weight)
        for _ in range(50)
    ]
    variance, reach = np.array([f[0] for f in found]), np.array([f[1] for f in found])
    np.testing.assert_allclose(variance.mean(0), [3.0, 0.5], rtol=0.12)
    assert np.median(reach) == pytest.approx(length, rel=0.12)


def test_negative_products_are_no_structure():
    variance, _ = fit_structure(DISTANCE, -np.ones((2, DISTANCE.size)), np.ones((2, DISTANCE.size)))
    np.testing.assert_array_equal(variance, 0.0)


def test_each_axis_has_its_own_structure():
    samples = np.random.default_rng(1).normal(0, 0.01, (1, 2, 64, 64))
    model = ErrorModel.from_samples(samples, (512, 512))
    both = model.with_structure(np.array([4e-4, 0.0]), 15.0)
    np.testing.assert_allclose(both.variance - model.variance, [[[4e-4]], [[0.0]]] * np.ones((1, 17, 17)))
    assert both.reach > model.reach


def test_the_edge_keeps_its_own_errors():
    samples = np.random.default_rng(2).normal(0, 0.01, (1, 2, 64, 64))
    samples[..., :3] *= 3.0  # the outermost 24 pixels
    told = ErrorModel.from_samples(samples, (512, 512), smooth=46.0, edge=24.0, spacing=24.0)
    mixed = ErrorModel.from_samples(samples, (512, 512), smooth=46.0)
    y = np.linspace(100, 400, 50)
    at_edge = [model.error(4.0 + 0 * y, y)[0].mean() for model in (told, mixed)]
    assert at_edge[0] == pytest.approx(0.029, rel=0.15)
    assert at_edge[1] < 0.022
    assert told.error(60.0 + 0 * y, y)[0].mean() == pytest.approx(0.01, rel=0.1)
