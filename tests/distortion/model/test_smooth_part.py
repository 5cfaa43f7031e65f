"""What the field of the finest structure is about."""

import numpy as np

from jwst_hpastrom.distortion import DistortionCorrection, PolynomialCorrection, TableCorrection
from jwst_hpastrom.distortion.model.smooth_part import SplineBase, smooth_part


def test_the_smooth_part_is_that_of_polynomial_and_table_together():
    rng, shape = np.random.default_rng(6), (256, 512)
    more, table = (rng.normal(0, s, (2, n)) for s, n in ((1.0, 9), (0.02, 256)))
    a, b = rng.normal(0, 1.0, (2, 9))
    center, half = np.array([255.0, 127.0]), 256.0
    dx, dy = table.reshape(2, 16, 16)
    whole = PolynomialCorrection(3, a, b, center, half)
    small = DistortionCorrection(whole, TableCorrection(dx, dy, shape=shape), shape=shape)
    # the same sum, but for kinks: some of the polynomial is the table's
    part = PolynomialCorrection(3, *more, center, half)
    px, py = part.delta(*np.meshgrid(*small.table.nodes))
    rest = PolynomialCorrection(3, a - more[0], b - more[1], center, half)
    mixed = DistortionCorrection(rest, TableCorrection(dx + px + 0.3, dy + py, shape=shape), shape=shape)
    x, y = rng.uniform(0, 511, 500), rng.uniform(0, 255, 500)
    one, other = (SplineBase(*smooth_part(c)) for c in (small, mixed))
    apart = other.delta(x, y) - one.delta(x, y)
    # what is constant beyond the outermost nodes is no polynomial
    assert np.abs(apart - np.array([[0.3], [0.0]])).max() < 0.1
    assert np.abs(rest.delta(x, y)[0] - whole.delta(x, y)[0]).max() > 1.0
    # nothing smooth is left
    grid = np.meshgrid(np.linspace(0, 511, 128), np.linspace(0, 255, 128))
    left = np.stack(small.forward(*grid)) - np.stack(one.forward(*grid))
    assert abs(left.mean()) < 1e-9
    assert np.abs(np.mean(left * (grid[0] - 255.5), axis=(1, 2))).max() < 1e-6
    assert np.abs(np.mean(left * (grid[1] - 127.5) ** 3, axis=(1, 2))).max() < 1e-3
