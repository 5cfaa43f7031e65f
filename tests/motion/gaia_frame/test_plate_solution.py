"""All epochs' transformations at once: against a dense least-squares twin, and against a known truth."""

import numpy as np
import pytest

from jwst_hpastrom.errors import NotEnoughStarsError
from jwst_hpastrom.geometry import TangentPlane, polynomial_terms
from jwst_hpastrom.motion.gaia_frame.frame_tie import EpochTie
from jwst_hpastrom.motion.gaia_frame.plate_solution import add_frame_errors, solve_plates
from jwst_hpastrom.motion.gaia_frame.reference import ReferenceStars
from jwst_hpastrom.motion.gaia_frame.reference_choice import measured
from jwst_hpastrom.motion.many_epoch.linking import LinkedStars
from jwst_hpastrom.motion.star_fits.models import fit_motions

EPOCHS = np.array([2010.0, 2012.0, 2013.5, 2016.0, 2019.0, 2021.0, 2023.0])
N, N_REF, SIGMA, GAIA = 120, 12, 0.2, 0.05


def epochs_of_a_field(rng, bend=0.0):
    """Links, reference stars and first ties; pixels of 1 mas, epochs displaced linearly and bent."""
    at, pm = rng.uniform(-1000, 1000, (2, N)), rng.normal(0, 3, (2, N))
    x = at[0, :, None] + pm[0, :, None] * (EPOCHS - 2016.0)
    y = at[1, :, None] + pm[1, :, None] * (EPOCHS - 2016.0)
    x = (
        x
        + rng.normal(0, 0.1, EPOCHS.size) * (1 + x / 2000)
        + bend * rng.normal(size=EPOCHS.size) * (x / 1e3) ** 3
    )
    x, y = x + rng.normal(0, SIGMA, x.shape), y + rng.normal(0, SIGMA, x.shape)
    error, every = np.full(x.shape, SIGMA), np.ones(x.shape, bool)
    index = np.tile(np.arange(N)[:, None], (1, EPOCHS.size))
    links = LinkedStars(index, x, y, error, error, 0 * x, every, every[:, 0])
    r = slice(0, N_REF)
    noise = rng.normal(0, GAIA, (4, N_REF))
    covariance = np.tile(np.diag([GAIA**2] * 4), (N_REF, 1, 1))
    reference = ReferenceStars(
        np.arange(N_REF), at[0, r] + noise[0], at[1, r] + noise[1], pm[0, r] + noise[2], pm[1, r] + noise[3],
        covariance, np.full(N_REF, 2016.0), np.zeros(N_REF), np.zeros(N_REF), TangentPlane(0.0, 0.0),
    )  # fmt: skip
    unit = np.array([[0.0, 1000.0, 0.0], [0.0, 0.0, 1000.0]])
    ties = [EpochTie(1, np.zeros(2), 1000.0, unit) for _ in EPOCHS]
    return links, reference, ties, pm


def dense_twin(links, reference, ties, axis, width=None, top=1):
    """Every unknown in one design matrix: coefficients, then position and motion of every star."""
    terms = polynomial_terms(top)
    n_c = EPOCHS.size * len(terms)
    rows, right = [], []
    for s in range(N):
        for k, t in enumerate(EPOCHS):
            row = np.zeros(n_c + 2 * N)
            p, q = links.x[s, k] / 1e3, links.y[s, k] / 1e3
            row[k * len(terms) : (k + 1) * len(terms)] = [p**i * q**j for i, j in terms]
            row[n_c + 2 * s], row[n_c + 2 * s + 1] = -1.0, -(t - 2016.0)
            rows.append(row / SIGMA)
            right.append(0.0)
    known = np.stack([(reference.xi, reference.pm_xi), (reference.eta, reference.pm_eta)])[axis]
    for s in range(N_REF):
        for c in (0, 1):
            row = np.zeros(n_c + 2 * N)
            row[n_c + 2 * s + c] = 1 / GAIA
            rows.append(row)
            right.append(known[c, s] / GAIA)
    if width:
        for k in range(EPOCHS.size):
            for m in range(3, len(terms)):
                row = np.zeros(n_c + 2 * N)
                row[k * len(terms) + m] = 1 / width
                rows.append(row)
                right.append(0.0)
    a = np.array(rows)
    covariance = np.linalg.inv(a.T @ a)
    return (covariance @ (a.T @ np.array(right)))[:n_c], covariance[:n_c, :n_c]


@pytest.mark.parametrize("top", [1, 2])
def test_equals_the_dense_solution(top):
    links, reference, ties, _ = epochs_of_a_field(np.random.default_rng(1))
    star = np.arange(N_REF)
    settings = {"regularised_degree": top, "outlier_sigma": 0.0, "n_iterations": 1}
    plates = solve_plates(ties, links, EPOCHS, reference, star, **settings)
    assert (plates.width > 0) == (top > 1)
    for axis in (0, 1):
        expected, covariance = dense_twin(links, reference, ties, axis, plates.width, top)
        ours = np.concatenate([tie.coefficients[axis] for tie in plates.ties])
        # the prior's width was still settling by 1 % in the last round
        error = np.sqrt(np.diag(covariance))
        np.testing.assert_allclose(ours / error, expected / error, atol=0.02)
        np.testing.assert_allclose(
            plates.covariance[axis] / np.outer(error, error), covariance / np.outer(error, error), atol=0.03
        )


def test_errors_of_stars_and_frame_are_those_found():
    """Twenty fields: motions relative to the field, and the field's own, scatter as stated."""
    z, frame, bends = [], [], []
    for seed in range(20):
        links, reference, ties, pm = epochs_of_a_field(np.random.default_rng(100 + seed), bend=0.2)
        plates = solve_plates(ties, links, EPOCHS, reference, np.arange(N_REF), n_iterations=2)
        position, error = measured(links, plates.ties, EPOCHS.size)
        fits = fit_motions(EPOCHS, *position, *error, models="linear")
        fits, shared, common = add_frame_errors(fits, plates, links, error, EPOCHS)
        d = fits.motion - pm.T
        design = plates.ties[0].design(links.x[:, 0], links.y[:, 0])[:, :6]
        smooth = design @ np.linalg.lstsq(design, d, rcond=None)[0]
        own = np.mean(fits.motion_error**2 - shared**2) * 5 / len(d)  # what six terms less one take of noise
        bends.append([np.mean(np.var(smooth, axis=0)), np.mean(shared**2) + own])
        z.append((d - d.mean(0)) / fits.motion_error)
        frame.append(d.mean(0) / np.sqrt(common.covariance[:, 1, 1]))
    assert np.std(z) == pytest.approx(1.0, abs=0.08)
    assert np.std(frame) == pytest.approx(1.0, abs=0.3)
    found, expected = np.mean(bends, axis=0)
    assert found == pytest.approx(expected, rel=0.4)


def test_reference_stars_alone_hold_the_epochs():
    """With hardly any field star the solution is the catalog's, and its errors say so."""
    links, reference, ties, _ = epochs_of_a_field(np.random.default_rng(1))
    few = solve_plates(ties, links.take(np.arange(N_REF + 2)), EPOCHS, reference, np.arange(N_REF))
    many = solve_plates(ties, links, EPOCHS, reference, np.arange(N_REF))
    ratio = few.epoch_errors(links.x, links.y) / many.epoch_errors(links.x, links.y)
    assert 1.1 < np.median(ratio) < 20
    with pytest.raises(NotEnoughStarsError, match="link epoch 2010"):
        solve_plates(ties, links.take(np.arange(3)), EPOCHS, reference.take(np.arange(3)), np.arange(3))
