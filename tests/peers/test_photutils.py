"""The ePSF model inside photutils, and its fits against ours."""

import pickle
from dataclasses import replace

import numpy as np
import pytest
from astropy import units as u
from astropy.nddata import NDData
from astropy.table import QTable, Table
from photutils.detection import DAOStarFinder
from photutils.psf import (
    GriddedPSFModel,
    IterativePSFPhotometry,
    PSFPhotometry,
    SourceGrouper,
    make_psf_model_image,
)

from jwst_hpastrom.columns import Flag
from jwst_hpastrom.epsf import (
    EPSFLibrary,
    GriddedEPSFModel,
    ab_magnitudes,
    fit_stars,
    from_photutils,
    to_init_params,
    to_photutils,
)
from jwst_hpastrom.errors import BadCatalogError, BadFileError, ParameterError
from tests.epsf.conftest import make_field, make_library


@pytest.fixture(scope="module")
def library():
    return make_library()


@pytest.fixture(scope="module")
def model(library):
    return GriddedEPSFModel(library)


@pytest.fixture(scope="module")
def theirs(library):
    positions = [(x, y) for y in library.y for x in library.x]
    return GriddedPSFModel(NDData(library.data, meta={"grid_xypos": positions, "oversampling": 4}))


@pytest.fixture(scope="module")
def field():
    rng = np.random.default_rng(11)
    y, x = (g.ravel() + rng.uniform(-0.5, 0.5, 49) for g in np.mgrid[12:115:7j, 12:115:7j])
    return make_field(x, y, 10 ** rng.uniform(1.7, 2.6, 49), rng=rng)


def test_same_values_as_photutils_own_model(model, theirs):
    yy, xx = np.mgrid[40:61, 50:71]
    for x, y in ((60.2, 50.4), (3.3, 120.1), (-20, 200)):
        ours = model.evaluate(xx * 1.0, yy * 1.0, 3.0, x, y)
        np.testing.assert_allclose(ours, theirs.evaluate(xx * 1.0, yy * 1.0, 3.0, x, y), atol=1e-9)


def test_derivatives_against_differences(model):
    yy, xx = (g.ravel().astype(float) for g in np.mgrid[48:53, 58:63])
    p = np.array([7.0, 60.2, 50.4])
    for k, got in enumerate(model.fit_deriv(xx, yy, *p)):
        h = np.eye(3)[k] * 1e-4
        difference = (model.evaluate(xx, yy, *(p + h)) - model.evaluate(xx, yy, *(p - h))) / 2e-4
        # the ePSF's change over the field is left out of the derivative
        np.testing.assert_allclose(got, difference, atol=2e-3 * np.abs(difference).max())


def test_two_ways_agree(field, library, model):
    """Our fit and photutils' on the same model: 1e-3 px and 1e-3 mag."""
    sky = np.full(field.x.size, field.sky)
    ours = fit_stars(field.image, library, field.x, field.y)
    init = to_init_params(ours)
    result = PSFPhotometry(model, fit_shape=5)(field.image.data, error=field.image.err, init_params=init)
    assert np.abs(result["x_fit"] - ours["x"]).max() < 1e-3
    assert np.abs(result["y_fit"] - ours["y"]).max() < 1e-3
    assert np.abs(2.5 * np.log10(result["flux_fit"] / ours["flux"])).max() < 1e-3
    np.testing.assert_allclose(result["x_err"], ours["x_err"], rtol=0.02)
    np.testing.assert_allclose(result["qfit"], ours["qfit"], atol=1e-3)
    assert sky.size == len(result)


def test_results_become_star_lists_and_back(field, model, library):
    stars = fit_stars(field.image, library, field.x, field.y)
    result = PSFPhotometry(model, fit_shape=5)(
        field.image.data, error=field.image.err, init_params=to_init_params(stars)
    )
    back = from_photutils(result)
    assert {"id", "x", "y", "x_err", "flux", "mag", "qfit", "flags"} <= set(back.colnames)
    np.testing.assert_array_equal(back["x"], result["x_fit"])
    assert back["x"].unit == "pix"
    again = to_photutils(back)
    for name in ("x_fit", "flux_err", "qfit", "local_bkg", "id"):
        np.testing.assert_array_equal(again[name], result[name])


def test_flags_are_translated():
    table = QTable(
        {"x_fit": [1.0, 2, 3], "y_fit": [1.0, 2, 3], "flux_fit": [1.0, -2, np.nan], "flags": [1, 8, 256]}
    )
    flags = from_photutils(table)["flags"]
    assert flags.tolist() == [int(Flag.BAD_PIXELS), int(Flag.NOT_CONVERGED), int(Flag.FEW_PIXELS)]
    assert np.isnan(from_photutils(table)["mag"][1:]).all()
    assert to_photutils(from_photutils_with_ids(table))["flags"].tolist() == [1, 8, 256]
    with pytest.raises(BadCatalogError, match="flux_fit"):
        from_photutils(table["x_fit", "y_fit"])


def from_photutils_with_ids(table):
    return from_photutils(table)


def test_iterative_photometry_with_groups(model):
    field = make_field(
        [40.2, 42.6, 80.0], [40.1, 40.8, 90.0], [300, 150, 200.0], rng=np.random.default_rng(1)
    )
    finder = DAOStarFinder(threshold=3.0, fwhm=1.8)
    photometry = IterativePSFPhotometry(
        model, 5, finder, grouper=SourceGrouper(6), mode="all", aperture_radius=3, maxiters=2
    )
    result = photometry(field.image.data - field.sky, error=field.image.err)
    for x, y in zip(field.x, field.y, strict=True):
        assert np.hypot(result["x_fit"] - x, result["y_fit"] - y).min() < 0.05


def test_model_image(model):
    image, params = make_psf_model_image((90, 90), model, 3, flux=(50, 100), border_size=14, seed=0)
    assert len(params) == 3
    assert image.sum() == pytest.approx(params["flux"].sum(), rel=1e-4)


def test_copies_share_the_grid_and_pickles_do_not_need_it(model):
    duplicate = model.copy()
    duplicate.x_0 = 5.0
    assert model.x_0 == 0
    assert duplicate.library is model.library
    deep = model.deepcopy()
    assert deep.library is not model.library
    loaded = pickle.loads(pickle.dumps(model))
    assert loaded.evaluate(np.array([60.3]), np.array([50.0]), 1, 60, 50) == model.evaluate(
        np.array([60.3]), np.array([50.0]), 1, 60, 50
    )


@pytest.mark.parametrize("suffix", ["fits", "asdf"])
def test_read_and_write(model, tmp_path, suffix):
    path = tmp_path / f"x_epsf.{suffix}"
    model.write(path)
    back = GriddedEPSFModel.read(path)
    assert isinstance(back, GriddedEPSFModel)
    np.testing.assert_allclose(back.data, model.data, rtol=1e-6, atol=1e-40)
    with pytest.raises(BadFileError, match="existing file"):
        model.write(path)
    model.write(path, overwrite=True)


def test_photutils_reads_what_was_written(model, tmp_path):
    model.write(tmp_path / "x.fits", format="stdpsf")
    other = GriddedPSFModel.read(tmp_path / "x.fits")
    np.testing.assert_array_equal(other.grid_xypos, model.grid_xypos)


def test_perturbation(model, library):
    delta = np.zeros((101, 101))
    delta[50, 50] = 0.01
    changed = model.with_perturbation(delta)
    assert isinstance(changed, GriddedEPSFModel)
    np.testing.assert_allclose(changed.library.volumes(), 1, rtol=1e-12)
    assert changed.library.central_value(60, 60) > library.central_value(60, 60)
    graded = model.with_perturbation(np.stack([delta, 0 * delta]), x=[0.0, 127.0])
    left, right = (
        graded.library.central_value(x, 64) - library.normalized().central_value(x, 64) for x in (0, 127)
    )
    assert left > 0.005
    assert right == pytest.approx(0, abs=1e-12)
    with pytest.raises(ParameterError, match="samples"):
        model.with_perturbation(delta[1:])
    with pytest.raises(ParameterError, match="2 additions"):
        model.with_perturbation(np.stack([delta, delta]))


def test_fixed_parameters_and_bounds_survive_a_perturbation(model):
    fixed = model.copy()
    fixed.x_0.fixed = True
    assert fixed.with_perturbation(np.zeros((101, 101))).x_0.fixed


def test_units_and_ties_survive_too(theirs):
    """A flux without its unit would be a number that photutils adds to images with units."""
    other = theirs.copy()
    other.flux = [2.0] * u.MJy / u.sr
    other.y_0.tied = lambda model: model.x_0
    for new in (own := GriddedEPSFModel.from_photutils(other), own.with_perturbation(np.zeros((101, 101)))):
        assert new.flux.quantity == 2 * u.MJy / u.sr
        assert new.y_0.tied is other.y_0.tied
        assert new.x_0.unit is None


def test_charge_of_a_flux_with_units(library):
    """The charge is per unit of the data: their unit changes no number."""
    wide = replace(library, brighter_fatter=1e-6)
    at = np.arange(90.0, 110), np.full(20, 100.0)
    plain = GriddedEPSFModel(wide, flux=3e3, x_0=99.7, y_0=100.2, charge=2.0)
    other = GriddedEPSFModel(wide, flux=3e3 * u.Jy, x_0=99.7, y_0=100.2, charge=2.0)
    assert np.abs(plain(*at) - GriddedEPSFModel(library, flux=3e3, x_0=99.7, y_0=100.2)(*at)).max() > 1e-4
    np.testing.assert_array_equal(other(*at).to_value(u.Jy), plain(*at))
    np.testing.assert_array_equal(GriddedEPSFModel.from_photutils(plain)(*at), plain(*at))


def test_model_from_photutils_nddata(library, theirs):
    positions = [(x, y) for x in library.x for y in library.y]  # x slowest: to be sorted
    order = [iy * 3 + ix for ix in range(3) for iy in range(3)]
    data = NDData(library.data[order], meta={"grid_xypos": positions, "oversampling": (4, 4)})
    model = GriddedEPSFModel(data)
    np.testing.assert_array_equal(model.data, theirs.data)
    bad = NDData(library.data[order], meta={"grid_xypos": positions, "oversampling": (4, 2)})
    with pytest.raises(ParameterError, match="the same in x and y"):
        GriddedEPSFModel(bad)


def test_fill_values(library):
    far = np.array([13.0]), np.array([0.0])
    for fill, expected in ((0.0, 0.0), (np.nan, np.nan), (7.0, 7.0)):
        value = GriddedEPSFModel(library, fill_value=fill).evaluate(*far, 1, 0, 0)
        np.testing.assert_array_equal(value, expected)
    edge = GriddedEPSFModel(library, fill_value=None).evaluate(*far, 1, 0, 0)
    assert edge == library.evaluate(12.5, 0, 0, 0)


def test_single_epsf_model():
    one = EPSFLibrary(make_library(0.8, np.array([64.0])).data, [64.0], [64.0])
    model = GriddedEPSFModel(one)
    assert model.evaluate(np.array([3.0]), np.array([3.0]), 1, 3, 3) == one.central_value(0, 0)


def test_ab_magnitudes():
    jy, mag, jy_err, mag_err = ab_magnitudes([3631e-6 / 1e-13 * 1e-6 * 1e6, -1.0], 1e-13, [10.0, 1.0])
    assert jy[0] == pytest.approx(3631.0)
    assert mag[0] == pytest.approx(0.0, abs=1e-12)
    assert np.isnan(mag[1])
    assert jy_err[0] == pytest.approx(1e-6)
    assert mag_err[0] == pytest.approx(1.0857 * 10 / 3.631e10, rel=1e-3)
    assert len(ab_magnitudes([1.0], 1e-13)) == 2
    with pytest.raises(ParameterError, match=r'a table, needed its column; give stars\["flux"\]'):
        ab_magnitudes(Table({"flux": [1.0]}), 1e-13)


def test_positions_and_fluxes_are_enough_to_begin_with():
    stars = Table({"x": [3.0], "y": [4.0], "flux": [10.0]})
    assert to_init_params(stars).colnames == ["id", "x_init", "y_init", "flux_init"]
    with pytest.raises(BadCatalogError, match="no column flux, needed a star list"):
        to_init_params(stars["x", "y"])
