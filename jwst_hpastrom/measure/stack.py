"""All exposures of a field, and the cut-outs of its tiles."""

from dataclasses import dataclass, replace

import numpy as np

from jwst_hpastrom.columns import Flag
from jwst_hpastrom.distortion import DistortionCorrection
from jwst_hpastrom.epsf.brighter_fatter import without_charge
from jwst_hpastrom.errors import ParameterError
from jwst_hpastrom.geometry import LinearTransform, Mapping
from jwst_hpastrom.measure.bundles import Exposures
from jwst_hpastrom.measure.tile import envelope
from jwst_hpastrom.measure.wings import far_wings
from jwst_hpastrom.storage import Store

__all__ = ["Field", "Stack", "ToRaw"]

HALO = 28.0  # pixels around a tile that are measured with it
MARGIN = 16  # pixels of cut-outs beyond that: half an ePSF library
#: more exposures have smaller tiles, which holds the memory of a tile; and the least side of one, pixels
FULL_TILES, LEAST_TILE = 100, 64


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
        own = isinstance(libraries, list | tuple)
        self.libraries = list(libraries) if own else [libraries]
        if own and len(self.libraries) != n:
            raise ParameterError(f"{len(self.libraries)} ePSF libraries", f"one, or {n}: one for each image")
        shapes = {(lib.data.shape, lib.oversampling) for lib in self.libraries}
        if len(shapes) > 1:
            raise ParameterError(f"ePSF libraries of shapes {shapes}", "libraries of one shape")
        self.lib = np.arange(n) if own else np.zeros(n, np.int64)
        self.frame, self.pixel_area = frame, pixel_area
        self.to_master = frame.transforms[frame.central]
        bare = {id(c): _without_errors(c) for c in frame.corrections}
        self.to_raw = [
            ToRaw(self.to_master.then(t.inverted()), bare[id(c)])
            for t, c in zip(frame.transforms, frame.corrections, strict=True)
        ]
        self.profiles = [envelope(library) for library in self.libraries]
        zero = np.asarray(frame.exposures["zero_point"], float)
        self.zp = 10 ** (0.4 * np.nan_to_num(zero))
        store = store or Store()
        self.pixels, self.shapes, self.slope = [], [], np.empty(n)
        for e, image in enumerate(images):
            image = image() if callable(image) else image
            image = without_charge(image, self.libraries[self.lib[e]].brighter_fatter)
            pixels, self.slope[e] = _pixels(image)
            self.pixels.append(store.keep(pixels))
            self.shapes.append(pixels.data.shape)
        self.given = self._saturated()
        self.cores = self._tiles(_small_enough(tile_size, n))
        self.wings = far_wings(self)

    def _saturated(self):
        table = self.frame.table
        rows = np.flatnonzero(np.asarray(table["flags"]) & int(Flag.SATURATED))
        x, y = self.to_master.inverse(
            np.asarray(table["x"], float)[rows], np.asarray(table["y"], float)[rows]
        )
        self.saturated_rows = rows
        return np.c_[x, y, 10 ** (-0.4 * np.asarray(table["mag"], float)[rows])]

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

    def _boxes(self, core, around):
        """Columns and rows (i0, i1, j0, j1) of the exposures that reach a core and its surroundings."""
        a, b, c, d = core
        t = np.linspace(0, 1, 5)
        gx, gy = np.meshgrid(a - around + t * (b - a + 2 * around), c - around + t * (d - c + 2 * around))
        out = {}
        for e, (ny, nx) in enumerate(self.shapes):
            x, y = self.to_raw[e](gx.ravel(), gy.ravel())
            ok = np.isfinite(x + y)
            if not ok.any():
                continue
            i0, i1 = int(max(x[ok].min() - MARGIN, 0)), int(min(x[ok].max() + MARGIN, nx - 1)) + 1
            j0, j1 = int(max(y[ok].min() - MARGIN, 0)), int(min(y[ok].max() + MARGIN, ny - 1)) + 1
            if i1 - i0 > 5 and j1 - j0 > 5:
                out[e] = (i0, i1, j0, j1)
        return out

    def stack(self, core, least=1):
        """Cut out the exposures of one tile; None where its core has fewer than ``least``."""
        if len(self._boxes(core, 0.0)) < least:
            return None
        a, b, c, d = core
        found = self._boxes(core, HALO)
        chosen, boxes = list(found), list(found.values())
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
            _around([self.libraries[k] for k in own], boxes), self.profiles[own[0]], core, HALO,
            np.ascontiguousarray(self.given[near]), self.wings,
        )  # fmt: skip

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


def _around(libraries, boxes):
    """Return ePSF libraries with no more field positions than are read within boxes (i0, i1, j0, j1)."""
    i0, _, j0, _ = np.min(boxes, axis=0) - MARGIN
    _, i1, _, j1 = np.max(boxes, axis=0) + MARGIN
    x, y = (
        slice(min(k.start for k in own), max(k.stop for k in own))
        for own in zip(*((_nodes(v.x, i0, i1), _nodes(v.y, j0, j1)) for v in libraries), strict=True)
    )
    out = []
    for v in libraries:
        data = v.data.reshape(v.y.size, v.x.size, *v.data.shape[1:])[y, x]
        cut = {"data": data.reshape(-1, *v.data.shape[1:]), "x": v.x[x], "y": v.y[y], "borrowed": None}
        out.append(replace(v, **cut, meta={}))
    return out


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
