"""Master frames of simulated dithers: positions, pulls, zero points, and what is refused."""

import numpy as np
import pytest
from astropy.table import Table

from jwst_hpastrom.columns import MASTER, Flag
from jwst_hpastrom.distortion import DistortionCorrection, PolynomialCorrection
from jwst_hpastrom.errors import BadCatalogError, NoOverlapError, NotEnoughStarsError
from jwst_hpastrom.frame import build_master, combine_filters, rms_against_magnitude
from jwst_hpastrom.frame._kernels import Detected, Mean, average_stars
from jwst_hpastrom.frame.transforms.registration import choose_plane
from jwst_hpastrom.frame.transforms.tie import reference_positions
from jwst_hpastrom.geometry import IdentityMapping, LinearTransform, TangentPlane, match_nearest

PLANE = TangentPlane(80.4875, -69.4975)
SCALE = 65.57
ERROR = 0.01


def sky(rng, n=1500, half=85.0):
    xi, eta = rng.uniform(-half, half, (2, n))
    return {"xi": xi, "eta": eta, "mag": rng.uniform(-8, -4, n)}


def exposure(
    rng,
    truth,
    dither,
    roll,
    *,
    k=0,
    wcs_shift=(0.0, 0.0),
    wcs_turn=0.0,
    zero=0.0,
    size=2048,
    depth=1.0,
    excess=0.0,
    mag_error=0.01,
):
    """Star list of one exposure; its WCS is wrong by a shift (arcsec) and a turn (degrees).

    Positions err by ``excess`` pixels more than they state.
    """
    a = np.deg2rad(roll)
    dx, dy = -(truth["xi"] - dither[0]) * 1e3 / SCALE, (truth["eta"] - dither[1]) * 1e3 / SCALE
    x = np.cos(a) * dx + np.sin(a) * dy + 0.0003 * dy + size / 2  # some skew
    y = -np.sin(a) * dx + np.cos(a) * dy + size / 2
    inside = (x > 0) & (x < size) & (y > 0) & (y < size)
    n = inside.sum()
    error, mag_error = ERROR / np.sqrt(depth), mag_error / np.sqrt(depth)
    t = np.deg2rad(wcs_turn)
    xi, eta = truth["xi"][inside], truth["eta"][inside]
    xi, eta = (
        np.cos(t) * xi - np.sin(t) * eta + wcs_shift[0],
        np.sin(t) * xi + np.cos(t) * eta + wcs_shift[1],
    )
    ra, dec = PLANE.to_sky(xi, eta)
    return Table(
        {
            "x": x[inside] + rng.normal(0, np.hypot(error, excess), n),
            "y": y[inside] + rng.normal(0, np.hypot(error, excess), n),
            "x_err": np.full(n, error),
            "y_err": np.full(n, error),
            "mag": truth["mag"][inside] + zero + rng.normal(0, mag_error, n),
            "mag_err": np.full(n, mag_error),
            "qfit": np.full(n, 0.03),
            "radxs": np.zeros(n),
            "flags": np.zeros(n, int),
            "ra": ra,
            "dec": dec,
            "true": np.flatnonzero(inside),
        },
        meta={"filename": f"jw0108600{k}_nis_cal.fits", "filter": "F150W", "epoch": 2022.33},
    )


def dithers(rng, truth, n=6, **kwargs):
    offsets = [(9.0 * (k % 3 - 1), 9.0 * (k // 3 - 0.5)) for k in range(n)]
    return [exposure(rng, truth, o, 35 + rng.normal(0, 0.01), k=k, **kwargs) for k, o in enumerate(offsets)]


def reference_of(truth):
    ra, dec = PLANE.to_sky(truth["xi"], truth["eta"])
    return Table({"ra": ra, "dec": dec, "mag": truth["mag"] + 30}, meta={"epoch": 2006.39, **PLANE.to_meta()})


def against_truth(table, truth):
    x, y = PLANE.to_pixels(truth["xi"], truth["eta"])
    i, j, _ = match_nearest(table["x"], table["y"], x, y, 1.0)
    return i, np.asarray(table["x"])[i] - x[j], np.asarray(table["y"])[i] - y[j], j


def test_light_of_others_is_as_the_fits_epsf_has_it():
    rng = np.random.default_rng(8)
    truth = sky(rng, n=6000)
    lists = dithers(rng, truth, n=4)
    for t in lists:
        t["flags"] |= int(Flag.SUBTRACTED)
    errors = []
    for shift in (None, 0.1e-3, 0.6e-3):  # of a star by one as bright 10 pixels away
        for t in lists:
            t.meta |= {} if shift is None else {"wing_shift": shift}
        frame = build_master(lists, correction=IdentityMapping(), min_exposures=4)
        errors.append(np.asarray(frame.table["x_err_systematic"]))
        assert frame.table.meta.get("wing_shift") == shift
    usual, small, large = (np.median(e[-e.size // 4 :]) for e in errors)  # of the faintest
    assert small < 0.8 * usual < 0.8 * 0.8 * large


def test_positions_and_pulls():
    rng = np.random.default_rng(1)
    truth = sky(rng)
    frame = build_master(dithers(rng, truth), reference=reference_of(truth))
    table = frame.table
    i, dx, dy, _ = against_truth(table, truth)
    assert i.size == len(table) > 800
    for d, axis in ((dx, "x"), (dy, "y")):
        assert 0.9 < np.std(d / table[f"{axis}_err_formal"][i]) < 1.1
        assert abs(d.mean()) < 4 * d.std() / np.sqrt(d.size)
    assert [c.name for c in MASTER if c.name not in table.colnames] == []
    assert table.meta["epoch"] == pytest.approx(2022.33)
    assert frame.plane == PLANE
    assert frame.exposures["scale_mas"] == pytest.approx(SCALE, rel=1e-3)
    assert np.all(np.diff(table["mag"]) >= 0)
    n_found = np.bincount(np.asarray(frame.measurements["star"]), minlength=len(table))
    np.testing.assert_array_equal(n_found, table["n_found"])


def test_without_reference_the_frame_is_that_of_the_wcs():
    rng = np.random.default_rng(2)
    truth = sky(rng)
    frame = build_master(dithers(rng, truth), plane=PLANE)
    _, dx, dy, _ = against_truth(frame.table, truth)
    assert np.hypot(dx, dy).max() < 0.06
    assert frame.table.meta["tied_to"] == "exposure WCS"
    # the frame's place is as uncertain as guide stars leave it, which all stars share; scale and turn as the
    # WCS is, 3 mas over a detector
    for axis in "xy":
        tie = np.asarray(frame.table[f"{axis}_err_tie"]) * PLANE.scale_mas
        assert 70 < tie.min() < tie.max() < 75
        assert 1.5 < np.sqrt(np.mean(tie**2) - tie.min() ** 2) < 6
    assert frame.table.meta["pointing_error_mas"] == pytest.approx([70, 70], rel=0.05)


def test_pointings_that_scatter_make_the_place_less_certain():
    rng = np.random.default_rng(2)
    truth = sky(rng)
    lists = dithers(rng, truth)
    for table, shift in zip(lists, (-300, 100, 0, 200, 0, 0, 0, 0, 0), strict=False):
        table["dec"] += shift / 3.6e6
    table = build_master(lists, plane=PLANE).table
    shifts = np.array([-300, 100, 0, 200, 0, 0, 0, 0, 0][: len(lists)])
    expected = np.hypot(70, shifts.std(ddof=1) / np.sqrt(len(lists)))
    assert table.meta["pointing_error_mas"] == pytest.approx([70, expected], rel=0.05)
    assert np.median(table["y_err"]) < 0.1 * table["y_err_tie"][0]


def test_wcs_errors_of_five_arcsec_and_a_degree():
    rng = np.random.default_rng(3)
    truth = sky(rng, 3000)
    lists = [
        exposure(
            rng,
            truth,
            (4.0 * k, 3.0),
            35,
            k=k,
            wcs_shift=rng.uniform(-3.5, 3.5, 2),
            wcs_turn=rng.uniform(-1, 1),
        )
        for k in range(4)
    ]
    frame = build_master(lists, reference=reference_of(truth))
    i, dx, dy, _ = against_truth(frame.table, truth)
    assert i.size > 0.99 * len(frame.table)
    assert np.hypot(dx, dy).max() < 0.06


def test_wrong_field_names_the_exposure():
    rng = np.random.default_rng(4)
    lists = dithers(rng, sky(rng))
    lists[3] = exposure(rng, sky(rng), (0, 0), 35, k=3)
    with pytest.raises(NoOverlapError, match="jw01086003_nis_cal.fits: found"):
        build_master(lists)
    with pytest.raises(NoOverlapError, match="reference catalog"):
        truth = sky(rng)
        build_master(dithers(rng, truth), reference=reference_of(sky(rng)))


def test_zero_points_and_outliers():
    rng = np.random.default_rng(5)
    truth = sky(rng)
    lists = dithers(rng, truth)
    for k, table in enumerate(lists):
        table["mag"] += 0.1 * k
    bad = rng.choice(len(lists[2]), 60, replace=False)
    lists[2]["x"][bad] += 0.15
    frame = build_master(lists, reference=reference_of(truth), match_radius=60.0)
    zero = np.asarray(frame.exposures["zero_point"])
    central = np.flatnonzero(zero == 0)[0]
    np.testing.assert_allclose(zero, 0.1 * (central - np.arange(6)), atol=0.002)
    i, dx, _, j = against_truth(frame.table, truth)
    hit = np.isin(j, np.asarray(lists[2]["true"])[bad]) & (np.asarray(frame.table["n_found"])[i] > 4)
    clipped = np.asarray(frame.table["flags"])[i] & int(Flag.CLIPPED) > 0
    assert clipped[hit].mean() > 0.9
    assert np.std(dx[hit]) < 0.01


@pytest.mark.parametrize("excess", [0.0, 0.003])
@pytest.mark.parametrize("depths", [(100, 1, 1, 1), (30, 30, 1, 1, 1, 1)])
def test_exposures_of_different_depth(depths, excess):
    rng = np.random.default_rng(21)
    truth = sky(rng, 2500)
    offsets = [(9.0 * (k % 3 - 1), 9.0 * (k // 3 - 0.5)) for k in range(len(depths))]
    lists = [
        exposure(rng, truth, o, 35, k=k, depth=d, excess=excess, mag_error=0.05)
        for k, (o, d) in enumerate(zip(offsets, depths, strict=True))
    ]
    table = build_master(lists, reference=reference_of(truth)).table
    i, dx, dy, j = against_truth(table, truth)
    dm = np.asarray(table["mag"])[i] - truth["mag"][j]
    dm -= np.median(dm)
    for d, column in ((dx, "x_err"), (dy, "y_err"), (dm, "mag_err")):
        pull = d / np.asarray(table[column])[i]
        # what one deep exposure errs by beyond its own errors shows only in the shallow ones' scatter, to 2 %
        # of their variance, which is twice its own: it may be overstated
        assert (0.65 if depths[0] == 100 else 0.85) < np.std(np.clip(pull, -6, 6)) < 1.2
        assert np.mean(np.abs(pull) > 3) < 0.02


def test_zero_points_of_a_mosaic():
    rng = np.random.default_rng(31)
    truth = sky(rng, 6000, 190.0)
    offsets, zero = [(-60.0, -60.0), (60.0, -60.0), (-60.0, 60.0), (60.0, 60.0)], [0.0, 0.3, 0.6, 0.45]
    lists = [
        exposure(rng, truth, (a + 3 * d - 3, b + 2 * d - 2), 0, k=3 * q + d, zero=zero[q], mag_error=0.02)
        for q, (a, b) in enumerate(offsets)
        for d in range(3)
    ]
    frame = build_master(lists, reference=reference_of(truth))
    true = np.repeat(zero, 3)
    off = np.asarray(frame.exposures["zero_point"]) + true - true[frame.central]
    error = np.asarray(frame.exposures["zero_point_error"])
    others = np.arange(12) != frame.central
    assert np.all(np.abs(off[others]) < 4 * error[others])
    assert error.max() < 0.005
    i, _, _, j = against_truth(frame.table, truth)
    pull = frame.table["mag"][i] - truth["mag"][j] - true[frame.central]
    assert 0.85 < np.std(pull / frame.table["mag_err"][i]) < 1.2


@pytest.mark.parametrize("share", [0.0, 0.2, 0.4])
def test_two_exposures_in_one_of_which_many_stars_are_off_alike(share):
    """Clipping about another middle than the scale's left no pair of many such frames."""
    for seed in range(4):
        rng = np.random.default_rng([seed, 61])
        lists = dithers(rng, sky(rng, 400), 2)
        wrong = np.asarray(lists[1]["true"]) < share * 400
        lists[1]["x"][wrong] += 20 * ERROR
        table = build_master(lists, plane=PLANE).table
        both = np.asarray(table["x_rms"])[np.asarray(table["n_found"]) == 2]
        assert both.size > 200
        good = np.sort(both)[: int((1 - share) * both.size * 0.95)]
        assert np.sqrt(np.mean(good**2)) < 1.4 * ERROR * SCALE / PLANE.scale_mas  # 10 errors where all moved


def test_min_exposures():
    rng = np.random.default_rng(6)
    truth = sky(rng)
    lists = dithers(rng, truth)
    table = build_master(lists, plane=PLANE, min_exposures=5).table
    assert table["n_found"].min() == 5
    two = build_master(lists[:2], plane=PLANE).table
    assert len(two) > 700
    assert np.all(np.asarray(two["flags"]) & int(Flag.FEW_EXPOSURES))
    one = build_master(lists[:1], plane=PLANE).table
    assert len(one) == len(lists[0])
    assert np.all(np.isnan(one["x_rms"]))


def test_order_of_exposures_changes_nothing():
    rng = np.random.default_rng(7)
    truth = sky(rng)
    lists = dithers(rng, truth)
    a = build_master(lists, reference=reference_of(truth)).table
    b = build_master(lists[::-1], reference=reference_of(truth)).table
    i, _, d = match_nearest(a["x"], a["y"], b["x"], b["y"], 0.1)
    assert i.size == len(a) == len(b)
    assert d.max() < 1e-3


def test_damaged_lists():
    rng = np.random.default_rng(8)
    lists = dithers(rng, sky(rng), 3)
    short = [*lists[:2], lists[2][:2]]
    with pytest.raises(NotEnoughStarsError, match="jw01086002_nis_cal.fits"):
        build_master(short)
    lists[1].remove_column("mag")
    with pytest.raises(BadCatalogError, match="no column mag"):
        build_master(lists)
    with pytest.raises(NotEnoughStarsError):
        build_master([])


def test_correction_is_applied():
    rng = np.random.default_rng(9)
    truth = sky(rng)
    squeeze = LinearTransform(np.array([[0.99, 0.0], [0.0, 1.0]]), np.zeros(2), np.zeros(2))
    lists = dithers(rng, truth)
    plain = build_master(lists, correction=IdentityMapping(), reference=reference_of(truth)).table
    for table in lists:
        table["x"], table["x_err"] = table["x"] / 0.99, table["x_err"] / 0.99
    again = build_master(lists, correction=squeeze, reference=reference_of(truth)).table
    np.testing.assert_allclose(again["x"], plain["x"], atol=1e-6)
    np.testing.assert_allclose(again["x_err_formal"], plain["x_err_formal"], rtol=1e-6)
    np.testing.assert_allclose(again["mag"], plain["mag"] - 2.5 * np.log10(0.99), atol=1e-6)


def test_a_correction_is_of_the_full_detector():
    rng = np.random.default_rng(5)
    truth = sky(rng)
    lists = dithers(rng, truth)
    a, b = rng.normal(0, 2.0, (2, 9))
    bend = PolynomialCorrection(3, a, b, np.array([1023.0, 1023.0]), 1024.0)
    wide = DistortionCorrection(bend, shape=(2048, 2048))
    for table in lists:
        table["x"], table["y"] = wide.inverse(table["x"], table["y"])
    whole = build_master(lists, correction=wide, reference=reference_of(truth))
    for table in lists:  # the same pixels, counted from a sub-array's corner
        table["x"] -= 300
        table["y"] -= 200
        table.meta |= {"xstart": 301, "ystart": 201}
    part = build_master(lists, correction=wide, reference=reference_of(truth))
    for c in ("x", "y", "x_err", "y_err"):
        np.testing.assert_allclose(part.table[c], whole.table[c], atol=1e-6)


def test_filters_on_one_frame():
    rng = np.random.default_rng(10)
    truth = sky(rng)
    first = build_master(dithers(rng, truth), plane=PLANE).table
    red = dithers(rng, truth, zero=-0.8)
    for table in red:
        table.meta["filter"] = "F277W"
    both = combine_filters([first, build_master(red, plane=PLANE).table])
    assert np.nanmedian(both["color"]) == pytest.approx(0.8, abs=0.01)
    assert np.isfinite(both["mag_f277w"]).mean() > 0.95


def test_rms_table():
    rng = np.random.default_rng(11)
    truth = sky(rng)
    table = build_master(dithers(rng, truth), reference=reference_of(truth)).table
    rms = rms_against_magnitude(table)
    assert rms["n"].sum() <= len(table)
    np.testing.assert_allclose(rms["rms"], ERROR, rtol=0.25)


def twin(x, y, vx, vy, extra, sigma):
    """Slow, obvious version of one star's average."""
    ok = np.ones(x.size, bool)
    for _ in range(10):
        if ok.sum() < 3:
            break
        off = []
        for c, var in ((x, vx), (y, vy)):
            middle = np.median(c[ok])
            scale = max(1.4826 * np.median(abs(c[ok] - middle)), np.median(var[ok] + extra) ** 0.5)
            off.append(abs(c - middle) <= sigma * scale)
        new = off[0] & off[1]
        if np.array_equal(new, ok):
            break
        ok = new
    means, rms, formal, expected = [], [], [], []
    for c, var in ((x, vx), (y, vy)):
        w = 1 / (var[ok] + extra)
        means.append(np.average(c[ok], weights=w))
        error = (
            np.sqrt(np.average((c[ok] - means[-1]) ** 2, weights=w) / (ok.sum() - 1))
            if ok.sum() > 1
            else np.nan
        )
        rms.append(error * np.sqrt(ok.sum()))
        formal.append(np.sqrt(np.sum(w**2 * var[ok])) / np.sum(w))
        expected.append(np.sum(w) ** -0.5)
    return means, rms, formal, expected, ok


def test_average_against_twin():
    rng = np.random.default_rng(12)
    counts = np.array([1, 2, 3, 0, 18, 5, 7])
    start = np.r_[0, np.cumsum(counts)]
    n = start[-1]
    x, y = rng.normal(0, 1, (2, n))
    x[start[4]] += 30
    vx, vy = rng.uniform(0.5, 2, (2, n))
    out = Mean(*np.empty((5, counts.size, 2)), np.zeros(counts.size, np.int64), np.zeros(n, bool))
    average_stars(Detected(start, x, y, vx, vy), np.full(2, 0.2), 3.0, out)
    mean, rms, formal, expected, _, n_used, used = out
    for g in range(counts.size):
        s = slice(start[g], start[g + 1])
        if counts[g] == 0:
            assert np.isnan(mean[g]).all()
            continue
        a, b, c, d, ok = twin(x[s], y[s], vx[s], vy[s], 0.2, 3.0)
        np.testing.assert_allclose(mean[g], a, rtol=1e-12, atol=1e-14)
        np.testing.assert_allclose(rms[g], b, rtol=1e-12)
        np.testing.assert_allclose(formal[g], c, rtol=1e-12)
        np.testing.assert_allclose(expected[g], d, rtol=1e-12)
        np.testing.assert_array_equal(used[s], ok)
        assert n_used[g] == ok.sum()
    assert not used[start[4]]


def test_a_catalog_of_motions_needs_its_epoch():
    rng = np.random.default_rng(3)
    truth = sky(rng, 300)
    reference = reference_of(truth)
    reference["pmra"], reference["pmdec"] = 2.0, 0.5
    reference.meta |= {"epoch": None, "catalog": "r.ecsv"}
    with pytest.raises(BadCatalogError, match=r"r\.ecsv: found motions without an epoch"):
        build_master(dithers(rng, truth, 3), reference=reference)


def test_one_exposure_alone_is_said(caplog):
    rng = np.random.default_rng(3)
    frame = build_master(dithers(rng, sky(rng, 300), 1))
    assert "jw01086000_nis_cal.fits alone: nothing was repeated" in caplog.text
    assert np.all(frame.table["flags"] & int(Flag.FEW_EXPOSURES))


def test_catalog_stars_without_motion_weigh_as_the_field_moves():
    rng = np.random.default_rng(21)
    plane, n, pulls = TangentPlane(80.5, -69.5), 12, []
    for _ in range(60):
        pm = rng.normal(0, 3.0, (2, n))
        xi, eta = rng.uniform(-60, 60, (2, n))
        ra, dec = plane.to_sky(xi, eta)
        seen = np.where(np.arange(n) < 3, np.nan, pm)
        one = np.full(n, 0.1)
        table = Table(
            {"ra": ra, "dec": dec, "ra_error": one, "dec_error": one, "pmra": seen[0], "pmdec": seen[1],
             "pmra_error": one, "pmdec_error": one}, meta={"epoch": 2015.0},
        )  # fmt: skip
        x, y, ex, ey = reference_positions(table, plane, 2022.5)
        now = plane.to_pixels(*(c + p * 7.5e-3 for c, p in zip((xi, eta), pm, strict=True)))
        pulls.append(np.stack([(x - now[0]) / ex, (y - now[1]) / ey])[:, :3])
    assert 0.85 < np.sqrt(np.mean(np.square(pulls))) < 1.25


def test_the_plane_is_about_the_middle_whatever_the_order_of_rows():
    rng = np.random.default_rng(8)
    ra, dec = TangentPlane(359.999, -69.0).to_sky(*rng.uniform(-60, 60, (2, 300)))
    planes = [choose_plane(None, None, ra[k], dec[k], 65.0) for k in (np.arange(300), rng.permutation(300))]
    np.testing.assert_allclose(
        planes[0].to_pixels(*planes[0].from_sky(planes[1].ra, planes[1].dec)), 10000, atol=1e-6
    )
