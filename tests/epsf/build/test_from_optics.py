"""ePSFs learned as their difference from a model of the optics."""

import logging
from dataclasses import replace

import numpy as np
import pytest

from jwst_hpastrom.epsf import EPSFLibrary, Image
from jwst_hpastrom.epsf.build import build_library, from_optics, iterations
from jwst_hpastrom.epsf.build.from_optics import in_one_unit, positions_gain
from jwst_hpastrom.epsf.build.smoothing import recenter
from jwst_hpastrom.epsf.build.start import Difference
from jwst_hpastrom.epsf.wavefront.optics import MODES, Optics
from jwst_hpastrom.epsf.wavefront.unfiltered import SEGMENTS, Unfiltered
from jwst_hpastrom.instrument import filter_of

SIDE, STEP = 240, 25
META = {"instrument": "NIRISS", "detector": "NIS", "filter": "F115W"}
BASE = np.r_[25.0, -30.0, 15.0, 12.0, 8.0, np.zeros(MODES - 5)]
OVER_FIELD = np.r_[0.0, 10.0, -12.0, 8.0, 6.0, np.zeros(MODES - 5)]
#: the optics are tried in iteration 5
HOW = {"grid": 1, "n_global": 1, "n_iterations": 8, "n_fitted": 1, "mesh": 60, "brighter_fatter": 0.0}


def optics_library(off=0.0, width=1.0):
    """ePSFs of a wavefront that changes along x, ``off`` nm away, in a band ``width`` times as wide."""
    row = filter_of("F115W", "NIRISS")
    made = Optics(row.wavelength, width * row.width, 0.0656, 12.5)
    ends, places = np.array([0.0, SIDE - 1.0]), np.array([-1, 1, -1, 1])
    data, _ = recenter(np.array([made.image(BASE + off + u * OVER_FIELD) for u in places]), 4)
    return EPSFLibrary(data, ends, ends, 4, meta=META).normalized()


def dithered(library, seed=3, steps=((0.0, 0.0), (0.5, 0.3), (0.25, -0.4), (-0.3, 0.2))):
    rng = np.random.default_rng(seed)
    grid = np.arange(20, SIDE - 19, STEP, dtype=float)
    x, y = (p.ravel() + rng.uniform(-0.5, 0.5, p.size) for p in np.meshgrid(grid, grid))
    flux, images, planes, k = 10 ** rng.uniform(2.2, 3.3, x.size), [], [], np.arange(-12, 13)
    for dx, dy in steps:
        data = np.full((SIDE, SIDE), 0.25)
        for a, b, f in zip(x + dx, y + dy, flux, strict=True):
            i, j = round(a) + k, round(b) + k[:, None]
            data[j, i] += f * library.evaluate(i - a, j - b, a, b)
        err = np.sqrt(0.02**2 + np.maximum(data, 0) / 450)
        none = np.zeros(data.shape, bool)
        data = (data + rng.normal(0, err)).astype("f4")
        images.append(Image(data, err.astype("f4"), none, none.copy(), "made"))
        planes.append(lambda a, b, dx=dx, dy=dy: (a - dx, b - dy))
    return images, planes


@pytest.fixture(scope="module")
def field():
    return dithered(optics_library())


def corners(library):
    ends = (0.0, SIDE - 1.0)
    return np.array([library.at(u, v) for v in ends for u in ends])


def test_few_stars_learn_how_optics_vary_over_the_field(field, caplog):
    true = corners(optics_library())
    with caplog.at_level(logging.INFO, logger="stpipe.hpastrom"):
        told = build_library(*field, made_for=META, **HOW).library
    assert "taken: the difference from the model" in caplog.text
    blind = build_library(*field, **HOW).library
    off, before = (np.sqrt(np.mean((corners(b) - true)[:, 46:55, 46:55] ** 2)) for b in (told, blind))
    assert told.x.size == 3
    assert off < 0.35 * before


def test_the_stars_tell_the_width_of_the_band(monkeypatch):
    library = optics_library(width=1.6)
    true, off = corners(library), []
    for known in (False, True):
        if known:
            monkeypatch.setattr(Optics, "LIGHT_ERRORS", (0.02, 1e-6))
        found = build_library(*dithered(library), made_for=META, **HOW).library
        off.append(np.sqrt(np.mean((corners(found) - true)[:, 46:55, 46:55] ** 2)))
    assert off[0] < 0.8 * off[1]


def test_what_makes_positions_worse_leaves_no_trace(field, monkeypatch, caplog):
    """A model that is wrong is tried, and the build goes on as if it had not been."""

    def wrong(job, run, library, config):
        row = filter_of("F115W", "NIRISS")
        made = Optics(row.wavelength, row.width, 0.0656, 12.5, diffusion=0.1)
        data, _ = recenter(made.image(-2 * BASE)[None], 4)
        bad = EPSFLibrary(data, library.x, library.y, 4).normalized()
        run.stars.fit(job, bad)
        return bad, [bad, bad]

    monkeypatch.setattr(from_optics, "_learned", wrong)
    with caplog.at_level(logging.INFO, logger="stpipe.hpastrom"):
        kept = build_library(*field, made_for=META, **HOW).library
    assert "taken: the ePSF without it" in caplog.text
    monkeypatch.setattr(iterations, "learn_from_optics", lambda job, run, library, config: library)
    np.testing.assert_array_equal(kept.data, build_library(*field, made_for=META, **HOW).library.data)


@pytest.mark.parametrize("off", [0.0, 0.15])
def test_a_given_library_stays_where_positions_gain_nothing(off, field, monkeypatch, caplog):
    """What halves of the stars agree on may be noise, or an error that the positions have in common."""
    true = optics_library()
    core = np.exp(-0.5 * np.square(np.arange(-50, 51) / 2))
    start = replace(true, data=true.data * (1 + off * core * core[:, None])).normalized()

    def sure(difference, halves, n_stars):
        difference.power[0] = 0.04**2

    monkeypatch.setattr(Difference, "judge", sure)
    how = HOW | {"n_iterations": 3, "follow_wavefront": False}
    with caplog.at_level(logging.INFO, logger="stpipe.hpastrom"):
        result = build_library(*field, start=start, **how)
    made, last = result.library, result.convergence[-1]
    assert ("taken: the ePSF without it" in caplog.text) == (off == 0)
    assert [np.isnan(last[f"{a}_phase_error"]) for a in "xy"] == [off == 0] * 2  # the dithers told none
    assert bool(result.convergence.meta) == (off > 0)
    left, before = (np.abs(corners(lib) - corners(true)).max() for lib in (made, start))
    assert left < (0.5 * before if off else 1e-5)


def test_without_pixel_phases_a_given_library_still_follows_the_wavefront(caplog):
    start = optics_library(off=np.r_[10.0, 10.0, -10.0, 15.0, 5.0, np.zeros(MODES - 5)])
    true = optics_library()
    images, planes = dithered(true, steps=((0, 0), (1, 2), (-2, 1), (2, -1)))
    made = build_library(images, planes, start=start, **HOW | {"n_iterations": 3}).library
    assert "is kept, but for a wavefront that was followed: each star at one pixel phase" in caplog.text
    left, before = (np.abs(corners(lib) - corners(true)).max() for lib in (made, start))
    assert left < 0.3 * before


@pytest.mark.parametrize(
    ("gain", "given", "free", "taken"),
    [
        (0.003, True, False, True),
        (0.001, True, False, False),
        (-0.005, False, False, True),
        (-0.015, False, False, False),  # few stars at one set of positions: what scatters tells
        (-0.015, False, True, True),  # the noise of free field positions hides from the trial
        (-0.025, False, True, False),
        (-0.025, True, True, False),
    ],
)
def test_free_field_positions_must_be_better_by_more_than_the_trial_favors_them(gain, given, free, taken):
    assert from_optics._is_better(gain, 0.002, given, free) == taken
    assert not from_optics._is_better(0.0, 0.0, given, free=True)  # no dithers: nothing is told


def test_gain_is_of_what_positions_scatter_by():
    rng = np.random.default_rng(5)
    n, error = 4000, 0.01
    noise, odd = rng.normal(0, error, (2, n)), np.arange(n) % 2 == 1

    def squares(off):
        d = noise + off * np.sin(2 * np.pi * rng.uniform(size=(2, n)))
        d[0, 7], d[1, 9] = np.nan, 3.0  # no average; another star
        return np.repeat(np.square(d / error)[None], 2, 0)

    good, bad = squares(0.0), squares(0.004)
    gain, sigma = positions_gain(bad, good, odd)
    assert gain == pytest.approx(0.004**2 / 2 / error**2, abs=3 * sigma)
    assert gain > 2 * sigma
    assert positions_gain(good, bad, odd)[0] == pytest.approx(-gain)
    assert positions_gain(good, good, odd) == (0.0, 0.0)
    assert positions_gain(np.full((2, 2, n), np.nan), bad, odd) == (0.0, 0.0)


def test_noise_that_hides_in_the_stars_that_made_it_counts():
    """A library follows the noise of its stars, which scatter less for it; others scatter more."""
    rng = np.random.default_rng(6)
    n, power = 4000, 0.1
    odd = np.arange(n) % 2 == 1
    plain = np.square(rng.normal(0, 1, (2, n)))
    told = np.stack([odd, ~odd])[:, None]
    noisy = np.where(told, plain - power, plain + power)
    gain, _ = positions_gain(noisy, np.stack([plain, plain]), odd)
    assert gain == pytest.approx(power / 2, rel=0.1)  # of all stars: half as much as of half of them


def test_what_both_libraries_leave_counts_for_neither():
    """Distortion that the averages do not follow does not ask for the ePSF of larger errors."""
    rng = np.random.default_rng(7)
    n, odd = 1600, np.arange(1600) % 2 == 1
    error = 10 ** rng.uniform(-3, -2, n)  # pixels
    distortion, noise = rng.normal(0, 0.013, (2, n)), rng.normal(0, error, (2, n))
    phase = 0.004 * np.sin(2 * np.pi * rng.uniform(size=(2, n)))

    def left(off, wide):
        d, e = distortion + noise + off, np.broadcast_to(wide * error, (2, n))
        return np.repeat(np.square([d, e])[:, None], 2, 1)

    sharp, blunt = left(0.0, 1.0), left(phase, 1.03)
    gain, sigma = positions_gain(*in_one_unit(blunt, sharp), odd)
    assert gain > 0.5 * sigma
    own = [b[0] / b[1] for b in (blunt, sharp)]  # the sharper ePSF lost by its own errors
    assert positions_gain(*own, odd)[0] < gain - 10 * sigma
    same, _ = positions_gain(*in_one_unit(left(0.0, 1.03), sharp), odd)
    assert same == 0
    ours, _ = in_one_unit(sharp, sharp)
    assert np.median(ours) == pytest.approx(0.455, abs=0.03)


def unfiltered_library():
    """ePSFs of FGS: segments that stand 30 nm off, light that no library has told yet."""
    each = np.repeat((30.0, 15.0, 15.0), SEGMENTS // 3)
    segments = tuple(np.random.default_rng(8).normal(0, each))
    made = Unfiltered(2.0, 2.0, 0.0692, 12.5, slope=0.5, segments=segments)
    ends, places = np.array([0.0, SIDE - 1.0]), np.array([-1, 1, -1, 1])
    data, _ = recenter(np.array([made.image(BASE + u * OVER_FIELD) for u in places]), 4)
    return EPSFLibrary(data, ends, ends, 4).normalized()


def test_few_stars_learn_optics_without_a_filter(caplog):
    library = unfiltered_library()
    true, stars = corners(library), dithered(library)
    made_for = {"instrument": "FGS", "detector": "GUIDER1", "filter": "FGS"}
    with caplog.at_level(logging.INFO, logger="stpipe.hpastrom"):
        told = build_library(*stars, made_for=made_for, **HOW).library
    assert "taken: the difference from the model" in caplog.text
    blind = build_library(*stars, **HOW).library
    off, before = (np.sqrt(np.mean((corners(b) - true)[:, 46:55, 46:55] ** 2)) for b in (told, blind))
    assert off < 0.35 * before


def test_errors_that_repeat_with_every_pixel_are_those_of_the_difference_expected():
    """The twin draws differences and fits stars at every pixel phase with the library without them."""
    difference = Difference(optics_library(), 0.9)
    difference.power[0], difference.power[1] = 0.01**2, 0.004**2
    difference.doubt[0] = 0.003**2
    n, step, side = difference.start.data.shape[-1], difference.start.oversampling, difference.side
    power, rng, found = difference.power + difference.doubt, np.random.default_rng(8), []
    passed = np.zeros((side, side // 2 + 1))
    passed[:, : difference.spectrum.shape[1]] = difference.spectrum
    light = np.interp(difference.radius, (0.5, 1.5, 3, 4.5), np.sqrt([power[0, z] for z in range(4)]))
    more = np.interp(difference.radius, (0.5, 1.5, 3, 4.5), np.sqrt([2 * power[1, z] for z in range(4)]))
    mean = EPSFLibrary(difference.start.data.mean(0)[None], [0], [0], step)
    offset, pixels = (np.arange(n) - n // 2) / step, step * np.arange(-2, 3) + n // 2
    value, by_x, by_y = mean.evaluate(offset, offset[:, None], 0.0, 0.0, gradient=True)
    for _ in range(150):
        change = np.zeros((n, n))
        for spread in (light, more):
            waves = np.sqrt(passed) * np.fft.rfft2(rng.normal(size=(side, side)))
            change += spread * difference.light * np.fft.irfft2(waves, (side, side))[:n, :n]
        errors = np.zeros((2, step, step))
        for j, i in np.ndindex(step, step):
            at = np.ix_(pixels + j - step // 2, pixels + i - step // 2)
            noise = np.sqrt(value[at] + 0.001).ravel()
            design = np.stack([value[at], -by_x[at], -by_y[at]], -1).reshape(-1, 3)
            fit = np.linalg.lstsq(design / noise[:, None], change[at].ravel() / noise, rcond=None)[0]
            errors[:, j, i] = fit[1:]
        found.append([np.var(errors[0].mean(0)), np.var(errors[1].mean(1))])
    np.testing.assert_allclose(difference._phase_errors(), np.sqrt(np.mean(found, 0)), rtol=0.12)
