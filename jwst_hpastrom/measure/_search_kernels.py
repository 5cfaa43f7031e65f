"""Numba kernels that find stars in a stack of exposures."""

import numpy as np
from numba import njit

from jwst_hpastrom.numerics.robust_kernels import FAST


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
def score(cutouts, lib, kernels, zp, nodes, top, bottom):
    """Add each exposure's matched-filter sums to ``top`` (Σ w k r) and ``bottom`` (Σ w k²) at a grid's nodes.

    Node (b, a) lies at step·(a, b), a pixel being a whole number of steps. kernels (n_libraries, n_phase,
    n_phase, side, side): the ePSF at phases of the pixel. Nodes a pixel apart mostly lie at the same phase
    of neighboring pixels: such runs share a kernel and are summed together.
    """
    data, weight = cutouts
    spacing, step = nodes.spacing, nodes.step
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
            places(nodes.x[e], spacing, step, b, x)
            places(nodes.y[e], spacing, step, b, y)
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
