"""Groups, cells and bins against their definitions in plain loops."""

from itertools import pairwise

import numpy as np
import pytest

from jwst_hpastrom.numerics import bin_index, cell_index, group_means, groups, rows_by_group, sort_into_groups
from jwst_hpastrom.numerics.groups import larger_half, without_linear


def group_means_twin(group, values, weights, n_groups, sigma):
    """The slow, obvious way."""
    out = np.full((n_groups, 5), np.nan)
    for g in range(n_groups):
        ok = (group == g) & np.isfinite(values) & (weights > 0)
        v, w = values[ok], weights[ok]
        out[g, 3], out[g, 4] = v.size, 0
        if not v.size:
            continue
        keep = np.ones(v.size, bool)
        for _ in range(10):
            if keep.sum() < 3:
                break
            middle = np.median(v[keep])
            scale = max(1.4826 * np.median(np.abs(v[keep] - middle)), np.median(1 / np.sqrt(w[keep])))
            new = np.abs(v - middle) <= sigma * scale
            if np.array_equal(new, keep):
                break
            keep = new
        mean = np.average(v[keep], weights=w[keep])
        out[g, 0], out[g, 2], out[g, 4] = mean, w[keep].sum() ** -0.5, keep.sum()
        if keep.sum() > 1:
            variance = np.average((v[keep] - mean) ** 2, weights=w[keep])
            out[g, 1] = np.sqrt(variance * keep.sum() / (keep.sum() - 1))
    return out


def test_group_means_equal_the_obvious_way():
    rng = np.random.default_rng(1)
    n, n_groups = 3000, 300
    group = rng.integers(-1, n_groups, n)
    values = rng.normal(0, 1, n) + np.where(rng.uniform(size=n) < 0.05, 30.0, 0.0)
    values[rng.integers(0, n, 20)] = np.nan
    weights = rng.uniform(0.5, 2, n)
    keep = np.zeros(n, bool)
    got = group_means(group, values, weights, n_groups, sigma=3.0, keep=keep)
    want = group_means_twin(group, values, weights, n_groups, 3.0)
    fields = (got.mean, got.rms, got.formal, got.n_found, got.n_used)
    for k, column in enumerate(fields):
        np.testing.assert_allclose(column, want[:, k], rtol=1e-12, atol=1e-14)
    assert keep.sum() == got.n_used.sum()
    assert not keep[group < 0].any()


def test_cells_cover_the_pixels_evenly():
    x = np.arange(-0.5, 2047.51, 0.25)
    cell = cell_index(x, 64, 2048)
    assert (np.bincount(cell) >= 128).all()
    np.testing.assert_array_equal(cell[x < 31.5], 0)
    np.testing.assert_array_equal(cell_index(np.array([31.4, 31.5, -9.0, 5000.0]), 64, 2048), [0, 1, 0, 63])


def test_bins_start_at_zero():
    np.testing.assert_array_equal(bin_index(np.array([-3.0, 0.0, 1.9, 2.0, 99.0]), 2.0, 5), [0, 0, 0, 1, 4])


def test_sorting_into_groups_keeps_their_order():
    group = np.array([2, 0, -1, 2, 0, 3])
    order, start = sort_into_groups(group, 5)
    found = [order[a:b].tolist() for a, b in pairwise(start)]
    assert found == [[1, 4], [], [0, 3], [5], []]


def test_rows_of_groups_leave_none_out():
    group = np.array([2, -1, 0, 2, 1, 2, 0, 3, -5])
    found = rows_by_group(group, 3)
    assert [rows.tolist() for rows in found] == [np.flatnonzero(group == g).tolist() for g in range(3)]
    assert [rows.tolist() for rows in rows_by_group(np.array([-1, 3]), 3)] == [[], [], []]


def test_the_larger_half_is_that_of_each_magnitude():
    rng = np.random.default_rng(4)
    mag = rng.uniform(14, 22, 600)
    excess = rng.uniform(1, 2, mag.size)
    large = larger_half(mag, excess * 10 ** (0.4 * (mag - 18)), n_bins=12)
    assert large.sum() == 300
    for rows in np.array_split(np.argsort(mag), 12):
        assert large[rows].sum() == rows.size // 2  # not the faint ones: each bin has its own median
    few = larger_half(mag[:39], mag[:39])  # too few for two bins
    assert few.tolist() == (mag[:39] > np.median(mag[:39])).tolist()
    assert larger_half(mag[:40], mag[:40])[np.argsort(mag[:40])[:20]].sum() == 10


def test_what_is_linear_goes_group_by_group():
    rng = np.random.default_rng(5)
    x, y, bent = rng.uniform(-3, 3, (3, 300))
    group = rng.integers(0, 2, 300)
    left = [bent.copy(), 2 * bent]
    added = np.where(group == 0, 4 + 2 * x - y, -7 + 0.5 * x + 9 * y)
    both = [bent + added, 2 * bent - added]
    without_linear(left, group, x, y)
    without_linear(both, group, x, y)
    np.testing.assert_allclose(both, left, atol=1e-12)
    for g in (0, 1):
        mine = group == g
        assert np.abs([left[0][mine].sum(), left[0][mine] @ x[mine], left[0][mine] @ y[mine]]).max() < 1e-9


@pytest.mark.parametrize("rows", [7, 1000])
def test_quadratic_sums_are_those_of_dense_rows(monkeypatch, rows):
    monkeypatch.setattr(groups, "ROWS", rows)
    rng = np.random.default_rng(1)
    star, exposure, weight = rng.integers(0, 30, 200), rng.integers(0, 9, 200), rng.uniform(0.1, 1e6, 200)
    star[star == 5] = 6  # an empty group
    matrix, dense = rng.normal(size=(9, 9)), np.zeros((30, 9))
    np.add.at(dense, (star, exposure), weight)
    found = groups.quadratic_sums(star, exposure, weight, 30, matrix)
    np.testing.assert_allclose(found, np.einsum("ij,jk,ik->i", dense, matrix, dense))
    assert found[5] == 0
