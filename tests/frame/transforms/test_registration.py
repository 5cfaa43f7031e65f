"""First transformations where little is in common: small subarrays, dithers of half their size."""

import numpy as np
import pytest
from astropy.table import Table

from jwst_hpastrom.errors import NoOverlapError, OrientationError
from jwst_hpastrom.frame import build_master
from jwst_hpastrom.frame.transforms.registration import _in_turn, align
from jwst_hpastrom.geometry import TangentPlane

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


def test_exposures_follow_the_ones_that_they_share_most_with():
    shared = np.full((5, 5), 0.9)
    shared[:2, 2:] = shared[2:, :2] = 0.1
    shared[0, 4] = shared[4, 0] = 0.3
    assert _in_turn(shared, [2, 0, 3, 1, 4]) == [2, 3, 4, 0, 1]
    # where all share much the order is as it was
    assert _in_turn(np.full((3, 3), 0.8), [1, 2, 0]) == [1, 2, 0]


PIXEL = 65.6


def exposure(rng, plane, stars, pointing, name):
    """Star list of an exposure at a pointing (arcsec), its WCS off by some 0.3 arcsec; mag tells the star."""
    (xi, eta), (a, b) = stars, pointing
    x, y = 1024 - (xi - a) * 1e3 / PIXEL, 1024 + (eta - b) * 1e3 / PIXEL
    s = np.flatnonzero((x > 0) & (x < 2048) & (y > 0) & (y < 2048))
    err = np.full(s.size, 0.005)
    x, y = x[s] + rng.normal(0, err), y[s] + rng.normal(0, err)
    shift = rng.normal(0, 0.3, 2)
    ra, dec = plane.to_sky(a - (x - 1024) * PIXEL / 1e3 + shift[0], b + (y - 1024) * PIXEL / 1e3 + shift[1])
    return Table(
        {"x": x, "y": y, "x_err": err, "y_err": err, "mag": s / 400 - 8.0, "mag_err": err, "ra": ra,
         "dec": dec, "flags": np.zeros(s.size, int)},
        meta={"filename": f"{name}_cal.fits", "filter": "", "epoch": 2022.3},
    )  # fmt: skip


@pytest.mark.parametrize("seed", range(3))
def test_tiles_that_share_a_corner_are_joined_by_their_neighbors(seed):
    """All tiles are as far from the middle: the second in the lists is diagonal to the first."""
    rng, plane = np.random.default_rng(seed), TangentPlane(80.0, -69.0)
    stars = rng.uniform(-70e3, 190e3, (2, 1600)) / 1e3
    pointings = [(0, 0), (120, 120), (120, 0), (0, 120)]
    lists = [exposure(rng, plane, stars, at, f"e{k}") for k, at in enumerate(pointings)]
    table = build_master(lists, min_exposures=1).table
    seen = sum(map(len, lists)) - len(table)
    assert seen > 0.9 * (
        sum(map(len, lists)) - np.unique(np.concatenate([np.asarray(t["mag"]) for t in lists])).size
    )
    assert np.median(table["x_rms"][table["n_used"] > 1]) * plane.scale_mas < 0.02 * PIXEL


@pytest.mark.parametrize("bad", range(4))
def test_an_exposure_of_another_field_is_named_and_no_other(bad):
    """The one in the middle, which the others are aligned to, too."""
    rng, plane = np.random.default_rng(5), TangentPlane(80.0, -69.0)
    stars, others = rng.uniform(-100, 100, (2, 2, 800))
    pointings = [(0, 0), (6, 0), (0, 6), (-6, -6)]
    lists = [
        exposure(rng, plane, others if k == bad else stars, at, f"e{k}") for k, at in enumerate(pointings)
    ]
    with pytest.raises(NoOverlapError, match=f"^e{bad}_cal"):
        build_master(lists, min_exposures=1)
