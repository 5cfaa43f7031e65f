"""Libraries that are not what they say: of another filter, turned, off the center."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from jwst_hpastrom.epsf import EPSFLibrary, Image, measure_stars
from jwst_hpastrom.epsf.build.smoothing import moved, recenter
from jwst_hpastrom.epsf.wavefront import warn_of_another_filter, warn_of_given
from jwst_hpastrom.epsf.wavefront.optics import MODES, Optics
from jwst_hpastrom.instrument import filter_of

META = {"instrument": "NIRISS", "detector": "NIS", "filter": "F150W"}
BASE = np.r_[25.0, -30.0, 15.0, 12.0, 8.0, np.zeros(MODES - 5)]
GHOST = 0.9, 0.35  # pixels: where light is that the model of the optics does not know


def made(band, nm=BASE, ghost=0.0, scale=1.0, step=4, **blur):
    row = filter_of(band, "NIRISS")
    optics = Optics(scale * row.wavelength, scale * row.width, 0.0656, 6.0, step, **blur)
    data = (1 - ghost) * optics.image(nm) + (ghost * optics.image(nm, GHOST) if ghost else 0.0)
    data, _ = recenter(data[None], step)
    return EPSFLibrary(data, [20.0], [20.0], step, meta=META | {"filter": band}).normalized()


def test_library_of_a_neighboring_filter_is_named(caplog):
    band, said, library = "F140M", "F150W", made("F140M", ghost=0.05, diffusion=0.3)  # 1.5 % off its model
    assert warn_of_another_filter(library, META | {"filter": said}) == band
    assert f"looks like one of {band}, not of {said}" in caplog.text
    caplog.clear()
    assert warn_of_another_filter(library, META | {"filter": said}) == band  # asked, and said, once
    assert not caplog.text


@pytest.mark.parametrize(
    "how",
    [{"nm": 1.4 * BASE, "diffusion": 0.25}, {"scale": 1.02}, {"ghost": 0.08, "diffusion": 0.3}, {"step": 5}],
)
def test_right_libraries_are_not_warned_of(how, caplog):
    library = made("F150W", **how)
    assert warn_of_another_filter(library, META) is None
    likelier, off = warn_of_given(library, {})
    assert likelier is None
    assert np.abs(off).max() < 0.01
    assert not caplog.text


def test_exchanged_axes_and_a_star_off_the_middle_are_named(caplog):
    library = made("F150W")
    assert warn_of_another_filter(replace(library, data=library.data.transpose(0, 2, 1)), META) is None
    assert "x and y exchanged" in caplog.text
    away = replace(library, data=moved(library.data[0], 0.5, 0.0)[None])
    _, off = warn_of_given(away, META)
    np.testing.assert_allclose(off, [0.125, 0], atol=0.03)
    assert "pixels (x, y) from its middle sample" in caplog.text
    caplog.clear()
    measure_stars(np.ones((40, 40)), away, err=np.ones((40, 40)))  # arrays say no filter
    assert not caplog.text  # said once


def test_fits_of_exposures_ask(caplog):
    library, none = made("F158M"), np.zeros((40, 40), bool)
    y, x = np.mgrid[:40, :40]
    data = 1e3 * library.evaluate(x - 20.2, y - 19.9, 20.0, 20.0)
    image = Image((data + 1e-3).astype("f4"), np.ones((40, 40), "f4"), none, none.copy(), "made")
    measure_stars(SimpleNamespace(image=image, meta=META), library)
    assert "looks like one of F158M, not of F150W" in caplog.text
