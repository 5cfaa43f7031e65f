"""Numba kernels for the master frame."""

import numpy as np
from numba import njit


@njit(cache=True, nogil=True)
def average_stars(start, x, y, vx, vy, extra, sigma, mean, rms, formal, n_used, used):
    """Clipped weighted mean positions of stars whose measurements lie in start[g]:start[g + 1].

    A measurement off in either axis is dropped in both; ``extra`` (2,) is variance that their own, vx and vy,
    lack when it comes to dropping. Outputs (mean, rms, formal: (n, 2)) are overwritten.
    """
    used[:] = False
    for g in range(start.size - 1):
        a, b = start[g], start[g + 1]
        n = b - a
        n_used[g] = 0
        for c in range(2):
            mean[g, c] = np.nan
            rms[g, c] = np.nan
            formal[g, c] = np.nan
        if n == 0:
            continue
        ok = np.ones(n, np.bool_)
        dx = x[a:b]
        dy = y[a:b]
        for _ in range(10):
            if ok.sum() < 3:
                break
            mx, my = np.median(dx[ok]), np.median(dy[ok])
            sx = max(1.4826 * np.median(np.abs(dx[ok] - mx)), np.sqrt(np.median(vx[a:b][ok]) + extra[0]))
            sy = max(1.4826 * np.median(np.abs(dy[ok] - my)), np.sqrt(np.median(vy[a:b][ok]) + extra[1]))
            changed = False
            for k in range(n):
                now = abs(dx[k] - mx) <= sigma * sx and abs(dy[k] - my) <= sigma * sy
                if now != ok[k]:
                    changed = True
                    ok[k] = now
            if not changed:
                break
        m = 0
        wx = 0.0
        wy = 0.0
        tx = 0.0
        ty = 0.0
        for k in range(n):
            if ok[k]:
                m += 1
                used[a + k] = True
                wx += 1.0 / vx[a + k]
                wy += 1.0 / vy[a + k]
                tx += x[a + k] / vx[a + k]
                ty += y[a + k] / vy[a + k]
        n_used[g] = m
        if m == 0:
            continue
        mean[g, 0] = tx / wx
        mean[g, 1] = ty / wy
        formal[g, 0] = wx**-0.5
        formal[g, 1] = wy**-0.5
        if m > 1:
            qx = 0.0
            qy = 0.0
            for k in range(n):
                if ok[k]:
                    qx += (x[a + k] - mean[g, 0]) ** 2
                    qy += (y[a + k] - mean[g, 1]) ** 2
            rms[g, 0] = np.sqrt(qx / (m - 1))
            rms[g, 1] = np.sqrt(qy / (m - 1))
