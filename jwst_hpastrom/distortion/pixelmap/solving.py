"""The posterior mean of a random field from pairs, by conjugate gradients.

What spans the detector (waves, trend, rims) is told by so many stars that its normal matrix has by far the
largest eigenvalues, for which plain gradients need most of their steps. That matrix is small: it is written
out, of stars that are no unknowns and weights in the grid's bins, and its inverse leads the steps.
"""

import logging
from functools import partial
from queue import SimpleQueue

import numpy as np
from scipy.fft import irfft, rfft
from scipy.linalg import cho_factor, cho_solve

from jwst_hpastrom.distortion.pixelmap._kernels import ByStar, normal_image
from jwst_hpastrom.numerics.threads import at_once

__all__ = ["Alike", "WeighedPairs", "WideInverse", "solve_field", "solve_told"]

log = logging.getLogger("stpipe.hpastrom.distortion")
#: information that residuals have of a scale where it is strongest, its prior's being one, below which it is
#: left at zero: as long as strengths may still grow, and where rims are known, when they are known, too
HARDLY_TOLD = (1e-3, 0.05)
#: most steps: five times what solutions take that are not asked for more than single precision has
MOST_STEPS = 200


class WideInverse:
    """Near inverse of the normal matrix: that of waves, trend and rims; else the prior's.

    It is multiplied by the scales' largest eigenvalue, so that what is wide is found first, as without it;
    frequencies whose own eigenvalue is smaller are left to the steps.

    Parameters
    ----------
    prior : `~jwst_hpastrom.distortion.pixelmap.random_field.RandomField`
    weight : ndarray, shape (ny, nx)
        Sums of the pairs' weights in the grid's bins.
    """

    def __init__(self, prior, weight):
        self.prior, self.waves = prior, prior.waves
        density = weight.sum() / np.prod(prior.grid.shape)
        each = (np.mean(v.deviation**2, axis=(2, 3)) * v.lengths[:, None] ** 2 for v in prior.levels)
        self.top = 1.0 + 2 * np.pi * density * max(float(v.max()) for v in each)
        shares = 0.5 / prior.grid.bands, 0.5  # of all weights, in the square of one function
        self.told = [
            [np.flatnonzero(p * weight.sum() * share > self.top) for p in kind]
            for kind, share in zip(self.waves.power, shares, strict=True)
        ]
        axes = at_once(*(partial(self._axis, axis, weight) for axis in (0, 1)))
        sizes = np.cumsum([0] + [len(normal) for normal, _ in axes] + [prior.rims.white])
        whole = np.eye(sizes[-1])
        for a, b, (normal, cross) in zip(sizes, sizes[1:], axes, strict=False):
            whole[a:b, a:b] += normal
            whole[a:b, sizes[2] :], whole[sizes[2] :, a:b] = cross, cross.T
        whole[sizes[2] :, sizes[2] :] += prior.rims.normal(weight.ravel())
        self.factor = cho_factor(whole, lower=True, overwrite_a=True)[0].astype(np.float32), True

    def _axis(self, axis, weight):
        """Products of waves and trend of one axis with each other, and with the rims."""
        grid, trend = self.prior.grid, self.prior.trend
        ny, nx = grid.size
        along, across = (self._functions(axis, kind)[:n] for kind, n in ((0, nx), (1, ny)))
        j, i = np.nonzero(trend.deviation)
        polynomials = trend.deviation[j, i] * (trend.bases[0][:, None, j] * trend.bases[1][:, i])
        heavy, rims = weight[..., None] * polynomials, self.prior.rims
        row, column = np.divmod(np.arange(ny * nx), nx)
        band = np.repeat(np.arange(grid.bands), [s.stop - s.start for s in grid.slices])
        by_band = rims.sums(axis, weight.ravel(), band[row] * nx + column, grid.bands * nx)
        by_band = by_band.reshape(grid.bands, nx, -1)
        parts, n, cross = [], grid.bands, []
        for b, s in enumerate(grid.slices):
            own = [np.zeros((along.shape[1], along.shape[1]))] * n
            own[b] = along.T @ (weight[s].sum(0)[:, None] * along)
            parts.append([*own, along.T @ (weight[s].T @ across[s]), along.T @ heavy[s].sum(0)])
            cross.append(along.T @ by_band[b])
        parts.append(
            [p[n].T for p in parts] + [across.T @ (weight.sum(1)[:, None] * across), across.T @ heavy.sum(1)]
        )
        flat = polynomials.reshape(ny * nx, -1)
        parts.append([p[n + 1].T for p in parts] + [flat.T @ heavy.reshape(ny * nx, -1)])
        by_row = rims.sums(axis, weight.ravel(), row, ny)
        cross += [across.T @ by_row, rims.products(axis, heavy.reshape(ny * nx, -1))]
        return np.block(parts), np.concatenate(cross)

    def _functions(self, axis, kind):
        """The frequencies that are told, times their deviations, over twice the detector."""
        size, k = self.waves.sizes[kind], self.told[kind][axis]
        turn = np.sqrt(self.waves.power[kind][axis][k]) * np.exp(
            2j * np.pi * k * np.arange(size)[:, None] / size
        )
        return np.hstack([turn.real, -turn.imag])

    def __call__(self, z):
        """Product with coordinates, see `RandomField.noise`."""
        out, bounds = z.copy(), self.prior.bounds
        wide = slice(bounds[-4] - bounds[-1], None)  # whatever scales there are before
        waves, trend, rims = np.split(z[wide].real, bounds[-3:-1] - bounds[-4])
        pieces = self.waves.split(waves)
        spectra = [np.sqrt(2.0 / v.shape[-1]) * rfft(v) for v in pieces]
        has = self.prior.trend.deviation > 0
        trend = trend.reshape(2, *has.shape)
        each = []
        for axis in (0, 1):
            for kind in (0, 1):
                some = spectra[kind][axis][:, self.told[kind][axis]]
                each.append(np.hstack([some.real, some.imag]).ravel())
            each.append(trend[axis][has])
        own = np.concatenate([*each, rims])
        new = self.top * cho_solve(self.factor, own, check_finite=False) - own
        first, changed, moved = 0, [np.zeros_like(v) for v in spectra], np.zeros_like(trend)
        for axis in (0, 1):
            for kind in (0, 1):
                k = self.told[kind][axis]
                shape = (len(spectra[kind][axis]), 2, k.size)
                c, s = np.moveaxis(new[first : first + 2 * shape[0] * k.size].reshape(shape), 1, 0)
                changed[kind][axis][:, k] = c + 1j * s
                first += 2 * shape[0] * k.size
            moved[axis][has] = new[first : first + has.sum()]
            first += has.sum()
        back = [
            irfft(np.sqrt(0.5 * v.shape[-1]) * c, v.shape[-1]).ravel()
            for v, c in zip(pieces, changed, strict=True)
        ]
        out[wide] += np.concatenate([*back, moved.ravel(), new[first:]])
        return out


def _single(values):
    return np.ascontiguousarray(values, np.float32)


class WeighedPairs:
    """Pairs of one or several filters on the grid: what a field is at them, and their weights.

    Parameters
    ----------
    evaluate : sparse matrix, shape (n, ny nx)
        The field at the pairs, see `Grid.bilinear`.
    weight : ndarray, shape (n,)
        Of single residuals, either axis.
    size : tuple of int
        Bins (ny, nx).
    frames : sequence of (`~jwst_hpastrom.distortion.solve.star_frame.StarFrame`, ndarray of bool)
        Of each filter, the stars, which are eliminated, and which of its pairs these are; by default there
        are none. Of filters after the first one the field's short scales are seen only.
    """

    def __init__(self, evaluate, weight, size, frames=()):
        self.size, self.parts, first = size, [], 0
        for frame, keep in frames or [(None, np.ones(len(weight), bool))]:
            own = slice(first, first + int(keep.sum()))
            first, index = own.stop, evaluate.indices[4 * own.start : 4 * own.stop : 4]
            star = np.arange(index.size) if frame is None else frame.pairs.star[keep]
            # star by star, those beside each other on the detector one after the other: memory is far
            number = np.zeros(star.max(initial=0) + 1, np.int64)
            number[star] = index
            order = np.lexsort((star, number[star]))
            starts = np.flatnonzero(np.diff(star[order], prepend=-1))
            corner = evaluate.data[4 * own.start : 4 * own.stop].reshape(-1, 4)[order]
            if frame is None:
                basis, exposure, turns = np.ones((index.size, 1)), np.zeros(index.size), [np.eye(2)[None]] * 2
                stars = np.zeros((starts.size, 1, 1))
            else:
                basis, exposure = frame.basis[keep][order], frame.pairs.exposure[keep][order]
                stars, turns = frame.back[star[order][starts]], (frame.matrices, frame.inverses)
            part = ByStar(
                np.append(starts, index.size), index[order].astype(np.int32), *map(_single, (corner,
                weight[own][order], basis)), exposure.astype(np.int32), *map(_single, (stars, *turns)),
            )  # fmt: skip
            self.parts.append((order + own.start, part))

    def back(self, fields, r=None):
        """Transpose of the field at the pairs, times weights, for residuals (2, n) and what fields are there.

        Parameters
        ----------
        fields : sequence of ndarray, shape (2, ny, nx)
            Of the first filter, and of the others.
        r : ndarray, shape (2, n), optional

        Returns
        -------
        list of ndarray, shape (2, ny, nx)
        """
        images = [_single(np.reshape(f, (2, -1)).T) for f in fields]
        out = [np.zeros_like(v) for v in images]
        for k, (order, part) in enumerate(self.parts):
            given = np.zeros((0, 2), np.float32) if r is None else _single(r[:, order].T)
            normal_image(part, self.size[1], images[min(k, 1)], given, out[min(k, 1)])
        return [np.ascontiguousarray(v.T).reshape(2, *self.size) for v in out]


class Alike:
    """Two solutions of as many steps as the first one's tolerance wants, at the same time or one by one."""

    def __init__(self):
        self.told = SimpleQueue()

    def lead(self, solve, *args, **options):
        """Run the first solution; what ends it ends the other one, too."""

        def tell(wanted):
            if wanted:
                self.told.put(True)
            return wanted

        try:
            return solve(*args, go_on=tell, **options)
        finally:
            self.told.put(False)

    def follow(self, wanted):
        """What the second solution asks."""
        return self.told.get()


def _dot(a, b):
    return np.vdot(a, b).real


def solve_field(prior, pairs, r, *, tolerance=1e-3, near=None, start=None, known=None, go_on=None):
    """Return the posterior mean of the field.

    The unknowns are the spectrum of the white noise, which has its products: each step needs one
    transformation either way.

    Parameters
    ----------
    prior : `~jwst_hpastrom.distortion.pixelmap.random_field.RandomField`
    pairs : `WeighedPairs`
    r : ndarray, shape (2, n)
        Residuals.
    tolerance : float
        Of the residual of the normal equations, relative to that with what is known.
    near : callable, optional
        Coordinates times what is near to the inverse of the normal matrix, see `WideInverse`: fewer steps.
    start : ndarray, optional
        Coordinates to begin with, those of a solution with much the same prior and residuals.
    known : ndarray, optional
        Coordinates of what is known beforehand: a part so large that it would say when the rest is found.
    go_on : callable, optional
        Asked with whether the tolerance wants one more step, says whether there is one, see `Alike`.

    Returns
    -------
    parts : list of ndarray
        By level and scale, see `RandomField.parts`.
    z : ndarray
        Its coordinates.
    """
    groups = min(len(pairs.parts), 2)

    def normal(z):
        parts = prior.parts(z)
        out = prior.transposed(*pairs.back([prior.total(parts, short=k > 0) for k in range(groups)]))
        out += z
        return out

    nothing = np.zeros((2, *prior.grid.size), np.float32)
    left = prior.transposed(*pairs.back([nothing] * groups, r))
    z = np.zeros_like(left)
    if known is not None:
        z = known.astype(left.dtype)
        left -= normal(z)
    first = _dot(left, left)
    if start is not None:
        left, z = left - normal(start - z), start.copy()
    near = near or np.copy
    p, old, count = np.zeros_like(left), 1.0, 0
    go_on = go_on or bool
    while count < MOST_STEPS and go_on(_dot(left, left) > tolerance**2 * first):
        d = near(left)
        new = _dot(left, d)
        p *= np.float32(new / old)
        p += d
        a, old = normal(p), new
        step = np.float32(old / _dot(p, a))
        a *= step
        left -= a
        z += np.multiply(step, p, out=a)
        count += 1
    log.info("%d steps", count)
    return prior.parts(z), z


def solve_told(prior, weight, pairs, r, **options):
    """Return the same as `solve_field`, but zero for the scales that residuals tell next to nothing of.

    Parameters
    ----------
    prior : `~jwst_hpastrom.distortion.pixelmap.random_field.RandomField`
    weight : ndarray, shape (ny, nx)
        Sums of the pairs' weights in the grid's bins.
    pairs, r, **options
        See `solve_field`.
    """
    density = weight.sum() / np.prod(prior.grid.shape)
    told = prior.told(density, HARDLY_TOLD[len(prior.rims.rims) > 0])
    for name in {"start", "known"} & {k for k, z in options.items() if z is not None}:
        options[name] = options[name][told.own]
    parts, own = solve_field(told, pairs, r, **options)
    z = np.zeros(prior.bounds[-1], own.dtype)
    z[told.own] = own
    return parts, z
