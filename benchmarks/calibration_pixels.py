"""Regimes of `calibration.py` with pixels: star fits with the ERR that pipelines give, and ePSF builds.

ERR is made of the noisy signal, as a ramp fit makes it. Stars are analytic, on a small detector.
"""

import logging
from contextlib import contextmanager

import numpy as np

from jwst_hpastrom.epsf import EPSFLibrary, Image, fit_stars
from jwst_hpastrom.epsf.build import build_library
from jwst_hpastrom.errors import DegenerateSolutionError

SIDE, SKY, READ, GAIN = 300, 0.3, 0.03, 400.0
MIDDLE = (SIDE - 1) / 2


def psi(dx, dy):
    """A sharp core and wings; the volume within 5 pixels is not 1."""
    r2, s = dx**2 + dy**2, 0.62
    return 0.9 * np.exp(-r2 / (2 * s**2)) / (2 * np.pi * s**2) + 0.1 * 3 / np.pi / 9 / (1 + r2 / 9) ** 2.5


def true_library():
    offset = (np.arange(101) - 50) / 4
    return EPSFLibrary(psi(offset, offset[:, None])[None], [MIDDLE], [MIDDLE], 4).normalized()


def picture(rng, x, y, flux):
    """An image of stars; its ERR knows of the signal only what it read."""
    light = np.zeros((SIDE, SIDE))
    for a, b, f in zip(x, y, flux, strict=True):
        i0, i1, j0, j1 = (
            max(int(a) - 16, 0),
            min(int(a) + 18, SIDE),
            max(int(b) - 16, 0),
            min(int(b) + 18, SIDE),
        )
        if i1 > i0 and j1 > j0:
            jj, ii = np.mgrid[j0:j1, i0:i1]
            light[j0:j1, i0:i1] += f * psi(ii - a, jj - b)
    signal = rng.poisson(GAIN * (light + SKY)) / GAIN
    data = signal + rng.normal(0, READ, light.shape)
    err = np.sqrt(READ**2 + np.maximum(data, 0) / GAIN)
    bad = rng.random(data.shape) < 0.002
    return Image(
        np.where(bad, 0, data).astype(np.float32), err.astype(np.float32), bad, np.zeros_like(bad), "made"
    )


def _volume(library):
    """Volume of `psi` over that of the library, whose volume within 5 pixels is 1."""
    return float(psi(0.0, 0.0) / library.evaluate(0.0, 0.0, MIDDLE, MIDDLE))


def star_fits(seed, snr=20.0, sky="annulus", trials=4):
    """Stars far from each other: pulls of positions, magnitudes and sky, and the mean flux's bias."""
    rng = np.random.default_rng([seed, 31])
    library = true_library()
    out = {}
    for _ in range(trials):
        y, x = (
            g.ravel() + rng.uniform(-0.5, 0.5, g.size)
            for g in np.mgrid[20 : SIDE - 20 : 24, 20 : SIDE - 20 : 24]
        )
        noise = np.sqrt(4 * np.pi * 0.8**2 * (READ**2 + SKY / GAIN))  # of a star that is all background
        flux = snr * (0.5 * snr / GAIN + np.sqrt((0.5 * snr / GAIN) ** 2 + noise**2))
        t = fit_stars(picture(rng, x, y, np.full(x.size, flux)), library, x, y, sky=sky)
        ok = np.isfinite(t["x_err"])
        true = flux * _volume(library)
        found = {
            "x_err": (t["x"] - x) / t["x_err"], "y_err": (t["y"] - y) / t["y_err"],
            "mag_err": (t["mag"] + 2.5 * np.log10(true)) / t["mag_err"],
            "sky_err": (t["sky"] - SKY) / t["sky_err"], "bias_flux_percent": 100 * (t["flux"] / true - 1),
            "of_snr": t["snr"],
        }  # fmt: skip
        for c, values in found.items():
            out.setdefault(c, []).append(np.asarray(values)[ok])
    return {c: np.concatenate(v) for c, v in out.items()}


@contextmanager
def warnings_of(name):
    """Messages of a logger while it runs."""
    log, messages = logging.getLogger(name), []
    handler = logging.Handler()
    handler.emit = lambda record: messages.append(record.getMessage())
    log.addHandler(handler)
    try:
        yield messages
    finally:
        log.removeHandler(handler)


def build(seed, exposures=4, whole_pixels=False, n=220):
    """An ePSF of few exposures: the true pixel-phase error, and what is said of it.

    ``mpx_true``, ``mpx_shown``, ``mpx_stated``: thousandths of a pixel, as it is, as residuals show it and as
    ``x_phase_error`` has it; ``over_stated``: true over stated; ``no_library``: it is refused; ``warned``:
    phases are named; ``unsaid``: nothing is known of them and nothing is said.
    """
    rng = np.random.default_rng([seed, 37])
    u, v = rng.uniform(-25, SIDE + 25, (2, n + 150))
    flux = np.r_[rng.uniform(60, 300, n), rng.uniform(2, 8, 150)]
    images, planes = [], []
    for _ in range(exposures):
        dx, dy = rng.uniform(-12, 12, 2)
        if whole_pixels:
            dx, dy = round(dx), round(dy)
        images.append(picture(rng, u + dx, v + dy, flux))
        planes.append(lambda x, y, dx=dx, dy=dy: (x - dx, y - dy))
    with warnings_of("stpipe.hpastrom.epsf") as told:
        try:
            result = build_library(
                images, planes, n_iterations=12, n_global=5, n_fitted=2, grid=1, mesh=50,
                min_exposures=min(3, exposures),
            )  # fmt: skip
        except DegenerateSolutionError:
            return {"no_library": np.array([1.0])}
    phases = np.arange(-0.45, 0.5, 0.1)
    at = [MIDDLE + p for p in phases]
    y = MIDDLE + 20.3 * (np.arange(10) - 4.5)
    perfect = np.zeros((SIDE, SIDE))
    jj, ii = np.mgrid[:SIDE, :SIDE]
    for a, b in zip(at, y, strict=True):
        perfect += 100 * psi(ii - a, jj - b)
    none = np.zeros_like(perfect, bool)
    image = Image(
        perfect.astype(np.float32), np.sqrt(READ**2 + perfect / GAIN).astype(np.float32), none, none, "made"
    )
    t = fit_stars(image, result.library, at, y)
    off = 1e3 * (np.asarray(t["x"]) - at)
    last = result.convergence[-1]
    warned = any("pixel phases" in m or "may keep" in m or "nothing tells" in m for m in told)
    stated = 1e3 * last["x_phase_error"]
    out = {
        "no_library": 0.0, "warned": float(warned), "mpx_true": off.std(), "mpx_shown": 1e3 * last["x_phase"],
        "unsaid": float(not (np.isfinite(stated) or warned)),
    }  # fmt: skip
    if np.isfinite(stated):
        out |= {"mpx_stated": stated, "over_stated": off.std() / stated}
    return {name: np.array([value]) for name, value in out.items()}


PARTS = {
    "pixels": [(star_fits, {"snr": q}) for q in (10.0, 17.0, 37.0, 80.0)]
    + [(star_fits, {"snr": 37.0, "sky": "fit"})],
    "builds": [(build, {"exposures": k}) for k in (1, 2, 3, 4)]
    + [(build, {"exposures": 4, "whole_pixels": True})],
}
FIELDS = {build: 4, star_fits: 2}
SHARES = {"of_snr", "warned", "no_library", "mpx_true", "mpx_shown", "mpx_stated", "unsaid"}
