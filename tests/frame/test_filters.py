"""Frames of a short and a long wave joined: positions of both with their weights, magnitudes of each."""

import numpy as np
import pytest
from astropy.table import Table

from jwst_hpastrom.errors import MixedExposuresError, NoOverlapError
from jwst_hpastrom.frame import build_master, join_filters
from jwst_hpastrom.geometry import match_nearest
from jwst_hpastrom.io.names import CATALOG_NAMES, find_columns
from tests.frame.visits import LAYOUT, PLANE, catalog_of, stars_of, visit


@pytest.fixture(scope="module")
def frames():
    rng = np.random.default_rng(6)
    truth = stars_of(rng, density=0.12)
    catalog = catalog_of(rng, truth)
    short = visit(rng, truth, ("NRCB1", "NRCB2"))
    red = {**truth, "mag": truth["mag"] - 0.7}
    long = visit(rng, red, ("NRCB1", "NRCB3"), error=0.012, filter="F277W")
    return truth, [build_master(lists, reference=catalog).table for lists in (short, long)]


def pulls(table, truth):
    x, y = PLANE.to_pixels(truth["xi"], truth["eta"])
    i, j, _ = match_nearest(table["x"], table["y"], x, y, 1.0)
    dx = (np.asarray(table["x"])[i] - x[j]) / np.hypot(table["x_err"], table["x_err_tie"])[i]
    return i, j, dx


def test_one_sky_with_the_weights_of_both(frames):
    truth, tables = frames
    table, transforms = join_filters(tables)
    i, _, dx = pulls(table, truth)
    assert i.size == len(table) > len(tables[0])
    assert 0.85 < np.std(dx) < 1.15
    both = np.isfinite(table["mag_f200w"]) & np.isfinite(table["mag_f277w"])
    alone = np.isnan(table["mag_f277w"])
    assert both.sum() > 300
    assert np.median(table["x_err"][both]) < 0.9 * np.median(table["x_err"][alone])
    np.testing.assert_allclose(transforms[1].matrix, np.eye(2), atol=1e-5)
    assert table.meta["filters"] == ["F200W", "F277W"]
    assert table.meta["filters_pull"]["F277W"] < 1.2


def test_magnitudes_are_of_their_filters(frames):
    truth, tables = frames
    table, _ = join_filters(tables)
    i, j, _ = pulls(table, truth)
    for name, shift in (("f200w", 0.0), ("f277w", -0.7)):
        mag = np.asarray(table[f"mag_{name}"])[i] - truth["mag"][j] - shift
        assert np.nanstd(mag) < 0.02
        assert np.sum(np.isfinite(mag)) > 300
    # `mag` is on one system, also of stars that only the other filter has
    assert np.abs(np.asarray(table["mag"])[i] - truth["mag"][j] - np.nanmedian(
        np.asarray(table["mag_f200w"])[i] - truth["mag"][j])).max() < 0.1  # fmt: skip
    assert np.all(np.diff(table["mag"]) >= 0)
    other = np.isnan(table["mag_f200w"])
    assert other.sum() > 100
    assert np.all(table["n_used_f200w"][other] == 0)
    assert len(LAYOUT) == 4


def test_two_of_one_filter_or_no_stars_in_common_are_refused(frames):
    _, tables = frames
    with pytest.raises(MixedExposuresError, match="one of each filter"):
        join_filters([tables[0], tables[0]])
    moved = tables[1].copy()
    moved["x"] += 500.0
    with pytest.raises(NoOverlapError, match="F277W in common"):
        join_filters([tables[0], moved])


def test_the_frames_own_columns_are_no_misspelt_ones(caplog):
    own = ["ra", "dec", "mag", "mag_f200w", "mag_err_f200w", "mag_err_f277w", "x_err", "y_err"]
    with caplog.at_level("WARNING"):
        find_columns(Table(names=own), CATALOG_NAMES, "visit_master.ecsv")
        assert not caplog.messages
        find_columns(Table(names=[*own, "err_of_mine"]), CATALOG_NAMES, "visit_master.ecsv")
    assert "err_of_mine" in caplog.text
