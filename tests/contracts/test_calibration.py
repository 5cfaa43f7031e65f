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


@pytest.mark.parametrize(
    ("function", "changes", "seeds", "low", "high"),
    [
        ("master", {"n": 300, "exposures": 4}, 2, 0.85, 1.2),
        ("two_epoch", {"references": 100, "n": 300}, 3, 0.8, 1.25),
        ("many_epoch", {"epochs": 11, "offset": 2.0, "split": True, "n": 200}, 2, 0.8, 1.25),
        ("few_stars", {"n": 30, "trials": 100}, 1, 0.8, 1.15),
    ],
)
def test_pulls_of_printed_errors(function, changes, seeds, low, high):
    rows = calibration.summary((getattr(calibration, function), changes), seeds)
    assert "refused" not in rows
    for column, (number, rms, width, beyond) in rows.items():
        if number < 50 or width is None:
            continue
        if not column.endswith(("_formal", "_empirical")):  # parts of the errors, not errors
            assert low < rms < high, column
            assert beyond < 2.0 or function == "two_epoch", column  # of which a field has one draw
        assert np.isfinite([rms, width]).all(), column


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
