"""Times of lists, from what stars' displacements have in common."""

from types import SimpleNamespace

import numpy as np
import pytest

from jwst_hpastrom.checks import Evidence, run_checks
from jwst_hpastrom.motion import fit_epochs
from jwst_hpastrom.motion.star_fits.list_times import list_times
from jwst_hpastrom.motion.star_fits.models import fit_motions
from tests.motion.jwst_epochs import simulate, visits


def times(epochs, late, dispersion=0.15, n=800, seed=1, fast=0.0, wrong=0.0):
    """List times of stars whose motions are hardly larger than their errors; frames are off by quadratics.

    Shares of the stars move fast; shares of the measurements are wrong.
    """
    rng = np.random.default_rng(seed)
    epochs, place = np.asarray(epochs), rng.uniform(-1, 1, (2, n, 1))
    error = np.full((2, n, epochs.size), 0.1)
    motion = rng.normal(0, dispersion, (2, n, 1))
    position = place * 1e4 + motion * (epochs + late - epochs.mean()) + error * rng.normal(size=error.shape)
    position += rng.normal(0, 0.1, epochs.size) * place[0] ** 2 + rng.normal(0, 0.1, epochs.size) * place[1]
    far = rng.uniform(size=n) < fast
    position[:, far] += rng.normal(0, 6, (2, far.sum(), 1)) * (epochs + late - epochs.mean())
    position += np.where(rng.uniform(size=(n, epochs.size)) < wrong, rng.normal(0, 3, position.shape), 0.0)
    fits = fit_motions(epochs, *position, *error, models="linear")
    return list_times(epochs, position, error, fits, np.ones((n, epochs.size), bool))


@pytest.mark.parametrize("epochs", [(2022.3, 2023.6, 2025.2), (2022.3, 2023.0, 2024.1, 2025.2)])
def test_right_times(epochs):
    found = np.concatenate([t / s for t, s in (times(epochs, 0.0, seed=k) for k in range(4))])
    found = found[np.isfinite(found)]
    assert np.abs(found).max() < 4.0
    assert found.size > 8


@pytest.mark.parametrize("wrong", range(4))
def test_one_list_a_year_off(wrong):
    late = np.where(np.arange(4) == wrong, 1.0, 0.0)
    time, sigma = times((2022.3, 2023.0, 2024.1, 2025.2), late, n=500, seed=wrong)
    assert np.nanargmax(np.abs(time / sigma)) == wrong
    assert time[wrong] == pytest.approx(1.0, abs=0.35)
    assert time[wrong] / sigma[wrong] > 6
    others = np.delete(time / sigma, wrong)
    assert np.nanmax(np.abs(others)) < 4.5


@pytest.mark.parametrize(("wrong", "late"), [(0, 3.0), (1, -1.0), (1, -3.0), (2, -0.5)])
def test_three_epochs_tell_that_one_is_wrong(wrong, late):
    offset = np.where(np.arange(3) == wrong, late, 0.0)
    time, sigma = times((2022.3, 2023.6, 2025.2), offset, n=300)
    assert (np.abs(time / sigma) > 6).all()  # any of them may be the one
    assert time[wrong] == pytest.approx(late, abs=5 * sigma[wrong])


@pytest.mark.parametrize("late", [-0.2, 0.2])
def test_few_fast_stars_tell_more_than_many_slow_ones(late):
    offset = np.array([0.0, late, 0.0])
    time, sigma = times((2022.3, 2023.6, 2025.2), offset, n=200, dispersion=0.05, fast=0.05)
    assert abs(time[1] / sigma[1]) > 8
    assert time[1] == pytest.approx(late, abs=0.05)


@pytest.mark.parametrize("epochs", [(2022.3, 2023.6, 2025.2), (2022.3, 2023.0, 2024.1, 2025.2)])
def test_wrong_measurements_are_no_fast_stars(epochs):
    found = [times(epochs, 0.0, n=200, wrong=0.03, fast=f, seed=k) for k, f in enumerate((0, 0, 0.03, 0.03))]
    found = np.concatenate([t / s for t, s in found])
    assert np.nanmax(np.abs(found)) < 4.0


def test_a_star_with_two_wrong_measurements_is_no_time():
    """Of which one pair looks like a fast star's of another time of the last list."""
    lists, gaia, _ = simulate(73, n=500, when=visits(6))
    quality = fit_epochs(lists, gaia).epoch_quality()
    assert np.nanmax(np.abs(quality["time_error"] / quality["time_error_error"])) < 4.0


@pytest.mark.parametrize("n", [6, 14])
def test_a_tenth_of_wrong_measurements_is_no_time(n):
    time, sigma = times(2022.3 + np.linspace(0, 2.9, n), 0.0, n=300, wrong=0.1, fast=0.03)
    assert np.nanmax(np.abs(time / sigma)) < 4.5


def test_nothing_to_tell():
    assert np.isnan(times((2022.3, 2025.2), 0.0)[0]).all()
    assert np.isnan(times((2022.3, 2023.6, 2025.2), 0.0, dispersion=0.0)[0]).all()
    assert np.isnan(times((2022.3, 2023.6, 2025.2), 0.0, n=20)[0]).all()
    none = SimpleNamespace(model=np.full(9, -1), motion=np.full((9, 2), np.nan), motion_error=np.ones((9, 2)))
    assert np.isnan(list_times(np.arange(3.0), np.ones((2, 9, 3)), np.ones((2, 9, 3)), none, True)[0]).all()


@pytest.mark.parametrize("models", ["auto", "linear"])
def test_the_verdict_names_the_list(models):
    lists, gaia, _ = simulate(13, n=500, when=visits(4))
    lists[1].meta["epoch"] -= 1
    out = fit_epochs(lists, gaia, models=models)
    first = run_checks(
        Evidence(motions=out.table, epochs=out.epoch_quality(), references=out.timed_references())
    )[0]
    assert first.verdict == "bad"
    assert first.causes[0] == "a wrong epoch of this list"
    assert first.about == "visit1"


def test_a_shift_no_better_than_none_has_an_error_of_its_size():
    # a tenth of the measurements wrong: the likelihood jumps where a median does
    lists, gaia, _ = simulate(5007, n=620, n_gaia=49, when=visits(14), outliers=0.1)
    quality = fit_epochs(lists, gaia).epoch_quality()
    time, sigma = np.asarray(quality["time_error"]), np.asarray(quality["time_error_error"])
    assert np.all(np.abs(time) < 4.5 * sigma)
