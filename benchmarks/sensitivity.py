"""Claim: constants without a source do not decide results: what half and twice each changes on small scenes.

    python benchmarks/sensitivity.py [--parts build passes light]

``build``: damping of a library's corrections (``FIELD_DAMPING``, ``RIDGE``); core error of the library
against the truth. ``passes``: what marks residual peaks as a galaxy's light (``CONTRAST``, ``HALO``,
``TOO_MANY``); stars found, and entries where no star is. ``light``: ``WINGS``; share of a dense field's stars
whose error it changes by more than a tenth.
"""

import argparse
import warnings
from contextlib import contextmanager

import numpy as np
from scipy.spatial import cKDTree

from jwst_hpastrom.columns import Flag
from jwst_hpastrom.epsf import measure_stars, passes
from jwst_hpastrom.epsf.build import build_library, field_positions, iterations, start
from jwst_hpastrom.epsf.image import Image
from jwst_hpastrom.epsf.library import EPSFLibrary
from jwst_hpastrom.epsf.stamps import samples
from jwst_hpastrom.frame.systematics import light
from jwst_hpastrom.simulation import simulate_field

FACTORS = (1.0, 0.5, 2.0)


@contextmanager
def changed(modules, name, value):
    """Another value of a constant in all modules that use it."""
    before = [getattr(m, name) for m in modules]
    for m in modules:
        setattr(m, name, value)
    try:
        yield
    finally:
        for m, old in zip(modules, before, strict=True):
            setattr(m, name, old)


def vary(modules, name, result):
    """Print the result at each multiple of a constant."""
    middle = getattr(modules[0], name)
    for factor in FACTORS:
        value = type(middle)(round(middle * factor)) if isinstance(middle, int) else middle * factor
        with changed(modules, name, value):
            print(f"{name:14s} {value:<7g} {result()}", flush=True)


def build():
    field = simulate_field(
        size=320, n_exposures=9, n_stars=820, mag_bright=-8.5, mag_faint=-2.0, mag_slope=0.28
    )
    planes, offset = [e.to_plane for e in field.exposures], (np.arange(101) - 50) / 4
    near = np.hypot(offset, offset[:, None]) < 2

    def result():
        library = build_library(field.images, planes, n_iterations=10, n_global=4, n_fitted=2).library
        errors = []
        for k, psf in enumerate(library.data):
            x = library.x[k % library.x.size] + field.config.origin[0]
            y = library.y[k // library.x.size] + field.config.origin[1]
            true = field.epsf.evaluate(offset, offset[:, None], x, y)
            true = true / (true[np.hypot(offset, offset[:, None]) <= 5].sum() / 16)
            errors.append((psf - true)[near] / true.max())
        return f"core error {100 * np.sqrt(np.mean(np.square(errors))):.3f} % of the peak"

    vary((samples,), "FIELD_DAMPING", result)
    vary((start, iterations, field_positions), "RIDGE", result)


def scene(n_stars=1500, n_galaxies=40, size=512, seed=4):
    """A crowded field with galaxies of exponential profile; its image, library, stars and galaxies."""
    field = simulate_field(size=size, n_exposures=1, n_stars=n_stars, mag_faint=-2.0, seed=seed)
    exposure = field.exposures[0]
    rng, image = np.random.default_rng(seed), exposure.image
    x, y = rng.uniform(20, size - 20, (2, n_galaxies))
    jj, ii = np.mgrid[:size, :size]
    data = np.array(image.data, float)
    for a, b, r in zip(x, y, rng.uniform(1.5, 6, n_galaxies), strict=True):
        data += 10 ** rng.uniform(1.6, 3.4) * np.exp(-np.hypot(ii - a, jj - b) / r) / (2 * np.pi * r**2)
    image = Image(data.astype(np.float32), image.err, image.bad, image.saturated, "made")
    middle = np.array([(size - 1) / 2])
    offset = (np.arange(101) - 50) / 4
    psf = field.epsf.evaluate(offset, offset[:, None], *(middle[0] + np.array(field.config.origin)))
    psf = psf / (psf[np.hypot(offset, offset[:, None]) <= 5].sum() / 16)
    library = EPSFLibrary(psf[None].astype(np.float32), middle, middle)
    return image, library, exposure.truth, np.c_[x, y]


def find():
    image, library, truth, galaxies = scene()
    bright = truth[np.asarray(truth["mag"]) < -3.0]

    def result():
        found = measure_stars(image, library, mode="catalog")
        at, extended = np.c_[found["x"], found["y"]], np.asarray(found["flags"]) & int(Flag.EXTENDED) != 0
        star = cKDTree(at[~extended]).query(np.c_[bright["x"], bright["y"]])[0] < 0.5
        d = cKDTree(np.c_[truth["x"], truth["y"]]).query(at)[0]
        of_galaxy = cKDTree(galaxies).query(at)[0] < 12
        off = cKDTree(at).query(np.c_[bright["x"], bright["y"]])[0][star]
        false = [np.sum((d > 1) & where) for where in (of_galaxy & ~extended, ~of_galaxy)]
        return (
            f"stars above -3 found {100 * star.mean():.1f} %, off by {np.median(off):.5f} px; entries at no "
            f"star: {false[0]} in galaxies, {false[1]} elsewhere"
        )

    for name in ("CONTRAST", "HALO", "TOO_MANY"):
        vary((passes,), name, result)


def wings():
    rng = np.random.default_rng(1)
    x, y = rng.uniform(0, 2048, (2, 30000))
    mag = -1.5 - rng.exponential(1.6, x.size).clip(0, 7)
    flags = np.full(x.size, int(Flag.SUBTRACTED))
    own = 0.002 * np.sqrt(1 + 10 ** (0.4 * (mag + 5)))
    middle = np.hypot(own, light.light_errors(x, y, mag, flags, "F150W", 1.0))

    def result():
        total = np.hypot(own, light.light_errors(x, y, mag, flags, "F150W", 1.0))
        ratio = total / middle
        more = 100 * np.mean(abs(ratio - 1) > 0.1)
        return f"median error x {np.median(ratio):.3f}; changed by a tenth: {more:.1f} %"

    vary((light,), "WINGS", result)


PARTS = {"light": wings, "passes": find, "build": build}


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--parts", nargs="*", default=list(PARTS), choices=list(PARTS))
    for part in parser.parse_args().parts:
        PARTS[part]()


if __name__ == "__main__":
    warnings.simplefilter("ignore", RuntimeWarning)
    main()
