"""Square bins over the detector, in bands across which nothing is continuous."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from scipy import sparse
from scipy.ndimage import gaussian_filter, map_coordinates

__all__ = ["Grid", "bin_for"]

#: detectors smaller than this have bins of 2 pixels, others of 4
SMALL = 256
#: bins, pixels, where there is not one pair in each: what is finer than these cannot be told from noise
LARGE = 8


@dataclass(frozen=True)
class Grid:
    """Square bins over the detector, in bands along one axis across which nothing is continuous.

    Images of the bins have the bands along their first axis; `upright` turns them to (y, x) and back.

    Attributes
    ----------
    shape : tuple of int
        Detector (ny, nx).
    bin : int
        Pixels per bin.
    bands : int
    axis : {"y", "x"}
        Along which the bands follow each other.
    """

    shape: tuple
    bin: int
    bands: int
    axis: str = "y"

    def upright(self, image):
        """Turn images of the bins to (y, x), or back."""
        return np.swapaxes(image, -1, -2) if self.axis == "x" else image

    @property
    def size(self):
        """Bins across and along the bands."""
        ny, nx = (n // self.bin for n in self.shape)
        return (nx, ny) if self.axis == "x" else (ny, nx)

    @property
    def slices(self):
        """Rows of bins of each band."""
        edges = np.linspace(0, self.size[0], self.bands + 1).astype(int)
        return [slice(a, b) for a, b in pairwise(edges)]

    def bilinear(self, x, y):
        """Matrix that evaluates a field at raw positions, within their own band."""
        if self.axis == "x":
            x, y = y, x
        ny, nx = self.size
        fx = np.clip((x + 0.5) / self.bin - 0.5, 0, nx - 1)
        fy = (y + 0.5) / self.bin - 0.5
        row = np.clip((y + 0.5) / self.bin, 0, ny - 1).astype(int)
        low, high = np.empty(row.size), np.empty(row.size)
        for s in self.slices:
            k = (row >= s.start) & (row < s.stop)
            low[k], high[k] = s.start, s.stop - 1
        fy = np.clip(fy, low, high)
        i, j = np.minimum(fx.astype(int), nx - 2), np.minimum(fy, high - 1).astype(int)
        f, g = fx - i, fy - j
        column = np.stack([j * nx + i, j * nx + i + 1, (j + 1) * nx + i, (j + 1) * nx + i + 1], 1)
        weight = np.stack([(1 - g) * (1 - f), (1 - g) * f, g * (1 - f), g * f], 1)
        start = np.arange(0, 4 * x.size + 1, 4)
        return sparse.csr_array((weight.ravel().astype(np.float32), column.ravel(), start), (x.size, ny * nx))

    def near_border(self, x, y, reach):
        """Which raw positions are within ``reach`` pixels of a border between bands."""
        place = np.asarray(x if self.axis == "x" else y)
        borders = np.array([s.start * self.bin - 0.5 for s in self.slices[1:]])
        return (np.abs(place[:, None] - borders) < reach).any(1)

    def full(self, image, order=3):
        """Blow an image of the bins up to pixels (y, x), band by band."""
        shape = self.shape[::-1] if self.axis == "x" else self.shape
        out = np.empty(shape)
        fx = (np.arange(shape[1]) + 0.5) / self.bin - 0.5
        for s in self.slices:
            rows = np.arange(s.start * self.bin, s.stop * self.bin)
            fy = (rows + 0.5) / self.bin - 0.5 - s.start
            places = np.meshgrid(fy, fx, indexing="ij")
            out[rows] = map_coordinates(image[s], places, order=order, mode="nearest")
        return self.upright(out)

    def coarser(self):
        """The grid of bins twice as large."""
        return Grid(self.shape, 2 * self.bin, self.bands, self.axis)

    def spread(self):
        """Matrices that interpolate an image of the coarser bins along either axis, within bands."""
        coarse = self.coarser()
        rows = list(zip(self.slices, coarse.slices, strict=True))
        whole = [(slice(0, self.size[1]), slice(0, coarse.size[1]))]
        return _interpolation(rows, self.size[0], coarse.size[0]), _interpolation(
            whole, self.size[1], coarse.size[1]
        )

    def smooth(self, image, width):
        """Average an image of the bins with a Gaussian of ``width`` pixels."""
        return gaussian_filter(image, width / self.bin, mode="reflect", truncate=3.0)


def bin_for(pairs, shape, bands):
    """Pixels of the grid's bins: the fewer stars, the larger, which are a quarter of the work each time.

    Parameters
    ----------
    pairs : int
        Measured stars of all filters.
    shape : tuple of int
        Detector (ny, nx).
    bands : int

    Returns
    -------
    int
    """
    if min(shape) < SMALL:
        return 2
    # whole bins, and whole ones of twice the size, in each band
    divisible = all(n % (2 * LARGE * bands) == 0 for n in shape)
    return LARGE if divisible and pairs * LARGE**2 < shape[0] * shape[1] else 4


def _interpolation(parts, n, n_coarse):
    """Sparse matrix (n, n_coarse) that interpolates linearly from bins twice as large, part by part."""
    out = sparse.lil_array((n, n_coarse), dtype=np.float32)
    for fine, coarse in parts:
        for row in range(fine.start, fine.stop):
            at = np.clip((row + 0.5) / 2 - 0.5, coarse.start, coarse.stop - 1)
            low = min(int(at), max(coarse.stop - 2, coarse.start))
            out[row, low] = 1.0 - (at - low)
            if low + 1 < coarse.stop:
                out[row, low + 1] = at - low
    return out.tocsr()
