import numpy as np
import pytest
from astropy.table import Table

from jwst_hpastrom.errors import DegenerateSolutionError, NotEnoughStarsError
from jwst_hpastrom.kinematics import (
    bulk_motion,
    fit_dispersion,
    fit_isotropic,
    fit_projected_groups,
    project,
    select_members,
    to_km_s,
    vector_points,
)


def test_dispersion_and_its_error():
    rng = np.random.default_rng(1)
    values = []
    for _ in range(150):
        e = rng.uniform(0.02, 0.1, 400)
        d = fit_dispersion(1.9 + rng.normal(0, 0.144, 400) + rng.normal(0, 1, 400) * e, e)
        values.append((d.mean, d.mean_error, d.sigma, d.sigma_error, d.upper))
    mean, mean_error, sigma, sigma_error, upper = np.array(values).T
    assert abs(sigma.mean() - 0.144) < 0.002
    assert np.std((sigma - 0.144) / sigma_error) == pytest.approx(1, abs=0.15)
    assert np.std((mean - 1.9) / mean_error) == pytest.approx(1, abs=0.15)
    assert np.mean(upper > 0.144) == pytest.approx(0.95, abs=0.05)


def test_dispersion_equals_the_posterior_on_a_grid():
    rng = np.random.default_rng(2)
    e = rng.uniform(0.05, 0.2, 12)
    v = rng.normal(0.3, 0.1, 12) + rng.normal(0, 1, 12) * e
    d = fit_dispersion(v, e, confidence=0.9)
    m = np.linspace(-0.7, 1.3, 1001)[:, None]
    s = np.linspace(0, 1, 4001)
    var = [s**2 + x**2 for x in e]
    log_l = sum(-0.5 * ((x - m) ** 2 / w + np.log(w)) for x, w in zip(v, var, strict=True))
    p = np.exp(log_l - log_l.max()) * s / (s**2 + np.median(e**2))
    p /= p.sum()
    share = np.cumsum(p.sum(0))
    assert d.mean == pytest.approx(np.sum(p * m), abs=2e-3)
    assert d.mean_error == pytest.approx(np.sqrt(np.sum(p * (m - np.sum(p * m)) ** 2)), rel=0.02)
    assert d.sigma == pytest.approx(np.interp(0.5, share, s), rel=0.01)
    assert d.upper == pytest.approx(np.interp(0.9, share, s), rel=0.01)


@pytest.mark.parametrize("n", [5, 10, 30])
def test_few_stars(n):
    rng = np.random.default_rng(n)
    found = [fit_dispersion(rng.normal(0, 1, n), np.full(n, 0.02)) for _ in range(250)]
    mean, error, sigma, upper = np.array([(d.mean, d.mean_error, d.sigma, d.upper) for d in found]).T
    assert np.mean(sigma) == pytest.approx(1, abs=0.055)
    assert np.mean(upper > 1) == pytest.approx(0.95, abs=0.035)
    assert np.std(mean / error) == pytest.approx(1, abs=0.2)


def test_groups_subtract_the_mean_square_error():
    rng = np.random.default_rng(9)
    error = np.exp(rng.normal(np.log(0.04), 0.3, 6000))
    v = rng.normal(0, 0.1, error.size) + rng.normal(0, 1, error.size) * error
    groups = fit_projected_groups(v, error, rng=rng, n_groups=1, n_realizations=60, n_bootstrap=8)
    assert groups.sigma[0] == pytest.approx(0.1, abs=0.0018)
    assert groups.sigma_error[0] > groups.width_error[0]


def test_unresolved_dispersion_is_a_limit():
    rng = np.random.default_rng(3)
    zero = 0
    for _ in range(20):
        e = np.full(50, 0.1)
        d = fit_dispersion(rng.normal(0, 0.1, 50), e)
        zero += d.sigma == 0
        assert d.upper > 0.01
        assert np.isnan(d.sigma_error) == (d.sigma == 0)
    assert zero > 3


def test_isotropic_uses_both_axes():
    rng = np.random.default_rng(4)
    e = np.full((2, 3000), 0.03)
    v = rng.normal([[1.9], [0.3]], 0.1, (2, 3000)) + rng.normal(0, 0.03, (2, 3000))
    d = fit_isotropic(*v, *e)
    one = fit_dispersion(v[0], e[0])
    assert d.sigma == pytest.approx(0.1, abs=4 * d.sigma_error)
    assert d.sigma_error == pytest.approx(one.sigma_error / np.sqrt(2), rel=0.1)
    np.testing.assert_allclose(d.mean, [1.9, 0.3], atol=0.01)


def test_too_few_stars():
    with pytest.raises(NotEnoughStarsError, match="2 stars"):
        fit_dispersion([1.0, 2.0, np.nan], [0.1, 0.1, 0.1])


def test_groups_are_recovered():
    rng = np.random.default_rng(5)
    n = np.array([400, 700, 2400])
    mean, sigma = np.array([-0.30, 0.0, 0.12]), np.array([0.045, 0.026, 0.09])
    v = np.concatenate([rng.normal(m, s, k) for m, s, k in zip(mean, sigma, n, strict=True)])
    e = rng.uniform(0.015, 0.03, v.size)
    groups = fit_projected_groups(
        v + rng.normal(0, 1, v.size) * e, e, rng=rng, n_realizations=200, n_bootstrap=25
    )
    truth = n / n.sum()
    assert np.all(np.abs(groups.fraction - truth) < 3.5 * groups.fraction_error)
    assert np.all(np.abs(groups.mean - mean) < 4 * groups.mean_error)
    np.testing.assert_allclose(groups.sigma, sigma, rtol=0.3)
    assert groups.fraction.sum() == pytest.approx(1)
    assert groups.histogram.sum() == pytest.approx(v.size, rel=0.02)


def test_groups_repeat_with_the_seed():
    v = np.random.default_rng(6).normal(0, 0.1, 500)
    a, b = (
        fit_projected_groups(
            v, np.full(500, 0.02), rng=np.random.default_rng(1), n_groups=2, n_realizations=20, n_bootstrap=2
        )
        for _ in range(2)
    )
    np.testing.assert_array_equal(a.fraction, b.fraction)


def test_projection():
    along, error = project([1.0, 0.0], [0.0, 1.0], [0.1, 0.1], [0.2, 0.2], angle=90.0, origin=(0.0, 0.5))
    np.testing.assert_allclose(along, [-0.5, 0.5], atol=1e-12)
    np.testing.assert_allclose(error, 0.2)


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


def test_cluster_motion_and_members():
    rng = np.random.default_rng(7)
    table, n_field = cluster(rng)
    center = {"ra": 80.0 + 30 / 3600 / np.cos(np.deg2rad(-69.0)), "dec": -69.0 - 40 / 3600}
    near = select_members(table, **center)
    found = bulk_motion(table[near])
    assert np.all(np.abs(found.motion - [1.873, 0.321]) < 3 * found.error)
    assert np.all(found.error < 0.005)
    assert found.dispersion.upper > 0.006
    members = select_members(table, **center, motion=found.motion)
    assert members[:n_field].mean() < 0.01
    assert members[n_field:].mean() > 0.5
    none = select_members(table, **center, cmd=np.zeros(len(table), bool))
    assert not none.any()


def test_velocities():
    v, e = to_km_s(0.144, 49.5, motion_error=0.003, distance_error=1.0)
    assert v == pytest.approx(33.8, abs=0.05)
    assert e == pytest.approx(np.hypot(4.740470446 * 0.003 * 49.5, v / 49.5))
    np.testing.assert_allclose(to_km_s(np.array([1.0, 2.0]), 1.0)[0], [4.740470446, 9.480940892])


def test_vector_points():
    rng = np.random.default_rng(8)
    table, _ = cluster(rng)
    rows = vector_points(table, edges=[-6.5, -6, -5, 10, 20])
    assert len(rows) == 2
    np.testing.assert_allclose(rows["pmra_sigma"], 0.144, atol=0.02)
    assert np.all(rows["pmra_observed"] > rows["pmra_median_error"])


def group(rng, sigma, n=300, error=0.02):
    e = np.full((2, n), error)
    names = ("pmra", "pmdec", "pmra_error", "pmdec_error")
    return Table([*rng.normal(0, np.hypot(sigma, e)), *e], names=names)


@pytest.mark.parametrize(("sigma", "limit"), [(0.05, None), (0.2, None), (0.6, None), (0.04, 0.091)])
def test_bulk_dispersion_is_freed_of_the_cut(sigma, limit):
    rng = np.random.default_rng(10)
    found = [bulk_motion(group(rng, sigma), limit=limit) for _ in range(6)]
    assert np.sqrt(np.mean([(f.motion / f.error) ** 2 for f in found])) < 1.6
    assert abs(np.mean([(f.dispersion.sigma - sigma) / f.dispersion.sigma_error for f in found])) < 1.3
    assert np.mean([f.dispersion.sigma for f in found]) == pytest.approx(sigma, rel=0.15)


def test_a_limit_inside_the_motions_is_refused():
    with pytest.raises(DegenerateSolutionError, match="limit"):
        bulk_motion(group(np.random.default_rng(11), 0.4, n=4000), limit=0.091)
