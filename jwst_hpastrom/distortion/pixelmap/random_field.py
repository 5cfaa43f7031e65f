"""A Gaussian random field on the detector: the prior of the finest structure, and its posterior from pairs.

The field is a sum over a few scales, each stationary but for a slowly varying amplitude and independent from
amplifier to amplifier, of rows and columns (`Waves`), and of what the polynomial is off by (`Trend`). With
z white noise f = L z, of scales L = Σ U A F⁻¹ S F, where U interpolates from larger bins; the stars are
eliminated from the weights W', and (1 + Lᵀ Bᵀ W' B L) z = Lᵀ Bᵀ W' r is solved by conjugate gradients
(`solving`).
"""

from copy import copy
from dataclasses import dataclass, replace

import numpy as np
from scipy import sparse
from scipy.fft import irfft2, next_fast_len, rfft2
from scipy.linalg import block_diag
from scipy.ndimage import gaussian_filter
from scipy.optimize import nnls

from jwst_hpastrom.distortion.pixelmap.grid import Grid
from jwst_hpastrom.distortion.pixelmap.rims import Rims
from jwst_hpastrom.distortion.pixelmap.waves import Trend, Waves

__all__ = ["SCALES", "Grid", "Level", "RandomField", "autocorrelation", "fit_power"]

#: scales of each level, pixels: the covariance of each is a Gaussian of this standard deviation. From the
#: finest that stars are dense enough to show to what a polynomial of fifth degree follows
SCALES = (np.array([5.0, 12.0]), np.array([30.0, 75.0]))
#: of each level, how many scales are finer than a cell of the default table
SHORT = (2, 1)
#: no short scale has less than this share of the short ones' variance anywhere, no long one of the long
#: ones': structure is not as smooth as Gaussians
LEAST = 0.01
#: and this much beyond, pixels²: it must be possible to divide by it
NOTHING = 1e-12
#: largest correlation, at distances that tell, below which a scale's variance cannot be told from noise
SEEN = 0.05
#: information that residuals have of a wide term, its prior's being one, below which it is left out: the
#: 1,200 such terms of NIRISS's waves together are below 0.002 pixel
LEAST_TOLD = 3.0
#: lengths over which strengths are averaged: more spread a void to where none is
REACH = 2.5
#: least share of a scale's variance that data are taken to determine, and the most by which a turn lessens a
#: whole scale beyond what its places say
LEAST_SHARE, FASTER = 0.02, 16.0
#: standard deviations after which a covariance may begin again
_PAD = 4.0
#: variance of either kind of waves before the data tell, of the scales': else these begin with the waves' own
WAVY = 2.0


@dataclass(frozen=True)
class Level:
    """Scales of the prior that have bins of one size.

    Attributes
    ----------
    grid : `Grid`
    lengths : ndarray, shape (n,)
        Of `SCALES`.
    deviation : ndarray, shape (n, 2, ny, nx)
        Standard deviation of the field at each scale, of the corrections of x and y, pixels.
    told : ndarray of bool, shape (n, 2), optional
        Which of these there are; the others are taken for zero.
    """

    grid: Grid
    lengths: np.ndarray
    deviation: np.ndarray
    told: np.ndarray | None = None

    def __post_init__(self):
        nx = self.grid.size[1]
        rows = max(s.stop - s.start for s in self.grid.slices)
        pad = int(np.ceil(_PAD * self.lengths.max() / self.grid.bin))
        size = tuple(next_fast_len(int(n + pad), real=True) for n in (rows, nx))
        qy = 2 * np.pi * np.fft.fftfreq(size[0])[:, None]
        qx = 2 * np.pi * np.fft.rfftfreq(size[1])
        length = (self.lengths / self.grid.bin)[:, None, None, None]
        root = np.sqrt(2 * np.pi) * length * np.exp(-0.25 * length**2 * (qx**2 + qy**2))
        # waves that stand for two, their complex conjugates, and the norm of white noise
        twice = np.where((np.arange(qx.size) == 0) | (2 * np.arange(qx.size) == size[1]), 1.0, 2.0)
        norm = np.sqrt(twice / np.prod(size))
        object.__setattr__(self, "_size", size)
        # single precision: half the time, and 1e-6 of the field is nothing
        object.__setattr__(self, "_norm", norm.astype(np.float32))
        if self.told is None:
            object.__setattr__(self, "told", np.ones(self.deviation.shape[:2], bool))
        object.__setattr__(self, "_there", np.nonzero(self.told))
        root = root[self._there[0], 0]
        object.__setattr__(self, "_synthesis", (root / norm).astype(np.float32))
        object.__setattr__(self, "_analysis", (root * norm).astype(np.float32))
        object.__setattr__(self, "_own", self.deviation[self._there])

    @property
    def white(self):
        """Shape of the white noise."""
        return (len(self.lengths), 2, self.grid.bands, *self._size)

    @property
    def spectrum(self):
        """Shape of the white noise's spectrum, those of the scales that there are one after the other."""
        return (self._there[0].size, self.grid.bands, self._size[0], self._size[1] // 2 + 1)

    def spectrum_of(self, z):
        """Spectrum of white noise: other coordinates of it, in which lengths and products are the same."""
        return self._norm * rfft2(z)

    def parts(self, z):
        """The field of white noise, given by its spectrum, at each scale, shape (n, 2, ny, nx)."""
        out = np.zeros(self.deviation.shape, np.float32)
        there = list(zip(*self._there, self._own, strict=True))
        for b, s in enumerate(self.grid.slices if there else ()):
            band = irfft2(self._synthesis * z[:, b], self._size)[..., : s.stop - s.start, : self.grid.size[1]]
            for (n, axis, own), image in zip(there, band, strict=True):
                np.multiply(own[s], image, out=out[n, axis, s])
        return out

    def transposed(self, field):
        """The transpose of `parts` for a field (n, 2, ny, nx)."""
        there = list(zip(*self._there, self._own, strict=True))
        out = np.empty(self.spectrum, np.complex64)
        field = np.broadcast_to(field, self.deviation.shape)
        for b, s in enumerate(self.grid.slices if there else ()):
            padded = np.zeros((len(there), *self._size), np.float32)
            for (n, axis, own), image in zip(there, padded, strict=True):
                np.multiply(own[s], field[n, axis, s], out=image[: s.stop - s.start, : self.grid.size[1]])
            np.multiply(self._analysis, rfft2(padded), out=out[:, b])
        return out

    def improved(self, found, again):
        """Return the variances as the data want them, and what these say of the ones before.

        Returns
        -------
        variance : ndarray
            As `deviation`, see `RandomField.improved`.
        kept : ndarray, shape (n, 2)
            Share of each scale's variance, none to all, that is expected by the likelihood; NaN: unknown.
        """
        out, kept = np.empty(self.deviation.shape, np.float32), np.full(self.deviation.shape[:2], np.nan)
        scales = zip(out, kept, self.deviation, found, again, self.lengths, strict=True)
        for new, own, old, f, g, length in scales:
            width = max(REACH * length, 24.0)
            for k in (0, 1):
                before = np.asarray(old[k], float) ** 2
                if not g[k].any():  # was not solved for
                    new[k] = before
                    continue
                own[k] = _kept(f[k], g[k], before, length / self.grid.bin)
                share = np.clip(np.mean(g[k] ** 2, dtype=float) / before.mean(), LEAST_SHARE, 1.0)
                noise = before.mean() * (1.0 - share) / share
                now = self.grid.smooth(f[k] ** 2, width) * (before + noise) / before
                lessened = (now.mean() / before.mean()) ** (1.0 / share - 1.0)
                now *= np.clip(lessened, 1.0 / FASTER, 1.0)
                new[k] = np.clip(now, before / 10, before * 10)
        return out, kept


def _kept(found, again, before, length):
    """Share of a scale's variance that squares of its solution call for, by their likelihood, none to all.

    Squares of a drawn field's solution are its share of the variance before, and noise for the rest.
    """
    square = np.square(again, dtype=float)
    mean = square.mean()
    share = np.clip(mean / before.mean(), 1e-6, 1.0)
    # numbers that both means are of: pieces as large as the solution is smooth, where it is strong
    pieces = square.size / (2 * np.pi * length**2)
    number = pieces * mean**2 / np.mean(gaussian_filter(square, 2 * length) ** 2)
    error = np.sqrt(4.0 / max(number, 1.0))
    of = np.linspace(0.0, 1.0, 65)
    chance = -0.5 * ((np.mean(np.square(found, dtype=float)) / mean - 1 + (1 - of) * share) / error) ** 2
    chance = np.exp(chance - chance.max())
    return np.sum(of * chance) / chance.sum()


class RandomField:
    """The prior: levels of scales, the second on bins twice as large; waves; a trend; rims of voids.

    Parameters
    ----------
    grid : `Grid`
        Of the first level.
    deviations : sequence of ndarray
        Of each level, see `Level`.
    waves : `Waves`
    rims : `~jwst_hpastrom.distortion.pixelmap.rims.Rims`, optional
    believed : sequence of ndarray, optional
        Deviations that are expected, where those of the solution are but the least that it may find.
    """

    def __init__(self, grid, deviations, waves, rims=None, believed=None):
        self.believed = deviations if believed is None else believed
        self.grid, self.waves, self.rims = grid, waves, rims or Rims(grid)
        grids = (grid, grid.coarser())
        self.levels = [Level(*v) for v in zip(grids, SCALES, deviations, strict=True)]
        self.up, self.across = grid.spread()
        self.down, self.back = self.up.T.tocsr(), self.across.T.tocsr()
        self.trend, self.own = Trend(grid), slice(None)
        self._bound()

    def _bound(self):
        """Where the coordinates of each part begin."""
        sizes = [int(np.prod(level.spectrum)) for level in self.levels]
        self.bounds = np.cumsum([0, *sizes, self.waves.white, self.trend.white, self.rims.white])

    @classmethod
    def stationary(cls, grid, power):
        """Field of variances (2, n) that are the same everywhere, in the order of `SCALES`."""
        out, first = [], 0
        for g, lengths in zip((grid, grid.coarser()), SCALES, strict=True):
            own = np.sqrt(np.asarray(power, np.float32)[:, first : first + len(lengths)].T)
            out.append(np.broadcast_to(own[..., None, None], (*own.shape, *g.size)))
            first += len(lengths)
        return cls(grid, out, Waves.flat(grid, WAVY * np.sum(power, axis=1)))

    def noise(self, rng):
        """Draw white noise; return its coordinates: the spectra of the levels', that of waves and trend."""
        size = [int(np.prod(level.white)) for level in self.levels]
        size.append(self.waves.white + self.trend.white + self.rims.white)
        *z, rest = np.split(rng.standard_normal(sum(size), np.float32), np.cumsum(size)[:-1])
        each = zip(self.levels, z, strict=True)
        return np.concatenate([*(v.spectrum_of(n.reshape(v.white)).ravel() for v, n in each), rest])

    def typical(self):
        """Root mean square of each scale's standard deviation, (n, 2), pixels."""
        return np.concatenate([np.sqrt(np.mean(v.deviation**2, axis=(2, 3))) for v in self.levels])

    def parts(self, z):
        """The field of coordinates, see `noise`: scales of each level, (n, 2, ny, nx); waves, trend, rims."""
        pieces = zip(self.levels, self.bounds, self.bounds[1:], strict=False)
        out = [level.parts(z[a:b].reshape(level.spectrum)) for level, a, b in pieces]
        waves, trend, rims = np.split(z[self.bounds[-4] :].real, self.bounds[-3:-1] - self.bounds[-4])
        return out + self.waves.parts(waves) + self.trend.parts(trend) + self.rims.parts(rims)

    def total(self, parts, short=False):
        """Sum of the scales on the first level's bins, (2, ny, nx); of the short ones only."""
        out, coarse = (p[: n if short else None].sum(0) for p, n in zip(parts[:2], SHORT, strict=True))
        # along the rows first: all else lies in memory as the field does
        across = np.ascontiguousarray((self.across @ np.concatenate(coarse).T).T)
        for image, v in zip(out, np.split(across, 2), strict=True):
            image += self.up @ v
        if not short:
            out += self.waves.total(parts[2:4])
            out += self.trend.total(parts[4:5])
            self.rims.add_to(out, parts[5])
        return out

    def wide(self, axis, x, y, weight):
        """What spans the detector, waves and trend, in the corrections of one axis at raw pixels.

        Returns
        -------
        at : sparse matrix, shape (n, m)
        terms : ndarray, shape (m, k)
            The terms are their product; without those that residuals of these weights (n,) tell next to
            nothing of.
        """
        (at, terms), trend = self.waves.columns(axis, x, y), self.trend.columns(x, y)
        at, terms = sparse.hstack([at, trend], format="csr"), block_diag(terms, np.eye(trend.shape[1]))
        seen = at.T @ (sparse.diags_array(weight) @ at)
        return at, terms[:, np.einsum("mk,mk->k", terms, seen @ terms) > LEAST_TOLD]

    @property
    def known(self):
        """Coordinates of the rims as they were found; None without."""
        if not self.rims.white:
            return None
        return np.append(np.zeros(self.bounds[-2], np.complex64), self.rims.known)

    def told(self, density, least):
        """The same prior, less the scales that weights of this density (pixels⁻⁴) tell next to nothing of.

        Its coordinates are those of the whole one that its ``own`` (mask) says.
        """
        out = copy(self)
        seen = (np.max(v.deviation, axis=(2, 3)) * v.lengths[:, None] for v in self.levels)
        out.levels = [
            replace(level, told=2 * np.pi * density * reach**2 > least)
            for level, reach in zip(self.levels, seen, strict=True)
        ]
        there = [np.repeat(v.told, np.prod(v.spectrum[1:])) for v in out.levels]
        out.own = np.concatenate([*there, np.ones(self.bounds[-1] - self.bounds[-4], bool)])
        out._bound()
        return out

    def with_rims(self, rims):
        """The same prior with other rims."""
        own = [v.deviation for v in self.levels]
        return RandomField(self.grid, own, self.waves, Rims(self.grid, rims), self.believed)

    def expected(self):
        """The same prior with the deviations that are believed."""
        return RandomField(self.grid, self.believed, self.waves, self.rims)

    def transposed(self, field, short=None):
        """The transpose of `total` of `parts`; ``short`` is a field of which the short scales only count."""
        out = []
        for k, level in enumerate(self.levels):
            images = [f if k == 0 or f is None else self._gathered(f) for f in (field, short)]
            each = images[0][None]  # the same of all scales
            if short is not None:
                each = np.repeat(each, len(level.lengths), axis=0)
                each[: SHORT[k]] += images[1]
            out.append(level.transposed(each).ravel())
        rest = (v.transposed(field) for v in (self.waves, self.trend, self.rims))
        return np.concatenate([*out, *rest]).astype(np.complex64, copy=False)

    def _gathered(self, field):
        return np.stack([(self.back @ (self.down @ v).T).T for v in field])

    def improved(self, found, again, drawn):
        """Prior as the data want it, from the solution and that of a field drawn from this prior, by scale.

        A solution's square is in the mean the prior's times the share that the data determine, which the
        drawn field's solution, of as many steps, has of its prior; the noise is the same everywhere. Where it
        is small a turn changes little, however much less there is: there the whole scale falls by what
        many turns would take from it.

        Parameters
        ----------
        found, again, drawn : list of ndarray
            As of `parts`: the data's, and the drawn field as found and as it is.
        """
        each = (v.improved(f, g) for v, f, g in zip(self.levels, found[:2], again[:2], strict=True))
        new, kept = zip(*each, strict=True)
        error = [g - d for g, d in zip(again, drawn, strict=True)]
        short, n = self.total(new, short=True), SHORT[1]
        coarse = np.empty_like(new[1])
        coarse[:n], coarse[n:] = self._gathered(short) / 4, new[1][n:].sum(0)  # four bins are one
        used = [np.maximum(v, LEAST * m + NOTHING) for v, m in zip(new, (short, coarse), strict=True)]
        likely = [
            np.where(np.isnan(k)[..., None, None], np.minimum(b**2, u), v + k[..., None, None] * (u - v))
            for v, u, k, b in zip(new, used, kept, self.believed, strict=True)
        ]
        waves = self.waves.improved(found[2:4], error[2:4])
        return RandomField(self.grid, list(map(np.sqrt, used)), waves, self.rims, list(map(np.sqrt, likely)))


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
    """Variances of the scales (`SCALES`) that add up to a measured covariance, which has no direction.

    None gets less than the share ``least`` of the short or the long ones; those too short for the given
    distances get that.
    """
    root = np.sqrt(weight / weight.max())
    design = np.exp(-0.5 * (distance[:, None] / np.concatenate(SCALES)) ** 2)
    design[:, design.max(0) < SEEN] = 0.0
    power, _ = nnls(design * root[:, None], product * root)
    is_short = np.concatenate([np.arange(len(v)) < n for v, n in zip(SCALES, SHORT, strict=True)])
    total = np.where(is_short, power[is_short].sum(), power[~is_short].sum())
    return np.maximum(power, least * np.maximum(total, 1e-8))
