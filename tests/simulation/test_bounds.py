"""The Cramér–Rao bound and who is isolated."""

import numpy as np
import pytest

from jwst_hpastrom.errors import NotEnoughStarsError
from jwst_hpastrom.simulation import (
    NoiseConfig,
    OpticsConfig,
    cramer_rao,
    frame_bound,
    isolated,
    simulate_field,
)
from jwst_hpastrom.simulation._kernels import star_fisher


def _field(**kwargs):
    return simulate_field(
        size=256, n_exposures=1, n_stars=60, seed=4, optics=OpticsConfig(n_field=3, n_wavelengths=1), **kwargs
    )


def _fisher_twin(epsf, origin, x, y, flux, good, per, floor, half):
    """Central differences of the true PSF, summed pixel by pixel."""
    out = np.zeros((x.size, 3, 3))
    h = 1e-4
    for s in range(x.size):
        px, py = int(np.floor(x[s] + 0.5)), int(np.floor(y[s] + 0.5))
        for j in range(py - half, py + half + 1):
            for i in range(px - half, px + half + 1):
                if not (0 <= i < good.shape[1] and 0 <= j < good.shape[0] and good[j, i]):
                    continue

                def light(dx, dy, s=s, i=i, j=j):
                    return float(
                        epsf.evaluate(i - x[s] - dx, j - y[s] - dy, x[s] + origin[0], y[s] + origin[1])
                    )

                value = light(0, 0)
                g = np.array(
                    [
                        flux[s] * (light(h, 0) - light(-h, 0)) / (2 * h),
                        flux[s] * (light(0, h) - light(0, -h)) / (2 * h),
                        value,
                    ]
                )
                out[s] += np.outer(g, g) / (flux[s] * value / per + floor)
    return out


def test_core_against_twin():
    f = _field()
    t = f.exposures[0].truth[:8]
    x, y, flux = (np.asarray(t[c], float) for c in ("x", "y", "flux"))
    good = f.sensor.flag == 0
    args = (f.config.origin, x, y, flux, good, 300.0, 1e-3, 2)
    fast = np.zeros((8, 3, 3))
    star_fisher(f.epsf.grid, *args[:5], args[5:7], args[7], fast)
    np.testing.assert_allclose(fast, _fisher_twin(f.epsf, *args), rtol=1e-6, atol=1e-6 * fast.max())


def test_a_fit_with_the_true_psf_reaches_the_bound():
    # a slow, obvious least-squares fit of one star in many noise realizations
    f = _field(noise=NoiseConfig(cosmic_rays=0, bad_fraction=0, flat_error=0))
    e = f.exposures[0]
    x_err, y_err, flux_err = cramer_rao(e)
    inside = (np.abs(np.asarray(e.truth["x"]) - 128) < 100) & (np.abs(np.asarray(e.truth["y"]) - 128) < 100)
    k = np.flatnonzero(inside & (np.abs(e.truth["mag"] + 5) < 0.8))[0]
    x, y, flux = (float(e.truth[c][k]) for c in ("x", "y", "flux"))
    px, py = round(x), round(y)
    j, i = np.mgrid[py - 2 : py + 3, px - 2 : px + 3]
    x0, y0 = f.config.origin

    def light(dx, dy):
        return f.epsf.evaluate(i - x - dx, j - y - dy, x + x0, y + y0).ravel()

    h = 1e-3
    per, noise = f.config.noise.electrons, f.config.noise
    expected = (flux * light(0, 0) + noise.background) * per
    design = np.stack(
        [
            flux * (light(h, 0) - light(-h, 0)) / (2 * h),
            flux * (light(0, h) - light(0, -h)) / (2 * h),
            light(0, 0),
        ],
        1,
    )
    weight = 1 / ((expected + noise.read_noise**2) / per**2)
    rng = np.random.default_rng(1)
    data = (rng.poisson(expected, (4000, 25)) + rng.normal(0, noise.read_noise, (4000, 25))) / per
    solve = np.linalg.inv(design.T @ (weight[:, None] * design)) @ (design * weight[:, None]).T
    result = (data - expected / per) @ solve.T
    np.testing.assert_allclose(result.std(0), [x_err[k], y_err[k], flux_err[k]], rtol=0.04)


def test_bound_grows_for_fainter_stars_and_bad_pixels():
    e = _field().exposures[0]
    x_err, y_err, _ = cramer_rao(e)
    fine = np.isfinite(x_err) & np.isfinite(y_err)
    inside = (np.asarray(e.truth["x"]) > 2) & (np.asarray(e.truth["x"]) < 253)
    inside &= (np.asarray(e.truth["y"]) > 2) & (np.asarray(e.truth["y"]) < 253)
    assert fine[inside].mean() > 0.95
    mag = np.asarray(e.truth["mag"])
    assert np.median(x_err[fine & (mag < -6)]) < 0.5 * np.median(x_err[fine & (mag > -4)])
    wide = cramer_rao(e, half=3)[0]
    assert np.all(wide[fine] <= x_err[fine] * (1 + 1e-9))
    f = e.parent
    k = np.flatnonzero(fine & inside)[0]
    f.sensor.flag[round(e.truth["y"][k]), round(e.truth["x"][k])] = 1
    assert not cramer_rao(e)[0][k] <= x_err[k]


def test_groups_lost_to_saturation_are_missing_in_the_bound():
    """Two of five groups, one of four intervals, are left of the brightest star: errors grow as the root."""
    quiet = {"read_noise": 5.0, "cosmic_rays": 0.0, "bad_fraction": 0.0, "flat_error": 0.0}
    whole = _field(noise=NoiseConfig(**quiet, full_well=1e9)).exposures[0]
    x, y, mag = (np.asarray(whole.truth[c]) for c in ("x", "y", "mag"))
    inside = np.flatnonzero((np.minimum(x, y) > 5) & (np.maximum(x, y) < 250))
    k = inside[np.argmin(mag[inside])]
    i, j = round(x[k]), round(y[k])
    peak = whole.pixels.data[j, i] * whole.parent.config.noise.electrons
    lost = _field(noise=NoiseConfig(**quiet, full_well=0.5 * peak)).exposures[0]
    assert (lost.pixels.dq[j - 1 : j + 2, i - 1 : i + 2] == 2).all()
    ratio = cramer_rao(lost)[0] / cramer_rao(whole)[0]
    assert 0.9 * np.sqrt(4) < ratio[k] < np.sqrt(4)
    assert np.nanmedian(ratio) == 1.0


def test_isolated():
    from astropy.table import Table

    t = Table({"x": [10.0, 14.0, 50.0, 53.0, 90.0], "y": [10.0] * 5, "mag": [-6.0, -1.0, -5.0, -4.0, -3.0]})
    np.testing.assert_array_equal(isolated(t), [True, False, False, False, True])
    np.testing.assert_array_equal(isolated(t[4:]), [True])


def test_bound_of_a_frame_is_reached_by_least_squares():
    """Scatter of the best fit to many draws of the catalog's and the exposures' errors."""
    rng = np.random.default_rng(2)
    n, m = 200, 30
    x, y = rng.uniform(0, 2048, (2, n))
    error, reference = rng.uniform(0.002, 0.02, n), rng.choice(n, m, replace=False)
    bound = frame_bound(x, y, error, reference, 0.01, degree=2)
    p, q = (x - 1024) / 1024, (y - 1024) / 1024
    design = np.stack([p**i * q**j for i in range(3) for j in range(3 - i)], 1)
    w = (0.01**2 + error[reference] ** 2) ** -0.5
    inverse = np.linalg.pinv(design[reference] * w[:, None])
    own = rng.normal(0, 1, (2000, n)) * error
    catalog = rng.normal(0, 0.01, (2000, m))
    fitted = ((own[:, reference] - catalog) * w) @ inverse.T @ design.T
    others = np.setdiff1d(np.arange(n), reference)  # a reference star's own error is in the fit, too
    ratio = np.std(own - fitted, axis=0)[others] / bound[others]
    assert np.median(ratio) == pytest.approx(1.0, abs=0.02)
    more = frame_bound(x, y, error, reference, 0.01, degree=2, structure=0.03)
    assert np.all(more > np.hypot(bound, 0.03) - 1e-12)
    assert np.all(frame_bound(x, y, error, reference, 0.01, degree=1) <= bound + 1e-12)
    with pytest.raises(NotEnoughStarsError, match="for degree 3"):
        frame_bound(x, y, error, reference[:6], 0.01, degree=3)
