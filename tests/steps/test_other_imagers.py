"""Exposures of NIRCam, FGS and MIRI are built from, fitted and framed as NIRISS's do, without ``force``."""

import json
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table

from jwst_hpastrom.errors import BadReferenceFileError, UnsupportedExposureError
from jwst_hpastrom.io.calibrations.epsf_reference import read_epsf_reference
from jwst_hpastrom.io.tables.star_lists import read_star_list
from jwst_hpastrom.simulation import simulate_field, write_field
from jwst_hpastrom.steps import EPSFBuildStep, EPSFFitStep, MasterFrameStep

QUICK = {"n_iterations": 4, "n_global": 2, "n_fitted": 1, "grid": 1, "choose_grid": False, "mesh": 50}


@pytest.fixture(scope="module")
def association(tmp_path_factory):
    field = simulate_field(size=256, n_exposures=4, n_stars=160, mag_faint=-4.0, filter="F200W", seed=4)
    return write_field(field, tmp_path_factory.mktemp("field"), truth=False).association


def disguised(association, folder, **keywords):
    """The exposures of an association as another instrument's."""
    folder.mkdir()
    asn = json.loads(Path(association).read_text())
    for member in asn["products"][0]["members"]:
        name = member["expname"].replace("_nis_", f"_{keywords['DETECTOR'].lower()}_")
        with fits.open(Path(association).parent / member["expname"]) as hdus:
            for key, value in {**keywords, "FILENAME": name}.items():
                if value is None:
                    hdus[0].header.pop(key, None)
                else:
                    hdus[0].header[key] = value
            hdus.writeto(folder / name)
        member["expname"] = name
    path = folder / Path(association).name
    path.write_text(json.dumps(asn))
    return path, name


@pytest.mark.parametrize(
    ("values", "band"),
    [
        (("NIRCAM", "NRCB1", "NRC_IMAGE", "F200W", "CLEAR"), "F200W"),
        (("NIRCAM", "NRCALONG", "NRC_IMAGE", "F444W", "F405N"), "F405N"),
        (("FGS", "GUIDER1", "FGS_IMAGE", None, None), "FGS"),
        (("MIRI", "MIRIMAGE", "MIR_IMAGE", "F560W", None), "F560W"),
    ],
)
def test_built_fitted_framed(association, tmp_path, values, band):
    keywords = dict(zip(("INSTRUME", "DETECTOR", "EXP_TYPE", "FILTER", "PUPIL"), values, strict=True))
    if keywords["DETECTOR"] == "MIRIMAGE":  # of half the size
        keywords |= {"SUBSTRT1": 385, "SUBSTRT2": 385}
    asn, name = disguised(association, tmp_path / "in", **keywords)
    # the optics are those of F200W on NIRISS whatever the header says
    EPSFBuildStep(output_dir=str(tmp_path), band_limit=0, **QUICK).run(str(asn))
    library = read_epsf_reference(tmp_path / "field_epsf.asdf")
    assert (library.meta["instrument"], library.meta["filter"]) == (keywords["INSTRUME"], band)
    for suffix in ("asdf", "fits"):
        EPSFFitStep(output_dir=str(tmp_path), epsf_file=str(tmp_path / f"field_epsf.{suffix}")).run(str(asn))
    stars = read_star_list(tmp_path / name.replace("_cal.fits", "_stars.ecsv"))
    assert (stars.meta["instrument"], stars.meta["detector"]) == (keywords["INSTRUME"], keywords["DETECTOR"])
    MasterFrameStep(output_dir=str(tmp_path)).run(str(asn))
    master = Table.read(tmp_path / "field_master.ecsv")
    bright = master["mag"] < -5
    assert bright.sum() > 20
    assert np.median(master["x_rms"][bright]) < 0.03


def test_another_detector_and_a_grism_are_refused(association, tmp_path):
    nircam = {"INSTRUME": "NIRCAM", "EXP_TYPE": "NRC_IMAGE", "FILTER": "F200W", "PUPIL": "CLEAR"}
    asn, _ = disguised(association, tmp_path / "b1", DETECTOR="NRCB1", **nircam)
    EPSFBuildStep(output_dir=str(tmp_path), band_limit=0, **QUICK).run(str(asn))
    other, _ = disguised(association, tmp_path / "b2", DETECTOR="NRCB2", **nircam)
    with pytest.raises(BadReferenceFileError, match="an ePSF of NRCB1 for exposures on NRCB2"):
        EPSFFitStep(output_dir=str(tmp_path), epsf_file=str(tmp_path / "field_epsf.fits")).run(str(other))
    grism, _ = disguised(
        association, tmp_path / "g", DETECTOR="NRCBLONG", **{**nircam, "FILTER": "F444W", "PUPIL": "GRISMR"}
    )
    with pytest.raises(UnsupportedExposureError, match=r"GRISMR \(a grism\)"):
        EPSFBuildStep(output_dir=str(tmp_path), **QUICK).run(str(grism))
