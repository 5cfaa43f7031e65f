"""Products that are missing or of other origin: said on the page, or named by an error."""

from pathlib import Path
from types import SimpleNamespace

import pytest
from astropy.table import Table

from jwst_hpastrom.errors import BadCatalogError, BadReferenceFileError, MissingDataError
from jwst_hpastrom.report import write_report
from jwst_hpastrom.simulation.comparison import compare, compare_master, distortion_residuals


@pytest.mark.parametrize("columns", [{"a": [1.0]}, {"x": [1.0, 2.0], "y": [1.0, 2.0], "mag": [1.0, 2.0]}])
def test_the_report_says_what_it_cannot_show(tmp_path, columns):
    for name in ("master", "pm", "pm_residuals", "artificial", "master_frame_quality", "epsf_fit_quality"):
        Table(columns, meta={"epoch": 2020.0}).write(tmp_path / f"field_{name}.ecsv")
    page = Path(write_report(tmp_path)).read_text(encoding="utf-8")
    assert "not as this package writes them" in page


def test_comparisons_name_what_is_missing(tmp_path):
    field = SimpleNamespace(exposures=[SimpleNamespace(meta={"filename": "a_cal.fits"})])
    with pytest.raises(MissingDataError, match=r"a_stars\.ecsv"):
        compare(field, tmp_path)
    with pytest.raises(BadCatalogError, match="no epoch"):
        compare_master(field, Table({"ra": [1.0]}))
    (tmp_path / "d.asdf").write_text("no asdf")
    field.config = SimpleNamespace(origin=(0, 0), shape=(8, 8))
    with pytest.raises(BadReferenceFileError, match=r"d\.asdf"):
        distortion_residuals(field, tmp_path / "d.asdf")
