"""Numba kernels for the simulation: stars into pixels."""

from typing import NamedTuple

import numpy as np
from numba import njit

from jwst_hpastrom.numerics.spline_kernels import bspline_slopes, bspline_weights


class PSFGrid(NamedTuple):
    """ePSFs at a grid of field positions, as B-splines."""

    coefficients: np.ndarray  # (ng * ng, m, m)
    x: np.ndarray  # (ng,)
    y: np.ndarray
    oversampling: int


@njit(cache=True, nogil=True)
def add_stars(image, grid, x, y, field_x, field_y, flux, radius):
    """Add each star's light to ``image`` (ny, nx), in place.

    ``x, y``: positions in the image, ``field_x, field_y`` on the full detector; ``radius`` in pixels per
    star.
    """
    coefficients, gx, gy, oversampling = grid
    ng = gx.size
    m = coefficients.shape[1]
    center = m // 2
    ny, nx = image.shape
    corner = np.empty(4, np.int64)
    share = np.empty(4)
    for s in range(x.size):
        ix = 0
        while ix < ng - 2 and field_x[s] > gx[ix + 1]:
            ix += 1
        iy = 0
        while iy < ng - 2 and field_y[s] > gy[iy + 1]:
            iy += 1
        a = min(max((field_x[s] - gx[ix]) / (gx[ix + 1] - gx[ix]), 0.0), 1.0)
        b = min(max((field_y[s] - gy[iy]) / (gy[iy + 1] - gy[iy]), 0.0), 1.0)
        corner[0], corner[1] = iy * ng + ix, iy * ng + ix + 1
        corner[2], corner[3] = (iy + 1) * ng + ix, (iy + 1) * ng + ix + 1
        share[0], share[1], share[2], share[3] = (1 - a) * (1 - b), a * (1 - b), (1 - a) * b, a * b
        px, py = int(np.floor(x[s] + 0.5)), int(np.floor(y[s] + 0.5))
        # all pixels of a star share one phase of the fine grid
        ux, uy = (px - x[s]) * oversampling + center, (py - y[s]) * oversampling + center
        kx, ky = int(np.floor(ux)), int(np.floor(uy))
        wx, wy = bspline_weights(ux - kx), bspline_weights(uy - ky)
        r = radius[s]
        for j in range(max(py - r, 0), min(py + r, ny - 1) + 1):
            row = ky + (j - py) * oversampling - 1
            if row < 0 or row + 3 >= m:
                continue
            for i in range(max(px - r, 0), min(px + r, nx - 1) + 1):
                column = kx + (i - px) * oversampling - 1
                if column < 0 or column + 3 >= m:
                    continue
                value = 0.0
                for c in range(4):
                    table = coefficients[corner[c]]
                    part = 0.0
                    for q in range(4):
                        line = table[row + q]
                        part += wy[q] * (
                            wx[0] * line[column]
                            + wx[1] * line[column + 1]
                            + wx[2] * line[column + 2]
                            + wx[3] * line[column + 3]
                        )
                    value += share[c] * part
                image[j, i] += flux[s] * value


@njit(cache=True, nogil=True)
def star_fisher(grid, origin, x, y, flux, kept, noise, half, fisher):
    """Fisher matrices (n, 3, 3) of x, y, flux from ``2 half + 1`` squared pixels around each star.

    Variance of a pixel: ``flux psf / per + floor``, (per, floor) being ``noise``, over the share of its time
    that is ``kept`` (ny, nx).
    """
    coefficients, gx, gy, oversampling = grid
    per, floor = noise
    ng = gx.size
    center = coefficients.shape[1] // 2
    ny, nx = kept.shape
    gradient = np.empty(3)
    for s in range(x.size):
        fx, fy = x[s] + origin[0], y[s] + origin[1]
        ix = 0
        while ix < ng - 2 and fx > gx[ix + 1]:
            ix += 1
        iy = 0
        while iy < ng - 2 and fy > gy[iy + 1]:
            iy += 1
        a = min(max((fx - gx[ix]) / (gx[ix + 1] - gx[ix]), 0.0), 1.0)
        b = min(max((fy - gy[iy]) / (gy[iy + 1] - gy[iy]), 0.0), 1.0)
        corner = (iy * ng + ix, iy * ng + ix + 1, (iy + 1) * ng + ix, (iy + 1) * ng + ix + 1)
        share = ((1 - a) * (1 - b), a * (1 - b), (1 - a) * b, a * b)
        px, py = int(np.floor(x[s] + 0.5)), int(np.floor(y[s] + 0.5))
        ux, uy = (px - x[s]) * oversampling + center, (py - y[s]) * oversampling + center
        kx, ky = int(np.floor(ux)), int(np.floor(uy))
        wx, wy = bspline_weights(ux - kx), bspline_weights(uy - ky)
        sx, sy = bspline_slopes(ux - kx), bspline_slopes(uy - ky)
        for j in range(max(py - half, 0), min(py + half, ny - 1) + 1):
            for i in range(max(px - half, 0), min(px + half, nx - 1) + 1):
                if not kept[j, i]:
                    continue
                row = ky + (j - py) * oversampling - 1
                column = kx + (i - px) * oversampling - 1
                value, slope_x, slope_y = 0.0, 0.0, 0.0
                for q in range(4):
                    for p in range(4):
                        c = 0.0
                        for k in range(4):
                            c += share[k] * coefficients[corner[k], row + q, column + p]
                        value += wy[q] * wx[p] * c
                        slope_x += wy[q] * sx[p] * c
                        slope_y += sy[q] * wx[p] * c
                gradient[0] = -flux[s] * slope_x * oversampling
                gradient[1] = -flux[s] * slope_y * oversampling
                gradient[2] = value
                weight = kept[j, i] / (max(flux[s] * value, 0.0) / per + floor)
                for m in range(3):
                    for n in range(3):
                        fisher[s, m, n] += weight * gradient[m] * gradient[n]
