"""Numba kernels for matching and clipped averages: plain arrays in, plain arrays out."""

import numpy as np
from numba import njit


@njit(cache=True, nogil=True)
def select(v, n, k):
    """Value of rank k of v[:n]; reorders v (Hoare's quickselect)."""
    low, high = 0, n - 1
    while low < high:
        pivot = v[(low + high) // 2]
        i, j = low, high
        while i <= j:
            while v[i] < pivot:
                i += 1
            while v[j] > pivot:
                j -= 1
            if i <= j:
                v[i], v[j] = v[j], v[i]
                i += 1
                j -= 1
        if k <= j:
            high = j
        elif k >= i:
            low = i
        else:
            break
    return v[k]


@njit(cache=True, nogil=True)
def clipped_group_means(order, start, values, weights, sigma, used):
    n_groups = start.size - 1
    mean = np.full(n_groups, np.nan)
    rms = np.full(n_groups, np.nan)
    formal = np.full(n_groups, np.nan)
    n_found = np.zeros(n_groups, np.int64)
    n_used = np.zeros(n_groups, np.int64)
    for g in range(n_groups):
        a, b = start[g], start[g + 1]
        m = 0
        v = np.empty(b - a)
        w = np.empty(b - a)
        src = np.empty(b - a, np.int64)
        for k in range(a, b):
            i = order[k]
            if np.isfinite(values[i]) and weights[i] > 0 and np.isfinite(weights[i]):
                v[m], w[m], src[m] = values[i], weights[i], i
                m += 1
        n_found[g] = m
        if m == 0:
            continue
        ok = np.ones(m, np.bool_)
        for _ in range(10):
            n = ok.sum()
            if n < 3:
                break
            kept = v[:m][ok]
            med = np.median(kept)
            mad = 1.4826 * np.median(np.abs(kept - med))
            scale = max(mad, np.median(1 / np.sqrt(w[:m][ok])))
            changed = False
            for k in range(m):
                now = abs(v[k] - med) <= sigma * scale
                if now != ok[k]:
                    changed = True
                ok[k] = now
            if not changed:
                break
        sw = 0.0
        sv = 0.0
        n = 0
        for k in range(m):
            if ok[k]:
                sw += w[k]
                sv += w[k] * v[k]
                n += 1
                used[src[k]] = True
        if n == 0:
            continue
        mu = sv / sw
        mean[g], formal[g], n_used[g] = mu, sw**-0.5, n
        if n > 1:
            s2 = 0.0
            for k in range(m):
                if ok[k]:
                    s2 += w[k] * (v[k] - mu) ** 2
            rms[g] = np.sqrt(s2 * n / (sw * (n - 1)))
    return mean, rms, formal, n_found, n_used


@njit(cache=True, nogil=True)
def vote_shifts(ax, ay, bx, by, counts):
    """Count the offsets b - a of all pairs in unit cells; the 2 x 2 cells with most: number, column, row."""
    counts[:] = 0
    ny, nx = counts.shape
    for i in range(ax.size):
        for j in range(bx.size):
            dx, dy = bx[j] - ax[i], by[j] - ay[i]
            if 0.0 <= dx < nx and 0.0 <= dy < ny:
                counts[int(dy), int(dx)] += 1
    best, row, column = -1, 0, 0
    for ky in range(ny - 1):  # the row's best first: without an index the loop is vectorised
        top = 0
        for kx in range(nx - 1):
            top = max(top, counts[ky, kx] + counts[ky, kx + 1] + counts[ky + 1, kx] + counts[ky + 1, kx + 1])
        if top > best:
            best, row = top, ky
    for kx in range(nx - 1):
        if counts[row, kx] + counts[row, kx + 1] + counts[row + 1, kx] + counts[row + 1, kx + 1] == best:
            column = kx
            break
    return best, column, row


@njit(cache=True, nogil=True)
def nearest_in_cells(x1, y1, x2, y2, order, start, x0, y0, cell, nx, ny, radius, index, distance):
    """Nearest star of list 2 within ``radius`` of each of list 1; list 2 is sorted into cells >= radius."""
    for i in range(x1.size):
        kx = int(np.floor((x1[i] - x0) / cell))
        ky = int(np.floor((y1[i] - y0) / cell))
        best, arg = np.inf, -1
        for cy in range(max(ky - 1, 0), min(ky + 2, ny)):
            for cx in range(max(kx - 1, 0), min(kx + 2, nx)):
                c = cy * nx + cx
                for k in range(start[c], start[c + 1]):
                    j = order[k]
                    d = (x1[i] - x2[j]) ** 2 + (y1[i] - y2[j]) ** 2
                    if d < best or (d == best and j < arg):
                        best, arg = d, j
        index[i] = -1
        distance[i] = np.inf
        if arg >= 0 and best <= radius * radius:
            index[i] = arg
            distance[i] = np.sqrt(best)
