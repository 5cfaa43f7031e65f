"""The star fits as a hook inside the official pipelines."""

import pytest
from astropy.table import Table
from jwst.pipeline import Image2Pipeline, Image3Pipeline

from jwst_hpastrom.epsf import EPSFLibrary
from jwst_hpastrom.io.calibrations.epsf_reference import write_epsf_reference
from jwst_hpastrom.simulation import simulate_field, write_field

HOOK = ["jwst_hpastrom.steps.EPSFFitStep"]


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Three exposures of a part of the detector, and the true ePSF."""
    folder = tmp_path_factory.mktemp("small")
    sky = simulate_field(size=320, n_exposures=3, n_stars=300, mag_faint=-4.0, dither_arcsec=4.0, seed=6)
    library = EPSFLibrary(*sky.epsf.sampled(), meta={"filter": "F150W"}).normalized()
    return write_field(sky, folder), str(write_epsf_reference(library, folder / "true_epsf.asdf"))


@pytest.fixture
def small(files, tmp_path, monkeypatch, offline):
    """The exposures; the ePSF named as hooks need it, no CRDS asked."""
    monkeypatch.setenv("HPASTROM_EPSF_FILE", files[1])
    monkeypatch.chdir(tmp_path)
    return files[0]


def test_calwebb_image2(small):
    steps = {name: {"skip": True} for name in ("bkg_subtract", "assign_wcs", "flat_field", "resample")}
    steps["photom"] = {"skip": True, "post_hooks": HOOK}
    (result,) = Image2Pipeline.call(small.exposures[0], steps=steps)
    assert result.meta.cal_step.instance["hp_epsf_fit"] == "COMPLETE"
    # the pipeline renames its model while it works: the list keeps the exposure's name
    assert result.meta.tweakreg_catalog == "jw09999001001_02101_00001_nis_stars.ecsv"
    assert len(Table.read(result.meta.tweakreg_catalog)) > 200
    result.close()


def test_calwebb_image3_aligns_with_our_lists(small, caplog):
    others = ("assign_mtwcs", "skymatch", "outlier_detection", "resample", "source_catalog")
    steps = {name: {"skip": True} for name in others}
    steps["tweakreg"] = {"pre_hooks": HOOK, "use_custom_catalogs": True, "save_results": True}
    with caplog.at_level("INFO"):
        Image3Pipeline.call(small.association, steps=steps)
    used = [m for m in caplog.messages if m.startswith("Using user-provided input catalog")]
    assert len(used) == 3
    assert all("_nis_stars.ecsv" in m for m in used)
    fits = [m for m in caplog.messages if m.strip().startswith("FIT RMSE")]
    assert len(fits) == 2
    # FIT RMSE in arcsec: 0.003 is 0.05 pixel, with the official distortion and faint stars
    assert all(float(m.split("FIT MAE:")[1]) < 0.005 for m in fits)
