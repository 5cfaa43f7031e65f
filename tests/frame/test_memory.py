"""A master frame whose measurements are in files, and what its work takes."""

import numpy as np
import pytest
from astropy.table import Table

from jwst_hpastrom.errors import ParameterError
from jwst_hpastrom.frame import build_master
from jwst_hpastrom.frame.diagnostics import add_diagnostics
from jwst_hpastrom.frame.systematics import same_places
from jwst_hpastrom.geometry import LinearTransform, TangentPlane
from jwst_hpastrom.storage import Store


def lists(n=6, stars=150, seed=5):
    rng, plane = np.random.default_rng(seed), TangentPlane(80.5, -69.5, 65.6)
    u, v = rng.uniform(0, 500, (2, stars))
    mag = rng.uniform(-9, -5, stars)
    out = []
    for k in range(n):
        dx, dy = rng.uniform(-40, 40, 2)
        x, y = (c + rng.normal(0, 0.01, stars) for c in (u - dx, v - dy))
        ra, dec = plane.to_sky(*plane.from_pixels(x + dx, y + dy))
        table = Table({"x": x, "y": y, "mag": mag + rng.normal(0, 0.01, stars), "ra": ra, "dec": dec})
        table["x_err"] = table["y_err"] = table["mag_err"] = 0.01
        table["qfit"], table["flags"] = 0.02, 0
        table.meta = {"filename": f"l{k}_stars.ecsv", "epoch": 2023.0, "filter": "F150W", "detector": "NIS"}
        out.append(table)
    return out


def columns(frame, stars):
    tables = frame.table, frame.measurements, add_diagnostics(frame.exposures, frame, stars)
    return {f"{k} {name}": np.asarray(t[name]) for k, t in enumerate(tables) for name in t.colnames}


@pytest.mark.parametrize("budget", [0, 40_000])
def test_same_from_files(tmp_path, budget):
    stars = lists()
    whole = columns(build_master(stars), stars)
    with Store(budget, tmp_path) as store:
        found = columns(build_master(stars, store=store), stars)
        assert store.written > 0
        assert store.held <= budget
    for name, column in whole.items():
        np.testing.assert_array_equal(found[name], column, err_msg=name)
    assert not list(tmp_path.iterdir())


def test_too_little_memory_is_told_before_the_work(tmp_path):
    with Store(0, tmp_path, most=1000) as store, pytest.raises(ParameterError, match="memory.*900 meas"):
        build_master(lists(), store=store)
    assert not store.written


def test_same_places_pair_by_pair():
    rng = np.random.default_rng(2)
    turns = [np.linalg.qr(rng.normal(size=(2, 2)))[0] for _ in range(2)]
    places = [LinearTransform(turns[k % 2], rng.normal(0, 12, 2), rng.normal(0, 1, 2)) for k in range(9)]

    class Corners:
        x, y = np.array([0.0, 100.0]), np.array([0.0, 80.0])

    found, corner = same_places(Corners, places), np.stack([Corners.x, Corners.y])
    for k, t in enumerate(places):
        for j, other in enumerate(places):
            off = np.stack(other.inverse(*t.forward(*corner))) - corner
            assert found[k, j] == np.all(np.hypot(*off) < 16.0)
    assert found.any()
    assert not found.all()
