"""Numba kernels for many-exposure measurement: joint fits of stars in a stack of exposures.

Their arguments are those of `jwst_hpastrom.measure.bundles`.
"""

import numpy as np
from numba import njit

from jwst_hpastrom.epsf.kernels.render import add_one
from jwst_hpastrom.epsf.kernels.spline import PAD, blend, box_model
from jwst_hpastrom.epsf.kernels.star_fit import scratch
from jwst_hpastrom.numerics.robust_kernels import FAST

#: what `equations` gives: the lower triangle's six elements, three right sides, and from here on
N_PIXELS, ABSOLUTE, ANNULUS, CHI2, N_SUMS = 9, 10, 11, 12, 13


@njit(cache=True, nogil=True, fastmath=FAST)
def equations(e, cutouts, exposures, x, y, half, room, out):
    """Normal equations of one star in exposure e for (f, f·δX, f·δY) about its present, subtracted model.

    out (N_SUMS): six elements of the lower triangle row by row, three of the right side, pixels with weight,
    Σ|r|, Σr in 1 < radius <= 2.5, Σ w r². False if the star's box is not inside.
    """
    data, weight, coeff = cutouts.data[e], cutouts.weight[e], exposures.coeff[exposures.lib[e]]
    os, jac, zp = exposures.os, exposures.jac[e], exposures.zp[e]
    window, psis, taps = room
    ny, nx = data.shape
    center = (coeff.shape[1] - 2 * PAD - 1) / 2.0
    ix, iy = int(np.floor(x + 0.5)), int(np.floor(y + 0.5))
    i0, i1, j0, j1 = max(ix - half, 0), min(ix + half, nx - 1), max(iy - half, 0), min(iy + half, ny - 1)
    nj, ni = j1 - j0 + 1, i1 - i0 + 1
    for k in range(N_SUMS):
        out[k] = 0.0
    if nj < half + 1 or ni < half + 1:
        return False
    u, v = (i0 - x) * os + center, (j0 - y) * os + center
    c0, r0 = int(np.floor(u)) + PAD - 1, int(np.floor(v)) + PAD - 1
    height, width = (nj - 1) * os + 4, (ni - 1) * os + 4
    blend(coeff, exposures.gx[e], exposures.gy[e], x, y, r0, c0, height, width, window)
    psi, psi_x, psi_y = psis[0], psis[1], psis[2]
    box_model(window, r0, c0, os, u, v, nj, ni, psi, psi_x, psi_y, taps[0], taps[1], taps[2], taps[3])
    for j in range(nj):
        for i in range(ni):
            w = weight[j0 + j, i0 + i]
            if not w > 0.0:
                continue
            r = data[j0 + j, i0 + i]
            a = zp * psi[j, i]
            b = zp * (psi_x[j, i] * jac[0, 0] + psi_y[j, i] * jac[1, 0])
            c = zp * (psi_x[j, i] * jac[0, 1] + psi_y[j, i] * jac[1, 1])
            out[0] += w * a * a
            out[1] += w * b * a
            out[2] += w * b * b
            out[3] += w * c * a
            out[4] += w * c * b
            out[5] += w * c * c
            out[6] += w * a * r
            out[7] += w * b * r
            out[8] += w * c * r
            out[N_PIXELS] += 1.0
            out[ABSOLUTE] += abs(r)
            d2 = (i0 + i - x) ** 2 + (j0 + j - y) ** 2
            if d2 > 1.0 and d2 <= 6.25:
                out[ANNULUS] += r
            out[CHI2] += w * r * r
    return out[N_PIXELS] >= 3.0


@njit(cache=True, nogil=True, fastmath=FAST)
def solve3(m, step, inverse):
    """Solve 3x3 normal equations (nine numbers as in `equations`); fill the inverse. False if singular."""
    a, b, c, d, e, f = m[0], m[1], m[2], m[3], m[4], m[5]  # [[a,b,d],[b,c,e],[d,e,f]]
    c00, c01, c02 = c * f - e * e, d * e - b * f, b * e - c * d
    det = a * c00 + b * c01 + d * c02
    if not det > 1e-12 * a * c * f:
        return False
    inverse[0, 0], inverse[0, 1], inverse[0, 2] = c00 / det, c01 / det, c02 / det
    inverse[1, 1], inverse[1, 2] = (a * f - d * d) / det, (b * d - a * e) / det
    inverse[2, 2] = (a * c - b * b) / det
    inverse[1, 0], inverse[2, 0], inverse[2, 1] = inverse[0, 1], inverse[0, 2], inverse[1, 2]
    for k in range(3):
        step[k] = inverse[k, 0] * m[6] + inverse[k, 1] * m[7] + inverse[k, 2] * m[8]
    return True


@njit(cache=True, nogil=True)
def fit_room(os, half):
    """Room for the window of an ePSF, for what `box_model` fills, and for its taps."""
    window, psis, taps, _, _ = scratch(os, half)
    return window, psis, taps


@njit(cache=True, nogil=True, fastmath=FAST)
def add_star(data, exposures, stars, s, flux, line, taps):
    """Add the models of star s, with another flux, to the exposures that it may reach."""
    if flux == 0.0:
        return
    x = exposures
    for e in range(stars.px.shape[1]):
        if stars.inside[s, e]:
            add_one(
                data[e], x.coeff[x.lib[e]], x.gx[e], x.gy[e], x.os, stars.px[s, e], stars.py[s, e],
                flux * x.zp[e], stars.radius[s], line, taps,
            )  # fmt: skip


@njit(cache=True, nogil=True, fastmath=FAST)
def sweep(cutouts, exposures, stars, place, half, active, neighbors, free, most):
    """One Gauss-Newton step of every active star, in turn, against the residuals that the earlier ones left.

    A star whose step is less than a tenth of its error stays where it is and sleeps until a neighbor moves.
    ``place``: common positions x, y; ``free[s]``: whether a star's is fitted. Returns the number of stars
    that moved.
    """
    x, y = place
    data, jac, flux = cutouts.data, exposures.jac, stars.flux
    n_star, n_exp = stars.px.shape
    room = fit_room(exposures.os, half)
    line, line_taps = np.empty(exposures.coeff.shape[2] + exposures.os), np.empty((4, 4))
    one, total, step, inverse = np.empty(N_SUMS), np.empty(N_SUMS), np.empty(3), np.empty((3, 3))
    moved = 0
    for s in range(n_star):
        if not active[s]:
            continue
        active[s] = False
        total[:] = 0.0
        for e in range(n_exp):
            if stars.use[s, e] and equations(
                e, cutouts, exposures, stars.px[s, e], stars.py[s, e], half, room, one
            ):
                total += one
        if not total[0] > 0.0:
            continue
        df = total[6] / total[0]
        dx = dy = 0.0
        noise = total[0] ** -0.5
        if free[s] and solve3(total, step, inverse) and flux[s] + step[0] > 0.0:
            new = max(flux[s] + step[0], 0.3 * flux[s])
            dx, dy, df = step[1] / new, step[2] / new, new - flux[s]
            size = max(abs(dx), abs(dy))
            if size > most:
                dx, dy = dx * most / size, dy * most / size
            small = 0.1 * np.sqrt(inverse[1, 1]) / new
            if abs(df) < 0.1 * noise and abs(dx) < small and abs(dy) < small:
                continue
        elif abs(df) < 0.1 * noise:
            continue
        old = flux[s]
        add_star(data, exposures, stars, s, old, line, line_taps)
        for e in range(n_exp):
            stars.px[s, e] += jac[e, 0, 0] * dx + jac[e, 0, 1] * dy
            stars.py[s, e] += jac[e, 1, 0] * dx + jac[e, 1, 1] * dy
        add_star(data, exposures, stars, s, -(old + df), line, line_taps)
        x[s] += dx
        y[s] += dy
        flux[s] = old + df
        moved += 1
        active[s] = True
        for k in range(neighbors.first[s], neighbors.first[s + 1]):
            active[neighbors.near[k]] = True
    return moved


@njit(cache=True, nogil=True, fastmath=FAST)
def add_models(data, exposures, stars, sign, chosen):
    """Add sign × the models of the chosen stars to all exposures."""
    line, taps = np.empty(exposures.coeff.shape[2] + exposures.os), np.empty((4, 4))
    for s in range(stars.px.shape[0]):
        if chosen[s]:
            add_star(data, exposures, stars, s, sign * stars.flux[s], line, taps)


@njit(cache=True, nogil=True, fastmath=FAST)
def all_equations(cutouts, exposures, px, py, use, half, out):
    """`equations` of every star in every exposure: out (n_stars, n_exposures, N_SUMS), zero where unused."""
    room = fit_room(exposures.os, half)
    for s in range(px.shape[0]):
        for e in range(px.shape[1]):
            out[s, e, :] = 0.0
            if use[s, e]:
                equations(e, cutouts, exposures, px[s, e], py[s, e], half, room, out[s, e])


@njit(cache=True, nogil=True)
def _agreeing(eq, own, var, sigma, keep, total):
    """Leave out exposures that disagree, one by one; fills the kept ones' sum, returns their number.

    An exposure's own solution ``own`` (variances ``var``) may differ from their median by ``sigma`` of its
    errors, these scaled up by the exposures' scatter.
    """
    n_exp = eq.shape[0]
    wild, middle, step, inverse = np.empty(n_exp), np.empty(3), np.empty(3), np.empty((3, 3))
    found = keep.sum()
    n = found
    for _ in range(6):
        total[:] = 0.0
        for e in range(n_exp):
            if keep[e]:
                total += eq[e]
        if not solve3(total, step, inverse) or n < 3:
            break
        for k in range(3):
            m = 0
            for e in range(n_exp):
                if keep[e]:
                    wild[m] = own[e, k]
                    m += 1
            middle[k] = np.median(wild[:m])
        m, worst, arg = 0, 0.0, -1
        for e in range(n_exp):
            if keep[e]:
                z = 0.0
                for k in range(3):
                    z = max(z, abs(own[e, k] - middle[k]) / np.sqrt(var[e, k]))
                wild[m] = z
                m += 1
                if z > worst:
                    worst, arg = z, e
        # the largest of three normal deviates has median 1.27
        scale = max(1.0, np.median(wild[:m]) / 1.27)
        if worst <= sigma * scale or n <= 0.6 * found:
            break
        keep[arg] = False
        n -= 1
    return n


@njit(cache=True, nogil=True)
def _scatter(own, var, step, keep, n, s, f, out):
    """Weighted scatter of the kept exposures' solutions about the combined one, and its correlation."""
    for k in range(3):
        sw, sq = 0.0, 0.0
        for e in range(keep.size):
            if keep[e]:
                sw += 1.0 / var[e, k]
                sq += (own[e, k] - step[k]) ** 2 / var[e, k]
        if n > 1:
            rms = np.sqrt(sq / sw * n / (n - 1)) / (1.0 if k == 0 else f)
            if k == 0:
                out.flux_rms[s] = rms
            elif k == 1:
                out.x_rms[s] = rms
            else:
                out.y_rms[s] = rms
    sw, sq = 0.0, 0.0
    for e in range(keep.size):
        if keep[e]:
            w = 1.0 / np.sqrt(var[e, 1] * var[e, 2])
            sw += w
            sq += w * (own[e, 1] - step[1]) * (own[e, 2] - step[2])
    if n > 1 and out.x_rms[s] > 0 and out.y_rms[s] > 0:
        out.rms_corr[s] = sq / sw * n / (n - 1) / (out.x_rms[s] * out.y_rms[s] * f * f)


@njit(cache=True, nogil=True)
def combine(eq, flux, least, sigma, keep, out):
    """Combine a star's equations of all exposures, leaving out those that disagree; fills a `Combined`.

    ``least``: pixels with weight that an exposure needs; ``sigma``: see `_agreeing`. keep (n_stars,
    n_exposures) is overwritten. ``out`` holds NaN before.
    """
    n_star, n_exp = eq.shape[0], eq.shape[1]
    step, inverse, single = np.empty(3), np.empty((3, 3)), np.empty((3, 3))
    own, var, total = np.empty((n_exp, 3)), np.empty((n_exp, 3)), np.empty(N_SUMS)
    for s in range(n_star):
        found = 0
        for e in range(n_exp):
            keep[s, e] = eq[s, e, N_PIXELS] >= least and solve3(eq[s, e], own[e], single)
            if keep[s, e]:
                found += 1
                for k in range(3):
                    var[e, k] = single[k, k]
        out.n_found[s], out.n_used[s] = found, 0
        if found == 0 or not flux[s] > 0.0:
            keep[s, :] = False
            continue
        n = _agreeing(eq[s], own, var, sigma, keep[s], total)
        if not solve3(total, step, inverse):
            keep[s, :] = False
            continue
        f = max(flux[s] + step[0], 1e-30)
        out.flux[s], out.x[s], out.y[s] = step[0], step[1] / f, step[2] / f
        out.flux_err[s] = np.sqrt(inverse[0, 0])
        out.x_err[s], out.y_err[s] = np.sqrt(inverse[1, 1]) / f, np.sqrt(inverse[2, 2]) / f
        _scatter(own, var, step, keep[s], n, s, f, out)
        qfit, radxs, chi2, pixels = 0.0, 0.0, 0.0, 0.0
        for e in range(n_exp):
            if keep[s, e]:
                qfit += eq[s, e, ABSOLUTE]
                radxs += eq[s, e, ANNULUS]
                chi2 += eq[s, e, CHI2]
                pixels += eq[s, e, N_PIXELS]
        out.n_used[s] = n
        out.qfit[s], out.radxs[s], out.chi2[s] = qfit / n / f, radxs / n / f, chi2 / max(pixels - 3.0, 1.0)
        out.corr[s] = inverse[1, 2] / np.sqrt(inverse[1, 1] * inverse[2, 2])
