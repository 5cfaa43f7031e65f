"""Wings of bright stars: speckles are no stars."""

from dataclasses import replace

import numpy as np
import pytest

from jwst_hpastrom.geometry import match_nearest
from jwst_hpastrom.measure import measure_many
from jwst_hpastrom.measure.stack import Field
from jwst_hpastrom.measure.wings import far_wings
from tests.measure.conftest import SIZE

SPECKLES = ((14.0, 3.0, 4e-4), (-9.0, -12.0, 6e-4), (-2.0, 18.0, 3e-4))  # dx, dy, share of the star's flux


def speckle_light(dx, dy):
    return sum(a * np.exp(-0.5 * ((dx - u) ** 2 + (dy - v) ** 2) / 0.8**2) for u, v, a in SPECKLES)


@pytest.fixture(scope="module")
def images(scene):
    """The scene's images with speckles beyond the border of its ePSF library."""
    jj, ii = np.mgrid[:SIZE, :SIZE]
    out = []
    for image, places in zip(scene.images, scene.places, strict=True):
        light = sum(f * speckle_light(ii - x, jj - y) for x, y, f in zip(*places, scene.flux, strict=True))
        out.append(replace(image, data=image.data + light))
    return out


def test_speckles_are_measured(scene, images):
    wings = far_wings(Field(images, scene.library, scene.frame, 512, True))
    for dx, dy, share in SPECKLES:
        for u, v in ((0, 0), (0.4, -0.3), (1.5, 0)):
            got = wings.evaluate(dx + u, dy + v, 0.0, 0.0)
            assert got == pytest.approx(speckle_light(dx + u, dy + v), abs=0.2 * share)
    dx, dy = np.random.default_rng(1).uniform(-25, 25, (2, 400))
    free = np.hypot(dx, dy) > 4
    for u, v, _ in SPECKLES:
        free &= np.hypot(dx - u, dy - v) > 4
    assert np.abs(wings.evaluate(dx, dy, 0.0, 0.0))[free].max() < 1e-4


def test_speckles_are_no_stars_and_stars_stay(scene, images, monkeypatch):
    def false_and_found():
        table = measure_many(images, scene.library, scene.frame).table
        i, *_ = match_nearest(table["x"], table["y"], *scene.truth(), 1.0)
        return len(table) - i.size, i.size

    false, found = false_and_found()
    assert false <= 0.03 * found
    assert found >= match_nearest(*_plain(scene), *scene.truth(), 1.0)[0].size - 1
    monkeypatch.setattr("jwst_hpastrom.measure.wings.LEAST", 1000)
    assert false_and_found()[0] > false + 20


def _plain(scene):
    table = measure_many(scene.images, scene.library, scene.frame).table
    return table["x"], table["y"]


def test_too_few_stars_have_no_wings(scene, images):
    few = replace(scene.frame, table=scene.frame.table[:10])
    assert far_wings(Field(images, scene.library, few, 512, True)) is None
