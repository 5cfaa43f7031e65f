"""Terms shrunk by a size that the stars tell: their errors are errors."""

import numpy as np
import pytest

from jwst_hpastrom.distortion.shrunk import shrunk_fit
from jwst_hpastrom.geometry import polynomial_terms


@pytest.mark.parametrize("n", [10, 30])
def test_stated_errors_are_errors(n):
    """Distortions as the law has them, of twice the documented size."""
    order = np.repeat([i + j for i, j in polynomial_terms(5, 2)], 2)
    z = []
    for seed in range(40):
        rng = np.random.default_rng([seed, n])
        p, q = rng.uniform(-1, 1, (2, n + 200))
        one, none = np.ones(p.size), np.zeros(p.size)
        free = np.stack([np.stack([one, none, p, -q], 1), np.stack([none, one, q, p], 1)])
        each = [p**i * q**j / (i + j) for i, j in polynomial_terms(5, 2)]
        terms = np.stack([np.stack(c) for t in each for c in ((t, none), (none, t))], -1)
        true = terms @ rng.normal(0, 2.0, order.size) + rng.normal(0, 0.3, (2, p.size))
        data = true + rng.normal(0, 0.1, true.shape)
        fit = shrunk_fit(free[:, :n], terms[:, :n], data[:, :n], np.full(n, 0.01), 1.0)
        columns = np.concatenate([free, terms], 2)[:, n:]
        variance = np.einsum("anj,jk,ank->an", columns, fit.covariance, columns) + fit.structure
        z.append((columns @ fit.coefficients - true[:, n:]) / np.sqrt(variance))
    assert 0.85 < np.sqrt(np.mean(np.square(z))) < 1.15
