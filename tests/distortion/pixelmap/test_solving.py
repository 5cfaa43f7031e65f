"""Solutions of the field: products of pairs against plain ones, and steps that know of what is wide."""

from types import SimpleNamespace

import numpy as np
import pytest

from jwst_hpastrom.distortion.pixelmap.grid import Grid
from jwst_hpastrom.distortion.pixelmap.random_field import RandomField
from jwst_hpastrom.distortion.pixelmap.rims import Rim
from jwst_hpastrom.distortion.pixelmap.solving import Alike, WeighedPairs, WideInverse, solve_field
from jwst_hpastrom.distortion.solve.star_frame import StarFrame
from jwst_hpastrom.numerics.threads import at_once


class Some(SimpleNamespace):
    """What a frame knows of pairs."""

    def __len__(self):
        return self.star.size


def frame_of(rng, n, n_stars=40, motion=0.0):
    """Stars in three exposures turned against each other, some of whose pairs do not count."""
    angles = (0.0, 0.4, 2.0)
    turns = np.array([[[np.cos(a), -np.sin(a)], [np.sin(a), np.cos(a)]] for a in angles])
    pairs = Some(
        star=rng.integers(0, n_stars, n), exposure=rng.integers(0, 3, n), rotations=turns, motion=motion,
        years=np.array([-1.0, 0.0, 1.5]), sigma=rng.uniform(0.5, 2.0, (n_stars, 2)), pixel_scale=1.0,
    )  # fmt: skip
    w = np.where(rng.random(n) < 0.2, 0.0, rng.uniform(0.5, 2.0, n))
    transforms = [SimpleNamespace(matrix=1.1 * np.eye(2))] * 3
    return StarFrame(pairs, transforms, (w, w))


@pytest.mark.parametrize("axis", ["y", "x"])
@pytest.mark.parametrize("motion", [0.0, 0.3])
def test_products_of_pairs_are_those_of_residuals_about_the_stars(motion, axis):
    grid, rng, n = Grid((64, 48), 4, 2, axis), np.random.default_rng(3), 300
    frames = [frame_of(rng, n, motion=motion), frame_of(rng, n)]
    keep = [f.w > 0 for f in frames]
    number = [k.sum() for k in keep]
    evaluate = grid.bilinear(rng.uniform(0, 47, sum(number)), rng.uniform(0, 63, sum(number)))
    weight = np.concatenate([f.w[k] for f, k in zip(frames, keep, strict=True)])
    pairs = WeighedPairs(evaluate, weight, grid.size, list(zip(frames, keep, strict=True)))
    fields, r = rng.normal(size=(2, 2, *grid.size)).astype("f4"), rng.normal(size=(2, sum(number)))
    found = pairs.back(fields, r)
    parts = np.split(np.arange(sum(number)), [number[0]])
    for own, frame, k, field, out in zip(parts, frames, keep, fields, found, strict=True):
        whole = np.zeros((2, n))
        whole[:, k] = [r[a, own] + evaluate[own] @ field[a].ravel() for a in (0, 1)]
        expected = [evaluate[own].T @ v for v in frame.about(whole)[:, k] * frame.w[k]]
        np.testing.assert_allclose(out.reshape(2, -1), expected, atol=2e-6)


@pytest.fixture
def wide():
    """A field of which waves and rims are told best, the pairs, and their residuals."""
    rng, grid, n = np.random.default_rng(4), Grid((256, 256), 4, 2), 6000
    coefficients = np.array([[0.02, 0.01], [-0.02, 0.01]])
    rims = [Rim(np.array([x, 120.0, 3.6, 0.1, 0.3, -1.2]), (1,), coefficients) for x in (80.0, 100.0)]
    prior = RandomField.stationary(grid, np.full((2, 4), 1e-6)).with_rims(rims)
    x, y = rng.uniform(0, 255, (2, n))
    evaluate, w = grid.bilinear(x, y), np.full(n, 0.004**-2.0)
    true = prior.total(prior.parts(prior.noise(rng)))
    r = np.stack([evaluate @ v.ravel() for v in true]) + rng.normal(0, 0.004, (2, n))
    weight = (evaluate.T @ w).reshape(grid.size)
    return prior, WeighedPairs(evaluate, w, grid.size), r, weight


def test_the_near_inverse_is_that_of_what_is_wide(wide):
    prior, _, _, weight = wide
    scales = [1e-3 * v.deviation for v in prior.levels]  # so weak that all frequencies are told
    prior = RandomField(prior.grid, scales, prior.waves, prior.rims)
    near, first = WideInverse(prior, weight), prior.bounds[-4]
    z = prior.noise(np.random.default_rng(1))
    z[:first] = 0.0
    field = prior.total(prior.parts(z))
    image = z + prior.transposed((weight * field).astype("f4"))
    image[:first] = 0.0
    found = prior.total(prior.parts(near(image))) / near.top
    np.testing.assert_allclose(found, field, atol=2e-3 * field.std())


def test_what_is_wide_takes_fewer_steps(wide, monkeypatch):
    prior, pairs, r, weight = wide
    steps, back, found = [], pairs.back, []
    monkeypatch.setattr(pairs, "back", lambda *a: (steps.append(1), back(*a))[1])
    for near in (None, WideInverse(prior, weight)):
        found.append(prior.total(solve_field(prior, pairs, r, near=near, tolerance=1e-4)[0]))
        steps.append(0)
    plain, led = np.split(np.array(steps), [steps.index(0)])
    assert led.sum() < 0.5 * plain.sum()
    np.testing.assert_allclose(*found, atol=1e-4)


@pytest.mark.parametrize("beside", [False, True])
def test_a_second_solution_takes_as_many_steps_as_the_first(wide, beside):
    prior, pairs, r, _ = wide
    steps = {"first": 0, "second": 0}

    def counted(name, **options):
        def back(*args):
            steps[name] += 1
            return pairs.back(*args)

        own = SimpleNamespace(parts=pairs.parts, back=back)
        return solve_field(prior, own, r, tolerance=1e-3, **options)[1]

    alike = Alike()

    def first():
        return alike.lead(counted, "first")

    def second():
        return counted("second", go_on=alike.follow)

    one, other = at_once(first, second) if beside else (first(), second())
    assert steps["first"] == steps["second"] > 5
    np.testing.assert_array_equal(one, other)


def test_a_second_solution_ends_where_the_first_one_fails():
    alike = Alike()
    with pytest.raises(ZeroDivisionError):
        alike.lead(lambda go_on: 1 / 0)
    assert not alike.follow(True)
