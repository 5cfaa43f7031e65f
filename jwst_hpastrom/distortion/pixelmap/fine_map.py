"""The pixel map of the joint solution: the posterior mean of a random field, from all filters' residuals.

Beyond L23's median of the nearest residuals: a residual about a star's own mean position has lost the part of
the structure that the star's exposures share, so the stars are eliminated together with the map; the
residuals count with their weights; how strong the structure is, how far it reaches and where, is taken from
the residuals themselves. The field has all that a polynomial does not follow of the first filter's, and
replaces the table, whose cells know nothing of their neighbors and whose bilinear interpolation has kinks.
Other filters' tables, which are their own, are followed by a spline; their residuals tell of what is finer.
"""

import logging
from functools import partial

import numpy as np
from tqdm.auto import tqdm

from jwst_hpastrom.distortion.model.error_model import ErrorModel
from jwst_hpastrom.distortion.model.parts import PixelMapCorrection
from jwst_hpastrom.distortion.model.smooth_part import base_of
from jwst_hpastrom.distortion.pixelmap.grid import Grid, bin_for
from jwst_hpastrom.distortion.pixelmap.held_out import NeighborResiduals, with_structure
from jwst_hpastrom.distortion.pixelmap.own_stars import with_own_stars
from jwst_hpastrom.distortion.pixelmap.random_field import (
    SCALES,
    WAVY,
    RandomField,
    autocorrelation,
    fit_power,
)
from jwst_hpastrom.distortion.pixelmap.rim_search import find_rims, noisier_rims
from jwst_hpastrom.distortion.pixelmap.rim_weights import EliminatingWeights, best_told
from jwst_hpastrom.distortion.pixelmap.solving import Alike, WeighedPairs, WideInverse, solve_told
from jwst_hpastrom.distortion.pixelmap.waves import WIDTHS, Passage
from jwst_hpastrom.distortion.solve.joint import excess_variance, tukey
from jwst_hpastrom.distortion.solve.star_frame import StarFrame
from jwst_hpastrom.numerics.threads import at_once

__all__ = ["FineResiduals", "build_fine_map"]

log = logging.getLogger("stpipe.hpastrom.distortion")
#: tolerance of the solutions that strengths are found from: with 2e-2 the waves, which all stars determine,
#: were found and weak scales not yet, so that these died out
ROUGH = 6e-3
#: the same with rims, without which the residuals are smaller, and led: with 1e-3 the other scales were off
LED = 3e-4
#: turns after which rims are looked for: when the waves are known, and when the rims are
RIM_TURNS = (1, 3)
#: most searches of noisier residuals, and pairs of these together: of many stars rims are as good as told
SEARCHES, SEARCHED = 10, 60_000
#: distance from the amplifiers' borders within which rims are not looked for, pixels: where stars are many
#: the step there, which is no step, was taken for rims that touch it
BORDER = 15.0
#: radius of the circle whose residuals are counted for a pixel, pixels
COUNTED = 10.0


class FineResiduals:
    """Pairs of all filters about one random field.

    Parameters
    ----------
    solved : list of (`Pairs`, `JointResult`)
    grid : `Grid`
    prior : bool
        Whether the catalog counts in the stars' positions.
    """

    def __init__(self, solved, grid, *, prior=True):
        self.solved, self.grid, self.prior, self.unseen, self.searched = solved, grid, prior, None, None
        self.frames = [StarFrame(p, r.transforms, r.weights, prior=prior) for p, r in solved]
        self.keep = [f.w > 0 for f in self.frames]
        self.bases = [base_of(r.correction, first=k == 0) for k, (_, r) in enumerate(solved)]
        self.raw = [f.raw(b) for f, b in zip(self.frames, self.bases, strict=True)]
        self.passage = Passage(grid)
        self._positions()

    def _positions(self):
        self.bounds = np.cumsum([0] + [k.sum() for k in self.keep])
        xy = [np.concatenate([getattr(p, c)[k] for (p, _), k in zip(self.solved, self.keep, strict=True)])
              for c in "xy"]  # fmt: skip
        self.evaluate = self.grid.bilinear(*xy)
        self.w = np.concatenate([f.w[k] for f, k in zip(self.frames, self.keep, strict=True)])
        lost = [f.share[k] for f, k in zip(self.frames, self.keep, strict=True)]
        self.single, self.near = self.w * (1 - np.concatenate(lost)), None
        self.weighed = WeighedPairs(
            self.evaluate, self.w, self.grid.size, list(zip(self.frames, self.keep, strict=True))
        )
        n = self.bounds[1]
        self.weight = (self.evaluate[:n].T @ self.single[:n]).reshape(self.grid.size)

    def gather(self, values):
        """Values of the pairs that count, of all filters, from lists of (2, n)."""
        return np.concatenate([v[:, k] for v, k in zip(values, self.keep, strict=True)], 1)

    def about(self, r):
        """Residuals about the stars' own positions, shape (2, n)."""
        out = np.empty_like(r)
        for frame, k, a, b in zip(self.frames, self.keep, self.bounds, self.bounds[1:], strict=False):
            whole = np.zeros((2, k.size))
            whole[:, k] = r[:, a:b]
            out[:, a:b] = frame.about(whole)[:, k]
        return out

    def solve(self, prior, r, **options):
        """Posterior mean of the field and its coordinates, see `solve_told`."""
        return solve_told(prior, self.weight, self.weighed, r, near=self.near, **options)

    def sample(self, prior, rng, **options):
        """Draw field, stars and noise, solve, and return the field as found and as drawn, scale by scale."""
        z = prior.noise(rng)
        # residuals tell rims well, whatever they are, and large ones would say when the rest is found
        z[prior.bounds[-2] :] = 0.0
        parts = prior.parts(z)
        noise = self.gather([f.simulate(rng) for f in self.frames])
        found, _ = self.solve(prior, noise + self.at_pairs(prior, parts), **options)
        return found, parts

    def sample_all(self, prior, rng, **options):
        """Draw field, stars and noise, and solve for polynomials, tables, exposures and field.

        Returns
        -------
        error : ndarray, shape (2, ny, nx)
            What the first filter's correction has too much, in the grid's bins, upright.
        own : ndarray, shape (2, 2, n)
            Errors of the corrected positions of its pairs, and of these the measurements'.
        left : ndarray, shape (2, n)
            Residuals of its pairs.
        """
        parts = prior.expected().parts(prior.noise(rng))
        total, left, bases, own = prior.total(parts), [], [], None
        if self.unseen is not None:
            total = total + self.grid.upright(self.unseen.draw(rng, self.grid))
        for k, (frame, (pairs, result)) in enumerate(zip(self.frames, self.solved, strict=True)):
            at = self.grid.bilinear(pairs.x, pairs.y)
            stars, noise = frame.simulate_both(rng)
            r = stars + noise + np.stack([at @ v.ravel() for v in total])
            found, moved = result.of_errors(r)
            bases.append(base_of(found, first=k == 0))
            left.append(r - bases[-1].delta(pairs.x, pairs.y) - moved)
            # the exposures' transformations, which own errors are taken about, are no part of them
            own = np.stack([left[0] + moved - stars, noise]) if own is None else own
        along = [(np.arange(n // self.grid.bin) + 0.5) * self.grid.bin - 0.5 for n in self.grid.shape[::-1]]
        found = prior.total(self.solve(prior, self.gather(left), **options)[0])
        pairs = self.solved[0][0]
        at = self.grid.bilinear(pairs.x, pairs.y)
        at_pairs = np.stack([at @ v.ravel() for v in found])
        own[0] -= at_pairs
        error = self.grid.upright(found - total) + bases[0].delta(*np.meshgrid(*along))
        return error, own, left[0] - at_pairs

    def at_pairs(self, prior, parts):
        """A field given scale by scale, at the pairs, shape (2, n)."""
        n = self.bounds[1]
        ranges = [slice(0, n), slice(n, None)][: min(len(self.solved), 2)]
        return np.concatenate(
            [
                np.stack([self.evaluate[s] @ v.ravel() for v in prior.total(parts, short=k > 0)])
                for k, s in enumerate(ranges)
            ],
            axis=1,
        )

    def first_prior(self):
        """Prior from the covariance of neighboring residuals about the stars."""
        n, size = self.bounds[1], self.grid.size
        d = self.about(self.gather(self.raw))[:, :n]
        w, lost = self.w[:n], self.frames[0].share[self.keep[0]]
        kept = np.average((1 - lost) ** 2, weights=w)
        back = self.evaluate[:n].T.tocsr()
        weight = (back @ w).reshape(size)
        power = []
        for v in d:
            mean = (back @ (w * v)).reshape(size) / np.maximum(weight, 1e-30)
            distance, product, norm = autocorrelation(mean, weight, self.grid)
            # not the first two: one residual is spread over four bins
            power.append(fit_power(distance[2:], product[2:] / kept, norm[2:]))
        return RandomField.stationary(self.grid, np.array(power) / (1 + 2 * WAVY))

    def rims(self, prior, found):
        """Rims of voids beside waves and trend; other filters' tables have followed parts of them.

        ``found`` is the field before (`RandomField.parts`). The waves' weaker frequencies, which are no
        unknowns of the search, would be taken for rims where stars are many.
        """
        if len(self.solved) > 1:
            return ()
        (pairs, result), k = self.solved[0], self.keep[0].copy()
        some = best_told(pairs.star[k], self.single) & ~self.grid.near_border(pairs.x[k], pairs.y[k], BORDER)
        k[k] = some
        x, y = pairs.x[k], pairs.y[k]
        wide = at_once(*(partial(prior.wide, axis, x, y, self.single[some]) for axis in (0, 1)))
        own = StarFrame(pairs, result.transforms, 2 * (self.frames[0].w * k,), prior=self.prior)
        weights = EliminatingWeights.of_frame(own, k, wide)
        wide = [p if 2 <= n < 5 else np.zeros_like(p) for n, p in enumerate(found)]
        left = self.gather(self.raw) - self.at_pairs(prior, wide)
        self.searched = x, y, left[:, some], weights, self.grid.shape
        rims, self.unseen = find_rims(*self.searched, prior.rims.rims)
        return rims

    def with_noisier_rims(self, prior, total, z, rng, tolerance):
        """The mean of fields with rims as noisier residuals have them, and the deviations of each from it.

        Rims that were found are the best of many alike, and with their shapes and number what they err by is
        another one's; the mean errs less.

        Parameters
        ----------
        prior : `~jwst_hpastrom.distortion.pixelmap.random_field.RandomField`
        total : ndarray, shape (2, ny, nx)
            The field with the rims that were found.
        z : ndarray
            Its coordinates.
        rng : `numpy.random.Generator`
        tolerance : float

        Returns
        -------
        mean : ndarray, shape (2, ny, nx)
        deviations : ndarray, shape (n, 2, ny, nx)
            So that their sum, times numbers drawn from a normal distribution, has the variance of one.
        """
        number = min(SEARCHES, SEARCHED // len(self.searched[0])) if prior.rims.rims else 0
        totals, r = [total], self.gather(self.raw)
        for rims in noisier_rims(*self.searched, rng=rng, number=number) if number > 1 else ():
            own = prior.with_rims(rims)
            self.near = WideInverse(own, self.weight) if rims else None
            start = np.append(z[: prior.bounds[-2]], own.rims.known.astype(z.dtype))
            found, _ = self.solve(own, r, tolerance=tolerance, start=start, known=own.known)
            totals.append(own.total(found))
        mean = np.mean(totals, axis=0)
        return mean, (np.array(totals) - mean) / np.sqrt(max(len(totals) - 1, 1))

    def pass_borders(self, prior, found):
        """Take from the first filter's residuals what the waves' bands pass into each other by."""
        pairs, k = self.solved[0][0], self.keep[0]
        hard = self.raw[0] + self.passage.at(pairs.x, pairs.y)
        left = self.gather([hard, *self.raw[1:]]) - self.at_pairs(prior, found)
        x, y, n = pairs.x[k], pairs.y[k], self.bounds[1]

        def about(r):
            whole = left.copy()
            whole[:, :n] = r
            return self.about(whole)[:, :n]

        self.passage.improve(found[2], x, y, left[:, :n], self.w[:n], about)
        self.raw[0] = hard - self.passage.at(pairs.x, pairs.y)
        log.info("bands pass into each other within %.1f px", self.passage.share @ WIDTHS)

    def reweigh(self, prior, found):
        """Estimate noise and outliers anew, now that the structure is known."""
        about = self.about(self.gather(self.raw) - self.at_pairs(prior, found))
        for n, ((p, r), k) in enumerate(zip(self.solved, self.keep, strict=True)):
            a, b = self.bounds[n : n + 2]
            share = np.clip(self.frames[n].share[k], 0, 0.9)
            left = about[:, a:b] / np.sqrt(1 - share)
            variance = np.stack([p.x_err[k] ** 2, p.y_err[k] ** 2])
            noise2 = excess_variance(left, variance)
            z2 = np.sum(left**2 / (variance + noise2), 0)
            w, noise = np.zeros((2, k.size)), np.zeros((2, k.size))
            noise[:, k] = variance + noise2
            w[:, k] = tukey(0.5 * z2) / noise[:, k]
            self.frames[n] = StarFrame(p, r.transforms, tuple(w), prior=self.prior, noise=noise)
            log.info("noise beyond the stated errors: %.4f px", np.sqrt(noise2))
        keep = [f.w > 0 for f in self.frames]
        self.keep = keep
        self._positions()

    def add_structure(self, errors, prior, found, samples):
        """Add what residuals of the first filter have in common beyond those of the samples to the errors.

        It goes where the fine scales are strong.
        """
        pairs = self.solved[0][0]
        at = self.grid.bilinear(pairs.x, pairs.y)
        left = self.raw[0] - np.stack([at @ v.ravel() for v in prior.total(found)])
        strength = self.grid.smooth(np.mean(prior.levels[0].deviation ** 2, (0, 1), dtype=float), 32.0)
        test = NeighborResiduals(self.frames[0])
        return with_structure(errors, test, left, samples, self.grid.upright(strength))


def _counts(data):
    """Residuals within a circle of `COUNTED` pixels around each pixel."""
    number = np.asarray(data.evaluate.T @ np.ones(data.w.size)).reshape(data.grid.size)
    width = COUNTED / np.sqrt(2)
    number = data.grid.smooth(number, width) * 4 * np.pi * (width / data.grid.bin) ** 2
    number = data.grid.full(number, order=1)
    return np.clip(number, 0, 32000).astype(np.int16)


def _prior_of(data, rng, n_turns, progress):
    """The prior whose strengths and rims the residuals say, and the coordinates of its field."""
    field, z = data.first_prior(), None
    for turn in tqdm(range(n_turns), desc="fine structure", disable=None if progress else True):
        rough = LED if field.rims.rims else ROUGH
        # led, the former would find waves first, and in them what is the scales' and the rims'
        data.near = WideInverse(field, data.weight) if field.rims.rims else None
        alike = Alike()
        raw, known = data.gather(data.raw), field.known
        solve = partial(alike.lead, data.solve, field, raw, tolerance=rough, known=known)
        draw = partial(data.sample, field, rng, go_on=alike.follow)
        if turn == 0:
            found, z = solve()
            data.pass_borders(field, found)
            data.reweigh(field, found)
            drawn = draw()
        else:
            (found, z), drawn = at_once(solve, draw)
            data.pass_borders(field, found)
        field = field.improved(found, *drawn)
        if turn in RIM_TURNS:
            field, z = field.with_rims(data.rims(field, found)), None
        log.info(
            "fine structure of scales %s px: %s px", np.concatenate(SCALES).astype(int).tolist(),
            [[round(float(v), 4) for v in row] for row in field.typical()],
        )  # fmt: skip
        log.info("waves: %s px", [np.sqrt(p.sum(1)).round(4).tolist() for p in field.waves.power])
    return field, z


def build_fine_map(
    solved, *, bands=4, axis="y", prior=True, rng=None, n_turns=5, n_samples=2, progress=False
):
    """Build the pixel map of the first filter from the residuals of all.

    Parameters
    ----------
    solved : list of (`Pairs`, `JointResult`)
        One per filter; the first is the one that the map is for.

    bands : int
        Bands (amplifiers' stripes) that are kept apart.

    axis : {"y", "x"}
        Along which they follow each other.

    prior : bool
        Whether the catalog counts in the stars' positions.

    rng : `numpy.random.Generator`, optional
        Draws the simulations that the errors are measured with; by default a generator of seed 0.

    n_turns : int
        Turns in which the strength of the structure is estimated.

    n_samples : int
        Simulations for the errors.

    progress : bool
        Show a bar.

    Returns
    -------
    pixel_map : `PixelMapCorrection`

    errors : `ErrorModel`
        Of the whole correction: fields, stars and noise are drawn and sent through the same solution, so
        that what the map cannot follow counts as much as what the noise adds.
    """
    rng = np.random.default_rng(0) if rng is None else rng
    shape = solved[0][1].correction.shape
    size = bin_for(sum(len(p) for p, _ in solved), shape, bands)
    data = FineResiduals(solved, Grid(tuple(shape), size, bands, axis), prior=prior)
    field, z = _prior_of(data, rng, n_turns, progress)
    data.near = WideInverse(field, data.weight) if field.rims.rims else None
    fine = LED if data.near else 1e-3
    solve = partial(data.solve, field, data.gather(data.raw), tolerance=fine, start=z, known=field.known)
    draw = partial(data.sample_all, field, rng, tolerance=fine)
    (found, z), samples = at_once(solve, lambda: [draw() for _ in range(n_samples)])
    # a generator of its own: what is drawn else is the same with and without
    again = rng.spawn(1)[0]
    total, deviations = data.with_noisier_rims(field, field.total(found), z, again, fine)
    samples, own, left = zip(*samples, strict=True)
    pairs = solved[0][0]
    at = data.grid.bilinear(pairs.x, pairs.y)
    for error, star in zip(samples, own, strict=True):
        off = np.tensordot(again.standard_normal(len(deviations)), deviations, 1)
        error += data.grid.upright(off)
        star[0] -= np.stack([at @ v.ravel() for v in off])
    errors = data.add_structure(ErrorModel.from_samples(np.array(samples), shape), field, found, left)
    errors = with_own_stars(errors, solved[0][0], own, data.keep[0])
    out = np.moveaxis(data.passage.full(), 0, -1)
    out += np.stack([data.grid.full(v) for v in total], -1)
    x, y = np.meshgrid(np.arange(shape[1], dtype=float), np.arange(shape[0], dtype=float))
    solution = solved[0][1].correction
    out += np.stack(data.bases[0].forward(x, y), -1) - np.stack(solution.forward(x, y), -1)
    stated = np.stack(errors.error(x, y), -1).astype(np.float32)
    return PixelMapCorrection(out.astype(np.float32), stated, _counts(data)), errors
