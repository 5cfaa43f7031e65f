"""Whole exposures: isolated and crowded."""

import numpy as np
import pytest
from scipy.spatial import cKDTree

from jwst_hpastrom.columns import Flag
from jwst_hpastrom.epsf import Image, measure_stars
from jwst_hpastrom.errors import ParameterError
from tests.epsf.conftest import make_field, make_library

SIGMA = 0.8


def crowded(seed, n=600, shape=(256, 256), bright=3.0):
    rng = np.random.default_rng(seed)
    x, y = rng.uniform(4, shape[1] - 5, n), rng.uniform(4, shape[0] - 5, n)
    return make_field(x, y, 10 ** rng.uniform(0.7, bright, n), shape=shape, rng=rng, one_sigma=SIGMA)


def matched(table, field, radius=0.7):
    d, k = cKDTree(np.c_[table["x"], table["y"]]).query(np.c_[field.x, field.y])
    return d < radius, k


@pytest.fixture(scope="module")
def psf():
    return make_library(SIGMA, np.array([0.0, 128, 255]))


@pytest.mark.parametrize("mode", ["isolated", "catalog"])
def test_isolated_stars(psf, mode):
    rng = np.random.default_rng(1)
    y, x = (g.ravel() + rng.uniform(-0.5, 0.5, 64) for g in np.mgrid[14:113:8j, 14:113:8j])
    field = make_field(x, y, 10 ** rng.uniform(1.3, 2.5, 64), one_sigma=SIGMA, rng=rng)
    table = measure_stars(field.image, psf, mode=mode)
    assert len(table) == 64
    hit, k = matched(table, field)
    assert hit.all()
    for axis, true in (("x", field.x), ("y", field.y), ("flux", field.flux)):
        pull = (table[axis][k] - true) / table[f"{axis}_err"][k]
        assert abs(np.mean(pull)) < 0.4
        assert 0.75 < np.std(pull) < 1.25
    assert (np.diff(table["flux"]) < 0).mean() > 0.95
    assert np.array_equal(table["id"], np.arange(64))


def test_catalog_mode_takes_neighbors_apart(psf):
    field = crowded(3)
    tables = {m: measure_stars(field.image, psf, mode=m) for m in ("isolated", "catalog")}
    scatter, pulls, complete = {}, {}, {}
    bright = field.flux > 50
    for mode, table in tables.items():
        hit, k = matched(table, field)
        complete[mode] = hit[bright].mean()
        off = np.asarray(table["x"][k] - field.x)
        scatter[mode] = 1.4826 * np.median(np.abs(off[hit & bright]))
        pulls[mode] = 1.4826 * np.median(np.abs(off / table["x_err"][k])[hit & bright])
    assert complete["catalog"] > 0.95
    assert pulls["catalog"] < 1.2
    assert scatter["catalog"] < scatter["isolated"]
    assert np.mean((np.asarray(tables["catalog"]["flags"]) & int(Flag.SUBTRACTED)) > 0) > 0.95
    # nothing is made up: almost all listed sources are true ones
    d, _ = cKDTree(np.c_[field.x, field.y]).query(np.c_[tables["catalog"]["x"], tables["catalog"]["y"]])
    assert np.mean(d > 1) < 0.03


def test_faint_companions_of_bright_stars_are_found_with_a_good_library(psf):
    rng = np.random.default_rng(4)
    y, x = (g.ravel() + rng.uniform(-0.5, 0.5, 64) for g in np.mgrid[14:241:8j, 14:241:8j])
    bright = np.full(64, 3000.0)
    turn = rng.uniform(0, 2 * np.pi, 8)
    a, b = x[::8] + 2.0 * np.cos(turn), y[::8] + 2.0 * np.sin(turn)
    both = np.r_[x, a], np.r_[y, b], np.r_[bright, bright[::8] / 250]
    field = make_field(*both, shape=(256, 256), gain=3000.0, one_sigma=SIGMA, rng=rng)
    table = measure_stars(field.image, psf, mode="catalog")
    hit, _ = matched(table, field, radius=0.4)
    assert hit[:64].all()
    assert hit[64:].mean() > 0.8
    assert len(table) <= 72


def test_crowded_flag_marks_comparable_neighbors(psf):
    field = make_field(
        [50.2, 53.6, 90.0, 95.0], [50.1, 50.4, 90.3, 90.0], [100, 60, 100, 3.0], one_sigma=SIGMA
    )
    table = measure_stars(field.image, psf)
    hit, k = matched(table, field)
    assert hit.all()
    flagged = (np.asarray(table["flags"])[k] & int(Flag.CROWDED)) > 0
    assert flagged.tolist() == [True, True, False, True]


def test_wings_of_bright_stars_are_no_stars():
    # an ePSF with a ring that has peaks of its own
    offset = (np.arange(101) - 50) / 4
    r, phi = np.hypot(offset, offset[:, None]), np.arctan2(offset[:, None], offset)
    data = np.exp(-(r**2) / (2 * 0.8**2)) + 0.02 * np.exp(-((r - 5) ** 2) / 0.8) * np.cos(3 * phi) ** 2
    from jwst_hpastrom.epsf import EPSFLibrary

    lib = EPSFLibrary(data[None], [64.0], [64.0]).normalized()
    jj, ii = np.mgrid[:128, :128]
    model = 0.3 + 3e3 * lib.evaluate(ii - 64.3, jj - 60.8, 64.0, 64.0)
    err = np.sqrt(0.05**2 + model / 300)
    none = np.zeros(model.shape, bool)
    image = Image(model + np.random.default_rng(0).normal(0, err), err, none, none)
    from jwst_hpastrom.epsf import find_stars

    assert len(find_stars(image, lib)) > 3
    for mode in ("isolated", "catalog"):
        assert len(measure_stars(image, lib, mode=mode)) == 1


def test_galaxies_are_left_whole_and_flagged(psf):
    rng = np.random.default_rng(2)
    y, x = (g.ravel() + rng.uniform(-0.5, 0.5, 16) for g in np.mgrid[30:226:4j, 30:226:4j])
    stars = make_field(*rng.uniform(4, 252, (2, 60)), np.full(60, 60.0), shape=(256, 256), one_sigma=SIGMA)
    jj, ii = np.mgrid[:256, :256]
    data = stars.image.data.copy()
    for a, b, r in zip(x, y, np.linspace(1.5, 4, 16), strict=True):
        data += 200 / (2 * np.pi * r**2) * np.exp(-np.hypot(ii - a, jj - b) / r)
    err = np.sqrt(0.05**2 + data / 300)
    none = np.zeros(data.shape, bool)
    table = measure_stars(Image(data + rng.normal(0, err), err, none, none), psf, mode="catalog")
    tree = cKDTree(np.c_[table["x"], table["y"]])
    d, k = tree.query(np.c_[x, y])
    extended = (np.asarray(table["flags"])[k] & int(Flag.EXTENDED)) > 0
    assert (d < 1.5).mean() > 0.9
    assert extended[d < 1.5].mean() > 0.9
    pieces = [len(p) for p in tree.query_ball_point(np.c_[x, y], 6)]
    assert np.mean(pieces) < 2.5


@pytest.mark.parametrize("mode", ["isolated", "catalog"])
def test_fitted_sky_and_larger_boxes(psf, mode):
    rng = np.random.default_rng(12)
    y, x = (g.ravel() + rng.uniform(-0.5, 0.5, 36) for g in np.mgrid[16:112:6j, 16:112:6j])
    field = make_field(x, y, np.full(36, 80.0), one_sigma=SIGMA, rng=rng)
    table = measure_stars(field.image, psf, mode=mode, sky="fit", fit_box=9)
    hit, k = matched(table, field)
    assert hit.all()
    assert 0.75 < np.std((table["x"][k] - field.x) / table["x_err"][k]) < 1.35
    assert np.median(table["sky"]) == pytest.approx(field.sky, abs=0.01)
    assert 0.7 < np.std((table["sky"] - field.sky) / table["sky_err"]) < 1.4
    assert np.median(table["n_pixels"]) == 81


def test_borders_of_bad_pixels_and_dead_columns(psf):
    """Reference pixels around the image, a dead column: no sources made of them, no NaN in the list."""
    field = crowded(8, n=150, shape=(128, 128))
    bad = np.zeros((128, 128), bool)
    bad[:4], bad[-4:], bad[:, :4], bad[:, -4:], bad[:, 60] = True, True, True, True, True
    data = np.where(bad, np.nan, field.image.data)
    err = np.where(bad, np.nan, field.image.err)
    table = measure_stars(Image(data, err, bad, bad & False), psf, mode="catalog")
    for name in ("x", "y", "flux", "x_err", "qfit", "sky"):
        assert np.isfinite(table[name]).all()
    d, _ = cKDTree(np.c_[field.x, field.y]).query(np.c_[table["x"], table["y"]])
    assert np.mean(d > 1.5) < 0.05


def test_one_star_only_and_none(psf):
    one = make_field([64.2], [63.9], [200.0], one_sigma=SIGMA, rng=np.random.default_rng(0))
    none = make_field([], [], [], rng=np.random.default_rng(0))
    for mode in ("isolated", "catalog"):
        table = measure_stars(one.image, psf, mode=mode)
        assert len(table) == 1
        assert table["x"][0] == pytest.approx(64.2, abs=5 * table["x_err"][0])
        assert len(measure_stars(none.image, psf, mode=mode, threshold=6)) == 0


def test_all_bad_frames_give_empty_lists(psf):
    shape = (64, 64)
    bad = np.ones(shape, bool)
    image = Image(np.zeros(shape), np.full(shape, np.inf), bad, ~bad)
    for mode in ("isolated", "catalog"):
        assert len(measure_stars(image, psf, mode=mode)) == 0


def test_results_repeat_to_the_bit(psf):
    field = crowded(5, n=200, shape=(128, 128))
    a, b = (measure_stars(field.image, psf, mode="catalog") for _ in range(2))
    for name in a.colnames:
        np.testing.assert_array_equal(a[name], b[name])


def test_float32_images_are_as_good(psf):
    field = crowded(6, n=100, shape=(128, 128))
    i = field.image
    single = Image(i.data.astype("f4"), i.err.astype("f4"), i.bad, i.saturated)
    a, b = (measure_stars(image, psf) for image in (i, single))
    np.testing.assert_allclose(a["x"], b["x"], atol=1e-6)


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"mode": "both"}, "'both'"),
        ({"sky": "x"}, "'x'"),
        ({"fit_box": 6}, "fit_box=6"),
        ({"sky_outer": 1}, "annulus"),
    ],
)
def test_parameters_that_make_no_sense(psf, kwargs, message):
    field = make_field([64.2], [63.9], [200.0])
    with pytest.raises(ParameterError, match=message):
        measure_stars(field.image, psf, **kwargs)
