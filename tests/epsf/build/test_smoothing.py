"""Smoothing and centering of ePSF grids."""

import numpy as np
import pytest

from jwst_hpastrom.epsf.build.smoothing import (
    center_offsets,
    low_pass,
    recenter,
    smooth_update,
    within_band,
)


@pytest.mark.parametrize("order", [1, 2, 4])
def test_low_pass_response(order):
    kernel = low_pass(order)
    k = np.arange(kernel.size) - order
    f = np.linspace(0, 0.5, 50)
    response = (kernel * np.cos(2 * np.pi * f[:, None] * k)).sum(1)
    np.testing.assert_allclose(response, 1 - np.sin(np.pi * f) ** (2 * order), atol=1e-12)
    assert (response > -1e-12).all()


def test_smoothing_keeps_slow_and_kills_dots():
    jj, ii = np.mgrid[-50:51, -50:51] / 4.0
    slow = (1 + 0.1 * ii - 0.05 * jj)[None]
    np.testing.assert_allclose(smooth_update(slow, 4)[0, 12:-12, 12:-12], slow[0, 12:-12, 12:-12], atol=1e-12)
    dots = ((-1.0) ** np.add.outer(np.arange(101), np.arange(101)))[None]
    assert np.abs(smooth_update(dots, 4)).max() < 1e-12
    core = np.exp(-(ii**2 + jj**2) / (2 * 0.4**2))[None]  # as sharp as F090W
    lost = (core - smooth_update(core, 4))[0, 50, 50]
    assert 0 < lost < 0.03


def test_recenter():
    jj, ii = np.mgrid[-50:51, -50:51] / 4.0
    psf = [np.exp(-((ii - a) ** 2 + (jj - b) ** 2) / (2 * 0.5**2)) for a, b in ((0.08, -0.03), (-0.2, 0.15))]
    centered, offsets = recenter(np.array(psf), 4)
    np.testing.assert_allclose(offsets, [(0.08, -0.03), (-0.2, 0.15)], atol=2e-4)
    for one in centered:
        np.testing.assert_allclose(center_offsets(one, 4), 0, atol=2e-4)
        np.testing.assert_allclose(one[50, 48], one[50, 52], rtol=2e-3)


def test_within_band_keeps_what_optics_pass_and_nothing_else():
    jj, ii = np.mgrid[-50:51, -50:51] / 4.0
    packet = np.exp(-(ii**2 + jj**2) / (2 * 4.0**2))[None]
    slow, fast = (packet * np.cos(2 * np.pi * f * (0.6 * ii + 0.8 * jj)) for f in (0.2, 0.7))
    np.testing.assert_allclose(within_band(slow, 0.1), slow, atol=0.005)
    assert np.abs(within_band(fast, 0.1)).max() < 0.005
    noise = np.random.default_rng(1).normal(size=(30, 101, 101))
    core = (slice(None), slice(46, 55), slice(46, 55))
    assert smooth_update(noise, 4, band_limit=0.4)[core].std() < 0.35 * smooth_update(noise, 4)[core].std()
