"""Numba kernels for the local transformations."""

import numpy as np
from numba import njit

from jwst_hpastrom.numerics.robust_kernels import sigma_about


@njit(cache=True, nogil=True)
def local_offsets(x, y, own, near, rx, ry, rdx, rdy, rw, sigma, dx, dy, ex, ey, n_used):
    """Clipped linear fit of the offsets (rdx, rdy) of the stars ``near`` each star, evaluated at the star.

    ``near``: (n, k) indices into the reference arrays, -1 for none; ``own``: the star's own index there
    (left out), or -1. ``rw``: weights. Fills the fitted offsets and their errors (from the scatter), NaN
    where there are fewer than four.
    """
    k_max = near.shape[1]
    for s in range(x.size):
        dx[s] = np.nan
        dy[s] = np.nan
        ex[s] = np.nan
        ey[s] = np.nan
        n_used[s] = 0
        idx = np.empty(k_max, np.int64)
        m = 0
        for k in range(k_max):
            if near[s, k] >= 0 and near[s, k] != own[s]:
                idx[m] = near[s, k]
                m += 1
        if m < 4:
            continue
        design = np.ones((m, 3))
        span = 0.0
        for k in range(m):
            design[k, 1] = rx[idx[k]] - x[s]
            design[k, 2] = ry[idx[k]] - y[s]
            span = max(span, abs(design[k, 1]), abs(design[k, 2]))
        if span == 0.0:
            continue
        design[:, 1:] /= span
        ok = np.ones(m, np.bool_)
        target = np.empty((m, 2))
        w = np.empty(m)
        for k in range(m):
            target[k, 0] = rdx[idx[k]]
            target[k, 1] = rdy[idx[k]]
            w[k] = rw[idx[k]]
        inverse = np.zeros((3, 3))
        coefficients = np.zeros((3, 2))
        residual = np.zeros((m, 2))
        for _ in range(5):
            normal = np.zeros((3, 3))
            right = np.zeros((3, 2))
            for k in range(m):
                if ok[k]:
                    for a in range(3):
                        for b in range(3):
                            normal[a, b] += w[k] * design[k, a] * design[k, b]
                        for c in range(2):
                            right[a, c] += w[k] * design[k, a] * target[k, c]
            if abs(np.linalg.det(normal)) < 1e-9 * normal[0, 0] ** 3:
                inverse[:, :] = 0.0  # stars in a line: their mean is all they give
                inverse[0, 0] = 1.0 / normal[0, 0]
            else:
                inverse[:, :] = np.linalg.inv(normal)
            for c in range(2):
                for a in range(3):
                    coefficients[a, c] = 0.0
                    for b in range(3):
                        coefficients[a, c] += inverse[a, b] * right[b, c]
            for k in range(m):
                for c in range(2):
                    residual[k, c] = target[k, c]
                    for a in range(3):
                        residual[k, c] -= design[k, a] * coefficients[a, c]
            if ok.sum() < 6:
                break
            root = np.sqrt(w)
            zx = residual[:, 0] * root
            zy = residual[:, 1] * root
            sx = sigma_about(zx[ok], 0.0)
            sy = sigma_about(zy[ok], 0.0)
            changed = False
            for k in range(m):
                now = abs(zx[k]) <= sigma * sx and abs(zy[k]) <= sigma * sy
                if now != ok[k]:
                    changed = True
                    ok[k] = now
            if ok.sum() < 4:
                break
            if not changed:
                break
        n = 0
        qx = 0.0
        qy = 0.0
        for k in range(m):
            if ok[k]:
                n += 1
                qx += w[k] * residual[k, 0] ** 2
                qy += w[k] * residual[k, 1] ** 2
        if n < 4:
            continue
        n_used[s] = n
        dx[s] = coefficients[0, 0]
        dy[s] = coefficients[0, 1]
        ex[s] = np.sqrt(inverse[0, 0] * qx / (n - 3))
        ey[s] = np.sqrt(inverse[0, 0] * qy / (n - 3))
