"""Numba kernels for the local transformations."""

from typing import NamedTuple

import numpy as np
from numba import njit

from jwst_hpastrom.numerics.robust_kernels import sigma_about

#: clippings at most; fewest stars of a fit, and of a clipping
MOST_FITS, FEWEST, FEWEST_CLIPPED = 5, 4, 6


class Reference(NamedTuple):
    """Reference stars: positions, offsets and weights."""

    x: np.ndarray
    y: np.ndarray
    dx: np.ndarray
    dy: np.ndarray
    weight: np.ndarray


class Offsets(NamedTuple):
    """What is found at every star: offsets, their errors (from the scatter), and stars used."""

    dx: np.ndarray
    dy: np.ndarray
    ex: np.ndarray
    ey: np.ndarray
    n_used: np.ndarray


@njit(cache=True, nogil=True)
def local_offsets(x, y, own, near, reference, sigma, out):
    """Clipped linear fit of the offsets of the stars ``near`` each star, evaluated at the star.

    ``near``: (n, k) indices into the reference arrays, -1 for none; ``own``: the star's own index there
    (left out), or -1. Fills `Offsets`, NaN where there are fewer than `FEWEST`.
    """
    for s in range(x.size):
        out.dx[s] = out.dy[s] = out.ex[s] = out.ey[s] = np.nan
        out.n_used[s] = 0
        idx = np.empty(near.shape[1], np.int64)
        m = 0
        for k in range(near.shape[1]):
            if near[s, k] >= 0 and near[s, k] != own[s]:
                idx[m] = near[s, k]
                m += 1
        if m < FEWEST:
            continue
        design = np.ones((m, 3))
        span = 0.0
        for k in range(m):
            design[k, 1] = reference.x[idx[k]] - x[s]
            design[k, 2] = reference.y[idx[k]] - y[s]
            span = max(span, abs(design[k, 1]), abs(design[k, 2]))
        if span == 0.0:
            continue
        design[:, 1:] /= span
        target = np.empty((m, 2))
        w = np.empty(m)
        for k in range(m):
            target[k, 0] = reference.dx[idx[k]]
            target[k, 1] = reference.dy[idx[k]]
            w[k] = reference.weight[idx[k]]
        ok, inverse, coefficients, residual = _clipped_plane(design, target, w, sigma)
        n = 0
        qx = 0.0
        qy = 0.0
        for k in range(m):
            if ok[k]:
                n += 1
                qx += w[k] * residual[k, 0] ** 2
                qy += w[k] * residual[k, 1] ** 2
        if n < FEWEST:
            continue
        out.n_used[s] = n
        out.dx[s] = coefficients[0, 0]
        out.dy[s] = coefficients[0, 1]
        out.ex[s] = np.sqrt(inverse[0, 0] * qx / (n - 3))
        out.ey[s] = np.sqrt(inverse[0, 0] * qy / (n - 3))


@njit(cache=True, nogil=True)
def _clipped_plane(design, target, w, sigma):
    """Plane through two targets: stars kept, inverse of the equations, coefficients, residuals."""
    m = w.size
    ok = np.ones(m, np.bool_)
    inverse = np.zeros((3, 3))
    coefficients = np.zeros((3, 2))
    residual = np.zeros((m, 2))
    for _ in range(MOST_FITS):
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
        if ok.sum() < FEWEST_CLIPPED:
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
        if ok.sum() < FEWEST or not changed:
            break
    return ok, inverse, coefficients, residual
