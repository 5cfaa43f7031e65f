"""Motions as velocities."""

import numpy as np
import pytest

from jwst_hpastrom.kinematics import to_km_s


def test_velocities():
    v, e = to_km_s(0.144, 49.5, motion_error=0.003, distance_error=1.0)
    assert v == pytest.approx(33.8, abs=0.05)
    assert e == pytest.approx(np.hypot(4.740470446 * 0.003 * 49.5, v / 49.5))
    np.testing.assert_allclose(to_km_s(np.array([1.0, 2.0]), 1.0)[0], [4.740470446, 9.480940892])


def test_numbers_stay_numbers_and_arrays_arrays():
    assert [type(v) for v in to_km_s(0.2, 8.0, motion_error=0.01)] == [float, float]
    for result in (
        to_km_s(np.array([0.2, 0.3]), 8.0),
        to_km_s(np.array([0.2, 0.3]), 8.0, motion_error=0.01),
        to_km_s(0.2, 8.0, motion_error=np.array([0.01, 0.02])),
    ):
        assert any(np.shape(v) == (2,) for v in result)
        assert all(isinstance(v, np.ndarray | np.generic) for v in result)
