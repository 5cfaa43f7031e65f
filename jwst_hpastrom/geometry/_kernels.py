"""Numba kernels for matching: plain arrays in, plain arrays out."""

from typing import NamedTuple

import numpy as np
from numba import njit


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


class Cells(NamedTuple):
    """A list sorted into nx by ny square cells from (x0, y0) on.

    Those of cell c are order[start[c]:start[c + 1]].
    """

    order: np.ndarray
    start: np.ndarray
    x0: float
    y0: float
    size: float
    nx: int
    ny: int


@njit(cache=True, nogil=True)
def nearest_in_cells(x1, y1, x2, y2, cells, radius, index, distance):
    """Nearest star of list 2 within ``radius`` of each of list 1; list 2 is sorted into cells >= radius."""
    order, start, x0, y0, cell, nx, ny = cells
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
