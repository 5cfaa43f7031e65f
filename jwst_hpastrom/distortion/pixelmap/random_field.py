"""A Gaussian random field on the detector: the prior of the finest structure, and its posterior from pairs.

The field is a sum over a few scales, each stationary but for a slowly varying amplitude, and independent from
amplifier to amplifier. With z white noise it is f = L z = Σ A F⁻¹ S F z; the stars' positions are eliminated
from the weights W', and (1 + Lᵀ Bᵀ W' B L) z = Lᵀ Bᵀ W' r is solved by conjugate gradients (Methods §2).
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from scipy import sparse
from scipy.fft import irfft2, next_fast_len, rfft2
from scipy.ndimage import gaussian_filter, map_coordinates
from scipy.optimize import nnls

__all__ = ["Grid", "RandomField", "autocorrelation", "fit_power", "solve_field"]

#: scales, pixels: the covariance of each is a Gaussian of this standard deviation; from the finest that stars
#: are dense enough to show to half a cell of the default look-up table, which has what is coarser
LENGTHS = np.array([5.0, 12.0, 30.0])
#: no scale has less than this share of the variance anywhere: structure is not as smooth as Gaussians
LEAST = 0.05
_PAD = 5.0 * LENGTHS[-1]


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

    def smooth(self, image, width):
        """Average an image of the bins with a Gaussian of ``width`` pixels."""
        return gaussian_filter(image, width / self.bin, mode="reflect", truncate=3.0)


@dataclass(frozen=True)
class RandomField:
    """The prior.

    Attributes
    ----------
    grid : `Grid`
    deviation : ndarray, shape (len(LENGTHS), 2, ny, nx)
        Standard deviation of the field at each scale (`LENGTHS`), of the corrections of x and y, pixels.
    """

    grid: Grid
    deviation: np.ndarray

    def __post_init__(self):
        nx = self.grid.size[1]
        pad = int(np.ceil(_PAD / self.grid.bin))
        rows = max(s.stop - s.start for s in self.grid.slices) + pad
        size = next_fast_len(rows, real=True), next_fast_len(nx + pad, real=True)
        qy = 2 * np.pi * np.fft.fftfreq(size[0])[:, None]
        qx = 2 * np.pi * np.fft.rfftfreq(size[1])
        scale = (LENGTHS / self.grid.bin)[:, None, None, None]
        root = np.sqrt(2 * np.pi) * scale * np.exp(-0.25 * (qx**2 + qy**2) * scale**2)
        object.__setattr__(self, "_size", size)
        # single precision: half the time, and 1e-6 of the field is nothing
        object.__setattr__(self, "_root", root.astype(np.float32))

    @property
    def white(self):
        """Shape of the white noise."""
        return (len(LENGTHS), 2, self.grid.bands, *self._size)

    def parts(self, z):
        """The field of white noise at each scale, shape (len(LENGTHS), 2, ny, nx)."""
        out = np.empty(self.deviation.shape, np.float32)
        for b, s in enumerate(self.grid.slices):
            band = irfft2(self._root * rfft2(z[:, :, b]), self._size)
            out[:, :, s] = band[..., : s.stop - s.start, : self.grid.size[1]]
        out *= self.deviation
        return out

    def field(self, z):
        """The field of white noise, shape (2, ny, nx)."""
        return self.parts(z).sum(0)

    def transposed(self, field):
        """The transpose of `field`."""
        field = field * self.deviation
        out = np.empty(self.white, np.float32)
        for b, s in enumerate(self.grid.slices):
            out[:, :, b] = irfft2(self._root * rfft2(field[:, :, s], self._size), self._size)
        return out

    def improved(self, found, error, widths):
        """Prior as the data want it, from the posterior's mean and a sample of its error, scale by scale.

        The mean's square is the prior's times the share that the data determine, s²/(s² + n²); the noise n²
        is the same everywhere and follows from the sample's mean square (MacKay's rule, place by place).

        Parameters
        ----------
        found, error : ndarray, shape (len(LENGTHS), 2, ny, nx)
        widths : sequence of float
            Pixels over which squares are averaged, per scale.
        """
        out = np.empty(self.deviation.shape, np.float32)
        for new, old, f, e, width in zip(out, self.deviation, found, error, widths, strict=True):
            for k in (0, 1):
                before = np.asarray(old[k], float) ** 2
                share = np.clip(1.0 - np.mean(e[k] ** 2, dtype=float) / before.mean(), 0.02, 0.98)
                noise = before.mean() * (1.0 - share) / share
                now = self.grid.smooth(f[k] ** 2, width) * (before + noise) / before
                new[k] = np.clip(now, before / 10, before * 10)
        return RandomField(self.grid, np.sqrt(np.maximum(out, LEAST * out.sum(0))))


def autocorrelation(values, weights, grid, reach=160.0):
    """Weighted mean product of values as a function of their distance.

    Parameters
    ----------
    values, weights : ndarray, shape (ny, nx)
        Weighted means and weights of the bins, or a field and ones.
    grid : `Grid`
        Bands are kept apart.
    reach : float
        Largest distance, pixels.

    Returns
    -------
    distance, product, weight : ndarray
        Pixels, mean products, and the sums of weights; by steps of a bin, the first is distance zero.
    """
    top = int(reach / grid.bin)
    total, norm, number = np.zeros(top), np.zeros(top), np.zeros(top)
    for s in grid.slices:
        size = [next_fast_len(n + top, real=True) for n in (s.stop - s.start, grid.size[1])]
        product, weight = (
            irfft2(np.abs(rfft2(v[s], size)) ** 2, size)[:top] for v in (values * weights, weights)
        )
        j, i = np.meshgrid(np.arange(top), np.arange(-top + 1, top), indexing="ij")
        once = (j > 0) | (i >= 0)
        k = np.round(np.hypot(j, i)).astype(int)
        use = once & (k < top) & (j < s.stop - s.start)
        total += np.bincount(k[use], product[j[use], i[use]], top)
        norm += np.bincount(k[use], weight[j[use], i[use]], top)
        number += np.bincount(k[use], minlength=top)
    good = norm > 1e-6 * norm.max()
    return grid.bin * np.arange(top)[good], (total[good] / norm[good]), norm[good]


def fit_power(distance, product, weight, *, least=LEAST):
    """Variances of the scales (`LENGTHS`) that add up to a measured covariance.

    No scale gets less than the share ``least`` of all: what the average does not show may be there in places.
    """
    root = np.sqrt(weight / weight.max())
    design = np.exp(-0.5 * (distance[:, None] / LENGTHS) ** 2)
    power, _ = nnls(design * root[:, None], product * root)
    return np.maximum(power, least * max(power.sum(), 1e-8))


def _dot(a, b):
    return np.float32(np.vdot(a, b))


def solve_field(prior, evaluate, weigh, r, *, tolerance=2e-3, max_iterations=120):
    """Return the posterior mean of the field.

    Parameters
    ----------
    prior : `RandomField`
    evaluate : sparse matrix, shape (n, ny nx)
        The field at the pairs.
    weigh : callable
        W': residuals (2, n) -> (2, n), the stars eliminated.
    r : ndarray, shape (2, n)
        Residuals.
    tolerance : float
        Of the residual of the normal equations, relative.
    max_iterations : int

    Returns
    -------
    ndarray, shape (len(LENGTHS), 2, ny, nx)
        By scale.
    """
    back = evaluate.T.tocsr()

    def down(values):
        values = values.astype(np.float32)
        return prior.transposed(np.stack([(back @ v).reshape(prior.grid.size) for v in values]))

    def normal(z):
        f = prior.field(z)
        return z + down(weigh(np.stack([evaluate @ v.ravel() for v in f])))

    left = down(weigh(r))
    z, p = np.zeros_like(left), left.copy()
    old = first = _dot(left, left)
    for _ in range(max_iterations):
        if not old > tolerance**2 * first:
            break
        a = normal(p)
        step = old / _dot(p, a)
        z += step * p
        left -= step * a
        new = _dot(left, left)
        p = left + np.float32(new / old) * p
        old = new
    return prior.parts(z)
