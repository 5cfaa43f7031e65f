"""Arithmetic of the kinds of pairs, against twins in numpy."""

import numpy as np
import pytest
from scipy.special import gammaln

from jwst_hpastrom.geometry.wrong_pairs import _kernels as kernels
from jwst_hpastrom.geometry.wrong_pairs._kernels import ALIKE, FACTORS, GOOD, NEAREST, STRAY


def case(seed, n=14, q=6):
    """Design, data and kinds; the first are alike, the last stray."""
    rng = np.random.default_rng(seed)
    design, kind = np.zeros((2, n, q)), np.full(n, GOOD)
    place = np.stack([np.ones(n), *rng.uniform(-0.5, 0.5, (2, n))], 1)
    if q == 6:
        design[0, :, :3] = design[1, :, 3:] = place
    else:
        one, p, s = place.T
        design[0, :, 0], design[0, :, 2], design[0, :, 3] = one, p, -s
        design[1, :, 1], design[1, :, 2], design[1, :, 3] = one, s, p
    data = rng.normal(0, 1, (2, n))
    kind[:3], kind[-2:] = ALIKE, STRAY
    data[0, :3] += 9.0
    data[:, -2:] += rng.normal(0, 20, (2, 2))
    return design, data, kind


def twin(design, data, kind):
    """Parameters, residuals without the shift, and the evidence, by numpy."""
    n, q = design.shape[1:]
    columns = np.concatenate([design, np.zeros((2, n, 2))], axis=2)
    for axis in (0, 1):
        columns[axis, :, q + axis] = kind == ALIKE
    if not np.any(kind == ALIKE):
        columns = design
    used = kind != STRAY
    a, b = columns[:, used].reshape(-1, columns.shape[2]), data[:, used].ravel()
    beta = np.linalg.lstsq(a, b, rcond=None)[0]
    rss, dof = np.sum((b - a @ beta) ** 2), b.size - beta.size
    z = data - design @ beta[:q]
    least = NEAREST**2 * rss / dof
    shift = [np.sum(beta[q:] ** 2)] if beta.size > q else []
    off = [np.sum(z[:, kind == STRAY] ** 2, axis=0), shift]
    value = gammaln(dof / 2) - dof / 2 * np.log(np.pi * rss) - 0.5 * np.linalg.slogdet(a.T @ a)[1]
    value -= np.sum(np.log(2 * np.pi * FACTORS * np.maximum(np.concatenate(off), least)))
    return beta, z, value


@pytest.mark.parametrize("q", [4, 6])
@pytest.mark.parametrize("alike", [True, False])
def test_fits_and_evidence(q, alike):
    design, data, kind = case(3, q=q)
    kind[kind == ALIKE] = ALIKE if alike else STRAY
    beta, z = np.empty(q + 2), np.empty(data.shape)
    found = kernels.fit(design, data, kind, beta, z)
    expected, residuals, value = twin(design, data, kind)
    np.testing.assert_allclose(beta[: expected.size], expected, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(z, residuals, rtol=1e-9, atol=1e-12)
    assert kernels.evidence(z, beta[q:], kind, *found) == pytest.approx(value, rel=1e-10)


def test_alike_ones_are_the_largest_group_of_wrong_ones():
    z, kind = np.zeros((2, 8)), np.array([GOOD, GOOD, ALIKE, STRAY, STRAY, STRAY, STRAY, STRAY])
    z[0] = 0.0, 0.5, 40.0, 9.0, 10.0, 11.0, -20.0, 0.2
    kernels.group_alike(z, kind, 1.0)
    assert kind.tolist() == [GOOD, GOOD, STRAY, ALIKE, ALIKE, ALIKE, STRAY, STRAY]
    kernels.group_alike(z[:, [0, 1, 2, 6]], kind[[0, 1, 2, 6]], 1.0)  # no two are near each other


def test_likeliest_kinds():
    z, kind = np.zeros((2, 6)), np.array([GOOD, GOOD, GOOD, ALIKE, ALIKE, STRAY])
    z[0] = 0.0, 8.5, -30.0, 9.0, 10.0, 1.0
    assert kernels.likeliest(z, np.array([9.5, 0.0]), 1.0, kind)
    assert kind.tolist() == [GOOD, ALIKE, STRAY, ALIKE, ALIKE, GOOD]
    assert not kernels.likeliest(z, np.array([9.5, 0.0]), 1.0, kind)


def test_starts_settle():
    """From all pairs, and from a handful of good ones, to kinds that are their own fit's likeliest."""
    design, data, kind = case(5, n=24)
    starts = np.full((2, 24), STRAY)
    starts[0], starts[1, 10:14] = GOOD, GOOD
    values = np.empty(2)
    kernels.settle(design, data, np.array([0, 10]), 1e-9, starts, values)
    best = starts[np.argmax(values)]
    assert np.all((best == GOOD) == (kind == GOOD))
    assert values.max() == pytest.approx(twin(design, data, best)[2], rel=1e-10)
