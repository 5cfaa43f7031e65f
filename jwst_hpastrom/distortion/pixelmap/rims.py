"""Rims of voids in the epoxy: closed curves along which positions are displaced.

Where the epoxy between detector and multiplexer has a hole, L23 (§4.3) finds an oval in the residuals, as
large as a sixth of the detector, with displacements up to 0.05 pixel that change their sign across it, and
smaller ones elsewhere. A stationary field knows nothing of such curves: it sees each piece of a rim anew.
Here a rim is an ellipse, with a Gaussian profile across it and a short Fourier series along it.
"""

from dataclasses import dataclass, replace

import numpy as np
from scipy.ndimage import gaussian_filter

from jwst_hpastrom.distortion.pixelmap._rim_kernels import ACROSS

__all__ = ["Rim", "Rims", "Unseen", "profile"]

#: deviation of each coefficient of the Fourier series, pixels: L23 has displacements up to 0.05
COEFFICIENT = 0.02
#: widths of the profile beyond which a rim of the largest displacements is below 1e-6 pixel
NEAR = 5.0
#: deviations within which an ellipse's own numbers are left free in the field's solution: middle (pixels),
#: logarithms of size and shape, angle (rad), logarithm of the width. What the residuals tell is better
FREE = (6.0, 6.0, 0.08, 0.08, 0.2, 0.2)
#: how rough rims are: their profiles' usual deviation, pixels
ROUGHNESS = 16.0


def profile(shape, x, y, orders):
    """Profile times each term of the Fourier series along an ellipse.

    Parameters
    ----------
    shape : sequence of float
        Middle x, y (pixels); mean logarithm of the half-axes, half the difference of their logarithms; angle
        of the first one (rad); logarithm of the profile's standard deviation in units of the half-axes.
    x, y : ndarray, shape (n,)
        Raw pixels.
    orders : sequence of int

    Returns
    -------
    ndarray, shape (n, m)
        One column for order 0, two for each other.
    """
    u, v = _in_axes(shape, x, y)
    r = np.hypot(u, v) + 1e-9
    rim = np.exp(-0.5 * ((r - 1) / np.exp(shape[5])) ** 2)
    turn = (u + 1j * v) / r
    columns = []
    for k in orders:
        term = rim * turn**k
        columns += [term.real, term.imag][: 2 if k else 1]
    return np.stack(columns, -1)


def _in_axes(shape, x, y):
    """Places along the axes of an ellipse, in units of these."""
    x0, y0, size, oval, angle, _ = shape
    c, s = np.cos(angle), np.sin(angle)
    u = ((x - x0) * c + (y - y0) * s) / np.exp(size + oval)
    return u, ((y - y0) * c - (x - x0) * s) / np.exp(size - oval)


@dataclass(frozen=True)
class Rim:
    """One rim.

    Attributes
    ----------
    shape : ndarray, shape (6,)
        See `profile`.
    orders : tuple of int
        Terms of the Fourier series.
    coefficients : ndarray, shape (2, m)
        Of the corrections of x and y, pixels.
    """

    shape: np.ndarray
    orders: tuple
    coefficients: np.ndarray

    @property
    def reach(self):
        """Distance from the middle within which the rim is, pixels."""
        return np.exp(self.shape[2] + abs(self.shape[3])) * (1 + ACROSS * np.exp(self.shape[5]))

    def near(self, x, y):
        """Which places may be on the rim."""
        u, v = _in_axes(self.shape, x, y)
        return np.abs(np.hypot(u, v) - 1) < NEAR * np.exp(self.shape[5])

    def at(self, x, y):
        """Correction at raw pixels, shape (2, n)."""
        return self.coefficients @ profile(self.shape, x, y, self.orders).T

    def columns(self, x, y):
        """What the rim may add to a solution at raw pixels: of each axis (2, m + 6, n), times deviations.

        The terms of the series, the same in x and in y, and what a change of each of the ellipse's numbers
        does.
        """
        terms = COEFFICIENT * profile(self.shape, x, y, self.orders).T
        moved = []
        for k, free in enumerate(FREE):
            step = np.where(np.arange(6) == k, 0.1 * free, 0.0)
            up, down = (replace(self, shape=self.shape + s).at(x, y) for s in (step, -step))
            moved.append((up - down) / 0.2)
        return np.stack([np.concatenate([terms, v]) for v in np.swapaxes(moved, 0, 1)])


class Rims:
    """Rims as a part of the field: known but for what the residuals say of them.

    Parameters
    ----------
    grid : `~jwst_hpastrom.distortion.pixelmap.random_field.Grid`
    rims : sequence of `Rim`
    """

    def __init__(self, grid, rims=()):
        self.grid, self.rims, self.blocks = grid, tuple(rims), []
        ny, nx = (n // grid.bin for n in grid.shape)
        x, y = np.meshgrid(*((np.arange(n) + 0.5) * grid.bin - 0.5 for n in (nx, ny)))
        index = np.arange(nx * ny).reshape(ny, nx)
        index = index.T.ravel().argsort() if grid.axis == "x" else index.ravel()
        numbers = [0]
        for rim in self.rims:
            k = np.flatnonzero(rim.near(x, y).ravel())
            values = rim.columns(x.ravel()[k], y.ravel()[k]).astype(np.float32)
            own = numbers[-1] + np.arange(2 * values.shape[1] - len(FREE))
            numbers.append(own[-1] + 1)
            # the series of x, that of y, and what both axes share
            *series, shared = np.split(own, [(own.size - len(FREE)) // 2, own.size - len(FREE)])
            self.blocks.append((index[k], values, [np.append(v, shared) for v in series]))
        self.white = numbers[-1]  # number of the white noise's values

    @property
    def known(self):
        """The white noise that rims as they were found stand for."""
        each = [np.append(r.coefficients.ravel() / COEFFICIENT, np.zeros(len(FREE))) for r in self.rims]
        return np.concatenate([np.zeros(0), *each])

    def parts(self, z):
        """Coefficients, list of (n,): white noise itself, the columns have their deviations."""
        return [np.asarray(z, np.float32)]

    def total(self, parts):
        """The rims on the grid's bins, (2, ny, nx)."""
        out = np.zeros((2, *self.grid.size), np.float32)
        self.add_to(out, parts[0])
        return out

    def add_to(self, field, coefficients):
        """Add the rims to a field (2, ny, nx), in place."""
        for index, values, own in self.blocks:
            for image, v, k in zip(field.reshape(2, -1), values, own, strict=True):
                image[index] += coefficients[k] @ v

    def transposed(self, field):
        """The transpose of `total` of `parts` for a field (2, ny, nx)."""
        out = np.zeros(self.white, np.float32)
        for index, values, own in self.blocks:
            for image, v, k in zip(np.reshape(field, (2, -1)), values, own, strict=True):
                out[k] += v @ image[index]
        return out

    def normal(self, weight):
        """Products of the rims with each other for weights (ny nx,)."""
        out, place = np.zeros((self.white, self.white)), np.empty(weight.size, np.int64)
        weight = weight.astype(np.float32)
        for n, (index, values, own) in enumerate(self.blocks):
            place[:] = -1
            place[index] = np.arange(index.size)
            heavy = weight[index] * values
            for other, more, theirs in self.blocks[: n + 1]:
                at = place[other]
                both = np.flatnonzero(at >= 0)
                for axis in (0, 1) if both.size else ():
                    product = heavy[axis][:, at[both]] @ more[axis][:, both].T
                    out[np.ix_(own[axis], theirs[axis])] += product
        return np.tril(out) + np.tril(out, -1).T

    def sums(self, axis, weight, groups, n):
        """Sums of weights (ny nx,) times the rims of one axis over groups (ny nx,) of bins, (n, white)."""
        out = np.zeros((self.white, n))
        for index, values, own in self.blocks:
            heavy, group = weight[index] * values[axis], groups[index]
            for k, v in zip(own[axis], heavy, strict=True):
                out[k] = np.bincount(group, v, n)
        return out.T

    def products(self, axis, functions):
        """Products of the rims of one axis with functions (ny nx, p), (p, white)."""
        out = np.zeros((self.white, functions.shape[1]))
        for index, values, own in self.blocks:
            out[own[axis]] = values[axis] @ functions[index]
        return out.T


class Unseen:
    """What rims that could not be told from noise may be.

    Parameters
    ----------
    variance : ndarray, shape (2, ny, nx)
        Mean squares on bins.
    size : int
        Of the bins, pixels.
    """

    def __init__(self, variance, size):
        self.deviation, self.size = np.sqrt(variance), size

    def draw(self, rng, grid):
        """A field of these deviations on the bins of a grid, upright, (2, ny, nx), as rough as rims are."""
        ny, nx = (n // grid.bin for n in grid.shape)
        j, i = (np.minimum((np.arange(n) + 0.5) * grid.bin / self.size, m - 1).astype(int)
                for n, m in zip((ny, nx), self.deviation.shape[1:], strict=True))  # fmt: skip
        width = ROUGHNESS / grid.bin
        noise = gaussian_filter(rng.standard_normal((2, ny, nx)), (0, width, width))
        return 2 * np.sqrt(np.pi) * width * noise * self.deviation[:, j[:, None], i]
