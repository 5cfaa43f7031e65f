"""Star lists of a visit of a camera of several detectors, with known truth."""

import numpy as np
from astropy.table import Table

from jwst_hpastrom.geometry import TangentPlane
from jwst_hpastrom.instrument import INSTRUMENTS

PLANE = TangentPlane(80.4875, -69.4975)
SCALE = 31.1  # mas a pixel
SIZE = 2048
#: middles (arcsec), turn (degrees) and scale of the detectors about the camera's middle, x to the left
LAYOUT = {"NRCB1": (-34.2, 33.8, 0.4, 1.0), "NRCB2": (-34.0, -33.9, 0.85, 1.004),
          "NRCB3": (33.9, 33.7, -0.45, 0.998), "NRCB4": (34.1, -34.0, -0.34, 1.003)}  # fmt: skip
#: what the WCS mistakes of that: shift (arcsec), turn (degrees), scale
WRONG = {"NRCB1": (0.0, 0.0, 0.0, 0.0), "NRCB2": (0.006, -0.004, 0.001, 1e-5),
         "NRCB3": (-0.008, 0.003, -0.0015, -1e-5), "NRCB4": (0.004, 0.007, 0.001, 2e-5)}  # fmt: skip
#: other detectors, by the instrument table, from the same middle: the other module, and the long wave of both
FARTHER = {n: (d.v2 + 88.0, d.v3 + 491.5, d.angle, d.scale / 0.0311)
           for n, d in INSTRUMENTS["NIRCAM"].detectors.items() if n not in LAYOUT}  # fmt: skip
MISTAKES = {n: (0.005 * np.cos(k), 0.005 * np.sin(2 * k), 0.001 * np.cos(3 * k), 1e-5 * np.sin(k))
            for k, n in enumerate(FARTHER)}  # fmt: skip
EPOCH = 2022.33


def stars_of(rng, density=0.25, half=90.0):
    n = int(density * 4 * half**2)
    xi, eta = rng.uniform(-half, half, (2, n))
    return {"xi": xi, "eta": eta, "mag": rng.uniform(-8, -4, n)}


def stars_of_both_modules(rng, density=0.06, roll=35.0):
    n = int(density * 360 * 170)
    xi, eta = _turned(rng.uniform(-90, 270, n), rng.uniform(-85, 85, n), roll)
    return {"xi": xi, "eta": eta, "mag": rng.uniform(-8, -4, n)}


def _turned(x, y, degrees, scale=1.0):
    a = np.deg2rad(degrees)
    return scale * (np.cos(a) * x - np.sin(a) * y), scale * (np.sin(a) * x + np.cos(a) * y)


def star_list(rng, truth, detector, dither, roll, *, k=0, shift=(0.0, 0.0), error=0.01, zero=0.0, **meta):
    """One detector's list in one pointing: East and North turn by ``roll``, the WCS errs by ``shift``."""
    middle_x, middle_y, turn, scale = (LAYOUT | FARTHER)[detector]
    east, north = truth["xi"] - dither[0], truth["eta"] - dither[1]
    cx, cy = _turned(east, north, -roll)  # the camera's axes, arcsec
    px, py = _turned(cx - middle_x, cy - middle_y, -turn, 1e3 / (SCALE * scale))
    x, y = SIZE / 2 - px, SIZE / 2 + py
    inside = (x > 0) & (x < SIZE) & (y > 0) & (y < SIZE)
    n = inside.sum()
    dx, dy, dturn, dscale = (WRONG | MISTAKES)[detector]
    wx, wy = _turned(cx[inside] - middle_x, cy[inside] - middle_y, dturn, 1 + dscale)
    sx, sy = _turned(wx + middle_x + dx, wy + middle_y + dy, roll)
    ra, dec = PLANE.to_sky(sx + dither[0] + shift[0], sy + dither[1] + shift[1])
    return Table(
        {
            "x": x[inside] + rng.normal(0, error, n), "y": y[inside] + rng.normal(0, error, n),
            "x_err": np.full(n, error), "y_err": np.full(n, error),
            "mag": truth["mag"][inside] + zero + rng.normal(0, 0.01, n), "mag_err": np.full(n, 0.01),
            "qfit": np.full(n, 0.03), "radxs": np.zeros(n), "flags": np.zeros(n, int),
            "ra": ra, "dec": dec, "true": np.flatnonzero(inside),
        },
        meta={
            "filename": f"jw0108600{k}_{detector.lower()}_cal.fits", "filter": "F200W", "detector": detector,
            "instrument": "NIRCAM", "epoch": EPOCH + 2e-5 * k, **attitude(dither, shift, roll),
        } | meta,
    )  # fmt: skip


def attitude(dither, shift, roll):
    """Pointing keywords of the camera's middle, the same for all detectors."""
    ra, dec = PLANE.to_sky(dither[0] + shift[0], dither[1] + shift[1])
    return {
        "ra_ref": float(ra), "dec_ref": float(dec), "roll_ref": -roll, "v2_ref": -88.0, "v3_ref": -491.0,
        "v3yangle": 0.0, "vparity": -1, "va_scale": 1.0,
    }  # fmt: skip


def visit(rng, truth, detectors=tuple(LAYOUT), *, dither=6.0, roll=35.0, shifts=None, **kwargs):
    """Four dithers of some detectors; each pointing's WCS errs by its own shift, in all detectors alike."""
    places = [(dither * (k % 2 - 0.5), dither * (k // 2 - 0.5)) for k in range(4)]
    shifts = rng.normal(0, 0.3, (4, 2)) if shifts is None else shifts
    rolls = roll + rng.normal(0, 0.01, 4)
    return [
        star_list(rng, truth, d, places[k], rolls[k], k=k, shift=shifts[k], **kwargs)
        for k in range(4) for d in detectors
    ]  # fmt: skip


def catalog_of(rng, truth, error_mas=1.0):
    n = truth["xi"].size
    e = rng.normal(0, error_mas / 1e3, (2, n))
    ra, dec = PLANE.to_sky(truth["xi"] + e[0], truth["eta"] + e[1])
    return Table(
        {"ra": ra, "dec": dec, "mag": truth["mag"] + 30, "ra_error": np.full(n, error_mas),
         "dec_error": np.full(n, error_mas)},
        meta={"epoch": EPOCH, **PLANE.to_meta()},
    )  # fmt: skip
