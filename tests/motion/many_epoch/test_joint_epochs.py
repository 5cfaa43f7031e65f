"""Two, three and six epochs of one telescope in one solution, with a sparse catalog of few good stars."""

import numpy as np
import pytest

from jwst_hpastrom.columns import Flag
from jwst_hpastrom.errors import ParameterError
from jwst_hpastrom.motion import fit_epochs
from jwst_hpastrom.motion.gaia_frame.plate_stars import star_weights
from jwst_hpastrom.motion.star_fits.models import fit_motions
from tests.motion.jwst_epochs import simulate, visits


def errors(n_epochs, seed, n=900, settings=(), **kwargs):
    """Errors of the motions, stated and total ones, the truth's rows, the table and the run."""
    lists, gaia, truth = simulate(seed, n=n, when=visits(n_epochs), **kwargs)
    out = fit_epochs(lists, gaia, **dict(settings))
    rows = np.array([int(name[1:]) for name in out.table["source_name"]])
    d = np.stack([out.table[c] - truth[c][rows] for c in ("pmra", "pmdec")])
    own, total = (
        np.stack([np.asarray(out.table[c + s]) for c in ("pmra", "pmdec")])
        for s in ("_error", "_error_total")
    )
    return d, own, total, truth[rows], out


def clipped(z):
    z = z[np.isfinite(z)]
    return z[np.abs(z) < 4].std()


@pytest.mark.parametrize("n_epochs", [2, 3, 6])
def test_few_epochs_hold_each_other(n_epochs):
    pulls, total_pulls, bright = [], [], []
    for seed in (1, 2):
        d, own, total, truth, out = errors(n_epochs, seed)
        full = np.asarray(out.table["n_epochs"]) == n_epochs
        relative = d - np.nanmedian(d, axis=1)[:, None]
        pulls.append((relative / own)[:, full])
        total_pulls.append((d / total)[:, full])
        rows = full & (np.asarray(truth["mag"]) < -4.5)
        bright.append(relative[:, rows])
        assert np.median(own[:, rows]) < 0.085
    assert clipped(np.concatenate(pulls, 1)) == pytest.approx(1.0, abs=0.15)
    assert clipped(np.concatenate(total_pulls, 1)) < 1.2
    d = np.concatenate(bright, 1)
    assert 1.4826 * np.median(np.abs(d)) < 0.085  # mas/yr; each epoch on Gaia alone: several times that


def test_bad_reference_stars_do_not_turn_few_epochs():
    pulls = []
    for seed in (3, 4):
        d, _, _, truth, out = errors(3, seed, n=600, bad=0.4)
        pulls.append(np.nanmedian(d, axis=1) / out.table.meta["frame_pm_error_mas_yr"])
        stars = np.asarray(out.references["star"])
        bad = np.asarray(truth["bad"])[stars]
        membership = np.asarray(out.references["membership"])
        assert np.mean(membership[bad] < 0.1) > 0.8
        assert np.median(membership[~bad]) > 0.9
        flagged = np.asarray(out.table["flags"]) & int(Flag.REFERENCE) > 0
        assert np.array_equal(np.sort(stars[membership > 0.5]), np.flatnonzero(flagged))
    assert np.max(np.abs(pulls)) < 2.5


def test_rules():
    lists, gaia, _ = simulate(5, n=300)
    hard = fit_epochs(lists, gaia, models="h25")
    assert "membership" not in hard.references.colnames
    with pytest.raises(ParameterError, match="mixture"):
        fit_epochs(lists, gaia, models="linear", reference_rule="mixture")


def test_stars_of_three_epochs_off_their_line_weigh_little():
    epochs = np.array([2022.0, 2023.5, 2025.0])
    rng = np.random.default_rng(0)
    x, y = rng.normal(0, 0.1, (2, 200, 3))
    x[:20, 1] += 5.0  # 50 errors
    error = np.full((2, 200, 3), 0.1)
    fits = fit_motions(epochs, x, y, *error, models="linear")
    weights = star_weights(fits, np.stack([x, y]), error, epochs)
    assert weights[:20].max() < 0.02
    assert np.mean(weights[20:]) == pytest.approx(1.0, abs=0.2)
    two = fit_motions(epochs, *(np.where(epochs > 2024, np.nan, c) for c in (x, y)), *error, models="linear")
    assert np.all(star_weights(two, np.stack([x, y]), error, epochs) == 1.0)  # nothing can be said


def test_lists_of_different_filters_are_one_field():
    lists, gaia, _ = simulate(7, n=500)
    one = fit_epochs(lists, gaia, models="linear", transformation_errors="joint")
    lists[1]["mag"] += 2.7
    other = fit_epochs(lists, gaia, models="linear", transformation_errors="joint")
    assert len(other.table) == len(one.table)
    assert np.array_equal(other.table["n_found"], one.table["n_found"])
    np.testing.assert_allclose(other.table["mag"], one.table["mag"], atol=0.05)
