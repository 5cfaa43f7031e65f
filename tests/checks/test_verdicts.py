"""Checks: ranges, tables, order, and simulated catalogs spoiled as users spoil them."""

import numpy as np
import pytest
from astropy.table import Table

from jwst_hpastrom.checks import (
    Evidence,
    check_folder,
    checks_from_table,
    checks_table,
    judge,
    overall,
    run_checks,
)
from jwst_hpastrom.columns import MASTER, MOTION, Flag, epsf_cause, make_table
from jwst_hpastrom.errors import NoOverlapError
from jwst_hpastrom.io.files.writing import write_table
from jwst_hpastrom.motion.analysis.catalog_check import compare_with_catalog

ERRORS = ("pmra_error", "pmdec_error")
BASELINE = 16.0


def made(seed=1, n=1500, spoil=lambda catalog, rng: None, years=0.0, dispersion=0.15, mas=0.4):
    """Motions of a perfect instrument against a catalog that may be spoiled."""
    rng = np.random.default_rng(seed)
    true = np.array([[1.9], [0.3]]) + rng.normal(0, dispersion, (2, n))
    mag = rng.uniform(-8, -3, n)
    growth = np.sqrt(1 + 10 ** (0.5 * (mag + 4)))
    own, position = 0.05 * growth, mas * growth
    catalog = Table({"mag": mag, "pmra_error": own, "pmdec_error": own, "shift": np.zeros((n, 2))})
    for c, v in zip(("pmra", "pmdec"), true, strict=True):
        catalog[c] = v + rng.normal(0, own)
    catalog["position"] = position
    spoil(catalog, rng)
    error = position / BASELINE
    ours = true + rng.normal(0, error, (2, n)) - np.asarray(catalog["shift"]).T / BASELINE
    ours *= BASELINE / (BASELINE - years)  # a baseline that is wrong by so much
    ours -= ours.mean(1)[:, None] - np.array([[1.9], [0.3]])
    data = {"pmra": ours[0], "pmdec": ours[1], "pmra_error": error, "pmdec_error": error, "mag": mag}
    data["dec"] = np.full(n, -60.0)
    motions = make_table(MOTION, data | {"first_epoch_row": np.arange(n)}, {"baseline": BASELINE - years})
    motions.meta["against_catalog"] = compare_with_catalog(motions, catalog)
    return motions


def half(catalog, rng):
    return rng.random(len(catalog)) < 0.5


def times(factor, part=half):
    def spoil(catalog, rng):
        rows = part(catalog, rng)
        for c in ERRORS:
            catalog[c][rows] *= factor

    return spoil


def moved(sigma):
    def spoil(catalog, rng):
        angle = rng.uniform(0, 2 * np.pi, len(catalog))
        way = np.stack([np.cos(angle), np.sin(angle)], 1) * sigma * np.asarray(catalog["position"])[:, None]
        catalog["shift"] = np.where(half(catalog, rng)[:, None], way, 0.0)

    return spoil


def exchange(catalog, rng):
    catalog["pmra"], catalog["pmdec"] = catalog["pmdec"].copy(), catalog["pmra"].copy()


def mirror(catalog, rng):
    catalog["pmra"] = -catalog["pmra"]


def both_signs(catalog, rng):
    for c in ("pmra", "pmdec"):
        catalog[c] = -catalog[c]


def cos_dec(power):
    def spoil(catalog, rng):
        catalog["pmra"] *= np.cos(np.deg2rad(60.0)) ** -power

    return spoil


def turned(degrees):
    def spoil(catalog, rng):
        c, s = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
        a, b = (np.array(catalog[n]) for n in ("pmra", "pmdec"))
        catalog["pmra"], catalog["pmdec"] = c * a - s * b, s * a + c * b

    return spoil


def with_magnitude(catalog, rng):
    catalog["shift"][:, 1] += 2.0 * (catalog["mag"] - catalog["mag"].mean())


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(("n", "dispersion"), [(300, 0.15), (4000, 0.15), (1500, 2.0), (1500, 0.02)])
def test_good_motions_raise_nothing(seed, n, dispersion):
    checks = run_checks(Evidence(motions=made(seed, n, dispersion=dispersion)))
    assert len(checks) >= 4
    assert overall(checks) == "ok", [str(c) for c in checks if c.verdict != "ok"]


@pytest.mark.parametrize(
    ("spoil", "years", "cause"),
    [
        (times(10), 0, "errors of the catalog that are wrong for a part"),
        (times(0.1), 0, "errors of the catalog that are wrong for a part"),
        (times(5, lambda c, rng: rng.random(len(c)) < 0.3), 0, "errors of the catalog"),
        (times(10, lambda c, rng: slice(None)), 0, "errors of the catalog that are too large"),
        (times(0.1, lambda c, rng: slice(None)), 0, "errors of the catalog that are too small"),
        (moved(10), 0, "wrong positions"),
        (moved(25), 0, "wrong positions"),
        (exchange, 0, "pmra and pmdec of the catalog exchanged"),
        (mirror, 0, "pmra of the catalog with the other sign"),
        (both_signs, 0, "epochs of catalog and exposures exchanged"),
        (times(1), 10, "a wrong epoch"),
        (times(1), -10, "a wrong epoch"),
        (times(1), 5, "a wrong epoch"),
        (times(1), 3, "a wrong epoch"),
        (times(1), -3, "a wrong epoch"),
        (cos_dec(1), 0, "pmra of the catalog without the factor cos(dec)"),
        (cos_dec(-1), 0, "pmra of the catalog with the factor cos(dec) twice"),
        *((turned(a), 0, "motions of the catalog that are turned") for a in (-60, 8, 38, 90, 150)),
        (with_magnitude, 0, "an ePSF that does not fit bright and faint stars alike"),
    ],
)
@pytest.mark.parametrize("seed", [1, 2])
def test_spoiled_catalogs_are_called_bad_with_the_cause_first(spoil, years, cause, seed):
    checks = run_checks(Evidence(motions=made(seed, spoil=spoil, years=years)))
    assert overall(checks) == "bad"
    assert checks[0].causes[0].startswith(cause), [str(c) for c in checks[:3]]


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("factor", [0.1, 1 / 3])
def test_small_errors_of_a_catalog_are_seen_beside_larger_ones_of_the_exposures(seed, factor):
    spoil = times(factor, lambda c, rng: slice(None))
    checks = run_checks(Evidence(motions=made(seed, spoil=spoil, mas=0.8)))
    assert overall(checks) == "bad"
    assert checks[0].causes[0] == "errors of the catalog that are too small", [str(c) for c in checks[:3]]
    # where the exposures' errors hide them it is not the epoch that is blamed
    hidden = run_checks(Evidence(motions=made(seed, spoil=spoil, mas=1.2)))
    assert not [c for c in hidden if c.verdict != "ok" and c.causes[0].startswith("a wrong epoch")]


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("n", [300, 1500])
def test_large_errors_of_the_exposures_alone_blame_no_catalog(seed, n):
    assert overall(run_checks(Evidence(motions=made(seed, n, mas=1.2)))) == "ok"


@pytest.mark.parametrize(("held", "verdict"), [(0.8, "ok"), (0.2, "look"), (0.0, "look")])
def test_a_tilt_that_the_stated_errors_of_the_tie_hold_is_none(held, verdict):
    motions = made()
    motions.meta["against_catalog"] |= {"linear_ratio": 1.5, "linear_held": held}
    assert overall(c for c in run_checks(Evidence(motions=motions)) if "linear" in c.name) == verdict


@pytest.mark.parametrize(
    ("stars", "of", "verdict"),
    [
        (6, 215, "ok"),
        (8, 215, "ok"),
        (9, 215, "look"),
        (25, 1500, "ok"),
        (35, 1500, "look"),
        (20, 215, "bad"),
    ],
)
def test_a_few_stars_apart_are_chance_where_few_are_compared(stars, of, verdict):
    motions = Table(
        {"pmra": [0.0], "pmdec": [0.0]}, meta={"against_catalog": {"apart": stars / of, "n_pulls": of}}
    )
    (check,) = (c for c in run_checks(Evidence(motions=motions)) if "far more than the rest" in c.name)
    assert check.verdict == verdict


@pytest.mark.parametrize(("stars", "of", "verdict"), [(10, 300, "ok"), (16, 300, "look"), (24, 300, "bad")])
def test_a_few_stars_beyond_four_sigma_are_chance_where_few_are_compared(stars, of, verdict):
    meta = {"against_catalog": {"outliers": stars / of, "n_pulls": of}}
    motions = Table({"pmra": [0.0], "pmdec": [0.0]}, meta=meta)
    (check,) = (c for c in run_checks(Evidence(motions=motions)) if "beyond four sigma" in c.name)
    assert check.verdict == verdict


@pytest.mark.parametrize("seed", [1, 2])
def test_errors_of_a_catalog_that_are_somewhat_too_large_are_worth_a_look(seed):
    checks = run_checks(Evidence(motions=made(seed, spoil=times(1.6, lambda c, rng: slice(None)))))
    assert checks[0].verdict == "look"
    assert checks[0].causes[0] == "errors of the catalog that are too large"


def test_too_few_stars_are_not_judged():
    checks = run_checks(Evidence(motions=made(n=20)))
    assert not {"motions over the catalog's", "pull of the motions against the catalog's"} & {
        c.name for c in checks
    }
    assert overall(checks) == "ok"


def exposures(n=5, **columns):
    """Quality tables of n good exposures."""
    names = [f"e{k}_cal.fits" for k in range(n)]
    fit = Table({"filename": names, "n_stars": [1000] * n, "qfit": [0.015] * n, "n_bright": [300] * n,
                 "chi2_bright": [1.1] * n})  # fmt: skip
    frame = Table({"exposure": names, "n_found": [1000] * n, "n_matched": [800] * n, "ra": np.zeros(n),
                   "dec": np.arange(n) / 600, "pointing_xi_arcsec": [0.05] * n,
                   "pointing_eta_arcsec": [0.0] * n, "pointing_arcsec": [0.05] * n, "phase_pix": [0.002] * n,
                   "phase_error_pix": [0.001] * n})  # fmt: skip
    for table in (fit, frame):
        for name in set(columns) & set(table.colnames):
            table[name] = columns[name]
    return Evidence(fit=fit, exposures=frame)


@pytest.mark.parametrize(
    ("columns", "cause", "about"),
    [
        ({"qfit": [0.015, 0.23, 0.015, 0.015, 0.015]}, "the ePSF does not fit", "e1_cal.fits"),
        ({"chi2_bright": [1.0, 1.0, 500.0, 1.0, 1.0]}, "the ePSF does not fit", "e2_cal.fits"),
        ({"chi2_bright": [0.01] * 5}, "the errors of the pixels are too large", "e0_cal.fits"),
        ({"n_stars": [1000, 1000, 1000, 100, 1000]}, "another pointing", "e3_cal.fits"),
        ({"pointing_arcsec": [3.0] * 5, "pointing_xi_arcsec": [3.0] * 5},
         "a catalog of another system", None),
        ({"pointing_arcsec": [3.0, *[0.05] * 4], "pointing_xi_arcsec": [3.0, *[0.05] * 4]},
         "a wrong guide star", "e0_cal.fits"),
        ({"phase_pix": [0.1] * 5}, "an ePSF that does not fit", "e0_cal.fits"),
        ({"n_matched": [50] * 5}, "noise or artifacts", "e0_cal.fits"),
        ({"dec": [0.0] * 5}, "exposures that were not dithered", ""),
    ],
)  # fmt: skip
def test_bad_exposures(columns, cause, about):
    assert overall(run_checks(exposures())) == "ok"
    first = run_checks(exposures(**columns))[0]
    assert first.verdict == "bad"
    assert first.causes[0].startswith(cause)
    assert about is None or first.about == about


def test_one_exposure_alone_and_two():
    alone, two = run_checks(exposures(1)), run_checks(exposures(2))
    assert alone[0].verdict == "bad"
    assert alone[0].causes[0].startswith("one exposure alone")
    assert overall(two) == "look"


def scattered(meta, *, bright=1.0, faint=1.0, shared=0.0, n_used=5, seed=3, stated=0.01):
    """Checks of a frame whose stars scatter by so many times their formal errors, and by what all share."""
    n, rng = 400, np.random.default_rng(seed)
    formal = stated * 10 ** (0.2 * np.linspace(-1, 5, n))
    size = np.hypot(formal * np.where(np.arange(n) < 200, bright, faint), shared)
    data = {"mag": np.linspace(-8, -3, n), "n_used": np.full(n, n_used)}
    for c in "xy":
        drawn = size * np.sqrt(rng.chisquare(n_used - 1, n) / (n_used - 1))
        data |= {f"{c}_err_formal": formal / n_used**0.5, f"{c}_rms": drawn}
    found = run_checks(Evidence(master=make_table(MASTER, data, {"scale_mas": 65.6} | meta)))
    by_name = {("faint" if "faint" in c.name else "bright"): c for c in found}
    return by_name["bright"], by_name.get("faint")


CORRECTED = {"distortion": "a.asdf", "correction_error_pix": 0.01}


@pytest.mark.parametrize(("factor", "verdict", "cause"), [
    (1 / 3, "bad", "errors of the star lists that are too large"), (0.8, "ok", None), (1.3, "ok", None),
    (3.0, "bad", "errors of the star lists that are too small"),
    (10.0, "bad", "errors of the star lists that are too small"),
])  # fmt: skip
@pytest.mark.parametrize("shared", [0.0, 0.03])
def test_scatter_of_faint_stars_is_that_of_their_errors(factor, verdict, cause, shared):
    _, faint = scattered(CORRECTED, bright=factor, faint=factor, shared=shared)
    assert faint.verdict == verdict
    assert cause is None or faint.causes[0] == cause
    if verdict != "ok":
        found = (
            scattered(CORRECTED, bright=factor, faint=factor, shared=shared, seed=s)[1] for s in range(3, 7)
        )
        assert np.mean([c.value for c in found]) == pytest.approx(factor, rel=0.1)


@pytest.mark.parametrize(("ratio", "verdict"), [(1.0, "ok"), (1.3, "ok"), (4.0, "bad")])
def test_errors_that_are_the_same_for_all_stars(ratio, verdict):
    n, rng = 300, np.random.default_rng(2)
    mag = np.linspace(-8, -3, n)
    data = {"mag": mag, "n_used": np.full(n, 5)}
    for c in "xy":
        drawn = 0.01 * np.where(mag < -6.5, 1.0, ratio) * np.sqrt(rng.chisquare(4, n) / 4)
        data |= {f"{c}_err_formal": np.full(n, 0.01), f"{c}_rms": drawn * 5**0.5}
    first = run_checks(Evidence(master=make_table(MASTER, data, {"scale_mas": 65.6} | CORRECTED)))[0]
    assert first.verdict == verdict
    assert verdict == "ok" or "one and the same" in first.causes[0]


def test_scatter_that_all_share_hides_the_errors_of_none():
    found = run_checks(Evidence(master=Table({"mag": [], "n_used": []})))
    assert found == []
    for shared, faint in ((0.1, 1.0), (0.3, 1.0), (0.1, 0.0)):
        bright, faint = scattered(CORRECTED, shared=shared, faint=faint)
        assert (bright.verdict, "ok" if faint is None else faint.verdict) == ("bad", "ok")


@pytest.mark.parametrize(("shared", "meta", "verdict", "cause"), [
    (0.01, CORRECTED, "ok", None), (0.03, CORRECTED | {"correction_error_pix": 0.02}, "ok", None),
    (0.08, CORRECTED, "bad", "a distortion that does not fit"),
    (0.02, {"distortion": "a.asdf"}, "ok", None), (0.15, {"distortion": "a.asdf"}, "bad", "a distortion"),
    (0.05, {"distortion": "none"}, "bad", "no distortion correction"),
])  # fmt: skip
def test_scatter_of_bright_stars_is_that_of_their_errors_and_the_distortion(shared, meta, verdict, cause):
    check, faint = scattered(meta, shared=shared)
    assert check.verdict == verdict
    assert faint.verdict == "ok"
    assert cause is None or check.causes[0].startswith(cause)


def test_bright_stars_that_scatter_as_good_ones_do_blame_the_errors():
    small, large = (
        scattered({"distortion": "a.asdf"}, bright=20, faint=20, stated=s)[0] for s in (2e-4, 1e-2)
    )
    assert {small.verdict, large.verdict} == {"bad"}
    assert small.causes[0] == "errors of the star lists that are too small"
    assert large.causes[0].startswith("a distortion that does not fit")


def test_exposures_of_several_detectors_at_once_are_one_pointing():
    evidence = exposures(8)
    evidence.exposures["detector"] = ["NRCA1", "NRCA3"] * 4
    found = {c.name: c.value for c in run_checks(evidence)}
    assert (found["number of exposures"], found["number of dithers"]) == (4, 4)
    evidence.exposures["detector"] = [f"NRCA{k}" for k in range(8)]
    first = run_checks(evidence)[0]
    assert (first.value, first.verdict) == (1, "bad")


def test_a_distortion_that_nobody_could_solve_is_not_called_bad():
    meta = {"distortion": "none", "distortion_limited_by": "no reference catalog"}
    check, _ = scattered(meta, shared=0.15)
    assert check.verdict == "look"
    assert check.causes == ("no distortion could be solved: no reference catalog",)


@pytest.mark.parametrize(("n", "verdict"), [(20, "ok"), (100, "look"), (250, "bad")])
def test_lost_cores(n, verdict):
    evidence = exposures()
    evidence.fit["n_cores"], evidence.fit["n_lost_core"] = 300, [5, 5, n, 5, 5]
    checks = [c for c in run_checks(evidence) if "lost core" in c.name]
    assert (checks[0].verdict, len(checks)) == (verdict, 5)
    assert verdict == "ok" or checks[0].about == "e2_cal.fits"


def test_brighter_fatter_and_hot_pixels():
    evidence = exposures()
    evidence.build = Table({"brighter_fatter": [0.0, 1.7e-7]}, meta={"hot_pixel_share": 1e-4})
    evidence.fit["charge_unknown"] = [False] * 5
    assert overall(run_checks(evidence)) == "ok"
    evidence.fit["charge_unknown"][1] = True
    (noted,) = (c for c in run_checks(evidence) if c.verdict != "ok")
    assert noted.value == 0.2
    assert noted.causes[0].startswith("exposures without NGROUPS, TGROUP")
    evidence.fit["charge_unknown"] = False
    evidence.build = Table({"brighter_fatter": [-1e-5]}, meta={"hot_pixel_share": 0.02})
    assert [c.verdict for c in run_checks(evidence)[:3]] == ["bad", "bad", "ok"]


@pytest.mark.parametrize(("column", "value", "cause"), [
    ("dv2", 2000.0, "exposures of this detector matched to wrong stars"),
    ("dv3_error", 300.0, "too few stars that tie"),
])  # fmt: skip
def test_places_of_detectors(column, value, cause):
    data = {"detector": ["NRCA1", "NRCA3"]} | {c: [20.0, -20.0] for c in ("dv2", "dv3")}
    table = Table(data | {f"{c}_error": [0.5, 0.5] for c in ("dv2", "dv3")})
    assert overall(run_checks(Evidence(detectors=table))) == "ok"
    table[column][1] = value
    first = run_checks(Evidence(detectors=table))[0]
    assert (first.verdict, first.about) == ("bad", "NRCA3")
    assert first.causes[0].startswith(cause)


@pytest.mark.parametrize(("ratio", "verdict"), [(1.0, "ok"), (0.1, "bad"), (9.0, "bad")])
def test_leave_one_out(ratio, verdict):
    rng = np.random.default_rng(4)
    chi2 = rng.chisquare(10, (2, 400))
    motions = made()[:400]
    motions.meta = {"expected_chi2_loo": [float(v) for v in np.quantile(chi2, np.linspace(0, 1, 21))]}
    motions["chi2_loo_ra"], motions["chi2_loo_dec"] = ratio * chi2
    (check,) = run_checks(Evidence(motions=motions))
    assert check.verdict == verdict


@pytest.mark.parametrize(("bias", "verdict"), [(0.02, "ok"), (0.5, "bad")])
def test_frame_bias(bias, verdict):
    motions = made()
    motions.meta = {"frame_bias_pm_mas_yr": [bias, 0.0], "frame_bias_pm_error_mas_yr": [0.03, 0.03]}
    (check,) = run_checks(Evidence(motions=motions))
    assert check.verdict == verdict


@pytest.mark.parametrize(("flag", "verdict"), [(0, "ok"), (Flag.UNCHECKED | Flag.LINEAR_FIT, "look")])
def test_stars_of_which_no_wrong_measurement_shows(flag, verdict):
    motions = made()
    motions["n_epochs"], motions["flags"], motions.meta = 2, int(flag), {}
    (check,) = run_checks(Evidence(motions=motions))
    assert check.verdict == verdict
    motions["n_epochs"] = 3  # that one of three epochs is far from the others is no lack of epochs
    assert [c.verdict for c in run_checks(Evidence(motions=motions))] == ["ok"]


def test_ranges_and_the_table_there_and_back(tmp_path):
    def one(value):
        return judge("s", "n", value, (1, 2), (0, 3), causes=["a", "b"], remedy="c", about="x")

    checks = [one(v) for v in (1.5, 0.5, 3.5, -1.0)]
    assert [c.verdict for c in checks] == ["ok", "look", "bad", "bad"]
    assert one(np.nan) is None
    table = checks_table(checks)
    assert table.meta["verdict"] == "bad"
    assert list(table["verdict"]) == ["bad", "bad", "look", "ok"]
    path = write_table(table, tmp_path / "a_checks.ecsv")
    back = checks_from_table(Table.read(path))
    assert [str(c) for c in back] == [
        str(c) for c in sorted(checks, key=lambda c: table["value"].tolist().index(c.value))
    ]
    assert checks_from_table(Table.read(write_table(checks_table([]), path))) == []


def test_a_folder_is_checked_from_its_tables(tmp_path):
    evidence = exposures(qfit=[0.3] * 5)
    write_table(evidence.fit, tmp_path / "f_epsf_fit_quality.ecsv")
    write_table(evidence.exposures, tmp_path / "f_master_frame_quality.ecsv")
    write_table(made(), tmp_path / "f_pm.ecsv")
    checks = check_folder(tmp_path)
    assert {c.step for c in checks} == {"hp_epsf_fit", "hp_master_frame", "hp_proper_motion"}
    assert checks[0].causes[0].startswith("the ePSF does not fit these stars: wrong filter")


def test_one_bad_detector_of_several_makes_the_run_bad(tmp_path):
    write_table(made(), tmp_path / "f_pm.ecsv")
    alone = check_folder(tmp_path)
    for detector, qfit in (("nrcb1", 0.02), ("nrcb2", 0.3)):
        (tmp_path / f"f_{detector}_f200w_asn.json").write_text("{}")
        write_table(exposures(qfit=[qfit] * 5).fit, tmp_path / f"f_{detector}_f200w_epsf_fit_quality.ecsv")
    checks = check_folder(tmp_path)
    assert overall(alone) != "bad" == overall(checks)
    assert [str(c) for c in alone] == [str(c) for c in checks if c.step == "hp_proper_motion"]
    assert {c.step for c in checks} == {"hp_epsf_fit", "hp_proper_motion"}


def test_a_run_that_ended_after_the_star_fits_is_judged_by_them(tmp_path):
    write_table(exposures(qfit=[0.23] * 5).fit, tmp_path / "f_epsf_fit_quality.ecsv")
    (tmp_path / "e0_stars.ecsv").write_text("one exposure's list")
    assert check_folder(tmp_path)[0].causes[0].startswith("the ePSF does not fit these stars")


def test_errors_name_an_epsf_that_does_not_fit():
    mag = np.linspace(-8, -3, 100)
    error = NoOverlapError("no offset", "6 stars", "check")
    assert "the ePSF does not fit these stars" in str(error.because(epsf_cause(mag, 0.22 + 0 * mag)))
    assert str(error.because(epsf_cause(mag, np.where(mag < -5, 0.015, 0.4)))) == str(error)
