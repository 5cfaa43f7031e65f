"""Size and reach of the structure that noise hides."""

from types import SimpleNamespace

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter, map_coordinates

from jwst_hpastrom.distortion.model.error_model import ErrorModel
from jwst_hpastrom.distortion.pixelmap.held_out import NeighborResiduals, fit_structure, with_structure

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


@pytest.mark.parametrize(("size", "reach"), [(0.004, 12.0), (0.004, 8.5), (0.0, 12.0)])
def test_what_stars_of_the_solution_have_in_common_is_added(size, reach):
    """Structure of some pixels that the map does not have, in the noise of stars that it was made from."""
    rng = np.random.default_rng(7)
    x, y = rng.uniform(0, 511, (2, 8000))
    fine = gaussian_filter(rng.normal(size=(2, 512, 512)), (0, *2 * [reach / np.sqrt(2)]))
    fine = np.stack([map_coordinates(v, [y, x], order=1) for v in size * fine / fine.std()])
    frame = SimpleNamespace(
        pairs=SimpleNamespace(x=x, y=y), w=np.full(x.size, 1e4), share=np.zeros(x.size), about=np.copy
    )
    errors = ErrorModel.from_samples(rng.normal(0, 0.001, (1, 2, 64, 64)), (512, 512))
    noise = rng.normal(0, 0.01, (3, 2, x.size))
    test = NeighborResiduals(frame)
    found = with_structure(errors, test, fine + noise[0], noise[1:], np.ones((64, 64)))
    more = np.mean(found.variance - errors.variance)
    assert 0.75 * size**2 <= more < 1.3 * size**2 + 1e-6


def test_noise_of_few_stars_is_no_fine_structure():
    """The most likely of the reaches would be the shortest one, with 5e-6 px² in the mean."""
    errors, added = ErrorModel.from_samples(np.full((1, 2, 64, 64), 0.004), (512, 512)), []
    for seed in range(12):
        rng = np.random.default_rng(seed)
        x, y = rng.uniform(0, 511, (2, 700))
        frame = SimpleNamespace(
            pairs=SimpleNamespace(x=x, y=y), w=np.full(x.size, 1e4), share=np.zeros(x.size), about=np.copy
        )
        left, *drawn = rng.normal(0, 0.01, (3, 2, x.size))
        found = with_structure(errors, NeighborResiduals(frame), left, drawn, np.ones((64, 64)))
        added.append(np.mean(found.variance - errors.variance))
    assert np.mean(added) < 3e-6
