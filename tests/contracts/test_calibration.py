"""The errors that catalogs print, in a few regimes of benchmarks/calibration.py."""

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest

PATH = Path(__file__).parents[2] / "benchmarks" / "calibration.py"
spec = importlib.util.spec_from_file_location("calibration", PATH)
calibration = importlib.util.module_from_spec(spec)
spec.loader.exec_module(calibration)


#: every regime of the benchmark, at these sizes at most, with its first seed: nothing is chosen by its result
SMALL = {"master": {"n": 200, "pointings": 2}, "two_epoch": {"n": 200, "references": 100},
         "many_epoch": {"n": 140}, "few_stars": {"trials": 40}, "bulk": {"trials": 3},
         "mosaic": {"n": 250}, "pattern_frame": {"n": 150}, "pairs": {"trials": 20},
         "faint_magnitudes": {"n": 800}, "unknown_motions": {}, "few_in_many": {"trials": 2},
         "fast_two": {"n": 800}, "fast_many": {"n": 120},
         "wrong_epochs": {"n": 1000}, "drifts": {"n": 200}, "cluster": {"n_field": 800, "trials": 1},
         "star_fits": {"trials": 1}, "build": {}}  # fmt: skip
DEFAULT = {"master": {"n": 200}, "two_epoch": {"n": 200}, "pattern_frame": {}, "fast_two": {}}
#: too slow here: tests/distortion has their small ones
SLOW = {"distortion"}
#: columns that all stars of a field share a draw of: as many as fields, not stars, are independent
SHARED = ("_total", "_tie", "zero_point")
#: coefficients of a detector's pattern, of either axis, that all stars of a field have in common
TERMS = 9
#: stars that a field's transformations, which neighbors share, are worth
NEIGHBORS = 10


def small(regime):
    function, changes = regime
    most = SMALL[function.__name__]
    less = {k: min(v, most[k]) if k in most else v for k, v in changes.items()}
    return function, DEFAULT.get(function.__name__, most) | less


def is_an_error(column, changes):
    """Whether a column is printed as an error: not a part of one, and not one that a flag takes back."""
    deep = column == "mag_err" and changes.get("depth", 1) >= 100 and not changes.get("flat")
    part = column.endswith(("_formal", "_empirical", "_of_limit")) or column in ("agree", "rejected")
    return not (part or column in calibration.SHARES or deep)


def independent(part, column, number, changes):
    """Independent pulls among a regime's, at least."""
    if part == "two_epoch" and "zero_point" not in column:
        return calibration.FIELDS[calibration.two_epoch]
    if part == "master" and changes.get("pattern") and column in ("x_err", "y_err"):
        return min(number, TERMS)
    if part == "mosaics":
        return number / NEIGHBORS
    if part == "patterns":  # a handful of terms a field
        return 4 * calibration.FIELDS[calibration.calibration_lists.pattern_frame]
    if part == "many_epoch":
        return 1 if any(s in column for s in SHARED) else number / NEIGHBORS
    return number


@pytest.mark.parametrize("part", [p for p in calibration.PARTS if p not in SLOW])
def test_pulls_of_printed_errors(part):
    square, count = {}, {}
    for regime in map(small, calibration.PARTS[part]):
        rows = calibration.summary(regime, 1)
        assert "refused" not in rows, regime
        for column, (number, rms, width, beyond) in rows.items():
            if beyond is None or not is_an_error(column, regime[1]):
                continue
            assert np.isfinite([rms, width]).all(), (regime, column)
            # two wrong measurements in line with a good one are far off, one star in a thousand
            usual = min(rms, width) if {"outliers", "wrong"} & set(regime[1]) else rms
            n = independent(part, column, number, regime[1])
            assert usual < 1.15 * (1 + 4 / np.sqrt(2 * n)), (regime, column)
            if n > 100 and regime[1].get("share", 0.0) < 0.2:  # three of five wrong are a limit (docs/limits)
                assert beyond < 2.0, (regime, column)
            square[column] = square.get(column, 0.0) + n * usual**2
            count[column] = count.get(column, 0) + n
    for column, total in square.items():
        slack = 3 / np.sqrt(2 * count[column])
        low = 0.5 if column == "sigma_error" else 0.9  # of few stars one-sided: too large
        assert low * (1 - slack) < np.sqrt(total / count[column]) < 1.15 * (1 + slack), column


@pytest.mark.parametrize("part", ["magnitudes", "pixels"])
def test_biases(part):
    for regime in map(small, calibration.PARTS[part]):
        rows = calibration.summary(regime, 1)
        for column, (_, mean, error, _) in rows.items():
            if column.startswith("bias_flux"):
                # of magnitudes with an error of 1/(S/N), 2 mmag
                assert abs(mean) < 4 * error + 0.2, regime


def test_what_searches_find():
    for regime in map(small, calibration.PARTS["ties"] + calibration.PARTS["fast"]):
        rows = calibration.summary(regime, 1)
        if "found" in rows:
            assert rows["found"][1] > 0.9, regime
        if "rows" in rows:
            assert rows["rows"][1] == 1.0, regime
        if "false" in rows and "expected" not in rows:
            assert rows["false"][1] == 0.0, regime


def test_builds_of_few_phases_are_told():
    for regime in map(small, calibration.PARTS["builds"]):
        rows = calibration.summary(regime, 1)
        told = rows["no_library"][1] + (1 - rows["no_library"][1]) * rows.get("warned", (0, 0.0))[1]
        changes = regime[1]
        if changes["exposures"] < 3 or changes.get("whole_pixels"):
            assert told == 1.0, regime
        elif changes["exposures"] > 3:
            assert rows["mpx_true"][1] < 3.0, regime


@pytest.mark.parametrize(("epochs", "share"), [(2, 1.0), (3, 0.0)])
def test_motions_that_nothing_checks_are_flagged(epochs, share):
    assert np.mean(calibration.many_epoch(1, epochs=epochs, n=60)["unchecked"]) == share


def test_a_run_goes_on_where_it_was_cut_off(tmp_path, monkeypatch, capsys):
    regimes = [(calibration.few_stars, {"n": 5, "trials": 3}), (calibration.few_stars, {"n": 6, "trials": 3})]
    monkeypatch.setattr(calibration, "PARTS", {"kinematics": regimes})
    out = tmp_path / "c.json"
    arguments = ["--out", str(out), "--seeds", "1"]
    calibration.main(arguments)
    first = json.loads(out.read_text())
    assert len(first) == 2
    monkeypatch.setattr(calibration, "summary", None)  # nothing is made again
    calibration.main(arguments)
    assert json.loads(out.read_text()) == first
    assert capsys.readouterr().out.count("few_stars n=5") == 2


def test_pointings_that_clipping_would_hold_apart_are_joined():
    """First places by the few stars of a narrow overlap: in turn 0.01 pixel were left, and all flagged."""
    found = calibration.calibration_lists.mosaic(9501)
    assert np.mean(found["limit"]) < 0.2
    for column in ("x_err", "y_err"):
        assert found[column].size > 1000
        assert np.sqrt(np.mean(found[column] ** 2)) < 1.3  # a handful of tilts, one draw of each
