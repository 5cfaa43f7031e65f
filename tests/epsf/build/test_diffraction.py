"""The band of spatial frequencies that an ePSF can hold."""

import numpy as np
import pytest

from jwst_hpastrom.epsf.build.diffraction import band_limit
from jwst_hpastrom.epsf.build.smoothing import within_band
from jwst_hpastrom.errors import ParameterError
from jwst_hpastrom.instrument import INSTRUMENTS
from jwst_hpastrom.simulation.optics import OpticsConfig, make_epsf

PIXEL = 0.0656
FILTERS = INSTRUMENTS["NIRISS"].filters


def test_limits_follow_the_wavelength():
    limits = {b: band_limit(b, PIXEL) for b in FILTERS}
    for name, (*_, middle, width) in FILTERS.items():
        shortest = 6.6 / ((middle - width / 2) * 1e-6) * np.deg2rad(PIXEL / 3600)
        assert 0.6 * shortest < limits[name] < shortest, name
    assert limits["F090W"] > limits["F150W"] > limits["F277W"] > limits["F480M"]
    np.testing.assert_allclose(band_limit("F480M", 2 * PIXEL), 2 * limits["F480M"], rtol=0.3)


@pytest.mark.parametrize("band", ["F150W", "F480M"])
def test_a_segmented_telescope_keeps_to_it(band):
    epsf = make_epsf(band, np.random.default_rng(2), OpticsConfig(n_field=2, n_wavelengths=3))
    offset = (np.arange(101) - 50) / 4
    data = epsf.evaluate(offset, offset[:, None], 1023.5, 1023.5)[None]
    lost = data - within_band(data, band_limit(band, PIXEL) / 4)
    assert np.abs(lost[0, 8:-8, 8:-8]).max() < 1e-3 * data.max()
    # and a limit a quarter lower would cost something
    assert np.abs(data - within_band(data, 0.6 * band_limit(band, PIXEL) / 4)).max() > 3e-3 * data.max()


@pytest.mark.parametrize(
    ("band", "pixel", "text"), [("F606W", PIXEL, "F090W"), ("F150W", 0.0, "pixels of 0.0")]
)
def test_refusals(band, pixel, text):
    with pytest.raises(ParameterError, match=text):
        band_limit(band, pixel)
