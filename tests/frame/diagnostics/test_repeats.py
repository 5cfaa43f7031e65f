"""Errors of exposures from their differences."""

from types import SimpleNamespace

import numpy as np
import pytest
from astropy.table import Table

from jwst_hpastrom.errors import BadCatalogError
from jwst_hpastrom.frame.diagnostics.repeats import error_factors, pair_ratios
from jwst_hpastrom.frame.measurements import collect
from jwst_hpastrom.geometry import LinearTransform


def frame(n=4, n_stars=800, stated=None, true=None, seed=1):
    """Measurements of stars in n exposures, whose errors grow toward faint stars."""
    rng = np.random.default_rng(seed)
    mag = rng.uniform(-8, -3, n_stars)
    error = 0.01 * 10 ** (0.15 * (mag + 8))
    stated = np.ones(n) if stated is None else np.asarray(stated, float)
    true = np.ones(n) if true is None else np.asarray(true, float)
    d = rng.normal(0, 1, (2, n, n_stars)) * true[:, None] * error
    rows = [(s, k, s, *d[:, k, s]) for k in range(n) for s in range(n_stars)]
    names = ("star", "exposure", "row", "dx", "dy")
    lists = [Table(dict.fromkeys(("x_err", "y_err"), stated[k] * error)) for k in range(n)]
    return SimpleNamespace(
        measurements=Table(rows=rows, names=names),
        table=Table({"mag": mag}),
        transforms=[LinearTransform()] * n,
    ), lists


@pytest.mark.parametrize("k", [0, 2])
@pytest.mark.parametrize("factor", [0.1, 1.0, 30.0])
def test_factor_of_one_exposure(k, factor):
    stated = np.ones(4)
    stated[k] /= factor
    found, alike = error_factors(*pair_ratios(*frame(stated=stated)))
    expected = np.ones(4)
    expected[k] = factor
    # what an exposure's overstated errors hide of it is not known
    assert found == pytest.approx(expected, rel=0.15, abs=0.3 if factor < 1 else 0)
    assert factor != 1 or alike.min() > 0.85


def test_deeper_exposures_are_not_blamed():
    depth = [0.1, 1, 1, 1]
    assert error_factors(*pair_ratios(*frame(stated=depth, true=depth)))[0][1:] == pytest.approx(1, rel=0.1)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_middle_one_of_dithers_over_a_distortion_is_not_blamed(seed):
    """It is nearer to both others than these to each other, as no errors of single exposures make it."""
    f, lists = frame(n=3, seed=seed)
    pattern = np.random.default_rng(seed).normal(0, 0.1, (2, len(f.table)))
    m = f.measurements
    for axis, c in enumerate(("dx", "dy")):
        m[c] += (m["exposure"] - 1.0) * pattern[axis][m["star"]]
    factor, _ = error_factors(*pair_ratios(f, lists))
    assert factor[1] == 1
    assert factor[[0, 2]].min() > 1.5
    lists[1]["x_err"], lists[1]["y_err"] = 30 * lists[1]["x_err"], 30 * lists[1]["y_err"]
    assert error_factors(*pair_ratios(f, lists))[0][1] < 0.2  # errors that are too large still are


def test_the_same_twice():
    f, lists = frame()
    m = f.measurements
    for c in ("dx", "dy"):
        m[c][m["exposure"] == 3] = m[c][m["exposure"] == 0]
    alike = error_factors(*pair_ratios(f, lists))[1]
    assert np.all(alike[[0, 3]] < 1e-6)
    assert np.all(alike[[1, 2]] > 0.8)


@pytest.mark.parametrize("stated", [[10, 1, 1, 1], [30, 30, 30, 30], [0.01, 0.01, 1, 1]])
def test_wrong_errors_and_deep_exposures_are_not_the_same(stated):
    true = np.where(np.array(stated) < 1, stated, 1.0)
    alike = error_factors(*pair_ratios(*frame(stated=stated, true=true)))[1]
    assert np.nanmin(alike) > 0.5


def test_two_exposures_tell_no_factor():
    assert np.isnan(error_factors(*pair_ratios(*frame(n=2)))[0]).all()


def test_impossible_covariances_are_refused():
    n = 100
    t = Table({"x": np.arange(n), "y": np.arange(n), "mag": np.zeros(n), "x_err": np.full(n, 0.01)})
    t["y_err"], t["xy_cov"] = t["x_err"], np.full(n, 2e-4)
    t["x_corr"], t["y_corr"] = t["x"], t["y"]
    with pytest.raises(BadCatalogError, match="100 of 100 rows with xy_cov"):
        collect([t])
    t["xy_cov"][3:] = 0.5e-4
    assert collect([t])[0].vxy[0] == 0
