"""Matching of lists: nearest pairs against a tree, blind matching by triangles, and what it refuses."""

import numpy as np
import pytest
from scipy.spatial import cKDTree

from jwst_hpastrom.errors import NoOverlapError, NotEnoughStarsError
from jwst_hpastrom.geometry import match_blind, match_nearest


def field(rng, n=3000, size=2048.0):
    return rng.uniform(0, size, n), rng.uniform(0, size, n), rng.uniform(-8, -2, n)


def turned(x, y, degrees, shift, center=1024.0, scale=1.0):
    c, s = scale * np.cos(np.deg2rad(degrees)), scale * np.sin(np.deg2rad(degrees))
    dx, dy = x - center, y - center
    return c * dx - s * dy + center + shift[0], s * dx + c * dy + center + shift[1]


def test_nearest_pairs_are_mutual():
    x1, y1 = np.array([0.0, 0.3, 5.0, np.nan]), np.zeros(4)
    x2, y2 = np.array([0.1, 5.2, 9.0]), np.zeros(3)
    i, j, d = match_nearest(x1, y1, x2, y2, 1.0)
    assert i.tolist() == [0, 2]
    assert j.tolist() == [0, 1]
    np.testing.assert_allclose(d, [0.1, 0.2])


@pytest.mark.parametrize("radius", [0.01, 1.0, 30.0, 5000.0])
def test_nearest_against_tree(radius):
    rng = np.random.default_rng(0)
    a, b = rng.uniform(0, 500, (700, 2)), rng.uniform(-50, 400, (900, 2))
    a[:200] = b[:200] + rng.normal(0, radius / 3, (200, 2))
    d12, to2 = cKDTree(b).query(a, distance_upper_bound=radius)
    _, to1 = cKDTree(a).query(b, distance_upper_bound=radius)
    expected = [(i, to2[i]) for i in np.flatnonzero(np.isfinite(d12)) if to1[to2[i]] == i]
    i, j, d = match_nearest(*a.T, *b.T, radius)
    assert list(zip(i, j, strict=True)) == expected
    np.testing.assert_allclose(d, d12[i])


def test_nearest_of_empty_lists():
    i, j, d = match_nearest(np.zeros(0), np.zeros(0), np.arange(3.0), np.arange(3.0), 1.0)
    assert i.size == j.size == d.size == 0


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("density", [300, 20000])
def test_blind_finds_five_arcsec_and_one_degree(seed, density):
    rng = np.random.default_rng(seed)
    x, y, mag = field(rng, density)
    shift = rng.uniform(-76, 76, 2)  # 5 arcsec in NIRISS pixels
    u, v = turned(x, y, rng.uniform(-1, 1), shift)
    noise = rng.normal(0, 0.02, (2, x.size))
    other = rng.uniform(size=x.size) < 0.8  # a fifth not found again, as many others instead
    far = field(rng, density // 5)
    u, v = np.r_[(u + noise[0])[other], far[0]], np.r_[(v + noise[1])[other], far[1]]
    mag2 = np.r_[(mag + rng.normal(0, 0.7, x.size))[other], far[2]]  # another filter
    found = match_blind(x, y, u, v, mag1=mag, mag2=mag2, max_shift=110.0, max_rotation=1.5)
    a, b = found.transform.forward(x[other], y[other])
    assert np.hypot(a - u[: other.sum()], b - v[: other.sum()]).max() < 0.15
    assert found.i1.size > 0.9 * other.sum()
    assert found.rms < 0.03


def test_blind_with_any_rotation_and_scale():
    rng = np.random.default_rng(5)
    x, y, mag = field(rng, 1500)
    u, v = turned(x, y, 140.0, (4000.0, -2500.0), scale=1.02)
    found = match_blind(x, y, u, v, mag1=mag, mag2=mag, max_rotation=180, scale_tolerance=0.03)
    assert found.transform.rotation == pytest.approx(140.0, abs=1e-3)
    assert found.transform.scale == pytest.approx(1.02, abs=1e-5)


def test_blind_mirrored():
    rng = np.random.default_rng(6)
    x, y, mag = field(rng, 500)
    u, v = turned(-x, y, 7.0, (300.0, 20.0))
    found = match_blind(x, y, u, v, mag1=mag, mag2=mag, max_rotation=10, parity=-1)
    assert found.i1.size == x.size


def test_blind_with_few_stars():
    rng = np.random.default_rng(7)
    x, y, mag = field(rng, 9)
    u, v = turned(x, y, 0.8, (60.0, -40.0))
    found = match_blind(x, y, u[:8], v[:8], mag1=mag, mag2=mag[:8], max_shift=100, max_rotation=1.2)
    assert found.i1.tolist() == found.i2.tolist() == list(range(8))


@pytest.mark.parametrize("n", [12, 400, 20000])
def test_wrong_field_is_refused(n):
    rng = np.random.default_rng(8)
    for _ in range(3):
        a, b = field(rng, n), field(rng, n)
        with pytest.raises(NoOverlapError, match="offset that stands out"):
            match_blind(*a[:2], *b[:2], mag1=a[2], mag2=b[2], max_shift=110.0, max_rotation=1.5)


def test_wrong_clustered_field_is_refused():
    rng = np.random.default_rng(9)
    lists = [rng.normal(1024, 150, (2, 4000)) for _ in range(2)]  # two clusters, center on center
    with pytest.raises(NoOverlapError):
        match_blind(*lists[0], *lists[1], max_shift=110.0, max_rotation=1.5)


def test_too_short_a_list():
    with pytest.raises(NotEnoughStarsError, match="found lists of 3 and 3 stars"):
        match_blind(np.arange(3.0), np.arange(3.0), np.arange(3.0), np.arange(3.0))
