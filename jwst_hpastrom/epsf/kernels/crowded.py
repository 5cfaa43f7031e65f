"""Numba kernels for crowded fields: residual statistics, and fits with all other stars subtracted."""

from typing import NamedTuple

import numpy as np
from numba import njit

from jwst_hpastrom.epsf.kernels.render import add_one
from jwst_hpastrom.epsf.kernels.spline import PAD, blend, box_model
from jwst_hpastrom.epsf.kernels.star_fit import N_OUT, cut_box, fit_one, linear_flux, scratch
from jwst_hpastrom.numerics.robust_kernels import FAST

N_QUALITY = 5


class Counts(NamedTuple):
    """Pixels, and their weights."""

    data: np.ndarray
    weight: np.ndarray


class PSFGrid(NamedTuple):
    """ePSFs at a grid of field positions, as B-splines."""

    coeff: np.ndarray
    gx: np.ndarray
    gy: np.ndarray
    os: int  # knots per pixel

    @classmethod
    def of(cls, library):
        """Return a library as kernels want it."""
        return cls(library.coefficients, library.x, library.y, library.knots)


class Stars(NamedTuple):
    """The stars of a field, (n,)."""

    x: np.ndarray
    y: np.ndarray
    flux: np.ndarray
    flux_err: np.ndarray
    sky: np.ndarray
    sky_err: np.ndarray
    half_box: np.ndarray
    radius: np.ndarray  # to which the model is subtracted


class Fitting(NamedTuple):
    """How a star is fitted."""

    fit_sky: bool
    max_iterations: int
    tolerance: float
    max_shift: float


class Profile(NamedTuple):
    """Largest ψ from each radius outwards, and the light below which a model is not subtracted."""

    radius: np.ndarray
    peak: np.ndarray
    faintest: float


@njit(cache=True, nogil=True, fastmath=FAST)
def star_box(x, y, reach, ny, nx):
    """First column and row, columns and rows of the box around a star that are on the image."""
    px, py = int(np.floor(x + 0.5)), int(np.floor(y + 0.5))
    i0, i1, j0, j1 = max(px - reach, 0), min(px + reach, nx - 1), max(py - reach, 0), min(py + reach, ny - 1)
    return i0, j0, i1 - i0 + 1, j1 - j0 + 1


@njit(cache=True, nogil=True, fastmath=FAST)
def star_model(grid, x, y, box, room):
    """Put ψ and its gradient at the pixels of a `star_box` into the room's planes 0, 1, 2."""
    coeff, gx, gy, os = grid
    i0, j0, ni, nj = box
    window, psis, taps = room
    center = (coeff.shape[1] - 2 * PAD - 1) / 2.0
    u, v = (i0 - x) * os + center, (j0 - y) * os + center
    c0, r0 = int(np.floor(u)) + PAD - 1, int(np.floor(v)) + PAD - 1
    blend(coeff, gx, gy, x, y, r0, c0, (nj - 1) * os + 4, (ni - 1) * os + 4, window)
    box_model(window, r0, c0, os, u, v, nj, ni, psis[0], psis[1], psis[2], taps[0], taps[1], taps[2], taps[3])


@njit(cache=True, nogil=True, fastmath=FAST)
def quality_one(counts, grid, x, y, flux, sky, half, ring, room, out):
    """Sum the residuals of one fitted star; pixels without weight are left out.

    ring: inner, outer radius; room: what `scratch` gives, the first three. out gets Σ|r| over the box, Σ r
    over inner < radius <= outer and its variance, the residual of the central pixel, and Σψ of the fitted
    pixels.
    """
    data, weight = counts
    inner, outer = ring
    psi = room[1][0]
    center = (grid.coeff.shape[1] - 2 * PAD - 1) / 2.0
    out[:] = np.nan
    if not (np.isfinite(x) and np.isfinite(y) and np.isfinite(flux)):
        return
    px, py = int(np.floor(x + 0.5)), int(np.floor(y + 0.5))
    reach = min(max(half, int(np.ceil(outer + 0.5))), int((center - 2) / grid.os - 1))
    box = star_box(x, y, reach, data.shape[0], data.shape[1])
    i0, j0, ni, nj = box
    if nj <= 0 or ni <= 0:
        return
    star_model(grid, x, y, box, room)
    total, excess, variance, central, volume = 0.0, 0.0, 0.0, np.nan, 0.0
    for j in range(nj):
        for i in range(ni):
            w = weight[j0 + j, i0 + i]
            if not w > 0.0:
                continue
            p, q = i0 + i - px, j0 + j - py
            r = data[j0 + j, i0 + i] - sky - flux * psi[j, i]
            if abs(p) <= half and abs(q) <= half:
                total += abs(r)
                volume += psi[j, i]
            if p == 0 and q == 0:
                central = r
            d2 = (i0 + i - x) ** 2 + (j0 + j - y) ** 2
            if d2 > inner * inner and d2 <= outer * outer:
                excess += r
                variance += 1.0 / w
    out[0], out[1], out[2], out[3], out[4] = total, excess, variance, central, volume


@njit(cache=True, nogil=True, fastmath=FAST)
def largest(half_box, outer):
    """Half width of the largest box that a fit or its statistics needs."""
    most = int(np.ceil(outer + 0.5))
    for s in range(half_box.size):
        most = max(most, half_box[s])
    return most


@njit(cache=True, nogil=True, fastmath=FAST)
def quality_many(counts, grid, x, y, flux, sky, half_box, ring, out):
    """Residual statistics of every star with `quality_one`; out has shape (n, N_QUALITY)."""
    window, psis, taps, _, _ = scratch(grid.os, largest(half_box, ring[1]))
    room = window, psis, taps
    for s in range(x.size):
        quality_one(counts, grid, x[s], y[s], flux[s], sky[s], half_box[s], ring, room, out[s])


@njit(cache=True, nogil=True, fastmath=FAST)
def flux_changes(counts, grid, x, y, sky, half, out):
    """Flux that the residual image would add to each star at its position, on the inner box."""
    residual, weight = counts
    window, psis, taps, _, _ = scratch(grid.os, half)
    room = window, psis, taps
    for s in range(x.size):
        box = star_box(x[s], y[s], half, residual.shape[0], residual.shape[1])
        i0, j0, ni, nj = box
        out[s] = 0.0
        if nj <= 0 or ni <= 0:
            continue
        star_model(grid, x[s], y[s], box, room)
        cut_box(residual, weight, i0, j0, ni, nj, psis[3], psis[4])
        flux = linear_flux(psis[3], psis[4], nj, ni, sky[s], psis[0])
        if flux == flux:
            out[s] = flux


@njit(cache=True, nogil=True, fastmath=FAST)
def radius_for(flux, profile):
    """Smallest radius beyond which flux * ψ stays below the faintest light that counts."""
    for k in range(profile.radius.size):
        if flux * profile.peak[k] < profile.faintest:
            return profile.radius[k]
    return profile.radius[profile.radius.size - 1]


@njit(cache=True, nogil=True, fastmath=FAST)
def sweep(counts, grid, order, stars, fitting, profile, update, ring, fits, quality):
    """Fit the stars of ``order`` in turn, each with all the others subtracted.

    ``counts`` are the image less all models (x, y, flux, each out to its radius). Each star's own model is
    put back and the star fitted. Where ``update`` is set, x, y, flux, flux_err and radius become those of
    the fit, and the new model is subtracted; a star whose fit fails keeps its position and gets an infinite
    error. Otherwise the model is put back around the pixels that are used, for as long as they are, and fits
    and quality are filled.
    """
    residual, weight = counts
    coeff, gx, gy, os = grid
    x, y, flux, flux_err, sky, sky_err, half_box, radius = stars
    ny, nx = residual.shape
    half_width = (coeff.shape[1] - 2 * PAD - 1) / (2.0 * os)
    line = np.empty(coeff.shape[1] + os)
    most = largest(half_box, ring[1])
    window, psis, taps, mats, vecs = scratch(os, most)
    room = window, psis, taps
    row, kept = np.empty(N_OUT), np.empty((4 * most + 9, 4 * most + 9), residual.dtype)
    for s in order:
        far = min(radius[s], half_width)
        if not update:  # the corners of the largest box, which may lie a pixel farther
            far = min(far, 1.5 * (max(half_box[s], int(np.ceil(ring[1] + 0.5))) + 1.5))
            i0, j0, ni, nj = star_box(x[s], y[s], int(far) + 1, ny, nx)
            for j in range(nj):
                for i in range(ni):
                    kept[j, i] = residual[j0 + j, i0 + i]
        add_one(residual, coeff, gx, gy, os, x[s], y[s], flux[s], far, line, taps)
        ok = fit_one(
            residual, weight, coeff, gx, gy, os, x[s], y[s], sky[s], sky_err[s], half_box[s],
            fitting.fit_sky, fitting.max_iterations, fitting.tolerance, fitting.max_shift, window, psis, taps,
            mats, vecs, row,
        )  # fmt: skip
        if not update:
            for k in range(N_OUT):
                fits[s, k] = row[k]
            quality_one(counts, grid, row[0], row[1], row[2], row[3], half_box[s], ring, room, quality[s])
            for j in range(nj):
                for i in range(ni):
                    residual[j0 + j, i0 + i] = kept[j, i]
            continue
        if ok and row[2] > 0.0 and row[7] > 0.0:
            x[s], y[s], flux[s], flux_err[s] = row[0], row[1], row[2], np.sqrt(row[7])
            radius[s] = radius_for(flux[s], profile)
        else:
            flux_err[s] = np.inf
        add_one(residual, coeff, gx, gy, os, x[s], y[s], -flux[s], min(radius[s], half_width), line, taps)


@njit(cache=True, nogil=True, fastmath=FAST)
def wing_levels(image, x, y, level, inner, outer, faintest):
    """Raise the image to each star's level (inner / r)³ between two radii: light beyond the ePSF's border."""
    ny, nx = image.shape
    for s in range(x.size):
        if level[s] <= faintest:
            continue
        last = min(outer, inner * (level[s] / faintest) ** (1.0 / 3.0))
        reach = int(last)
        px, py = int(np.floor(x[s] + 0.5)), int(np.floor(y[s] + 0.5))
        for j in range(max(py - reach, 0), min(py + reach, ny - 1) + 1):
            for i in range(max(px - reach, 0), min(px + reach, nx - 1) + 1):
                r2 = (i - x[s]) ** 2 + (j - y[s]) ** 2
                if r2 >= inner * inner and r2 <= last * last:
                    image[j, i] = max(image[j, i], level[s] * inner**3 / (r2 * np.sqrt(r2)))
