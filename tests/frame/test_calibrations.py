"""Exposures of several flux calibrations in one frame are told."""

import numpy as np
import pytest
from astropy.table import Table

from jwst_hpastrom.errors import MixedExposuresError
from jwst_hpastrom.frame.calibrations import calibrated_zeros, warn_of_calibrations
from jwst_hpastrom.frame.measurements import collect

ALIKE = {"detector": "NIS", "filter": "F150W", "mjsr_per_dns": 0.28, "pixel_area_sr": 1.0e-13}


def lists_of(*changes):
    rng = np.random.default_rng(3)
    out = []
    for k, change in enumerate(changes):
        x, y = rng.uniform(0, 2048, (2, 50))
        data = {"x": x, "y": y, "x_err": 0.01 + 0 * x, "y_err": 0.01 + 0 * x, "mag": rng.uniform(-9, -5, 50)}
        out.append(Table(data, meta={**ALIKE, "filename": f"a{k}", "unit": "MJy/sr", **change}))
    return out


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({}, None),
        ({"mjsr_per_dns": 0.2815, "pixel_area_sr": 1.0005e-13}, None),  # half a percent, of a year
        ({"mjsr_per_dns": None}, None),
        ({"mjsr_per_dns": 0.4, "detector": "NRCB1"}, None),
        ({"mjsr_per_dns": 0.30}, "PHOTMJSR"),
        ({"pixel_area_sr": 1.01e-13}, "PIXAR_SR"),
    ],
)
def test_other_calibrations_are_told(caplog, change, told):
    collect(lists_of({}, {}, change))
    found = [r.getMessage() for r in caplog.records if "calibrated with" in r.getMessage()]
    assert len(found) == (told is not None)
    assert not told or (told in found[0] and "a2" in found[0])
    warn_of_calibrations([ALIKE])


def test_fluxes_of_two_units_are_refused():
    with pytest.raises(MixedExposuresError, match=r"DN/s and MJy/sr.*_cal files"):
        collect(lists_of({}, {"unit": "DN/s"}))
    assert collect(lists_of({}, {"unit": None}))[0].n_exposures == 2


def test_areas_that_are_not_known_or_do_not_matter_change_nothing():
    known = [{"pixel_area_sr": 2.2e-14, "unit": "MJy/sr"}, {"pixel_area_sr": 2.3e-14, "unit": None}]
    np.testing.assert_allclose(calibrated_zeros(known), [0, -2.5 * np.log10(2.3 / 2.2)])
    assert not calibrated_zeros([*known, {}]).any()
    assert not calibrated_zeros([m | {"unit": "DN/s"} for m in known]).any()
