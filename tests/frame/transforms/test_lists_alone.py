"""Lists without ra and dec: one frame of them all, as good as the measurements."""

import numpy as np
import pytest
from astropy.table import Table

from jwst_hpastrom.errors import MissingDataError, NoOverlapError
from jwst_hpastrom.frame import build_master
from jwst_hpastrom.geometry import TangentPlane, match_nearest

SIGMA = 0.02


@pytest.fixture
def rng():
    return np.random.default_rng(15)


def make_lists(rng, *, n=400, turns=(0.0, 0.4, -0.7, 90.0), size=2000.0, errors=True, faint=1.0):
    """Lists of one field, shifted by hundreds of pixels and turned, and the true positions."""
    x, y = rng.uniform(-600, size + 600, (2, 2 * n))
    mag = rng.uniform(-14, -6, x.size)
    sigma = SIGMA * np.where(mag > -9, faint, 1.0)
    lists = []
    for k, turn in enumerate(np.deg2rad(turns)):
        dx, dy = (x - size / 2 - rng.uniform(-300, 300)), (y - size / 2 - rng.uniform(-300, 300))
        u = np.cos(turn) * dx - np.sin(turn) * dy + size / 2 + rng.normal(size=x.size) * sigma
        v = np.sin(turn) * dx + np.cos(turn) * dy + size / 2 + rng.normal(size=x.size) * sigma
        seen = (u > 0) & (u < size) & (v > 0) & (v < size) & (rng.uniform(size=x.size) < 0.95)
        data = {"x": u[seen], "y": v[seen], "mag": mag[seen] + 0.1 * k}
        if errors:
            data |= {"x_err": sigma[seen], "y_err": sigma[seen]}
        lists.append(Table(data, meta={"filename": f"list{k}.xym"}))
    return lists, x, y


def test_lists_are_registered_among_themselves(rng):
    lists, *_ = make_lists(rng)
    frame = build_master(lists)
    table = frame.table
    many = table["n_used"] >= 4
    assert many.sum() > 150
    # the RMS of four normal numbers has this median, in units of their σ
    assert np.median(table["x_rms"][many]) == pytest.approx(0.888 * SIGMA, rel=0.1)
    assert not {"ra", "dec", "xi", "eta"} & set(table.colnames)
    assert TangentPlane.from_meta(table.meta) is None
    assert table.meta["tied_to"] == "star lists alone"
    names = [t.meta["filename"] for t in lists]
    assert frame.exposures["zero_point"][names.index(table.meta["central_exposure"])] == 0


def test_without_errors_the_scatter_tells_them(rng):
    lists, *_ = make_lists(rng, errors=False, faint=5.0)
    table = build_master(lists, min_exposures=4).table
    bright = table["mag"] < -10
    assert np.median(table["x_err_formal"][bright]) == pytest.approx(SIGMA / 2, rel=0.25)
    assert np.median(table["x_err_formal"][table["mag"] > -8]) == pytest.approx(5 * SIGMA / 2, rel=0.25)


def test_corrected_positions_of_a_list_are_used(rng):
    lists, *_ = make_lists(rng)
    for table in lists:
        table["x_corr"], table["y_corr"] = table["x"], table["y"]
        table["x"] = table["x"] + 3e-6 * (table["x"] - 1000) ** 2  # up to three pixels of distortion
    assert np.median(build_master(lists).table["x_rms"]) == pytest.approx(0.86 * SIGMA, rel=0.15)


def test_some_lists_have_a_place(rng):
    lists, *_ = make_lists(rng)
    plane = TangentPlane(80.0, -69.0, 40.0, 1000.0, 1000.0)
    lists[0]["ra"], lists[0]["dec"] = plane.to_sky(*plane.from_pixels(lists[0]["x"], lists[0]["y"]))
    table = build_master(lists).table
    u, v = plane.to_pixels(*plane.from_sky(table["ra"], table["dec"]))
    i, _, d = match_nearest(lists[0]["x"], lists[0]["y"], u, v, 0.3)
    assert i.size > 200
    assert np.median(d) < 2 * SIGMA


def test_what_cannot_be(rng):
    lists, *_ = make_lists(rng)
    other = Table({c: rng.uniform(0, 2000, 300) for c in ("x", "y", "mag")}, meta={"filename": "other.xym"})
    with pytest.raises(NoOverlapError, match=r"other\.xym"):
        build_master([*lists, other])
    with pytest.raises(MissingDataError, match="star lists without ra and dec"):
        build_master(lists, reference=Table({"ra": [80.0], "dec": [-69.0]}, meta={"epoch": 2016.0}))
