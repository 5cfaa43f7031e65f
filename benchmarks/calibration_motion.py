"""Pulls of what motions and kinematics state, on simulated stars: a function a regime returns the pulls."""

import numpy as np
from astropy.table import Table

from jwst_hpastrom.kinematics import bulk_motion, fit_dispersion


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


def bulk(sigma, error=0.02, n=300, trials=100, seed=1, **kwargs):
    """Mean motion and dispersion of a group without a field: pulls, and the mean ratio σ/true."""
    rng = np.random.default_rng(seed)
    e = np.full((2, n), error)
    names = ("pmra", "pmdec", "pmra_error", "pmdec_error")
    found = [
        bulk_motion(Table([*rng.normal(0, np.hypot(sigma, e)), *e], names=names), **kwargs)
        for _ in range(trials)
    ]
    d = [f.dispersion for f in found]
    return {
        "mean": np.array([f.motion / f.error for f in found]),
        "sigma": np.array([(x.sigma - sigma) / x.sigma_error for x in d]),
        "ratio": float(np.mean([x.sigma for x in d]) / sigma),
    }
