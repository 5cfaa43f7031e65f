"""Many-exposure measurement: the face (Methods §3; the task of KS2, Anderson et al. 2008)."""

import logging
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Any

import numpy as np
from astropy.table import Table, vstack
from scipy.spatial import cKDTree
from tqdm.auto import tqdm

from jwst_hpastrom import plot
from jwst_hpastrom._display import Tabular
from jwst_hpastrom.columns import MASTER, Flag, make_table
from jwst_hpastrom.epsf.brighter_fatter import without_charge
from jwst_hpastrom.epsf.image import Image
from jwst_hpastrom.errors import NotEnoughStarsError, ParameterError
from jwst_hpastrom.frame import MasterFrame, combine_errors
from jwst_hpastrom.frame.systematics import light_errors
from jwst_hpastrom.geometry import LinearTransform
from jwst_hpastrom.measure.extended import EXTENDED, clumps, misfit
from jwst_hpastrom.measure.passes import join_tiles, measure_tile
from jwst_hpastrom.measure.stack import Stack, ToRaw
from jwst_hpastrom.measure.tile import TileSettings
from jwst_hpastrom.measure.wings import far_wings
from jwst_hpastrom.numerics import Store
from jwst_hpastrom.ranges import in_range

__all__ = ["ManyResult", "measure_many"]

log = logging.getLogger("stpipe.hpastrom.measure")

HALO = 28.0  # pixels around a tile that are measured with it
MARGIN = 16  # pixels of cut-outs beyond that: half an ePSF library
PENDING = 4  # tiles in flight at most, which bounds the memory
#: more exposures have smaller tiles, which holds the memory of a tile; and the least side of one, pixels
FULL_TILES, LEAST_TILE = 100, 64


@dataclass(frozen=True, eq=False)
class ManyResult(Tabular):
    """Result of `measure_many`.

    Attributes
    ----------
    table : `~astropy.table.Table`
        Columns of `jwst_hpastrom.columns.MASTER`, and chi2 (per pixel and degree of freedom).

    field : Field
        Exposures and tiles, for artificial stars.

    stars : tuple of ndarray
        x, y, flux in the field's own frame.

    settings : `~jwst_hpastrom.measure.tile.TileSettings`
    """

    table: Table
    field: "Field"
    stars: tuple
    settings: TileSettings

    def __repr__(self):
        return f"<{type(self).__name__}: {len(self.table)} stars>"

    def plot(self, ax: Any = None) -> Any:
        """Draw the scatter of positions against magnitude, see `jwst_hpastrom.plot.frame_rms`."""
        return plot.frame_rms(self.table, ax)


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
        self.to_raw = [
            ToRaw(self.to_master.then(t.inverted()), c)
            for t, c in zip(frame.transforms, frame.corrections, strict=True)
        ]
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

    def stack(self, core):
        """Cut out the exposures of one tile; None where there are none."""
        a, b, c, d = core
        t = np.linspace(0, 1, 5)
        gx, gy = np.meshgrid(a - HALO + t * (b - a + 2 * HALO), c - HALO + t * (d - c + 2 * HALO))
        boxes, chosen = [], []
        for e, (ny, nx) in enumerate(self.shapes):
            x, y = self.to_raw[e](gx.ravel(), gy.ravel())
            ok = np.isfinite(x + y)
            if not ok.any():
                continue
            i0, i1 = int(max(x[ok].min() - MARGIN, 0)), int(min(x[ok].max() + MARGIN, nx - 1)) + 1
            j0, j1 = int(max(y[ok].min() - MARGIN, 0)), int(min(y[ok].max() + MARGIN, ny - 1)) + 1
            if i1 - i0 > 5 and j1 - j0 > 5:
                boxes.append((i0, i1, j0, j1))
                chosen.append(e)
        if not chosen:
            return None
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
            [self.libraries[k] for k in own], core, HALO, np.ascontiguousarray(self.given[near]),
            self.wings,
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


def run_tiles(field, cores, settings, executor, progress, change=None):
    """Measure tiles, in this process or by an executor, in order; yield (core, result).

    ``change(stack)``, if given, alters a stack (in this process) before it is measured, and returns the stars
    to start from.
    """
    waiting = deque()
    with tqdm(total=len(cores), desc="tiles", unit="tile", disable=None if progress else True) as bar:

        def finished():
            core, job = waiting.popleft()
            bar.update()
            return core, job.result() if hasattr(job, "result") else job

        for core in cores:
            stack = field.stack(core)
            if stack is None or not (stack.weight > 0).any():
                bar.update()
                continue
            known = None if change is None else change(stack)
            job = (
                measure_tile(stack, settings, known)
                if executor is None
                else executor.submit(measure_tile, stack, settings, known)
            )
            waiting.append((core, job))
            if len(waiting) >= (1 if executor is None else PENDING):
                yield finished()
        while waiting:
            yield finished()


@in_range
def measure_many(
    images: Sequence[Image],
    libraries: Any,
    frame: MasterFrame,
    *,
    threshold: float = 5.0,
    passes: int = 5,
    fit_box: int = 5,
    min_exposures: int = 3,
    min_separation: float = 0.9,
    model_error: float = 0.03,
    exposure_sigma: float = 4.0,
    tile_size: int = 512,
    pixel_area: bool = True,
    store: Store | None = None,
    executor: Executor | None = None,
    progress: bool = False,
) -> ManyResult:
    """Find and measure stars in all exposures of a field at once.

    Stars are found as peaks of the sum of all exposures' matched-filter images, in passes from bright to
    faint, each on the residuals of the stars found before. A star is fitted in all exposures together,
    position and flux, with its neighbors subtracted; exposures that disagree are left out. This goes below
    what single exposures show.

    Parameters
    ----------
    images : sequence of `~jwst_hpastrom.epsf.Image` or of callables that return one
        In the order of the star lists that ``frame`` was built from.

    libraries : `~jwst_hpastrom.epsf.EPSFLibrary` or list of them
        One for all, or one for each exposure.

    frame : `~jwst_hpastrom.frame.MasterFrame`
        Its transformations, corrections and zero points are used; its saturated stars are taken over as
        they are.

    threshold : float
        Significance of a star in all exposures together.

    passes : int
        Passes of finding; the threshold falls by a factor of four from each to the next.

    fit_box : int
        Side of the fitted box, pixels, odd.

    min_exposures : int
        Fewest exposures that a star must lie in (fewer if there are not as many).

    min_separation : float
        Stars closer than this (pixels) are not told apart.

    model_error : float
        Relative error of the subtracted models: residuals below this share of the light that was there are
        not stars.

    exposure_sigma : float
        Clipping of a star's exposures, in units of their errors.

    tile_size : int
        Side of the tiles that the field is worked in, pixels; smaller where exposures are more than 100.

    pixel_area : bool
        Correct fluxes for the pixels' area, as `build_master` does.

    store : `~jwst_hpastrom.numerics.Store`, optional
        Holds the pixels: in memory as far as its budget goes, the rest in files. The result is the same.

    executor : `concurrent.futures.Executor`, optional
        Tiles are its tasks; results do not depend on it.

    progress : bool
        Show a progress bar.

    Returns
    -------
    `ManyResult`

    Notes
    -----
    ``x_rms`` is the scatter of the exposures' own solutions, linearised about the combined one; for stars
    that no single exposure shows it is that of their noise. ``n_found`` counts the exposures that have
    pixels of the star. Galaxies become clumps of stars with the flag EXTENDED. What bright stars put beyond
    the border of the ePSF library is measured from all of them and subtracted (`measure.wings`); stars there
    that are fainter than that light are left out.
    """
    if fit_box % 2 == 0 or fit_box < 3 or passes < 1:
        raise ParameterError(f"fit_box={fit_box}, passes={passes}", "an odd box from 3, a pass or more")
    field = Field(images, libraries, frame, tile_size, pixel_area, store)
    settings = TileSettings(
        threshold=threshold, passes=passes, fit_box=fit_box, min_separation=min_separation,
        model_error=model_error, sigma=exposure_sigma, min_exposures=min(min_exposures, len(field.pixels)),
    )  # fmt: skip
    found = join_tiles(run_tiles(field, field.cores, settings, executor, progress))
    if found.x.size == 0:
        raise NotEnoughStarsError("no star", "at least one")
    table = _table(field, found, settings.min_exposures, fit_box)
    log.info("many-exposure measurement: %d stars", len(table))
    return ManyResult(table, field, (found.x, found.y, found.flux), settings)


def to_master_errors(transform, ex, ey, correlation):
    """Turn errors (or scatters) in the common frame into those in the master frame."""
    m: np.ndarray = transform.matrix if isinstance(transform, LinearTransform) else np.eye(2)
    c = np.nan_to_num(correlation) * ex * ey
    return tuple(
        np.sqrt(np.maximum(m[k, 0] ** 2 * ex**2 + m[k, 1] ** 2 * ey**2 + 2 * m[k, 0] * m[k, 1] * c, 0))
        for k in range(2)
    )


def _tie_error(frame, u, v):
    """Errors of the frame's tie, which vary smoothly, as at its nearest star; NaN for a frame without."""
    if "x_err_tie" not in frame.table.colnames:
        return np.full((2, u.size), np.nan)
    stars = cKDTree(np.stack([frame.table["x"], frame.table["y"]], 1))
    nearest = stars.query(np.stack([u, v], 1))[1]
    return [np.asarray(frame.table[name])[nearest] for name in ("x_err_tie", "y_err_tie")]


def _systematic(frame, x, y):
    """Errors that the exposures share, master pixels, shape (2, n): the frame's, where the stars are.

    The frame's stars have those of others' light, too, which is subtracted here.
    """
    table, name = frame.table, str(frame.table.meta.get("filter") or "")
    pixel = float(np.median([t.scale for t in frame.transforms]))
    place = np.array([np.asarray(table[c], float) for c in ("x", "y")])
    light = light_errors(
        *place,
        np.asarray(table["mag"], float),
        np.asarray(table["flags"]),
        name,
        pixel,
        str(table.meta.get("instrument") or ""),
    )
    known = np.array([np.asarray(table[f"{c}_err_systematic"], float) for c in "xy"])
    _, near = cKDTree(place.T).query(np.c_[x, y])
    return np.sqrt(np.maximum(known**2 - light**2, 0.0))[:, near]


def _table(field, found, n_min, fit_box):
    x, y, flux, out, inflation = found
    frame = field.frame
    u, v = field.to_master.forward(x, y)
    xi, eta = frame.plane.from_pixels(u, v)
    ra, dec = frame.plane.to_sky(xi, eta)
    fx, fy = to_master_errors(field.to_master, out.x_err, out.y_err, out.corr)
    rx, ry = to_master_errors(field.to_master, out.x_rms, out.y_rms, out.rms_corr)
    n_found, n_used = out.n_found.astype(int), out.n_used.astype(int)
    root = np.sqrt(np.maximum(n_used, 1))
    empirical = np.array(
        to_master_errors(field.to_master, out.x_rms * inflation[1], out.y_rms * inflation[2], out.rms_corr)
    )
    empirical /= root
    to_mag = 2.5 / np.log(10) / flux
    flags = np.zeros(x.size, np.int64)
    flags[n_used < n_found] |= int(Flag.CLIPPED)
    flags[n_used < n_min] |= int(Flag.FEW_EXPOSURES)
    misfits = misfit(out.qfit, out.chi2, fit_box**2 * n_used)
    flags[misfits > EXTENDED] |= int(Flag.EXTENDED)
    pairs = cKDTree(np.c_[x, y]).query_pairs(7.0, output_type="ndarray")
    for a, b in (pairs.T, pairs.T[::-1]) if pairs.size else ():
        flags[np.unique(a)] |= int(Flag.SUBTRACTED)
        flags[np.unique(a[flux[b] > 0.1 * flux[a]])] |= int(Flag.CROWDED)
    head = clumps(x, y, flux, misfits, (out.chi2 > 1.1) & (out.qfit > 0.7))
    light = np.bincount(head, flux, minlength=x.size)
    mag = -2.5 * np.log10(np.where(light > 0, light, flux))
    mag_rms = out.flux_rms * to_mag
    shared, tie = _systematic(frame, u, v), _tie_error(frame, u, v)
    ex, ey = (
        combine_errors(e, f, n_used, mag, s) for e, f, s in zip(empirical, (fx, fy), shared, strict=True)
    )
    data = {
        "x": u, "y": v, "xi": xi, "eta": eta, "ra": ra, "dec": dec, "x_rms": rx, "y_rms": ry,
        "x_err": ex, "y_err": ey, "x_err_empirical": empirical[0], "y_err_empirical": empirical[1],
        "x_err_formal": fx, "y_err_formal": fy, "x_err_systematic": shared[0], "y_err_systematic": shared[1],
        "x_err_tie": tie[0], "y_err_tie": tie[1], "mag": mag, "mag_rms": mag_rms,
        "mag_err": combine_errors(
            np.where(n_used > 1, mag_rms * inflation[0] / root, np.nan), out.flux_err * to_mag, n_used, mag
        ),
        "qfit": out.qfit, "radxs": out.radxs, "n_found": n_found, "n_used": n_used, "flags": flags,
        "chi2": out.chi2,
    }  # fmt: skip
    meta = {**frame.table.meta, "mode": "many", "min_exposures": n_min}
    table = make_table(MASTER, {"id": np.arange(x.size), **data}, meta)[light > 0]
    saturated = frame.table[field.saturated_rows]
    if len(saturated):
        saturated.meta.clear()
        table = vstack([saturated, table], metadata_conflicts="silent")
    table.sort("mag")
    table["id"] = np.arange(len(table))
    table.meta.update(meta)
    return table
