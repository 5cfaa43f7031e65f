"""Catalogs of motions whose truth is known."""

import numpy as np
from astropy.table import Table


def cluster(rng, n_field=4000, n_cluster=300):
    n = n_field + n_cluster
    x, y = rng.uniform(-100, 100, (2, n))
    x[n_field:], y[n_field:] = rng.normal(30, 10, n_cluster), rng.normal(-40, 10, n_cluster)
    error = rng.uniform(0.015, 0.03, n)
    v = rng.normal([[1.9], [0.38]], 0.144, (2, n))
    v[:, n_field:] = np.array([[1.873], [0.321]]) + rng.normal(0, 0.006, (2, n_cluster))
    v += rng.normal(0, 1, (2, n)) * error
    ra, dec = 80.0 + x / 3600 / np.cos(np.deg2rad(-69.0)), -69.0 + y / 3600
    names = ("ra", "dec", "pmra", "pmdec", "pmra_error", "pmdec_error", "mag")
    return Table([ra, dec, *v, error, error, rng.uniform(-6.5, -5, n)], names=names), n_field
