"""Stars that lack core pixels are where whole stars of the same exposure say."""

from dataclasses import replace

import numpy as np
import pytest

from jwst_hpastrom.columns import Flag
from jwst_hpastrom.epsf import EPSFLibrary, Image, measure_stars

SIZE, HALF = 400, 12
OFF = 0.08  # pixels by which the exposure's wings are beside the library's


def epsf(off):
    """A core on broad wings, 4 x oversampled."""
    y, x = np.mgrid[-HALF * 4 : HALF * 4 + 1, -HALF * 4 : HALF * 4 + 1] / 4.0
    core, wing = (
        np.exp(-0.5 * (x**2 + (y - d) ** 2) / s**2) / (2 * np.pi * s**2) for s, d in ((0.75, 0), (2.5, off))
    )
    return EPSFLibrary((0.7 * core + 0.3 * wing)[None], [SIZE / 2], [SIZE / 2])


@pytest.fixture(scope="module")
def field():
    rng, truth = np.random.default_rng(5), epsf(OFF)
    k = np.arange(100)
    x, y = (30 + 36 * c + rng.uniform(-2, 2, 100) for c in (k % 10, k // 10))
    flux = np.where(k % 9 == 0, 9e5, rng.uniform(1e5, 4e5, 100))
    rows, columns = np.mgrid[:SIZE, :SIZE]
    data = np.full((SIZE, SIZE), 10.0)
    for a, b, f in zip(x, y, flux, strict=True):
        j, i = (slice(int(c) - 11, int(c) + 12) for c in (b, a))
        data[j, i] += f * truth.evaluate(columns[j, i] - a, rows[j, i] - b, a, b)
    err = np.sqrt(4 + data)
    data += rng.normal(0, err)
    bad, saturated = np.zeros(data.shape, bool), np.zeros(data.shape, bool)
    for a, b in zip(x[k % 9 == 0], y[k % 9 == 0], strict=True):
        saturated[round(b) - 1 : round(b) + 2, round(a) - 1 : round(a) + 2] = True
    hole = k % 9 == 4
    bad[np.rint(y[hole]).astype(int) + 1, np.rint(x[hole]).astype(int)] = True
    return x, y, flux, k, Image(data, err, bad, saturated, "drifted_cal.fits")


@pytest.mark.parametrize("mode", ["isolated", "catalog"])
def test_wings_that_moved_do_not_move_stars_without_core(field, mode, caplog):
    x, y, flux, k, image = field
    caplog.set_level("INFO", "stpipe.hpastrom")
    stars = measure_stars(image, epsf(0.0), mode=mode)
    near = np.hypot(stars["x"] - x[:, None], stars["y"] - y[:, None])
    m = near.argmin(1)
    assert near.min(1).max() < 0.3
    dx, dy = stars["x"][m] - x, stars["y"][m] - y
    dm = np.log(stars["flux"][m] / flux)
    whole, lost, hole = k % 9 % 4 != 0, k % 9 == 0, k % 9 == 4
    assert np.all(stars["flags"][m][lost] & int(Flag.SATURATED) > 0)
    for some in (lost, hole):
        for d, c in ((dx, "x_err"), (dy, "y_err")):
            z = (d[some] - np.median(d[whole])) / stars[c][m][some]
            assert np.sqrt(np.mean(z**2)) < 1.6
        assert abs(np.mean(dm[some]) - np.median(dm[whole])) < 0.003
        assert abs(np.mean(dy[some]) - np.median(dy[whole])) < 0.003
    assert "bright stars that lack core pixels are moved" in caplog.text


def test_few_whole_stars_are_in_the_errors(field):
    x, y, flux, k, image = field
    some = k % 10 == 0
    x, y, flux, k = x[some], y[some], flux[some], k[some]
    image = replace(image, **{c: getattr(image, c)[:, :48] for c in ("data", "err", "bad", "saturated")})
    stars = measure_stars(image, epsf(0.0), follow_wavefront=False)
    m = np.hypot(stars["x"] - x[:, None], stars["y"] - y[:, None]).argmin(1)
    whole, lost = k % 9 % 4 != 0, k % 9 == 0
    assert 0 < whole.sum() < 8
    dy, dm = stars["y"][m] - y, np.log(stars["flux"][m] / flux)
    for d, e in ((dy, stars["y_err"][m]), (dm, stars["mag_err"][m])):
        assert np.all(np.abs(d - np.median(d[whole]))[lost] < 2 * e[lost])


def test_nothing_moves_where_the_library_is_right(field):
    x, y, _, k, image = field
    stars = measure_stars(image, epsf(OFF))
    near = np.hypot(stars["x"] - x[:, None], stars["y"] - y[:, None])
    m = near.argmin(1)
    lost = k % 9 == 0
    z = np.r_[
        (stars["x"][m] - x)[lost] / stars["x_err"][m][lost],
        (stars["y"][m] - y)[lost] / stars["y_err"][m][lost],
    ]
    assert 0.5 < np.sqrt(np.mean(z**2)) < 1.4
    assert stars["y_err"][m][lost].max() < 0.01


@pytest.mark.parametrize("size", [9, 21])
def test_images_smaller_than_the_largest_box_are_measured(size):
    y, x = np.mgrid[:size, :size]
    middle = size // 2
    data = 1e5 * epsf(0.0).evaluate(x - middle, y - middle, middle, middle)
    none = np.zeros(data.shape, bool)
    bad = none.copy()
    bad[middle + 1, middle] = True
    stars = measure_stars(Image(data, np.ones(data.shape), bad, none, "small"), epsf(0.0), mode="isolated")
    assert len(stars) == 1
    assert abs(stars["x"][0] - middle) < 0.01
