"""Refined references and exposures in the official pipeline: assign_wcs, tweakreg, resample."""

from types import SimpleNamespace

import numpy as np
import pytest
from astropy.table import Table
from jwst.assign_wcs import AssignWcsStep
from jwst.resample import ResampleStep
from jwst.tweakreg import TweakRegStep
from stdatamodels.jwst import datamodels

from jwst_hpastrom.distortion import to_v2v3
from jwst_hpastrom.distortion.model.ideal import v2v3_from_ideal
from jwst_hpastrom.geometry import LinearTransform
from jwst_hpastrom.io.calibrations.distortion_reference import (
    correction_from_model,
    placement_like,
    write_distortion,
)
from jwst_hpastrom.io.calibrations.refined_wcs import refine_exposure_wcs
from jwst_hpastrom.simulation import simulate_field, write_field

OTHERS = (
    "camera", "chromcorr", "collimator", "disperser", "filteroffset", "fore", "fpa", "ifufore", "ifupost",
    "ifuslicer", "msa", "ote", "regions", "specwcs", "wavelengthrange",
)  # fmt: skip
# SIP keywords hold the smooth part only, and assign_wcs says so
pytestmark = [
    pytest.mark.usefixtures("offline"),
    pytest.mark.filterwarnings("ignore:Failed to achieve requested SIP"),
]


@pytest.fixture(scope="module")
def refined(tmp_path_factory):
    """Two exposures of a part of the detector, and the true distortion as a reference file of ours."""
    folder = tmp_path_factory.mktemp("official")
    sky = simulate_field(size=400, n_exposures=2, n_stars=700, mag_faint=-3.0, dither_arcsec=4.0, seed=6)
    files = write_field(sky, folder)
    meta = dict(sky.exposures[0].meta)
    to_tel = LinearTransform(*v2v3_from_ideal(meta), np.zeros(2))
    correction = correction_from_model(lambda x, y: to_tel.forward(*sky.distortion.forward(x, y)))
    placement = placement_like(correction, files.distortion)
    path = write_distortion(folder / "fine_distortion.asdf", correction, placement, meta)
    return SimpleNamespace(
        folder=folder, sky=sky, files=files, correction=correction, placement=placement, path=path, meta=meta
    )


@pytest.fixture(scope="module")
def assigned(refined):
    """The exposures after assign_wcs with the refined reference."""
    out = []
    overrides = {f"override_{kind}": "N/A" for kind in OTHERS}
    for path in refined.files.exposures:
        model = datamodels.open(path)
        out.append(AssignWcsStep.call(model, override_distortion=refined.path, **overrides))
    return out


def points(n=500):
    return np.random.default_rng(2).uniform(5, 394, (2, n))


def test_assign_wcs_runs_with_the_reference(refined, assigned):
    x, y = points()
    for model, exposure in zip(assigned, refined.sky.exposures, strict=True):
        wcs = model.meta.wcs
        ra, dec = wcs(x, y)
        bx, by = wcs.invert(ra, dec)
        assert np.hypot(bx - x, by - y).max() < 2e-4
        # in the sub-array, the detector's own pixels count
        x0, y0 = refined.sky.config.origin
        v2, v3 = wcs.get_transform("detector", "v2v3")(x, y)
        a, b = refined.placement.transform.forward(*refined.correction.forward(x + x0, y + y0))
        assert np.hypot(v2 - a, v3 - b).max() < 0.0656 * 5e-5
        # the truth, but for pointing and roll
        true = np.stack(exposure.to_sky_true(x, y))
        flat = [(np.stack(s) - true.mean(1)[:, None]) * [[np.cos(np.deg2rad(true[1].mean()))], [1]] * 3.6e6
                for s in ((ra, dec), true)]  # fmt: skip
        design = np.c_[np.ones(x.size), flat[0].T]
        left = flat[1].T - design @ np.linalg.lstsq(design, flat[1].T, rcond=None)[0]
        assert left.std() < 0.1


def test_a_refined_copy_has_the_same_wcs(refined, assigned, tmp_path):
    model = to_v2v3(refined.correction, refined.placement)
    x, y = points()
    for path, official in zip(refined.files.exposures, assigned, strict=True):
        output = refine_exposure_wcs(path, tmp_path / "x_hpcal.fits", model, reference="fine_distortion.asdf")
        with datamodels.open(output) as copy, datamodels.open(path) as before:
            ours = np.stack(copy.meta.wcs(x, y))
            theirs = np.stack(official.meta.wcs(x, y))
            assert np.abs((ours - theirs) * 3.6e6).max() < 1e-3
            bx, by = copy.meta.wcs.invert(*ours)
            assert np.hypot(bx - x, by - y).max() < 2e-4
            assert np.isnan(copy.meta.wcs(-5.0, 3.0)[0])
            np.testing.assert_array_equal(copy.data, before.data)
            assert copy.meta.hpastrom.distortion == "fine_distortion.asdf"
            assert copy.meta.wcsinfo.s_region.startswith("POLYGON ICRS")
            moved = np.stack(before.meta.wcs(x, y)) - ours
            assert np.abs(moved * 3.6e6).max() > 0.5


def test_tweakreg_and_resample_run_on_it(refined, assigned, tmp_path, monkeypatch, caplog):
    monkeypatch.chdir(tmp_path)
    rows = []
    for model, exposure in zip(assigned, refined.sky.exposures, strict=True):
        truth = exposure.truth
        name = model.meta.filename.replace(".fits", "_list.ecsv")
        Table({c: np.asarray(truth[c]) for c in ("x", "y", "mag")}).write(name)
        rows.append(f"{model.meta.filename} {name}")
    (tmp_path / "catfile.txt").write_text("\n".join(rows))
    catalog = Table.read(refined.files.reference_catalog)
    Table({"RA": catalog["ra"], "DEC": catalog["dec"]}).write("refcat.ecsv")
    with caplog.at_level("INFO"):
        aligned = TweakRegStep.call(
            [m.copy() for m in assigned], use_custom_catalogs=True, catfile="catfile.txt",
            abs_refcat="refcat.ecsv", fitgeometry="rshift", abs_fitgeometry="rshift", minobj=10,
            abs_minobj=10, searchrad=1.0, abs_searchrad=1.0, tolerance=0.5, abs_tolerance=0.5,
            separation=1.0, abs_separation=1.0,
        )  # fmt: skip
    fits = [float(m.split("FIT MAE:")[1]) for m in caplog.messages if m.strip().startswith("FIT RMSE")]
    # true positions: what is left between the exposures is the reference file's interpolation
    assert len(fits) == 2
    assert min(fits) < 1e-4
    combined = ResampleStep.call(aligned)
    assert combined.data.shape[0] > 400
    assert np.isfinite(combined.data).mean() > 0.6
    ra, dec = combined.meta.wcs(200.0, 200.0)
    assert abs(ra - refined.sky.config.target[0]) < 0.05
    assert abs(dec - refined.sky.config.target[1]) < 0.02
