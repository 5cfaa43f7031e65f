"""Motions of two epochs against a known truth: zero points, transformations, errors, refusals."""

import numpy as np
import pytest
from astropy.table import Table

from jwst_hpastrom.columns import MASTER, Flag, make_table
from jwst_hpastrom.errors import BadCatalogError, NoOverlapError, NotEnoughStarsError, ParameterError
from jwst_hpastrom.geometry import TangentPlane
from jwst_hpastrom.motion.selection import inside_polygon, parse_polygon, select_cmd
from jwst_hpastrom.motion.two_epoch import two_epoch_motions
from jwst_hpastrom.motion.two_epoch._kernels import Offsets, Reference, local_offsets
from jwst_hpastrom.motion.two_epoch.zero_point import zero_point, zero_point_surface

PLANE = TangentPlane(80.4875, -69.4975)
T1, T2 = 2006.39, 2022.33
E1, E2, EPM = 0.4, 0.15, 0.06  # mas, mas, mas/yr


def scene(seed=1, n=3000, half=80.0, bulk=(1.9, 0.35), spread=0.14, swirl=0.0):
    """Master frame, first-epoch catalog, true motions."""
    rng = np.random.default_rng(seed)
    xi, eta = rng.uniform(-half, half, (2, n))
    pm = rng.normal(0, spread, (2, n)) + np.array(bulk)[:, None]
    pm[0] += swirl * np.sin(2 * np.pi * eta / 60.0)
    mag = rng.uniform(-7, -3, n)
    now = [c + p * (T2 - T1) / 1e3 + rng.normal(0, E2, n) / 1e3 for c, p in zip((xi, eta), pm, strict=True)]
    ra, dec = PLANE.to_sky(*now)
    x, y = PLANE.to_pixels(*now)
    err = np.full(n, E2 / PLANE.scale_mas)
    data = {
        "x": x, "y": y, "ra": ra, "dec": dec,
        "x_err": err, "y_err": err, "x_err_formal": err, "y_err_formal": err,
        "mag": mag, "mag_err": np.full(n, 0.01), "qfit": np.full(n, 0.02), "n_found": np.full(n, 12),
        "n_used": np.full(n, 12), "flags": np.zeros(n, int),
    }  # fmt: skip
    master = make_table(
        MASTER, {"id": np.arange(n), **data}, {"epoch": T2, "filter": "F150W", **PLANE.to_meta()}
    )
    old = [c + rng.normal(0, E1, n) / 1e3 for c in (xi, eta)]
    ra, dec = PLANE.to_sky(*old)
    pm_seen = pm + rng.normal(0, EPM, (2, n))
    first = Table(
        {
            "ra": ra, "dec": dec, "ra_error": np.full(n, E1), "dec_error": np.full(n, E1),
            "pmra": pm_seen[0], "pmdec": pm_seen[1],
            "pmra_error": np.full(n, EPM), "pmdec_error": np.full(n, EPM),
            "mag": mag + 30, "color": np.where(np.arange(n) % 2, 1.0, 0.0),
        },
        meta={"epoch": T1, **PLANE.to_meta()},
    )  # fmt: skip
    shuffle = rng.permutation(n)
    return master, first[shuffle], pm, shuffle


def test_a_nearer_star_of_another_magnitude_is_doubted():
    master, first, _, shuffle = scene(n=600)
    first.remove_columns(["pmra", "pmdec", "pmra_error", "pmdec_error"])
    star, other = np.argsort(shuffle)[:2]  # their rows; the first star was 80 mas away, a faint one 20 mas
    xi, eta = PLANE.from_sky(master["ra"][0], master["dec"][0])
    for row, away in ((star, 0.08), (other, -0.02)):
        first["ra"][row], first["dec"][row] = PLANE.to_sky(xi + away, eta)
    master["mag"][:2] = first["mag"][[star, other]] = -6.0, -4.0
    first["mag"][[star, other]] += 30
    first["mag"] += np.random.default_rng(1).normal(0, 0.03, len(first))
    t = two_epoch_motions(master, first, match_radius=120.0, fast_motion=0.0).table
    ambiguous = np.asarray(t["flags"]) & int(Flag.AMBIGUOUS) != 0
    assert t["first_epoch_row"][t["master_row"] == 0] == other
    np.testing.assert_array_equal(np.asarray(t["master_row"])[ambiguous], 0)
    # where nothing near is alike, a variable star stays as it is
    first["mag"][star] += 3
    t = two_epoch_motions(master, first, match_radius=120.0, fast_motion=0.0).table
    assert not np.any(np.asarray(t["flags"]) & int(Flag.AMBIGUOUS))


def test_motions_errors_and_zero_point():
    master, first, pm, shuffle = scene()
    result = two_epoch_motions(master, first)
    t = result.table
    assert len(t) == len(master)
    np.testing.assert_array_equal(shuffle[t["first_epoch_row"]], t["master_row"])
    truth = pm[:, t["master_row"]]
    for k, c in enumerate(("pmra", "pmdec")):
        expected = np.hypot(E1, E2) / (T2 - T1)
        plain = two_epoch_motions(master, first, errors="l23").table
        np.testing.assert_allclose(plain[f"{c}_error"], expected, rtol=0.01)
        assert np.all(t[f"{c}_error"] >= 0.999 * expected)  # and the transformation's error
        np.testing.assert_allclose(np.median(t[f"{c}_error"]), expected, rtol=0.02)
        pull = (np.asarray(t[c]) - truth[k]) / t[f"{c}_error"]
        assert 0.95 < pull.std() < 1.05
        assert abs(np.mean(np.asarray(t[c]) - truth[k])) < 3 * result.zero_point_error[k]
        np.testing.assert_allclose(t[c], np.asarray(t[f"{c}_rel"]) + result.zero_point[k])
    expected = np.sqrt((np.hypot(E1, E2) / (T2 - T1)) ** 2 + EPM**2) / np.sqrt(t.meta["n_zero_point"])
    np.testing.assert_allclose(result.zero_point_error, expected, rtol=0.1)
    assert t.meta["motions"] == "absolute"
    assert result.reference.mean() > 0.95
    assert result.table["pmra"].unit == "mas / yr"


@pytest.mark.parametrize("parameters", [4, 6])
@pytest.mark.parametrize("absolute", [True, False])
def test_errors_hold_the_transformation(absolute, parameters):
    """Few reference stars that move: their motions turn and stretch the frame for all others."""
    pulls, l23 = [], []
    for seed in range(40):  # each field has one draw of its frame's error
        master, first, pm, _ = scene(seed, n=600, spread=1.5)
        few = np.asarray(master["mag"]) < -6.4  # about 90
        if not absolute:
            first.remove_columns(["pmra", "pmdec", "pmra_error", "pmdec_error"])
        options = {"mag_max": -6.4, "parameters": parameters, "match_radius": 150.0}
        for errors, out in (("combined", pulls), ("l23", l23))[: 1 + (seed < 12)]:
            t = two_epoch_motions(master, first, errors=errors, **options).table
            error = np.hypot(t["pmra_error"], 0 if not absolute else t.meta["zero_point_pmra_error"])
            true = pm[0][t["master_row"]] - (0 if absolute else 1.9)  # scene's bulk motion
            out.append(((np.asarray(t["pmra"]) - true) / error)[~few[t["master_row"]]])
    assert np.sqrt(np.mean(np.concatenate(l23) ** 2)) > 1.5
    assert 0.85 < np.sqrt(np.mean(np.concatenate(pulls) ** 2)) < 1.2


def test_first_epoch_frame_turned_and_shifted():
    master, first, *_ = scene(2)
    plain = two_epoch_motions(master, first).table
    a = np.deg2rad(0.7)
    xi, eta = PLANE.from_sky(np.asarray(master["ra"]), np.asarray(master["dec"]))
    master["ra"], master["dec"] = PLANE.to_sky(
        np.cos(a) * xi - np.sin(a) * eta + 2.0, np.sin(a) * xi + np.cos(a) * eta - 3.0
    )
    turned = two_epoch_motions(master, first).table
    np.testing.assert_allclose(turned["pmra"], plain["pmra"], atol=1e-4)


def test_relative_only():
    master, first, *_ = scene(3)
    first.remove_columns(["pmra", "pmdec", "pmra_error", "pmdec_error"])
    result = two_epoch_motions(master, first)
    assert np.isnan(result.zero_point).all()
    assert result.table.meta["motions"] == "relative"
    assert abs(np.mean(result.table["pmra"])) < 0.01
    np.testing.assert_array_equal(result.table["pmra"], result.table["pmra_rel"])


def test_reference_by_range_and_polygon():
    master, first, *_ = scene(4, bulk=(0.0, 0.0))
    odd = np.asarray(first["color"]) > 0.5
    by_range = two_epoch_motions(master, first, color_min=0.5, mag_max=-4)
    used = np.asarray(by_range.table["first_epoch_row"])[by_range.reference]
    assert odd[used].all()
    assert np.asarray(by_range.table["mag"])[by_range.reference].max() <= -4
    flagged = np.asarray(by_range.table["flags"]) & int(Flag.REFERENCE) > 0
    np.testing.assert_array_equal(flagged, by_range.reference)
    by_polygon = two_epoch_motions(master, first, polygon="0.5:-9 1.5:-9 1.5:-4 0.5:-4")
    np.testing.assert_array_equal(by_polygon.reference, by_range.reference)


def test_local_transformations_remove_what_neighbors_share():
    master, first, pm, _ = scene(5, n=6000, spread=0.05, swirl=0.15)
    truth = pm[0] - 0.15 * np.sin(
        2 * np.pi * np.asarray(PLANE.from_sky(master["ra"], master["dec"])[1]) / 60.0
    )
    plain, local = (two_epoch_motions(master, first, transformation=t) for t in ("global", "local"))
    assert local.local_gain > 1.3
    left = [
        np.std(np.asarray(r.table["pmra_rel"]) - truth[r.table["master_row"]] + truth.mean())
        for r in (plain, local)
    ]
    assert left[1] < 0.5 * left[0]
    assert np.all(np.asarray(local.table["n_local"]) <= 50)
    assert np.all(np.asarray(local.table["pmra_error"]) > np.asarray(plain.table["pmra_error"]))


def test_refusals():
    master, first, *_ = scene(6, n=300)
    with pytest.raises(NotEnoughStarsError, match="reference stars"):
        two_epoch_motions(master, first, mag_max=-20)
    other = scene(7, n=300)[1]
    with pytest.raises(NoOverlapError):
        two_epoch_motions(master, other)
    first.meta["epoch"] = None
    with pytest.raises(BadCatalogError, match="first epoch: found no epoch"):
        two_epoch_motions(master, first)


def test_polygon_text():
    square = parse_polygon("0:0 1:0 1:1 0:1")
    assert inside_polygon([0.5, 1.5, -0.1], [0.5, 0.5, 0.2], square).tolist() == [True, False, False]
    assert parse_polygon("None") is None
    for bad in ("0:0 1:1", "a:b c:d e:f", "1 2 3"):
        with pytest.raises(ParameterError, match="color:magnitude"):
            parse_polygon(bad)
    with pytest.raises(ParameterError, match="no colors"):
        select_cmd(np.zeros(3), polygon=square)


def test_zero_point_is_robust():
    rng = np.random.default_rng(8)
    relative, error = rng.normal(0, 0.1, (2, 500)), np.full((2, 500), 0.05)
    absolute = relative + np.array([[2.0], [0.5]]) + rng.normal(0, 0.05, (2, 500))
    absolute[:, :20] += 5
    zero, zero_error, n = zero_point(relative, error, absolute, np.full((2, 500), np.nan))
    assert np.all(np.abs(zero - [2.0, 0.5]) < 3.5 * zero_error)
    assert 460 < n <= 480
    assert np.isnan(zero_point(relative, error, absolute * np.nan, error)[0]).all()


def test_zero_point_that_varies_over_the_field():
    rng = np.random.default_rng(11)
    n = 3000
    x, y = rng.uniform(0, 4000, (2, n))
    p, q = x / 2000 - 1, y / 2000 - 1
    wave = np.stack([0.03 * (p * p - 1 / 3), 0.02 * p * q])
    relative, error = rng.normal(0, 0.1, (2, n)), np.full((2, n), 0.03)
    absolute = relative + np.array([[2.0], [0.5]]) + wave + rng.normal(0, 0.05, (2, n))
    absolute[:, :30] += 5
    absolute[:, -500:] = np.nan
    known = np.full((2, n), 0.04)
    zero, *_ = zero_point(relative, error, absolute, known)
    surface, surface_error = zero_point_surface(x, y, relative, error, absolute, known, zero)
    pull = (surface - wave) / surface_error
    assert np.sqrt(np.mean(pull**2)) < 2
    assert np.abs(surface - wave).max() < 0.01
    assert np.all(surface_error < 0.006)
    with pytest.raises(NotEnoughStarsError, match="degree 2"):
        zero_point_surface(x[:40], y[:40], *(a[:, :40] for a in (relative, error, absolute, known)), zero)


def twin(x, y, rx, ry, rdx, rdy, rw, sigma):
    """Slow version of one star's local fit."""
    span = max(abs(rx - x).max(), abs(ry - y).max())
    design = np.c_[np.ones(rx.size), (rx - x) / span, (ry - y) / span]
    ok = np.ones(rx.size, bool)
    for _ in range(5):
        c = np.linalg.inv((design[ok].T * rw[ok]) @ design[ok])
        fits = [c @ (design[ok].T @ (rw[ok] * t[ok])) for t in (rdx, rdy)]
        residual = [t - design @ f for t, f in zip((rdx, rdy), fits, strict=True)]
        if ok.sum() < 6:
            break
        pull = [r * np.sqrt(rw) for r in residual]
        new = np.all([abs(z) <= sigma * 1.4826 * np.median(abs(z[ok])) for z in pull], axis=0)
        if np.array_equal(new, ok) or new.sum() < 4:
            break
        ok = new
    error = [np.sqrt(c[0, 0] * np.sum(rw[ok] * r[ok] ** 2) / (ok.sum() - 3)) for r in residual]
    return fits[0][0], fits[1][0], *error, ok.sum()


def test_local_kernel_against_twin():
    rng = np.random.default_rng(9)
    rx, ry = rng.uniform(0, 1000, (2, 60))
    rdx, rdy = rng.normal(0, 1, (2, 60))
    rdx[3] = 20.0
    rw = rng.uniform(0.5, 2, 60)
    near = np.array([rng.permutation(60)[:20] for _ in range(8)])
    near[:4, 0] = 3
    near[7, 2:] = -1  # too few
    x, y = rng.uniform(0, 1000, (2, 8))
    own = np.full(8, -1)
    own[5] = near[5, 4]
    found = Offsets(*np.empty((4, 8)), np.zeros(8, np.int64))
    local_offsets(x, y, own, near, Reference(rx, ry, rdx, rdy, rw), 3.0, found)
    for s in range(7):
        k = near[s][near[s] != own[s]]
        expected = twin(x[s], y[s], rx[k], ry[k], rdx[k], rdy[k], rw[k], 3.0)
        np.testing.assert_allclose([c[s] for c in found], expected, rtol=1e-9)
    assert np.isnan(found.dx[7])
    assert found.n_used[7] == 0


def test_rows_of_several_epochs():
    master, first, pm, shuffle = scene(n=2000)
    early = np.arange(len(first)) % 2 == 0
    back = np.where(early, 1991.25 - T1, 0.0)
    xi, eta = PLANE.from_sky(first["ra"], first["dec"])
    first["ra"], first["dec"] = PLANE.to_sky(
        xi + pm[0][shuffle] * back / 1e3,
        eta + pm[1][shuffle] * back / 1e3,
    )
    first["ref_epoch"] = T1 + back
    result = two_epoch_motions(master, first)
    t = result.table
    for k, c in enumerate(("pmra", "pmdec")):
        d = np.asarray(t[c]) - pm[k][t["master_row"]]
        assert abs(np.median(d)) < 4 * result.zero_point_error[k]
        old = early[t["first_epoch_row"]]
        # the two halves' own mean motions differ by chance
        assert abs(np.median(d[old]) - np.median(d[~old])) < 4 * 0.14 * np.sqrt(2 / 1000)
        for part in (old, ~old):
            assert 0.9 < np.std((d / t[f"{c}_error"])[part]) < 1.1


@pytest.mark.parametrize("epoch", [T1 + 10, T1 - 15, T2, None])
def test_epochs_that_cannot_be_are_refused(epoch):
    master, first, *_ = scene(n=800)
    first.meta |= {"epoch": epoch, "catalog": "first.ecsv"}
    with pytest.raises(BadCatalogError, match=r"first\.ecsv: found .*epoch"):
        two_epoch_motions(master, first)


def test_unknown_errors_of_the_first_epoch_are_not_zero():
    master, first, pm, _ = scene()
    for value in (np.nan, 0.0, None):
        for name in ("ra_error", "dec_error"):
            if value is None:
                first.remove_column(name)
            else:
                first[name] = value
        t = two_epoch_motions(master, first).table
        pull = (np.asarray(t["pmra"]) - pm[0][t["master_row"]]) / t["pmra_error"]
        assert pull.std() < 1.05


def test_motions_of_one_exposure_are_said(caplog):
    master, first, *_ = scene(n=800)
    master.meta["n_exposures"] = 1
    two_epoch_motions(master, first)
    assert "the master frame is one exposure" in caplog.text


def test_motions_follow_the_meridians():
    """A fast star far from the tangent point, near the pole, where North there is not North here."""
    master, first, _, shuffle = scene(seed=31, n=400)
    plane = TangentPlane(80.4875, -89.0)
    xi, eta = PLANE.from_sky(np.asarray(first["ra"]), np.asarray(first["dec"]))
    far = int(np.argmax(np.abs(xi)))
    first["ra"], first["dec"] = plane.to_sky(xi, eta)
    v = np.array([0.0, 8.0])  # relative to the field, along the star's own meridian
    ra, dec = float(first["ra"][far]), float(first["dec"][far])
    moved = plane.from_sky(ra, dec + v[1] * (T2 - T1) / 3.6e6)
    first = first["ra", "dec", "ra_error", "dec_error", "mag"]
    first.meta = {"epoch": T1, **plane.to_meta()}
    row = int(shuffle[far])
    u, w = PLANE.from_sky(np.asarray(master["ra"]), np.asarray(master["dec"]))
    u[row], w[row] = moved[0] + 1.9 * (T2 - T1) / 1e3, moved[1] + 0.35 * (T2 - T1) / 1e3
    master["ra"], master["dec"] = plane.to_sky(u, w)
    master["x"], master["y"] = plane.to_pixels(u, w)
    master.meta.update(plane.to_meta())
    t = two_epoch_motions(master, first, match_radius=300.0).table
    star = t[np.asarray(t["master_row"]) == row][0]
    assert abs(star["pmra"]) < 4 * star["pmra_error"]  # 0.17 mas/yr without
    assert abs(star["pmdec"] - 8.0) < 4 * star["pmdec_error"]
