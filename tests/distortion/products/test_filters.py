"""Average of filters, differences from it, pixel scales in time."""

import numpy as np
import pytest
from astropy.table import Table

from jwst_hpastrom.distortion import (
    DistortionCorrection,
    PixelMapCorrection,
    PolynomialCorrection,
    TableCorrection,
    average_corrections,
    filter_differences,
    pixel_scale_history,
)
from jwst_hpastrom.errors import MixedExposuresError, NotEnoughStarsError

SHAPE = (128, 128)


def correction(rng, degree=4, fine=True):
    n = (degree + 1) * (degree + 2) // 2 - 1
    polynomial = PolynomialCorrection(degree, *rng.normal(0, 0.3, (2, n)), np.array([63.0, 63.0]), 64.0)
    table = TableCorrection(*rng.normal(0, 0.02, (2, 8, 8)), shape=SHAPE)
    pixels = PixelMapCorrection(rng.normal(0, 0.01, (*SHAPE, 2)).astype(np.float32)) if fine else None
    return DistortionCorrection(polynomial, table, pixels, shape=SHAPE)


def test_average_is_the_mean_of_all_parts():
    rng = np.random.default_rng(1)
    three = [correction(rng, fine=k < 2) for k in range(3)]
    x, y = rng.uniform(-3, 130, (2, 500))
    mean = np.mean([np.stack(c.delta(x, y)) for c in three], 0)
    np.testing.assert_allclose(np.stack(average_corrections(three).delta(x, y)), mean, atol=1e-8)
    with pytest.raises(MixedExposuresError, match="different parts"):
        average_corrections([*three, correction(rng, degree=3)])
    with pytest.raises(NotEnoughStarsError):
        average_corrections([])


def test_differences_add_up_to_nothing():
    rng = np.random.default_rng(2)
    two = {"F150W": correction(rng), "F277W": correction(rng)}
    table, x, y, difference = filter_differences(two, n_grid=32)
    np.testing.assert_allclose(difference["F150W"], -difference["F277W"], atol=1e-8)
    half = 0.5 * (np.stack(two["F150W"].delta(x, y)) - np.stack(two["F277W"].delta(x, y)))
    np.testing.assert_allclose(difference["F150W"], half, atol=1e-8)
    assert table["rms_x"][0] == pytest.approx(np.sqrt(np.mean(half[0] ** 2)))
    assert np.all(table["shape_x"] < table["rms_x"])
    assert np.all(table["largest"] >= np.hypot(table["rms_x"], table["rms_y"]))


def test_pixel_scales_of_two_fields_in_one_filter():
    rng = np.random.default_rng(3)
    tables = []
    for name, epoch, n in (("F150W", 2022.3, 6), ("F277W", 2022.4, 5), ("F150W", 2023.1, 4)):
        scale = 65.57 + rng.normal(0, 1e-3, n)
        columns = {"epoch": epoch + np.arange(n) / 1e3, "pixel_scale": scale,
                   "pixel_scale_error": np.full(n, 1e-3)}  # fmt: skip
        tables.append(Table(columns, meta={"filter": name, "pixel_scale_error": 2e-3}))
    summary, history = pixel_scale_history(tables)
    assert summary["filter"].tolist() == ["F150W", "F277W"]
    assert summary["n_exposures"].tolist() == [10, 5]
    both = np.r_[tables[0]["pixel_scale"], tables[2]["pixel_scale"]]
    assert summary["pixel_scale"][0] == pytest.approx(both.mean(), abs=1e-9)
    assert summary["pixel_scale_error"][0] == pytest.approx(1e-3 / np.sqrt(10))
    assert summary["pixel_scale_total_error"][0] == pytest.approx(
        np.hypot(1e-3 / np.sqrt(10), 2e-3 / np.sqrt(2))
    )
    assert np.all(np.diff(history["epoch"]) >= 0)
    assert len(history) == 15
    assert np.mean(history["relative"]) == pytest.approx(1.0, abs=1e-9)
