"""Transformations and averages against scipy's and astropy's least squares."""

import warnings

import numpy as np
from astropy.modeling.fitting import LinearLSQFitter
from astropy.modeling.models import Polynomial2D
from astropy.table import Table
from scipy.optimize import least_squares, minimize_scalar
from scipy.stats import sigmaclip

from jwst_hpastrom.frame import build_master
from jwst_hpastrom.geometry import IdentityMapping, TangentPlane, fit_linear

N = 300


def pairs(seed):
    rng = np.random.default_rng(seed)
    x, y = rng.uniform(0, 2048, (2, N))
    sigma = rng.uniform(0.003, 0.03, N)
    u = 10000 - 1.05 * x + 0.73 * y + rng.normal(0, 1, N) * sigma
    v = 9000 + 0.74 * x + 1.06 * y + rng.normal(0, 1, N) * sigma
    return x, y, u, v, sigma


def test_six_parameters_against_scipy():
    x, y, u, v, sigma = pairs(1)
    fit = fit_linear(x, y, u, v, weights=1 / sigma**2, sigma=None)
    ours = np.array(fit.transform.forward(x, y))
    theirs = []
    for t in (u, v):
        s = np.array([1.0, 1e-3, 1e-3])
        solve = least_squares(
            lambda p, t=t, s=s: ((p * s) @ [np.ones(N), x, y] - t) / sigma, [t.mean(), 0, 0], method="lm",
            xtol=1e-15, ftol=1e-15, gtol=1e-15,
        )  # fmt: skip
        theirs.append((solve.x * s) @ [np.ones(N), x, y])
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-6)


def test_six_parameters_against_astropy():
    x, y, u, v, sigma = pairs(2)
    fit = fit_linear(x, y, u, v, weights=1 / sigma**2, sigma=None)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        models = [LinearLSQFitter()(Polynomial2D(1), x, y, t, weights=1 / sigma) for t in (u, v)]
    np.testing.assert_allclose(fit.transform.forward(x, y), [m(x, y) for m in models], rtol=0, atol=1e-6)


def test_four_parameters_against_scipy():
    x, y, u, v, sigma = pairs(3)
    fit = fit_linear(x, y, u, v, weights=1 / sigma**2, sigma=None, parameters=4)

    def model(p):
        a, b, c, d = p
        # this field is mirrored: determinant < 0
        return a + c * 1e-3 * x + d * 1e-3 * y, b + d * 1e-3 * x - c * 1e-3 * y

    def residual(p):
        fu, fv = model(p)
        return np.r_[(fu - u) / sigma, (fv - v) / sigma]

    solve = least_squares(residual, [1e4, 1e4, -1e3, 1e3], method="lm", xtol=1e-15, ftol=1e-15, gtol=1e-15)
    np.testing.assert_allclose(fit.transform.forward(x, y), model(solve.x), rtol=0, atol=1e-6)


def test_master_positions_against_an_independent_average():
    """A star is the weighted mean of its kept positions, each carried over by the transformations."""
    rng = np.random.default_rng(4)
    plane = TangentPlane(80.0, -69.0, 65.0)
    x, y, mag = rng.uniform(0, 2048, 400), rng.uniform(0, 2048, 400), rng.uniform(-8, -4, 400)
    lists = []
    for k in range(8):
        a, shift = np.deg2rad(rng.normal(0, 0.02)), rng.uniform(-80, 80, 2)
        px = np.cos(a) * x - np.sin(a) * y + shift[0] + rng.normal(0, 0.004, 400)
        py = np.sin(a) * x + np.cos(a) * y + shift[1] + rng.normal(0, 0.004, 400)
        ra, dec = plane.to_sky(*plane.from_pixels(x + 9000, y + 9000))
        error = rng.uniform(0.005, 0.007, 400)  # no less than the scatter: hardly any variance is added
        data = {"x": px, "y": py, "x_err": error, "y_err": error, "mag": mag, "ra": ra, "dec": dec}
        lists.append(Table(data, meta={"filename": f"{k}", "epoch": 2022.0}))
    frame = build_master(lists, correction=IdentityMapping(), plane=plane)
    m = frame.measurements
    u = np.empty(len(m))
    var = np.empty(len(m))
    for k, transform in enumerate(frame.transforms):
        s = np.asarray(m["exposure"]) == k
        u[s] = (
            transform.astropy_x
            if hasattr(transform, "astropy_x")
            else transform.forward(m["x"][s], m["y"][s])[0]
        )
        var[s] = np.asarray(lists[k]["x_err"])[m["row"][s]] ** 2
    stars = range(0, len(frame.table), 7)
    kept = [np.flatnonzero((np.asarray(m["star"]) == star) & np.asarray(m["used"])) for star in stars]

    def means(added):
        return np.array([np.average(u[s], weights=1 / (var[s] + added)) for s in kept])

    wanted = np.asarray(frame.table["x"])[list(stars)]
    added = minimize_scalar(lambda a: np.sum((means(a) - wanted) ** 2), (0, 1e-6), tol=1e-12).x  # one for all
    assert abs(added) < 0.01 * np.median(var)
    np.testing.assert_allclose(means(added), wanted, rtol=0, atol=1e-8)
    for star, mean in zip(stars, wanted, strict=True):
        s = np.asarray(m["star"]) == star
        keep = np.asarray(m["used"])[s]
        assert abs(np.std(u[s][keep], ddof=1) - frame.table["x_rms"][star]) < 1e-3
        clipped, *_ = sigmaclip(u[s], 4.0, 4.0)
        assert abs(clipped.mean() - mean) < 0.004
