"""Calibrations in folders of products: parts that belong together, in the order of time."""

import numpy as np
import pytest
from astropy.table import Table

from jwst_hpastrom.errors import BadFileError
from jwst_hpastrom.io.calibrations.found import find_calibrations


def products(folder, name, epochs=(), **meta):
    folder.mkdir(exist_ok=True)
    scale = Table({"epoch": np.asarray(epochs, float)}, meta={"filter": "F150W"} | meta)
    scale.write(folder / f"{name}_scale_distortion_refine_quality.ecsv")
    return folder


def test_in_the_order_of_time_and_unknown_times_last(tmp_path, caplog):
    late = products(tmp_path / "late", "a", [2023.5, 2023.7])
    Table({"qfit": [0.03]}).write(late / "a_epsf_fit_quality.ecsv")
    early = products(tmp_path / "early", "b", [2022.0], filter="F090W")
    products(early, "c")
    found = find_calibrations([late, early])
    assert [c.name.rpartition("/")[2] for c in found] == ["b", "a", "c"]
    assert [c.epoch for c in found][:2] == [2022.0, pytest.approx(2023.6)]
    assert np.isnan(found[2].epoch)
    assert "no product says when" in caplog.text
    assert [c.kind for c in found] == ["F090W", "F150W", "F150W"]
    assert (found[1].fits is not None, found[0].fits, found[1].library) == (True, None, None)


def test_folders_without_any(tmp_path):
    for folder, message in ((tmp_path, "no calibration"), (tmp_path / "none", "no such folder")):
        with pytest.raises(BadFileError, match=message):
            find_calibrations([folder])
