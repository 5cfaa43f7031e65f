"""Rendering, noise, flags."""

from dataclasses import replace

import numpy as np
import pytest

from jwst_hpastrom.epsf.exchange.charge import ramp_charge
from jwst_hpastrom.simulation import NoiseConfig, OpticsConfig
from jwst_hpastrom.simulation import detector as rooms
from jwst_hpastrom.simulation._kernels import add_stars
from jwst_hpastrom.simulation.optics import make_epsf

EPSF = make_epsf("F200W", np.random.default_rng(5), OpticsConfig(n_field=3, n_wavelengths=1))


def _add_stars_twin(image, epsf, x, y, field_x, field_y, flux, radius):
    """The obvious way: evaluate the PSF at every pixel."""
    j, i = np.indices(image.shape)
    for k in range(x.size):
        value = epsf.evaluate(i - x[k], j - y[k], field_x[k], field_y[k])
        near = (np.abs(i - np.floor(x[k] + 0.5)) <= radius[k]) & (
            np.abs(j - np.floor(y[k] + 0.5)) <= radius[k]
        )
        image += np.where(near, flux[k] * value, 0)


def test_core_against_twin():
    rng = np.random.default_rng(1)
    x, y = rng.uniform(-4, 64, (2, 12))
    field_x, field_y = rng.uniform(0, 2047, (2, 12))
    flux, radius = rng.uniform(1, 100, 12), rng.integers(5, 18, 12)
    fast, slow = np.zeros((60, 62)), np.zeros((60, 62))
    add_stars(fast, EPSF.grid, x, y, field_x, field_y, flux, radius)
    _add_stars_twin(slow, EPSF, x, y, field_x, field_y, flux, radius)
    np.testing.assert_allclose(fast, slow, atol=1e-10 * flux.max())


def test_noise_is_what_err_says():
    config = NoiseConfig(cosmic_rays=0, bad_fraction=0, hot_fraction=0)
    light = np.zeros((300, 300))
    light[100:200] = 8.0
    sensor = rooms.make_sensor(light.shape, config, np.random.default_rng(1))
    p = rooms.read_out(light, sensor, config, np.random.default_rng(2))
    pull = (p.data - light - config.background) / p.err
    for part in (pull[:100], pull[100:200]):
        assert abs(part.std() - 1) < 0.015
        # the variance comes from the noisy signal itself: a small, known bias
        assert abs(part.mean()) < 0.06
    np.testing.assert_allclose(p.err**2, p.var_poisson + p.var_rnoise + p.var_flat, rtol=1e-5)


def test_flags():
    config = NoiseConfig(cosmic_rays=2000, bad_fraction=0.01)
    light = np.zeros((200, 200))
    light[50, 50] = 1.2 * config.full_well / config.electrons
    light[60, 60] = 3.0 * config.full_well / config.electrons
    sensor = rooms.make_sensor(light.shape, config, np.random.default_rng(1))
    sensor.flag[[50, 60], [50, 60]] = 0
    one = rooms.read_out(light, sensor, config, np.random.default_rng(2))
    two = rooms.read_out(light, sensor, config, np.random.default_rng(3))
    assert one.dq[50, 50] & 3 == 2
    assert np.isfinite(one.data[50, 50])
    assert one.dq[60, 60] & 3 == 3
    assert np.isnan(one.data[60, 60])
    bad = (sensor.flag & 1) > 0
    assert 0.005 < bad.mean() < 0.015
    assert np.all(np.isnan(one.data[bad]))
    assert np.all(np.isnan(two.data[bad]))
    x, y, charge, flagged = one.cosmic_rays.T
    hit = np.zeros(light.shape, bool)
    hit[y[flagged == 1].astype(int), x[flagged == 1].astype(int)] = True
    np.testing.assert_array_equal((one.dq & 4) > 0, hit)
    silent = (flagged == 0) & (charge > 1000)
    assert silent.sum() > 3
    value = one.data[y[silent].astype(int), x[silent].astype(int)]
    value = value[np.isfinite(value)]
    assert np.all(value > config.background + 500 / config.electrons)


def test_reference_and_hot_pixels():
    config = NoiseConfig(cosmic_rays=0, bad_fraction=0, hot_fraction=0.01)
    sensor = rooms.make_sensor((100, 60), config, np.random.default_rng(1), origin=(0, 1948))
    border = np.zeros((100, 60), bool)
    border[96:] = border[:, :4] = True
    np.testing.assert_array_equal((sensor.flag >> 31) > 0, border)
    p = rooms.read_out(np.zeros((100, 60)), sensor, config, np.random.default_rng(2))
    assert np.isnan(p.data[border]).all()
    hot = (sensor.dark > 30) & ~border
    assert hot.sum() > 10
    assert not p.dq[hot].any()  # nothing tells of them
    rate = sensor.dark[hot] / config.gain * config.mjsr_per_dns
    np.testing.assert_allclose(p.data[hot] - config.background, rate, rtol=0.1)


def test_brighter_fatter_moves_light_to_neighbors():
    light = np.zeros((9, 9))
    light[4, 4] = 0.9 * NoiseConfig().full_well / NoiseConfig().electrons
    plain, wide = (
        rooms.read_out(
            light, rooms.make_sensor((9, 9), c, np.random.default_rng(1)), c, np.random.default_rng(2)
        ).data
        for c in (
            NoiseConfig(cosmic_rays=0, bad_fraction=0, hot_fraction=0, brighter_fatter=b) for b in (0, 0.2)
        )
    )
    lost = 1 - wide[4, 4] / plain[4, 4]
    # half of the charge on the average, half of the light, four boundaries
    assert abs(lost - 4 * 0.25 * 0.2 * 0.9) < 0.02
    gained = wide[[3, 5, 4, 4], [4, 4, 3, 5]].sum() - plain[[3, 5, 4, 4], [4, 4, 3, 5]].sum()
    assert abs(gained / (lost * plain[4, 4]) - 1) < 0.05


def test_groups_that_are_left_see_less_charge():
    """A pixel that is full after half of the groups has pushed half as much by then."""
    c = NoiseConfig(cosmic_rays=0, bad_fraction=0, hot_fraction=0, n_groups=8)
    light = np.zeros((9, 9))
    light[4, 4] = 1.9 * c.full_well / c.electrons  # four groups
    plain, wide = (
        rooms.read_out(
            light, rooms.make_sensor((9, 9), n, np.random.default_rng(1)), n, np.random.default_rng(2)
        ).data
        for n in (c, replace(c, brighter_fatter=0.1))
    )
    assert abs((1 - wide[4, 4] / plain[4, 4]) - 4 * 0.25 * 0.1 * 1.9 * 4 / 8) < 0.02


@pytest.mark.parametrize("n", [4, 5, 8])
def test_errors_of_fewer_groups_are_those_of_a_ramp_fit(n):
    """And so its Poisson variance tells how many groups were used."""
    c = NoiseConfig(cosmic_rays=0, bad_fraction=0, hot_fraction=0, flat_error=0, n_groups=n)
    light, used = np.zeros((100, 20 * n)), np.full((100, 20 * n), n)
    for g in range(2, n):  # columns, three apart, that are full after so many groups
        columns = np.arange(20 * g, 20 * g + 20)
        light[:, columns[1::3]] = c.full_well / c.electrons * n / (g + 0.5)
        used[:, columns] = g
    light[:, :20:3] = 0.4 * c.full_well / c.electrons
    sensor = rooms.make_sensor(light.shape, c, np.random.default_rng(1))
    p = rooms.read_out(light, sensor, c, np.random.default_rng(2))
    expected = (light + c.background) / c.electrons
    for g in range(2, n):
        at = np.s_[:, 20 * g + 1 : 20 * g + 18 : 3]
        np.testing.assert_allclose(p.var_poisson[at], expected[at] * (n - 1) / (g - 1), rtol=0.05)
        reads = (n**3 - n) / (g**3 - g)  # 12 σ² / (n³ - n), a slope through so many reads
        np.testing.assert_allclose(p.var_rnoise[at], (c.read_noise / c.electrons) ** 2 * reads, rtol=1e-5)
        pull = (p.data - light - c.background)[at] / p.err[at]
        assert abs(pull.std() - 1) < 0.1
    charge = ramp_charge(
        n, c.group_time, c.mjsr_per_dns, "MJy/sr", p.data, p.dq, ~np.isfinite(p.data), p.var_poisson
    )
    bright = light > 0
    whole = n * c.group_time / c.mjsr_per_dns
    np.testing.assert_allclose(charge[bright] * n / whole, used[bright], rtol=1e-5)
