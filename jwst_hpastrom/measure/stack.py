"""All exposures of a field, and the cut-outs of its tiles."""

from dataclasses import dataclass, replace

import numpy as np

from jwst_hpastrom.columns import Flag
from jwst_hpastrom.distortion import DistortionCorrection
from jwst_hpastrom.epsf.brighter_fatter import undo_beside_lost, without_charge
from jwst_hpastrom.epsf.detect import sky_map
from jwst_hpastrom.epsf.fit import add_models
from jwst_hpastrom.errors import ParameterError
from jwst_hpastrom.geometry import LinearTransform, Mapping
from jwst_hpastrom.measure.bundles import Exposures
from jwst_hpastrom.measure.wings import far_wings
from jwst_hpastrom.storage import Kept, Store

__all__ = ["Field", "Stack", "ToRaw"]

HALO = 28.0  # pixels around a tile that are measured with it
BESIDE = 3.0  # pixels around a star where its light is told that lost pixels would hold
MARGIN = 16  # pixels of cut-outs beyond that: half an ePSF library
#: more exposures have smaller tiles, which holds the memory of a tile; and the least side of one, pixels:
#: below, what surrounds a tile takes ten times the tile's own time
FULL_TILES, LEAST_TILE = 50, 64
#: bytes of memory for each pixel of a tile's cut-outs, of the work on it (23 to 28 were measured), and for
#: each pixel of one of them for the grid that stars are searched on
CUT, WORK, GRID = 8, 32, 80


@dataclass(frozen=True, eq=False)
class ToRaw:
    """From the common frame (corrected pixels of the central exposure) to one exposure's raw pixels.

    Parameters
    ----------
    linear : `~jwst_hpastrom.geometry.LinearTransform`
        Common frame to the exposure's corrected pixels.

    correction : `~jwst_hpastrom.geometry.Mapping` or None
        Raw to corrected pixels of the exposure.
    """

    linear: LinearTransform
    correction: Mapping | None

    def __call__(self, x, y):
        """Return raw positions."""
        u, v = self.linear.forward(x, y)
        return (u, v) if self.correction is None else self.correction.inverse(u, v)


@dataclass(eq=False)
class Stack:
    """What the measurement of one tile needs; see `jwst_hpastrom.measure.bundles`.

    Attributes
    ----------
    data, weight : ndarray of float32, shape (n_exposures, ny, nx)
        Pixels and 1/σ², zero where there is nothing.

    origin : ndarray, shape (n_exposures, 2)
        Raw (x, y) of each cut-out's first pixel.

    to_raw : list of `ToRaw`

    zp : ndarray
        Flux scale of each exposure: counts there per flux on the common scale.

    slope : ndarray
        Growth of a pixel's variance with its value, for artificial stars.

    lib : ndarray of int
        Library of each exposure among ``libraries``.

    libraries : list of `~jwst_hpastrom.epsf.EPSFLibrary`
        With the field positions around the tile only.

    profile : tuple of ndarray
        `~jwst_hpastrom.measure.tile.envelope` of the whole of the first of them.

    core : tuple of float
        x_min, x_max, y_min, y_max in the common frame: stars in here belong to this tile.

    halo : float
        Pixels around the core that are measured, too.

    given : ndarray, shape (n, 3)
        x, y, flux of stars that are subtracted as they are (saturated ones).

    wings : `~jwst_hpastrom.epsf.EPSFLibrary` or None
        Light of bright stars beyond the borders of ``libraries``; see `jwst_hpastrom.measure.wings`.
    """

    data: np.ndarray
    weight: np.ndarray
    origin: np.ndarray
    to_raw: list
    zp: np.ndarray
    slope: np.ndarray
    lib: np.ndarray
    libraries: list
    profile: tuple
    core: tuple
    halo: float
    given: np.ndarray
    wings: object = None

    @property
    def bounds(self):
        """Core and halo: x_min, x_max, y_min, y_max."""
        a, b, c, d = self.core
        return a - self.halo, b + self.halo, c - self.halo, d + self.halo

    def positions(self, x, y):
        """Positions in every cut-out, arrays of shape (n_stars, n_exposures)."""
        px, py = np.empty((x.size, len(self.to_raw))), np.empty((x.size, len(self.to_raw)))
        for e, to_raw in enumerate(self.to_raw):
            u, v = to_raw(x, y)
            px[:, e], py[:, e] = u - self.origin[e, 0], v - self.origin[e, 1]
        return px, py

    def jacobians(self, h=8.0):
        """∂(raw)/∂(common) of each exposure at the tile's center, shape (n_exposures, 2, 2)."""
        a, b, c, d = self.core
        x, y = 0.5 * (a + b), 0.5 * (c + d)
        px, py = self.positions(np.array([x + h, x - h, x, x]), np.array([y, y, y + h, y - h]))
        out = np.empty((len(self.to_raw), 2, 2))
        for row, p in enumerate((px, py)):
            out[:, row, 0], out[:, row, 1] = (p[0] - p[1]) / (2 * h), (p[2] - p[3]) / (2 * h)
        return out

    def exposures(self):
        """Libraries, shifted field positions, Jacobians and flux scales as the kernels want them."""
        knots = max(library.knots for library in self.libraries)
        coeff = np.stack([library.with_knots(knots) for library in self.libraries])
        gx = np.stack([self.libraries[k].x - o[0] for k, o in zip(self.lib, self.origin, strict=True)])
        gy = np.stack([self.libraries[k].y - o[1] for k, o in zip(self.lib, self.origin, strict=True)])
        return Exposures(self.lib, coeff, gx, gy, knots, self.jacobians(), self.zp)


class Field:
    """All exposures of a field, on the corrected pixels of the central one, and its tiles."""

    def __init__(self, images, libraries, frame, tile_size, pixel_area, store=None):
        n = len(frame.transforms)
        images = list(images)
        if n < 2:
            raise ParameterError(
                "one exposure", "2 or more for a many-exposure measurement", "use mode average"
            )
        if len(images) != n:
            raise ParameterError(f"{len(images)} images", f"the {n} of the master frame, in the same order")
        store = store or Store()
        self._take(libraries, n, store)
        self.frame, self.pixel_area = frame, pixel_area
        self.to_master = frame.transforms[frame.central]
        bare = {id(c): _without_errors(c) for c in frame.corrections}
        self.to_raw = [
            ToRaw(self.to_master.then(t.inverted()), bare[id(c)])
            for t, c in zip(frame.transforms, frame.corrections, strict=True)
        ]
        zero = np.asarray(frame.exposures["zero_point"], float)
        self.zp = 10 ** (0.4 * np.nan_to_num(zero))
        self.pixels, self.shapes, self.slope = [], [], np.empty(n)
        for e, image in enumerate(images):
            image = image() if callable(image) else image
            library, charge = self.library(self.lib[e]), image.charge
            image = without_charge(image, library.brighter_fatter)
            pixels, self.slope[e] = _pixels(image)
            if library.brighter_fatter and charge is not None:
                self._undo_beside_lost(e, image, pixels, library, charge)
            self.pixels.append(store.keep(pixels))
            self.shapes.append(pixels.data.shape)
        self.given = self._saturated()
        self.cores = self._tiles(_small_enough(tile_size, n))
        reach = zip(self._reach(HALO).transpose(1, 0, 2), self._reach(0.0).any(axis=2).sum(0), strict=True)
        self._reached = dict(zip(self.cores, reach, strict=True))
        self.wings = far_wings(self)
        self.pending = 1  # tiles that may be in flight

    def _take(self, libraries, n, store):
        """Take the ePSFs over: one for all, or one for each exposure, which the store keeps."""
        own = isinstance(libraries, list | tuple)
        libraries = list(libraries) if own else [libraries]
        if own and len(libraries) != n:
            raise ParameterError(f"{len(libraries)} ePSF libraries", f"one, or {n}: one for each image")
        self.lib = np.arange(n) if own else np.zeros(n, np.int64)
        self.libraries, self.profiles, self.nodes, shapes = [], [], [], set()
        for library in libraries:
            library = library() if callable(library) else library
            shapes.add((library.data.shape, library.oversampling))
            self.profiles.append(library.radial_maximum)
            self.nodes.append((library.x, library.y))
            self.libraries.append(store.keep(library) if own else library)
            self.epsf_bytes, self.finer = library.data[0].nbytes, library.knots / library.oversampling
        if len(shapes) > 1:
            raise ParameterError(f"ePSF libraries of shapes {shapes}", "libraries of one shape")

    def library(self, k):
        """Return library ``k`` (``lib`` has it for each exposure); of many, no spline stays in memory."""
        library = self.libraries[k]
        return replace(library()) if isinstance(library, Kept) else library

    def _undo_beside_lost(self, e, image, pixels, library, charge):
        """Take out the light that an exposure's lost pixels pushed into others, by the frame's stars."""
        x, y, flux = self._of_frame().T
        x, y = self.to_raw[e](x, y)
        residual = pixels.data.copy()
        flux = np.where(np.isfinite(x + y), flux * self.zp[e], np.nan)
        add_models(residual, library, x, y, flux, -1.0, BESIDE)
        sky = sky_map(image).image(image.shape)
        undo_beside_lost(pixels.data, residual, pixels.weight, sky, charge, library.brighter_fatter)

    def _of_frame(self, rows=slice(None)):
        """x, y, flux of stars of the master frame, in the common frame."""
        x, y, mag = (np.asarray(self.frame.table[name], float)[rows] for name in ("x", "y", "mag"))
        return np.c_[(*self.to_master.inverse(x, y), 10 ** (-0.4 * mag))]

    def _saturated(self):
        self.saturated_rows = np.flatnonzero(np.asarray(self.frame.table["flags"]) & int(Flag.SATURATED))
        return self._of_frame(self.saturated_rows)

    def _tiles(self, size):
        corners = []
        for e, (ny, nx) in enumerate(self.shapes):
            edge = np.linspace(0, 1, 9)
            x = np.r_[edge * (nx - 1), edge * (nx - 1), 0 * edge, 0 * edge + nx - 1]
            y = np.r_[0 * edge, 0 * edge + ny - 1, edge * (ny - 1), edge * (ny - 1)]
            correction = self.frame.corrections[e]
            u, v = (x, y) if correction is None else correction.forward(x, y)
            corners.append(np.array(self.to_raw[e].linear.inverse(u, v)))
        corners = np.concatenate(corners, axis=1)
        low, high = corners.min(1) - 2, corners.max(1) + 2
        n = np.maximum(1, np.rint((high - low) / size).astype(int))
        xs, ys = (np.linspace(low[k], high[k], n[k] + 1) for k in range(2))
        return [(xs[i], xs[i + 1], ys[j], ys[j + 1]) for j in range(ys.size - 1) for i in range(xs.size - 1)]

    def _reach(self, around):
        """Columns and rows (i0, i1, j0, j1) of the exposures that reach the cores and their surroundings.

        Shape (n_exposures, n_tiles, 4); zeros where there is nothing.
        """
        a, b, c, d = np.array(self.cores).T
        t = np.linspace(0, 1, 5)[:, None]
        gx, gy = a - around + t * (b - a + 2 * around), c - around + t * (d - c + 2 * around)
        gx, gy = (g.reshape(25, -1) for g in np.broadcast_arrays(gx[None], gy[:, None]))
        out = np.zeros((len(self.shapes), len(self.cores), 4), np.int32)
        for e, (ny, nx) in enumerate(self.shapes):
            x, y = (p.reshape(gx.shape) for p in self.to_raw[e](gx.ravel(), gy.ravel()))
            ok, box = np.isfinite(x + y), []
            for p, n in ((x, nx), (y, ny)):
                low, high = np.where(ok, p, np.inf).min(0), np.where(ok, p, -np.inf).max(0)
                box += [np.clip(low - MARGIN, 0, n), np.clip(high + MARGIN, -1, n - 1)]
            i0, i1, j0, j1 = np.array(box).astype(np.int32)
            some = (i1 - i0 > 4) & (j1 - j0 > 4)
            out[e, some] = np.stack([i0, i1 + 1, j0, j1 + 1], axis=1)[some]
        return out

    def memory(self):
        """Return the bytes of the largest tile's cut-outs and of the work on it, and its exposures."""
        most = 0.0, 0.0, 0
        for found, _ in self._reached.values():
            chosen = np.flatnonzero(found.any(axis=1))
            if not chosen.size:
                continue
            i0, i1, j0, j1 = found[chosen].T
            pixels = chosen.size * int((i1 - i0).max()) * int((j1 - j0).max())
            own = np.unique(self.lib[chosen])
            x, y = _together([self.nodes[k] for k in own], found[chosen])
            values = (
                self.epsf_bytes * own.size * self.nodes[own[0]][0][x].size * self.nodes[own[0]][1][y].size
            )
            work = (WORK + GRID / chosen.size) * pixels + 2 * values * self.finer**2
            most = max(most, (CUT * pixels + values, work, chosen.size), key=sum)
        return most

    def stack(self, core, least=1):
        """Cut out the exposures of one tile; None where its core has fewer than ``least``."""
        found, depth = self._reached[core]
        if depth < least:
            return None
        a, b, c, d = core
        chosen = np.flatnonzero(found.any(axis=1))
        boxes = found[chosen].tolist()
        shape = (len(chosen), max(q[3] - q[2] for q in boxes), max(q[1] - q[0] for q in boxes))
        pixels, weight = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
        for k, (e, (i0, i1, j0, j1)) in enumerate(zip(chosen, boxes, strict=True)):
            part = slice(j0, j1), slice(i0, i1)
            pixels[k, : j1 - j0, : i1 - i0] = self.pixels[e].cut("data", *part)
            weight[k, : j1 - j0, : i1 - i0] = self.pixels[e].cut("weight", *part)
        own, lib = np.unique(self.lib[chosen], return_inverse=True)
        x, y = self.given[:, 0], self.given[:, 1]
        reach = HALO + MARGIN
        near = (x > a - reach) & (x < b + reach) & (y > c - reach) & (y < d + reach)
        return Stack(
            pixels, weight, np.array([(q[0], q[2]) for q in boxes], float), [self.to_raw[e] for e in chosen],
            self.zp[chosen] / self._area(chosen, core), self.slope[chosen], lib.astype(np.int64),
            self._around(own, boxes), self.profiles[own[0]], core, HALO,
            np.ascontiguousarray(self.given[near]), self.wings,
        )  # fmt: skip

    def _around(self, own, boxes):
        """Return ePSF libraries with no more field positions than are read within boxes (i0, i1, j0, j1)."""
        x, y = _together([self.nodes[k] for k in own], boxes)
        out = []
        for k in own:
            v = self.library(k)
            data = v.data.reshape(v.y.size, v.x.size, *v.data.shape[1:])[y, x]
            cut = {"data": np.array(data).reshape(-1, *v.data.shape[1:]), "x": v.x[x], "y": v.y[y]}
            out.append(replace(v, **cut, borrowed=None, meta={}))
        return out

    def _area(self, chosen, core, h=32.0):
        """Area of a raw pixel in corrected ones at the tile, 1 without the pixel-area correction."""
        out = np.ones(len(chosen))
        x, y = 0.5 * (core[0] + core[1]), 0.5 * (core[2] + core[3])
        for k, e in enumerate(chosen):
            correction = self.frame.corrections[e]
            if self.pixel_area and correction is not None:
                ny, nx = self.shapes[e]  # beyond the detector a correction may mean nothing
                (u,), (v,) = self.to_raw[e](np.array([x]), np.array([y]))
                u, v = np.clip(u, h, nx - 1 - h), np.clip(v, h, ny - 1 - h)
                p, q = correction.forward(np.array([u + h, u - h, u, u]), np.array([v, v, v + h, v - h]))
                det = (p[0] - p[1]) * (q[2] - q[3]) - (p[2] - p[3]) * (q[0] - q[1])
                out[k] = abs(det) / (4 * h * h)
        return out


@dataclass(frozen=True, eq=False)
class _Pixels:
    """Of one exposure: pixels and 1/σ², zero where there is nothing."""

    data: np.ndarray
    weight: np.ndarray


def _without_errors(correction):
    """Return what positions need of a correction, a third of the bytes of one with a pixel map."""
    return correction.without_errors() if isinstance(correction, DistortionCorrection) else correction


def _together(nodes, boxes):
    """Slices of the field positions of libraries that are read within boxes (i0, i1, j0, j1)."""
    i0, _, j0, _ = np.min(boxes, axis=0) - MARGIN
    _, i1, _, j1 = np.max(boxes, axis=0) + MARGIN
    return [
        slice(min(k.start for k in own), max(k.stop for k in own))
        for own in zip(*((_nodes(x, i0, i1), _nodes(y, j0, j1)) for x, y in nodes), strict=True)
    ]


def _nodes(nodes, low, high):
    """Nodes between which values from ``low`` to ``high`` lie."""
    first = max(np.searchsorted(nodes, low, "right") - 1, 0)
    return slice(min(first, max(nodes.size - 2, 0)), max(np.searchsorted(nodes, high) + 1, 2))


def _small_enough(tile_size, n):
    """Side of tiles of ``n`` exposures that hold no more pixels than those of `FULL_TILES` exposures."""
    more = 2 * (HALO + MARGIN)
    side = (tile_size + more) * min(np.sqrt(FULL_TILES / n), 1.0) - more
    return max(side, min(LEAST_TILE, tile_size))


def _pixels(image):
    """Pixels and weights, and the growth of the variance with the signal."""
    with np.errstate(invalid="ignore", divide="ignore"):
        good = image.good & np.isfinite(image.data) & np.isfinite(image.err) & (image.err > 0)
        variance = np.square(np.asarray(image.err, float))
        weight = np.where(good, 1.0 / variance, 0.0).astype(np.float32)
    data = np.where(good, image.data, 0).astype(np.float32)
    return _Pixels(data, weight), _variance_slope(data[good].astype(float), variance[good])


def _variance_slope(d, v):
    """Growth of the variance with the signal, from the pixels well above the background."""
    if d.size < 100:
        return 0.0
    level, base = np.median(d[::7]), np.median(v[::7])
    bright = d > level + 20 * np.sqrt(base)
    if bright.sum() < 20:
        return 0.0
    return max(float(np.median((v[bright] - base) / (d[bright] - level))), 0.0)
