"""Pulls of what motions and kinematics state, on simulated stars: one function a regime, each returns the pulls."""

import numpy as np

from jwst_hpastrom.kinematics import fit_dispersion


def few_stars(n, error, sigma=1.0, trials=1000, seed=1):
    """Dispersions of n stars: pulls of the mean and of σ, mean ratio σ/true, and cover of the 95 % limit."""
    rng = np.random.default_rng(seed)
    e = np.full(n, float(error))
    found = [fit_dispersion(rng.normal(0, np.hypot(sigma, e)), e) for _ in range(trials)]
    mean, mean_error, s, s_error, upper = np.array(
        [(d.mean, d.mean_error, d.sigma, d.sigma_error, d.upper) for d in found]
    ).T
    return {
        "mean": mean / mean_error,
        "sigma": (s - sigma) / s_error,
        "ratio": float(np.mean(s) / sigma),
        "cover": float(np.mean(upper > sigma)),
    }
