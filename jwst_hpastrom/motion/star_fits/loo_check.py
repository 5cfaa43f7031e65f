"""Are the leave-one-out residuals what the models expect? H25 §3.2.1, Fig. 4."""

import numpy as np

from jwst_hpastrom.errors import ParameterError
from jwst_hpastrom.motion.star_fits._star_kernels import (
    Star,
    evaluate,
    linear_terms,
    new_solution,
    velocity,
)

__all__ = ["expected_chi2_loo"]


def expected_chi2_loo(
    t,
    x_err,
    y_err,
    fits,
    *,
    group=None,
    extra_covariance=None,
    factors=None,
    recipe="model",
    n_draws=200,
    rng=None,
):
    """Draw the leave-one-out chi-square (H25 eq. 8) that the chosen models expect.

    Parameters
    ----------
    t, x_err, y_err, group, extra_covariance, factors
        As given to `~jwst_hpastrom.motion.star_fits.models.fit_motions`.

    fits : `~jwst_hpastrom.motion.star_fits.models.MotionFits`

    recipe : {"model", "h25"}
        "model": data drawn from the fitted model's covariance, leave-one-out done again with the same
        hyper-parameters (the mean is then exactly 1). "h25": the leave-one-out predictions perturbed by the
        measurement errors, nothing done again, as H25 describe it.

    n_draws : int
        Realizations a star; H25 take 1000.

    rng : `numpy.random.Generator`, optional
        By default seeded with 1.

    Returns
    -------
    ndarray of float32, shape (n_stars, n_draws, 2)
        NaN for stars whose fit leaves nothing to test (two epochs).
    """
    if recipe not in ("model", "h25"):
        raise ParameterError(f"recipe={recipe}", "model or h25")
    rng = np.random.default_rng(1) if rng is None else rng
    t = np.asarray(t, float)
    group = np.arange(t.size) if group is None else np.unique(np.asarray(group), return_inverse=True)[1]
    factors = np.zeros((2, t.size)) if factors is None else np.asarray(factors, float)
    out = np.full((fits.model.size, n_draws, 2), np.nan, np.float32)
    for s in np.flatnonzero(np.isfinite(fits.chi2_loo).all(1)):
        use = np.flatnonzero(fits.used[s])
        n = use.size
        noise = np.zeros((2, n, n))
        for axis, error in enumerate((x_err[s, use], y_err[s, use])):
            noise[axis] = np.diag(error**2)
            if extra_covariance is not None:
                noise[axis] += extra_covariance[s, axis][np.ix_(use, use)]
        if recipe == "h25":
            sigma = np.sqrt(np.stack([np.diag(noise[0]), np.diag(noise[1])]))
            z = rng.normal(size=(n_draws, 2, n)) * sigma / fits.loo_error[s][:, use]
            out[s] = (z**2).mean(-1)
            continue
        proj = _projector(fits, s, t[use], group[use], factors[:, use], noise)
        # P y* for y* ~ N(0, K_n) has covariance P K_n P = P.
        values, vectors = np.linalg.eigh(proj)
        root = vectors * np.sqrt(np.maximum(values, 0.0))
        alpha = rng.normal(size=(n_draws, 2 * n)) @ root.T
        for axis in (0, 1):
            own, other = slice(axis * n, axis * n + n), slice((1 - axis) * n, (2 - axis) * n)
            pxx, pyy = np.diag(proj)[own], np.diag(proj)[other]
            pxy = np.diag(proj[:n, n:])
            det = pxx * pyy - pxy**2
            residual = (pyy * alpha[:, own] - pxy * alpha[:, other]) / det
            out[s, :, axis] = (residual**2 / (pyy / det)).mean(-1)
    return out


def _projector(fits, s, t, group, factors, noise):
    n, degree, parallax = t.size, fits.degree, fits.has_parallax
    p, q = degree + 1 + int(parallax), 2 * (degree + 1) + int(parallax)
    terms, joint = np.zeros((2, p, n)), np.zeros((q, 2 * n))
    linear_terms(t, fits.t0[s], degree, factors, terms, joint)
    aux, found = np.zeros(5), new_solution(n, q)
    velocity(
        np.ascontiguousarray(fits.coefficients[s]), np.ascontiguousarray(fits.covariance[s]), degree, aux
    )
    theta = np.ascontiguousarray(fits.theta[s])
    star = Star(t, group.astype(np.int64), aux, noise, terms, joint, np.zeros(2 * n), degree, parallax)
    evaluate(np.int64(fits.model[s]), star, theta, found)
    return found.proj
