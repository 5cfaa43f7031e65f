"""One field given in all the ways that people have it."""

from dataclasses import replace
from types import SimpleNamespace

import astropy.units as u
import numpy as np
import pytest
from astropy.io import fits
from astropy.nddata import (
    CCDData,
    InverseVariance,
    NDData,
    StdDevUncertainty,
    UnknownUncertainty,
    VarianceUncertainty,
)
from astropy.table import MaskedColumn, QTable, Table
from astropy.utils.masked import Masked
from photutils.psf import GriddedPSFModel

from jwst_hpastrom.epsf import (
    EPSFLibrary,
    GriddedEPSFModel,
    Image,
    ab_magnitudes,
    as_image,
    as_library,
    from_photutils,
    measure_stars,
    to_init_params,
    to_photutils,
)
from jwst_hpastrom.errors import BadCatalogError, MissingDataError, ParameterError
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
    image = as_image(exposure, mask=blank)
    assert image.origin == (0, 10)
    np.testing.assert_array_equal(as_library(library, image).y, [-10, 2037])
    assert as_library(library, replace(image, origin=None)) is library


def test_weights_of_zero_are_pixels_without_weight():
    weight = np.ones((5, 5))
    weight[2, 2] = 0
    found = as_image(NDData(np.ones((5, 5)), uncertainty=InverseVariance(weight)))
    assert [tuple(p) for p in np.argwhere(~found.good)] == [(2, 2)]


def test_refusals():
    with pytest.raises(ParameterError, match="an image without errors"):
        as_image(np.zeros((5, 5)))
    with pytest.raises(ParameterError, match="of one shape"):
        as_image(np.zeros((5, 5)), np.ones((5, 6)))
    with pytest.raises(ParameterError, match="not magnitudes"):
        as_image(np.ones((5, 5)) * u.mag, 0.1)
    with pytest.raises(BadCatalogError, match="no column id, flags"):
        to_photutils(Table({"x": [1.0]}))
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


def test_errors_in_another_unit_are_converted_and_the_list_states_the_images(image):
    data, err = np.asarray(image.data), np.where(image.good, image.err, np.nan)
    library, wanted = make_library(), measure_stars(image, make_library())
    given = CCDData(1e6 * data, unit="Jy/sr", uncertainty=StdDevUncertainty(err, unit="MJy/sr"))
    for found in (
        measure_stars(1e6 * data * u.Jy / u.sr, library, err * u.MJy / u.sr), measure_stars(given, library),
    ):  # fmt: skip
        np.testing.assert_allclose(found["x"], wanted["x"], rtol=0, atol=1e-5)
        np.testing.assert_allclose(found["x_err"], wanted["x_err"], rtol=1e-4)
        np.testing.assert_allclose(QTable(found)["flux"].to_value("MJy/sr"), wanted["flux"], rtol=1e-5)
    assert measure_stars(data * u.adu, library, err)["flux"].unit == u.adu
    with pytest.raises(ParameterError, match="an image in MJy / sr and errors in s, needed one unit"):
        as_image(data * u.MJy / u.sr, err * u.s)


def test_masks_of_every_kind_count(image):
    spoiled, bad = np.where(image.good, image.data, 1e20), ~np.asarray(image.good)
    bad[40:44, 30:70] = True
    spoiled, err = np.where(bad, 1e20, spoiled), np.where(image.good, image.err, 1.0)
    wanted = as_image(spoiled, err, bad)
    for given in (
        (np.ma.array(spoiled, mask=bad), err), (Masked(spoiled * u.adu, mask=bad), err),
        (spoiled, np.ma.array(err, mask=bad)), (spoiled, Masked(err, mask=bad)),
    ):  # fmt: skip
        np.testing.assert_array_equal(as_image(*given).good, wanted.good)


def test_what_is_no_image_is_refused(image):
    data, err = np.asarray(image.data), np.ones(image.shape)
    for given in (
        fits.ImageHDU(data),
        fits.HDUList([fits.PrimaryHDU(data)]),
        "a_cal.fits",
        data.astype(complex),
    ):
        with pytest.raises(ParameterError, match="found an image of type .*read_exposure"):
            as_image(given, err)
    with pytest.raises(ParameterError, match="uncertainty of unknown kind.*StdDevUncertainty"):
        as_image(NDData(data, uncertainty=UnknownUncertainty(err)))
    with pytest.raises(ParameterError, match="shape"):
        as_image(data[:0], err[:0])
    for nothing in ((data * np.nan, err), (data, err * np.nan), (data, err, np.ones(image.shape, bool))):
        with pytest.raises(MissingDataError, match="no pixel with weight"):
            as_image(*nothing)


def test_tables_of_photutils_keep_their_masks_and_units():
    flux = MaskedColumn([100.0, 200.0], mask=[False, True], unit="mJy")
    stars = from_photutils(Table({"x_fit": [1.0, 2.0], "y_fit": [1.0, 2.0], "flux_fit": flux}))
    assert stars["flux"].unit == u.mJy
    assert np.isnan([stars["flux"][1], stars["mag"][1]]).all()
    jy, _ = ab_magnitudes([1e8] * u.Jy / u.sr, 1e5 * u.usr)
    np.testing.assert_allclose(jy, [1e7])
    with pytest.raises(ParameterError, match="numbers in mJy, needed in MJy/sr"):
        ab_magnitudes(stars["flux"], 1e-13)


@pytest.mark.parametrize(("factor", "oversampling"), [(1 / 16, 4), (1.0, 2)])
def test_a_model_that_is_not_normalized_is_refused(factor, oversampling):
    library = make_library()
    meta = {"grid_xypos": [(x, y) for y in library.y for x in library.x], "oversampling": oversampling}
    model = GriddedPSFModel(NDData(factor * library.data, meta=meta))
    with pytest.raises(ParameterError, match="sum within 5 pixels is .* needed sums near 1; check its overs"):
        as_library(model)


def test_charge_of_ramps_goes_along(image):
    charged = replace(image, charge=3.0)
    assert as_image(charged, mask=np.zeros(image.shape, bool)).charge == 3.0
    model = given(image)["model"]
    assert as_image(model).charge is None
    model.meta.bunit_data = "MJy/sr"
    model.meta.exposure = SimpleNamespace(ngroups=5, group_time=10.0)
    model.meta.photometry = SimpleNamespace(conversion_megajanskys=2.0)
    assert as_image(model).charge == 25.0
