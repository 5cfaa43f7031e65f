"""The whole study of a field: populations, the cluster, groups, and what the stars do not allow."""

import numpy as np
import pytest
from astropy.table import Table

from jwst_hpastrom.columns import Flag
from jwst_hpastrom.errors import BadCatalogError, NotEnoughStarsError
from jwst_hpastrom.kinematics import color_split, densest_place, study_field

CENTER = (80.51, -69.51)


def field(seed, n=9000, n_cluster=350):
    """Old and young stars, a young group, a cluster, and some blends."""
    rng = np.random.default_rng(seed)
    n_all = n + n_cluster
    kind = np.r_[rng.choice(3, n, p=(0.55, 0.40, 0.05)), np.full(n_cluster, 3)]
    means = np.array([(1.90, 0.38), (1.95, 0.30), (1.62, 0.47), (1.873, 0.321)])
    widths = (0.144, 0.075, 0.045, 0.006)
    v = means[kind].T + rng.normal(0, 1, (2, n_all)) * np.array(widths)[kind]
    mag = rng.uniform(-7, -4.5, n_all)
    error = 0.02 + 0.005 * rng.uniform(size=n_all)
    v += rng.normal(0, 1, (2, n_all)) * error
    x, y = rng.uniform(-100, 100, (2, n_all))
    x[n:], y[n:] = rng.normal(0, 11, (2, n_cluster))
    color = np.where(kind == 0, 0.95, 0.1) + rng.normal(0, 0.05, n_all)
    blend = rng.uniform(size=n_all) < 0.02
    v[:, blend] += rng.normal(0, 0.4, (2, blend.sum()))
    qfit = np.where(blend, 0.1, 0.02) * rng.uniform(0.8, 1.2, n_all)
    ra = CENTER[0] + x / 3600 / np.cos(np.deg2rad(CENTER[1]))
    table = Table(
        {"ra": ra, "dec": CENTER[1] + y / 3600, "pmra": v[0], "pmdec": v[1], "pmra_error": error,
         "pmdec_error": error, "mag": mag, "color": color, "qfit": qfit,
         "flags": np.where(blend & (rng.uniform(size=n_all) < 0.8), int(Flag.EXTENDED), 0)}
    )  # fmt: skip
    return table, kind


@pytest.fixture(scope="module")
def studied():
    table, kind = field(2)
    return study_field(table, rng=np.random.default_rng(1), n_realizations=200, center="densest"), kind


def test_populations(studied):
    study, kind = studied
    assert 0.3 < study.split < 0.8
    assert np.all(kind[study.old] == 0)
    assert np.all(kind[study.young] > 0)
    d = study.old_dispersion
    assert abs(d.sigma - 0.144) < 3 * d.sigma_error < 0.01
    assert np.all(np.abs(d.mean - [1.90, 0.38]) < 3.5 * d.mean_error)


def test_cluster_is_found(studied):
    study, kind = studied
    squeeze = np.cos(np.deg2rad(CENTER[1]))
    off = np.array([(study.center[0] - CENTER[0]) * squeeze, study.center[1] - CENTER[1]]) * 3600
    assert np.hypot(*off) < 6
    assert np.all(np.abs(study.cluster.motion - [1.873, 0.321]) < 3.5 * study.cluster.error)
    assert 0.006 < study.cluster.dispersion.upper < 0.025
    assert study.members[kind == 3].mean() > 0.6
    assert study.members[kind != 3].mean() < 0.05


def test_groups(studied):
    study, kind = studied
    groups, true = study.groups, [np.mean(kind[study.young] == k) for k in (2, 3, 1)]
    assert np.all(np.diff(groups.mean) > 0)
    assert np.all(np.abs(groups.fraction - true) < 3 * np.maximum(groups.fraction_error, 0.01))
    quantities = list(study.summary["quantity"])
    assert "cluster: dispersion, upper limit (95 %)" in quantities
    row = study.summary[quantities.index("group 1: fraction")]
    assert row["value"] == groups.fraction[0]


def test_what_the_stars_do_not_allow():
    table, _ = field(3, n=200, n_cluster=0)
    few = study_field(table[:60], rng=np.random.default_rng(1), n_realizations=20, center="densest")
    assert few.groups is None
    assert few.cluster is None
    table.remove_column("color")
    with pytest.raises(BadCatalogError, match="without colors"):
        study_field(table, rng=np.random.default_rng(1))
    with pytest.raises(NotEnoughStarsError):
        color_split(np.ones(3))


def test_no_distance_and_no_cluster_that_nobody_gave():
    table, _ = field(3, n=2000, n_cluster=100)
    plain = study_field(table, rng=np.random.default_rng(1), n_realizations=20)
    assert plain.cluster is None
    assert not plain.members.any()
    assert "km/s" not in plain.summary["unit"]
    far = study_field(table, rng=np.random.default_rng(1), n_realizations=20, distance_kpc=10.0)
    assert "km/s" in far.summary["unit"]


def test_densest_place():
    rng = np.random.default_rng(4)
    x, y = rng.uniform(-100, 100, (2, 500))
    x[:80], y[:80] = rng.normal(40, 4, (2, 80))
    ra, dec = densest_place(359.999 + x / 3600 / np.cos(np.deg2rad(-60)), -60 + y / 3600)
    assert (ra - 359.999) * 3600 * np.cos(np.deg2rad(-60)) == pytest.approx(40, abs=3)
    assert (dec + 60) * 3600 == pytest.approx(40, abs=3)
