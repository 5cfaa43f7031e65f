"""Numba kernel for stars of few epochs: every choice of bad epochs, its likelihood and its line."""

from typing import NamedTuple

import numpy as np
from numba import njit

from jwst_hpastrom.numerics.cholesky_kernels import factor, small_inverse


class FewEpochs(NamedTuple):
    """Stars of few epochs: positions and variances (mas), and their linear terms."""

    y: np.ndarray  # (n, 2, e)
    variance: np.ndarray
    extra: np.ndarray  # (n or 0, 2, e, e) added covariance
    use: np.ndarray  # (n, e)
    basis: np.ndarray  # (n, k, e) polynomial of an axis
    shared: np.ndarray  # (0 or 1, 2, e) terms with one coefficient for both axes


@njit(cache=True, nogil=True)
def choices(data, most, factors, loglik, beta, cov):
    """Fit each star with each choice of bad epochs, whose variances are larger by 1 + factor².

    data: `FewEpochs`. Stars with more than ``most`` epochs in use are left out. Choice 0 is none, choice 1
    + f (2^most − 1) + (mask − 1) the epochs in use that the bits of mask name, with factor f. Outputs are
    overwritten: loglik (n, c), −inf where there is no such choice; beta (n, c, q), cov (n, c, q, q), both
    with a flat prior.
    """
    y, variance, extra, use, basis, shared = data
    k = basis.shape[1]
    q = 2 * k + shared.shape[0]
    masks = (1 << most) - 1
    normal, right = np.empty((q, q)), np.empty(q)
    for s in range(y.shape[0]):
        loglik[s, :] = -np.inf
        idx = np.flatnonzero(use[s])
        n = idx.size
        if n < 1 or n > most or 2 * n < q:
            continue
        c, rows = np.empty((n, n)), np.empty((q + 1, n))
        for choice in range(loglik.shape[1]):
            mask = 0 if choice == 0 else (choice - 1) % masks + 1
            if mask >= 1 << n:
                continue
            wide = 0.0 if choice == 0 else factors[(choice - 1) // masks] ** 2
            normal[:, :], right[:], quadratic, logdet = 0.0, 0.0, 0.0, 0.0
            for axis in range(2):
                for i in range(n):
                    for j in range(n):
                        c[i, j] = extra[s, axis, idx[i], idx[j]] if extra.shape[0] > 0 else 0.0
                    v = variance[s, axis, idx[i]]
                    c[i, i] += v * (1.0 + wide) if mask >> i & 1 else v
                    rows[:, i] = 0.0
                    for r in range(k):
                        rows[axis * k + r, i] = basis[s, r, idx[i]]
                    for r in range(shared.shape[0]):
                        rows[2 * k + r, i] = shared[r, axis, idx[i]]
                    rows[q, i] = y[s, axis, idx[i]]
                logdet += factor(c, n, rows, q + 1)
                for i in range(n):
                    quadratic += rows[q, i] ** 2
                    for r in range(q):
                        right[r] += rows[r, i] * rows[q, i]
                        for t in range(q):
                            normal[r, t] += rows[r, i] * rows[t, i]
            if not (np.isfinite(logdet) and small_inverse(normal, q, cov[s, choice])):
                continue
            for r in range(q):
                beta[s, choice, r] = 0.0
                for t in range(q):
                    beta[s, choice, r] += cov[s, choice, r, t] * right[t]
                quadratic -= beta[s, choice, r] * right[r]
            logdet += factor(normal, q, rows, 0)
            loglik[s, choice] = -0.5 * (quadratic + logdet)
