"""Numbers that tell whether a distortion holds, against residuals of known statistics."""

from types import SimpleNamespace

import numpy as np
import pytest

from jwst_hpastrom.distortion.solve.quality import borrowed_share, halves_pull, held_out_pull


def made(n_exposures=6, n=4000, error=0.01, catalog=0.02, seed=3):
    rng = np.random.default_rng(seed)
    size = n * n_exposures
    pairs = SimpleNamespace(
        x=rng.uniform(0, 2047, size), y=rng.uniform(0, 2047, size), x_err=np.full(size, error),
        y_err=np.full(size, error), star=np.arange(size), exposure=np.repeat(np.arange(n_exposures), n),
        sigma=np.full((size, 2), catalog), pixel_scale=1.0, fitted=rng.random(size) > 0.2,
        planes=[None] * n_exposures,
    )  # fmt: skip
    return pairs, *rng.normal(0, np.hypot(error, catalog), (2, size))


@pytest.mark.parametrize("factor", [1.0, 4.0])
def test_held_out_pull(factor):
    pairs, dx, dy = made()
    assert held_out_pull(pairs, factor * dx, factor * dy) == pytest.approx(factor, rel=0.05)
    pairs.fitted[:] = True
    assert np.isnan(held_out_pull(pairs, dx, dy))


def test_halves_that_differ():
    pairs, dx, dy = made()
    assert halves_pull(pairs, dx, dy) == pytest.approx(1.0, abs=0.25)
    bend = 0.02 * np.sin(pairs.x / 300)
    assert halves_pull(pairs, dx + bend, dy) == pytest.approx(1.0, abs=0.25)  # it repeats
    assert halves_pull(pairs, dx + bend * (pairs.exposure % 2), dy) > 4.0
    assert np.isnan(halves_pull(*made(n_exposures=3)))


def test_borrowed_share():
    count = np.array([[0, 3], [5, 6]])
    assert borrowed_share(SimpleNamespace(table=SimpleNamespace(count=count))) == 0.25
    assert np.isnan(borrowed_share(SimpleNamespace(table=None)))
