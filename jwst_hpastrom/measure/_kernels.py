"""Numba kernels for many-exposure measurement: joint fits of stars in a stack of exposures, and detection.

A stack holds cut-outs of all exposures: ``data`` (sky and models subtracted) and ``weight`` (1/σ²), float32,
shape (n_exposures, ny, nx), no weight where there is nothing. ``lib[e]`` is the exposure's ePSF library
among ``coeff`` (n_libraries, n_fields, n, n), whose field positions ``gx[e], gy[e]`` are given in the
cut-out's coordinates, as are the stars' positions ``px, py`` (n_stars, n_exposures). ``jac[e]`` is ∂(px,
py)/∂(X, Y), ``zp[e]`` the exposure's flux scale.
"""

import numpy as np
from numba import njit

from jwst_hpastrom.epsf._kernels import FAST, PAD, add_one, blend, box_model, scratch


@njit(cache=True, nogil=True, fastmath=FAST)
def equations(data, weight, coeff, gx, gy, os, x, y, jac, zp, half, window, psis, taps, out):
    """Normal equations of one star in one exposure for (f, f·δX, f·δY) about its present model.

    ``data`` has the present model subtracted. out (13): six elements of the lower
    triangle row by row, three of the right side, pixels with weight, Σ|r| and Σr in 1 < radius <= 2.5, Σψ²
    w/Σw. False if the star's box is not inside.
    """
    ny, nx = data.shape
    center = (coeff.shape[1] - 2 * PAD - 1) / 2.0
    ix, iy = int(np.floor(x + 0.5)), int(np.floor(y + 0.5))
    i0, i1, j0, j1 = max(ix - half, 0), min(ix + half, nx - 1), max(iy - half, 0), min(iy + half, ny - 1)
    nj, ni = j1 - j0 + 1, i1 - i0 + 1
    for k in range(13):
        out[k] = 0.0
    if nj < half + 1 or ni < half + 1:
        return False
    u, v = (i0 - x) * os + center, (j0 - y) * os + center
    c0, r0 = int(np.floor(u)) + PAD - 1, int(np.floor(v)) + PAD - 1
    blend(coeff, gx, gy, x, y, r0, c0, (nj - 1) * os + 4, (ni - 1) * os + 4, window)
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
            out[9] += 1.0
            out[10] += abs(r)
            d2 = (i0 + i - x) ** 2 + (j0 + j - y) ** 2
            if d2 > 1.0 and d2 <= 6.25:
                out[11] += r
            out[12] += w * r * r
    return out[9] >= 3.0


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


@njit(cache=True, nogil=True, fastmath=FAST)
def add_star(data, lib, coeff, gx, gy, os, px, py, zp, flux, inside, radius, line, taps):
    """Add the models of one star to the exposures that it may reach."""
    if flux == 0.0:
        return
    for e in range(px.size):
        if inside[e]:
            add_one(data[e], coeff[lib[e]], gx[e], gy[e], os, px[e], py[e], flux * zp[e], radius, line, taps)


@njit(cache=True, nogil=True, fastmath=FAST)
def sweep(
    data, weight, lib, coeff, gx, gy, os, px, py, jac, zp, flux, x, y, inside, use, half, radius,
    active, first, near, free, most,
):  # fmt: skip
    """One Gauss-Newton step of every active star, in turn, against the residuals that the earlier ones left.

    A star whose step is less than a tenth of its error stays where it is and sleeps until a neighbor
    (``near[first[s]: first[s + 1]]``) moves. ``free[s]``: whether its position is fitted. Returns the
    number of stars that moved.
    """
    n_star, n_exp = px.shape
    window, psis, taps, _, _ = scratch(os, half)
    line, line_taps = np.empty(coeff.shape[2] + os), np.empty((4, 4))
    one, total, step, inverse = np.empty(13), np.empty(13), np.empty(3), np.empty((3, 3))
    moved = 0
    for s in range(n_star):
        if not active[s]:
            continue
        active[s] = False
        total[:] = 0.0
        for e in range(n_exp):
            if use[s, e] and equations(
                data[e], weight[e], coeff[lib[e]], gx[e], gy[e], os, px[s, e], py[s, e],
                jac[e], zp[e], half, window, psis, taps, one,
            ):  # fmt: skip
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
        add_star(data, lib, coeff, gx, gy, os, px[s], py[s], zp, old, inside[s], radius[s], line, line_taps)
        for e in range(n_exp):
            px[s, e] += jac[e, 0, 0] * dx + jac[e, 0, 1] * dy
            py[s, e] += jac[e, 1, 0] * dx + jac[e, 1, 1] * dy
        add_star(
            data, lib, coeff, gx, gy, os, px[s], py[s], zp, -(old + df), inside[s], radius[s], line, line_taps
        )
        x[s] += dx
        y[s] += dy
        flux[s] = old + df
        moved += 1
        active[s] = True
        for k in range(first[s], first[s + 1]):
            active[near[k]] = True
    return moved


@njit(cache=True, nogil=True, fastmath=FAST)
def add_models(data, lib, coeff, gx, gy, os, px, py, zp, flux, inside, radius, sign, chosen):
    """Add sign × the models of the chosen stars to all exposures."""
    line, taps = np.empty(coeff.shape[2] + os), np.empty((4, 4))
    for s in range(px.shape[0]):
        if chosen[s]:
            z, r = sign * flux[s], radius[s]
            add_star(data, lib, coeff, gx, gy, os, px[s], py[s], zp, z, inside[s], r, line, taps)


@njit(cache=True, nogil=True, fastmath=FAST)
def all_equations(data, weight, lib, coeff, gx, gy, os, px, py, jac, zp, use, half, out):
    """`equations` of every star in every exposure: out (n_stars, n_exposures, 13), zero where unused."""
    window, psis, taps, _, _ = scratch(os, half)
    for s in range(px.shape[0]):
        for e in range(px.shape[1]):
            out[s, e, :] = 0.0
            if use[s, e]:
                equations(
                    data[e], weight[e], coeff[lib[e]], gx[e], gy[e], os, px[s, e], py[s, e],
                    jac[e], zp[e], half, window, psis, taps, out[s, e],
                )  # fmt: skip


@njit(cache=True, nogil=True)
def combine(eq, flux, least, sigma, keep, out):
    """Combine a star's equations of all exposures, leaving out those that disagree.

    An exposure's own solution may differ from their median by ``sigma`` of its errors, these scaled up by the
    exposures' scatter. ``least``: pixels with weight that an exposure needs. keep (n_stars,
    n_exposures) is overwritten. out (n_stars, 16): δf, δX, δY, their standard errors, weighted scatters of
    f, X, Y over the exposures, exposures found and used, mean QFIT, mean RADXS, χ² per pixel, correlation
    of the errors of X and Y, and of their scatter.
    """
    n_star, n_exp = eq.shape[0], eq.shape[1]
    step, inverse, single = np.empty(3), np.empty((3, 3)), np.empty((3, 3))
    own, var, wild = np.empty((n_exp, 3)), np.empty((n_exp, 3)), np.empty(n_exp)
    middle = np.empty(3)
    for s in range(n_star):
        out[s, :] = np.nan
        found = 0
        for e in range(n_exp):
            keep[s, e] = eq[s, e, 9] >= least and solve3(eq[s, e], own[e], single)
            if keep[s, e]:
                found += 1
                for k in range(3):
                    var[e, k] = single[k, k]
        out[s, 9], out[s, 10] = found, 0
        if found == 0 or not flux[s] > 0.0:
            keep[s, :] = False
            continue
        total = np.zeros(13)
        n = found
        for _ in range(6):
            total[:] = 0.0
            for e in range(n_exp):
                if keep[s, e]:
                    total += eq[s, e]
            if not solve3(total, step, inverse):
                break
            if n < 3:
                break
            for k in range(3):
                m = 0
                for e in range(n_exp):
                    if keep[s, e]:
                        wild[m] = own[e, k]
                        m += 1
                middle[k] = np.median(wild[:m])
            m = 0
            for e in range(n_exp):
                if keep[s, e]:
                    wild[m] = 0.0
                    for k in range(3):
                        wild[m] = max(wild[m], abs(own[e, k] - middle[k]) / np.sqrt(var[e, k]))
                    m += 1
            # the largest of three normal deviates has median 1.27
            scale = max(1.0, np.median(wild[:m]) / 1.27)
            worst, arg = 0.0, -1
            for e in range(n_exp):
                if keep[s, e]:
                    z = 0.0
                    for k in range(3):
                        z = max(z, abs(own[e, k] - middle[k]) / np.sqrt(var[e, k]))
                    if z > worst:
                        worst, arg = z, e
            if worst <= sigma * scale or n <= 0.6 * found:
                break
            keep[s, arg] = False
            n -= 1
        if not solve3(total, step, inverse):
            keep[s, :] = False
            continue
        f = max(flux[s] + step[0], 1e-30)
        out[s, 0], out[s, 1], out[s, 2] = step[0], step[1] / f, step[2] / f
        out[s, 3] = np.sqrt(inverse[0, 0])
        out[s, 4], out[s, 5] = np.sqrt(inverse[1, 1]) / f, np.sqrt(inverse[2, 2]) / f
        qfit, radxs, chi2, pixels = 0.0, 0.0, 0.0, 0.0
        for k in range(3):
            sw, sq = 0.0, 0.0
            for e in range(n_exp):
                if keep[s, e]:
                    sw += 1.0 / var[e, k]
                    sq += (own[e, k] - step[k]) ** 2 / var[e, k]
            if n > 1:
                out[s, 6 + k] = np.sqrt(sq / sw * n / (n - 1)) / (1.0 if k == 0 else f)
        sw, sq = 0.0, 0.0
        for e in range(n_exp):
            if keep[s, e]:
                w = 1.0 / np.sqrt(var[e, 1] * var[e, 2])
                sw += w
                sq += w * (own[e, 1] - step[1]) * (own[e, 2] - step[2])
        if n > 1 and out[s, 7] > 0 and out[s, 8] > 0:
            out[s, 15] = sq / sw * n / (n - 1) / (out[s, 7] * out[s, 8] * f * f)
        for e in range(n_exp):
            if keep[s, e]:
                qfit += eq[s, e, 10]
                radxs += eq[s, e, 11]
                chi2 += eq[s, e, 12]
                pixels += eq[s, e, 9]
        out[s, 10] = n
        out[s, 11], out[s, 12], out[s, 13] = qfit / n / f, radxs / n / f, chi2 / max(pixels - 3.0, 1.0)
        out[s, 14] = inverse[1, 2] / np.sqrt(inverse[1, 1] * inverse[2, 2])


@njit(cache=True, nogil=True, fastmath=FAST)
def places(coarse, spacing, step, b, out):
    """Raw coordinate of the nodes of row b, bilinear in ``coarse``, given every ``spacing``."""
    v = b * step / spacing
    j = min(int(v), coarse.shape[0] - 2)
    t = v - j
    for a in range(out.size):
        u = a * step / spacing
        i = min(int(u), coarse.shape[1] - 2)
        s = u - i
        low = (1 - s) * coarse[j, i] + s * coarse[j, i + 1]
        out[a] = (1 - t) * low + t * ((1 - s) * coarse[j + 1, i] + s * coarse[j + 1, i + 1])


@njit(cache=True, nogil=True, fastmath=FAST)
def score(data, weight, lib, kernels, zp, coarse_x, coarse_y, spacing, step, top, bottom):
    """Add each exposure's matched-filter sums to ``top`` (Σ w k r) and ``bottom`` (Σ w k²) at a grid's nodes.

    Node (b, a) lies at step·(a, b), a pixel being a whole number of steps; raw positions there are bilinear
    in ``coarse_x, coarse_y`` (n_exposures, ., .), given every ``spacing``. kernels (n_libraries, n_phase,
    n_phase, side, side): the ePSF at phases of the pixel. Nodes a pixel apart mostly lie at the same phase
    of neighboring pixels: such runs share a kernel and are summed together.
    """
    n_phase, side = kernels.shape[1], kernels.shape[3]
    half, every = side // 2, round(1.0 / step)
    n_exp, ny, nx = data.shape
    n = top.shape[1]
    x, y = np.empty(n), np.empty(n)
    ix, iy, phase = np.empty(n, np.int64), np.empty(n, np.int64), np.empty(n, np.int64)
    t, d = np.empty(n, np.float32), np.empty(n, np.float32)
    signal = np.empty((ny, nx), np.float32)
    squares = kernels * kernels
    for e in range(n_exp):
        for j in range(ny):
            for i in range(nx):
                signal[j, i] = data[e, j, i] * weight[e, j, i]
        for b in range(top.shape[0]):
            places(coarse_x[e], spacing, step, b, x)
            places(coarse_y[e], spacing, step, b, y)
            for a in range(n):
                ix[a], iy[a] = int(np.floor(x[a] + 0.5)), int(np.floor(y[a] + 0.5))
                fx = min(int((x[a] - ix[a] + 0.5) * n_phase), n_phase - 1)
                fy = min(int((y[a] - iy[a] + 0.5) * n_phase), n_phase - 1)
                inside = ix[a] >= half and iy[a] >= half and ix[a] < nx - half and iy[a] < ny - half
                phase[a] = fy * n_phase + fx if inside and weight[e, iy[a], ix[a]] > 0.0 else -1
            for first in range(every):
                a = first
                while a < n:
                    if phase[a] < 0:
                        a += every
                        continue
                    m = 1
                    c = a + every
                    while c < n and phase[c] == phase[a] and iy[c] == iy[a] and ix[c] == ix[a] + m:
                        m += 1
                        c += every
                    run(signal, weight[e], kernels[lib[e]], squares[lib[e]], phase[a], ix[a], iy[a], m, t, d)
                    for r in range(m):
                        top[b, a + r * every] += zp[e] * t[r]
                        bottom[b, a + r * every] += zp[e] * zp[e] * d[r]
                    a = c


@njit(cache=True, nogil=True, fastmath=FAST)
def run(signal, weight, kernels, squares, phase, ix, iy, m, t, d):
    """Matched-filter sums of m pixels in a row, from (ix, iy) on, with the kernel of one phase."""
    n_phase, side = kernels.shape[0], kernels.shape[2]
    half = side // 2
    k, k2 = kernels[phase // n_phase, phase % n_phase], squares[phase // n_phase, phase % n_phase]
    t[:m] = 0.0
    d[:m] = 0.0
    for q in range(side):
        for p in range(side):
            f, g = k[q, p], k2[q, p]
            s, w = signal[iy - half + q, ix - half + p :], weight[iy - half + q, ix - half + p :]
            for r in range(m):
                t[r] += f * s[r]
                d[r] += g * w[r]


@njit(cache=True, nogil=True)
def maxima(top, bottom, threshold, reach, a, b, f, snr):
    """Nodes whose significance top/√bottom is a maximum within ``reach`` nodes and above threshold."""
    n = 0
    ny, nx = top.shape
    for j in range(reach, ny - reach):
        for i in range(reach, nx - reach):
            if not bottom[j, i] > 0.0:
                continue
            s = top[j, i] / np.sqrt(bottom[j, i])
            if not s > threshold:
                continue
            best = True
            for q in range(-reach, reach + 1):
                for m in range(-reach, reach + 1):
                    if bottom[j + q, i + m] > 0.0 and (q != 0 or m != 0):
                        t = top[j + q, i + m] / np.sqrt(bottom[j + q, i + m])
                        if t > s or (t == s and (q < 0 or (q == 0 and m < 0))):
                            best = False
                            break
                if not best:
                    break
            if best and n < a.size:
                a[n], b[n], f[n], snr[n] = i, j, top[j, i] / bottom[j, i], s
                n += 1
    return n
