"""Numba kernels for ePSF building: stamps and neighbors.

Stamps are squares of pixels around stars: ``clean`` (star, S, S) is the image without sky and without all
other stars, NaN where a pixel has no weight; ``base`` (star, S, S) the variance of everything but the star's
own photons; (ox, oy) the image coordinates of each stamp's first pixel. Library arguments as in
`epsf.kernels.spline`. Constants are given as numpy's where a function gets them: a plain one is a type of
its own to numba, and the function compiled once more.
"""

import numpy as np
from numba import njit

from jwst_hpastrom.epsf.kernels.render import add_one
from jwst_hpastrom.epsf.kernels.star_fit import N_OUT, cut_box, fit_one, scratch
from jwst_hpastrom.numerics.robust_kernels import FAST


@njit(cache=True, nogil=True, fastmath=FAST)
def model_window(coeff, os):
    """Work space of `add_one` for the whole ePSF."""
    return np.empty(coeff.shape[1] + os), np.empty((4, 4))


@njit(cache=True, nogil=True, fastmath=FAST)
def refine_catalog(
    resid, weight, coeff, gx, gy, os, x, y, flux, radius, half_box, order, max_shift, tolerance
):
    """One pass of fits over a catalog, each star on the residual image plus its own model (Gauss-Seidel).

    resid is the image less the sky and all stars' models, and is kept up to date; x, y, flux are overwritten.
    """
    ny, nx = resid.shape
    most = np.int64(1)
    for s in range(half_box.size):
        most = max(most, half_box[s])
    out = np.empty(N_OUT)
    full, taps1 = model_window(coeff, os)
    window, psis, taps, mats, vecs = scratch(os, most)
    for n in range(order.size):
        s = order[n]
        h = half_box[s]
        px, py = int(np.floor(x[s] + 0.5)), int(np.floor(y[s] + 0.5))
        i0, i1 = max(px - h - 1, 0), min(px + h + 2, nx)
        j0, j1 = max(py - h - 1, 0), min(py + h + 2, ny)
        if i1 - i0 < 3 or j1 - j0 < 3:
            continue
        stamp, w = np.empty((j1 - j0, i1 - i0)), np.empty((j1 - j0, i1 - i0))
        cut_box(resid, weight, i0, j0, i1 - i0, j1 - j0, stamp, w)
        lx, ly = gx - i0, gy - j0
        add_one(stamp, coeff, lx, ly, os, x[s] - i0, y[s] - j0, flux[s], h + 3.0, full, taps1)
        ok = fit_one(
            stamp, w, coeff, lx, ly, os, x[s] - i0, y[s] - j0, 0.0, 0.0, h, np.bool_(False), np.int64(20),
            tolerance, max_shift, window, psis, taps, mats, vecs, out,
        )  # fmt: skip
        if not (ok and out[2] > 0.0):
            continue
        xn, yn, fn = out[0] + i0, out[1] + j0, out[2]
        if max(abs(xn - x[s]), abs(yn - y[s])) < 1e-3 and abs(fn - flux[s]) < 1e-3 * flux[s]:
            continue
        add_one(resid, coeff, gx, gy, os, x[s], y[s], flux[s], radius[s], full, taps1)
        x[s], y[s], flux[s] = xn, yn, fn
        add_one(resid, coeff, gx, gy, os, xn, yn, -fn, radius[s], full, taps1)


@njit(cache=True, nogil=True, fastmath=FAST)
def cut_stamps(image, resid, bad, coeff, gx, gy, os, x, y, flux, radius, ox, oy, var0, slope, clean, base):
    """Fill stamps: residual plus the star's own model; its variance without the star's photons."""
    ny, nx = image.shape
    side = clean.shape[1]
    own = np.empty((side, side))
    window, taps = model_window(coeff, os)
    for s in range(x.size):
        own[:] = 0.0
        lx, ly = gx - ox[s], gy - oy[s]
        add_one(own, coeff, lx, ly, os, x[s] - ox[s], y[s] - oy[s], flux[s], radius[s], window, taps)
        for j in range(side):
            for i in range(side):
                p, q = oy[s] + j, ox[s] + i
                if p < 0 or q < 0 or p >= ny or q >= nx or bad[p, q]:
                    clean[s, j, i] = np.nan
                    base[s, j, i] = var0
                    continue
                clean[s, j, i] = resid[p, q] + own[j, i]
                base[s, j, i] = var0 + slope * max(image[p, q] - resid[p, q] - own[j, i], 0.0)


@njit(cache=True, nogil=True, fastmath=FAST)
def fit_stamps(
    clean, base, ox, oy, coeff, gx, gy, os, x, y, flux, slope, half_box, tolerance, max_shift, out
):
    """Fit every star in its stamp, weights from the model's variance; out (n, N_OUT) as in `fit_one`."""
    side = 2 * half_box + 3
    stamp, w, model = np.empty((side, side)), np.empty((side, side)), np.empty((side, side))
    full, taps1 = model_window(coeff, os)
    window, psis, taps, mats, vecs = scratch(os, half_box)
    n = clean.shape[1]
    for s in range(x.size):
        i0 = min(max(int(np.floor(x[s] + 0.5)) - half_box - 1 - ox[s], 0), n - side)
        j0 = min(max(int(np.floor(y[s] + 0.5)) - half_box - 1 - oy[s], 0), n - side)
        x0, y0 = ox[s] + i0, oy[s] + j0
        lx, ly = gx - x0, gy - y0
        model[:] = 0.0
        add_one(model, coeff, lx, ly, os, x[s] - x0, y[s] - y0, flux[s], half_box + 3.0, full, taps1)
        for j in range(side):
            for i in range(side):
                v = clean[s, j0 + j, i0 + i]
                if np.isfinite(v):
                    stamp[j, i] = v
                    w[j, i] = 1.0 / (base[s, j0 + j, i0 + i] + slope * max(model[j, i], 0.0))
                else:
                    stamp[j, i] = 0.0
                    w[j, i] = 0.0
        fit_one(
            stamp, w, coeff, lx, ly, os, x[s] - x0, y[s] - y0, 0.0, 0.0, half_box, np.bool_(False),
            np.int64(25), tolerance, max_shift, window, psis, taps, mats, vecs, out[s],
        )  # fmt: skip
        out[s, 0] += x0
        out[s, 1] += y0
