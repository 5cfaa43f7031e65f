"""Rows and columns of the whole detector: functions of one coordinate, with a spectrum that the data choose.

Read-out and manufacture repeat a pattern from one edge to the other: along each amplifier's band as that
amplifier has it, and across all of them. What is the same over two thousand pixels is known better than what
a field of some length finds of it in each of its pieces; a period stands out in the spectrum as a line.
"""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.polynomial.legendre import legvander
from scipy import sparse
from scipy.fft import irfft, next_fast_len, rfft
from scipy.linalg import block_diag
from scipy.optimize import brentq
from scipy.special import ndtr

__all__ = ["Passage", "Trend", "Waves"]

#: shortest period, pixels: a few bins, and stars are too few for shorter ones
SHORTEST = 32.0
#: deviation of each of the trend's terms, pixels: together 0.004, what polynomials solved before the fine
#: structure was known were off by (0.003). Constant and linear terms are the exposures' transformations'
OFF = 0.001
#: power over the noise's below which a frequency is taken for noise (one in fifty of pure noise is above)
LINE = 4.0
#: variance of a frequency that is taken for noise, of the noise's: it may still come back
FAINT = 0.1
#: factor by which a variance may change in a turn
GROWTH = 10.0
#: share of the strongest frequency's variance below which one is left out where columns are asked for
WEAK = 0.01
#: widths of the passage from one band to the next that are tried, a Gaussian's deviation, pixels
WIDTHS = np.array([0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0])
#: widths from a border within which there is a passage
PASSED = 4.0


def _in_bins(grid, x, y):
    """Places along and across the bands, in bins."""
    along, across = ((np.asarray(v, float) + 0.5) / grid.bin - 0.5 for v in (x, y))
    return (across, along) if grid.axis == "x" else (along, across)


def _interpolating(place, n, first, size):
    """Sparse matrix (m, size) that interpolates linearly among n values, the first one of which is given."""
    place = np.clip(place, 0, n - 1)
    low = np.minimum(place.astype(int), n - 2)
    column, weight = first + np.stack([low, low + 1]), np.stack([1 - (place - low), place - low])
    row = np.broadcast_to(np.arange(place.size), column.shape)
    return sparse.csr_array((weight.ravel(), (row.ravel(), column.ravel())), (place.size, size))


@dataclass(frozen=True)
class Trend:
    """What the polynomial may still be off by: it was solved before the fine structure was known.

    Attributes
    ----------
    grid : `~jwst_hpastrom.distortion.pixelmap.random_field.Grid`
    degree : int
    """

    grid: object
    degree: int = 5

    @cached_property
    def bases(self):
        """Legendre polynomials of variance one, on the rows and on the columns of bins, (ny, n), (nx, n)."""
        places = [(2 * np.arange(m) + 1.0) / m - 1.0 for m in self.grid.size]
        scale = np.sqrt(2 * np.arange(self.degree + 1) + 1)
        return [(legvander(at, self.degree) * scale).astype(np.float32) for at in places]

    @cached_property
    def deviation(self):
        """Of each of the terms, (n, n), pixels; zero for none."""
        order = np.add.outer(np.arange(self.degree + 1), np.arange(self.degree + 1))
        return np.where((order > 1) & (order <= self.degree), OFF, 0.0).astype(np.float32)

    @property
    def white(self):
        """Number of the white noise's values."""
        return 2 * (self.degree + 1) ** 2

    def parts(self, z):
        """Coefficients of Legendre polynomials of variance one, list of (2, n, n)."""
        return [self.deviation * z.reshape(2, self.degree + 1, -1)]

    def columns(self, x, y):
        """The terms at raw pixels (n,), times their deviations, (n, m)."""
        along, across = (
            legvander((2 * v + 1.0) / m - 1.0, self.degree) * np.sqrt(2 * np.arange(self.degree + 1) + 1)
            for v, m in zip(_in_bins(self.grid, x, y), self.grid.size[::-1], strict=True)
        )
        j, i = np.nonzero(self.deviation)
        return self.deviation[j, i] * across[:, j] * along[:, i]

    def total(self, parts):
        """The trend on the grid's bins, (2, ny, nx)."""
        up, across = self.bases
        return up @ parts[0] @ across.T

    def transposed(self, field):
        """The transpose of `total` of `parts` for a field (2, ny, nx)."""
        up, across = self.bases
        return (self.deviation * (up.T @ field @ across)).ravel()


@dataclass(frozen=True)
class Waves:
    """Functions of the coordinate along each band, one a band, and of that across them, one for all.

    Attributes
    ----------
    grid : `~jwst_hpastrom.distortion.pixelmap.random_field.Grid`
    power : tuple of ndarray, each of shape (2, n)
        Variance of the corrections of x and y at each frequency, pixels², along and across; frequencies are
        multiples of one over twice the detector, so that its ends are not next to each other.
    """

    grid: object
    power: tuple

    @cached_property
    def sizes(self):
        """Bins of the functions along and across, twice the detector."""
        return [next_fast_len(2 * n, real=True) for n in self.grid.size[::-1]]

    @cached_property
    def _roots(self):
        roots = (np.sqrt(0.5 * p * n).astype(np.float32) for p, n in zip(self.power, self.sizes, strict=True))
        return [root[:, None] for root in roots]

    @classmethod
    def flat(cls, grid, variance):
        """Waves of variances (2,) for each of both kinds, the same at all frequencies."""
        out = []
        for n in grid.size[::-1]:
            size = next_fast_len(2 * n, real=True)
            power = np.zeros((2, size // 2 + 1))
            last = max(int(size * grid.bin / SHORTEST), 1)
            power[:, 1 : last + 1] = np.asarray(variance, float)[:, None] / last
            out.append(power)
        return cls(grid, tuple(out))

    @property
    def _shapes(self):
        return (2, self.grid.bands, self.sizes[0]), (2, 1, self.sizes[1])

    @property
    def white(self):
        """Number of the white noise's values."""
        return sum(int(np.prod(s)) for s in self._shapes)

    def parts(self, z):
        """The functions of white noise over twice the detector, along (2, bands, m) and across (2, 1, m)."""
        pieces = zip(self._roots, self.split(z), self.sizes, strict=True)
        return [irfft(root * rfft(piece), n).astype(np.float32) for root, piece, n in pieces]

    def split(self, z):
        """White noise of the functions along and across, each of its shape."""
        pieces = np.split(z, [int(np.prod(self._shapes[0]))])
        return [piece.reshape(shape) for piece, shape in zip(pieces, self._shapes, strict=True)]

    def columns(self, axis, x, y):
        """The stronger frequencies of one axis at raw pixels (n,), times their deviations, as a product.

        Returns
        -------
        at : sparse matrix, shape (n, m)
            Interpolates functions along each band, and across all, linearly, as the field is interpolated.
        terms : ndarray, shape (m, k)
            The functions, bin by bin.
        """
        along, across = _in_bins(self.grid, x, y)
        ny, nx = self.grid.size
        starts = [s.start for s in self.grid.slices]
        band = np.clip(np.searchsorted(starts, across + 0.5, side="right") - 1, 0, len(starts) - 1)
        at = sparse.hstack([
            _interpolating(along, nx, band * nx, len(starts) * nx), _interpolating(across, ny, 0, ny)
        ])  # fmt: skip
        terms = []
        for n, power, size in zip((nx, ny), self.power, self.sizes, strict=True):
            k = np.flatnonzero(power[axis] > WEAK * power[axis].max())
            turn = np.sqrt(power[axis][k]) * np.exp(2j * np.pi * k * np.arange(n)[:, None] / size)
            terms.append(np.hstack([turn.real, turn.imag]))
        return at, block_diag(*[terms[0]] * len(starts), terms[1])

    def total(self, parts):
        """Sum of both on the grid's bins, (2, ny, nx)."""
        ny, nx = self.grid.size
        out = np.repeat(parts[1][:, 0, :ny, None], nx, axis=2)
        for band, rows in enumerate(self.grid.slices):
            out[:, rows] += parts[0][:, band, None, :nx]
        return out

    def transposed(self, field):
        """The transpose of `total` of `parts` for a field (2, ny, nx)."""
        ny, nx = self.grid.size
        sums = [np.zeros(shape, np.float32) for shape in self._shapes]
        for band, rows in enumerate(self.grid.slices):
            sums[0][:, band, :nx] = field[:, rows].sum(1)
        sums[1][:, 0, :ny] = field.sum(2)
        return np.concatenate(
            [irfft(r * rfft(s), n).astype(np.float32).ravel()
             for r, s, n in zip(self._roots, sums, self.sizes, strict=True)]
        )  # fmt: skip

    def improved(self, found, error):
        """Return the waves as the data want them, see `RandomField.improved`.

        The noise is the same at all frequencies; what does not stand out of it is taken for noise.
        """
        new = []
        for before, f, e, n in zip(self.power, found, error, self.sizes, strict=True):
            mean, lost = (2 * np.mean(np.abs(rfft(v, axis=-1)) ** 2, axis=1) / n**2 for v in (f, e))
            new.append(np.stack([_improved(*v) for v in zip(before, mean, lost, strict=True)]))
        return replace(self, power=tuple(new))


class Passage:
    """What waves along the bands lack about the borders, if these pass into each other.

    The step from one band's function to the next one's is seen through a Gaussian, whose width is
    averaged over what residuals say of it; a step that is one stays one.

    Parameters
    ----------
    grid : `~jwst_hpastrom.distortion.pixelmap.grid.Grid`
    """

    def __init__(self, grid):
        self.grid, self.share = grid, np.eye(WIDTHS.size)[0]
        self.steps = np.zeros((2, grid.bands - 1, grid.size[1]))

    def _near(self, x, y):
        """Places near a border, the steps there (2, m), and the distances from it, pixels."""
        along, across = _in_bins(self.grid, x, y)
        borders = np.array([s.start for s in self.grid.slices[1:]]) - 0.5
        far = (across[:, None] - borders) * self.grid.bin
        k = np.argmin(np.abs(far), axis=1)
        far = far[np.arange(k.size), k]
        near = np.flatnonzero(np.abs(far) < PASSED * WIDTHS[-1])
        low = np.clip(along[near].astype(int), 0, self.grid.size[1] - 2)
        part = np.clip(along[near] - low, 0.0, 1.0)
        steps = self.steps[:, k[near], low] * (1 - part) + self.steps[:, k[near], low + 1] * part
        return near, steps, far[near]

    def at(self, x, y):
        """What is added at raw pixels (n,), shape (2, n)."""
        out = np.zeros((2, np.size(x)))
        if self.grid.bands > 1 and self.share[0] < 1:
            near, steps, far = self._near(x, y)
            out[:, near] = steps * (self.share @ _passing(far))
        return out

    def full(self):
        """What is added at all pixels, (2, ny, nx)."""
        across = np.arange(self.grid.shape[self.grid.axis == "x"])
        borders = np.array([s.start for s in self.grid.slices[1:]]) * self.grid.bin - 0.5
        rows = np.flatnonzero((np.abs(across[:, None] - borders) < PASSED * WIDTHS[-1]).any(1))
        along = np.arange(self.grid.shape[self.grid.axis == "y"])
        y, x = (v.ravel() for v in np.meshgrid(rows, along, indexing="ij"))
        out = np.zeros((2, across.size, along.size))
        own = self.at(y, x) if self.grid.axis == "x" else self.at(x, y)
        out[:, rows] = own.reshape(2, rows.size, along.size)
        return self.grid.upright(out)

    def improve(self, found, x, y, r, weight, about):
        """Take steps from the waves' functions, and shares of the widths from residuals.

        Parameters
        ----------
        found : ndarray, shape (2, bands, m)
            Functions along the bands.
        x, y : ndarray, shape (n,)
            Raw pixels.
        r : ndarray, shape (2, n)
            Residuals without any passage.
        weight : ndarray, shape (n,)
        about : callable
            Residuals about the stars' own positions.
        """
        if self.grid.bands == 1:
            return
        self.steps = np.diff(found[..., : self.grid.size[1]], axis=1)
        near, steps, far = self._near(x, y)
        cost = []
        for profile in _passing(far):
            left = r.copy()
            left[:, near] -= steps * profile
            cost.append(0.5 * np.sum(weight * about(left) ** 2))
        share = np.exp(np.min(cost) - cost)
        self.share = share / share.sum()


def _passing(far):
    """What a step of one lacks at distances (n,) from it, for each of the widths, (m, n)."""
    with np.errstate(divide="ignore", invalid="ignore"):
        beyond = ndtr(-np.abs(far) / WIDTHS[:, None])
    return np.where(WIDTHS[:, None] > 0, -np.sign(far) * beyond, 0.0)


def _improved(before, found, error):
    """Variances of one function's frequencies, from the estimates' squares and those of their errors."""
    k = before > 0
    if not k.any():
        return before
    s, out = before[k], np.zeros_like(before)
    wanted = np.clip(np.sum(error[k]) / s.sum(), 1e-3, 1 - 1e-3) * s.sum()

    def left(log_noise):
        noise = np.exp(log_noise)
        return np.sum(s * noise / (s + noise)) - wanted

    noise = np.exp(brentq(left, np.log(s.min()) - 30, np.log(s.max()) + 30))
    data = found[k] * ((s + noise) / s) ** 2
    out[k] = np.clip(np.where(data > LINE * noise, data - noise, FAINT * noise), s / GROWTH, s * GROWTH)
    return out
