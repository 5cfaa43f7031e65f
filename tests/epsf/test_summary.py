"""The few numbers that stand for the fits of an exposure."""

import numpy as np
import pytest
from astropy.table import Table

from jwst_hpastrom.columns import Flag
from jwst_hpastrom.epsf import Image
from jwst_hpastrom.epsf.summary import errors_follow_light, summarize_fit
from tests.epsf.conftest import make_library


def fits(snr, flags=0):
    n = len(snr)
    table = Table({"snr": snr, "flags": np.broadcast_to(flags, n), "qfit": 0.01 * np.arange(1, n + 1)})
    table["x"] = table["y"] = np.linspace(20.0, 40.0, n)
    table["chi2"], table["sky"] = np.arange(n) + 1.0, 0.5
    return table


@pytest.fixture(scope="module")
def image():
    bad = np.zeros((64, 64), bool)
    bad[:2] = True
    none = np.zeros((64, 64), bool)
    return Image(np.ones((64, 64), np.float32), np.ones((64, 64), np.float32), bad, none, "a_cal.fits")


def test_medians_are_of_bright_clean_stars(image):
    library = make_library(0.8, np.array([32.0]))
    flags = [0, int(Flag.SUBTRACTED), int(Flag.SATURATED), 0]
    found = summarize_fit(fits([200.0, 300.0, 150.0, 10.0], flags), image, library)
    assert (found["n_stars"], found["n_bright"], found["n_cores"], found["n_lost_core"]) == (4, 2, 2, 0)
    assert found["qfit"] == pytest.approx(0.015)
    assert (found["chi2_bright"], found["chi2"], found["sky"]) == (1.5, 2.5, 0.5)
    assert found["bad_pixels"] == pytest.approx(2 / 64)
    assert found["central_value"] == pytest.approx(library.central_value(31.5, 31.5))
    assert found["charge_unknown"] is False


def test_of_all_stars_where_none_is_bright(image):
    found = summarize_fit(fits([20.0, 30.0, 40.0]), image, make_library(0.8, np.array([32.0])))
    assert found["qfit"] == pytest.approx(0.02)
    assert found["n_bright"] == 0
    assert np.isnan(found["chi2_bright"])


@pytest.mark.parametrize(("kind", "low", "high"), [("own", 0.95, 1.0), ("other", -0.2, 0.2), ("alike", 0, 0)])
def test_errors_follow_the_light_of_their_own_exposure(kind, low, high, caplog):
    rng = np.random.default_rng(3)
    light = np.where(rng.random((64, 64)) < 0.3, rng.uniform(60, 1e4, (64, 64)), 0.0)
    err = np.sqrt(1 + light / 50)
    err = {"own": err, "other": rng.permutation(err.ravel()).reshape(err.shape), "alike": np.ones((64, 64))}
    none = np.zeros((64, 64), bool)
    made = Image((0.5 + light).astype("f4"), err[kind].astype("f4"), none, none, "a_cal.fits")
    assert low <= errors_follow_light(made, fits([200.0])) <= high
    assert ("a_cal.fits: errors of bright pixels do not go with" in caplog.text) == (kind == "other")


def test_what_the_fits_have_told_is_a_column(image):
    stars, library = fits([200.0]), make_library(0.8, np.array([32.0]))
    assert np.isnan(summarize_fit(stars, image, library)["err_follows_light"])
    stars.meta["err_follows_light"] = 0.9
    assert summarize_fit(stars, image, library)["err_follows_light"] == 0.9


@pytest.mark.parametrize(("share", "value"), [(0.0, 0.0), (0.05, 0.0), (0.05, 7.0), (0.5, 0.0)])
def test_pixels_that_were_filled_with_a_number_are_counted(share, value):
    rng = np.random.default_rng(3)
    data = rng.normal(1.0, 0.1, (64, 64)).astype(np.float32)
    lost = rng.random(data.shape) < share
    data[lost] = value
    none = np.zeros(data.shape, bool)
    image = Image(data, np.full(data.shape, 0.1, np.float32), none, none, "a_cal.fits")
    found = summarize_fit(fits([200.0, 300.0]), image, make_library(0.8, np.array([32.0])))
    assert found["filled_pixels"] == pytest.approx(lost.mean())
