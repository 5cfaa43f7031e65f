"""A map of the full detector, taken for a window of it."""

import numpy as np

from jwst_hpastrom.geometry import LinearTransform
from jwst_hpastrom.geometry.window import on_window


class Full(LinearTransform):
    """A map whose errors are its arguments: those of the full detector's pixels."""

    def mean_error(self, x, y):
        return x, y


def test_positions_are_those_of_the_window():
    full = Full(np.array([[1.0, 0.1], [-0.2, 1.0]]), np.array([3.0, 4.0]))
    window = on_window(full, 100, 200)
    x, y = np.array([0.0, 5.0]), np.array([1.0, 7.0])
    np.testing.assert_allclose(window.forward(x, y), full.forward(x + 100, y + 200))
    np.testing.assert_allclose(window.inverse(*window.forward(x, y)), (x, y), atol=1e-9)
    np.testing.assert_array_equal(window.mean_error(x, y), (x + 100, y + 200))


def test_a_window_that_begins_with_the_detector_is_the_detector():
    full = Full()
    assert on_window(full, 0, 0) is full
