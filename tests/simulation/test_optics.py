"""The true effective PSFs: normalization, center, pixel integration."""

import numpy as np
import pytest

from jwst_hpastrom.errors import ParameterError
from jwst_hpastrom.simulation import OpticsConfig
from jwst_hpastrom.simulation import optics as rooms

SMALL = OpticsConfig(n_field=3, n_wavelengths=2)


@pytest.fixture(scope="module")
def epsf():
    return rooms.make_epsf("F150W", np.random.default_rng(5), SMALL)


def test_light_and_center(epsf):
    data, _, _ = epsf.sampled(3)
    assert data.shape == (9, 101, 101)
    assert data.min() > -1e-5
    axis = (np.arange(101) - 50) / 4
    inner = np.hypot(axis[:, None], axis[None, :]) <= 5
    np.testing.assert_allclose(data[:, inner].sum(1) / 16, 1, atol=1e-12)
    np.testing.assert_allclose(data[:, 50, 48], data[:, 50, 52], atol=1e-9)
    np.testing.assert_allclose(data[:, 48, 50], data[:, 52, 50], atol=1e-9)
    # undersampled: most of the light near the center falls into one pixel, less than all of it
    assert np.all((data[:, 50, 50] > 0.35) & (data[:, 50, 50] < 0.6))
    # and it varies over the field
    assert 0.004 < np.ptp(data[:, 50, 50]) < 0.1


def test_pixels_sum_to_the_same_light_at_every_phase(epsf):
    i, j = np.meshgrid(np.arange(-18, 19), np.arange(-18, 19))
    total = [
        epsf.evaluate(i - px, j - py, 1000, 900).sum()
        for px, py in np.random.default_rng(1).uniform(-0.5, 0.5, (8, 2))
    ]
    assert np.ptp(total) < 1e-3 * np.mean(total)


def test_light_center_follows_the_star():
    # an estimator that knows nothing of the PSF: its offset from the truth must be one constant, but for a
    # term linear in the phase (wings that the finite window cuts off), and nothing periodic. A well-sampled
    # filter: where the pixels undersample, light centers truly are biased (L23 Fig. 1)
    epsf = rooms.make_epsf("F480M", np.random.default_rng(5), SMALL)
    i, j = np.meshgrid(np.arange(-18, 19), np.arange(-18, 19))
    offsets, phases = [], np.random.default_rng(2).uniform(-0.5, 0.5, (30, 2))
    for px, py in phases:
        light = epsf.evaluate(i - px, j - py, 300, 1800)
        offsets.append(((light * i).sum() / light.sum() - px, (light * j).sum() / light.sum() - py))
    design = np.c_[np.ones(30), phases]
    slope = np.linalg.lstsq(design, np.array(offsets), rcond=None)[0]
    assert np.all(np.std(offsets - design @ slope, axis=0) < 1e-3)
    assert np.all(np.abs(slope[1:]) < 0.08)
    assert np.all(np.abs(np.mean(offsets, axis=0)) < 0.2)


def test_pixel_integral_against_brute_force():
    # another road: zero-padded FFT of the pupil, then the mean of 16 x 16 points of each pixel's square
    config = OpticsConfig(n_field=2, n_wavelengths=1, ipc=0.0, diffusion_pix=0.0, half_width=6)
    wavelength, fine = 2.0e-6, 16
    segments, _, _, _ = rooms.pupil_segments(config.n_pupil)
    pupil = segments.sum(0)
    ours = rooms._effective_psf(pupil, np.zeros_like(pupil), (2.0, 0.0), config)
    step = np.deg2rad(rooms.SCALE / 3600) / fine
    # an FFT whose frequency step is the wanted angle: D / n_pupil * n_fft * step = wavelength
    n_fft = round(wavelength / (rooms.EXTENT / config.n_pupil * step))
    step = wavelength / (rooms.EXTENT / config.n_pupil * n_fft) / np.deg2rad(rooms.SCALE / 3600)
    image = np.abs(np.fft.fftshift(np.fft.fft2(pupil, s=(n_fft, n_fft)))) ** 2
    c = n_fft // 2
    at = np.arange(-6, 7, 1.0)
    box = (np.arange(64) + 0.5) / 64 - 0.5
    from scipy.ndimage import map_coordinates

    grid_y, grid_x = np.meshgrid(at, at, indexing="ij")
    sub_y, sub_x = np.meshgrid(box, box, indexing="ij")
    y = c + (grid_y[..., None, None] + sub_y) / step
    x = c + (grid_x[..., None, None] + sub_x) / step
    brute = map_coordinates(image, [y, x], order=3).mean((2, 3))
    got = ours[:: config.oversampling, :: config.oversampling]
    scale = got[6, 6] / brute[6, 6]
    np.testing.assert_allclose(brute * scale, got, atol=3e-5)


def test_unknown_filter():
    with pytest.raises(ParameterError, match="F999W"):
        rooms.make_epsf("F999W", np.random.default_rng(0))
