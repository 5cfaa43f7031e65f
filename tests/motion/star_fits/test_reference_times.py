"""Times of all lists against the reference stars' motions."""

import numpy as np
import pytest

from jwst_hpastrom.checks import Evidence, run_checks
from jwst_hpastrom.motion import fit_epochs
from jwst_hpastrom.motion.star_fits.reference_times import ReferenceLines, lines, reference_time, time_error
from jwst_hpastrom.simulation import simulate_epochs
from tests.motion.jwst_epochs import simulate, visits

GAIA = 2016.0


def stars(seed, *, n=60, late=0.0, dispersion=0.15, epochs=(2022.3, 2023.6, 2025.2), single=0.1, factor=1.0):
    """Reference stars whose own and catalog's errors are as large as their motions; errors x ``factor``."""
    rng, epochs = np.random.default_rng(seed), np.asarray(epochs)
    motion = rng.normal(0, dispersion, (n, 2))
    ours = lines(epochs, np.full((n, 2, epochs.size), single**-2.0))
    theirs = np.broadcast_to([GAIA, 0.15**2, 0.12**2], (n, 2, 3))
    catalog = motion + rng.normal(0, 0.12, (n, 2))
    place = rng.normal(0, 0.15, (n, 2))
    measured = motion + factor * rng.normal(0, 1, (n, 2)) * np.sqrt(ours[..., 2])
    middle = motion * (ours[..., 0] - GAIA + late) + factor * rng.normal(0, 1, (n, 2)) * np.sqrt(ours[..., 1])
    difference = middle - measured * (ours[..., 0] - GAIA) - place
    return ReferenceLines(difference, measured - catalog, GAIA, catalog, ours, theirs)


def test_time_error_has_its_error():
    rng = np.random.default_rng(2)
    motion = rng.normal(0, 1, (400, 2))
    found = [
        time_error(0.5 * motion + rng.normal(0, 0.3, motion.shape), motion, np.full((400, 2), 0.3**-2))
        for _ in range(40)
    ]
    pull = (np.array(found)[:, 0] - 0.5) / np.array(found)[:, 1]
    assert abs(pull.mean()) < 0.6
    assert 0.7 < pull.std() < 1.3


@pytest.mark.parametrize("factor", [1.0, 2.0])  # the lists' errors as stated, and twice that
@pytest.mark.parametrize("single", [0.03, 0.1, 0.3])
def test_errors_carried_to_another_epoch_are_no_time(single, factor):
    found = np.array([reference_time(stars(k, single=single, factor=factor)) for k in range(60)])
    pull = found[:, 0] / found[:, 1]
    assert abs(pull.mean()) < 0.45
    assert 0.75 < pull.std() < 1.25


@pytest.mark.parametrize("epochs", [(2022.3, 2023.6, 2025.2), (2010.0, 2014.0, 2018.0, 2022.0)])
def test_late_lists(epochs):
    found = np.array([reference_time(stars(k, n=800, late=3.0, epochs=epochs)) for k in range(10)])
    assert found[:, 0].mean() == pytest.approx(3.0, abs=0.6)
    assert (found[:, 0] > 8 * found[:, 1]).all()


def test_a_wrong_measurement_moves_position_and_motion():
    wrong = stars(3, single=0.03)
    wrong.change[:3] += 20.0
    wrong.difference[:3] -= 20.0 * (wrong.ours[:3, :, 0] - 1.0 - GAIA)
    time, sigma = reference_time(wrong)
    assert abs(time) < 4 * sigma


def test_nothing_to_tell():
    assert np.isnan(reference_time(stars(1, n=15))).all()
    unknown = stars(1)._replace(theirs=np.full((60, 2, 3), np.nan))
    assert np.isnan(reference_time(unknown)).all()
    assert np.isnan(reference_time(stars(1, dispersion=0.0, single=1.0))).all()


def test_good_run_of_few_epochs():
    lists, gaia, _ = simulate(35, n=500, when=visits(3))
    out = fit_epochs(lists, gaia)
    references = out.timed_references()
    assert abs(references.meta["time_error"]) < 3.5 * references.meta["time_error_error"]


def test_the_verdict_says_another_epoch_of_gaia():
    sky = simulate_epochs(n_stars=300, n_gaia=60, epochs=(2011.2, 2014.5, 2018.1, 2022.5), seed=3)
    gaia = sky.gaia.copy()
    gaia["ref_epoch"] = np.asarray(gaia["ref_epoch"]) + 1.5
    out = fit_epochs([t.copy() for t in sky.lists], gaia, models="linear")
    found = run_checks(Evidence(references=out.timed_references()))
    assert any(c.verdict == "bad" and c.causes[0].startswith("epochs of all lists") for c in found)
