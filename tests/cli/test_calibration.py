"""``hpastrom calibration``: four fields of two filters and two dates, with known changes."""

import shutil

import numpy as np
import pytest
from astropy.table import Table

from jwst_hpastrom.cli import main
from jwst_hpastrom.distortion import DistortionCorrection, FramePlacement, PolynomialCorrection
from jwst_hpastrom.epsf import EPSFLibrary
from jwst_hpastrom.geometry import LinearTransform
from jwst_hpastrom.io.calibrations.distortion_reference import write_distortion
from jwst_hpastrom.io.calibrations.stdgdc import read_stdgdc
from jwst_hpastrom.io.calibrations.stdpsf import write_stdpsf

SCALE, CHANGE, WIDTH = {"F150W": 65.545, "F277W": 65.580}, 2e-5, {"F150W": 0.9, "F277W": 1.2}
ERROR = 2e-4  # of an exposure's scale, mas per pixel


def library(width, sharper, rng):
    """Five by five round ePSFs whose central values are those of ``width``, times ``sharper``, to 0.2 %."""
    r2 = np.add.outer(*2 * [np.linspace(-12.5, 12.5, 101) ** 2])
    data = np.tile(np.exp(-0.5 * r2 / width**2), (25, 1, 1))
    data[:, 50, 50] *= sharper * (1 + rng.normal(0, 0.002, 25))
    nodes = np.linspace(0, 2047, 5)
    return EPSFLibrary(data, nodes, nodes).normalized()


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    root, rng = tmp_path_factory.mktemp("dates"), np.random.default_rng(4)
    for date, epoch in enumerate((2022.33, 2022.70)):
        folder = root / f"date{date}"
        folder.mkdir()
        for band, scale in SCALE.items():
            meta = {"instrument": "NIRISS", "detector": "NIS", "filter": band}
            terms = rng.normal(0, 1e-3, (2, 20)) + (0.2 if band == "F277W" else 0.0)
            correction = DistortionCorrection(PolynomialCorrection(5, *terms, np.array([1023.5] * 2), 1024.0))
            place = FramePlacement(LinearTransform(0.0656 * np.eye(2), np.array([-290.0, -698.0])), 0.0, 0.0)
            write_distortion(folder / f"{band.lower()}_distortion.asdf", correction, place, meta)
            # 20 nm of wavefront more on the second date: by Maréchal
            lost = np.exp(-((2 * np.pi * 20 / {"F150W": 1498, "F277W": 2771}[band]) ** 2)) if date else 1.0
            made = library(WIDTH[band], lost, rng)
            made.meta.update(meta)
            write_stdpsf(made, folder / f"{band.lower()}_epsf.fits")
            n = 9
            table = Table({"epoch": epoch + np.arange(n) * 1e-4})
            table["pixel_scale"] = scale * (1 + CHANGE * date) + rng.normal(0, ERROR, n)
            table["pixel_scale_error"] = ERROR
            table["skew"], table["stretch"], table["shear_error"] = 1e-3 + 5e-6 * date, 2e-3, 3e-6
            table.meta = {"filter": band, "pixel_scale": float(np.mean(table["pixel_scale"])),
                          "pixel_scale_error": ERROR / 3, "skew": 1e-3 + 5e-6 * date, "skew_error": 1e-6,
                          "stretch": 2e-3, "stretch_error": 1e-6}  # fmt: skip
            table.write(folder / f"{band.lower()}_scale_distortion_refine_quality.ecsv")
            fits = Table({"epoch": table["epoch"], "qfit": rng.normal(0.03 + 0.01 * date, 1e-3, n)})
            fits.write(folder / f"{band.lower()}_epsf_fit_quality.ecsv")
    return [root / "date0", root / "date1"]


def test_changes_are_recovered(folders, tmp_path, capsys):
    assert main(["calibration", *map(str, folders), "--output-dir", str(tmp_path)]) == 0
    out = capsys.readouterr().out
    assert "NIS F150W: changed: pixel scale by" in out
    changes = Table.read(tmp_path / "calibration_changes_quality.ecsv")
    for band, nm in (("NIS F150W", 1498), ("NIS F277W", 2771)):
        rows = {r["quantity"]: r for r in changes if r["kind"] == band}
        scale = rows["pixel scale"]
        assert abs(scale["change"] - 20) < 3 * scale["error"]
        assert scale["verdict"] == "changed"
        lost = 100 * (np.exp(-((2 * np.pi * 20 / nm) ** 2)) - 1)
        assert abs(rows["central value"]["change"] - lost) < 3 * rows["central value"]["error"]
        assert abs(rows["wavefront"]["change"] - 20) < 3 * rows["wavefront"]["error"]
        assert (rows["skew"]["verdict"], rows["stretch"]["verdict"]) == ("changed", "stable")
        assert rows["skew"]["change"] == pytest.approx(5.0)
        assert rows["QFIT"]["verdict"] == "changed"


def test_tables_of_l23(folders, tmp_path):
    assert main(["calibration", *map(str, folders), "--output-dir", str(tmp_path)]) == 0
    table = Table.read(tmp_path / "calibration_scales_quality.ecsv")  # Table 1
    assert table["filter"].tolist() == ["F150W", "F277W", "average"]
    for row in table[:2]:
        expected = SCALE[row["filter"]] * (1 + CHANGE / 2)
        assert abs(row["pixel_scale"] - expected) < 3 * row["pixel_scale_error"]
    mean = np.mean(table["pixel_scale"][:2])
    assert table["pixel_scale"][2] == pytest.approx(mean)
    assert table["pixel_scale_error"][2] == pytest.approx(
        np.std(table["pixel_scale"][:2], ddof=1) / np.sqrt(2)
    )
    assert len(Table.read(tmp_path / "calibration_history_quality.ecsv")) == 36  # Fig. 18, 19
    filters = Table.read(tmp_path / "calibration_filters_quality.ecsv")  # Fig. 17
    assert np.all(filters["largest"] > 0.1)
    average = read_stdgdc(tmp_path / "calibration_average_stdgdc.fits")
    assert average.shape == (2048, 2048)
    page = (tmp_path / "calibration.html").read_text()
    for figure in ("Table 1", "Fig. 7", "Fig. 8", "Fig. 17", "Fig. 18, 19"):
        assert f"L23 {figure}" in page


def test_one_date_and_folders_that_hold_nothing(folders, tmp_path, capsys):
    assert main(["calibration", str(folders[0]), "--output-dir", str(tmp_path / "out")]) == 0
    assert "nothing to compare" in capsys.readouterr().out
    empty = tmp_path / "empty"
    empty.mkdir()
    for folder in (empty, tmp_path / "no"):
        assert main(["calibration", str(folder)]) == 1
        assert capsys.readouterr().err.startswith(f"BadFileError: {folder}: found no ")


def test_one_date_twice_is_no_change(folders, tmp_path, capsys):
    """All would be called stable: nothing was measured anew."""
    copied = tmp_path / "again"
    shutil.copytree(folders[0], copied)
    for again in (folders[0], copied):
        assert main(["calibration", str(folders[0]), str(again), "--output-dir", str(tmp_path / "out")]) == 1
        assert "of the same exposures in" in capsys.readouterr().err
