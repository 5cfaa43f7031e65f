"""Band-limited interpolation of ePSFs, against the optics evaluated where the pixels are."""

import numpy as np
import pytest

from jwst_hpastrom.epsf import EPSFLibrary, GriddedEPSFModel
from jwst_hpastrom.epsf.resampling import moved, refinement, upsampled
from jwst_hpastrom.epsf.wavefront.optics import MODES, Optics
from jwst_hpastrom.instrument import filter_of

NM = np.r_[20.0, 30.0, -20.0, 15.0, np.zeros(MODES - 4)]
PHASES = np.random.default_rng(5).uniform(-0.5, 0.5, (24, 2))


def optics(band, half_width=8.0, oversampling=4):
    row = filter_of(band, "NIRISS")
    return Optics(row.wavelength, row.width, 0.0656, half_width, oversampling)


def shift_of_phases(band):
    """RMS of what interpolation moves noise-free stars by, pixels."""
    library = EPSFLibrary(optics(band).image(NM)[None], [100], [100])
    pixels, offset, off = optics(band, 2.0, 1), np.arange(-2.0, 3.0), []
    for phase in PHASES:
        true = pixels.image(NM, phase)
        at = offset - phase[0], (offset - phase[1])[:, None]
        psi, by_x, by_y = library.evaluate(*at, 100.0, 100.0, gradient=True)
        design = np.stack([psi, -by_x, -by_y], -1).reshape(-1, 3)
        weight = 1 / np.maximum(true, 1e-3).ravel()
        normal = design.T @ (weight[:, None] * design)
        off.append(np.linalg.solve(normal, design.T @ (weight * (true - psi).ravel()))[1:])
    return np.sqrt(np.mean(np.square(off)))


@pytest.mark.parametrize(("band", "error"), [("F090W", 8e-5), ("F115W", 6e-5), ("F200W", 1.5e-4)])
def test_four_samples_a_pixel_hold_what_stars_are_fitted_with(band, error):
    assert shift_of_phases(band) < error


@pytest.mark.parametrize(("band", "finer"), [("F090W", 2), ("F115W", 2), ("F150W", 1), ("F277W", 1)])
def test_finer_knots_only_where_they_pay(band, finer):
    data = optics(band, 12.5).image(NM)[None]
    assert refinement(data, 4) == finer
    assert EPSFLibrary(data, [0], [0]).knots == 4 * finer


def test_nothing_to_refine():
    assert refinement(np.zeros((1, 101, 101)), 4) == 1
    assert refinement(np.ones((1, 9, 9)), 4) == 1


def test_the_finer_grid_goes_through_the_samples():
    data = np.random.default_rng(1).normal(size=(2, 21, 21))
    for factor in (1, 2, 3):
        np.testing.assert_allclose(upsampled(data, factor)[:, ::factor, ::factor], data, atol=1e-12)


def test_values_between_are_those_of_the_optics():
    fine = optics("F090W", 8.0, 8).image(NM)
    got = upsampled(optics("F090W", 8.0, 4).image(NM), 2)
    inner = slice(32, -32)  # mirrored wings are not the optics'
    assert np.abs(got - fine)[inner, inner].max() < 5e-4 * fine.max()


def test_moved_as_by_the_optics():
    made, shift = optics("F090W"), np.array([0.03, -0.05])
    got, true = moved(made.image(NM), *(4 * shift)), made.image(NM, shift)
    inner = slice(16, -16)
    assert np.abs(got - true)[inner, inner].max() < 2e-4 * true.max()


def test_photutils_see_what_the_fit_uses():
    library = EPSFLibrary(optics("F090W").image(NM)[None], [50], [50])
    y, x = np.mgrid[45:56, 45:56]
    model = GriddedEPSFModel(library, flux=3.0, x_0=50.31, y_0=49.77)
    wanted = 3 * library.evaluate(x - 50.31, y - 49.77, 50.31, 49.77)
    np.testing.assert_array_equal(model(x, y), wanted)


def test_any_number_of_knots():
    library = EPSFLibrary(optics("F200W").image(NM)[None], [50], [50])
    assert library.with_knots(4) is library.coefficients
    assert library.with_knots(8).shape[1] == 2 * 64 + 1 + 6
