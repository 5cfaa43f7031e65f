"""``hpastrom frame``: the rows that H25 prints, from catalogs in its form."""

import numpy as np
import pytest
from astropy.table import Table

from jwst_hpastrom.cli import main
from jwst_hpastrom.cli.frame import LIMITS
from jwst_hpastrom.columns import Flag
from jwst_hpastrom.motion import CatalogCuts
from jwst_hpastrom.motion.analysis.rest_frame import RADIO_SGRA, at_rest_table

# H25 Table 3: ra, dec, errors (mas), pmra, error, pmdec, error (mas/yr), t0, chi2_ra, chi2_dec, epochs
TABLE_3 = """
266.41680951 -29.00792399 3.76 3.84 -8.97 0.90 4.47 0.89 2018.4467 1.08 0.99 11
266.41689152 -29.00800914 1.01 1.00 4.86 0.25 -10.73 0.25 2015.4906 1.75 2.00 9
266.41697611 -29.00795541 0.43 0.42 0.16 0.18 -6.44 0.18 2019.6907 0.76 0.56 14
266.41663396 -29.00772225 5.06 1.06 -2.26 0.94 -3.11 0.30 2019.3942 1.16 0.59 12
266.41657304 -29.00792728 0.40 0.46 -0.20 0.08 -7.48 0.10 2018.5698 0.90 0.96 14
266.41690889 -29.00759950 1.25 1.25 -11.58 0.38 -2.59 0.38 2012.8189 1.27 1.80 9
266.41690777 -29.00807787 5.72 5.27 -6.56 0.92 -1.09 0.88 2013.5218 0.43 0.86 11
266.41654287 -29.00772010 9.01 2.66 4.42 1.83 -7.26 0.66 2017.8891 0.60 1.03 9
266.41715087 -29.00782874 0.84 0.58 2.01 0.16 -4.64 0.13 2017.6056 0.65 0.90 14
266.41711206 -29.00767334 0.24 0.22 -12.59 0.05 1.45 0.04 2018.6155 0.60 0.66 13
"""
# H25 Table 7: x, error, y, error, vx, error, vy, error
TABLE_7 = """
0.0137 3.76 -0.2925 3.84 -5.81 0.90 10.05 0.89
0.2626 1.01 -0.6155 1.00 8.02 0.25 -5.15 0.25
0.5422 0.43 -0.3986 0.42 3.31 0.18 -0.85 0.18
-0.5360 5.06 0.4391 1.06 0.90 0.94 2.47 0.30
-0.7304 0.40 -0.3036 0.46 2.95 0.08 -1.90 0.10
0.3089 1.25 0.8443 1.25 -8.43 0.38 3.00 0.38
0.3076 5.72 -0.8739 5.27 -3.40 0.92 4.50 0.88
-0.8275 9.01 0.4384 2.66 7.57 1.83 -1.68 0.66
1.0858 0.84 0.0458 0.58 5.16 0.16 0.94 0.13
0.9668 0.24 0.6109 0.22 -9.44 0.05 7.04 0.04
"""
NAMES = (
    "ra dec ra_error dec_error pmra pmra_error pmdec pmdec_error ref_epoch chi2_loo_ra chi2_loo_dec n_epochs"
)
HST_TO_GAIA = ["0.020", "0.015", "0.032", "0.030"]  # H25 §3.3


def numbers(text):
    return np.array([[float(v) for v in line.split()] for line in text.split("\n") if line])


@pytest.fixture
def catalog(tmp_path):
    table = Table(dict(zip(NAMES.split(), numbers(TABLE_3).T, strict=True)))
    table["mag"] = np.linspace(14, 18, len(table))
    table["flags"] = 0
    table.write(tmp_path / "gc_pm.ecsv")
    return tmp_path / "gc_pm.ecsv"


def test_tables_7_and_5(catalog, capsys):
    assert main(["frame", str(catalog), "--frame-error", *HST_TO_GAIA, "--max-position-error", "9"]) == 0
    out = capsys.readouterr().out
    assert "9 of 10 stars pass the quality cuts" in out
    assert (catalog.parent / "gc_frame.html").exists()
    printed, rest = numbers(TABLE_7), Table.read(catalog.parent / "gc_at_rest_xu2022.ecsv")
    for k, name in enumerate(("x", "x_error", "y", "y_error", "vx", "vx_error", "vy", "vy_error")):
        assert np.all(np.abs(rest[name] - printed[:, k]) <= (1.001e-4 if name in "xy" else 1.001e-2)), name
    budget = Table.read(catalog.parent / "gc_frame_budget_quality.ecsv")
    assert list(budget["step"][2:]) == [f"{n} at rest" for n in RADIO_SGRA]
    columns = ("pmra_error", "pmdec_error", "pm_error", "ra_error", "dec_error", "position_error")
    rows = np.array([list(r) for r in budget[list(columns)]])
    # H25 Table 5; its last motion total, 0.031, adds rounded terms and computes to 0.0320
    assert np.allclose(rows[0], (0.02, 0.015, 0.025, 0.032, 0.03, 0.044), atol=5.1e-4)
    assert np.allclose(rows[1], (0.023, 0.018, 0.029, 0.033, 0.031, 0.045), atol=5.1e-4)
    assert np.allclose(rows[2], (0.025, 0.019, 0.032, 0.213, 0.471, 0.517), atol=6e-4)
    flags = Table.read(catalog.parent / "gc_frame.ecsv")["flags"]
    assert np.count_nonzero(flags & int(Flag.QUALITY_CUT)) == 1


def masers(catalog, difference):
    """Thirteen masers that differ by (mas, mas/yr) from the catalog about Xu et al.'s SgrA* at 2017.4891."""
    rng = np.random.default_rng(3)
    sgra, n = RADIO_SGRA["xu2022"], 13
    stars = Table(
        {"ra": sgra.ra + rng.uniform(-0.01, 0.01, n), "dec": sgra.dec + rng.uniform(-0.01, 0.01, n)}
    )
    # eq. 12 with equal errors in both lists: the mean of the epochs
    stars["ref_epoch"] = 2018.4891
    for name, sigma in (("ra", 0.088), ("dec", 0.119), ("pmra", 0.016), ("pmdec", 0.020)):
        stars[f"{name}_error"] = sigma * np.sqrt(n / 2)
    stars["pmra"], stars["pmdec"] = rng.normal(0, 3, (2, n))
    stars["id"] = np.arange(n)
    stars.write(catalog, overwrite=True)
    rest = at_rest_table(stars)
    dt = 2017.4891 - 2018.4891
    out = Table({"name": [f"IRS{k}" for k in range(n)], "ref_epoch": np.full(n, 2016.4891)})
    for axis, name in enumerate("xy"):
        out[f"v{name}"] = rest[f"v{name}"] - difference[2 + axis]
        at_common = rest[name] * 1e3 + rest[f"v{name}"] * dt - difference[axis]
        out[name] = (at_common - out[f"v{name}"] * (2017.4891 - 2016.4891)) / 1e3
        out[f"{name}_error"], out[f"v{name}_error"] = rest[f"{name}_error"], rest[f"v{name}_error"]
    return out


def test_masers_and_table_6(catalog, capsys):
    masers(catalog, (-0.536, -0.517, -0.076, -0.042)).write(catalog.parent / "masers.ecsv")
    given = [
        "frame",
        str(catalog),
        "--compare",
        str(catalog.parent / "masers.ecsv"),
        "--frame-error",
        *HST_TO_GAIA,
    ]
    assert main(given) == 0
    assert "consistent" in capsys.readouterr().out
    table = Table.read(catalog.parent / "gc_frame_comparison_quality.ecsv")
    printed = {
        "xu2022": (-0.536, -0.517, -0.076, -0.042),
        "reid2020": (-31, 7, -0.072, -0.043),
        "gordon2023": (-0.368, 0.818, -0.100, -0.043),
    }
    errors = {"reid2020": (10, 10, 0.029, 0.029), "gordon2023": (0.248, 0.457, 0.051, 0.080)}
    for row in table:
        place = row["frame"]
        unit = np.array([1, 1, 1e-3, 1e-3]) if place == "reid2020" else np.full(4, 1e-3)
        found = np.array([row[f"{k}_{c}"] for k in ("position", "motion") for c in "xy"])
        assert np.all(np.abs(found - printed[place]) <= 1.001 * unit), (place, found)
        assert row["n"] == 13
        assert row["epoch"] == pytest.approx(2017.4891)
        assert row["motion_consistent"]
        assert row["position_consistent"]
        if place in errors:
            found = [row[f"{k}_{c}_error"] for k in ("position", "motion") for c in "xy"]
            assert np.all(np.abs(np.array(found) - errors[place]) <= 1.001 * unit)
    first = table[0]
    assert first["motion_within"] == pytest.approx(0.041, abs=6e-4)
    assert first["position_within"] == pytest.approx(0.54, abs=5e-3)
    assert first["motion_chi2"] == pytest.approx(8.67, abs=0.5)
    page = (catalog.parent / "gc_frame.html").read_text()
    assert "H25 Fig. 7" in page
    assert "H25 Fig. 12" in page


def test_any_moving_point_also_across_0_h(tmp_path):
    """A field on the meridian, about an object with a motion of its own."""
    n, cos = 30, np.cos(np.deg2rad(60.0))
    rng = np.random.default_rng(1)
    x, y, v = rng.uniform(-20, 20, n), rng.uniform(-20, 20, n), rng.normal(0, 1, (2, n))
    table = Table({"ra": (x / 3600 / cos) % 360, "dec": 60 + y / 3600, "pmra": 5 + v[0], "pmdec": -3 + v[1]})
    for name in ("ra", "dec", "pmra", "pmdec"):
        table[f"{name}_error"] = 0.1
    table["ref_epoch"] = 2020.0
    table.write(tmp_path / "f_pm.ecsv")
    point = {
        "name": ["Star A"],
        "ra": [0.0],
        "dec": [60.0],
        "pmra": [5.0],
        "pmdec": [-3.0],
        "ref_epoch": [2010.0],
    }
    Table(point).write(tmp_path / "center.ecsv")
    assert main(["frame", str(tmp_path / "f_pm.ecsv"), "--at-rest", str(tmp_path / "center.ecsv")]) == 0
    rest = Table.read(tmp_path / "f_at_rest_center.ecsv")
    np.testing.assert_allclose(rest["vx"], v[0], atol=1e-9)
    np.testing.assert_allclose(rest["x"], x - 0.050, atol=1e-6)
    np.testing.assert_allclose(rest["y"], y + 0.030, atol=1e-6)
    assert not list(tmp_path.glob("*budget*"))  # nothing says what the frame may be off


def test_a_catalog_on_the_sky_and_what_is_missing(catalog, tmp_path, capsys):
    other = Table.read(catalog)
    other["pmra"] += 0.5
    other.write(tmp_path / "other.ecsv")
    assert main(["frame", str(catalog), "--compare", str(tmp_path / "other.ecsv"), "--at-rest", "none"]) == 0
    row = Table.read(tmp_path / "gc_frame_comparison_quality.ecsv")[0]
    assert row["frame"] == "sky"
    assert row["motion_x"] == pytest.approx(-0.5)
    assert not row["motion_consistent"]
    other.remove_column("pmra_error")
    other.write(tmp_path / "bad.ecsv")
    assert main(["frame", str(catalog), "--compare", str(tmp_path / "bad.ecsv")]) == 1
    assert capsys.readouterr().err.startswith(
        f"BadCatalogError: {tmp_path}/bad.ecsv: found no column pmra_error"
    )
    assert main(["frame", str(catalog), "--at-rest", "nowhere"]) == 1
    assert "ParameterError" in capsys.readouterr().err


def test_the_limits_of_the_help_are_those_of_the_cuts():
    assert CatalogCuts().keywords() == LIMITS
