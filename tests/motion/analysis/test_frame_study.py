"""Forecasts for a frame, and what a catalog's metadata say of its errors."""

import numpy as np
import pytest
from astropy.table import Table

from jwst_hpastrom.columns import Flag
from jwst_hpastrom.errors import ParameterError
from jwst_hpastrom.motion.analysis.catalog_cuts import (
    CatalogCuts,
    apply_quality_cuts,
    cut_table,
    quality_cuts,
)
from jwst_hpastrom.motion.analysis.frame_forecast import forecast_frame
from jwst_hpastrom.motion.analysis.frame_study import frame_error, points_near, study_frame

# H25 Table 1, and §3.1: σ_trans 0.2 to 0.5 mas, smallest near Gaia's epoch
EPOCHS = [2010.4918, 2011.6863, 2012.6052, 2014.099, 2018.1064, 2019.162, 2019.6701, 2019.7046, 2019.7924,
          2020.2234, 2022.1428, 2022.5441, 2023.1535, 2023.6178]  # fmt: skip


@pytest.fixture(scope="module")
def frame():
    """Forty reference stars as H25's: motions to 0.03 mas/yr, Gaia's to 0.12 and 0.09."""
    n = 40
    gaia = Table({"source_id": np.arange(n).astype(str)})
    for name, value in (("ra", 0.10), ("dec", 0.08), ("pmra", 0.123), ("pmdec", 0.090)):
        gaia[name], gaia[f"{name}_error"] = 0.0, value
    gaia["ref_epoch"] = 2016.0
    motions = Table({"gaia_source_id": gaia["source_id"]})
    motions["ra"], motions["dec"], motions["pmra"], motions["pmdec"] = 10.0, 5.0, 0.0, 0.0
    for name, value in (("ra", 0.2), ("dec", 0.2), ("pmra", 0.03), ("pmdec", 0.03)):
        motions[f"{name}_error"] = value
    motions["flags"] = int(Flag.REFERENCE)
    trans = list(0.2 + 0.3 * np.abs(np.array(EPOCHS) - 2016) / 7.6)
    motions.meta |= {"epochs": EPOCHS, "transformation_error_mas": trans}
    return motions, gaia


def test_forecast_of_dr4_is_h25s(frame):
    """H25 §5.2: 0.025 mas/yr now, 0.012 with DR4; the rest 1.4 to 1.7 times better."""
    table = forecast_frame(*frame, new_epochs=[2026.5])
    now, better = table[0], table[1]
    assert now["pm_error"] == pytest.approx(0.025, abs=0.001)
    assert better["pm_error"] == pytest.approx(0.012, abs=0.0015)
    assert 1.3 < now["transformation_error"] / better["transformation_error"] < 2.1
    assert 1.2 < now["motion_error"] / better["motion_error"] < 1.6
    assert list(table["case"][2:]) == ["with 2026.50", "with 2026.50 and DR4"]
    assert table["motion_error"][2] < now["motion_error"]
    assert table["pm_error"][3] < better["pm_error"]


def test_more_epochs_as_a_straight_line_has_it(frame):
    motions = frame[0].copy()
    motions.meta |= {"epochs": [2010.0, 2020.0], "transformation_error_mas": [0.1, 0.1]}
    table = forecast_frame(motions, new_epochs=[2030.0])
    assert table["motion_error"][1] / table["motion_error"][0] == pytest.approx(0.5)
    assert np.isnan(table["pm_error"]).all()
    motions.meta.clear()
    assert forecast_frame(motions) is None


def test_errors_of_the_frame():
    table = Table(meta={"frame_pm_error_mas_yr": [0.03, 0.01], "frame_bias_pm_error_mas_yr": [0.02, 0.02],
                        "frame_bias_position_error_mas": [0.1, 0.2]})  # fmt: skip
    term = frame_error(table)
    assert term.motion == (0.03, 0.02)
    assert term.position == (0.1, 0.2)
    assert frame_error(Table(meta={"zero_point_pmra_error": 0.1, "zero_point_pmdec_error": 0.2})).motion == (
        0.1,
        0.2,
    )
    assert frame_error(Table()) is None


def test_cuts_of_two_epoch_motions(frame):
    motions = frame[0].copy()
    motions["pmra_error"][:3] = 5.0
    motions["ra_error"][2] = 50.0
    failed = quality_cuts(motions)
    assert not any("n_epochs" in c or "chi2" in c for c in failed)
    table = cut_table(failed)
    row = table[[c.startswith("motion error <") for c in table["cut"]]][0]
    assert (row["n_failed"], row["n_failed_alone"], table.meta["n_passed"]) == (3, 2, 37)
    assert apply_quality_cuts(motions).sum() == 37
    assert points_near(motions) == {}
    assert study_frame(motions).budget is None
    tight = quality_cuts(motions, config=CatalogCuts(max_motion_error=0.0501))
    assert {c: v.tolist() for c, v in quality_cuts(motions, max_motion_error=0.0501).items()} == {
        c: v.tolist() for c, v in tight.items()
    }
    cuts = study_frame(motions, cuts=CatalogCuts(max_mag=1.0)).cuts
    assert "mag < 1" in list(cuts["cut"])


def test_new_epochs_are_years():
    with pytest.raises(ParameterError, match="new_epochs=61000, needed Julian years"):
        forecast_frame(Table({"pmra": [1.0]}), new_epochs=[2026.5, 61000])
