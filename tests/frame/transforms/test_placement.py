"""Detectors' changes parted from the pointings'."""

import numpy as np
import pytest

from jwst_hpastrom.frame.transforms.placement import solve_placement

CENTERS = np.array([[-122.4, -457.7], [-122.7, -525.4], [-54.6, -457.7], [-54.4, -525.6]])


def exposures(rng, changes, attitudes, sigma):
    """Changes of four detectors in some pointings, with noise."""
    which = np.tile(np.arange(4), len(attitudes))
    pointing = np.repeat(np.arange(len(attitudes)), 4)
    arm = CENTERS[which] - CENTERS.mean(0)
    out = changes[which].copy()
    a = attitudes[pointing]
    out[:, 0] += a[:, 0] - a[:, 2] * arm[:, 1]
    out[:, 1] += a[:, 1] + a[:, 2] * arm[:, 0]
    out[:, 2] += a[:, 2]
    return out + rng.normal(0, 1, out.shape) * sigma, which, pointing


def gauged(changes):
    """Changes without mean shift and common rotation of the middles."""
    out, arm = changes.copy(), CENTERS - CENTERS.mean(0)
    out[:, :2] -= out[:, :2].mean(0)
    turn = np.sum(arm[:, 0] * out[:, 1] - arm[:, 1] * out[:, 0]) / np.sum(arm**2)
    out[:, 0] += turn * arm[:, 1]
    out[:, 1] -= turn * arm[:, 0]
    out[:, 2] -= turn
    return out


def test_places_and_their_errors():
    sigma = np.array([3e-5, 3e-5, 1e-6, 1e-6])
    pulls = []
    for seed in range(40):
        rng = np.random.default_rng(seed)
        true = rng.normal(0, 1, (4, 4)) * [5e-3, 5e-3, 2e-5, 2e-5]
        attitudes = rng.normal(0, 1, (4, 3)) * [1.0, 1.0, 1e-4]
        changes, which, pointing = exposures(rng, true, attitudes, sigma)
        found = solve_placement(
            changes, np.diag(np.tile(sigma**2, 16)), which, pointing, CENTERS, absolute_scale=True
        )
        error = np.sqrt(np.diag(found.covariance)).reshape(4, 4)
        pulls.append((found.changes - gauged(true)) / error)
    assert 0.93 < np.std(pulls) < 1.07
    assert np.all(np.abs(np.std(pulls, axis=(0, 1)) - 1) < 0.2)


def test_what_all_share_is_the_pointings():
    rng = np.random.default_rng(0)
    attitudes = np.array([[1.0, -2.0, 1e-4], [0.5, 0.3, -2e-4]])
    changes, which, pointing = exposures(rng, np.zeros((4, 4)), attitudes, 0.0)
    found = solve_placement(changes, 1e-10 * np.eye(32), which, pointing, CENTERS, absolute_scale=False)
    np.testing.assert_allclose(found.changes, 0.0, atol=1e-7)
    np.testing.assert_allclose(found.attitudes, attitudes, atol=1e-7)


def test_table():
    rng = np.random.default_rng(1)
    changes = np.zeros((4, 4))
    changes[1] = [2e-3, 0.0, 0.0, 1e-5]
    data, which, pointing = exposures(rng, changes, np.zeros((2, 3)), 0.0)
    found = solve_placement(data, 1e-10 * np.eye(32), which, pointing, CENTERS, absolute_scale=True)
    table = found.table(["NRCB1", "NRCB2", "NRCB3", "NRCB4"])
    assert table["scale"][1] == pytest.approx(1e-5)
    assert table["v2"][0] == pytest.approx(CENTERS[0, 0] + table["dv2"][0] / 1e3)
    assert all(np.all(table[f"{c}_error"] > 0) for c in ("dv2", "dv3", "turn", "scale"))
