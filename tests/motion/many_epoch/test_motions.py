"""Star lists of many epochs to motions: a small field with a known truth."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from astropy.table import Table

from jwst_hpastrom.columns import Flag
from jwst_hpastrom.errors import (
    BadCatalogError,
    DegenerateSolutionError,
    NoOverlapError,
    NotEnoughStarsError,
    ParameterError,
)
from jwst_hpastrom.geometry import LinearTransform, TangentPlane
from jwst_hpastrom.motion.analysis.catalog_comparison import compare_catalogs
from jwst_hpastrom.motion.analysis.catalog_cuts import apply_quality_cuts
from jwst_hpastrom.motion.analysis.group_systematics import group_motions, group_offsets
from jwst_hpastrom.motion.gaia_frame.reference import find_reference, reference_stars, select_gaia, sky_axes
from jwst_hpastrom.motion.many_epoch.identified import tangent_plane
from jwst_hpastrom.motion.many_epoch.motions import fit_epochs
from jwst_hpastrom.motion.many_epoch.registration import at_l2
from jwst_hpastrom.motion.star_fits.parallax import parallax_factors

RA, DEC, SCALE = 266.4, -29.0, 100.0
EPOCHS = (2011.0, 2012.5, 2014.2, 2016.1, 2018.3, 2020.0, 2021.7, 2023.1)
ANGLES = (-45.0, -45.0, 135.0, -45.0, 135.0, 135.0, -45.0, 135.0)


def field(seed=0, n=250, n_gaia=30, offset=0.0, with_meta=True, bad=0):
    """Lists, Gaia's table and true motions; the first n_gaia stars are Gaia's."""
    rng = np.random.default_rng(seed)
    e, h = rng.uniform(-30e3, 30e3, (2, n))
    mag = rng.uniform(14, 18, n)
    mag[:n_gaia] = rng.uniform(14, 16, n_gaia)
    pm = rng.normal((-3.0, -5.0), 2.0, (n, 2))
    lists = []
    for k, (t, angle) in enumerate(zip(EPOCHS, ANGLES, strict=True)):
        a, dt = np.deg2rad(angle), t - 2016.0
        east, north = e + pm[:, 0] * dt, h + pm[:, 1] * dt
        x, y = -east * np.cos(a) + north * np.sin(a), east * np.sin(a) + north * np.cos(a)
        x, y = (x + offset) / SCALE, (y + offset) / SCALE
        error = np.full(n, 0.2 / SCALE)
        x, y = x + 2e-6 * x * y + 500 + rng.normal(size=n) * error, y + 300 + rng.normal(size=n) * error
        order = rng.permutation(n)[: n - 5]
        meta = {"epoch": t, "filename": f"list{k}"}
        if with_meta:
            meta |= {"position_angle": angle, "pixel_scale_mas": SCALE}
        columns = {"x": x, "y": y, "x_err": error, "y_err": error, "mag": mag + rng.normal(0, 0.01, n)}
        table = Table({c: v[order] for c, v in columns.items()}, meta=meta)
        table["name"] = [f"S{i}" for i in order]
        lists.append(table)
    g = slice(0, n_gaia)
    err = np.full(n_gaia, 0.05)
    ra, dec = TangentPlane(RA, DEC).to_sky(
        (e[g] + rng.normal(size=n_gaia) * err) / 1e3, (h[g] + rng.normal(size=n_gaia) * err) / 1e3
    )
    shift = np.zeros((n_gaia, 2))
    shift[:bad] = 4.0
    gaia = Table(
        {
            "source_id": np.arange(n_gaia) + 1000,
            "ra": ra, "dec": dec, "ra_error": err, "dec_error": err,
            "pmra": pm[g, 0] + rng.normal(size=n_gaia) * err + shift[:, 0],
            "pmdec": pm[g, 1] + rng.normal(size=n_gaia) * err + shift[:, 1],
            "pmra_error": err, "pmdec_error": err,
            "phot_g_mean_mag": mag[g] + 2, "ruwe": np.ones(n_gaia), "ref_epoch": np.full(n_gaia, 2016.0),
        }
    )  # fmt: skip
    return lists, gaia, pm


def star_numbers(table):
    return np.array([int(n[1:]) for n in table["source_name"]])


@pytest.fixture(scope="module")
def result():
    lists, gaia, pm = field(offset=0.5, bad=3)
    return fit_epochs(lists, gaia), pm


def test_motions_in_gaias_frame(result):
    out, pm = result
    t = out.table
    assert len(t) == 250
    d = np.stack([t["pmra"], t["pmdec"]], -1) - pm[star_numbers(t)]
    total = np.stack([t["pmra_error_total"], t["pmdec_error_total"]], -1)
    assert np.all(t["pmra_error_systematic"] < t["pmra_error"])
    error = np.stack([t["pmra_error"], t["pmdec_error"]], -1)
    assert np.all(np.abs(np.median(d, 0)) < 3.5 * np.array(t.meta["frame_pm_error_mas_yr"]))
    np.testing.assert_allclose(((d - np.median(d, 0)) / error).std(0), 1.0, atol=0.25)
    assert np.all(total >= error)
    assert not out.references["kept"][:3].any()
    assert out.references["kept"].sum() >= 25
    assert np.all(np.abs(out.bias.motion) < 3 * out.bias.motion_error)
    assert (np.asarray(t["flags"]) & int(Flag.REFERENCE) > 0).sum() == out.references["kept"].sum()
    plane = TangentPlane(RA, DEC)
    assert np.ptp(plane.from_sky(t["ra"], t["dec"])[0]) > 55


def test_every_entry_belongs_to_its_star(result):
    out, _ = result
    rows = out.residuals()
    assert np.mean(rows["used"]) > 0.97
    z = rows["loo_residual_ra"][rows["used"]] / rows["loo_error_ra"][rows["used"]]
    assert z.std() == pytest.approx(1.0, abs=0.2)
    assert (out.links.index >= 0).sum() == 245 * 8


def test_displaced_entries_stay_their_stars_and_are_rejected():
    lists, gaia, _ = field(4)
    shifted = [f"S{i}" for i in range(100, 140)]
    for k in (2, 5):  # 60 mas, three hundred errors: left alone the two would make a star of two epochs
        lists[k]["x"][np.isin(lists[k]["name"], shifted)] += 60 / SCALE
    out = fit_epochs(lists, gaia, models="linear")
    t = out.table
    assert len(set(t["source_name"])) == len(t)
    rows = np.isin(t["source_name"], shifted)
    assert rows.sum() == 40
    assert not out.fits.used[rows][:, [2, 5]].any()
    assert (out.links.index[rows][:, [2, 5]] >= 0).mean() > 0.95
    assert np.all(t["n_epochs"][rows] >= 5)


def test_without_metadata_origin_rotation_and_scale_are_found(result):
    lists, gaia, pm = field(offset=0.5, with_meta=False)
    for models in ("linear", "h25"):
        out = fit_epochs(lists[::3], gaia, models=models, group_by="none", ra_ref=RA, dec_ref=DEC)
        t = out.table
        d = np.stack([t["pmra"], t["pmdec"]], -1) - pm[star_numbers(t)]
        assert np.median(np.abs(d)) < 0.15
        assert np.all(np.asarray(t["flags"]) & int(Flag.LINEAR_FIT))


def test_workers_do_not_change_the_result(result):
    out, _ = result
    lists, gaia, _ = field(offset=0.5, bad=3)
    with ThreadPoolExecutor(2) as pool:
        again = fit_epochs(lists[::-1], gaia, executor=pool)  # nor does the order of the lists
    for name in ("pmra", "pmdec_error", "elpd"):
        np.testing.assert_array_equal(again.table[name], out.table[name])


def test_names_are_identity_only_on_request(result):
    lists, gaia, pm = field()
    out = fit_epochs(lists, gaia, match="name", models="linear").table
    d = np.asarray(out["pmra"]) - pm[star_numbers(out), 0]
    assert np.median(np.abs(d)) < 0.05
    for table in lists:
        table["name"] = "same"
    assert len(fit_epochs(lists, gaia, models="linear").table) == 250
    with pytest.raises(BadCatalogError, match="duplicate names"):
        fit_epochs(lists, gaia, match="name")


def test_stars_in_two_epochs_get_a_line_without_a_test():
    lists, gaia, pm = field()
    far = np.arange(200, 230)  # these stars only in the first and the last list
    short = [t[~np.isin(star_numbers({"source_name": t["name"]}), far)] for t in lists[1:-1]]
    t = fit_epochs([lists[0], *short, lists[-1]], gaia, models="h25", n_bootstrap=20).table
    t = t[np.isin(star_numbers(t), far)]
    assert len(t) > 20
    assert np.all(t["n_epochs"] == 2)
    assert np.all(np.asarray(t["flags"]) & int(Flag.LINEAR_FIT))
    assert np.all(np.isnan(t["chi2_loo_ra"]))
    z = (t["pmra"] - pm[star_numbers(t), 0]) / t["pmra_error"]
    assert np.std(z) == pytest.approx(1.0, abs=0.4)


def test_gaia_stars_fainter_than_a_thousand_others_are_found():
    """Gaia's stars are blue, a crowded red list is not: none of them is among its brightest."""
    rng = np.random.default_rng(6)
    x, y = rng.uniform(0, 1200, (2, 6000))
    n = 45
    mag = np.r_[rng.uniform(17, 18, n), rng.uniform(12, 17, 6000 - n)]
    plane = TangentPlane(RA, DEC)
    ra, dec = plane.to_sky((x[:n] - 600) * 0.1 + 0.3, (y[:n] - 600) * 0.1 - 0.2)
    gaia = Table({"ra": ra, "dec": dec, "pmra": np.zeros(n), "pmdec": np.zeros(n)})
    for name in ("ra_error", "dec_error", "pmra_error", "pmdec_error"):
        gaia[name] = 0.05
    gaia["phot_g_mean_mag"], gaia["ref_epoch"] = mag[:n] + 2, 2016.0
    reference = reference_stars(gaia, np.ones(n, bool), plane)
    mapping = LinearTransform(100.0 * np.eye(2), np.zeros(2), np.full(2, 600.0))
    i, j, to_plane = find_reference(reference, 2016.0, mapping, x, y, mag, oriented=True, scaled=True)
    np.testing.assert_array_equal(np.sort(j[i]), np.arange(n))
    np.testing.assert_allclose(to_plane.forward(600.0, 600.0), [300, -200], atol=1e-3)


def test_bad_errors_are_flagged_and_left_out():
    lists, gaia, _ = field()
    row = int(np.flatnonzero(lists[2]["name"] == "S100")[0])
    lists[2]["x_err"][row] = 0.0
    lists[3]["x_err"][:] = np.nan
    with pytest.raises(NotEnoughStarsError, match=r"2016\.1"):
        fit_epochs(lists, gaia, models="linear")
    t = fit_epochs(lists[:3] + lists[4:], gaia, models="linear").table
    star = t[list(t["source_name"]).index("S100")]
    assert star["flags"] & int(Flag.BAD_ERRORS)
    assert star["n_epochs"] == star["n_found"] - 1


def test_inputs_without_a_motion_are_refused():
    lists, gaia, _ = field()
    with pytest.raises(NotEnoughStarsError, match="two epochs"):
        fit_epochs(lists[:1], gaia)
    same = [t.copy() for t in lists]
    for t in same:
        t.meta["epoch"] = 2015.0
    with pytest.raises(DegenerateSolutionError, match="epochs that differ"):
        fit_epochs(same, gaia)
    lost = gaia.copy()
    lost["pmra"] = np.nan
    with pytest.raises(BadCatalogError, match="motions"):
        fit_epochs(lists, lost)
    with pytest.raises(NotEnoughStarsError, match="after the cuts"):
        fit_epochs(lists, gaia, max_ruwe=0.5)
    del same[1].meta["epoch"]
    with pytest.raises(BadCatalogError, match="list1"):
        fit_epochs(same, gaia)
    same[1].meta["epoch"] = 2012.0
    same[1].remove_column("x_err")
    with pytest.raises(BadCatalogError, match="x_err"):
        fit_epochs(same, gaia)
    elsewhere = gaia.copy()
    rng = np.random.default_rng(5)
    elsewhere["ra"] = RA + rng.uniform(-0.008, 0.008, len(gaia))
    elsewhere["dec"] = DEC + rng.uniform(-0.008, 0.008, len(gaia))
    with pytest.raises(NoOverlapError, match="Gaia"):
        fit_epochs(lists, elsewhere)
    with pytest.raises(ParameterError):
        fit_epochs(lists, gaia, models="spline")


def test_cuts_follow_the_paper():
    _, gaia, _ = field()
    n = len(gaia)
    gaia["astrometric_params_solved"] = 31
    gaia["duplicated_source"] = False
    gaia["parallax_over_error"] = 0.0
    gaia["astrometric_excess_noise_sig"] = 2.0
    assert select_gaia(gaia).all()
    gaia["astrometric_params_solved"][0] = 95
    gaia["duplicated_source"][1] = True
    gaia["parallax_over_error"][2] = -10.1
    gaia["astrometric_excess_noise_sig"][3] = 2.1
    gaia["ruwe"][4] = 1.4
    gaia["phot_g_mean_mag"][5] = 13.0
    gaia["pmra_error"][6] = 0.0
    assert list(np.flatnonzero(~select_gaia(gaia))) == list(range(7))
    assert select_gaia(gaia, params_solved=0, allow_duplicated=True, max_ruwe=2.0).sum() == n - 4


def test_propagation_with_covariance_against_astropy():
    from astropy import units as u
    from astropy.coordinates import Distance, SkyCoord
    from astropy.time import Time

    _, gaia, _ = field()
    gaia["ra_pmra_corr"] = 0.4
    gaia["ra_dec_corr"] = -0.3
    plane = TangentPlane(RA, DEC)
    reference = reference_stars(gaia, np.ones(len(gaia), bool), plane)
    xi, eta, covariance = reference.at(2026.0)
    sky = SkyCoord(
        gaia["ra"] * u.deg, gaia["dec"] * u.deg, pm_ra_cosdec=gaia["pmra"] * u.mas / u.yr,
        pm_dec=gaia["pmdec"] * u.mas / u.yr, distance=Distance(np.full(len(gaia), 8.0) * u.kpc),
        obstime=Time(2016.0, format="jyear", scale="tdb"), radial_velocity=0 * u.km / u.s,
    )  # fmt: skip
    moved = sky.apply_space_motion(Time(2026.0, format="jyear", scale="tdb"))
    x, y = plane.from_sky(moved.ra.deg, moved.dec.deg)
    np.testing.assert_allclose(xi, x * 1e3, atol=2e-3)
    np.testing.assert_allclose(eta, y * 1e3, atol=2e-3)
    # position variance σ_p² + σ_µ² Δt² + 2 ρ σ_p σ_µ Δt; the field's rotation of the axes is 1e-4
    np.testing.assert_allclose(covariance[:, 0, 0], 0.05**2 * (1 + 100 + 2 * 0.4 * 10), rtol=1e-3)
    np.testing.assert_allclose(covariance[:, 0, 1], -0.3 * 0.05**2, atol=0.05**2 * 0.02)
    axes = sky_axes(plane, xi / 1e3, eta / 1e3)
    np.testing.assert_allclose(np.linalg.det(axes), 1.0, atol=1e-6)


def test_parallax_factors_against_astropy():
    from astropy import units as u
    from astropy.coordinates import BarycentricTrueEcliptic, SkyCoord

    t = np.linspace(2016, 2017, 200)
    pole = SkyCoord(0 * u.deg, 90 * u.deg, frame=BarycentricTrueEcliptic).icrs
    f = parallax_factors(t, pole.ra.deg, pole.dec.deg)
    np.testing.assert_allclose(np.hypot(*f), 1.0, atol=0.03)  # a circle, seen from the ecliptic's pole
    np.testing.assert_allclose(
        parallax_factors(t, 10, 20, l2=True) / parallax_factors(t, 10, 20), 1.01, rtol=0.02
    )
    # At the March equinox the Earth is at ecliptic longitude 180 degrees: a star at (90°, 0) moves East.
    assert parallax_factors(np.array([2016.217]), 90.0, 0.0)[0, 0] == pytest.approx(-1.0, abs=0.02)


def test_offsets_between_position_angles(result):
    out, _ = result
    group = np.array([0 if a < 0 else 1 for a in ANGLES])
    mag = np.asarray(out.table["mag"])
    table = group_offsets(
        out.epochs, out.xi, out.eta, out.xi_error, out.eta_error, group, mag, position_angle=135.0
    )
    # 0.5 mas on both detector axes, of all stars alike: the ties take it out
    assert np.all(np.abs(table["x"]) < 0.3)
    fits = group_motions(out.epochs, out.xi, out.eta, out.xi_error, out.eta_error, group)
    d = fits[0].motion - fits[1].motion
    z = d / np.hypot(fits[0].motion_error, fits[1].motion_error)
    assert np.nanstd(z) < 1.3
    with pytest.raises(ParameterError):
        group_offsets(out.epochs, out.xi, out.eta, out.xi_error, out.eta_error, 0 * group, mag)


def test_cuts_and_comparison_with_another_catalog(result):
    out, _ = result
    t = out.table.copy()
    t["pmra_error"][0] = 3.0
    t["chi2_loo_dec"][1] = 6.0
    t["mag"][2] = 21.0
    keep = apply_quality_cuts(t)
    assert not keep[:3].any()
    assert keep.mean() > 0.9
    assert np.all((np.asarray(t["flags"]) & int(Flag.QUALITY_CUT) > 0) == ~keep)
    i, j, bias = compare_catalogs(out.table, out.table[::2])
    assert i.size == 125
    np.testing.assert_array_equal(i, 2 * j)
    np.testing.assert_allclose(bias.motion, 0, atol=1e-9)
    assert compare_catalogs(out.table, _far(out.table))[2] is None


def _far(table):
    far = table[:2].copy()
    far["dec"] += 0.01
    return far


def test_all_stars_hold_the_epochs_together(result):
    """A displacement of one epoch's list is invisible to few reference stars' ties but not to all stars."""
    out, _ = result
    lists, gaia, pm = field(offset=0.5, bad=3)
    alone = fit_epochs(lists, gaia, transformation_errors="formal")

    def wobble(r):
        residual = np.stack([r.xi, r.eta], 1) - r.fits.loo_mean
        return np.abs(np.nanmedian(residual, axis=0)).max()

    assert wobble(out) < 0.5 * wobble(alone)

    def scatter(r, pm):
        d = np.asarray(r.table["pmra"]) - pm[star_numbers(r.table), 0]
        return np.median(np.abs(d - np.median(d)))

    lists, gaia, pm1 = field(1, offset=0.5, bad=3)
    other = [fit_epochs(lists, gaia, transformation_errors=e) for e in ("joint", "formal")]
    joint, formal = scatter(out, pm) + scatter(other[0], pm1), scatter(alone, pm) + scatter(other[1], pm1)
    assert joint < 1.02 * formal
    expected = out.expected_chi2(n_draws=20)
    assert np.nanmedian(out.fits.chi2_loo) == pytest.approx(np.nanmedian(expected), rel=0.15)


@pytest.mark.parametrize("step", [0.0, 1e-4, 0.003])
@pytest.mark.parametrize("later", [(3,), (2, 3, 4, 5, 6, 7)])
def test_two_lists_of_one_night(step, later):
    lists, gaia, pm = field()
    night = field()[0][0]
    night["x"] += np.random.default_rng(2).normal(0, 0.002, len(night))
    night.meta |= {"epoch": EPOCHS[0] + step, "filename": "night"}
    only = [f"S{i}" for i in range(200, 220)]  # stars of that night
    rest = [lists[k][~np.isin(lists[k]["name"], only)] for k in later]
    t = fit_epochs([lists[0], night, *rest], gaia).table
    n = star_numbers(t)
    hidden = (n >= 200) & (n < 220)
    flagged = np.asarray(t["flags"]) & int(Flag.ONE_TIME) != 0
    assert np.all(flagged[hidden])
    assert np.isnan(t["pmra"][flagged]).all()
    assert not np.any(np.asarray(t["flags"])[flagged] & int(Flag.BAD_ERRORS))
    assert flagged[~hidden].sum() < 6  # missing in the third list
    good = ~flagged
    pull = (np.asarray(t["pmra"]) - pm[n, 0])[good] / np.asarray(t["pmra_error"])[good]
    assert 0.8 < np.std(pull) < 1.6  # the night's two lists share their errors in y
    assert np.median(t["pmra_error"][good]) < 0.2


def test_lists_of_jwst_are_seen_from_l2():
    metas = [{"telescope": "JWST"}, {"TELESCOP": "HST", "instrument": "NIRCAM"}, {"instrument": "niriss"}, {}]
    assert [at_l2(m) for m in metas] == [True, False, True, False]
    epochs = np.array([2022.3, 2023.1])
    near, far = (parallax_factors(epochs, 80.0, -69.0, l2=l2) for l2 in (False, True))
    np.testing.assert_array_equal(
        parallax_factors(epochs, 80.0, -69.0, l2=np.array([False, True])),
        np.stack([near[:, 0], far[:, 1]], 1),
    )
    gaia = field()[1]
    gaia["parallax"] = 5.0
    keep = np.ones(len(gaia), bool)
    plane = TangentPlane(float(gaia["ra"][0]), float(gaia["dec"][0]))
    t = 2022.3
    earth, l2 = (reference_stars(gaia, keep, plane, use_parallax=True, l2=e).at(t)[0] for e in ((), (t,)))
    assert np.all(np.abs(l2 - earth) > 0.001)


def test_the_tangent_plane_lies_in_the_middle_across_0_h_whatever_the_order():
    gaia = Table({"ra": [0.02, 359.99, 0.01, 359.98, np.nan], "dec": [10.0, 10.01, 10.02, 10.03, 0.0]})
    planes = [
        tangent_plane([Table()], gaia[r], np.ones(5, bool), None, None)
        for r in ([0, 1, 2, 3, 4], [4, 3, 1, 2, 0])
    ]
    assert planes[0].dec == planes[1].dec
    assert planes[0].ra == pytest.approx(planes[1].ra, abs=1e-12)
    assert (planes[0].ra + 180) % 360 == pytest.approx(180.0, abs=0.02)
    assert planes[0].dec == pytest.approx(10.015)
