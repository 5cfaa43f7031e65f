"""One field given in all the ways that people have it."""

from types import SimpleNamespace

import astropy.units as u
import numpy as np
import pytest
from astropy.nddata import CCDData, NDData, StdDevUncertainty, VarianceUncertainty
from astropy.table import QTable
from photutils.psf import GriddedPSFModel

from jwst_hpastrom.epsf import (
    EPSFLibrary,
    GriddedEPSFModel,
    Image,
    as_image,
    as_library,
    measure_stars,
    to_init_params,
)
from jwst_hpastrom.errors import ParameterError
from jwst_hpastrom.io.exposures.exposure import Exposure
from tests.epsf.conftest import make_field, make_library


@pytest.fixture(scope="module")
def field():
    rng = np.random.default_rng(3)
    x, y = rng.uniform(15, 105, (2, 12))
    return make_field(x, y, 10 ** rng.uniform(2.4, 2.9, 12), rng=rng)


@pytest.fixture(scope="module")
def image(field):
    return field.image


def given(image):
    data, err, bad = np.asarray(image.data), np.asarray(image.err), np.asarray(~image.good)
    finite = np.where(np.isfinite(err), err, 1.0)
    model = SimpleNamespace(
        data=data,
        err=finite,
        dq=bad.astype(np.uint32),
        meta=SimpleNamespace(filename="m_cal.fits", subarray=None),
    )
    return {
        "exposure": Exposure(image, "e", "e"), "model": model,
        "NDData": NDData(data, uncertainty=VarianceUncertainty(finite**2), mask=bad),
        "CCDData": CCDData(data, uncertainty=StdDevUncertainty(finite), mask=bad, unit="MJy/sr"),
    }  # fmt: skip


def test_all_give_the_same_stars(image):
    library = make_library()
    wanted = measure_stars(image, library)
    assert len(wanted) >= 10
    for name, data in given(image).items():
        found = measure_stars(data, library)["x"]
        np.testing.assert_allclose(found, wanted["x"], rtol=0, atol=1e-9, err_msg=name)
    finite = np.where(image.good, image.err, 1.0)
    stars = measure_stars(np.asarray(image.data), GriddedEPSFModel(library), finite, ~image.good)
    np.testing.assert_allclose(stars["flux"], wanted["flux"], rtol=1e-6)


def test_lists_of_exposures_have_their_metadata_and_places(image):
    def wcs(x, y, with_bounding_box=True):
        return 10 + x / 1e5, 5 + y / 1e5

    exposure = Exposure(image, "e", "e", {"filter": "F150W", "epoch": 2022.4}, wcs)
    stars = measure_stars(exposure, make_library())
    assert stars.meta["filter"] == "F150W"
    np.testing.assert_allclose(stars["ra"], 10 + stars["x"] / 1e5)
    assert "ra" not in measure_stars(image, make_library()).colnames


def test_saturated_pixels_and_masks():
    data, dq = np.ones((8, 9)), np.zeros((8, 9), np.uint32)
    dq[1, 1], dq[2, 2], dq[3, 3] = 3, 2, 1  # core; late groups only, with a slope; bad
    data[4, 4], dq[4, 4] = np.nan, 2
    meta = SimpleNamespace(filename=None)
    out = as_image(SimpleNamespace(data=data, err=np.ones(data.shape), dq=dq, meta=meta))
    assert [tuple(p) for p in np.argwhere(out.saturated)] == [(1, 1), (4, 4)]
    assert [tuple(p) for p in np.argwhere(out.bad)] == [(3, 3)]
    more = as_image(out, mask=np.eye(8, 9, dtype=bool))
    assert not more.good[5, 5]
    assert as_image(out) is out


def test_subarrays_move_the_library():
    library = EPSFLibrary(np.ones((4, 21, 21)), [0, 2047], [0, 2047])
    model = SimpleNamespace(meta=SimpleNamespace(subarray=SimpleNamespace(xstart=101, ystart=1)))
    np.testing.assert_array_equal(as_library(library, model).x, [-100, 1947])
    blank = np.zeros((9, 9), bool)
    exposure = Exposure(Image(blank * 1.0, blank + 1.0, blank, blank), "e", "e", {"xstart": 1, "ystart": 11})
    np.testing.assert_array_equal(as_library(library, exposure).y, [-10, 2037])


def test_refusals():
    with pytest.raises(ParameterError, match="an image without errors"):
        as_image(np.zeros((5, 5)))
    with pytest.raises(ParameterError, match="of one shape"):
        as_image(np.zeros((5, 5)), np.ones((5, 6)))
    with pytest.raises(ParameterError, match="a gridded PSF model"):
        as_library("STDPSF.fits")


def test_photutils_model_there_and_back():
    library = make_library()
    positions = [(x, y) for y in library.y for x in library.x]
    theirs = GriddedPSFModel(
        NDData(library.data, meta={"grid_xypos": positions, "oversampling": 4}), flux=5.0, x_0=9.0
    )
    theirs.x_0.fixed, theirs.flux.bounds = True, (0, None)
    ours = GriddedEPSFModel.from_photutils(theirs)
    np.testing.assert_allclose(ours.library.data, library.data)
    assert (ours.flux.value, ours.x_0.value, ours.x_0.fixed, ours.flux.bounds) == (5.0, 9.0, True, (0, None))
    np.testing.assert_array_equal(as_library(theirs).x, library.x)
    with pytest.raises(ParameterError, match="GriddedPSFModel"):
        GriddedEPSFModel.from_photutils(library)


def test_units_of_starting_values(image):
    stars = measure_stars(image, make_library())
    stars.meta["filter"] = "F150W"
    plain = to_init_params(stars)
    assert plain["flux_init"].unit is None
    kept = to_init_params(QTable(stars))
    assert kept["flux_init"].unit == kept["local_bkg"].unit == u.MJy / u.sr
    assert to_init_params(stars, units=True)["flux_init"].unit == u.MJy / u.sr
    assert kept.meta["filter"] == "F150W"
