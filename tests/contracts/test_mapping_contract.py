"""One contract for everything that takes positions to positions."""

import asdf
import numpy as np
import pytest

from jwst_hpastrom.distortion import (
    DistortionCorrection,
    PixelMapCorrection,
    PolynomialCorrection,
    TableCorrection,
)
from jwst_hpastrom.geometry import (
    CompositeMapping,
    IdentityMapping,
    LinearTransform,
    PolynomialTransform,
    polynomial_terms,
)

SHAPE = (160, 192)
N = len(polynomial_terms(5, 1))


def _smooth(rng, amplitude, period):
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    a, b = rng.uniform(0, 6, 2)
    return amplitude * np.stack([np.sin(x / period + a), np.cos(y / period + b)], -1).astype(np.float32)


def _polynomial(rng):
    return PolynomialCorrection(5, *rng.normal(0, 0.15, (2, N)), np.array([95.0, 79.0]), 96.0)


def _table(rng):
    return TableCorrection(*rng.normal(0, 0.05, (2, 6, 8)), shape=SHAPE)


def _map(rng):
    noise = rng.normal(0, 0.002, (*SHAPE, 2)).astype(np.float32)
    return PixelMapCorrection(_smooth(rng, 0.05, 10.0) + noise)


MAPPINGS = {
    "identity": lambda r: IdentityMapping(),
    "linear": lambda r: LinearTransform(
        np.array([[1.01, 0.2], [-0.2, 0.99]]), np.array([3.0, -7.0]), np.array([90.0, 80])
    ),
    "polynomial transform": lambda r: PolynomialTransform(
        2, np.array([5.0, 96, 1, 0.3, 0.2, 0.1]), np.array([1.0, 2, 97, 0.1, 0.4, 0.2]),
        np.array([95.0, 79]), 96.0,
    ),
    "polynomial": _polynomial,
    "table": _table,
    "pixel map": _map,
    "sum": lambda r: DistortionCorrection(_polynomial(r), _table(r), _map(r), shape=SHAPE),
    "polynomial and table": lambda r: DistortionCorrection(_polynomial(r), _table(r), shape=SHAPE),
    "sum and linear": lambda r: CompositeMapping(
        [
            DistortionCorrection(_polynomial(r), _table(r), _map(r), shape=SHAPE),
            LinearTransform(2 * np.eye(2)),
        ]
    ),
}  # fmt: skip
NO_TABLES = ("identity", "linear", "polynomial transform", "polynomial")


@pytest.fixture(params=MAPPINGS, ids=str)
def name(request):
    return request.param


@pytest.fixture
def mapping(name):
    return MAPPINGS[name](np.random.default_rng(5))


@pytest.fixture(scope="module")
def positions():
    """All over the detector, its edge pixels included."""
    rng = np.random.default_rng(6)
    x, y = rng.uniform(-0.5, SHAPE[1] - 0.5, 3000), rng.uniform(-0.5, SHAPE[0] - 0.5, 3000)
    ex = np.array([-0.5, 0, SHAPE[1] - 1, SHAPE[1] - 0.5, 50, 50, 50, 50])
    ey = np.array([40, 40, 40, 40, -0.5, 0, SHAPE[0] - 1, SHAPE[0] - 0.5])
    return np.r_[x, ex], np.r_[y, ey]


def test_round_trip(mapping, positions):
    x, y = mapping.inverse(*mapping.forward(*positions))
    assert np.hypot(x - positions[0], y - positions[1]).max() < 1e-6


def test_shapes_and_scalars(mapping):
    for shape in ((), (3,), (2, 3)):
        u, v = mapping.forward(np.full(shape, 20.0), np.full(shape, 30.0))
        assert np.shape(u) == np.shape(v) == shape
        assert mapping.jacobian(np.full(shape, 20.0), np.full(shape, 30.0)).shape == (*shape, 2, 2)
        assert np.shape(mapping.error(np.full(shape, 20.0), np.full(shape, 30.0))[0]) == shape


def test_jacobian_against_differences(mapping, name, positions):
    # tables: the mean over the pixel; smooth maps: the derivative
    h = 1e-4 if name in NO_TABLES else 0.5
    x, y = positions
    jac = mapping.jacobian(x, y)
    for k, (dx, dy) in enumerate(((h, 0.0), (0.0, h))):
        upper, lower = mapping.forward(x + dx, y + dy), mapping.forward(x - dx, y - dy)
        for i in (0, 1):
            np.testing.assert_allclose(
                jac[:, i, k], (upper[i] - lower[i]) / (2 * h), atol=2e-6 if h < 0.1 else 3e-4
            )


def test_errors_are_none_or_positive(mapping, positions):
    for e in mapping.error(*positions):
        assert np.all(e >= 0)


def test_astropy_model_agrees_and_inverts(mapping, positions):
    model = mapping.to_astropy()
    u, v = model(*positions)
    a, b = mapping.forward(*positions)
    # the pixel map is stored in 16 bits: half a quantum of 0.057/32700
    assert np.hypot(u - a, v - b).max() < 4e-6
    x, y = model.inverse(u, v)
    assert np.hypot(x - positions[0], y - positions[1]).max() < 2e-4


def test_asdf_round_trip_is_bit_for_bit(mapping, positions, tmp_path):
    model = mapping.to_astropy()
    path = tmp_path / "model.asdf"
    asdf.AsdfFile({"model": model, "inverse": model.inverse}).write_to(path)
    with asdf.open(path, memmap=False, lazy_load=False) as af:
        for key, original in (("model", model), ("inverse", model.inverse)):
            for one, two in zip(af.tree[key](*positions), original(*positions), strict=True):
                np.testing.assert_array_equal(one, two)


def test_equality(mapping, name):
    assert mapping == MAPPINGS[name](np.random.default_rng(5))
    assert mapping != "another thing"
    if name not in ("identity", "linear", "polynomial transform"):
        assert mapping != MAPPINGS[name](np.random.default_rng(99))


@pytest.mark.parametrize("name", ["table", "pixel map"], indirect=True)
def test_tables_keep_their_edges_outside(mapping):
    inside = mapping.delta(np.array([0.0, 191.0]), np.array([50.0, 159.0]))
    outside = mapping.delta(np.array([-40.0, 400.0]), np.array([50.0, 400.0]))
    np.testing.assert_array_equal(inside, outside)


def test_outside_the_detector_it_still_inverts(mapping):
    x, y = np.array([-8.0, 200.0]), np.array([-8.0, 168.0])
    u, v = mapping.inverse(*mapping.forward(x, y))
    assert np.hypot(u - x, v - y).max() < 1e-4
