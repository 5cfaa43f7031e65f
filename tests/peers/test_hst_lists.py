"""Two real HST epochs, turned by six degrees and with different origins, matched blind."""

import os
from pathlib import Path

import numpy as np
import pytest
from astropy.table import Table
from scipy.spatial import Delaunay, cKDTree

from jwst_hpastrom.frame import build_master
from jwst_hpastrom.geometry import match_blind
from jwst_hpastrom.io import read_star_list

DATA = (
    Path(os.environ.get("HPASTROM_DATA", Path(__file__).parents[3] / "shared" / "data")) / "flystar_mb10364"
)
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason="no real HST lists ($HPASTROM_DATA)")


def epoch(name):
    (path,) = DATA.glob(f"{name}*.calib")
    table = Table.read(path, format="ascii")
    return np.asarray(table["x"], float), np.asarray(table["y"], float), np.asarray(table["m"], float)


@needs_data
@pytest.mark.parametrize(("first", "second"), [("2011", "2012"), ("2011", "2013"), ("2012", "2013")])
def test_most_stars_in_both_frames_are_matched(first, second):
    """Of the shorter list's stars in the other's frame; the faintest are often in one list only."""
    (x1, y1, m1), (x2, y2, m2) = sorted((epoch(first), epoch(second)), key=lambda e: e[0].size)
    found = match_blind(x1, y1, x2, y2, mag1=m1, mag2=m2, max_rotation=15)
    at = np.transpose(found.transform.forward(x1, y1))
    inside = Delaunay(np.c_[x2, y2]).find_simplex(at) >= 0
    hit = np.isin(np.arange(x1.size), found.i1)
    bright = inside & (m1 < np.quantile(m1, 0.9))
    present = inside & (cKDTree(np.c_[x2, y2]).query(at)[0] < 1.0)
    assert inside.sum() > 3500
    assert hit[inside].mean() > 0.93
    assert hit[bright].mean() >= 0.95
    assert hit[present].mean() >= 0.99
    assert found.rms < 0.15  # two years of motions


@needs_data
def test_a_frame_of_the_lists_alone():
    """Two years of motions are in the scatter, and a rotation of eight degrees between the lists."""
    frame = build_master([read_star_list(path) for path in sorted(DATA.glob("*.calib"))])
    assert len(frame.table) > 3400
    bright = frame.table["mag"] < np.median(frame.table["mag"])
    assert 0.03 < np.median(frame.table["x_rms"][bright]) < 0.05
    assert "ra" not in frame.table.colnames


@needs_data
def test_names_tell_that_the_right_stars_are_joined():
    """Two short lists of one night, whose stars have names."""
    lists = [read_star_list(DATA / f"{name}.lis") for name in "AB"]
    m = build_master(lists).measurements
    names = [np.asarray(t["name"]).astype(str) for t in lists]
    joined = {}
    for row in m:
        joined.setdefault(row["star"], []).append(names[row["exposure"]][row["row"]])
    pairs = [tuple(n) for n in joined.values() if len(n) == 2]
    known = [a == b for a, b in pairs if not (a.startswith("star") or b.startswith("star"))]
    assert len(pairs) > 40
    assert np.mean(known) > 0.9
