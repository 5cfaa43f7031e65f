"""The tie of a frame to a catalog whose columns are not what they say."""

import numpy as np
import pytest
from astropy.table import Table

from jwst_hpastrom.errors import BadCatalogError, NoOverlapError, OrientationError
from jwst_hpastrom.frame import build_master
from jwst_hpastrom.frame.transforms.tie import _between, carried_off, years_without_motions
from jwst_hpastrom.geometry import TangentPlane, fit_linear, match_nearest

PLANE = TangentPlane(80.5, -69.5)
LIMITS = {"max_shift": 150.0, "max_rotation": 1.5}


def field(unit=1.0, seed=1, n=200):
    """Stars of 2022.3, pixels, and their catalog of 2006.3 whose motions are in another unit."""
    rng = np.random.default_rng(seed)
    x, y = rng.uniform(-1000, 1000, (2, n))
    motion = np.array([[1.9], [0.3]]) + rng.normal(0, 0.3, (2, n))
    ra, dec = PLANE.to_sky(*PLANE.from_pixels(x, y))
    ra, dec = ra - motion[0] * 16 / 3.6e6 / np.cos(np.deg2rad(dec)), dec - motion[1] * 16 / 3.6e6
    mag = rng.uniform(-8, -4, n)
    columns = {"ra": ra, "dec": dec, "pmra": unit * motion[0], "pmdec": unit * motion[1], "mag": mag}
    return (x, y, mag), Table(columns, meta={"epoch": 2006.3})


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize(("unit", "epoch"), [(1000.0, 2022.3), (1.0, 12000.0)])
def test_motions_that_carry_the_stars_off_are_the_catalogs_fault(unit, epoch, seed):
    stars, catalog = field(unit, seed)
    with pytest.raises(BadCatalogError, match="unit of pmra and pmdec"):
        carried_off(*stars, catalog, PLANE, epoch, **LIMITS)


def test_other_catalogs_are_not_blamed_for_their_motions():
    stars, _ = field()
    _, other = field(seed=3)
    carried_off(*stars, other, PLANE, 2022.3, **LIMITS)
    _, without = field()
    without.remove_columns(["pmra", "pmdec"])
    carried_off(*stars, without, PLANE, 2022.3, **LIMITS)


def test_a_catalog_without_motions_is_said_to_leave_the_frame_at_its_epoch(caplog):
    _, catalog = field()
    assert years_without_motions(catalog, 2022.3) == {}
    catalog["pmra"][:196] = np.nan  # four known ones tell nothing of the others
    assert years_without_motions(catalog, 2006.5) == years_without_motions(catalog, None) == {}
    assert not caplog.records
    assert years_without_motions(catalog, 2022.3) == {"tie_years_without_motions": pytest.approx(16.0)}
    assert "where its stars were in 2006.3, 16.0 years from the exposures" in caplog.text


def exposure(stars, catalog, k, dither, mirror):
    """Star list of an image that may have been flipped after its WCS was made."""
    x, y, mag = stars
    rng = np.random.default_rng(k)
    x, y = x - dither[0], y - dither[1]
    x, y, mag = (c[(np.abs(x) < 600) & (np.abs(y) < 600)] for c in (x, y, mag))
    ra, dec = PLANE.to_sky(*PLANE.from_pixels((mirror * x) + dither[0], y + dither[1]))
    x, y = (c + rng.normal(0, 0.01, x.size) for c in (x, y))
    error = {c: np.full(x.size, 0.01) for c in ("x_err", "y_err", "mag_err", "qfit")}
    data = {"x": mirror * x, "y": y, "mag": mag, "ra": ra, "dec": dec, "flags": np.zeros(x.size, int)} | error
    meta = {"filename": f"jw0108600{k}_nis_cal.fits", "filter": "F150W", "epoch": 2022.3}
    return Table(data, meta=meta)


@pytest.mark.parametrize("dither", [20.0, 200.0])
def test_images_that_were_flipped_are_said_to_be_however_far_apart_they_are(dither):
    stars, catalog = field(n=900)
    dithers = [(k * dither, 0.3 * k * dither) for k in range(3)]
    good, flipped = ([exposure(stars, catalog, k, d, m) for k, d in enumerate(dithers)] for m in (1, -1))
    assert len(build_master(good, reference=catalog).table) > 150
    with pytest.raises(OrientationError, match="the same stars mirrored"):
        build_master(flipped, reference=catalog)
    if dither > 100:
        with pytest.raises(NoOverlapError, match="was the image flipped"):
            build_master(flipped)


def pointings(rng, dither, scatter, n=4, stars=900):
    """Star lists whose WCS is right but for each pointing, off by ``scatter`` arcsec, and the true places."""
    x, y = rng.uniform(-1700, 1700, (2, stars))
    mag, lists = rng.uniform(-8, -4, stars), []
    for k in range(n):
        at = dither * np.array([k % 2 - 0.5, k // 2 - 0.5])
        shift = rng.normal(0, scatter, 2) / PLANE.scale_mas * 1e3
        s = np.flatnonzero((np.abs(x - at[0]) < 1000) & (np.abs(y - at[1]) < 1000))
        ra, dec = PLANE.to_sky(*PLANE.from_pixels(x[s] + shift[0], y[s] + shift[1]))
        data = {"x": x[s] - at[0], "y": y[s] - at[1], "mag": mag[s], "ra": ra, "dec": dec}
        data["x"], data["y"] = (data[c] + rng.normal(0, 0.01, s.size) for c in "xy")
        data |= {c: np.full(s.size, 0.01) for c in ("x_err", "y_err", "mag_err", "qfit")}
        data["flags"] = np.zeros(s.size, int)
        meta = {"filename": f"jw0108600{k}_nis_cal.fits", "filter": "F150W", "epoch": 2022.3}
        lists.append(Table(data, meta=meta))
    return lists, (x, y)


def linear_error(frame, places):
    """Slopes of the frame's errors times half of a detector, mas, and the same that is stated."""
    t = frame.table
    i, j, _ = match_nearest(t["x"], t["y"], *places, 20.0)
    u, v = (np.asarray(t[c])[i] for c in "xy")
    fit = fit_linear(*(p[j] for p in places), u, v).transform.matrix - np.eye(2)
    tie = np.asarray(t["x_err_tie"])
    away = np.hypot(t["x"] - np.mean(t["x"]), t["y"] - np.mean(t["y"]))
    k = np.argmax(away)
    stated = 1e3 * np.sqrt(max(tie[k] ** 2 - tie.min() ** 2, 0.0)) / away[k]
    return 1e3 * fit * PLANE.scale_mas, stated * PLANE.scale_mas


@pytest.mark.parametrize(
    ("dither", "scatter", "most"), [(120.0, 0.1, 0.1), (900.0, 0.1, 0.3), (900.0, 0.003, 0.1)]
)
def test_pointings_that_err_do_not_tilt_the_frame(dither, scatter, most):
    """Stars at a side are seen by the pointings that reach farther there: their errors are no slope of it."""
    error, stated = [], []
    for seed in range(3):
        lists, places = pointings(np.random.default_rng(seed), dither, scatter)
        e, s = linear_error(build_master(lists, plane=PLANE), places)
        error.append(e)
        stated.append(s)
    assert np.sqrt(np.mean(np.square(error))) < most  # mas; 2 to 30 where slopes are those of all pairs
    assert 1.0 < np.mean(stated) < 6.0  # what a WCS may err by


def test_what_pointings_tell_of_scale_and_turn():
    """A mosaic's places tell them where its pointings are good, and hardly where they scatter."""
    rng = np.random.default_rng(5)
    middle = np.array([[i, j] for i in range(-2, 3) for j in range(-2, 3)]) * 2000.0
    wrong, believed = rng.normal(0, 4e-5, (2, 2)), 4e-5  # 3 mas, of 50 mas a pixel, over half a detector
    for scatter, low, high in ((0.04, 0.0, 0.15), (40.0, 0.7, 1.1)):
        rest = middle @ wrong.T + rng.normal(0, scatter, (25, 2))
        change, covariance, found = _between(middle, rest, believed, 1.4)
        left = np.sqrt(np.mean((change - wrong) ** 2))
        assert low <= left / np.sqrt(np.mean(wrong**2)) <= high
        assert left < 3 * np.sqrt(covariance[0, 0])
        assert covariance[0, 0] <= believed**2
        assert found == pytest.approx([scatter] * 2, rel=0.4) or scatter < 1
    change, covariance, found = _between(middle[:1], np.zeros((1, 2)), believed, 1.4)
    np.testing.assert_array_equal(change, 0)
    np.testing.assert_allclose(covariance, believed**2 * np.eye(2))
    np.testing.assert_array_equal(found, 0)
