"""Each exposure's own ePSF library where it lies beside the products, of the run of its star list."""

import shutil

import numpy as np
import pytest

from jwst_hpastrom.io.calibrations.stdpsf import write_stdpsf
from jwst_hpastrom.steps.products.libraries import libraries_of
from tests.epsf.conftest import make_library

ROOTS = ["jw01334001001_02101_00001_nis", "jw01334001001_02101_00002_nis"]


@pytest.fixture
def given(tmp_path):
    path = tmp_path / "given.fits"
    write_stdpsf(make_library(), path)
    return path


def own(folder, root):
    write_stdpsf(make_library(0.9), folder / f"{root}_pepsf.fits")


def peaks(libraries):
    return [round(float(read().data.max()), 6) for read in libraries]


def test_own_libraries_come_before_the_given_one(given, tmp_path, caplog):
    caplog.set_level("INFO")
    library = libraries_of(ROOTS, given, {}, tmp_path)
    assert library.data.shape == make_library().data.shape
    own(tmp_path, ROOTS[1])
    first, second = libraries_of(ROOTS, given, {}, tmp_path)
    np.testing.assert_array_equal(first.data, library.data)
    assert second().data.max() != library.data.max()
    assert "1 exposures' own" in caplog.text
    shutil.copy(tmp_path / f"{ROOTS[1]}_pepsf.fits", tmp_path / f"{ROOTS[0]}_pepsf.fits")
    assert peaks(libraries_of(ROOTS, "not opened", {}, tmp_path)) == peaks([second, second])


def test_a_subarray_moves_the_field_positions(given, tmp_path):
    whole = libraries_of(ROOTS, given, {}, tmp_path)
    part = libraries_of(ROOTS, given, {"xstart": 65, "ystart": 33}, tmp_path)
    np.testing.assert_array_equal(whole.x - part.x, 64)
    np.testing.assert_array_equal(whole.y - part.y, 32)


def test_a_library_of_another_run_is_not_used(given, tmp_path, monkeypatch, caplog):
    for root in ROOTS:
        own(tmp_path, root)
    ids = {True: "later", False: "earlier"}
    monkeypatch.setattr(
        "jwst_hpastrom.steps.products.libraries.made_by", lambda path: ids["pepsf" in str(path)]
    )
    library = libraries_of(ROOTS, given, {}, tmp_path)
    assert library.data.max() == pytest.approx(make_library().data.max(), rel=1e-6)
    assert caplog.text.count("another run than its star list") == 2
