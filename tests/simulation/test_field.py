"""A simulated field: reproducible, consistent with its own truth."""

import numpy as np
import pytest

from jwst_hpastrom.errors import ParameterError
from jwst_hpastrom.simulation import FieldConfig, OpticsConfig, simulate_field
from jwst_hpastrom.simulation.sky import positions_at

FAST = OpticsConfig(n_field=2, n_wavelengths=1)


@pytest.fixture(scope="module")
def field():
    return simulate_field(size=256, n_exposures=4, n_stars=120, seed=3, optics=FAST)


def test_ray_tracing(field):
    for e in field.exposures:
        t = e.truth
        assert len(t) > 60
        ra, dec = e.to_sky_true(t["x"], t["y"])
        np.testing.assert_allclose(ra, t["ra"], atol=1e-11)
        np.testing.assert_allclose(dec, t["dec"], atol=1e-11)
        # the header's WCS is off by the pointing error and the fine structure only
        ra, dec = e.to_sky(t["x"], t["y"])
        off = np.hypot((ra - t["ra"]) * np.cos(np.deg2rad(t["dec"])), dec - t["dec"]) * 3600
        assert np.all(off < 0.4)


def test_dithers_overlap_and_cover(field):
    x, y = field.exposures[0].to_plane(127.5, 127.5)
    steps = [np.hypot(*np.subtract(e.to_plane(127.5, 127.5), (x, y))) * 0.05 for e in field.exposures[1:]]
    assert 2 < min(steps) < max(steps) < 6
    ids = [set(e.truth["id"]) for e in field.exposures]
    assert len(set.intersection(*ids)) > 30


def test_stars_are_where_the_truth_says(field):
    # an independent centroid of bright isolated stars: light center of 5 x 5 pixels, good to 0.2 pixels
    e = field.exposures[1]
    t = e.truth[np.argsort(e.truth["mag"])][:25]
    data, off = e.image.data, []
    for row in t:
        i, j = round(row["x"]), round(row["y"])
        if 8 < i < 247 and 8 < j < 247 and e.image.good[j - 2 : j + 3, i - 2 : i + 3].all():
            dist = np.hypot(e.truth["x"] - row["x"], e.truth["y"] - row["y"])
            if np.sum((dist < 6) & (e.truth["mag"] < row["mag"] + 4)) > 1:
                continue
            cut = data[j - 2 : j + 3, i - 2 : i + 3] - field.config.noise.background
            jj, ii = np.mgrid[-2:3, -2:3]
            off.append(
                (i + (cut * ii).sum() / cut.sum() - row["x"], j + (cut * jj).sum() / cut.sum() - row["y"])
            )
    assert len(off) >= 5
    assert np.all(np.abs(np.median(off, axis=0)) < 0.1)
    assert np.all(np.std(off, axis=0) < 0.2)


def test_photon_noise_about_the_true_scene(field):
    from jwst_hpastrom.simulation.detector import render

    e = field.exposures[2]
    t = e.truth
    light = render((256, 256), field.config.origin, field.epsf, t["x"], t["y"], t["flux"])
    pull = ((e.image.data - light - field.config.noise.background) / e.image.err)[e.image.good]
    assert abs(1.4826 * np.median(np.abs(pull - np.median(pull))) - 1) < 0.02
    assert abs(np.mean(pull[np.abs(pull) < 5])) < 0.05


def test_reproducible_to_the_bit(field):
    again = simulate_field(size=256, n_exposures=4, n_stars=120, optics=FAST, rng=np.random.default_rng(3))
    np.testing.assert_array_equal(again.exposures[3].image.data, field.exposures[3].image.data)
    np.testing.assert_array_equal(again.reference_catalog["ra"], field.reference_catalog["ra"])
    other = simulate_field(size=256, n_exposures=4, n_stars=120, seed=4, optics=FAST)
    assert not np.array_equal(other.exposures[3].image.data, field.exposures[3].image.data)


def test_filters_see_the_same_sky_and_detector(field):
    red = simulate_field(size=256, n_exposures=4, n_stars=120, seed=3, optics=FAST, filter="F444W")
    np.testing.assert_array_equal(red.stars["xi"], field.stars["xi"])
    np.testing.assert_array_equal(red.sensor.flag, field.sensor.flag)
    assert red.distortion.fine.voids == field.distortion.fine.voids
    assert not np.array_equal(red.distortion.fine.smooth, field.distortion.fine.smooth)
    assert red.exposures[0].meta["pupil"] == "CLEARP"


def test_catalog_errors_are_what_they_say(field):
    big = simulate_field(size=1024, n_exposures=1, n_stars=3000, seed=3, optics=FAST)
    cat = big.reference_catalog
    ra, dec = positions_at(big.stars, cat.meta["epoch"])
    order = np.argsort(ra)
    # ids are the catalog's own: identify by position
    k = order[np.clip(np.searchsorted(ra[order], cat["ra"].value), 1, len(order) - 1)]
    before = order[np.clip(np.searchsorted(ra[order], cat["ra"].value) - 1, 0, len(order) - 1)]
    k = np.where(np.abs(ra[before] - cat["ra"].value) < np.abs(ra[k] - cat["ra"].value), before, k)
    same = np.abs(dec[k] - cat["dec"].value) * 3.6e6 < 8 * cat["dec_error"].value
    assert same.mean() > 0.9
    pull = (cat["dec"].value - dec[k])[same] * 3.6e6 / cat["dec_error"].value[same]
    assert abs(pull.std() - 1) < 0.08
    pull = (cat["pmra"].value - np.asarray(big.stars["pmra"])[k])[same] / cat["pmra_error"].value[same]
    assert abs(1.4826 * np.median(np.abs(pull)) - 1) < 0.1


def test_separation_and_cluster():
    f = simulate_field(size=512, n_exposures=1, n_stars=600, min_separation=15.0, seed=1, optics=FAST)
    x, y = f.exposures[0].truth["x"], f.exposures[0].truth["y"]
    d = np.hypot(x[:, None] - x[None, :], y[:, None] - y[None, :]) + 99 * np.eye(len(x))
    assert d.min() > 14.5
    f = simulate_field(size=512, n_exposures=1, n_stars=600, cluster_fraction=0.1, seed=1, optics=FAST)
    members = f.stars["population"] == 3
    assert abs(members.mean() - 0.1) < 0.01
    assert f.stars["pmra"][members].std() < 0.01


def test_focus_changes_the_psf_from_exposure_to_exposure():
    f = simulate_field(size=128, n_exposures=2, n_stars=5, seed=1, optics=FAST, focus_nm=30.0)
    still = simulate_field(size=128, n_exposures=2, n_stars=5, seed=1, optics=FAST)
    np.testing.assert_array_equal(f.exposures[0].truth["x"], still.exposures[0].truth["x"])
    assert not np.array_equal(f.exposures[0].image.data, still.exposures[0].image.data)


@pytest.mark.parametrize(
    "change", [{"filter": "F999W"}, {"size": 20}, {"n_stars": 0}, {"size": 512, "start": (1800, 0)}]
)
def test_nonsense_is_refused(change):
    with pytest.raises(ParameterError):
        FieldConfig(**change)
