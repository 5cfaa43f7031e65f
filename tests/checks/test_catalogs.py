"""Faults of a catalog that the exposures' own scatter shows, and columns that are something else."""

import numpy as np
import pytest
from astropy.table import Table

from jwst_hpastrom.checks import Evidence, overall, run_checks
from jwst_hpastrom.checks.motions import pattern
from jwst_hpastrom.columns import MASTER, MOTION, Flag, make_table
from jwst_hpastrom.motion.analysis.catalog_check import compare_with_catalog

BASELINE, SCALE, N_USED = 16.0, 65.6, 5


def measured(
    seed,
    n,
    *,
    move=0.0,
    part=0.5,
    stated=1.0,
    ours=0.3,
    change=lambda t: None,
    before=lambda t: None,
    frame=None,
):
    """Motions of exposures good to ``ours`` mas against a catalog of 0.4 mas, a part of it off by some sigma.

    ``stated`` is the motions' stated error over the true one: a distortion solved with it may enlarge it.
    """
    rng = np.random.default_rng(seed)
    mag = rng.uniform(-8, -3, n)
    growth = np.sqrt(1 + 10 ** (0.5 * (mag + 4)))
    true = np.array([[1.9], [0.3]]) + rng.normal(0, 0.2, (2, n))
    position, motion = 0.4 * growth, 0.05 * growth
    angle = rng.uniform(0, 2 * np.pi, n)
    shift = np.stack([np.cos(angle), np.sin(angle)]) * move * position * (rng.random(n) < part)
    found = true + (rng.normal(0, np.hypot(position, ours), (2, n)) - shift) / BASELINE
    catalog = Table({"ra": rng.uniform(80, 81, n), "dec": rng.uniform(-61, -60, n), "mag": mag + 25})
    for k, c in enumerate(("ra", "dec")):
        catalog[f"{c}_error"] = position
        catalog[f"pm{c}"], catalog[f"pm{c}_error"] = true[k] + rng.normal(0, motion), motion
    change(catalog)
    rms = [ours / SCALE * np.sqrt(N_USED * rng.chisquare(N_USED - 1, n) / (N_USED - 1)) for _ in "xy"]
    stars = {"mag": mag, "n_used": np.full(n, N_USED)} | {
        f"{c}_rms": e for c, e in zip("xy", rms, strict=True)
    }
    master = make_table(MASTER, stars, {"scale_mas": SCALE} | (frame or {}))
    data = {"pmra": found[0], "pmdec": found[1], "mag": mag, "dec": np.full(n, -60.0)}
    error = stated * np.hypot(position, ours) / BASELINE
    rows = {"first_epoch_row": np.arange(n), "master_row": np.arange(n)}
    data |= {"pmra_error": error, "pmdec_error": error} | rows
    motions = make_table(MOTION, data, {"baseline": BASELINE})
    before(motions)
    motions.meta["against_catalog"] = compare_with_catalog(motions, catalog, master)
    return motions


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(("n", "stated"), [(400, 1.0), (2500, 1.0), (1200, 2.0), (1200, 0.7)])
def test_good_catalogs(seed, n, stated):
    checks = run_checks(Evidence(motions=measured(seed, n, stated=stated)))
    assert overall(checks) == "ok", [str(c) for c in checks if c.verdict != "ok"]


@pytest.mark.parametrize("limited", ["few reference stars", None])
def test_structure_that_few_references_do_not_tell_is_no_error_of_theirs(limited):
    """Of 2 mas, which the master frame's errors hold and its exposures' scatter does not."""
    rng = np.random.default_rng(5)
    off = rng.normal(0, 2.0 / BASELINE, (2, 45))

    def spoil(motions):
        for c, d in zip(("pmra", "pmdec"), off, strict=True):
            motions[c] += d

    meta = {"distortion_limited_by": limited, "correction_error_pix": 2.0 / SCALE, "instrument": "NIRISS"}
    checks = run_checks(Evidence(motions=measured(3, 45, stated=5.0, before=spoil, frame=meta)))
    assert (overall(checks) == "bad") == (limited is None), [str(c) for c in checks if c.verdict != "ok"]
    assert limited is None or sum(c.verdict != "ok" for c in checks) == 0


@pytest.mark.parametrize("seed", [11, 12])
@pytest.mark.parametrize(
    ("n", "move", "part"), [(2500, 4.0, 0.5), (1500, 10.0, 0.2), (1500, 10.0, 0.5), (500, 10.0, 0.5)]
)
def test_wrong_positions_show_whatever_errors_are_stated(seed, n, move, part):
    first = run_checks(Evidence(motions=measured(seed, n, move=move, part=part, stated=2.0)))[0]
    assert first.verdict == "bad"
    assert first.causes[0].startswith("wrong positions")


def flux(catalog):
    catalog["mag"] = 10 ** (-0.4 * catalog["mag"])


def zeros(catalog):
    catalog["pmra"], catalog["pmdec"] = 0.0, 0.0


def twice(catalog):
    catalog["ra"][::2], catalog["dec"][::2] = catalog["ra"][1::2], catalog["dec"][1::2]


def arcsec(catalog):
    for c in ("pmra", "pmdec", "pmra_error", "pmdec_error"):
        catalog[c] /= 1000


@pytest.mark.parametrize(
    ("change", "cause"),
    [
        (flux, "fluxes, or magnitudes with another sign"),
        (zeros, "a catalog whose motions are all zero"),
        (twice, "stars that the catalog has twice"),
        (arcsec, "motions of the catalog in other units"),
    ],
)
def test_columns_that_are_something_else(change, cause):
    first = run_checks(Evidence(motions=measured(5, 1000, change=change)))[0]
    assert first.verdict == "bad"
    assert first.causes[0].startswith(cause), str(first)


def test_a_missing_distortion_is_the_first_cause():
    motions = measured(3, 1500, ours=1.5)
    motions.meta["against_catalog"] |= {"correlation_pmra": 0.2, "pull_scatter": 1.9}
    assert "distortion" not in run_checks(Evidence(motions=motions))[0].causes[0]
    motions.meta["distortion"] = "none"
    bad = [c for c in run_checks(Evidence(motions=motions)) if c.verdict == "bad"]
    assert len(bad) > 1
    assert all(c.causes[0].startswith("no distortion correction") for c in bad)


@pytest.mark.parametrize("part", [0.15, 0.5])
def test_two_epochs_in_one_catalog(part):
    def mixed(catalog):
        rows = np.random.default_rng(1).random(len(catalog)) < part
        catalog["pmra"][rows] += 1.0

    first = run_checks(Evidence(motions=measured(6, 1500, change=mixed)))[0]
    assert first.verdict == "bad"
    assert first.causes[0].startswith("two epochs")


@pytest.mark.parametrize(
    ("columns", "digits", "cause"),
    [
        (("ra", "dec"), 9, ""),
        (("ra", "dec"), 5, "positions of the catalog with too few digits"),
        (("dec",), 6, "positions of the catalog with too few digits"),
        (("pmra", "pmdec"), 3, ""),
        (("pmra", "pmdec"), 0, "motions of the catalog with too few digits"),
    ],
)
def test_numbers_with_too_few_digits(columns, digits, cause):
    def rounded(catalog):
        for c in columns:
            catalog[c] = np.round(catalog[c], digits)

    noted = [c for c in run_checks(Evidence(motions=measured(5, 1500, change=rounded))) if c.verdict != "ok"]
    assert (noted[0].causes[0] if noted else "") == cause


@pytest.mark.parametrize("flagged", [True, False])
def test_blends_that_are_flagged_are_no_fault_of_the_catalog(flagged):
    def blended(motions):
        motions["flags"] = 0
        motions["pmra"][::15] += 20 * motions["pmra_error"][::15]
        motions["flags"][:: 15 if flagged else 7] |= int(Flag.EXTENDED)

    checks = run_checks(Evidence(motions=measured(5, 800, before=blended)))
    told = [c for c in checks if c.name.startswith("share of stars") and c.verdict != "ok"]
    assert bool(told) != flagged, told


@pytest.mark.parametrize(("ratio", "verdict"), [(0.5, "ok"), (3.0, "look"), (5.0, "bad")])
def test_a_pattern_beyond_what_few_references_leave(ratio, verdict):
    meta = {"distortion_limited_by": "few reference stars", "distortion": "none"}
    found = {"pattern_sigma": 20.0, "pattern_ratio": ratio}
    (check,) = pattern(Table(meta=meta | {"against_catalog": found}))
    assert check.verdict == verdict
    assert any("rows lost" in cause for cause in check.causes) == (verdict == "bad")
    assert verdict != "bad" or check.causes[0].startswith("a distortion that does not fit these exposures")
