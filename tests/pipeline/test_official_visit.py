"""What a visit of several of NIRCam's detectors writes, in the official Steps: one WCS for all of them."""

from pathlib import Path

import numpy as np
import pytest
from astropy.table import Table
from jwst.assign_wcs import AssignWcsStep
from jwst.resample import ResampleStep
from jwst.tweakreg import TweakRegStep
from stdatamodels.jwst import datamodels

from jwst_hpastrom.instrument import INSTRUMENTS
from jwst_hpastrom.steps.products.groups import join_catfiles
from tests.frame.visits import PLANE, stars_of_both_modules, visit
from tests.pipeline.test_official_distortion import OTHERS
from tests.steps.products.test_several_detectors import make_frame

pytestmark = [
    pytest.mark.usefixtures("offline"),
    pytest.mark.filterwarnings("ignore:Failed to achieve requested SIP"),
]

DETECTORS = ("NRCA3", "NRCB3", "NRCB4")  # both modules


def exposure(meta, number):
    """An exposure without stars: these come from the lists."""
    row = INSTRUMENTS["NIRCAM"].detectors[meta["detector"]]
    model = datamodels.ImageModel(row.shape)
    model.data += np.float32(1.0)
    model.err, model.dq = np.full(row.shape, 0.1, np.float32), np.zeros(row.shape, np.uint32)
    m = model.meta
    m.filename, m.telescope, m.bunit_data = meta["filename"], "JWST", "MJy/sr"
    m.instrument.name, m.instrument.detector = "NIRCAM", meta["detector"]
    m.instrument.module, m.instrument.channel = row.keywords["module"], "SHORT"
    m.instrument.filter, m.instrument.pupil = meta["filter"], "CLEAR"
    m.exposure.type, m.exposure.exposure_time, m.exposure.measurement_time = "NRC_IMAGE", 10.0, 10.0
    m.exposure.start_time, m.exposure.end_time = 59700.0, 59700.1
    o = m.observation
    o.date, o.time, o.program_number, o.observation_number = "2022-05-01", "01:02:03", "01086", "001"
    o.visit_number, o.visit_group, o.sequence_id, o.activity_id = "001", "02", "1", "01"
    o.exposure_number = str(number + 1)
    m.subarray.xstart = m.subarray.ystart = 1
    m.subarray.ysize, m.subarray.xsize = row.shape
    m.photometry.pixelarea_steradians, m.photometry.pixelarea_arcsecsq = 2.3e-14, row.scale**2
    for key in ("ra_ref", "dec_ref", "roll_ref", "v2_ref", "v3_ref", "v3yangle", "vparity"):
        setattr(m.wcsinfo, key, meta[key])
    m.wcsinfo.wcsaxes, m.velocity_aberration.scale_factor = 2, 1.0
    m.coordinates.reference_frame = "ICRS"
    return model


def test_both_modules_in_assign_wcs_tweakreg_and_resample(tmp_path, monkeypatch, caplog):
    rng = np.random.default_rng(12)
    truth = stars_of_both_modules(rng)
    tables = visit(rng, truth, DETECTORS)
    metas = [t.meta for t in tables]
    make_frame(tmp_path, rng, truth, tables)
    for meta in metas:
        name, detector = meta["filename"], meta["detector"].lower()
        with open(tmp_path / f"visit_{detector}_f200w_catfile.txt", "a") as part:
            part.write(f"{name} {name.replace('_cal.fits', '_stars.ecsv')}\n")
    join_catfiles(tmp_path, "visit", [f"visit_{d.lower()}_f200w" for d in DETECTORS])

    monkeypatch.chdir(tmp_path)
    placed = "visit_{}_f200w_placed_distortion.asdf"
    assigned = [
        AssignWcsStep.call(
            exposure(meta, k // len(DETECTORS)),
            override_distortion=str(Path(placed.format(meta["detector"].lower())).resolve()),
            **{f"override_{kind}": "N/A" for kind in OTHERS},
        )
        for k, meta in enumerate(metas[: 2 * len(DETECTORS)])
    ]
    ra, dec = PLANE.to_sky(truth["xi"], truth["eta"])
    Table({"RA": ra, "DEC": dec}).write("refcat.ecsv")
    options = {"fitgeometry": "rshift", "minobj": 10, "searchrad": 2.0, "tolerance": 0.3, "separation": 0.5}
    with caplog.at_level("INFO"):
        aligned = TweakRegStep.call(
            assigned, use_custom_catalogs=True, catfile="visit_catfile.txt", abs_refcat="refcat.ecsv",
            **options, **{f"abs_{k}": v for k, v in options.items()},
        )  # fmt: skip
    # one shift and turn for all detectors: 0.01 pixel are 0.3 mas, the WCS's own places are 8 mas off
    off = []
    with aligned:
        for model, meta in zip(aligned, metas, strict=False):
            assert model.meta.cal_step.tweakreg == "COMPLETE"
            stars = Table.read(tmp_path / meta["filename"].replace("_cal.fits", "_stars.ecsv"))
            xi, eta = PLANE.from_sky(*model.meta.wcs(np.asarray(stars["x"]), np.asarray(stars["y"])))
            at = np.asarray(stars["true"])
            off += [np.nanmedian(xi - truth["xi"][at]), np.nanmedian(eta - truth["eta"][at])]
            aligned.shelve(model, modify=False)
    assert np.abs(off).max() < 5e-4  # arcsec
    combined = ResampleStep.call(aligned, pixel_scale=0.3)
    assert combined.meta.cal_step.resample == "COMPLETE"
    assert 0.2 < np.isfinite(combined.data).mean() < 0.9  # a gap of 44 arcsec between the modules
