"""Modules A and B in short and long waves, one of them missing once, in one association: one master frame."""

import json

import numpy as np
import pytest
from astropy.table import Table

from jwst_hpastrom.geometry import match_nearest
from jwst_hpastrom.steps import MasterFrameStep
from tests.frame.visits import (
    FARTHER,
    LAYOUT,
    MISTAKES,
    PLANE,
    WRONG,
    catalog_of,
    stars_of_both_modules,
    visit,
)

pytestmark = pytest.mark.usefixtures("offline")

SHORT, LONG = ("NRCA3", "NRCA4", "NRCB3", "NRCB4"), ("NRCALONG", "NRCBLONG")


def turned_and_shifted(wrong, middles):
    """What is left of shifts and turns when the camera's own are taken out, arcsec and degrees."""
    moved = -wrong[:, :2] + wrong[:, :2].mean(0)
    x, y = (middles - middles.mean(0)).T
    turn = np.sum(x * moved[:, 1] - y * moved[:, 0]) / np.sum(x**2 + y**2)
    return moved - turn * np.stack([-y, x], 1), -wrong[:, 2] - np.rad2deg(turn)


def test_one_frame_of_modules_and_filters(tmp_path):
    rng = np.random.default_rng(31)
    truth, color = stars_of_both_modules(rng), 0.7
    shifts = rng.normal(0, 0.3, (4, 2))
    lists = visit(rng, truth, SHORT, shifts=shifts)
    lists += visit(rng, truth, LONG, shifts=shifts, filter="F277W", zero=-color)
    del lists[3]  # NRCB4 of the first pointing
    members = []
    for table in lists:
        name = table.meta["filename"]
        (tmp_path / name).touch()
        table["flux"] = 10 ** (-0.4 * table["mag"])
        table.write(tmp_path / name.replace("_cal.fits", "_stars.ecsv"))
        members.append({"expname": name, "exptype": "science"})
    asn = tmp_path / "visit_asn.json"
    asn.write_text(json.dumps({"products": [{"name": "visit", "members": members}]}))
    catalog_of(rng, truth).write(tmp_path / "catalog.ecsv")
    MasterFrameStep(output_dir=str(tmp_path), reference_catalog=str(tmp_path / "catalog.ecsv")).run(str(asn))

    master = Table.read(tmp_path / "visit_master.ecsv")
    assert master.meta["filters"] == ["F200W", "F277W"]
    x, y = PLANE.to_pixels(truth["xi"], truth["eta"])
    i, j, _ = match_nearest(master["x"], master["y"], x, y, 1.0)
    assert i.size == len(master) > 1500
    for axis, true in (("x", x), ("y", y)):
        error = np.hypot(master[f"{axis}_err"], master[f"{axis}_err_tie"])[i]
        assert 0.9 < np.std((np.asarray(master[axis])[i] - true[j]) / error) < 1.15
    for name, zero in (("mag_f200w", 0.0), ("mag_f277w", -color)):
        left = np.asarray(master[name])[i] - truth["mag"][j] - zero
        assert np.isfinite(left).sum() > 800
        assert abs(np.nanmedian(left)) < 0.01
        assert np.nanstd(left) < 0.02

    places = Table.read(tmp_path / "visit_detectors.ecsv")
    assert list(zip(places["detector"], places["filter"], strict=True)) == [
        *((d, "F200W") for d in SHORT), *((d, "F277W") for d in LONG)
    ]  # fmt: skip
    wrong = np.array([(WRONG | MISTAKES)[d] for d in places["detector"]])
    middles = np.array([(LAYOUT | FARTHER)[d][:2] for d in places["detector"]])
    moved, turns = turned_and_shifted(wrong, middles)
    pulls = {c: (1e3 * moved[:, k] - places[c]) / places[f"{c}_error"] for k, c in enumerate(("dv2", "dv3"))}
    pulls["turn"] = (places["turn"] - turns) / places["turn_error"]
    pulls["scale"] = (places["scale"] + wrong[:, 3]) / places["scale_error"]
    for name, pull in pulls.items():
        assert np.abs(pull).max() < 3.5, name
    assert np.all(places["dv2_error"] < 0.15)
