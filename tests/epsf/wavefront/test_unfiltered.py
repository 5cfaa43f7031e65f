"""Optics without a filter: what an ePSF tells of its light and of the segments."""

import numpy as np
import pytest

from jwst_hpastrom.epsf import EPSFLibrary
from jwst_hpastrom.epsf.build.smoothing import recenter
from jwst_hpastrom.epsf.wavefront import modes_of
from jwst_hpastrom.epsf.wavefront.modes import FOUND
from jwst_hpastrom.epsf.wavefront.optics import MODES, Optics
from jwst_hpastrom.epsf.wavefront.unfiltered import ENDS, SEGMENTS, SLOPES, WAVELENGTHS, Unfiltered
from jwst_hpastrom.instrument import INSTRUMENTS

META = {"instrument": "FGS", "detector": "GUIDER1", "filter": "FGS"}
PIXEL = INSTRUMENTS["FGS"].detectors["GUIDER1"].scale
BASE = np.r_[25.0, -30.0, 15.0, 12.0, 8.0, np.zeros(MODES - 5)]


def made_of(blue, red, slope, segments=None, half_width=6.0):
    """Optics of light between two ends, their segments 40 nm off if not given."""
    if segments is None:
        each = np.repeat((40.0, 20.0, 20.0), SEGMENTS // 3)
        segments = np.random.default_rng(8).normal(0, each)
    return Unfiltered(
        0.5 * (blue + red), red - blue, PIXEL, half_width, slope=slope, segments=tuple(segments)
    )


def library_of(optics):
    """Library of one field position."""
    data, _ = recenter(optics.image(BASE)[None], 4)
    return EPSFLibrary(data, [1023.5], [1023.5], 4, meta=META).normalized()


def test_waves_are_a_power_law_between_the_ends():
    optics = made_of(0.9, 3.0, 2.0)
    assert optics.ends == pytest.approx((0.9, 3.0))
    waves, divisors = np.array(optics._waves()).T
    assert waves.size == WAVELENGTHS
    assert np.sum(1 / divisors) == pytest.approx(1)
    edges = np.geomspace(0.9, 3.0, WAVELENGTHS + 1)
    light = -np.diff(1 / edges)  # integral of λ⁻² over each step
    np.testing.assert_allclose(1 / divisors, light / light.sum(), rtol=0.02)


def test_derivatives_are_those_of_the_image():
    """By the segments, one after the other, and by ends and slope."""
    optics, shift = made_of(0.9, 3.0, 1.0), (0.1, -0.2)
    image = optics.image(BASE, shift)
    told = [*optics.by_light(image, BASE, shift), *optics.by_segments(BASE, shift)]
    assert len(told) == optics.told_errors.size == 3 + SEGMENTS
    assert len(optics.field_errors) == len(optics.errors) + SEGMENTS
    for k in (0, 1, 2, 3, 20, 24, 40, 56):
        step = np.zeros(3 + SEGMENTS)
        step[k] = 0.02 if k < 3 else 1.0
        less, more = (optics.of_light(s * step).image(BASE, shift) for s in (-1, 1))
        true = (more - less) / (2 * step[k])
        assert np.abs(told[k] - true).max() < 0.01 * np.abs(true).max()


def test_light_stays_within_its_limits():
    optics = made_of(1.5, 1.8, 4.5)
    for _ in range(8):
        optics = optics.of_light(np.array([0.3, -0.3, 5.0]))
    assert optics.ends == pytest.approx((ENDS[0][1], ENDS[1][0]))
    assert optics.slope == SLOPES[1]
    assert optics.segments == made_of(1.5, 1.8, 4.5).segments
    assert optics.light == ", light of 1.60 to 1.70 µm that goes as λ^-5.0"


@pytest.mark.parametrize("light", [(0.95, 3.0, 0.0), (0.75, 4.6, 2.2)])
def test_an_epsf_tells_its_light_and_its_segments(light):
    true = library_of(made_of(*light))
    found = modes_of(true).wavefront
    assert found.misfit < 0.01
    np.testing.assert_allclose(found.optics.ends, light[:2], rtol=0.12)
    assert found.optics.slope == pytest.approx(light[2], abs=0.3)


def test_without_segments_the_model_is_farther_off(monkeypatch):
    """What they are told for: the Zernikes alone leave more than what a model is trusted with."""
    true = library_of(made_of(0.9, 3.0, 1.0))
    with_segments = modes_of(true).wavefront.misfit
    monkeypatch.setattr(Unfiltered, "SEGMENT_ERRORS", (1e-6,) * SEGMENTS)
    again = library_of(made_of(0.9, 3.0, 1.0))
    modes_of(again)
    assert again.__dict__[FOUND].misfit > 2 * with_segments


def test_a_filters_light_is_not_told():
    optics = Optics(1.5, 0.3, PIXEL, 6.0)
    assert optics.light == ""
    assert not optics.told_errors.size
    assert not optics.by_segments(BASE)
    np.testing.assert_array_equal(optics.field_errors, optics.errors)
