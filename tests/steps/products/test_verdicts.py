"""Steps judge themselves: warnings where bad, none where good, and the table of checks."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table

from jwst_hpastrom.epsf import EPSFLibrary
from jwst_hpastrom.io.calibrations.epsf_reference import write_epsf_reference
from jwst_hpastrom.simulation import simulate_field, write_field
from jwst_hpastrom.steps import EPSFFitStep, MasterFrameStep

pytestmark = pytest.mark.usefixtures("offline")

SIMULATION = {
    "size": 320,
    "n_exposures": 4,
    "n_stars": 250,
    "mag_faint": -5.0,
    "dither_arcsec": 3.0,
    "seed": 6,
}


@pytest.fixture(scope="module")
def field(tmp_path_factory):
    """A field in F200W; its ePSF, and another filter's that claims to be of this one."""
    folder = tmp_path_factory.mktemp("field")
    sky = simulate_field(filter="F200W", **SIMULATION)
    other = simulate_field(filter="F090W", **SIMULATION)
    files = write_field(sky, folder)
    meta = {"filter": "F200W"}
    paths = [
        str(write_epsf_reference(EPSFLibrary(*s.epsf.sampled(), meta=meta).normalized(), folder / name))
        for s, name in ((sky, "right_epsf.asdf"), (other, "wrong_epsf.asdf"))
    ]
    return files, *paths


def warnings_of(caplog):
    return [r.getMessage() for r in caplog.records if r.levelname == "WARNING" and "hpastrom" in r.name]


def test_the_right_epsf(field, tmp_path, caplog):
    files, right, _ = field
    EPSFFitStep.call(files.association, epsf_file=right, output_dir=str(tmp_path))
    assert warnings_of(caplog) == []
    table = Table.read(tmp_path / "field_checks.ecsv")
    assert table.meta["verdict"] == "ok"
    assert set(table["step"]) == {"hp_epsf_fit"}
    # a Step renews its own rows, and leaves the others'
    MasterFrameStep.call(
        files.association, reference_catalog=files.reference_catalog, output_dir=str(tmp_path)
    )
    both = Table.read(tmp_path / "field_checks.ecsv")
    assert set(both["step"]) == {"hp_epsf_fit", "hp_master_frame"}
    EPSFFitStep.call(files.association, epsf_file=right, output_dir=str(tmp_path))
    assert len(Table.read(tmp_path / "field_checks.ecsv")) == len(both)


def test_the_epsf_of_another_filter(field, tmp_path, caplog):
    files, _, wrong = field
    EPSFFitStep.call(files.association, epsf_file=wrong, output_dir=str(tmp_path))
    told = [m for m in warnings_of(caplog) if "QFIT" in m]
    assert len(told) == 4  # each exposure once, when it was fitted
    assert all("the ePSF does not fit these stars: wrong filter, detector or epoch?" in m for m in told)
    table = Table.read(tmp_path / "field_checks.ecsv")
    assert table.meta["verdict"] == "bad"
    assert table["causes"][0].startswith("the ePSF does not fit these stars")


def test_cores_that_were_lost_are_told_with_their_number(field, tmp_path, caplog):
    files, right, _ = field
    EPSFFitStep.call(files.exposures[0], epsf_file=right, output_dir=str(tmp_path))
    assert not any("core pixels" in m for m in warnings_of(caplog))
    stars = Table.read(next(tmp_path.glob("*_stars.ecsv")))
    bright = stars[np.asarray(stars["flux"]) > 150 * np.asarray(stars["flux_err"])]
    path = tmp_path / "jw09999001001_02101_00009_nis_cal.fits"
    shutil.copy(files.exposures[0], path)
    with fits.open(path, mode="update") as hdus:
        y, x = (np.rint(np.asarray(bright[c])).astype(int) for c in "yx")
        hdus["DQ"].data[y, np.clip(x + 1, 0, 319)] |= 1
    quality = EPSFFitStep.call(str(path), epsf_file=right, output_dir=str(tmp_path))
    n, of = quality["n_lost_core"][0], quality["n_cores"][0]
    assert n > 0.5 * of
    (told,) = (m for m in warnings_of(caplog) if "core pixels" in m)
    assert told.startswith(f"{n} of {of} bright stars: ")


def test_one_exposure_alone(field, tmp_path, caplog):
    files, right, _ = field
    asn = Path(files.association).parent / "alone_asn.json"
    members = [{"expname": Path(files.exposures[0]).name, "exptype": "science"}]
    asn.write_text(json.dumps({"asn_type": "image3", "products": [{"name": "alone", "members": members}]}))
    EPSFFitStep.call(str(asn), epsf_file=right, output_dir=str(tmp_path))
    MasterFrameStep.call(str(asn), output_dir=str(tmp_path))
    assert any("one exposure alone" in m and m.startswith("BAD") for m in warnings_of(caplog))
    first = Table.read(tmp_path / "alone_checks.ecsv")[0]
    assert first["check"] == "number of exposures"
    assert first["verdict"] == "bad"
