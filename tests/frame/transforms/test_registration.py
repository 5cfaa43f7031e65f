"""First transformations where little is in common: small subarrays, dithers of half their size."""

import numpy as np
import pytest

from jwst_hpastrom.errors import NoOverlapError, OrientationError
from jwst_hpastrom.frame.transforms.registration import align

LIMITS = {"max_shift": 300.0, "max_rotation": 0.3}


def two_lists(seed, common=7, others=64, size=200.0):
    """Lists of a small field with some stars in common, the second 3 and 2 pixels off."""
    rng = np.random.default_rng(seed)
    x, y = rng.uniform(0, size, (2, common + 2 * others))
    mag = rng.uniform(-8, -3, x.size)
    first, second = np.arange(common + others), np.r_[:common, common + others : x.size]
    noise = rng.normal(0, 0.02, (2, second.size))
    return (x[first], y[first], mag[first], x[second] + 3 + noise[0], y[second] - 2 + noise[1], mag[second])


@pytest.mark.parametrize("seed", range(5))
def test_a_good_wcs_finds_what_is_lost_in_a_wide_search(seed):
    found = align(*two_lists(seed), **LIMITS)
    assert np.sum((found.i1 == found.i2) & (found.i1 < 7)) == 7
    np.testing.assert_allclose(found.transform.forward(100.0, 100.0), (103.0, 98.0), atol=0.2)


@pytest.mark.parametrize("seed", range(10))
def test_lists_with_nothing_in_common_are_refused(seed):
    with pytest.raises(NoOverlapError, match="stands out from chance"):
        align(*two_lists(seed, common=0), **LIMITS)


@pytest.mark.parametrize(
    ("how", "matrix"),
    [
        ("mirrored", [[-0.8, 0.6], [0.6, 0.8]]),
        ("mirrored", [[0, 1], [1, 0]]),
        ("by 90 degrees", [[0, -1], [1, 0]]),
    ],
)
@pytest.mark.parametrize("few_radius", [None, 2.0])
def test_a_list_that_is_mirrored_or_turned_is_said_to_be(how, matrix, few_radius):
    x, y, mag, *second = two_lists(3, common=60)
    turned = np.array(matrix) @ [x - 100.0, y - 100.0]
    with pytest.raises(OrientationError, match=how):
        align(*(turned + 100.0), mag, *second, few_radius=few_radius, **LIMITS)


def test_a_list_that_is_farther_off_than_allowed_is_said_to_be():
    x, y, mag, *second = two_lists(4, common=60)
    limits = LIMITS | {"max_shift": 20.0}
    with pytest.raises(NoOverlapError, match="the same stars 47 pixels away.*larger max_shift"):
        align(x + 50.0, y, mag, *second, **limits)
