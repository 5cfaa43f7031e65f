"""One tile: its stars, and the stack with their models subtracted."""

from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree

from jwst_hpastrom.epsf.fit import Pixels
from jwst_hpastrom.epsf.kernels.detection import bilinear_map, sky_boxes
from jwst_hpastrom.epsf.weights import expected_weights
from jwst_hpastrom.measure import _kernels, _search_kernels
from jwst_hpastrom.measure.bundles import Combined, Cutouts, Neighbors, Nodes, Stars

__all__ = ["Tile", "TileSettings"]

STEP = 0.5  # pixels between the nodes of the detection grid
SPACING = 32.0  # pixels between exactly mapped nodes
PHASES = 4  # of the detection kernels, per pixel and axis
MOST = 0.3  # pixels that a star moves in one step


@dataclass(frozen=True)
class TileSettings:
    """Parameters of the measurement; see `jwst_hpastrom.measure.measure_many`."""

    threshold: float = 5.0
    passes: int = 5
    fit_box: int = 5
    min_separation: float = 0.9
    model_error: float = 0.03
    sigma: float = 4.0
    sky_box: int = 48
    min_exposures: int = 3


class Tile:
    """The stars of a tile and the stack with their models subtracted."""

    def __init__(self, stack, settings):
        self.stack, self.set = stack, settings
        self.data = np.array(stack.data, np.float32)
        self.weight = stack.weight
        self.exposures = stack.exposures()
        self.half = settings.fit_box // 2
        self.bank = self._kernel_bank()
        self.profile = stack.profile
        self.noise = self._noise()
        self.sky, self.far = np.zeros_like(self.data), np.zeros_like(self.data)
        self.x = self.y = self.flux = self.radius = np.zeros(0)
        self.joint = self.fresh = np.zeros(0, bool)  # one of a resolved blend; just found
        self.px = self.py = np.zeros((0, self.data.shape[0]))
        self.inside = self.use = np.zeros((0, self.data.shape[0]), bool)
        self._coarse()
        self.update_background()
        if len(stack.given):
            self._subtract_given()
            self.update_background()

    # -- set-up
    def _kernel_bank(self):
        phase = (np.arange(PHASES) + 0.5) / PHASES - 0.5
        offset = np.arange(-self.half, self.half + 1)
        fy, fx, dy, dx = np.meshgrid(phase, phase, offset, offset, indexing="ij")
        out = []
        a, b, c, d = self.stack.core
        for k, library in enumerate(self.stack.libraries):
            e = int(np.flatnonzero(self.stack.lib == k)[0])
            x, y = self.stack.to_raw[e](np.array([0.5 * (a + b)]), np.array([0.5 * (c + d)]))
            out.append(library.evaluate(dx - fx, dy - fy, float(x[0]), float(y[0])))
        return np.array(out, np.float32)

    def _coarse(self):
        a, b, c, d = self.stack.bounds
        nx, ny = int(np.ceil((b - a) / SPACING)) + 2, int(np.ceil((d - c) / SPACING)) + 2
        gx, gy = np.meshgrid(a + SPACING * np.arange(nx), c + SPACING * np.arange(ny))
        px, py = self.stack.positions(gx.ravel(), gy.ravel())
        shape = (self.data.shape[0], ny, nx)
        self.coarse = tuple(np.nan_to_num(p.T.reshape(shape), nan=-1e6) for p in (px, py))
        self.grid = (int((d - c) / STEP) + 1, int((b - a) / STEP) + 1)

    def _noise(self):
        """Typical pixel error, the scale below which a star's wings do not matter."""
        w = self.weight[self.weight > 0]
        return float(np.median(w)) ** -0.5 if w.size else 1.0

    def _radii(self, flux, profile):
        radius, peak = profile
        k = np.searchsorted(-peak, -0.05 * self.noise / np.maximum(flux, 1e-30), side="right")
        return np.maximum(radius[np.minimum(k, radius.size - 1)], self.half + 1.0)

    def _subtract_given(self):
        x, y, flux = self.stack.given.T.copy()
        px, py = self.stack.positions(x, y)
        radius = np.full(x.size, self.profile[0][-1])
        known = np.isfinite(px + py)
        stars = Stars(px, py, flux, known, known, radius)
        _kernels.add_models(self.data, self.exposures, stars, -1.0, np.ones(x.size, bool))

    # -- background
    def update_background(self):
        """Subtract the light of bright stars beyond the ePSF library, and what is left of a smooth sky."""
        self._update_far()
        self._update_sky()

    def _update_far(self):
        wings = self.stack.wings
        if wings is None:
            return
        self.data += self.far
        self.far[:] = 0.0
        x, y, flux = self.stack.given.T
        px, py = (np.r_[p, q] for p, q in zip((self.px, self.py), self.stack.positions(x, y), strict=True))
        flux = np.r_[self.flux, flux]
        radius = self._radii(flux, wings.radial_maximum)
        node, known = np.zeros((self.data.shape[0], 1)), np.isfinite(px + py)
        exposures = self.exposures._replace(
            lib=np.zeros(len(node), np.int64), coeff=wings.coefficients[None], gx=node, gy=node,
            os=wings.knots,
        )  # fmt: skip
        stars = Stars(px, py, flux, known, known, radius)
        _kernels.add_models(self.far, exposures, stars, 1.0, radius > self.half + 1.0)
        self.data -= self.far

    def _update_sky(self):
        size = self.set.sky_box
        n, ny, nx = self.data.shape
        shape = (-(-ny // size), -(-nx // size))
        level, sigma, count = np.empty(shape), np.empty(shape), np.empty(shape, np.int64)
        smooth = np.empty((ny, nx), np.float32)
        for e in range(n):
            sky_boxes(self.data[e], self.weight[e] > 0, size, 2, level, sigma, count)
            known = np.isfinite(level)
            if not known.any():
                continue
            bilinear_map(np.where(known, level, np.median(level[known])), size, smooth)
            self.data[e] -= smooth
            self.sky[e] += smooth

    # -- stars
    def _inside(self, px, py, reach=0.5):
        _, ny, nx = self.data.shape
        return (px > -reach) & (py > -reach) & (px < nx - 1 + reach) & (py < ny - 1 + reach)

    def add(self, x, y, flux):
        """Add stars without subtracting them yet."""
        px, py = self.stack.positions(x, y)
        for name, value in (
            ("x", x), ("y", y), ("flux", np.zeros(x.size)), ("radius", self._radii(flux, self.profile)),
            ("px", px), ("py", py), ("inside", self._inside(px, py, self.profile[0][-1])),
            ("use", self._inside(px, py)), ("joint", np.zeros(x.size, bool)),
            ("fresh", np.ones(x.size, bool)),
        ):  # fmt: skip
            setattr(self, name, np.ascontiguousarray(np.concatenate([getattr(self, name), value])))

    def subtract(self, x, y, flux, *, joint=False):
        """Add stars and subtract them."""
        n = self.x.size
        self.add(x, y, flux)
        self.flux[n:] = flux
        self.joint[n:] = joint
        self._models(-1.0, np.arange(self.x.size) >= n)

    def start_from(self, x, y, flux):
        """Subtract stars that are known already."""
        close = cKDTree(np.c_[x, y]).query_pairs(self.set.min_separation, output_type="ndarray")
        self.subtract(x, y, flux, joint=np.isin(np.arange(x.size), close))
        self.fresh[:] = False
        self.update_background()

    def _keep(self, rows):
        for name in ("x", "y", "flux", "radius", "px", "py", "inside", "use", "joint", "fresh"):
            setattr(self, name, np.ascontiguousarray(getattr(self, name)[rows]))

    def remove(self, gone):
        """Put the light of stars back and forget them."""
        if gone.any():
            self._models(1.0, gone)
            self._keep(~gone)

    @property
    def cutouts(self):
        """Pixels as the kernels want them."""
        return Cutouts(self.data, self.weight)

    @property
    def stars(self):
        """Stars as the kernels want them."""
        return Stars(self.px, self.py, self.flux, self.inside, self.use, self.radius)

    def _models(self, sign, chosen):
        _kernels.add_models(self.data, self.exposures, self.stars, sign, chosen)

    def refresh(self):
        """Map the stars exactly to all exposures and grow the radii of those that turned out brighter."""
        everyone = np.ones(self.x.size, bool)
        self._models(1.0, everyone)
        self.px, self.py = self.stack.positions(self.x, self.y)
        self.inside = self._inside(self.px, self.py, self.profile[0][-1])
        self.radius = self._radii(self.flux, self.profile)
        self._models(-1.0, everyone)

    def expect_light(self):
        """Weigh pixels by the light expected there: those that fluctuated down must not count more."""
        weight, level = np.empty_like(self.weight), np.zeros(self.data.shape[1:], np.float32)
        none = np.zeros(level.shape, bool)
        for e, data in enumerate(self.data):
            seen = self.stack.data[e] - self.sky[e] - self.far[e]
            weight[e] = expected_weights(Pixels(seen, self.weight[e], none), data, level).weight
        self.weight = weight

    def sweep(self, times, *, free=True, fresh=False):
        """Fit all stars in turn, brightest first; or those just found and whom their fits wake."""
        if self.x.size == 0:
            return
        self._keep(np.argsort(-self.flux, kind="stable"))
        n = self.x.size
        pairs = cKDTree(np.c_[self.x, self.y]).query_pairs(2 * self.half + 3.0, output_type="ndarray")
        both = np.concatenate([pairs, pairs[:, ::-1]]) if pairs.size else np.zeros((0, 2), int)
        both = both[np.argsort(both[:, 0], kind="stable")]
        first = np.searchsorted(both[:, 0], np.arange(n + 1))
        neighbors = Neighbors(first, np.ascontiguousarray(both[:, 1]))
        active, can_move = np.full(n, not fresh), np.full(n, free)
        active |= self.fresh
        for _ in range(times):
            moved = _kernels.sweep(
                self.cutouts, self.exposures, self.stars, (self.x, self.y), self.half, active, neighbors,
                can_move, MOST,
            )  # fmt: skip
            if moved == 0:
                break

    def find(self, threshold, every=1, start=0):
        """Add the peaks of the combined residuals of every so many exposures; return how many."""
        some = slice(start % self.data.shape[0] if every > 1 else 0, None, every)
        data, weight = self.data[some], self._search_weight(some)
        threshold = threshold * np.sqrt(data.shape[0] / self.data.shape[0])
        top, bottom = np.zeros(self.grid), np.zeros(self.grid)
        a, b = self.stack.bounds[0], self.stack.bounds[2]
        nodes = Nodes(*(c[some] for c in self.coarse), SPACING, STEP)
        exposures = self.exposures.some(some)
        _search_kernels.score(
            Cutouts(data, weight), exposures.lib, self.bank, exposures.zp, nodes, top, bottom
        )
        n_max = top.size // 16 + 16
        i, j, f, s = (np.empty(n_max) for _ in range(4))
        n = _search_kernels.maxima(top, bottom, float(threshold), 2, i, j, f, s)
        x, y, f = a + STEP * i[:n], b + STEP * j[:n], f[:n]
        if n and self.x.size:
            distance, _ = cKDTree(np.c_[self.x, self.y]).query(np.c_[x, y])
            ok = distance > self.set.min_separation
            x, y, f = x[ok], y[ok], f[ok]
        if x.size:
            px, py = self.stack.positions(x, y)
            ok = self._supported(px[:, some], py[:, some], weight, threshold, some)
            ok &= ~self.beyond_wings(px, py, f)
            x, y, f = x[ok], y[ok], f[ok]
        if x.size:
            self.add(x, y, f)
        return x.size

    def _search_weight(self, some):
        """1/σ² with the errors of the subtracted models; made by exposures, which spares the memory."""
        out = np.empty_like(self.weight[some])
        for e, weight in zip(range(len(self.weight))[some], out, strict=True):
            model = np.maximum(self.stack.data[e] - self.sky[e] - self.data[e], 0)
            with np.errstate(divide="ignore"):
                weight[:] = 1.0 / (1.0 / self.weight[e] + (self.set.model_error * model) ** 2)
        return out

    def _supported(self, px, py, weight, threshold, some):
        """Whether a source is left without the strongest exposures (hot pixels, cosmic rays)."""
        px, py, data = np.ascontiguousarray(px), np.ascontiguousarray(py), self.data[some]
        n, use = data.shape[0], self._inside(px, py)
        eq = np.empty((px.shape[0], n, _kernels.N_SUMS))
        exposures = self.exposures.some(some)
        _kernels.all_equations(Cutouts(data, weight), exposures, px, py, use, self.half, eq)
        a, g = eq[:, :, 0], eq[:, :, 6]
        count = (a > 0).sum(1)
        with np.errstate(invalid="ignore", divide="ignore"):
            single = np.where(a > 0, g / np.sqrt(a), -np.inf)
        order = np.argsort(-single, axis=1)
        rank = np.argsort(order, axis=1)
        drop = np.where(count >= 3, np.maximum(1, np.ceil(0.2 * count)), 0)
        left = (rank >= drop[:, None]) & (a > 0)
        total_a, total_g = (a * left).sum(1), (g * left).sum(1)
        with np.errstate(invalid="ignore", divide="ignore"):
            rest = total_g / np.sqrt(total_a)
            whole = g.sum(1) / np.sqrt(a.sum(1))
            share = (total_g / total_a) / (g.sum(1) / a.sum(1))
        # without its best fifth a real source keeps 0.5 of its significance or so at the threshold
        return (whole > 0.8 * threshold) & ((count < 3) | (rest > 0.4 * threshold) & (share > 0.3))

    def solve(self):
        """Combine the exposures with clipping; update which are used. Returns a `Combined`."""
        eq = np.empty((self.x.size, self.data.shape[0], _kernels.N_SUMS))
        use = self._inside(self.px, self.py)
        _kernels.all_equations(self.cutouts, self.exposures, self.px, self.py, use, self.half, eq)
        out, keep = (
            Combined(*np.full((len(Combined._fields), self.x.size), np.nan)),
            np.zeros(use.shape, bool),
        )
        least = 0.6 * (2 * self.half + 1) ** 2
        _kernels.combine(eq, self.flux, least, self.set.sigma, keep, out)
        self.use = np.where(keep.any(1)[:, None], keep, use)
        return out

    def mean_at(self, px, py, image):
        """Mean over the exposures of image(e) at the stars' pixels, on the common scale."""
        n, ny, nx = self.data.shape
        total, count = np.zeros((2, px.shape[0]))
        for e in range(n):
            i, j = (np.nan_to_num(np.rint(p[:, e]), nan=-1).astype(int) for p in (px, py))
            ok = (i >= 0) & (j >= 0) & (i < nx) & (j < ny)
            i, j = i[ok], j[ok]
            good = self.weight[e, j, i] > 0
            total[ok] += np.where(good, image(e)[j, i] / self.stack.zp[e], 0)
            count[ok] += good
        return total / np.maximum(count, 1)

    def crowding(self):
        """Error of the fluxes by the neighbors under the stars, if their models are off by model_error."""
        peak = self.profile[1][0]
        light = self.mean_at(self.px, self.py, lambda e: self.stack.data[e] - self.sky[e] - self.data[e])
        return self.set.model_error * np.maximum(light / peak - self.flux, 0)

    def beyond_wings(self, px, py, flux):
        """Whether stars are fainter than the light that was subtracted there beyond other stars' ePSFs."""
        return flux * self.profile[1][0] < self.mean_at(px, py, self.far.__getitem__)

    def prune(self, out, threshold):
        """Drop stars that are not significant, or have run into a brighter one.

        Stars in fewer exposures than asked for stay: their light has to be subtracted.
        """
        with np.errstate(invalid="ignore"):
            noise = np.hypot(out.flux_err, self.crowding())
            keep = self.flux > threshold * noise
        keep &= out.n_used >= 1
        keep &= ~self.beyond_wings(self.px, self.py, self.flux)
        pairs = cKDTree(np.c_[self.x, self.y]).query_pairs(self.set.min_separation, output_type="ndarray")
        if pairs.size:
            both = pairs[keep[pairs].all(1) & ~self.joint[pairs].all(1)]
            keep[np.where(self.flux[both[:, 0]] < self.flux[both[:, 1]], both[:, 0], both[:, 1])] = False
        self.remove(~keep)
        return Combined(*(c[keep] for c in out))
