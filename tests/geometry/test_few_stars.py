"""A handful of stars in a long list, scale and angle nearly known."""

import numpy as np
import pytest

from jwst_hpastrom.errors import NoOverlapError
from jwst_hpastrom.geometry import match_blind
from jwst_hpastrom.geometry.few_stars import find_few

KNOWN = {"max_rotation": 3.0, "scale_tolerance": 0.02, "parameters": 4, "min_stars": 5}


def scene(seed, n_short, *, absent=0, noise=2.0, n=1200, half=30e3):
    rng = np.random.default_rng(seed)
    x, y = rng.uniform(-half, half, (2, n))
    rows = rng.choice(n, n_short, replace=False)
    u, v = x[rows] + rng.normal(0, noise, n_short), y[rows] + rng.normal(0, noise, n_short)
    u[:absent], v[:absent] = rng.uniform(-half, half, (2, absent))
    a = np.deg2rad(1.3)
    c, s = 1.004 * np.cos(a), 1.004 * np.sin(a)
    return c * u - s * v + 2500, s * u + c * v - 900, x, y, rows


@pytest.mark.parametrize(("n_short", "absent"), [(6, 0), (7, 0), (8, 1)])
@pytest.mark.parametrize("swap", [False, True])
def test_six_to_eight_stars_among_1200(n_short, absent, swap):
    for seed in range(3):
        u, v, x, y, rows = scene(seed, n_short, absent=absent)
        if swap:
            found = match_blind(x, y, u, v, **KNOWN)
            short, long = found.i2, found.i1
        else:
            found = match_blind(u, v, x, y, **KNOWN)
            short, long = found.i1, found.i2
        true = short >= absent
        assert true.sum() == n_short - absent
        np.testing.assert_array_equal(long[true], rows[short[true]])
        assert abs(found.transform.rotation) == pytest.approx(1.3, abs=0.02)


def test_a_few_stars_of_elsewhere_are_refused():
    for seed in range(10):
        x, y = scene(seed, 7)[2:4]
        u, v = np.random.default_rng(1000 + seed).uniform(-30e3, 30e3, (2, 7))
        with pytest.raises(NoOverlapError):
            match_blind(u, v, x, y, **KNOWN)


def test_limits_hold():
    u, v, x, y, _ = scene(1, 7)
    short, long = u + 1j * v, x + 1j * y
    found = find_few(short, long, scale=1.0, scale_tolerance=0.02, max_rotation=3.0)
    assert found[3] == 7
    assert found[-1] < -20
    for limits in (
        {"max_rotation": 1.0, "scale_tolerance": 0.02},
        {"max_rotation": 3.0, "scale_tolerance": 0.002},
        {"max_rotation": 3.0, "scale_tolerance": 0.02, "max_shift": 500.0},
    ):
        other = find_few(short, long, scale=1.0, **limits)
        assert other is None or other[-1] > np.log(1e-4)
