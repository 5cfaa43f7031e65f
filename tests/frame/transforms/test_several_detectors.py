"""One frame of several detectors: positions, their errors, and the places of the detectors."""

from types import SimpleNamespace

import numpy as np
import pytest

from jwst_hpastrom.errors import NoOverlapError
from jwst_hpastrom.frame import build_master
from jwst_hpastrom.frame.transforms.pointings import detector_names, simultaneous
from jwst_hpastrom.frame.transforms.several_detectors import SeveralDetectors
from jwst_hpastrom.geometry import LinearTransform, fit_linear, match_nearest
from tests.frame.visits import EPOCH, LAYOUT, PLANE, catalog_of, star_list, stars_of, visit

PIXEL = 50.0  # mas, of the master frame


def residuals(table, truth, *, own_system=False):
    x, y = PLANE.to_pixels(truth["xi"], truth["eta"])
    u, v = np.asarray(table["x"]), np.asarray(table["y"])
    if own_system:
        i, j, _ = match_nearest(u, v, x, y, 30.0)
        u, v = fit_linear(u[i], v[i], x[j], y[j]).transform.forward(u, v)
    i, j, _ = match_nearest(u, v, x, y, 1.0)
    return i, j, u[i] - x[j], v[i] - y[j]


@pytest.fixture(scope="module")
def joint():
    rng = np.random.default_rng(1)
    truth = stars_of(rng, density=0.15)
    lists = visit(rng, truth)
    return truth, lists, build_master(lists, reference=catalog_of(rng, truth))


def test_positions_over_all_detectors_have_their_errors(joint):
    truth, _, frame = joint
    table = frame.table
    i, _, dx, dy = residuals(table, truth)
    assert i.size == len(table) > 2000
    for d, axis in ((dx, "x"), (dy, "y")):
        total = np.hypot(table[f"{axis}_err"], table[f"{axis}_err_tie"])[i]
        assert 0.9 < np.std(d / total) < 1.15
    assert table.meta["detectors"] == list(LAYOUT)
    assert table.meta["tied_to"] == "reference"


def test_detectors_are_where_they_are(joint):
    truth, lists, frame = joint
    i, _, dx, dy = residuals(frame.table, truth)
    m = frame.measurements
    names = np.array([t.meta["detector"] for t in lists])[m["exposure"]]
    for name in LAYOUT:
        mine = np.isin(i, m["star"][names == name])
        # catalog stars of 1 mas: 0.04 mas for the mean of a detector
        assert abs(dx[mine].mean()) * PIXEL < 0.13
        assert abs(dy[mine].mean()) * PIXEL < 0.13
    error = np.sqrt(frame.mosaic.covariance[0].diagonal()[::3]) * PIXEL
    assert np.all((error > 0.02) & (error < 0.08))


def test_bridged_by_dithers_alone():
    rng = np.random.default_rng(2)
    truth = stars_of(rng)
    lists = visit(rng, truth, ("NRCB1", "NRCB2"), dither=9.0)
    frame = build_master(lists, plane=PLANE)
    i, _, dx, dy = residuals(frame.table, truth, own_system=True)
    assert i.size > 1800
    m = frame.measurements
    names = np.array([t.meta["detector"] for t in lists])[m["exposure"]]
    mine = [np.isin(i, m["star"][names == n]) for n in ("NRCB1", "NRCB2")]
    seam = mine[0] & mine[1]  # stars that both have
    assert seam.sum() > 20
    # the WCS is wrong there by 7 mas
    assert np.hypot(dx[seam].mean(), dy[seam].mean()) * PIXEL < 1.0
    for d, axis in ((dx, "x"), (dy, "y")):
        assert np.std(d / frame.table[f"{axis}_err"][i]) < 1.15


def test_a_detector_off_the_catalog_follows_its_pointings():
    rng = np.random.default_rng(3)
    truth = stars_of(rng, density=0.12)
    shifts = np.tile([[1.1, -0.7]], (4, 1))
    lists = visit(rng, truth, ("NRCB1", "NRCB4"), shifts=shifts)
    catalog = catalog_of(rng, truth)
    seen = np.unique(np.concatenate([t["true"] for t in lists if t.meta["detector"] == "NRCB1"]))
    frame = build_master(lists, reference=catalog[seen])
    i, _, dx, dy = residuals(frame.table, truth)
    assert i.size == len(frame.table)
    assert np.hypot(dx, dy).max() * PIXEL < 40  # the pointings err by 1300 mas, the WCS by 8
    far = np.setdiff1d(np.arange(truth["xi"].size), np.concatenate([t["true"] for t in lists]))
    with pytest.raises(NoOverlapError, match="catalog"):
        build_master(lists, reference=catalog[far[:3]])


@pytest.mark.parametrize("tied", [True, False])
def test_tiles_of_a_mosaic_that_a_detector_has_nothing_in_common_in(tied):
    rng = np.random.default_rng(6)
    truth = stars_of(rng, density=0.06, half=130.0)
    places = [(40.0 * side + 6.0 * (k % 2), 6.0 * (k // 2)) for side in (-1, 1) for k in range(4)]
    shifts = rng.normal(0, 0.3, (8, 2))
    lists = [
        star_list(rng, truth, d, place, 35.0, k=k, shift=shifts[k])
        for k, place in enumerate(places) for d in LAYOUT
    ]  # fmt: skip
    catalog = catalog_of(rng, truth)
    frame = build_master(lists, reference=catalog) if tied else build_master(lists, plane=PLANE)
    i, _, dx, dy = residuals(frame.table, truth, own_system=not tied)
    assert i.size == len(frame.table) > 1200
    for d, axis in ((dx, "x"), (dy, "y")):
        pull = d / (np.hypot(*(frame.table[f"{axis}_{c}"] for c in ("err", "err_tie"))) if tied else
                    frame.table[f"{axis}_err"])[i]  # fmt: skip
        assert (0.9 if tied else 0.2) < np.std(pull) < 1.15


def test_one_detector_solved_together_is_as_one_averaged():
    rng = np.random.default_rng(4)
    truth = stars_of(rng)
    lists = visit(rng, truth, ("NRCB1",))
    catalog = catalog_of(rng, truth)
    one, other = (build_master(lists, reference=catalog, together=t).table for t in (False, True))
    i, j, _ = match_nearest(one["x"], one["y"], other["x"], other["y"], 0.5)
    assert i.size > 0.98 * len(one)
    assert np.std(np.asarray(one["x"])[i] - np.asarray(other["x"])[j]) * PIXEL < 0.1


def test_exposures_at_one_time_are_one_pointing():
    lists = visit(np.random.default_rng(5), stars_of(np.random.default_rng(5), 0.02), ("NRCB1", "NRCB2"))
    names, which = detector_names(lists)
    assert names == ["NRCB1", "NRCB2"]
    epochs = np.array([t.meta["epoch"] for t in lists])
    np.testing.assert_array_equal(simultaneous(epochs, which), [0, 0, 1, 1, 2, 2, 3, 3])
    # two exposures of one detector are two pointings, and so is one without a time
    np.testing.assert_array_equal(simultaneous(np.full(4, EPOCH), np.array([0, 0, 1, 1])), [0, 1, 0, 1])
    np.testing.assert_array_equal(simultaneous(np.full(2, np.nan), np.array([0, 1])), [0, 1])


def test_off_the_catalog_a_place_is_expected_without_the_skew_that_all_wcs_have():
    skew = LinearTransform(np.eye(2) + 1e-5 * np.array([[1.0, 3.0], [3.0, -1.0]]))
    true = [LinearTransform(0.62 * np.eye(2), (1300.0 * (k % 2), 20.0 * (k // 2))) for k in range(4)]
    rng = np.random.default_rng(6)
    x, y = rng.uniform(0, 2047, (2, 400))
    sky = [PLANE.to_sky(*PLANE.from_pixels(*t.then(skew).forward(x, y))) for t in true]
    ra, dec = (np.concatenate([s[c] for s in sky]) for c in (0, 1))
    m = SimpleNamespace(
        n_exposures=4, x=np.tile(x, 4), y=np.tile(y, 4), ra=ra, dec=dec,
        of=lambda k: slice(400 * k, 400 * (k + 1)),
    )  # fmt: skip
    epochs = EPOCH + np.array([0.0, 0.0, 1e-5, 1e-5])
    several = SeveralDetectors(
        m, ["NRCB1", "NRCB2"], np.array([0, 1, 0, 1]), epochs, PLANE, None, EPOCH, 0.8, [None] * 4
    )
    several.first, several.groups, several.known = list(several.wcs.transforms), [[0, 2], [1, 3]], [0, 2]
    for expected, t in zip(several._expected(true)[1::2], true[1::2], strict=True):
        assert np.hypot(*np.subtract(expected.forward(x, y), t.forward(x, y))).max() < 1e-4
        assert np.hypot(*np.subtract(several.first[1].forward(x, y), true[1].forward(x, y))).max() > 0.03
