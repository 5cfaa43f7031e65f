"""Claim: of few stars in four dithers, and of a given library 30 nm off, ePSFs are what an ideal one leaves.

    python benchmarks/sparse_epsfs.py [--filter F115W] [--stars 420 40] [--fields 1] [--wrong 0]

Four dithered exposures of isolated stars of magnitude -9.5 to -4, rendered with the optics' own ePSFs: the
wavefront changes linearly over the field and drifts by 3 nm from exposure to exposure; flat-field errors of
0.3 % a pixel stay. By magnitude the scatter of positions over their Cramér-Rao errors is printed (x, y), a
linear transformation of each exposure taken out, for the same stars measured with

- the true ePSF of each exposure (the yardstick: no ePSF does better on these stars), and the same with the
  pixels divided by their true flat field,
- a library built from them,
- a given library whose wavefront is 30 nm off, moved by the fit alone (``follow_wavefront``),
- a library built from them that starts with the given one.

The ePSFs' own errors follow, in pixels: noise-free shifts of stars at random places, RMS over x and y, with
the libraries as they are (the given one before it follows anything).

With ``--wrong 0.05``, 5 % of the light of all stars lies at 0.9 and 0.35 pixels (x, y) from the rest, which
the package's model of the optics does not know: it is 2 % of the light off then (0.02: 1.1 %; 0.1: 3.1 %).
"""

import argparse
from dataclasses import replace

import numpy as np

from jwst_hpastrom.epsf import EPSFLibrary, Image, measure_stars
from jwst_hpastrom.epsf.build import build_library
from jwst_hpastrom.epsf.build.smoothing import recenter
from jwst_hpastrom.epsf.wavefront.optics import MODES, Optics
from jwst_hpastrom.errors import HPAstromError
from jwst_hpastrom.instrument import filter_of
from jwst_hpastrom.numerics import robust_sigma

PIXEL = 0.0656  # arcsec: NIRISS
SIDE, MARGIN, APART = 1024, 25, 22
FILLED = 0.3  # of the field by disks around stars, which are less apart where there are many
GHOST = 0.9, 0.35  # pixels: where the light is that no optics make
BASE = np.r_[25.0, -30.0, 15.0, 12.0, 8.0, np.zeros(MODES - 5)]
NODES = 9  # along each axis: what lies between 3, joined bilinearly, is 0.4 % lower than optics make
OVER_FIELD = np.zeros((2, MODES))
OVER_FIELD[0, :4], OVER_FIELD[1, 1:5] = (18, 14, -12, 10), (18, 14, -12, 10)
OFF = np.r_[20.0, 18.0, 10.0, -16.0, 12.0, np.zeros(MODES - 5)]  # 35 nm RMS: of the given library
DRIFT = 3.0
READ, SLOPE, FLAT, SKY = 5e-4, 2.5e-3, 0.003, 0.25  # variance of a pixel: READ + SLOPE value, (MJy/sr)²
DITHERS = ((0.0, 0.0), (31.4, 12.7), (-22.8, 28.2), (11.6, -35.1))
BINS = ((-9.5, -7.5), (-7.5, -6.5), (-6.5, -5.0), (-5.0, -4.0))
LUMINOSITY = 0.3  # of log10 of the number of stars a magnitude
BOX, WIDE = np.arange(-2, 3), np.arange(-12, 13)


def library(band, nm, wrong=0.0, nodes=NODES):
    """ePSFs of a wavefront that changes over the field, at some positions, and a share of ghosts."""
    row = filter_of(band, "NIRISS")
    optics = Optics(row.wavelength, row.width, PIXEL, 12.5)
    at = np.linspace(-1, 1, nodes)
    waves = [nm + np.array([u, v]) @ OVER_FIELD for v in at for u in at]
    data = np.array([(1 - wrong) * optics.image(w) for w in waves])
    if wrong:
        data += [wrong * optics.image(w, GHOST) for w in waves]
    data, _ = recenter(data, 4)
    at = np.linspace(0, SIDE - 1, nodes)
    meta = {"instrument": "NIRISS", "detector": "NIS", "filter": band}
    return EPSFLibrary(data, at, at, 4, meta=meta).normalized()


def field(n, rng):
    """Places of isolated stars, and their magnitudes."""
    places, free = np.empty((0, 2)), SIDE - 2 * MARGIN - 80
    apart = min(APART, np.sqrt(4 * FILLED / np.pi / n) * free)
    while len(places) < n:
        new = rng.uniform(MARGIN + 40, SIDE - MARGIN - 40, 2)
        if not len(places) or np.hypot(*(places - new).T).min() > apart:
            places = np.vstack([places, new])
    mag = np.log10(rng.uniform(10 ** (-9.5 * LUMINOSITY), 10 ** (-4 * LUMINOSITY), n)) / LUMINOSITY
    return places.T, mag


def around(x, y, box):
    i, j = np.rint(x).astype(int)[:, None] + box, np.rint(y).astype(int)[:, None] + box
    return i[:, None, :], j[:, :, None]


def light(psf, x, y, box, **how):
    i, j = around(x, y, box)
    a, b = x[:, None, None], y[:, None, None]
    return psf.evaluate(i - a, j - b, a, b, **how)


def expose(psf, x, y, flux, flat, rng):
    data = np.full((SIDE, SIDE), SKY)
    i, j = around(x, y, WIDE)
    np.add.at(data, np.broadcast_arrays(j, i), flux[:, None, None] * light(psf, x, y, WIDE))
    err = np.sqrt(READ + SLOPE * np.maximum(data, 0))
    none = np.zeros(data.shape, bool)
    return Image((data * flat + rng.normal(0, err)).astype("f4"), err.astype("f4"), none, none.copy(), "made")


def back_and_errors(psf, x, y, flux):
    """Matrices that take pixels to (flux, x, y), and Cramér-Rao errors of x and y."""
    value, by_x, by_y = light(psf, x, y, BOX, gradient=True)
    z = flux[:, None, None]
    design = np.stack([value, -z * by_x, -z * by_y], -1).reshape(x.size, -1, 3)
    weight = 1 / (READ + SLOPE * (SKY + np.maximum(z * value, 0))).reshape(x.size, -1, 1)
    inverse = np.linalg.inv(design.transpose(0, 2, 1) @ (weight * design))
    return inverse @ (design * weight).transpose(0, 2, 1), np.sqrt(np.einsum("nkk->nk", inverse)[:, 1:])


def offsets(table, x, y):
    """Measured less true positions, a linear transformation taken out; NaN where there is no star."""
    k = np.array([np.argmin(np.hypot(table["x"] - a, table["y"] - b)) for a, b in zip(x, y, strict=True)])
    d = np.stack([table["x"][k] - x, table["y"][k] - y], 1)
    return np.where(np.hypot(*d.T)[:, None] < 0.5, d, np.nan)


def straightened(d, x, y, error):
    basis = np.c_[np.ones(x.size), x / SIDE, y / SIDE]
    out = np.full(d.shape, np.nan)
    for c in (0, 1):
        good = np.isfinite(d[:, c])
        for _ in range(3):
            w = good / error[:, c]
            fit = np.linalg.lstsq(basis * w[:, None], np.nan_to_num(d[:, c]) * w, rcond=None)[0]
            out[:, c] = (d[:, c] - basis @ fit) / error[:, c]
            good = np.abs(np.nan_to_num(out[:, c], nan=99.0)) < 4 * max(1.0, robust_sigma(out[good, c]))
    return out


def own_error(psf, true, rng):
    """RMS of noise-free shifts of stars of magnitude -6, pixels, without what is linear over the field."""
    x, y = rng.uniform(MARGIN, SIDE - MARGIN, (2, 400))
    flux = np.full(400, 10 ** (0.4 * 6.0))
    back, error = back_and_errors(psf, x, y, flux)
    off = flux[:, None, None] * (light(true, x, y, BOX) - light(psf, x, y, BOX))
    shift = (back @ off.reshape(400, -1, 1))[:, 1:, 0]
    return np.sqrt(np.mean(np.square(straightened(shift, x, y, error) * error)))


def measured(band, n, seed, wrong):
    """Rows of offsets in Cramér-Rao errors for each kind of ePSF, their magnitudes, and the ePSFs' errors."""
    rng = np.random.default_rng(seed)
    (x, y), mag = field(n, rng)
    flux, flat = 10 ** (-0.4 * mag), 1 + rng.normal(0, FLAT, (SIDE, SIDE))
    drifts = np.cumsum(np.c_[rng.normal(0, DRIFT / np.sqrt(5), (4, 5)), np.zeros((4, MODES - 5))], axis=0)
    true = [library(band, BASE + nm, wrong) for nm in drifts]
    given = library(band, BASE + OFF, wrong, nodes=5)
    at = [(x + dx, y + dy) for dx, dy in DITHERS]
    images = [expose(p, *place, flux, flat, rng) for p, place in zip(true, at, strict=True)]
    planes = [lambda a, b, dx=dx, dy=dy: (a - dx, b - dy) for dx, dy in DITHERS]
    kinds = {"true ePSF": true, "true ePSF and flat": true, "given, followed": [given] * 4}
    for name, how in {"own": {"made_for": given.meta}, "own from given": {"start": given}}.items():
        try:
            kinds[name] = [build_library(images, planes, brighter_fatter=0.0, **how).library] * 4
        except HPAstromError as error:
            print(f"{band} {n} stars, {name}: {error}")
    mean = library(band, BASE + drifts.mean(0), wrong)
    out, errors = {}, {}
    for name, each in kinds.items():
        follow, rows = each is not true, []
        seen = [replace(i, data=i.data / flat) for i in images] if name.endswith("flat") else images
        for psf, exact, image, place in zip(each, true, seen, at, strict=True):
            error = back_and_errors(exact, *place, flux)[1]
            d = offsets(measure_stars(image, psf, mode="catalog", follow_wavefront=follow), *place)
            rows.append(straightened(d, *place, error))
        out[name] = np.concatenate(rows)
        errors[name] = 0.0 if each is true else own_error(each[0], mean, np.random.default_rng(1))
    return out, np.tile(mag, 4), errors


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--filter", default="F115W")
    parser.add_argument("--stars", nargs="+", type=int, default=[420, 40])
    parser.add_argument("--fields", type=int, default=1)
    parser.add_argument("--wrong", type=float, default=0.0)
    args = parser.parse_args()
    print("scatter/CR of positions (x y), at magnitudes", *(f"{a:g}...{b:g}" for a, b in BINS))
    for n in args.stars:
        found = [measured(args.filter, n, seed, args.wrong) for seed in range(args.fields)]
        for name in found[0][0]:
            with_it = [f for f in found if name in f[0]]
            pulls = np.concatenate([f[0][name] for f in with_it])
            mag = np.concatenate([f[1] for f in with_it])
            bins = [np.isfinite(pulls[:, 0]) & (mag >= a) & (mag < b) for a, b in BINS]
            each = (
                f"{robust_sigma(pulls[k, 0]):.2f} {robust_sigma(pulls[k, 1]):.2f} (n={k.sum()})" for k in bins
            )
            error = 1e4 * np.mean([f[2][name] for f in with_it])
            print(f"{args.filter} {n} stars, {name}:", *each, f"own error {error:.1f}e-4 px", flush=True)


if __name__ == "__main__":
    main()
