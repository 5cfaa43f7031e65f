"""The stop of a build: held-out stars tell when it no longer becomes better."""

from types import SimpleNamespace

import numpy as np

from jwst_hpastrom.epsf.build.config import BuildConfig
from jwst_hpastrom.epsf.build.convergence import HeldOut
from jwst_hpastrom.epsf.build.iterations import Run, _judge


def offsets(rng, n, systematic):
    noise = rng.normal(size=(2, n))
    wave = np.sin(2 * np.pi * rng.uniform(size=(2, n)))
    return lambda share: SimpleNamespace(
        **dict(zip(("dx", "dy"), 0.01 * noise + share * systematic * wave, strict=True))
    )


def test_stops_where_the_gain_is_noise():
    rng = np.random.default_rng(1)
    star = np.repeat(np.arange(1000), 5)
    at, err = offsets(rng, star.size, 0.01), np.full(star.size, 0.01)
    held = HeldOut(star)
    assert held.mask.sum() == 500
    shares = 1.0, 0.5, 0.25, 0.1, 0.0999, 0.12
    assert [held.stopped(at(s), err) for s in shares] == [False, False, False, False, True, True]


def test_unknown_and_wild_positions_do_not_decide():
    rng = np.random.default_rng(2)
    star = np.repeat(np.arange(1000), 5)
    at, err = offsets(rng, star.size, 0.01), np.full(star.size, 0.01)
    held, before, after = HeldOut(star), at(1.0), at(0.5)
    after.dx[0], before.dx[star == 10], after.dy[star == 20] = 100.0, np.nan, np.nan
    assert not held.stopped(before, err)
    assert not held.stopped(after, err)
    assert held.stopped(after, err)


def test_few_stars_are_all_used():
    star = np.repeat(np.arange(200), 5)
    at, err = offsets(np.random.default_rng(3), star.size, 0.01), np.full(star.size, 0.01)
    held = HeldOut(star)
    assert not held.mask.any()
    assert not any(held.stopped(at(0.0), err) for _ in range(3))


def run_at(it, config):
    run = Run(None, None, np.zeros(3, int), None, None, config.n_iterations)
    run.last_fitted, run.it, run.refreshes = config.n_iterations - config.n_fitted, it, [15]
    run.rows = [{"x_phase": 0.1, "y_phase": 0.1}]
    return run


def test_what_a_stop_leads_to():
    """Neighbors and sky once more, then positions as fitted, then the end."""
    config = BuildConfig(n_iterations=20)
    early = run_at(config.bends_at, config)
    _judge(early, True, config)
    assert (early.refreshes, early.last_fitted, early.done) == ([15], 17, False)
    run = run_at(config.bends_at + 1, config)
    _judge(run, True, config)
    assert (run.refreshes, run.last_fitted, run.done) == ([run.it], 17, False)
    run.refreshes = []
    _judge(run, False, config)
    assert run.last_fitted == 17
    _judge(run, True, config)
    assert (run.last_fitted, run.n_iterations, run.done) == (run.it, run.it + config.n_fitted, False)
    _judge(run, True, config)
    assert run.done


def test_a_model_of_the_optics_is_tried_first():
    config = BuildConfig()
    run = run_at(config.bends_at + 1, config)
    run.modes = object()
    _judge(run, True, config)
    assert run.refreshes == [15]
