"""Numba kernels for star detection and of the sky."""

import numpy as np
from numba import njit

from jwst_hpastrom.numerics.robust_kernels import FAST, select, sort_with

AXES = ((0, 1), (1, 0), (1, 1), (1, -1))  # x, y and the two diagonals, as steps (j, i)


@njit(cache=True, nogil=True)
def sky_boxes(data, good, size, step, level, sigma, count):
    """Clipped median and scatter of square boxes; the scatter is that of the fainter half.

    Values are sorted once; clipping then only moves the ends of the range.
    """
    ny, nx = data.shape
    values, none = np.empty((size // step + 1) ** 2, np.float32), np.empty(0, np.int64)
    for bj in range(level.shape[0]):
        for bi in range(level.shape[1]):
            n = np.int64(0)
            for j in range(bj * size, min((bj + 1) * size, ny), step):
                for i in range(bi * size, min((bi + 1) * size, nx), step):
                    if good[j, i]:
                        values[n] = data[j, i]
                        n += 1
            count[bj, bi] = n
            if n < 16:
                level[bj, bi] = sigma[bj, bi] = np.nan
                continue
            v = values
            sort_with(v, none, n)
            hi = n
            for _ in range(20):
                median = 0.5 * (float(v[(hi - 1) // 2]) + float(v[hi // 2]))
                spread = median - v[int(0.1587 * hi)]
                limit, new = median + 2.5 * spread, hi
                while new < n and v[new] <= limit:
                    new += 1
                while new > 0 and v[new - 1] > limit:
                    new -= 1
                if new == hi or new < 8:
                    break
                hi = new
            level[bj, bi] = median
            sigma[bj, bi] = max(spread, 1e-30)


@njit(cache=True, nogil=True, fastmath=FAST)
def bilinear_map(level, size, out):
    """Bilinear interpolation of box centers to all pixels; constant outside the outermost centers."""
    by, bx = level.shape
    for j in range(out.shape[0]):
        v = min(max((j + 0.5) / size - 0.5, 0.0), by - 1.0)
        jv = min(int(v), max(by - 2, 0))
        b = v - jv
        j1 = min(jv + 1, by - 1)
        for i in range(out.shape[1]):
            u = min(max((i + 0.5) / size - 0.5, 0.0), bx - 1.0)
            iu = min(int(u), max(bx - 2, 0))
            a = u - iu
            i1 = min(iu + 1, bx - 1)
            out[j, i] = (1 - b) * ((1 - a) * level[jv, iu] + a * level[jv, i1]) + b * (
                (1 - a) * level[j1, iu] + a * level[j1, i1]
            )


@njit(cache=True, nogil=True, fastmath=FAST)
def matched_filter(data, good, kernel, flux):
    """Least-squares flux of a star centered on each pixel, with a local constant sky; NaN where undetermined.

    data must be 0 where not good. Two sums over the box where it is complete; the full set where pixels
    are missing or the box leaves the image.
    """
    ny, nx = data.shape
    side = kernel.shape[0]
    h = side // 2
    one, sk, skk = float(side * side), 0.0, 0.0
    for q in range(side):
        for m in range(side):
            sk += kernel[q, m]
            skk += kernel[q, m] * kernel[q, m]
    scale = 1.0 / (one * skk - sk * sk)
    # rows of missing pixels, summed over the box's columns and rows
    missing = np.zeros(nx, np.int64)
    run = np.zeros(nx, np.int64)
    # of the complete boxes, by their first columns: loops over slices, whose indices count from 0, are
    # vectorized, those over i - h + m are not
    boxes = max(nx - 2 * h, 0)
    ska, sa, column = np.empty(boxes, np.float32), np.empty(boxes, np.float32), np.empty(nx, np.float32)
    taps = kernel.astype(np.float32)
    for j in range(ny):
        if j < h or j >= ny - h:
            run[:] = 1
        else:
            missing[:] = 0
            for q in range(-h, h + 1):
                for i in range(nx):
                    missing[i] += not good[j + q, i]
            total = 0
            for i in range(side - 1):
                total += missing[i]
            run[:] = 1
            for i in range(h, nx - h):
                total += missing[i + h]
                run[i] = total
                total -= missing[i - h]
            ska[:] = 0
            column[:] = 0
            for q in range(side):
                row = data[j - h + q]
                for i in range(nx):
                    column[i] += row[i]
                for m in range(side):
                    t, part = taps[q, m], row[m : m + boxes]
                    for i in range(boxes):
                        ska[i] += t * part[i]
            sa[:] = 0
            for m in range(side):
                part = column[m : m + boxes]
                for i in range(boxes):
                    sa[i] += part[i]
        for i in range(nx):
            if run[i] == 0:
                flux[j, i] = (one * ska[i - h] - sk * sa[i - h]) * scale
                continue
            n, k, kk, a, ka = 0.0, 0.0, 0.0, 0.0, 0.0
            for q in range(max(-h, -j), min(h, ny - 1 - j) + 1):
                for m in range(max(-h, -i), min(h, nx - 1 - i) + 1):
                    there = 1.0 * good[j + q, i + m]  # no branch, which would be guessed wrong
                    t = kernel[q + h, m + h] * there
                    n += there
                    k += t
                    kk += t * t
                    a += data[j + q, i + m]
                    ka += t * data[j + q, i + m]
            det = n * kk - k * k
            # less than a third of the information left: no flux
            flux[j, i] = (n * ka - k * a) / det if det * scale > n / one * 0.3 else np.nan


@njit(cache=True, nogil=True)
def local_maxima(flux, err, good, kernel, threshold, x, y, f, snr):
    """Pixels whose flux exceeds their 8 neighbors' and ``threshold`` standard errors; returns how many.

    The position is refined by a parabola along each axis. err counts only where good.
    """
    ny, nx = flux.shape
    side = kernel.shape[0]
    h = side // 2
    found = 0
    # no complete box has a smaller error than the image's least one gives; incomplete ones have larger ones
    sk, skk, least = 0.0, 0.0, np.inf
    for q in range(side):
        for m in range(side):
            sk += kernel[q, m]
            skk += kernel[q, m] ** 2
    for j in range(ny):
        for i in range(nx):
            if good[j, i] and err[j, i] < least:
                least = err[j, i]
    faintest = max(threshold * least * np.sqrt(side * side / (side * side * skk - sk * sk)), 0.0)
    for j in range(1, ny - 1):
        for i in range(1, nx - 1):
            v = flux[j, i]
            if not v > faintest:
                continue
            top = True
            for q in range(-1, 2):
                for m in range(-1, 2):
                    t = flux[j + q, i + m]
                    if t > v or (t == v and (q < 0 or (q == 0 and m < 0))):
                        top = False
            if not top:
                continue
            n, k, kk = 0.0, 0.0, 0.0
            for q in range(max(-h, -j), min(h, ny - 1 - j) + 1):
                for m in range(max(-h, -i), min(h, nx - 1 - i) + 1):
                    if good[j + q, i + m]:
                        t = kernel[q + h, m + h]
                        n += 1.0
                        k += t
                        kk += t * t
            det = n * kk - k * k
            if det <= 0.0:
                continue
            var = 0.0
            for q in range(max(-h, -j), min(h, ny - 1 - j) + 1):
                for m in range(max(-h, -i), min(h, nx - 1 - i) + 1):
                    if good[j + q, i + m]:
                        t = (n * kernel[q + h, m + h] - k) / det * err[j + q, i + m]
                        var += t * t
            s = v / np.sqrt(var)
            if not s > threshold or found >= x.size:
                continue
            x[found], y[found], f[found], snr[found] = i, j, v, s
            a, b = flux[j, i - 1], flux[j, i + 1]
            c = 2.0 * v - a - b
            if np.isfinite(a) and np.isfinite(b) and c > 0:
                x[found] += min(max(0.5 * (b - a) / c, -0.5), 0.5)
            a, b = flux[j - 1, i], flux[j + 1, i]
            c = 2.0 * v - a - b
            if np.isfinite(a) and np.isfinite(b) and c > 0:
                y[found] += min(max(0.5 * (b - a) / c, -0.5), 0.5)
            found += 1
    return found


@njit(cache=True, nogil=True)
def annulus_sky(data, weight, x, y, ring, sigma, fallback, least, out):
    """Clipped mean of the pixels with weight between two radii; the fallback below ``least`` pixels.

    ring: the radii; fallback: sky and error; out: sky, error and number of pixels.
    """
    inner, outer = ring
    sky, sky_err, n_sky = out
    ny, nx = data.shape
    reach = int(np.ceil(outer + 0.5))
    values = np.empty((2 * reach + 1) ** 2, np.float32)
    work = np.empty_like(values)
    for s in range(x.size):
        n = np.int64(0)
        known = np.isfinite(x[s] + y[s])  # else there is no pixel number to convert it to
        py = int(np.floor(y[s] + 0.5)) if known else -reach - 1
        for j in range(max(py - reach, 0), min(py + reach, ny - 1) + 1):
            dy2 = (j - y[s]) ** 2
            far = np.sqrt(max(outer * outer - dy2, 0.0)) if dy2 <= outer * outer else -1.0
            near = np.sqrt(inner * inner - dy2) if dy2 <= inner * inner else -1.0
            for i in range(max(int(np.ceil(x[s] - far)), 0), min(int(np.floor(x[s] + far)), nx - 1) + 1):
                if abs(i - x[s]) > near and weight[j, i] > 0:
                    values[n] = data[j, i]
                    n += 1
        sky[s], sky_err[s], n_sky[s] = fallback[0][s], fallback[1][s], n
        if n < least:
            continue
        for k in range(n):
            work[k] = values[k]
        middle = float(select(work, n, n // 2))
        for k in range(n):
            work[k] = abs(values[k] - middle)
        spread = 1.4826 * select(work, n, n // 2)
        mean, kept = middle, 0
        for _ in range(3):
            total, square, kept = 0.0, 0.0, 0
            limit = sigma * spread
            for k in range(n):
                d = values[k] - middle
                within = abs(d) <= limit
                d = d if within else 0.0
                total += d
                square += d * d
                kept += within
            if kept < least:
                break
            mean = middle + total / kept
            middle, spread = mean, np.sqrt(max(square / kept - (total / kept) ** 2, 0.0)) + 1e-30
        if kept >= least:
            sky[s], sky_err[s], n_sky[s] = mean, spread / np.sqrt(kept), kept


@njit(cache=True, nogil=True, fastmath=FAST)
def sharpness(data, weight, x, y, sky, least, slack, out):
    """How far the pixels around each star are sharper than any sum of stars, in standard errors.

    least: smallest sum of a pixel's two neighbors over that pixel, along x, y and the two diagonals. A pixel
    with less light in a pair of neighbors counts; ``slack`` is the relative error of ``least``. out: the
    largest of the 3 x 3 pixels and four axes.
    """
    ny, nx = data.shape
    for s in range(x.size):
        ic, jc = int(np.floor(x[s] + 0.5)), int(np.floor(y[s] + 0.5))
        out[s] = 0.0
        for j in range(max(jc - 1, 1), min(jc + 2, ny - 1)):
            for i in range(max(ic - 1, 1), min(ic + 2, nx - 1)):
                w = weight[j, i]
                c = data[j, i] - sky[s]
                if not (w > 0.0 and c > 0.0 and c * c * w > 16.0):
                    continue
                for k in range(4):
                    dj, di = AXES[k]
                    a, b = weight[j - dj, i - di], weight[j + dj, i + di]
                    if not (a > 0.0 and b > 0.0):
                        continue
                    lack = least[k] * c - (data[j - dj, i - di] + data[j + dj, i + di] - 2.0 * sky[s])
                    if lack > 0.0:
                        variance = 1.0 / a + 1.0 / b + least[k] * least[k] * (1.0 / w + slack * slack * c * c)
                        out[s] = max(out[s], lack / np.sqrt(variance))
