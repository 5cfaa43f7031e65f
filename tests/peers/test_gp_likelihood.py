"""The Gaussian-process core against tinygp and scikit-learn: likelihood and leave-one-out."""

import numpy as np
import pytest

from jwst_hpastrom.motion.kinematic_models import fill
from jwst_hpastrom.motion.star_fits import _gp_kernels as core
from jwst_hpastrom.motion.star_fits.models import MODEL_CODES

T = np.array([-5.51, -4.31, -3.4, -1.9, 2.11, 3.16, 3.67, 3.7, 4.22, 6.14, 7.62])
GROUP = np.array([0, 0, 0, 1, 1, 1, 0, 0, 1, 1, 0])
A, TAU = 1.3, 2.1
PRIOR = 3.0  # sd of the line's coefficients: finite, so that the peers can hold it


def problem():
    rng = np.random.default_rng(8)
    error = rng.uniform(0.1, 0.5, T.size)
    return error, rng.normal(size=T.size) + 0.5 * T


def ours(model, y, noise, prior):
    """Likelihood, leave-one-out means and variances; the line as a prior in the noise, or projected out."""
    n = T.size
    k, dk = np.zeros((n, n)), np.zeros((2, n, n))
    fill(MODEL_CODES[model], T, GROUP, np.zeros(5), np.log([A, TAU]), k, dk, False)
    h = np.zeros((0, n)) if prior is not None else np.stack([np.ones(n), T])
    total = k + np.diag(noise**2)
    if prior is not None:
        total = total + prior**2 * (1 + np.outer(T, T))
    p = len(h)
    value = core.log_likelihood(total.copy(), n, h, p, y, np.empty((p + 1, n)))
    proj = np.empty((n, n))
    assert core.project(total.copy(), n, h, p, y, proj, np.empty(p), np.empty((p, p)))
    variance = 1 / np.diag(proj)
    return value, y - proj @ y * variance, variance


def tinygp_kernel(model):
    jax = pytest.importorskip("jax")
    jax.config.update("jax_enable_x64", True)
    tinygp = pytest.importorskip("tinygp")
    line = tinygp.kernels.Polynomial(order=1, scale=1.0, sigma=1.0) * PRIOR**2
    if model == "sqexp":
        return line + A**2 * tinygp.kernels.ExpSquared(scale=np.sqrt(2) * TAU)
    if model == "step":
        tent = tinygp.kernels.Custom(
            lambda a, b: jax.numpy.maximum(0.0, 1 - jax.numpy.abs(a[0] - b[0]) / TAU)
        )
        return line + A**2 * tent
    return line


@pytest.mark.parametrize("model", ["poly", "sqexp", "step", "additive"])
def test_tinygp(model):
    kernel = tinygp_kernel(model)
    import tinygp

    error, y = problem()
    diag = error**2 + (A**2 if model == "additive" else 0.0)
    value, mean, variance = ours(model, y, error, PRIOR)
    x = T[:, None]
    gp = tinygp.GaussianProcess(kernel, x, diag=diag)
    assert float(gp.log_probability(y)) == pytest.approx(value, abs=1e-8)
    for i in range(T.size):
        keep = np.arange(T.size) != i
        part = tinygp.GaussianProcess(kernel, x[keep], diag=diag[keep])
        conditioned = part.condition(y[keep], x[i : i + 1]).gp
        assert float(conditioned.loc[0]) == pytest.approx(mean[i], abs=1e-8)
        assert float(conditioned.variance[0]) + diag[i] == pytest.approx(variance[i], abs=1e-6)
        exact = _conditional_variance(np.asarray(kernel(x, x)) + np.diag(diag), i)
        assert exact == pytest.approx(variance[i], abs=1e-8)


def _conditional_variance(k, i):
    keep = np.arange(len(k)) != i
    return k[i, i] - k[i, keep] @ np.linalg.solve(k[np.ix_(keep, keep)], k[keep, i])


@pytest.mark.parametrize("model", ["sqexp", "additive", "group"])
def test_scikit_learn(model):
    gaussian_process = pytest.importorskip("sklearn.gaussian_process")
    kernels = gaussian_process.kernels
    error, y = problem()
    value, mean, variance = ours(model, y, error, PRIOR)
    # Inputs: the time, and the group, which a very short length keeps apart.
    x = np.stack([T, GROUP.astype(float)], -1)
    extra = np.zeros(T.size)
    if model == "sqexp":
        system = A**2 * kernels.RBF([np.sqrt(2) * TAU, 1e9], "fixed")
    elif model == "group":
        system = A**2 * kernels.RBF([1e9, 1e-3], "fixed")
    else:
        system, extra = None, np.full(T.size, A**2)

    class Line(kernels.DotProduct):
        """1 + t t', on the time alone."""

        def __call__(self, a, b=None, eval_gradient=False):
            return 1.0 + np.outer(a[:, 0], (a if b is None else b)[:, 0])

        def diag(self, a):
            return 1.0 + a[:, 0] ** 2

    line = kernels.ConstantKernel(PRIOR**2, "fixed") * Line(1.0, "fixed")
    kernel = line if system is None else line + system

    def regressor(keep):
        gp = gaussian_process.GaussianProcessRegressor(kernel, alpha=(error**2 + extra)[keep], optimizer=None)
        return gp.fit(x[keep], y[keep])

    assert regressor(np.ones(T.size, bool)).log_marginal_likelihood_value_ == pytest.approx(value, abs=1e-8)
    for i in range(T.size):
        m, s = regressor(np.arange(T.size) != i).predict(x[i : i + 1], return_std=True)
        assert m[0] == pytest.approx(mean[i], abs=1e-8)
        assert s[0] ** 2 + error[i] ** 2 + extra[i] == pytest.approx(variance[i], abs=1e-8)


@pytest.mark.parametrize("model", ["poly", "sqexp", "step", "additive", "group"])
def test_projection_is_the_limit_of_a_broad_prior(model):
    error, y = problem()
    value, mean, variance = ours(model, y, error, None)
    broad = 3e3
    v, m, s = ours(model, y, error, broad)
    assert v + 2 * np.log(broad) + np.log(2 * np.pi) == pytest.approx(value, abs=1e-4)
    np.testing.assert_allclose(m, mean, atol=1e-5)
    np.testing.assert_allclose(s, variance, rtol=1e-5)


def test_projected_leave_one_out_equals_contrasts():
    """Without the polynomial the likelihood is that of N − 2 error contrasts (restricted likelihood)."""
    error, y = problem()
    value, _, _ = ours("sqexp", y, error, None)
    h = np.stack([np.ones(T.size), T])
    q = np.linalg.svd(h)[2][2:]
    k = A**2 * np.exp(-((T[:, None] - T) ** 2) / (4 * TAU**2)) + np.diag(error**2)
    c = q @ k @ q.T
    z = q @ y
    contrast = -0.5 * (z @ np.linalg.solve(c, z) + np.linalg.slogdet(c)[1] + z.size * np.log(2 * np.pi))
    assert value == pytest.approx(contrast - 0.5 * np.linalg.slogdet(h @ h.T)[1], abs=1e-9)
