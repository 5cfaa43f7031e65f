"""Stars measured in many exposures at once, against the truth and the single exposures."""

import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest

from jwst_hpastrom.columns import MASTER, Flag
from jwst_hpastrom.distortion import DistortionCorrection, PixelMapCorrection
from jwst_hpastrom.epsf.brighter_fatter import charge_effect
from jwst_hpastrom.epsf.image import Image
from jwst_hpastrom.epsf.library import EPSFLibrary
from jwst_hpastrom.errors import ParameterError
from jwst_hpastrom.frame import build_master
from jwst_hpastrom.geometry import IdentityMapping, fit_linear, match_nearest
from jwst_hpastrom.measure import measure_many
from jwst_hpastrom.measure.passes import measure_tile
from jwst_hpastrom.measure.stack import HALO, LEAST_TILE, MARGIN, Field, _small_enough
from jwst_hpastrom.measure.tile import TileSettings
from jwst_hpastrom.storage import Store
from tests.measure.conftest import GAIN, NOISE, PLANE, SIZE, Scene


@pytest.fixture(scope="module")
def result(scene):
    return measure_many(scene.images, scene.library, scene.frame, tile_size=100)


def compare(scene, table):
    x, y = scene.truth()
    i, j, _ = match_nearest(table["x"], table["y"], x, y, 1.0)
    fit = fit_linear(np.asarray(table["x"])[i], np.asarray(table["y"])[i], x[j], y[j])
    u, v = fit.transform.forward(np.asarray(table["x"]), np.asarray(table["y"]))
    i, j, _ = match_nearest(u, v, x, y, 0.7)
    return i, j, u[i] - x[j], v[i] - y[j]


def test_positions_fluxes_and_errors(scene, result):
    table = result.table
    i, j, dx, dy = compare(scene, table)
    assert [c.name for c in MASTER if c.name not in table.colnames] == []
    inside = np.abs(scene.truth()[0] - 10000 - 75) < 60
    inside &= np.abs(scene.truth()[1] - 10000 - 75) < 60
    found = np.isin(np.arange(scene.mag.size), j)
    assert found[inside & (scene.mag < -2)].mean() > 0.97
    assert found[inside & (scene.mag < 0)].mean() > 0.8
    for d, e in ((dx, "x_err_formal"), (dy, "y_err_formal")):
        pull = d / np.asarray(table[e])[i]
        assert 1.4826 * np.median(np.abs(pull)) < 1.35
        assert np.median(np.abs(d[scene.mag[j] < -6])) < 0.002
    dm = np.asarray(table["mag"])[i] - scene.mag[j]
    assert abs(np.median(dm[scene.mag[j] < -4])) < 0.003
    assert np.nanmedian(table["x_err"] / table["x_err_formal"]) == pytest.approx(1, abs=0.25)


def test_fluxes_where_errors_follow_the_noise():
    """A ramp's variance has its own rate's noise: pixels that fluctuated down would weigh more."""
    off, error = [], []
    for seed in (1, 2):
        scene = Scene(seed, n_stars=120)
        images = [
            replace(i, err=np.sqrt(NOISE**2 + np.maximum(i.data, 0) / GAIN).astype(i.err.dtype))
            for i in scene.images
        ]
        table = measure_many(images, scene.library, scene.frame).table
        i, j, *_ = compare(scene, table)
        alone = np.asarray(table["flags"])[i] & int(Flag.CROWDED) == 0
        faint = alone & (scene.mag[j] > -5) & (scene.mag[j] < -1)
        off.append((np.asarray(table["mag"])[i] - scene.mag[j])[faint])
        error.append(np.asarray(table["mag_err"])[i][faint])
    off, weight = np.concatenate(off), np.concatenate(error) ** -2.0
    pull = np.average(off, weights=weight) * np.sqrt(weight.sum())
    assert abs(pull) < 3  # 4.6 by the observed light


def test_few_false_stars(scene, result):
    i, *_ = compare(scene, result.table)
    assert len(result.table) - i.size <= 0.03 * len(result.table)


def test_goes_deeper_than_a_single_exposure(scene):
    """A star at 2.5 sigma in each exposure is found in their sum."""
    deep = measure_many(scene.images, scene.library, scene.frame)
    one = measure_many(scene.images, scene.library, scene.frame, threshold=5 * np.sqrt(6))
    assert len(deep.table) > len(one.table)
    assert np.max(deep.table["mag"]) > np.max(one.table["mag"]) + 0.5


def test_tiles_and_executors_and_files_change_nothing(scene, result, tmp_path):
    with Store(0, tmp_path) as store, ThreadPoolExecutor(2) as pool:
        again = measure_many(
            scene.images, scene.library, scene.frame, tile_size=100, store=store, executor=pool
        ).table
        assert store.held == 0
        assert store.written == sum(8 * image.data.size for image in scene.images)
    for name in ("x", "y", "mag", "x_rms"):
        np.testing.assert_array_equal(again[name], result.table[name])
    lazy = [lambda k=k: scene.images[k] for k in range(len(scene.images))]
    whole = measure_many(lazy, scene.library, scene.frame, tile_size=1000).table
    i, _, d = match_nearest(whole["x"], whole["y"], again["x"], again["y"], 0.5)
    bright = np.asarray(whole["mag"])[i] < -4
    assert i.size > 0.95 * len(again)
    assert np.median(d[bright]) < 0.002


def test_stars_of_too_few_exposures_are_subtracted_but_not_listed(scene):
    """A bright star that the other exposures do not show is no clump of faint ones."""
    rng = np.random.default_rng(4)
    x, y = np.array([40.3]), np.array([55.7])
    images = []
    for e, (image, transform) in enumerate(zip(scene.images, scene.frame.transforms, strict=True)):
        data, err, bad = image.data.copy(), image.err.copy(), image.bad.copy()
        (u,), (v,) = transform.inverse(x + 10000, y + 10000)
        jj, ii = np.mgrid[: data.shape[0], : data.shape[1]]
        if e < 2:
            place = np.full(ii.shape, u), np.full(ii.shape, v)
            extra = 400.0 * scene.library.evaluate(ii - u, jj - v, *place)
            err = np.hypot(err, np.sqrt(extra / GAIN))
            data += extra + rng.normal(0, 1, extra.shape) * np.sqrt(extra / GAIN)
        else:
            bad |= np.hypot(ii - u, jj - v) < 7
        images.append(Image(data, err, bad, image.saturated, image.name))
    table = measure_many(images, scene.library, scene.frame).table
    near = np.hypot(np.asarray(table["x"]) - x - 10000, np.asarray(table["y"]) - y - 10000) < 7
    true = np.hypot(scene.x - x, scene.y - y) < 7
    assert near.sum() <= true.sum()


def test_magnitudes_beside_full_pixels(scene):
    """The full pixels' charge pushes light into their neighbors, and has no value that tells how much."""
    shift, charge, images = 5e-6, 50.0, []
    bright = scene.mag < -6
    for image, (x, y) in zip(scene.images, scene.places, strict=True):
        i, j = (np.rint(p[bright]).astype(int) for p in (x, y))
        on = (i >= 0) & (j >= 0) & (i < SIZE) & (j < SIZE)
        full = np.zeros(image.shape, bool)
        full[j[on], i[on]] = True
        data = np.where(full, 0, image.data + shift * charge_effect(image.data, charge, image.bad))
        images.append(replace(image, data=data, saturated=full & ~image.bad, charge=charge))
    table = measure_many(images, replace(scene.library, brighter_fatter=shift), scene.frame).table
    i, j, *_ = compare(scene, table)
    off = np.asarray(table["mag"])[i] - scene.mag[j]
    assert bright[j].sum() > 25
    assert abs(np.median(off[bright[j]])) < 0.001  # -0.0107 if no light is moved


def test_refusals(scene):
    with pytest.raises(ParameterError, match="found 2 images"):
        measure_many(scene.images[:2], scene.library, scene.frame)
    alone = build_master(scene.lists[:1], correction=IdentityMapping(), plane=PLANE)
    with pytest.raises(ParameterError, match="found one exposure"):
        measure_many(scene.images[:1], scene.library, alone)
    with pytest.raises(ParameterError, match="an odd number"):
        measure_many(scene.images, scene.library, scene.frame, fit_box=4)
    with pytest.raises(ParameterError, match="libraries"):
        measure_many(scene.images, [scene.library] * 2, scene.frame)


def test_many_exposures_have_smaller_tiles():
    """So that a tile's pixels stay what those of 50 exposures are, as far as tiles can be halved."""
    more = 2 * (HALO + MARGIN)
    assert _small_enough(512, 2) == _small_enough(512, 50) == 512
    for n in (100, 700):
        assert n * (_small_enough(512, n) + more) ** 2 == pytest.approx(50 * (512 + more) ** 2)
    assert _small_enough(512, 100_000) == LEAST_TILE
    assert _small_enough(48, 100_000) == 48


def test_memory_is_held_or_refused(scene, result, tmp_path):
    """Fewer tiles are in flight and pixels go to files, with the same stars; too little is an error."""
    cut, work, n = Field(scene.images, scene.library, scene.frame, 100, True).memory()
    assert n == len(scene.images)
    tile = Field(scene.images, scene.library, scene.frame, 100, True).stack(result.field.cores[0])
    assert cut == pytest.approx(8 * tile.data.size, rel=0.3)
    one = 2 * cut + (cut + work)
    for most, pending in ((7 * cut + 2 * work, 4), (one + 1, 1)):
        with Store(1e9, tmp_path, most, workers=2) as store, ThreadPoolExecutor(2) as pool:
            again = measure_many(
                scene.images, scene.library, scene.frame, tile_size=100, store=store, executor=pool
            )
            assert again.field.pending == pending
            assert store.held == 0
            np.testing.assert_array_equal(again.table["x"], result.table["x"])
        assert store.written > 0
    with (
        Store(1e9, tmp_path, one - 1, workers=2) as store,
        ThreadPoolExecutor(2) as pool,
        pytest.raises(ParameterError, match="too little memory.*that 6 exposures show, in 3 processes"),
    ):
        measure_many(scene.images, scene.library, scene.frame, tile_size=100, store=store, executor=pool)


def test_the_work_on_a_tile_takes_what_is_reckoned(scene):
    field = Field(scene.images, scene.library, scene.frame, SIZE, True)
    work = field.memory()[1]
    stack = field.stack(field.cores[0])
    measure_tile(stack, TileSettings())  # compiles
    tracemalloc.start()
    try:
        measure_tile(stack, TileSettings())
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < work
    assert work < 2 * peak


def test_epsfs_of_each_exposure_are_read_when_they_are_needed(scene, tmp_path):
    """With the same stars as from a list of them, and no spline of all of them in memory."""
    libraries = [replace(scene.library) for _ in scene.images]
    direct = measure_many(scene.images, libraries, scene.frame, tile_size=100).table
    with Store(0, tmp_path) as store:
        read = [lambda k=k: replace(libraries[k]) for k in range(len(libraries))]
        again = measure_many(scene.images, read, scene.frame, tile_size=100, store=store)
        assert all(library.path is not None for library in again.field.libraries)
    for name in ("x", "y", "mag"):
        np.testing.assert_array_equal(again.table[name], direct[name])
    with Store() as store:
        field = Field(scene.images, libraries, scene.frame, 100, True, store)
        field.stack(field.cores[0]).exposures()
        assert all("coefficients" not in vars(library()) for library in field.libraries)


def test_tiles_take_what_they_read(scene):
    """Of the ePSFs those around, of the distortion no errors; nothing where no star can be listed."""
    nodes, rng = np.linspace(0, SIZE - 1.0, 7), np.random.default_rng(5)
    data = np.repeat(scene.library.data[:1], 49, axis=0) * rng.uniform(0.9, 1.1, (49, 1, 1))
    library = EPSFLibrary(data, nodes, nodes, scene.library.oversampling)
    shape = (SIZE, SIZE)
    map_ = PixelMapCorrection(np.zeros((*shape, 2), np.float32), np.ones((*shape, 2)))
    frame = replace(scene.frame, corrections=[DistortionCorrection(pixel_map=map_, shape=shape)] * 6)
    field = Field(scene.images, library, frame, 30, True)
    stack = field.stack(field.cores[0])
    (part,) = stack.libraries
    assert len(part.data) <= 25
    for (i, j), (ny, nx) in zip(stack.origin, [stack.data.shape[1:]] * 6, strict=True):
        where = rng.normal(0, 1, (2, 50)), rng.uniform((i, j), (i + nx, j + ny), (50, 2)).T
        np.testing.assert_array_equal(*(v.evaluate(*where[0], *where[1]) for v in (part, library)))
    np.testing.assert_array_equal(stack.profile[1], library.radial_maximum[1])
    assert stack.to_raw[0].correction.pixel_map.errors is None
    assert len({id(t.correction) for t in stack.to_raw}) == 1
    assert field.stack(field.cores[0], 7) is None
