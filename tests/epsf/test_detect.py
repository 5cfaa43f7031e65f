"""Finding stars, and what is none."""

import numpy as np
import pytest
from scipy.spatial import cKDTree

from jwst_hpastrom.epsf import Image, find_stars, sky_map
from jwst_hpastrom.epsf.detect import detection_kernel
from jwst_hpastrom.epsf.kernels.detection import matched_filter
from jwst_hpastrom.errors import ParameterError
from tests.epsf.conftest import make_field


def matched(found, field, radius=0.7):
    """For each true star whether it was found."""
    return cKDTree(np.c_[found.x, found.y]).query(np.c_[field.x, field.y])[0] < radius


def test_matched_filter_against_least_squares(library):
    rng = np.random.default_rng(0)
    data = rng.normal(0, 1, (20, 24)).astype(np.float32)
    good = rng.uniform(size=data.shape) > 0.05
    data[~good] = 0
    kernel = detection_kernel(library)
    flux = np.empty(data.shape, np.float32)
    matched_filter(data, good, kernel, flux)
    h = kernel.shape[0] // 2
    for j in range(20):
        for i in range(24):
            rows = slice(max(j - h, 0), j + h + 1), slice(max(i - h, 0), i + h + 1)
            k = kernel[
                rows[0].start - j + h : min(j + h + 1, 20) - j + h,
                rows[1].start - i + h : min(i + h + 1, 24) - i + h,
            ]
            use = good[rows]
            design = np.stack([k[use], np.ones(use.sum())], 1)
            if np.isfinite(flux[j, i]):
                best = np.linalg.lstsq(design, data[rows][use].astype(float), rcond=None)[0][0]
                assert flux[j, i] == pytest.approx(best, abs=2e-5)


@pytest.mark.parametrize("known", [True, False])
def test_all_isolated_stars_and_nothing_else(grid_field, library, known):
    found = find_stars(grid_field.image, library if known else None, fwhm=1.9)
    assert len(found) == grid_field.x.size
    assert matched(found, grid_field).all()
    assert (np.diff(found.flux) <= 0).all()


def test_faint_stars_to_the_threshold(library):
    rng = np.random.default_rng(8)
    y, x = (g.ravel() + rng.uniform(-0.5, 0.5, 64) for g in np.mgrid[8:121:8j, 8:121:8j])
    # a matched filter's error at this noise is about 0.16
    field = make_field(x, y, np.full(64, 1.6), rng=rng)
    found = find_stars(field.image, library)
    assert matched(found, field, 1.0).mean() > 0.9
    assert len(found) < 66


def test_pure_noise_is_empty(library):
    for seed in range(4):
        field = make_field([], [], [], rng=np.random.default_rng(seed))
        assert len(find_stars(field.image, library)) <= 1


def test_hot_pixels_and_cosmic_rays_are_left_out(grid_field, library):
    rng = np.random.default_rng(4)
    data = grid_field.image.data.copy()
    far = cKDTree(np.c_[grid_field.x, grid_field.y])
    hits = [p for p in rng.integers(4, 124, (60, 2)) if far.query(p)[0] > 5]
    for i, j in hits:
        data[j, i] += 30
    image = Image(data, grid_field.image.err, grid_field.image.bad, grid_field.image.saturated)
    found = find_stars(image, library)
    assert matched(found, grid_field).all()
    assert len(found) - grid_field.x.size <= 0.1 * len(hits)


def test_bad_pixel_on_a_star_does_not_hide_it(grid_field, library):
    bad = np.zeros(grid_field.image.shape, bool)
    bad[np.rint(grid_field.y).astype(int), np.rint(grid_field.x).astype(int)] = True
    image = Image(np.where(bad, 0, grid_field.image.data), grid_field.image.err, bad, bad & False)
    found = find_stars(image, library)
    assert matched(found, grid_field, 1.0).mean() > 0.9


def test_saturated_core_is_one_star(library):
    field = make_field([60.3, 30.0], [64.1, 90.0], [5e4, 80.0], noise=0.02)
    saturated = field.image.data > 1000
    image = Image(
        np.where(saturated, 0, field.image.data), field.image.err, np.zeros(saturated.shape, bool), saturated
    )
    found = find_stars(image, library)
    near = np.hypot(found.x - 60.3, found.y - 64.1) < 4
    assert near.sum() == 1
    assert found.saturation_radius[near] > 1
    assert matched(found, field).all()


def test_frames_without_information(library):
    zero, yes = np.zeros((64, 64)), np.ones((64, 64), bool)
    for image in (
        Image(zero, zero + np.inf, yes, ~yes),
        Image(zero, zero + 1, ~yes, ~yes),
        Image(zero[:3, :3], zero[:3, :3] + 1, ~yes[:3, :3], ~yes[:3, :3]),
    ):
        assert len(find_stars(image, library)) == 0


def test_sky_mesh_ignores_stars_and_follows_gradients():
    rng = np.random.default_rng(2)
    field = make_field(*rng.uniform(0, 256, (2, 300)), np.full(300, 50.0), shape=(256, 256), rng=rng)
    ramp = np.linspace(0, 1, 256)
    image = Image(field.image.data + ramp, field.image.err, field.image.bad, field.image.saturated)
    mesh = sky_map(image, size=32)
    level = mesh.image(image.shape)
    inner = slice(40, 216)
    assert np.abs(level - 0.3 - ramp)[inner, inner].max() < 0.05
    assert np.median(mesh.sigma) == pytest.approx(np.hypot(0.05, np.sqrt(0.8 / 300)), rel=0.2)


def test_even_filter_is_refused(grid_field, library):
    with pytest.raises(ParameterError, match="reach=4"):
        find_stars(grid_field.image, library, reach=4)
