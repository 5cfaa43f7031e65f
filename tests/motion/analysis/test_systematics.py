"""Trends of motions and differences from a catalog: those that were put in, and no others."""

import numpy as np
import pytest
from astropy.table import Table

from jwst_hpastrom.columns import Flag
from jwst_hpastrom.errors import NoOverlapError
from jwst_hpastrom.motion.analysis.systematics import compare_motions, motion_systematics
from jwst_hpastrom.motion.selection import well_measured


def motions(n=4000, seed=1, slope=0.0):
    rng = np.random.default_rng(seed)
    mag = rng.uniform(-7, -3, n)
    pm = rng.normal(0, 0.1, (2, n))
    pm[0] += slope * (mag + 5)
    ra, dec = 80 + rng.uniform(-0.03, 0.03, n) / np.cos(np.deg2rad(69)), -69 + rng.uniform(-0.03, 0.03, n)
    error = np.full(n, 0.03)
    return Table(
        {
            "ra": ra, "dec": dec, "mag": mag, "x": rng.uniform(0, 1, n),
            "pmra_rel": pm[0], "pmdec_rel": pm[1],
            "pmra": pm[0] + 1.9, "pmdec": pm[1] + 0.3, "pmra_error": error, "pmdec_error": error,
            "ref_epoch": np.full(n, 2022.3),
        }
    )  # fmt: skip


def test_a_trend_with_magnitude_shows_and_nothing_else_does():
    rows = motion_systematics(motions(slope=0.05))
    assert set(rows["by"]) == {"mag", "x"}
    by_mag = rows[rows["by"] == "mag"]
    assert np.abs(by_mag["pmra"] / by_mag["pmra_error"]).max() > 10
    assert by_mag["pmra"][-1] - by_mag["pmra"][0] == pytest.approx(0.05 * 3.5, abs=0.02)
    rest = rows[rows["by"] == "x"]
    assert np.abs(rest["pmdec"] / rest["pmdec_error"]).max() < 4
    assert by_mag["n"].sum() == 4000
    assert len(motion_systematics(motions(8))) == 0


def test_comparison_with_a_catalog():
    rng = np.random.default_rng(2)
    table = motions()
    other = table["ra", "dec", "pmra", "pmdec"][::4]
    n = len(other)
    dt = 2016.0 - 2022.3
    other["ra"] += other["pmra"] * dt / 3.6e6 / np.cos(np.deg2rad(other["dec"]))
    other["dec"] += other["pmdec"] * dt / 3.6e6
    for c in ("pmra", "pmdec"):
        other[c] += rng.normal(0.02 if c == "pmra" else 0.0, 0.2, n)
        table[c] += rng.normal(0, 0.03, len(table))
        other[f"{c}_error"] = 0.2
    other["mag"] = rng.uniform(17, 20, n)
    other.meta["epoch"] = 2016.0
    rows = compare_motions(table, other)
    assert rows["n"][-1] == n
    assert len(rows) == 4
    assert rows["pmra_difference"][-1] == pytest.approx(-0.02, abs=4 * rows["pmra_difference_error"][-1])
    np.testing.assert_allclose(rows["pmdec_pull"], 1.0, atol=0.15)
    assert rows["pmra_scatter_other"][-1] > rows["pmra_scatter"][-1]
    other["dec"] += 1.0
    with pytest.raises(NoOverlapError):
        compare_motions(table, other)


def test_well_measured_by_flags_and_qfit():
    rng = np.random.default_rng(9)
    n = 2000
    mag = rng.uniform(-7, -3, n)
    typical = 0.01 * 10 ** (0.2 * (mag + 7))
    flags = np.where(np.arange(n) < 100, int(Flag.EXTENDED), int(Flag.SUBTRACTED))
    table = Table({"mag": mag, "qfit": typical * rng.uniform(0.8, 1.2, n), "flags": flags})
    keep = well_measured(table)
    assert not keep[:100].any()
    for low in (-7, -5):
        here = (mag >= low) & (mag < low + 1)
        assert keep[100:][here[100:]].mean() == pytest.approx(0.9, abs=0.02)
    assert well_measured(table[["mag"]]).all()
