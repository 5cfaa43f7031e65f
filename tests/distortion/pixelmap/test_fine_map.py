"""The pixel map of the joint solution."""

from types import SimpleNamespace

import numpy as np
import pytest

from jwst_hpastrom.distortion.pixelmap import fine_map
from jwst_hpastrom.distortion.pixelmap.fine_map import FineResiduals
from jwst_hpastrom.distortion.pixelmap.grid import Grid, bin_for
from jwst_hpastrom.distortion.pixelmap.random_field import RandomField


@pytest.mark.parametrize(
    ("pairs", "shape", "bands", "size"),
    [
        (4 * 1200, (2048, 2048), 4, 8),
        (18 * 9900, (2048, 2048), 4, 4),
        (4 * 1200, (1024, 1032), 1, 4),  # its bins would not end with the detector
        (4 * 1200, (128, 128), 1, 2),
    ],
)
def test_bins_are_large_where_stars_are_few(pairs, shape, bands, size):
    assert bin_for(pairs, shape, bands) == size


def test_no_rims_are_looked_for_where_other_filters_have_their_own_tables():
    structure = object.__new__(FineResiduals)
    structure.solved = [None, None]
    assert structure.rims(None, None) == ()


def test_waves_are_taken_away_before_rims_are_looked_for(monkeypatch):
    grid, rng = Grid((64, 64), 4, 1), np.random.default_rng(3)
    prior = RandomField.stationary(grid, np.full((2, 4), 1e-6))
    parts = prior.parts(prior.noise(rng))
    x, y = rng.uniform(0, 63, (2, 50))
    structure = object.__new__(FineResiduals)
    pairs = SimpleNamespace(x=x, y=y, star=np.arange(50))
    structure.solved, structure.prior = [(pairs, SimpleNamespace(transforms=None))], True
    structure.frames = [SimpleNamespace(w=np.ones(50))]
    structure.keep, structure.bounds, structure.single = [np.ones(50, bool)], [0, 50], np.ones(50)
    structure.grid, structure.evaluate = grid, grid.bilinear(x, y)
    wide = prior.waves.total(parts[2:4]) + prior.trend.total(parts[4:5])
    scales = prior.total(parts) - wide
    waves, rest = (np.stack([structure.evaluate @ v.ravel() for v in f]) for f in (wide, scales))
    structure.raw = [waves + rest]
    monkeypatch.setattr(fine_map, "StarFrame", lambda *_, **__: None)
    monkeypatch.setattr(fine_map.EliminatingWeights, "of_frame", lambda *_: None)
    monkeypatch.setattr(fine_map, "find_rims", lambda x, y, r, *_: (list(r), None))
    np.testing.assert_allclose(structure.rims(prior, parts), rest, atol=1e-6)
    assert np.abs(waves).max() > 1e-3


def test_rims_are_not_looked_for_at_the_borders_of_amplifiers(monkeypatch):
    """The step there is none in truth; weights are those of the other pairs alone."""
    grid = Grid((128, 64), 4, 4)
    prior = RandomField.stationary(grid, np.full((2, 4), 1e-6))
    x, y = np.full(64, 30.0), np.arange(64) * 2.0
    pairs = SimpleNamespace(x=x, y=y, star=np.arange(64) // 2)
    structure = object.__new__(FineResiduals)
    structure.solved, structure.prior = [(pairs, SimpleNamespace(transforms=None))], True
    structure.frames = [SimpleNamespace(w=np.full(64, 3.0))]
    structure.keep, structure.bounds, structure.single = [np.ones(64, bool)], [0, 64], np.ones(64)
    structure.grid, structure.evaluate, structure.raw = grid, grid.bilinear(x, y), [np.zeros((2, 64))]
    seen = {}
    monkeypatch.setattr(fine_map, "BORDER", 5.0)
    monkeypatch.setattr(fine_map, "StarFrame", lambda p, t, w, **_: seen.update(w=w))
    monkeypatch.setattr(fine_map.EliminatingWeights, "of_frame", lambda *_: None)
    monkeypatch.setattr(fine_map, "find_rims", lambda x, y, r, *_: (list(y), None))
    rows = np.array(structure.rims(prior, prior.parts(prior.noise(np.random.default_rng(1)))))
    borders = np.array([31.5, 63.5, 95.5])
    assert np.abs(rows[:, None] - borders).min() >= 5.0
    assert rows.size == 64 - 15
    assert np.array_equal(seen["w"][0] > 0, np.isin(y, rows))


@pytest.mark.parametrize(("pairs", "rims", "number"), [(2500, [0], 10), (20_000, [0], 3), (50_000, [0], 0),
                                                       (2500, [], 0)])  # fmt: skip
def test_fields_with_rims_of_noisier_residuals_are_averaged(monkeypatch, pairs, rims, number):
    """As many as few stars need; none where many tell the rims, or where there are none."""
    structure = object.__new__(FineResiduals)
    structure.searched, structure.raw, structure.weight = (range(pairs),), None, None
    structure.gather, each = (lambda _: None), np.arange(1.0, 11.0)
    structure.solve = lambda own, *_, **__: (own.rims.rims[0], None)
    monkeypatch.setattr(fine_map, "WideInverse", lambda *_: None)
    monkeypatch.setattr(fine_map, "noisier_rims", lambda *_, number, **__: [[v] for v in each[:number]])

    def prior(rims):
        own = SimpleNamespace(rims=rims, known=np.zeros(1))
        return SimpleNamespace(
            rims=own, known=None, bounds=[0, 1, 2], with_rims=prior, total=lambda v: np.full((2, 4, 4), v)
        )

    start = np.zeros(2, np.complex64)
    mean, deviations = structure.with_noisier_rims(prior(rims), np.zeros((2, 4, 4)), start, None, 1e-3)
    all_of_them = np.append(0.0, each[:number])
    np.testing.assert_allclose(mean, all_of_them.mean())
    variance = all_of_them.var(ddof=1) if number else 0.0
    np.testing.assert_allclose(np.sum(deviations**2, 0), variance, atol=1e-12)


def test_simulated_fields_are_solved_as_far_as_the_measured_one(monkeypatch):
    """Else their errors are mostly what their solution lacks: half of them in dense fields."""
    asked = {}

    class StopError(Exception):
        pass

    def sample_all(prior, rng, tolerance):
        asked["drawn"] = tolerance
        raise StopError

    data = SimpleNamespace(
        gather=list,
        raw=[],
        sample_all=sample_all,
        solve=lambda *_, **o: (None, asked.update(map=o["tolerance"])),
    )
    monkeypatch.setattr(fine_map, "FineResiduals", lambda *_, **__: data)
    field = SimpleNamespace(rims=SimpleNamespace(rims=()), known=None)
    monkeypatch.setattr(fine_map, "_prior_of", lambda *_: (field, None))
    result = SimpleNamespace(correction=SimpleNamespace(shape=(64, 64)))
    with pytest.raises(StopError):
        fine_map.build_fine_map([(range(9), result)])
    assert asked["drawn"] <= asked["map"]
