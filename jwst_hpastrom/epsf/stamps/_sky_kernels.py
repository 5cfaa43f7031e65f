"""Numba kernels for the sky of an exposure: means in boxes, and what an image is without them and the stars.

A sky is a mesh of box means; between their centers it is bilinear, beyond them constant.
"""

import numpy as np
from numba import njit

from jwst_hpastrom.numerics.robust_kernels import FAST, median

ENOUGH = 512  # values that tell where to clip: to 0.05 of their scatter, which moves the mean by 0.0005 of it


@njit(cache=True, nogil=True, fastmath=FAST)
def clipped_mean(values, work, m, sigma):
    """Mean of values[:m] within ``sigma`` times 1.4826 MAD of the median, both of about `ENOUGH` of them."""
    step = (m // ENOUGH) | 1  # odd: not the same columns in every row
    n = (m + step - 1) // step
    for p in range(n):
        work[p] = values[p * step]
    middle = median(work, n)
    for p in range(n):
        work[p] = abs(values[p * step] - middle)
    spread = 1.4826 * median(work, n)
    total, k = 0.0, 0
    for p in range(m):
        if abs(values[p] - middle) <= sigma * spread:
            total += values[p]
            k += 1
    return total / k


@njit(cache=True, nogil=True, fastmath=FAST)
def places(n, m, first, share):
    """Box before each of n pixels' centers, of m boxes, and the share of the box after it."""
    for i in range(n):
        p = min(max((i + 0.5) * m / n - 0.5, 0.0), m - 1.0)
        first[i] = min(int(p), max(m - 2, 0))
        share[i] = p - first[i]


@njit(cache=True, nogil=True, fastmath=FAST)
def level_row(mesh, y, fy, first, share, boxes, row):
    """Sky of a row of pixels, a share ``fy`` of the way from the mesh's row y to the next."""
    my, mx = mesh.shape
    for b in range(mx):
        boxes[b] = (1.0 - fy) * mesh[y, b] + fy * mesh[min(y + 1, my - 1), b]
    boxes[mx] = boxes[mx - 1]
    for i in range(row.size):
        row[i] = (1.0 - share[i]) * boxes[first[i]] + share[i] * boxes[first[i] + 1]


@njit(cache=True, nogil=True, fastmath=FAST)
def mesh_scratch(shape, mesh):
    """Return work space for `level_row`: places along y and x, boxes and pixels of a row."""
    ny, nx = shape
    jy, fy, ix, fx = np.empty(ny, np.int64), np.empty(ny), np.empty(nx, np.int64), np.empty(nx)
    places(ny, mesh.shape[0], jy, fy)
    places(nx, mesh.shape[1], ix, fx)
    return jy, fy, ix, fx, np.empty(mesh.shape[1] + 1), np.empty(nx)


@njit(cache=True, nogil=True, fastmath=FAST)
def add_level(image, mesh):
    """Add a sky to an image in place."""
    jy, fy, ix, fx, boxes, row = mesh_scratch(image.shape, mesh)
    for j in range(image.shape[0]):
        level_row(mesh, jy[j], fy[j], ix, fx, boxes, row)
        for i in range(row.size):
            image[j, i] += row[i]


@njit(cache=True, nogil=True, fastmath=FAST)
def star_light(data, resid, mesh, bad, light):
    """What the models of the stars add up to: the image less the residual image and the sky; 0 where bad."""
    jy, fy, ix, fx, boxes, row = mesh_scratch(data.shape, mesh)
    for j in range(data.shape[0]):
        level_row(mesh, jy[j], fy[j], ix, fx, boxes, row)
        for i in range(row.size):
            light[j, i] = 0.0 if bad[j, i] else data[j, i] - resid[j, i] - row[i]


@njit(cache=True, nogil=True, fastmath=FAST)
def weights_of(data, resid, bad, var0, slope, weight):
    """Inverse variance of the light that is expected in each pixel; 0 where bad."""
    for j in range(data.shape[0]):
        for i in range(data.shape[1]):
            expected = max(data[j, i] - resid[j, i], 0.0)
            weight[j, i] = 0.0 if bad[j, i] else 1.0 / (var0 + slope * expected)


@njit(cache=True, nogil=True, fastmath=FAST)
def mesh_means(image, skip, box, sigma, mean, count):
    """`clipped_mean` of every other pixel not skipped, box by box."""
    ny, nx = image.shape
    my, mx = mean.shape
    values, work = np.empty(box * box * 4), np.empty(box * box * 4)
    for bj in range(my):
        j0, j1 = bj * ny // my, (bj + 1) * ny // my
        for bi in range(mx):
            i0, i1 = bi * nx // mx, (bi + 1) * nx // mx
            m = np.int64(0)
            for j in range(j0, j1):
                for i in range(i0 + j % 2, i1, 2):
                    if not skip[j, i] and m < values.size:
                        values[m] = image[j, i]
                        m += 1
            count[bj, bi] = m
            mean[bj, bi] = clipped_mean(values, work, m, sigma) if m >= 10 else np.nan


@njit(cache=True, nogil=True, fastmath=FAST)
def means_between(resid, light, bad, mesh, most, box, sigma, mean, count):
    """`mesh_means` of a residual image with its sky put back, but for bad pixels and those of more light."""
    ny, nx = resid.shape
    my, mx = mean.shape
    values, work = np.empty(box * box * 4), np.empty(box * box * 4)
    jy, fy, ix, fx, boxes, _ = mesh_scratch(resid.shape, mesh)
    rows = np.empty((ny // my + 1, nx))
    for bj in range(my):
        j0, j1 = bj * ny // my, (bj + 1) * ny // my
        for j in range(j0, j1):
            level_row(mesh, jy[j], fy[j], ix, fx, boxes, rows[j - j0])
        for bi in range(mx):
            i0, i1 = bi * nx // mx, (bi + 1) * nx // mx
            m = np.int64(0)
            for j in range(j0, j1):
                for i in range(i0 + j % 2, i1, 2):
                    if not bad[j, i] and light[j, i] <= most and m < values.size:
                        values[m] = resid[j, i] + rows[j - j0, i]
                        m += 1
            count[bj, bi] = m
            mean[bj, bi] = clipped_mean(values, work, m, sigma) if m >= 10 else np.nan
