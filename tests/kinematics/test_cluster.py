"""A cluster and its field, fitted together: motion, dispersion, members."""

import numpy as np
import pytest
from astropy.table import Table

from jwst_hpastrom.errors import DegenerateSolutionError, NotEnoughStarsError
from jwst_hpastrom.kinematics import bulk_motion, cluster_motion, select_members

CENTER = {"ra": 80.0, "dec": -69.0}
MOTION = np.array([1.873, 0.321])


def field_and_cluster(rng, n_field=2500, n_cluster=120, sigma=0.006):
    """A cluster in a field that moves nearly as it does."""
    n = n_field + n_cluster
    x, y = rng.uniform(-100, 100, (2, n))
    x[:n_cluster], y[:n_cluster] = rng.normal(0, 11, (2, n_cluster))
    error = rng.uniform(0.02, 0.03, n)
    v = rng.normal([[1.95], [0.30]], 0.075, (2, n))
    v[:, :n_cluster] = MOTION[:, None] + rng.normal(0, sigma, (2, n_cluster))
    v += rng.normal(0, 1, (2, n)) * error
    ra, dec = CENTER["ra"] + x / 3600 / np.cos(np.deg2rad(CENTER["dec"])), CENTER["dec"] + y / 3600
    names = ("ra", "dec", "pmra", "pmdec", "pmra_error", "pmdec_error", "mag")
    return Table([ra, dec, *v, error, error, rng.uniform(-6.5, -5, n)], names=names), n_cluster


def test_motion_is_not_drawn_to_the_field():
    rng = np.random.default_rng(3)
    pulls, medians = [], []
    for _ in range(12):
        table, _ = field_and_cluster(rng)
        found = cluster_motion(table, **CENTER)
        pulls.append((found.motion - MOTION) / found.error)
        near = bulk_motion(table[select_members(table, **CENTER)])
        medians.append(near.motion - MOTION)
    pulls = np.array(pulls)
    assert np.all(np.abs(pulls.mean(0)) < 3.5 / np.sqrt(12))
    assert 0.6 < np.sqrt(np.mean(pulls**2)) < 1.4
    assert np.mean(medians, axis=0)[0] > 0.003  # the clipped median is


def test_dispersion_fraction_and_members():
    table, n_cluster = field_and_cluster(np.random.default_rng(4), sigma=0.03, n_cluster=300)
    found = cluster_motion(table, **CENTER)
    d = found.dispersion
    assert abs(d.sigma - 0.03) < 3.5 * d.sigma_error < 0.03
    assert d.sigma < d.upper < 0.05
    assert np.all(np.diff(found.fraction) < 0)
    assert found.membership.sum() == pytest.approx(np.sum(found.membership[:n_cluster] >= 0), rel=0.2)
    assert found.membership[:n_cluster].mean() > 0.6
    assert found.membership[n_cluster:].mean() < 0.03
    cold = cluster_motion(field_and_cluster(np.random.default_rng(5), sigma=0.0)[0], **CENTER)
    assert cold.dispersion.upper < 0.03


def test_shared_errors_do_not_average():
    table, _ = field_and_cluster(np.random.default_rng(6))
    alone = cluster_motion(table, **CENTER)
    table["pmra_error_systematic"] = table["pmdec_error_systematic"] = 0.01
    shared = cluster_motion(table, **CENTER)
    np.testing.assert_allclose(shared.error, np.hypot(alone.error, 0.01))


def test_no_cluster_or_no_field():
    table, _ = field_and_cluster(np.random.default_rng(7))
    with pytest.raises(NotEnoughStarsError, match="within 1 arcsec"):
        cluster_motion(table, **CENTER, radius=1)
    with pytest.raises(NotEnoughStarsError):
        cluster_motion(table, **CENTER, field_radius=1000)


def test_wide_clusters_and_limits_that_are_too_low():
    rng = np.random.default_rng(8)
    table, n = field_and_cluster(rng, n_cluster=400)
    table["pmra"][:n] += rng.normal(0, 0.5, n)
    table["pmdec"][:n] += rng.normal(0, 0.5, n)
    found = cluster_motion(table, **CENTER).dispersion
    assert abs(found.sigma - 0.5) < 4 * found.sigma_error < 0.15
    assert found.sigma < found.upper < 0.7
    with pytest.raises(DegenerateSolutionError, match="most"):
        cluster_motion(table, **CENTER, most=0.2)
