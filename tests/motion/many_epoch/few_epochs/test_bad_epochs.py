"""Few epochs of which some are bad: pulls of what is not flagged, and the kernel against plain algebra."""

import numpy as np
import pytest

from jwst_hpastrom.motion import fit_motions
from jwst_hpastrom.motion.many_epoch.few_epochs._bad_epoch_kernels import FewEpochs, choices
from jwst_hpastrom.motion.many_epoch.few_epochs.bad_epochs import FACTORS, average_over_bad_epochs


def field(seed, n_epochs, share, wrong, n=800):
    """Stars at rest; bad measurements are off by ``wrong`` errors an axis, in any direction."""
    rng = np.random.default_rng(seed)
    t = np.linspace(2010.0, 2023.0, n_epochs) + rng.uniform(-1, 1, n_epochs)
    position, bad = rng.normal(0, 0.2, (2, n, n_epochs)), rng.random((n, n_epochs)) < share
    angle = rng.uniform(0, 2 * np.pi, bad.shape)
    position += bad * wrong * 0.2 * np.sqrt(2) * np.stack([np.cos(angle), np.sin(angle)])
    return t, position, np.full(position.shape, 0.2), bad


@pytest.mark.parametrize("wrong", [4.0, 6.0, 12.0, 30.0])
@pytest.mark.parametrize("n_epochs", [3, 4])
def test_pulls_of_what_is_not_ambiguous(n_epochs, wrong):
    pulls, plain, n = [], [], 0
    for seed in range(2):
        t, position, error, _ = field(seed, n_epochs, 0.1, wrong)
        fits = fit_motions(t, *position, *error, models="linear")
        found, bad = average_over_bad_epochs(fits, t, position, error)
        pulls.append((found.motion / found.motion_error)[~bad.ambiguous])
        plain.append(fits.motion / fits.motion_error)
        n += bad.ambiguous.size
        assert 0.08 < bad.share < (0.12 if wrong > 20 else 0.2)  # a bad one of few errors is hardly told
    pulls, plain = np.concatenate(pulls), np.concatenate(plain)
    assert np.mean(abs(plain) > 3) > 0.05
    assert np.mean(abs(pulls) > 3) < 0.01
    if len(pulls) > 300:
        usual = np.sort(abs(pulls), axis=None)[: -pulls.size // 500]  # two bad in line with a good one
        assert 0.8 < np.sqrt(np.mean(usual**2)) < 1.15
    if n_epochs == 4 and wrong > 10:
        assert len(pulls) > 0.9 * n


@pytest.mark.parametrize("n_epochs", [3, 4])
def test_good_measurements_lose_nothing(n_epochs):
    t, position, error, _ = field(5, n_epochs, 0.0, 0.0)
    fits = fit_motions(t, *position, *error, models="linear")
    found, bad = average_over_bad_epochs(fits, t, position, error)
    assert bad.share < 0.003
    assert not bad.ambiguous.any()
    assert np.median(found.motion_error / fits.motion_error) == pytest.approx(1, abs=0.01)
    assert np.std(found.motion / found.motion_error) == pytest.approx(1, abs=0.05)


def test_bad_epochs_are_named_and_not_used():
    t, position, error, bad = field(6, 4, 0.1, 30.0)
    fits = fit_motions(t, *position, *error, models="linear")
    found, told = average_over_bad_epochs(fits, t, position, error)
    one = (bad.sum(1) == 1) & ~told.ambiguous
    assert np.mean((told.probability > 0.5)[one] == bad[one]) > 0.98
    np.testing.assert_array_equal(found.used[one], told.probability[one] <= 0.5)
    assert np.isnan(found.loo_mean[:, 0][one][bad[one]]).mean() > 0.98


def test_two_epochs_alone_tell_nothing_and_learn_from_others():
    t, position, error, _ = field(7, 4, 0.1, 12.0)
    two = fit_motions(t[[0, 3]], *position[:, :, [0, 3]], *error[:, :, [0, 3]], models="linear")
    same, told = average_over_bad_epochs(two, t[[0, 3]], position[:, :, [0, 3]], error[:, :, [0, 3]])
    assert same is two
    assert np.isnan(told.share)
    use = np.ones(position.shape[1:], bool)
    use[::3, 1:3] = False
    fits = fit_motions(t, *position, *error, models="linear", use=use)
    found, told = average_over_bad_epochs(fits, t, position, error)
    assert told.ambiguous[::3].mean() > 0.5
    # factors in steps of two are a little wider than errors of one size
    assert 0.75 < np.std((found.motion / found.motion_error)[::3]) < 1.15


@pytest.mark.parametrize("parallax", [False, True])
def test_choices_are_the_plain_algebra(parallax):
    rng, most, n, e = np.random.default_rng(8), 3, 4, 5
    t = np.linspace(-5, 5, e)
    y, variance = rng.normal(0, 3, (n, 2, e)), rng.uniform(0.5, 2, (n, 2, e))
    root = rng.normal(0, 0.3, (n, 2, e, e))
    extra = root @ np.swapaxes(root, 2, 3)
    use = np.ones((n, e), bool)
    use[:, [1, 3]] = False
    use[1, 1], use[2, 4] = True, False  # four epochs: none of the choices; two
    basis = np.broadcast_to(np.stack([np.ones(e), t]), (n, 2, e)).copy()
    shared = rng.normal(0, 1, (1, 2, e))[: int(parallax)]
    q, c = 4 + int(parallax), 1 + FACTORS.size * (2**most - 1)
    loglik, beta, cov = np.empty((n, c)), np.zeros((n, c, q)), np.zeros((n, c, q, q))
    choices(FewEpochs(y, variance, extra, use, basis, shared), most, FACTORS, loglik, beta, cov)
    assert np.isneginf(loglik[1]).all()
    for s in (0, 2, 3):
        idx = np.flatnonzero(use[s])
        h = np.zeros((2 * idx.size, q))
        for axis in (0, 1):
            rows = slice(axis * idx.size, (axis + 1) * idx.size)
            h[rows, 2 * axis : 2 * axis + 2] = basis[s][:, idx].T
            h[rows, 4:] = shared[:, axis, idx].T
        for k in range(c):
            mask, wide = (0, 0.0) if k == 0 else ((k - 1) % 7 + 1, FACTORS[(k - 1) // 7] ** 2)
            if mask >= 2**idx.size or 2 * idx.size < q:
                assert np.isneginf(loglik[s, k])
                continue
            bad = (mask >> np.arange(idx.size)) & 1
            full = np.zeros((2 * idx.size, 2 * idx.size))
            for axis in (0, 1):
                rows = slice(axis * idx.size, (axis + 1) * idx.size)
                full[rows, rows] = extra[s, axis][np.ix_(idx, idx)]
                full[rows, rows] += np.diag(variance[s, axis, idx] * (1 + bad * wide))
            data, inverse = y[s][:, idx].ravel(), np.linalg.inv(full)
            v = np.linalg.inv(h.T @ inverse @ h)
            b = v @ (h.T @ inverse @ data)
            chi2 = data @ inverse @ data - b @ (h.T @ inverse @ data)
            expected = -0.5 * (chi2 + np.linalg.slogdet(full)[1] - np.linalg.slogdet(v)[1])
            assert loglik[s, k] == pytest.approx(expected, rel=1e-6, abs=1e-6)
            np.testing.assert_allclose(beta[s, k], b, rtol=1e-6, atol=1e-8)
            np.testing.assert_allclose(cov[s, k], v, rtol=1e-6, atol=1e-10)
