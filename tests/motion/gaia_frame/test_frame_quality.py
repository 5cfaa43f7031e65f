"""The paper's own numbers (Hosek et al. 2025, H25): tables transcribed from its text."""

import numpy as np
import pytest

from jwst_hpastrom.errors import NotEnoughStarsError, ParameterError
from jwst_hpastrom.motion.analysis.forecasts import extended_mass_motion, motion_error, transformation_error
from jwst_hpastrom.motion.analysis.rest_frame import RADIO_SGRA, at_rest, at_rest_table
from jwst_hpastrom.motion.gaia_frame.frame_quality import (
    common_epoch,
    error_budget,
    frame_covariance,
    joint_test,
    weighted_bias,
)

# H25 Table 3: ra, dec, pmra, pmdec, t0; and the same stars in Table 7: x, y ("), vx, vy (mas/yr).
TABLE_3 = np.array(
    [
        (266.41680951, -29.00792399, -8.97, 4.47, 2018.4467),
        (266.41689152, -29.00800914, 4.86, -10.73, 2015.4906),
        (266.41697611, -29.00795541, 0.16, -6.44, 2019.6907),
        (266.41663396, -29.00772225, -2.26, -3.11, 2019.3942),
        (266.41657304, -29.00792728, -0.20, -7.48, 2018.5698),
        (266.41690889, -29.00759950, -11.58, -2.59, 2012.8189),
        (266.41690777, -29.00807787, -6.56, -1.09, 2013.5218),
        (266.41654287, -29.00772010, 4.42, -7.26, 2017.8891),
        (266.41715087, -29.00782874, 2.01, -4.64, 2017.6056),
        (266.41711206, -29.00767334, -12.59, 1.45, 2018.6155),
    ]
)
TABLE_7 = np.array(
    [
        (0.0137, -0.2925, -5.81, 10.05),
        (0.2626, -0.6155, 8.02, -5.15),
        (0.5422, -0.3986, 3.31, -0.85),
        (-0.5360, 0.4391, 0.90, 2.47),
        (-0.7304, -0.3036, 2.95, -1.90),
        (0.3089, 0.8443, -8.43, 3.00),
        (0.3076, -0.8739, -3.40, 4.50),
        (-0.8275, 0.4384, 7.57, -1.68),
        (1.0858, 0.0458, 5.16, 0.94),
        (0.9668, 0.6109, -9.44, 7.04),
    ]
)
# H25 Table 2: errors of the reference stars' Gaia motions, mas/yr.
TABLE_2 = np.array(
    [
        (0.202, 0.130), (0.049, 0.031), (0.118, 0.073), (0.173, 0.108), (0.110, 0.066),
        (0.174, 0.111), (0.371, 0.229), (0.246, 0.152), (0.036, 0.022), (0.239, 0.147),
    ]
)  # fmt: skip


def test_table_3_becomes_table_7():
    ra, dec, pmra, pmdec, t0 = TABLE_3.T
    out = np.stack(at_rest(ra, dec, pmra, pmdec, t0), -1)
    unit = np.array([1e-4, 1e-4, 1e-2, 1e-2])
    assert np.all(np.abs(out - TABLE_7) <= 1.001 * unit)


def test_table_6_follows_by_changing_sgra():
    """Differences (mas, mas/yr) from the masers change as SgrA* does; H25 Table 6, positions at 2017.4891."""
    epoch, xu = 2017.4891, RADIO_SGRA["xu2022"]
    fiducial = (xu.ra, xu.dec)
    base = np.array([-0.536, -0.517, -0.076, -0.042])
    printed = {"gordon2023": (-0.368, 0.818, -0.100, -0.043), "reid2020": (-31, 7, -0.072, -0.043)}
    unit = {"gordon2023": (1e-3, 1e-3, 1e-3, 1e-3), "reid2020": (1, 1, 1e-3, 1e-3)}
    for name, row in printed.items():
        point = RADIO_SGRA[name]
        shift = np.subtract(xu.offset(fiducial, epoch), point.offset(fiducial, epoch))
        motion = (xu.pmra - point.pmra, xu.pmdec - point.pmdec)
        difference = base + np.r_[shift, motion] - row
        assert np.all(np.abs(difference) <= 1.001 * np.array(unit[name])), (name, difference)


def test_table_5_follows_from_its_terms():
    motion = error_budget({"Gaia-CRF3": (0.020, 0.015), "ICRS": (0.0112, 0.0107), "SgrA*": (0.011, 0.006)})
    position = error_budget({"Gaia-CRF3": (0.032, 0.030), "ICRS": (0.007, 0.007), "SgrA*": (0.21, 0.47)})
    np.testing.assert_allclose(motion["Gaia-CRF3"], (0.020, 0.015, 0.025), atol=5e-4)
    np.testing.assert_allclose(motion["ICRS"], (0.023, 0.018, 0.029), atol=5.1e-4)
    np.testing.assert_allclose(position["ICRS"], (0.033, 0.031, 0.045), atol=5e-4)
    # The printed total, 0.031, adds rounded terms: it computes to 0.0320.
    np.testing.assert_allclose(motion["SgrA*"], (0.025, 0.019, 0.0320), atol=6e-4)
    assert motion["SgrA*"][2] == pytest.approx(0.0320, abs=1e-4)
    np.testing.assert_allclose(position["SgrA*"], (0.213, 0.471, 0.517), atol=6e-4)


def test_masers_are_consistent_with_zero():
    motion = joint_test((-0.076, -0.042), (0.030, 0.028))
    position = joint_test((-0.536, -0.517), (0.230, 0.486))
    assert motion.chi2 == pytest.approx(8.668, abs=1e-3)
    assert position.chi2 == pytest.approx(6.563, abs=1e-3)
    assert motion.limit == pytest.approx(11.618, abs=1e-3)
    assert motion.consistent
    assert position.consistent
    # H25's "0.041 mas/yr, 0.54 mas" are lengths of the error vectors, not radii of 99.7 % confidence.
    assert motion.total_error == pytest.approx(0.041, abs=5e-4)
    assert position.total_error == pytest.approx(0.54, abs=5e-3)
    assert motion.radius > np.hypot(0.076, 0.042)
    assert motion.probability == pytest.approx(np.exp(-motion.chi2 / 2))
    assert not joint_test((0.2, 0.0), (0.03, 0.03), correlation=0.3).consistent


def test_common_epoch_of_table_2():
    gaia = TABLE_2
    for sigma in (0.03, 0.04, 0.05):
        t = common_epoch(np.full_like(gaia, sigma), 2018.0, gaia, 2016.0)
        assert 2016.06 <= t <= 2016.21


def test_common_epoch_has_the_least_variance():
    rng = np.random.default_rng(1)
    s1, s2, t1 = rng.uniform(0.02, 0.1, (20, 2)), rng.uniform(0.02, 0.3, (20, 2)), rng.uniform(2015, 2019, 20)

    def variance(t):
        return np.sum(s1**2 * (t - t1)[:, None] ** 2 + s2**2 * (t - 2016.0) ** 2)

    t = common_epoch(s1, t1, s2, 2016.0)
    assert variance(t) < min(variance(t - 0.01), variance(t + 0.01))


def test_weighted_bias():
    bias, error = weighted_bias([1.0, 2.0, np.nan], [1.0, 2.0, 1.0])
    assert bias == pytest.approx(1.2)
    assert error == pytest.approx(1.25**-0.5)
    with pytest.raises(NotEnoughStarsError):
        weighted_bias([np.nan], [1.0])
    with pytest.raises(ParameterError):
        error_budget({"one": (0.1,)})


def test_frame_covariance_of_a_common_drift():
    epochs = np.array([2010.0, 2014, 2018, 2022])
    drift = np.outer(epochs - 2016, epochs - 2016) * 0.02**2
    frame = frame_covariance(np.stack([drift, drift + 0.1**2]), np.ones((2, 4)), epochs)
    assert frame.epoch == 2016
    np.testing.assert_allclose(frame.covariance[0], [[0, 0], [0, 0.02**2]], atol=1e-15)
    np.testing.assert_allclose(frame.covariance[1], [[0.01, 0], [0, 0.02**2]], atol=1e-12)


def test_forecasts():
    # H25 §5.2: σ_trans between 0.2 and 0.5 mas with 40 stars, i.e. σ_ref between 0.49 and 1.2 mas
    assert transformation_error(0.49, 40) == pytest.approx(0.2, abs=0.01)
    with pytest.raises(ParameterError):
        transformation_error(0.5, 6)
    assert motion_error(0.3, [2010.0, 2020.0]) == pytest.approx(0.3 / np.sqrt(50))
    # eq. 20 for 3000 solar masses within 0.01 pc, 13.13 yr, 8.178 kpc
    assert extended_mass_motion(3000, 0.01, 13.13) == pytest.approx(0.0447, abs=2e-4)


def test_table_at_rest_keeps_both_errors():
    from astropy.table import Table

    ra, dec, pmra, pmdec, t0 = TABLE_3.T
    table = Table({"id": np.arange(10), "ra": ra, "dec": dec, "pmra": pmra, "pmdec": pmdec, "ref_epoch": t0})
    for name in ("ra_error", "dec_error", "pmra_error", "pmdec_error"):
        table[name] = 0.1
    out = at_rest_table(table, frame_motion_error=(0.023, 0.018), frame_position_error=(0.033, 0.031))
    np.testing.assert_allclose(out["vx"], TABLE_7[:, 2], atol=0.0101)
    np.testing.assert_allclose(out["vx_error_total"], np.sqrt(0.01 + 0.011**2 + 0.023**2))
    assert np.all(out["x_error_total"] > 0.2)
