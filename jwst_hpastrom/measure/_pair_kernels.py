"""Numba cores that fit one star or two in the same pixels of all exposures, and so tell a blend from a star.

Arguments are those of `jwst_hpastrom.measure.bundles`. A star's parameters are flux, X, Y: flux on the
common scale, offsets in the common frame from the place that ``px, py`` (n_exposures) are the images of.
"""

from typing import NamedTuple

import numpy as np
from numba import njit

from jwst_hpastrom.epsf.kernels.spline import PAD, blend, box_model
from jwst_hpastrom.numerics.cholesky_kernels import cholesky, cholesky_solve
from jwst_hpastrom.numerics.robust_kernels import FAST

REACH = 2.0  # pixels that a star may lie from where the pair was


class Room(NamedTuple):
    """Pixels around a star in all exposures, and room for its models."""

    pix: np.ndarray  # (n_exposures, side, side)
    wgt: np.ndarray
    corner: np.ndarray  # (n_exposures, 4): first pixel, first sample of the window
    window: np.ndarray  # (n_exposures, size, size) ePSF around the star
    psis: np.ndarray  # (2, 3, side, side) models and derivatives, which `box_model` fills
    taps: np.ndarray


class Blend(NamedTuple):
    """What `split` finds of every star, (n_stars,) or (n_stars, 3)."""

    brighter: np.ndarray  # flux, X, Y
    fainter: np.ndarray
    chi2_one: np.ndarray
    chi2_two: np.ndarray
    gain: np.ndarray  # in χ², without the fifth of the exposures that gain most
    n_pixels: np.ndarray  # with weight
    fitted: np.ndarray  # whether there is a fit


@njit(cache=True, nogil=True)
def buffers(n_exp, os, half):
    """Room for the pixels, their weights, corners and ePSF windows, and for what `box_model` fills."""
    side = 2 * half + 3
    size = (side - 1) * os + 4 + 2 * int(np.ceil(REACH * os))
    pix, wgt = np.empty((n_exp, side, side)), np.empty((n_exp, side, side))
    corner, window = np.empty((n_exp, 4), np.int64), np.empty((n_exp, size, size))
    return Room(pix, wgt, corner, window, np.empty((2, 3, side, side)), np.empty((4, 4)))


@njit(cache=True, nogil=True, fastmath=FAST)
def gather(cutouts, exposures, px, py, flux, use, room):
    """Cut out the star's pixels with its light put back, and the ePSF around it; return which exposures."""
    data, weight = cutouts
    lib, coeff, gx, gy, os, _, zp = exposures
    pix, wgt, corner, window = room.pix, room.wgt, room.corner, room.window
    n_exp, ny, nx = data.shape
    side, size = pix.shape[1], window.shape[1]
    center = (coeff.shape[2] - 2 * PAD - 1) / 2.0
    reach = int(np.ceil(REACH * os))
    good = np.zeros(n_exp, np.bool_)
    taps, psi = np.empty((4, 4)), np.empty((3, side, side))
    for e in range(n_exp):
        if not use[e]:
            continue
        i0, j0 = int(np.floor(px[e] + 0.5)) - side // 2, int(np.floor(py[e] + 0.5)) - side // 2
        if i0 < 0 or j0 < 0 or i0 + side > nx or j0 + side > ny:
            continue
        good[e] = True
        u, v = (i0 - px[e]) * os + center, (j0 - py[e]) * os + center
        c0, r0 = int(np.floor(u)) + PAD - 1 - reach, int(np.floor(v)) + PAD - 1 - reach
        corner[e, 0], corner[e, 1], corner[e, 2], corner[e, 3] = i0, j0, c0, r0
        blend(coeff[lib[e]], gx[e], gy[e], px[e], py[e], r0, c0, size, size, window[e])
        box_model(
            window[e], r0, c0, os, u, v, side, side, psi[0], psi[1], psi[2], taps[0], taps[1], taps[2],
            taps[3],
        )  # fmt: skip
        for j in range(side):
            for i in range(side):
                wgt[e, j, i] = weight[e, j0 + j, i0 + i]
                pix[e, j, i] = data[e, j0 + j, i0 + i] + flux * zp[e] * psi[0, j, i]
    return good


@njit(cache=True, nogil=True, fastmath=FAST)
def group_equations(room, exposures, px, py, good, p, n, matrix, right, chi2):
    """Normal equations of n stars' parameters p (3 n); χ² of each exposure. Returns the sum of χ²."""
    pix, wgt, corner, window, psis, taps = room
    os, jac, zp = exposures.os, exposures.jac, exposures.zp
    center = (exposures.coeff.shape[2] - 2 * PAD - 1) / 2.0
    side = pix.shape[1]
    m = 3 * n
    for a in range(m):
        right[a] = 0.0
        for b in range(m):
            matrix[a, b] = 0.0
    line = np.empty(m)
    total = 0.0
    for e in range(pix.shape[0]):
        chi2[e] = 0.0
        if not good[e]:
            continue
        i0, j0, c0, r0 = corner[e, 0], corner[e, 1], corner[e, 2], corner[e, 3]
        for s in range(n):
            x = px[e] + jac[e, 0, 0] * p[3 * s + 1] + jac[e, 0, 1] * p[3 * s + 2]
            y = py[e] + jac[e, 1, 0] * p[3 * s + 1] + jac[e, 1, 1] * p[3 * s + 2]
            u, v = (i0 - x) * os + center, (j0 - y) * os + center
            box_model(
                window[e], r0, c0, os, u, v, side, side, psis[s, 0], psis[s, 1], psis[s, 2], taps[0], taps[1],
                taps[2], taps[3],
            )  # fmt: skip
        for j in range(side):
            for i in range(side):
                w = wgt[e, j, i]
                if not w > 0.0:
                    continue
                r = pix[e, j, i]
                for s in range(n):
                    f = zp[e] * p[3 * s]
                    gx, gy = psis[s, 1, j, i], psis[s, 2, j, i]
                    line[3 * s] = zp[e] * psis[s, 0, j, i]
                    line[3 * s + 1] = f * (gx * jac[e, 0, 0] + gy * jac[e, 1, 0])
                    line[3 * s + 2] = f * (gx * jac[e, 0, 1] + gy * jac[e, 1, 1])
                    r -= f * psis[s, 0, j, i]
                chi2[e] += w * r * r
                for a in range(m):
                    right[a] += w * line[a] * r
                    for b in range(a + 1):
                        matrix[a, b] += w * line[a] * line[b]
        total += chi2[e]
    return total


@njit(cache=True, nogil=True, fastmath=FAST)
def fit_group(room, exposures, px, py, good, p, n, iterations, chi2):
    """Levenberg-Marquardt steps of n stars' parameters, in place; returns χ² (inf if there is no fit)."""
    m = 3 * n
    matrix, factor, right = np.empty((m, m)), np.empty((m, m)), np.empty(m)
    trial, trial_chi2 = np.empty(m), np.empty(chi2.size)
    trial_matrix, trial_right = np.empty((m, m)), np.empty(m)
    best = group_equations(room, exposures, px, py, good, p, n, matrix, right, chi2)
    damping = 1e-3
    for _ in range(iterations):
        for a in range(m):
            trial[a] = right[a]
            for b in range(m):
                factor[a, b] = matrix[a, b]
            factor[a, a] = matrix[a, a] * (1.0 + damping)
        if not cholesky(factor, m):
            return np.inf
        cholesky_solve(factor, m, trial)
        inside = True
        for s in range(n):
            trial[3 * s] += p[3 * s]
            for k in (1, 2):
                step = min(max(trial[3 * s + k], -0.4), 0.4)
                trial[3 * s + k] = p[3 * s + k] + step
                inside = inside and abs(trial[3 * s + k]) < 0.7 * REACH
            inside = inside and trial[3 * s] > 0.0
        if not inside:
            damping = damping * 10.0 + 0.1
            continue
        value = group_equations(
            room, exposures, px, py, good, trial, n, trial_matrix, trial_right, trial_chi2
        )
        if value < best:
            gain = best - value
            best = value
            p[:m] = trial
            matrix[:] = trial_matrix
            right[:] = trial_right
            chi2[:] = trial_chi2
            damping *= 0.1
            if gain < 0.01:
                break
        else:
            damping = damping * 10.0 + 0.1
    return best


@njit(cache=True, nogil=True, fastmath=FAST)
def split(cutouts, exposures, stars, half, chosen, separation, out):
    """Fit the chosen stars as one and as two; fills a `Blend`.

    Starts lie in eight directions at ``separation``.
    """
    n_exp = cutouts.data.shape[0]
    room = buffers(n_exp, exposures.os, half)
    one, two, best = np.empty(3), np.empty(6), np.empty(6)
    chi_one, chi_two, chi_best, gain = np.empty(n_exp), np.empty(n_exp), np.empty(n_exp), np.empty(n_exp)
    for s in range(stars.px.shape[0]):
        out.fitted[s] = False
        if not chosen[s]:
            continue
        px, py = stars.px[s], stars.py[s]
        good = gather(cutouts, exposures, px, py, stars.flux[s], stars.use[s], room)
        one[0], one[1], one[2] = stars.flux[s], 0.0, 0.0
        single = fit_group(room, exposures, px, py, good, one, 1, 8, chi_one)
        if not np.isfinite(single):
            continue
        lowest = np.inf
        for k in range(8):
            c, d = separation * np.cos(0.25 * np.pi * k), separation * np.sin(0.25 * np.pi * k)
            two[0], two[1], two[2] = 0.7 * one[0], one[1] - 0.3 * c, one[2] - 0.3 * d
            two[3], two[4], two[5] = 0.3 * one[0], one[1] + 0.7 * c, one[2] + 0.7 * d
            value = fit_group(room, exposures, px, py, good, two, 2, 3, chi_two)
            if value < lowest:
                lowest = value
                best[:] = two
        if not np.isfinite(lowest):
            continue
        lowest = fit_group(room, exposures, px, py, good, best, 2, 25, chi_best)
        if not np.isfinite(lowest):
            continue
        a = 0 if best[0] >= best[3] else 3
        out.brighter[s], out.fainter[s] = best[a : a + 3], best[3 - a : 6 - a]
        out.chi2_one[s], out.chi2_two[s] = single, lowest
        count, pixels = 0, 0
        for e in range(n_exp):
            if good[e]:
                gain[count] = chi_one[e] - chi_best[e]
                count += 1
                pixels += (room.wgt[e] > 0.0).sum()
        order = np.sort(gain[:count])
        out.gain[s] = order[: count - max(1, int(np.ceil(0.2 * count)))].sum()
        out.n_pixels[s], out.fitted[s] = pixels, True


@njit(cache=True, nogil=True, fastmath=FAST)
def inflation(cutouts, exposures, stars, place, half, pairs, out):
    """Errors of flux, X, Y of the first star of each pair with the second one unknown, over those without it.

    place: common positions x, y; pairs (n, 2): rows of stars at most REACH apart; out (n, 3).
    """
    x, y = place
    flux, n_exp = stars.flux, cutouts.data.shape[0]
    room = buffers(n_exp, exposures.os, half)
    p, chi2, unit = np.empty(6), np.empty(n_exp), np.empty(6)
    matrix, factor, right = np.empty((6, 6)), np.empty((6, 6)), np.empty(6)
    for k in range(pairs.shape[0]):
        a, b = pairs[k, 0], pairs[k, 1]
        px, py = stars.px[a], stars.py[a]
        good = gather(cutouts, exposures, px, py, flux[a], stars.use[a], room)
        p[0], p[1], p[2], p[3], p[4], p[5] = flux[a], 0.0, 0.0, flux[b], x[b] - x[a], y[b] - y[a]
        group_equations(room, exposures, px, py, good, p, 2, matrix, right, chi2)
        out[k, :] = 1.0
        for m in (3, 6):
            factor[:] = matrix
            if not cholesky(factor, m):
                break
            for c in range(3):
                unit[:] = 0.0
                unit[c] = 1.0
                cholesky_solve(factor, m, unit)
                if m == 3:
                    out[k, c] = 1.0 / unit[c]
                else:
                    out[k, c] *= unit[c]
        else:
            for c in range(3):
                out[k, c] = np.sqrt(max(out[k, c], 1.0))
            continue
        out[k, :] = 1.0
