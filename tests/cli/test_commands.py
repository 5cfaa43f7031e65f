"""The command line: what it prints, how it fails."""

import os
import subprocess
import sys

import asdf
import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table

from jwst_hpastrom.cli import main
from jwst_hpastrom.cli.strun import run_pipeline
from jwst_hpastrom.epsf import EPSFLibrary
from jwst_hpastrom.errors import HPAstromError
from jwst_hpastrom.io.calibrations.epsf_reference import read_epsf
from jwst_hpastrom.io.calibrations.stdpsf import write_stdpsf
from jwst_hpastrom.simulation import write_official_distortion


def test_arguments(capsys):
    with pytest.raises(SystemExit) as out:
        main(["nonsense"])
    assert out.value.code == 2
    with pytest.raises(SystemExit) as out:
        main(["demo", "--help"])
    assert out.value.code == 0
    assert "--quick" in capsys.readouterr().out


def test_info(capsys, tmp_path):
    assert main(["info"]) == 0
    out = capsys.readouterr().out
    assert "jwst_hpastrom" in out
    assert "calwebb_hpastrom" in out
    Table({"ra": [1.0, 2.0], "dec": [3.0, 4.0]}).write(tmp_path / "t.ecsv")
    assert main(["info", str(tmp_path / "t.ecsv")]) == 0
    assert "table of 2 rows" in capsys.readouterr().out


@pytest.mark.parametrize(
    "arguments",
    [
        ["info", "no/such/file.ecsv"],
        ["convert", "no/such/file.ecsv", "out.ecsv"],
        ["report", "no/such/folder"],
    ],
)
def test_errors_are_one_line_without_traceback(arguments, capsys):
    assert main(arguments) == 1
    err = capsys.readouterr().err
    assert err.startswith("BadFileError: no/such/")
    assert err.count("\n") == 1


def test_unforeseen_errors_are_one_line_too(capsys, monkeypatch):
    monkeypatch.setattr("jwst_hpastrom.report.information.describe", lambda name: 1 / 0)
    assert main(["info", "a.fits"]) == 1
    assert capsys.readouterr().err == "hpastrom info: ZeroDivisionError: division by zero\n"


def test_output_where_none_can_be(capsys, tmp_path):
    (tmp_path / "file").touch()
    (tmp_path / "a.csv").write_text("ra,dec\n1,2\n")
    assert main(["convert", str(tmp_path / "a.csv"), str(tmp_path / "file" / "x.ecsv")]) == 1
    assert capsys.readouterr().err.startswith(f"BadFileError: {tmp_path}/file/x.ecsv: found a folder")
    assert main(["demo", "--quick", "--output-dir", str(tmp_path / "file" / "x")]) == 1
    assert capsys.readouterr().err.startswith(f"BadFileError: {tmp_path}/file/x: found no folder")


def test_motions_that_are_none(capsys, tmp_path):
    (tmp_path / "a_pm.ecsv").write_text("%ECSV")
    (tmp_path / "b_pm.csv").write_text("ra,dec\n1,2\n")
    for name, error in (("a_pm.ecsv", "BadFileError"), ("b_pm.csv", "BadCatalogError")):
        assert main(["kinematics", str(tmp_path / name)]) == 1
        assert capsys.readouterr().err.startswith(f"{error}: {tmp_path / name}: found ")


def test_convert_a_catalog(tmp_path, capsys):
    source, target = tmp_path / "a.csv", tmp_path / "b.ecsv"
    Table({"RAJ2000": [10.0, 11.0], "DEJ2000": [-5.0, -6.0], "Gmag": [18.0, 19.0]}).write(source)
    assert main(["convert", str(source), str(target), "--epoch", "2016"]) == 0
    assert capsys.readouterr().out.strip() == str(target)
    out = Table.read(target)
    assert list(out.colnames)[:4] == ["id", "ra", "dec", "mag"]
    assert out.meta["epoch"] == 2016.0
    assert main(["convert", str(source), str(tmp_path / "b.xyz")]) == 1
    assert "ParameterError" in capsys.readouterr().err


def test_convert_a_flystar_list(tmp_path):
    source, target = tmp_path / "2011_10_31_F606W.calib", tmp_path / "epoch.ecsv"
    source.write_text(
        "x y m xe ye me name t\n1.0 2.0 18.0 0.01 0.02 0.03 N1 2019.7\n3.0 4.0 19.0 0.01 0.02 0.03 N2 2019\n"
    )
    assert main(["convert", str(source), str(target)]) == 0
    out = Table.read(target)
    assert {"x", "y", "x_err", "y_err", "mag"} <= set(out.colnames)
    # the date in the name, not the wrong column t
    assert abs(out.meta["epoch"] - 2011.83) < 0.01
    gaia = tmp_path / "gaia.csv"
    columns = (
        "source_id,ra,dec,ra_error,dec_error,pmra,pmdec,pmra_error,pmdec_error,phot_g_mean_mag,ref_epoch\n"
    )
    gaia.write_text(columns + "1,10.0,20.0,0.1,0.1,1.0,2.0,0.1,0.1,17.0,2016.0\n")
    assert main(["convert", str(gaia), str(tmp_path / "gaia.ecsv"), "--kind", "gaia"]) == 0
    assert Table.read(tmp_path / "gaia.ecsv")["pmdec"][0] == 2.0


def test_convert_an_epsf_library(tmp_path):
    axis = (np.arange(101) - 50) / 4
    psf = np.exp(-0.5 * (axis[:, None] ** 2 + axis[None, :] ** 2))
    library = EPSFLibrary(
        np.array([psf] * 4), [0.0, 2047.0], [0.0, 2047.0], meta={"filter": "F150W"}
    ).normalized()
    write_stdpsf(library, tmp_path / "a_epsf.fits")
    assert main(["convert", str(tmp_path / "a_epsf.fits"), str(tmp_path / "a_epsf.asdf")]) == 0
    np.testing.assert_allclose(read_epsf(tmp_path / "a_epsf.asdf").data, library.data, atol=1e-7)
    assert main(["convert", str(tmp_path / "a_epsf.asdf"), str(tmp_path / "b_epsf.fits")]) == 0
    assert main(["convert", str(tmp_path / "a_epsf.asdf"), str(tmp_path / "b_epsf.txt")]) == 1


def test_an_epsf_or_an_exposure_is_no_distortion(tmp_path, capsys):
    fits.PrimaryHDU(np.zeros((4, 101, 101)), fits.Header({"NXPSFS": 2})).writeto(tmp_path / "a.fits")
    science = fits.ImageHDU(np.ones((64, 64)), name="SCI")
    fits.HDUList([fits.PrimaryHDU(), science, science.copy()]).writeto(tmp_path / "b.fits")
    for name in "ab":
        assert main(["convert", str(tmp_path / f"{name}.fits"), str(tmp_path / "c_gdc.fits")]) == 1
        assert "BadReferenceFileError" in capsys.readouterr().err
    assert not (tmp_path / "c_gdc.fits").exists()


def test_convert_a_distortion_there_and_back(tmp_path, capsys):
    official = write_official_distortion(tmp_path / "official_distortion.asdf", "F150W")
    assert main(["convert", official, str(tmp_path / "a_gdc.fits")]) == 0
    back = tmp_path / "b_distortion.asdf"
    assert main(["convert", str(tmp_path / "a_gdc.fits"), str(back)]) == 1
    assert "--like" in capsys.readouterr().err
    assert main(["convert", str(tmp_path / "a_gdc.fits"), str(back), "--like", official]) == 0
    published = tmp_path / "STDGDC_NIRISS_F150W.fits"
    assert main(["convert", str(back), str(published)]) == 0
    assert main(["convert", str(back), str(tmp_path / "c.ecsv")]) == 1
    assert ".asdf or .fits for a distortion" in capsys.readouterr().err
    with fits.open(published) as hdus:
        assert [h.name for h in hdus[1:6]] == ["XGC", "YGC", "MGC", "XCG", "YCG"]
    x, y = np.random.default_rng(1).uniform(0, 2047, (2, 300))
    models = []
    for path in (official, back):
        with asdf.open(path, memmap=False, lazy_load=False) as tree:
            models.append(np.array(tree["model"](x, y)))
    # a similarity cannot take the skew of the official linear part along: that stays in the correction
    assert np.abs(models[1] - models[0]).max() < 1e-4


@pytest.mark.skipif(os.name != "posix", reason="needs a shell")
def test_a_failing_pipeline_is_reported_with_its_last_line(tmp_path, monkeypatch):
    fake = tmp_path / "bin" / "strun"
    fake.parent.mkdir()
    fake.write_text(
        "#!/bin/sh\necho 'Step hp_epsf_build running with args'\necho 'BadFileError: x: found no'\nexit 3\n"
    )
    fake.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(fake.with_name("python")))
    with pytest.raises(HPAstromError, match="BadFileError: x: found no") as err:
        run_pipeline(["strun", "calwebb_hpastrom"], tmp_path / "log")
    assert "exit status 3" in str(err.value)
    assert "hp_epsf_build" in (tmp_path / "log").read_text()


def test_versions(capsys):
    with pytest.raises(SystemExit) as out:
        main(["--version"])
    assert out.value.code == 0
    assert capsys.readouterr().out.startswith("jwst_hpastrom ")
    done = subprocess.run(
        [sys.executable, "-m", "jwst_hpastrom", "--help"], capture_output=True, text=True, check=True
    )
    assert "usage: hpastrom" in done.stdout


@pytest.mark.parametrize(("qfit", "status"), [(0.015, 0), (0.05, 3), (0.23, 4)])
def test_check_says_it_by_its_status(tmp_path, capsys, qfit, status):
    names = [f"e{k}_cal.fits" for k in range(4)]
    table = Table({"filename": names, "qfit": [0.015, 0.015, qfit, qfit], "n_stars": [300] * 4})
    table.write(tmp_path / "f_epsf_fit_quality.ecsv")
    Table({"pmra": [1.0], "pmdec": [1.0]}).write(tmp_path / "f_pm.ecsv")
    assert main(["check", str(tmp_path)]) == status
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == (1 if status == 0 else 2)
    if status:
        assert "e2_cal.fits and 1 more" in lines[0]
        assert "the ePSF does not fit these stars" in lines[0]
    assert main(["check", str(tmp_path), "--all"]) == status
    assert len(capsys.readouterr().out.splitlines()) > 2


def test_check_of_nothing(tmp_path, capsys):
    assert main(["check", str(tmp_path)]) == 1
    assert capsys.readouterr().err.startswith("BadFileError: ")
    Table({"pmra": [1.0], "pmdec": [1.0]}).write(tmp_path / "f_pm.ecsv")
    assert main(["check", str(tmp_path)]) == 1
    assert "no quality tables" in capsys.readouterr().err
