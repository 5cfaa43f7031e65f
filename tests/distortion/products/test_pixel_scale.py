"""Scale and skew of two dates: a change of 2e-5 is seen, within its error."""

import numpy as np
import pytest

from jwst_hpastrom.distortion import solve_distortion
from jwst_hpastrom.distortion.products.pixel_scale import shear

CHANGE = 2e-5


@pytest.fixture(scope="module")
def dates(tools):
    tables = []
    for seed, scale in ((11, tools.scale), (12, tools.scale * (1 + CHANGE))):
        lists, reference = tools.make_lists(np.random.default_rng(seed), scale=scale)
        solution = solve_distortion(
            lists,
            reference,
            shape=tools.shape,
            rng=np.random.default_rng(0),
            polynomial_cells=12,
            table_cells=12,
            n_nearest=40,
        )
        tables.append(solution.pixel_scale)
    return tables


def test_change_of_scale(dates):
    a, b = (t.meta for t in dates)
    change = b["pixel_scale"] / a["pixel_scale"] - 1
    error = np.hypot(a["pixel_scale_error"], b["pixel_scale_error"]) / a["pixel_scale"]
    assert abs(change - CHANGE) < 3 * error
    assert error < 1.5 * CHANGE


def test_skew_and_stretch_do_not_change(dates, tools):
    # 0.4 q in x and 0.4 p in y of the true distortion, half a side being 256 pixels
    for t in dates:
        assert t.meta["skew"] == pytest.approx(0.4 / 256, abs=1e-3)
        assert np.std(t["skew"]) < 3 * np.mean(t["shear_error"])
    for name in ("skew", "stretch"):
        a, b = (t.meta for t in dates)
        assert abs(a[name] - b[name]) < 4 * np.hypot(a[f"{name}_error"], b[f"{name}_error"])


def test_shear_of_a_rotation_is_none():
    c, s = np.cos(0.3), np.sin(0.3)
    np.testing.assert_allclose(shear(1.1 * np.array([[c, -s], [s, c]])), 0, atol=1e-15)
    assert shear([[1.01, 0.002], [0.0, 0.99]]) == pytest.approx((0.001, 0.01))
