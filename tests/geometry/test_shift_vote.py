"""A few stars of a catalog among many detections."""

import numpy as np
import pytest

from jwst_hpastrom.errors import NoOverlapError, NotEnoughStarsError
from jwst_hpastrom.geometry import match_few, match_shift


def field(n, rng, *, shift=(0.0, 0.0), turn=0.0):
    """2000 detections on 130 arcsec, and n of them in another list, moved and turned."""
    x, y = rng.uniform(-65, 65, (2, 2000))
    k = rng.choice(2000, n, replace=False)
    c, s = np.cos(turn), np.sin(turn)
    u, v = c * x[k] - s * y[k] + shift[0], s * x[k] + c * y[k] + shift[1]
    return x, y, u + rng.normal(0, 1e-3, n), v + rng.normal(0, 1e-3, n), k


@pytest.mark.parametrize("n", [5, 12, 43])
@pytest.mark.parametrize("shift", [(0.3, 0.0), (-2.0, 2.2), (6.0, -5.0)])
def test_offsets_are_found(n, shift):
    x, y, u, v, k = field(n, np.random.default_rng(n), shift=shift, turn=2e-4)
    found = match_few(x, y, u, v, max_shift=10.0, radius=0.1)
    assert np.mean(found.i1 == k[found.i2]) > 0.9
    assert found.i1.size > 0.75 * n
    np.testing.assert_allclose(found.transform.forward(0.0, 0.0), shift, atol=0.02)


def test_another_field_is_refused():
    rng = np.random.default_rng(1)
    x, y, *_ = field(10, rng)
    for n in (4, 12, 43):
        with pytest.raises(NoOverlapError, match="larger max_shift"):
            match_shift(x, y, *rng.uniform(-65, 65, (2, n)), max_shift=10.0, radius=0.1)
    with pytest.raises(NotEnoughStarsError):
        match_shift(x, y, [0.0], [0.0], max_shift=1.0, radius=0.1)
    with pytest.raises(NoOverlapError):
        match_shift(x, y, [200.0] * 4, [200.0] * 4, max_shift=1.0, radius=0.1)
