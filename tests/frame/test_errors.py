"""One error from scatter and fits, also where the correction has followed the stars' own noise."""

import numpy as np
import pytest
from astropy.table import Table

from jwst_hpastrom.errors import BadCatalogError, ParameterError
from jwst_hpastrom.frame import combine_errors, position_errors
from jwst_hpastrom.frame.errors import empirical_errors, scatter_of_one

N = 4


def measured(rng, share, n=4000):
    """Means of four measurements, bright ones first; a share of the bright stars' scatter is taken away."""
    mag = np.linspace(-8.0, -4.0, n)
    error = 0.002 * 10 ** (0.2 * (mag + 8.0))
    z = rng.normal(size=(n, N)) * error[:, None]
    mean = z.mean(axis=1)
    left = (z - mean[:, None]) * (1.0 - share * np.clip(-6.0 - mag, 0, 1))[:, None]
    return mag, mean, np.sqrt(np.sum(left**2, axis=1) / (N - 1) / N), error / np.sqrt(N)


@pytest.mark.parametrize("share", [0.0, 0.5])
def test_errors_of_bright_stars_whose_noise_a_correction_has_followed(share):
    mag, mean, empirical, formal = measured(np.random.default_rng(1), share)
    error = combine_errors(empirical, formal, np.full(mag.size, N), mag, absorbed=True)
    for low, high in ((-8, -7), (-7, -6), (-6, -5), (-5, -4)):
        b = (mag >= low) & (mag < high)
        assert 0.9 < np.std(mean[b] / error[b]) < 1.15
    if share:
        plain = combine_errors(empirical, formal, np.full(mag.size, N), mag)
        assert np.std((mean / plain)[mag < -7]) > 1.5


def test_scatter_beyond_the_fits_errors_stays():
    mag, _, empirical, formal = measured(np.random.default_rng(2), 0.0)
    n = np.full(mag.size, N)
    plain = combine_errors(3 * empirical, formal, n, mag)
    np.testing.assert_allclose(combine_errors(3 * empirical, formal, n, mag, absorbed=True), plain)
    # of errors that fits overstate at all magnitudes alike nothing was absorbed
    low = combine_errors(0.5 * empirical, formal, n, mag, absorbed=True)
    assert 1.0 <= np.median(low / combine_errors(0.5 * empirical, formal, n, mag)) < 1.03


def test_no_magnitude_and_no_scatter_are_no_trouble():
    nan = np.full(3, np.nan)
    assert np.isfinite(combine_errors([1.0, 2.0, 3.0], [1.0, 2.0, 3.0], [4, 4, 4], nan, absorbed=True)).all()
    n, zero = np.full(50, 4), np.zeros(50)
    assert np.isfinite(combine_errors(zero, zero + 1.0, n, np.arange(50.0), absorbed=True)).all()


def test_each_kind_of_error_is_its_column():
    n = np.array([4, 1, 4])
    table = Table({"mag": [-8.0, -7.0, -6.0], "n_used": n})
    for k, axis in enumerate("xy"):
        table[f"{axis}_err"] = [1.0 + k, 2.0, 3.0]
        table[f"{axis}_err_empirical"] = [0.1 + k, 0.2, np.nan]
        table[f"{axis}_err_formal"] = [0.3 + k, 0.4, 0.5]
    np.testing.assert_array_equal(position_errors(table, "combined"), [[1, 2, 3], [2, 2, 3]])
    np.testing.assert_array_equal(position_errors(table, "formal"), [[0.3, 0.4, 0.5], [1.3, 0.4, 0.5]])
    # one measurement has no scatter
    np.testing.assert_array_equal(position_errors(table, "empirical"), [[0.1, 0.4, 0.5], [1.1, 0.4, 0.5]])
    table.remove_columns(["x_err_empirical", "y_err_empirical"])
    np.testing.assert_array_equal(position_errors(table, "empirical")[0], [1.0, 0.4, 3.0])
    expected = combine_errors(table["x_err"], table["x_err_formal"], n, table["mag"])
    np.testing.assert_array_equal(position_errors(table, "combined")[0], expected)
    with pytest.raises(ParameterError, match="errors=guess"):
        position_errors(table, "guess")
    with pytest.raises(BadCatalogError, match="no column n_used"):
        position_errors(table["mag", "x_err", "y_err"], "formal")


@pytest.mark.parametrize("n", [4, 6, 12])
def test_empirical_errors_are_errors(n):
    """RMS/√N of three is nearly zero now and then: pulls were 24, of four 2 to 8."""
    x = np.random.default_rng(n).normal(size=(20_000, n))
    pull = x.mean(axis=1) / empirical_errors(x.std(axis=1, ddof=1), np.full(20_000, n))
    assert np.median(np.abs(pull)) < 0.68
    assert 0.9 < np.sqrt(np.mean(np.clip(pull, -10, 10) ** 2)) < 1.1
    assert np.isnan(empirical_errors([0.01, 0.01], [2, 3])).all()


def test_scatter_of_one_measurement_is_that_of_either_column():
    table = Table({"n_used": [2, 3, 5], "x_rms": [0.1, 0.2, 0.3], "y_rms": [0.1, 0.2, 0.3]})
    table["x_err_empirical"] = empirical_errors(1.5 * table["x_rms"], table["n_used"])
    np.testing.assert_allclose(scatter_of_one(table, "x"), [np.nan, 0.2**2, 0.45**2])
    np.testing.assert_allclose(scatter_of_one(table, "y"), [np.nan, 0.2**2, 0.3**2])
