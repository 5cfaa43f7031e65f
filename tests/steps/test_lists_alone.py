"""``strun hp_master_frame`` on lists as hst1pass writes them, by an association or on one line."""

import json

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table

from jwst_hpastrom.errors import BadFileError, ParameterError
from jwst_hpastrom.io.tables.star_lists import is_star_list
from jwst_hpastrom.steps import MasterFrameStep


@pytest.fixture
def lists(tmp_path):
    """Four dithered lists of columns x y m p q k s."""
    rng = np.random.default_rng(4)
    x, y, mag = rng.uniform(0, 1200, 300), rng.uniform(0, 1200, 300), rng.uniform(-14, -8, 300)
    paths = []
    for k in range(4):
        u, v = (c + rng.uniform(-40, 40) + rng.normal(0, 0.02, 300) for c in (x, y))
        rows = zip(u, v, mag, strict=True)
        path = tmp_path / f"j8ab{k}_flc.xympqks"
        path.write_text(
            "#..x.. ..y.. ..m.. ..p.. ..q.. .k. ..s..\n"
            + "".join(f" {a:.4f} {b:.4f} {m:.3f} 900.0 0.031 1 30.5\n" for a, b, m in rows)
        )
        paths.append(path)
    return paths


def test_one_command(lists, tmp_path):
    members = [{"expname": p.name, "exptype": "science"} for p in lists]
    asn = tmp_path / "lists_asn.json"
    asn.write_text(json.dumps({"products": [{"name": "field", "members": members}]}))
    table = MasterFrameStep(output_dir=str(tmp_path / "a")).run(str(asn))
    written = Table.read(tmp_path / "a" / "field_master.ecsv")
    assert len(written) == len(table) > 250
    assert np.median(written["x_rms"]) == pytest.approx(0.888 * 0.02, rel=0.1)
    assert "ra" not in written.colnames
    again = MasterFrameStep(output_dir=str(tmp_path / "b")).run(*map(str, lists))
    assert (tmp_path / "b" / "j8ab_master.ecsv").exists()
    np.testing.assert_array_equal(again["x"], table["x"])
    checks = Table.read(tmp_path / "b" / "j8ab_checks.ecsv")
    assert "number of exposures" in checks["check"]
    assert "number of dithers" not in checks["check"]  # unknown


@pytest.mark.parametrize("name", ["list{}.fits", "list{}.fit", "list{}.fits.gz", "j8ab{}_flc.fits"])
def test_a_fits_table_is_known_by_its_content(lists, tmp_path, name):
    paths = [tmp_path / name.format(k) for k in range(4)]
    for old, new in zip(lists, paths, strict=True):
        x, y, mag = np.loadtxt(old, usecols=(0, 1, 2)).T
        Table({"x": x, "y": y, "mag": mag}).write(new)
    table = MasterFrameStep(output_dir=str(tmp_path / "a")).run(*map(str, paths))
    assert np.median(table["x_rms"]) == pytest.approx(0.888 * 0.02, rel=0.1)


def test_a_fits_image_is_none(tmp_path):
    image = fits.HDUList([fits.PrimaryHDU(), fits.ImageHDU(np.zeros((4, 4)), name="SCI")])
    image.append(fits.BinTableHDU(Table({"x": [1.0]}), name="GROUP"))
    image.writeto(tmp_path / "a_cal.fits")
    fits.PrimaryHDU(np.zeros((4, 4))).writeto(tmp_path / "b.fits")
    (tmp_path / "c.fits").write_bytes(b"SIMPLE  = nonsense")
    assert not any(is_star_list(tmp_path / name) for name in ("a_cal.fits", "b.fits", "c.fits", "none.fits"))


def test_refusals(lists, tmp_path):
    step = MasterFrameStep(output_dir=str(tmp_path / "a"), mode="many", epsf_file="none.fits")
    with pytest.raises(ParameterError, match="mode=many with star lists"):
        step.run(*map(str, lists))
    with pytest.raises(BadFileError, match="more than once"):
        MasterFrameStep(output_dir=str(tmp_path / "a")).run(str(lists[0]), str(lists[0]))


def test_little_memory_changes_nothing_and_too_little_is_said(lists, tmp_path, monkeypatch):
    table = MasterFrameStep(output_dir=str(tmp_path / "a")).run(*map(str, lists))
    MasterFrameStep(output_dir=str(tmp_path / "b"), memory="1GB").run(*map(str, lists))  # all in files
    for path in (tmp_path / "a").glob("*.ecsv"):
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes(), path.name
    assert len(table) > 250
    assert not list((tmp_path / "b").glob(".*"))
    monkeypatch.setattr("jwst_hpastrom.frame.master.WORK", 1e7)
    with pytest.raises(ParameterError, match=r"12.0 GB for the frame of 1200 measurements in 4 exposures"):
        MasterFrameStep(output_dir=str(tmp_path / "c")).run(*map(str, lists))
