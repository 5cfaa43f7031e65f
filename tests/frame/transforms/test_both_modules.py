"""NIRCam's modules in one frame: 44 arcsec without a detector between them, no star of one in the other."""

import numpy as np
import pytest

from jwst_hpastrom.frame import build_master, join_filters, zero_points
from tests.frame.visits import PLANE, catalog_of, stars_of_both_modules, visit

PIXEL = 50.0  # mas, of the master frame
MODULE_A, MODULE_B = ("NRCA3", "NRCA4"), ("NRCB3", "NRCB4")


def off(frame, lists, truth, name):
    """Differences of one detector's stars from the truth, mas, and what they should be, shape (2, n)."""
    m, table = frame.measurements, frame.table
    mine = np.array([t.meta["detector"] == name for t in lists])[m["exposure"]]
    first = np.r_[0, np.cumsum([len(t) for t in lists])]
    who = np.concatenate([t["true"] for t in lists])[first[m["exposure"]] + m["row"]]
    star, rows = np.unique(m["star"][mine], return_index=True)
    x, y = PLANE.to_pixels(*(truth[c][who[mine][rows]] for c in ("xi", "eta")))
    moved = np.stack([table["x"][star] - x, table["y"][star] - y])
    return moved * PIXEL, PIXEL * np.stack(
        [np.hypot(table[f"{a}_err"], table[f"{a}_err_tie"])[star] for a in "xy"]
    )


@pytest.mark.filterwarnings("error")
def test_a_catalog_bridges_the_gap():
    rng = np.random.default_rng(21)
    truth = stars_of_both_modules(rng)
    lists = visit(rng, truth, MODULE_A + MODULE_B)
    frame = build_master(lists[1:], reference=catalog_of(rng, truth))  # one detector lacks in one pointing
    for name in MODULE_A + MODULE_B:
        moved, error = off(frame, lists[1:], truth, name)
        assert moved.shape[1] > 150
        assert np.all(np.abs(moved.mean(1)) < 0.2)
        assert 0.85 < np.std(moved / error) < 1.15


@pytest.mark.parametrize("missing", range(4))
def test_a_module_off_the_catalog_follows_the_pointings_that_it_shares(missing):
    rng = np.random.default_rng(22)
    truth = stars_of_both_modules(rng)
    lists = visit(rng, truth, ("NRCA4", "NRCB4"))  # pointings err by 0.3 arcsec
    lists = [t for k, t in enumerate(lists) if k != 2 * missing + 1]
    seen = np.unique(np.concatenate([t["true"] for t in lists if t.meta["detector"] == "NRCA4"]))
    frame = build_master(lists, reference=catalog_of(rng, truth)[seen])
    near, far = (off(frame, lists, truth, name) for name in ("NRCA4", "NRCB4"))
    assert np.all(np.abs(near[0].mean(1)) < 0.2)
    # the WCS mistakes their distance by 10 mas
    assert np.all(np.abs(far[0].mean(1)) < np.minimum(20.0, 2.5 * far[1].mean(1)))


def test_magnitudes_of_modules_without_common_stars_rest_on_the_calibration(caplog):
    rng = np.random.default_rng(23)
    truth = stars_of_both_modules(rng)
    lists = visit(rng, truth, ("NRCALONG", "NRCBLONG"), filter="F277W")
    for t, zero in zip(lists, rng.normal(0, 0.02, len(lists)), strict=True):
        t["mag"] += zero
    with np.errstate(all="raise", under="ignore"):
        frame = build_master(lists, reference=catalog_of(rng, truth))
    assert "4 of 8 exposures have no star in common" in caplog.text
    error = frame.exposures["zero_point_error"]
    assert np.sum(error > zero_points.CALIBRATION) == 4
    assert np.sum(error < 0.1 * zero_points.CALIBRATION) == 4
    module = np.array([t.meta["detector"] for t in lists])
    means = [np.mean(frame.exposures["zero_point"][module == n]) for n in ("NRCALONG", "NRCBLONG")]
    assert means[0] == pytest.approx(means[1], abs=1e-6)


@pytest.mark.parametrize("shift", [0.0, 0.6])
def test_filters_of_two_visits_join_without_a_catalog(shift):
    rng = np.random.default_rng(24)
    truth = stars_of_both_modules(rng)
    short = visit(rng, truth, MODULE_A + MODULE_B, shifts=np.zeros((4, 2)))
    guided = rng.normal(0, 0.003, (4, 2)) + np.array([shift, -shift])  # by other guide stars
    long = visit(rng, truth, ("NRCALONG", "NRCBLONG"), shifts=guided, filter="F277W", zero=-0.7)
    frames = [build_master(lists, plane=PLANE).table for lists in (short, long[1:])]
    table, _ = join_filters(frames)
    color = table["mag_f200w"] - table["mag_f277w"]
    both = np.isfinite(color)
    assert both.sum() > 0.85 * len(frames[0])
    assert np.median(color[both]) == pytest.approx(0.7, abs=2 * zero_points.CALIBRATION)
    assert np.std(color[both]) < 0.02
    assert len(table) < 1.1 * len(frames[1])


def test_chance_does_not_join_filters_of_a_dense_field():
    rng = np.random.default_rng(25)
    tilt = np.deg2rad(35.0)
    x, y = rng.uniform(-5, 75, (2, 5000)) - [[0], [70]]  # about NRCB4
    truth = {
        "xi": np.cos(tilt) * x - np.sin(tilt) * y, "eta": np.sin(tilt) * x + np.cos(tilt) * y,
        "mag": rng.uniform(-8, -4, x.size),
    }  # fmt: skip
    frames = [
        build_master(visit(rng, truth, (d,), shifts=np.full((4, 2), s), filter=f), plane=PLANE).table
        for d, s, f in (("NRCB4", 0.0, "F200W"), ("NRCBLONG", 0.6, "F277W"))
    ]
    table, transforms = join_filters(frames)
    assert np.isfinite(table["mag_f200w"] - table["mag_f277w"]).sum() > 0.85 * len(frames[0])
    np.testing.assert_allclose(transforms[1].matrix, np.eye(2), atol=1e-4)


@pytest.mark.parametrize("unit", ["MJy/sr", "DN/s"])
def test_sums_of_surface_brightness_are_compared_by_the_areas_of_pixels(unit):
    """NRCB1 and NRCB4, dithers smaller than the gap: pixels of 30.7 and 31.3 mas make 0.04 mag."""
    rng = np.random.default_rng(24)
    truth = stars_of_both_modules(rng, density=0.15)
    lists = visit(rng, truth, ("NRCB1", "NRCB4"), dither=0.5, unit=unit)
    areas = {"NRCB1": 2.21e-14, "NRCB4": 2.30e-14}
    by_area = {d: 2.5 * np.log10(a / areas["NRCB1"]) if unit == "MJy/sr" else 0.0 for d, a in areas.items()}
    for t in lists:
        t.meta["pixel_area_sr"] = areas[t.meta["detector"]]
        t["mag"] += by_area[t.meta["detector"]]
    frame = build_master(lists, reference=catalog_of(rng, truth))
    m = frame.measurements
    first = np.r_[0, np.cumsum([len(t) for t in lists])]
    who = np.concatenate([t["true"] for t in lists])[first[m["exposure"]] + m["row"]]
    detector = np.array([t.meta["detector"] for t in lists])[m["exposure"]]
    left = frame.table["mag"][m["star"]] - truth["mag"][who]
    one, other = (np.median(left[detector == d]) for d in areas)
    assert one == pytest.approx(other, abs=0.004)
    # pointings off by 0.3 arcsec each are no turn: the WCS are turned by no more than 0.001 degrees
    assert abs(frame.table.meta["tie_rotation_deg"]) < 0.002
    assert frame.table.meta["tie_scale"] == pytest.approx(1.0, abs=3e-5)
