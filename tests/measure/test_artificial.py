"""Artificial stars: found where they were put, and their summary."""

import numpy as np
import pytest

from jwst_hpastrom.errors import ParameterError
from jwst_hpastrom.measure import artificial_stars, measure_many, summarise_artificial


@pytest.fixture(scope="module")
def result(scene):
    return measure_many(scene.images, scene.library, scene.frame, tile_size=1000)


@pytest.fixture(scope="module")
def table(result):
    return artificial_stars(
        result, rng=np.random.default_rng(1), n_stars=150, mag_min=-7, mag_max=2.5, spacing=16
    )


def test_found_where_they_were_put(table):
    found = np.asarray(table["found"])
    bright = np.asarray(table["mag_true"]) < -3
    assert found[bright].mean() > 0.95
    assert found[np.asarray(table["mag_true"]) > 2].mean() < 0.5
    assert np.isnan(table["mag"][~found]).all()
    ok = found & bright
    assert abs(np.median(table["mag"][ok] - table["mag_true"][ok])) < 0.01
    for axis in ("x", "y"):
        pull = np.asarray(table[f"d{axis}"] / table[f"{axis}_err"])[ok]
        assert 0.6 < 1.4826 * np.median(np.abs(pull)) < 1.5


def test_completeness_agrees_with_that_of_real_stars(scene, result, table):
    x, y = scene.truth()
    from jwst_hpastrom.geometry import match_nearest

    inside = (np.abs(x - 10075) < 60) & (np.abs(y - 10075) < 60) & (scene.mag > -6)
    _, j, _ = match_nearest(result.table["x"], result.table["y"], x, y, 0.7)
    real = np.isin(np.flatnonzero(inside), j).mean()
    made = np.asarray(table["found"])[(table["mag_true"] < 0) & (table["mag_true"] > -6)].mean()
    assert abs(real - made) < 0.1


def test_summary(table):
    rows = summarise_artificial(table, step=2.0)
    assert rows["n"].sum() == len(table)
    assert rows["completeness"][0] > rows["completeness"][-1]
    assert np.all(np.abs(rows["mag_bias"][:2]) < 0.02)


def test_summary_against_numpy(table):
    table = table[table["mag_true"] < 0]
    row = summarise_artificial(table, step=20.0)[0]
    found = np.asarray(table["found"])
    crowded = np.asarray(table["neighbor"]) < np.asarray(table["mag_true"]) + 2.0
    assert (row["n"], row["n_crowded"]) == (len(table), crowded.sum())
    assert row["completeness_crowded"] == pytest.approx(found[crowded].mean())
    dx = np.asarray(table["dx"])[found & crowded]
    assert row["x_scatter_crowded"] == pytest.approx(1.4826 * np.median(np.abs(dx - np.median(dx))), rel=1e-3)


def test_rounds_and_refusals(result):
    few = artificial_stars(
        result, rng=np.random.default_rng(2), n_stars=40, mag_min=-6, mag_max=-4, spacing=40
    )
    assert len(few) == 40
    with pytest.raises(ParameterError, match="10 pixels"):
        artificial_stars(result, rng=np.random.default_rng(2), spacing=2)
