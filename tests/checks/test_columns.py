"""Columns of catalogs that are something else than their names say, and what a distortion leaves."""

import numpy as np
import pytest
from astropy.table import Table

from jwst_hpastrom.checks import Evidence, overall, run_checks
from jwst_hpastrom.columns import MOTION, make_table
from jwst_hpastrom.motion.analysis.catalog_check import compare_with_catalog
from jwst_hpastrom.motion.analysis.field_pattern import field_pattern


def judged(spoil=lambda catalog, rng: None, seed=1, n=600, bend=0.0, tilt=0.0):
    """Checks of motions against a catalog that may be spoiled, of a frame that may be bent (mas/yr)."""
    rng = np.random.default_rng(seed)
    x, y = rng.uniform(-1000, 1000, (2, n))
    mag = rng.uniform(-8, -3, n)
    growth = np.sqrt(1 + 10 ** (0.5 * (mag + 4)))
    true = np.array([[1.9], [0.3]]) + rng.normal(0, 0.3, (2, n))
    catalog = Table({"ra": 80 + x / 5e4, "dec": -69 + y / 5e4, "mag": mag + 25})
    for k, c in enumerate(("ra", "dec")):
        catalog[f"{c}_error"], catalog[f"pm{c}_error"] = 0.4 * growth, 0.05 * growth
        catalog[f"pm{c}"] = true[k] + rng.normal(0, 0.05 * growth)
    spoil(catalog, rng)
    error = 0.03 * growth
    found = true + rng.normal(0, error, (2, n)) + bend * np.stack([(x / 1000) ** 2, x * y / 1e6])
    found += tilt * np.stack([x, -y]) / 1000
    data = {"pmra": found[0], "pmdec": found[1], "pmra_error": error, "pmdec_error": error, "mag": mag,
            "dec": np.full(n, -69.0), "x": x, "y": y, "first_epoch_row": np.arange(n)}  # fmt: skip
    motions = make_table(MOTION, data, {"baseline": 16.0})
    motions.meta["against_catalog"] = compare_with_catalog(motions, catalog)
    return run_checks(Evidence(motions=motions))


def shuffled(*names):
    def spoil(catalog, rng):
        order = rng.permutation(len(catalog))
        for name in names:
            catalog[name] = catalog[name][order]

    return spoil


def scaled(factor, *names):
    def spoil(catalog, rng):
        for name in names:
            catalog[name] *= factor

    return spoil


def sorted_pmra(catalog, rng):
    catalog["pmra"] = np.sort(catalog["pmra"])


def measured_twice(catalog, rng):
    for c in ("ra", "dec"):
        catalog[c][::4] = catalog[c][1::4] + rng.normal(0, catalog[f"{c}_error"][1::4]) / 3.6e6
    catalog["mag"][::4] = catalog["mag"][1::4]


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("n", [100, 600])
def test_good_catalogs(seed, n):
    checks = judged(seed=seed, n=n)
    assert overall(checks) == "ok", [str(c) for c in checks if c.verdict != "ok"]


@pytest.mark.parametrize(
    ("spoil", "cause"),
    [
        (scaled(1e-3, "ra_error", "dec_error"), "errors of the catalog in other units"),
        (
            scaled(1e-3, "ra_error", "dec_error", "pmra_error", "pmdec_error"),
            "errors of the catalog in other",
        ),
        (scaled(1 / 3.6e6, "ra_error", "dec_error"), "errors of the catalog in other units"),
        (scaled(np.nan, "pmra"), "columns pmra and pmdec without values"),
        (shuffled("pmra", "pmdec"), "motions of the catalog that are other stars'"),
        (sorted_pmra, "motions of the catalog that are other stars'"),
        (shuffled("mag"), "magnitudes of other stars"),
        (measured_twice, "stars that the catalog has twice"),
    ],
)
@pytest.mark.parametrize("seed", [1, 2])
def test_columns_that_are_something_else(spoil, cause, seed):
    first = judged(spoil, seed)[0]
    assert first.verdict == "bad"
    assert first.causes[0].startswith(cause), str(first)


@pytest.mark.parametrize("factor", [0.0, -1.0, np.nan])
def test_errors_without_values_are_no_wrong_epoch(factor):
    def spoil(catalog, rng):
        scaled(factor, "ra_error", "dec_error", "pmra_error", "pmdec_error")(catalog, rng)
        for c in catalog.colnames:
            if c.endswith("_error"):
                catalog[c][~(catalog[c] > 0)] = np.nan  # as the reader does

    noted = [c for c in judged(spoil) if c.verdict != "ok"]
    assert [c.causes[0].split(":")[0] for c in noted] == ["columns of errors without positive values"]


@pytest.mark.parametrize("name", ["ra_error", "pmdec_error"])
@pytest.mark.parametrize(("factor", "verdict"), [(0.6, "ok"), (0.35, "look"), (1e-3, "bad"), (15.0, "bad")])
def test_errors_along_one_axis_in_other_units(name, factor, verdict):
    what = "motions" if name.startswith("pm") else "positions"
    found = [c for c in judged(scaled(factor, name)) if f"catalog's {what} along right ascension" in c.name]
    assert [c.verdict for c in found] == [verdict]


@pytest.mark.parametrize("bend", [0.3, 2.0])
def test_a_bent_frame_blames_the_distortion(bend):
    first = judged(bend=bend)[0]
    assert first.verdict == "bad"
    assert first.causes[0].startswith("a distortion that does not fit"), str(first)


def test_a_tie_that_is_tilted_blames_no_catalog():
    noted = [c for c in judged(tilt=0.15) if c.verdict != "ok"]
    assert [c.verdict for c in noted] == ["look"], [str(c) for c in noted]
    assert noted[0].causes[0].startswith("a tie of the epochs")


def test_a_linear_pattern_is_none():
    rng = np.random.default_rng(2)
    x, y, noise = *rng.uniform(-1, 1, (2, 400)), rng.normal(0, 0.1, (2, 400))
    error = np.full((2, 400), 0.1)
    assert abs(field_pattern(x, y, noise + 3 * x - y, error)["pattern_sigma"]) < 5
    assert field_pattern(x, y, noise + 0.3 * x * y, error)["pattern_sigma"] > 20
    assert field_pattern(x[:20], y[:20], noise[:, :20], error[:, :20]) == {}
