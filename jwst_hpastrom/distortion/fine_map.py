"""The pixel map of the joint solution: local linear regression of all filters' residuals, stars re-estimated.

Beyond L23's median of the nearest residuals: a residual about a star's own mean position has lost the part of
the structure that the star's exposures share, so map and stars are estimated in turn until nothing is lost;
the residuals count with their weights; and the table is followed by a spline, since the kinks of its bilinear
interpolation are not the detector's.
"""

import logging
from itertools import pairwise

import numpy as np
from scipy.interpolate import RectBivariateSpline
from scipy.ndimage import gaussian_filter, map_coordinates
from tqdm import tqdm

from jwst_hpastrom.distortion.correction import DistortionCorrection
from jwst_hpastrom.distortion.joint import StarFrame
from jwst_hpastrom.distortion.parts import PixelMapCorrection

__all__ = ["FineField", "SplineBase", "build_fine_map", "leftover_variance", "structure_floor"]

log = logging.getLogger("stpipe.hpastrom.distortion")


class SplineBase:
    """Polynomial plus table, the table interpolated by a cubic spline through its nodes.

    Parameters
    ----------
    correction : `DistortionCorrection`
    """

    def __init__(self, correction):
        self.polynomial = DistortionCorrection(correction.polynomial, shape=correction.shape)
        self.table, self.splines = correction.table, None
        if self.table is not None:
            nodes_x, nodes_y = self.table.nodes
            self.splines = [RectBivariateSpline(nodes_y, nodes_x, t) for t in (self.table.dx, self.table.dy)]

    def fine(self, x, y):
        """The table's part, pixels."""
        if self.splines is None:
            return np.zeros_like(x), np.zeros_like(x)
        ny, nx = self.table.shape
        x, y = np.clip(x, 0, nx - 1), np.clip(y, 0, ny - 1)
        return tuple(s.ev(y, x) for s in self.splines)

    def forward(self, x, y):
        """Corrected positions."""
        u, v = self.polynomial.forward(x, y)
        a, b = self.fine(x, y)
        return u + a, v + b


class FineField:
    """Local linear regression with a Gaussian weight on bins of a few pixels, band by band.

    Parameters
    ----------
    width : float
        Standard deviation of the Gaussian, pixels.
    shape : tuple of int
        Detector (ny, nx).
    bands : int
        Bands along y (amplifiers) across which nothing is averaged.
    bin_size : int
        Pixels per bin.
    """

    def __init__(self, width, shape, bands=4, bin_size=4):
        self.width, self.shape, self.bands = width, shape, bands
        self.bin = bin_size
        self.ny, self.nx = shape[0] // bin_size, shape[1] // bin_size
        self.values = np.zeros((2, self.ny, self.nx))
        self.variance = np.full((2, self.ny, self.nx), np.inf)
        self.number = np.zeros((self.ny, self.nx))

    def _band_slices(self):
        edges = np.linspace(0, self.ny, self.bands + 1).astype(int)
        return [slice(a, b) for a, b in pairwise(edges)]

    def _smooth(self, image, width):
        return gaussian_filter(image, width / self.bin, mode="constant", truncate=4.0)

    def prepare(self, x, y, weights):
        """Take over positions and weights (2, n); the moments of the weights are kept for all fits."""
        self.i = np.clip(((x + 0.5) / self.bin).astype(int), 0, self.nx - 1)
        self.j = np.clip(((y + 0.5) / self.bin).astype(int), 0, self.ny - 1)
        self.flat = self.j * self.nx + self.i
        # positions within the bin and the bin's own, in units of the width
        self.x, self.y, self.w = x / self.width, y / self.width, weights
        self.gx = ((np.arange(self.nx) + 0.5) * self.bin - 0.5) / self.width
        self.gy = (((np.arange(self.ny) + 0.5) * self.bin - 0.5) / self.width)[:, None]
        self.bounds = self._band_slices()
        self.moments = []
        for k, w in enumerate(weights):
            p = [self._sum(w * m) for m in (1.0, self.x, self.y, self.x**2, self.x * self.y, self.y**2)]
            self.moments.append(p)
            # Σ w K² / (Σ w K)²; the square of a Gaussian is one of width/√2
            narrow = self._sum(w, self.width / np.sqrt(2)) * (self.bin / self.width) ** 2 / (4 * np.pi)
            with np.errstate(divide="ignore", invalid="ignore"):
                self.variance[k] = np.where(p[0] > 0, narrow / p[0] ** 2, np.inf)
        one = (weights.min(0) > 0).astype(float)
        narrow = self._sum(one, self.width / np.sqrt(2)) * (self.bin / self.width) ** 2 / (4 * np.pi)
        with np.errstate(divide="ignore", invalid="ignore"):
            self.number = np.where(narrow > 0, self._sum(one) ** 2 / narrow, 0.0)

    def _sum(self, values, width=None):
        image = np.bincount(self.flat, values * np.ones(self.flat.size), self.ny * self.nx).reshape(
            self.ny, self.nx
        )
        out = np.empty_like(image)
        for s in self.bounds:
            out[s] = self._smooth(image[s], self.width if width is None else width)
        return out

    def fit(self, d):
        """Fit values d (2, n) at the prepared positions."""
        for k in (0, 1):
            s0, sx, sy, sxx, sxy, syy = self.moments[k]
            w = self.w[k]
            t0, tx, ty = (self._sum(w * d[k] * m) for m in (1.0, self.x, self.y))
            gx, gy = self.gx, self.gy
            # moments about the bin's centre
            cx, cy = sx - gx * s0, sy - gy * s0
            cxx = sxx - 2 * gx * sx + gx**2 * s0
            cyy = syy - 2 * gy * sy + gy**2 * s0
            cxy = sxy - gx * sy - gy * sx + gx * gy * s0
            ux, uy = tx - gx * t0, ty - gy * t0
            # ridge on the slopes: where the neighbours do not surround a bin, the plain mean
            ridge = 0.05 * s0
            cxx, cyy = cxx + ridge, cyy + ridge
            det = s0 * (cxx * cyy - cxy**2) - cx * (cx * cyy - cxy * cy) + cy * (cx * cxy - cxx * cy)
            top = t0 * (cxx * cyy - cxy**2) - cx * (ux * cyy - cxy * uy) + cy * (ux * cxy - cxx * uy)
            with np.errstate(divide="ignore", invalid="ignore"):
                value = top / det
            good = (s0 > 1e-6 * np.max(s0)) & np.isfinite(value)
            self.values[k] = np.where(good, value, 0.0)

    def __call__(self, x, y, order=1):
        """Evaluate at positions, within their own band."""
        fx = (x + 0.5) / self.bin - 0.5
        fy = (y + 0.5) / self.bin - 0.5
        out = np.zeros((2, *np.shape(x)))
        row = np.clip((y + 0.5) / self.bin, 0, self.ny - 1e-9).astype(int)
        for s in self.bounds:
            m = (row >= s.start) & (row < s.stop)
            for k in (0, 1):
                out[k][m] = map_coordinates(
                    self.values[k][s], [fy[m] - s.start, fx[m]], order=order, mode="nearest"
                )
        return out

    def full(self, image, order=3):
        """Blow an image of the bins up to pixels, band by band."""
        nx = self.shape[1]
        out = np.empty(self.shape)
        fx = (np.arange(nx) + 0.5) / self.bin - 0.5
        for s in self.bounds:
            rows = np.arange(s.start * self.bin, s.stop * self.bin)
            fy = (rows + 0.5) / self.bin - 0.5 - s.start
            grid = np.meshgrid(fy, fx, indexing="ij")
            out[rows] = map_coordinates(image[s], grid, order=order, mode="nearest")
        return out


def build_fine_map(
    solved,
    *,
    width=7.0,
    bands=4,
    sky_width=20.0,
    n_iterations=16,
    relaxation=1.5,
    prior=True,
    rng=None,
    progress=False,
):
    """Build the pixel map of the first filter from the residuals of all.

    Parameters
    ----------
    solved : list of (`Pairs`, `JointResult`)
        One per filter; the first is the one that the map is for.

    width : float
        Standard deviation of the Gaussian weight, pixels.

    bands : int
        Bands along y (amplifiers) that are kept apart.

    sky_width : float
        Width, pixels, of the Gaussian over which the stars' displacements from the catalogue are averaged on
        the sky, once, halfway: what neighbours have in common is structure that repeats at the dither steps
        more likely than an error of the catalogue, and goes back to the map. 0: none does.

    n_iterations : int
        Turns of map and stars.

    relaxation : float
        Factor on each turn's step.

    prior : bool
        Whether the catalogue counts in the stars' positions.

    rng : `numpy.random.Generator`, optional
        Draws the noise that the map's errors are measured with; by default a generator of seed 0.

    progress : bool
        Show a bar.

    Returns
    -------
    `PixelMapCorrection`
        With standard errors: pure noise is sent through the same turns, so that they hold what the stars and
        the catalogue add. Structure that repeats at the dither steps is held by the catalogue alone, where
        it is coherent over ``sky_width``; finer structure of that kind is lost.
    """
    rng = np.random.default_rng(0) if rng is None else rng
    shape = solved[0][1].correction.shape
    bases = [SplineBase(result.correction) for _, result in solved]
    frames = [StarFrame(p, r.transforms, r.weights, prior=prior) for p, r in solved]
    keep = [f.w > 0 for f in frames]
    x, y = (np.concatenate([getattr(p, c)[k] for (p, _), k in zip(solved, keep, strict=True)]) for c in "xy")
    w = np.concatenate([np.stack(r.weights)[:, k] for (_, r), k in zip(solved, keep, strict=True)], 1)
    field = FineField(width, shape, bands=bands, bin_size=4 if min(shape) >= 1024 else 2)
    field.prepare(x, y, w)
    bar = tqdm(total=3 * n_iterations, desc="fine structure", disable=not progress)

    def turns(raw):
        field.values[:] = 0.0
        for turn in range(n_iterations):
            now, samples, rests, first = field(x, y), [], [], 0
            for r, k in zip(raw, keep, strict=True):
                rests.append(r.copy())
                rests[-1][:, k] -= now[:, first : first + k.sum()]
                first += k.sum()
            moved = [f.displacement(r) for f, r in zip(frames, rests, strict=True)]
            once = prior and sky_width and turn == n_iterations // 2
            common = coherent(frames, moved, sky_width) if once else 0.0
            for frame, r, d, k in zip(frames, rests, moved, keep, strict=True):
                samples.append(frame.about(r, d - common)[:, k])
            step = relaxation if turn else 1.0
            field.fit(step * np.concatenate(samples, 1) + now)
            bar.update()
        return field.values.copy()

    noise = turns([f.simulate(rng) for f in frames])
    values = turns([f.raw(b) for f, b in zip(frames, bases, strict=True)])
    # the structure found, without noise, through the same turns: what they lose of it is lost of the true one
    again = turns([np.stack(field_at(values, field, p.x, p.y)) for p, _ in solved])
    bar.close()
    known = np.isfinite(field.variance) & (field.number >= 3)
    variance = np.where(known, field.variance, np.nanmax(np.where(known, field.variance, np.nan)))
    known = np.broadcast_to(known, noise.shape)
    factor = np.sqrt(np.mean(noise[known] ** 2) / np.mean(variance[known]))
    lost = np.mean((again - values)[known] ** 2)
    log.info("fine structure: noise %.2f times the residuals' own, %.4f px lost", factor, np.sqrt(lost))
    data = np.stack([field.full(v) for v in values], -1)
    errors = np.stack([np.sqrt(factor**2 * field.full(v, order=1) + lost) for v in variance], -1)
    xs, ys = np.arange(shape[1], dtype=float), np.arange(shape[0], dtype=float)
    if bases[0].table is not None:
        bilinear = bases[0].table.delta(*np.meshgrid(xs, ys))
        for k in (0, 1):
            data[..., k] += bases[0].splines[k](ys, xs) - bilinear[k]
    number = np.clip(field.full(field.number, order=1), 0, 32000).astype(np.int16)
    return PixelMapCorrection(data.astype(np.float32), errors.astype(np.float32), number)


def structure_floor(pairs, correction, transforms, noise):
    """Error by structure that the map has not followed, from held-out stars.

    What neighbouring residuals of different held-out stars have in common is the map's whole error, but for
    what repeats at the dither steps; the map's own noise is taken off.

    Returns
    -------
    floor : float
        Standard error per axis, pixels.
    """
    weights = tuple(1.0 / (e**2 + noise**2) for e in (pairs.x_err, pairs.y_err))
    test = ~pairs.fitted
    weights = tuple(np.where(test, w, 0.0) for w in weights)
    frame = StarFrame(pairs, transforms, weights)
    r = frame.raw(correction)
    about = frame.about(r, frame.displacement(r))
    good = test & (np.max(np.abs(about) * np.sqrt(frame.w), 0) < 5)
    frame = StarFrame(pairs, transforms, tuple(np.where(good, w, 0.0) for w in weights))
    about = frame.about(r, frame.displacement(r))
    found = np.bincount(pairs.star[good], minlength=pairs.held_out.size)[pairs.star]
    good &= found >= 6
    if good.sum() < 100:
        return 0.0
    variance, error, _ = leftover_variance(
        pairs.x[good], pairs.y[good], pairs.star[good], about[0][good], about[1][good], radius=10.0
    )
    own = np.mean([np.mean(e**2) for e in correction.error(pairs.x[good], pairs.y[good])])
    log.info("held-out stars: common variance (%.2f +- %.2f)e-6 px²", 1e6 * variance, 1e6 * error)
    return float(np.sqrt(max(variance - own, 0.0)))


def field_at(values, field, x, y):
    """Evaluate other values on a field's bins."""
    kept, field.values = field.values, values
    try:
        return field(x, y)
    finally:
        field.values = kept


def coherent(frames, moved, width, bin_size=4.0):
    """Part of the stars' displacements that neighbours on the sky share.

    Parameters
    ----------
    frames : list of `StarFrame`
    moved : list of ndarray, shape (2, n_stars)
    width : float
        Standard deviation of the Gaussian, pixels.
    bin_size : float
        Pixels per bin of the average.

    Returns
    -------
    ndarray, shape (2, n_stars)
    """
    scale = frames[0].scale * bin_size
    sky = frames[0].pairs.sky / scale
    start = np.floor(np.nanmin(sky, 0))
    i, j = np.nan_to_num(sky - start).astype(int).T
    nx, ny = i.max() + 1, j.max() + 1
    total, sums = np.zeros(nx * ny), np.zeros((2, nx * ny))
    for frame, d in zip(frames, moved, strict=True):
        # the displacement as the exposures alone have it, and its weight: the catalogue's noise dominates
        own = frame.total - 1.0 / frame.variance
        seen = own > 0
        w = np.where(seen, 1.0 / (frame.variance + 1.0 / np.where(seen, own, 1.0)), 0.0)
        free = d * np.where(seen, frame.total / np.where(seen, own, 1.0), 0.0)
        # a wrong match must not move its neighbours
        w = w * (np.sum(free**2, 0) * w < 25.0)
        total += np.bincount(j * nx + i, w, nx * ny)
        for k in (0, 1):
            sums[k] += np.bincount(j * nx + i, w * free[k], nx * ny)
    smooth = [gaussian_filter(v.reshape(ny, nx), width / bin_size, mode="constant") for v in (total, *sums)]
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.stack([np.where(smooth[0] > 0, s / smooth[0], 0.0)[j, i] for s in smooth[1:]])


def leftover_variance(x, y, star, dx, dy, *, radius=6.0):
    """Variance per axis of what neighbouring residuals of different stars have in common.

    Parameters
    ----------
    x, y : ndarray
        Raw positions.
    star : ndarray of int
    dx, dy : ndarray
        Residuals of stars that took no part in the map, pixels.
    radius : float
        Largest separation, pixels.

    Returns
    -------
    variance : float
        May be negative by its own noise.
    error : float
        Its standard error.
    n_pairs : int
    """
    from scipy.spatial import cKDTree

    pairs = cKDTree(np.c_[x, y]).query_pairs(radius, output_type="ndarray")
    a, b = pairs[:, 0], pairs[:, 1]
    other = star[a] != star[b]
    a, b = a[other], b[other]
    if a.size < 100:
        return 0.0, np.inf, int(a.size)
    product = 0.5 * (dx[a] * dx[b] + dy[a] * dy[b])
    return float(product.mean()), float(product.std() / np.sqrt(a.size)), int(a.size)
