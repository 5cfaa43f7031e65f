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
from jwst_hpastrom.configuration import configured
from jwst_hpastrom.epsf.flux_bias import without_position_gain
from jwst_hpastrom.epsf.image import Image
from jwst_hpastrom.errors import NotEnoughStarsError, ParameterError
from jwst_hpastrom.frame import MasterFrame, combine_errors
from jwst_hpastrom.frame.errors import empirical_errors
from jwst_hpastrom.frame.systematics import light_errors
from jwst_hpastrom.geometry import LinearTransform
from jwst_hpastrom.measure.config import ManyConfig
from jwst_hpastrom.measure.extended import EXTENDED, clumps, misfit
from jwst_hpastrom.measure.passes import join_tiles, measure_tile
from jwst_hpastrom.measure.stack import Field
from jwst_hpastrom.measure.tile import TileSettings
from jwst_hpastrom.storage import Store

__all__ = ["ManyResult", "measure_many"]

log = logging.getLogger("stpipe.hpastrom.measure")

PENDING = 4  # tiles in flight at most; fewer where the memory is not there


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
            stack = field.stack(core, settings.min_exposures)  # stars of fewer are not listed
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
            if len(waiting) >= (1 if executor is None else field.pending):
                yield finished()
        while waiting:
            yield finished()


def _pending(field, store, executor):
    """Return how many tiles may be in flight; raise where there is no memory for one."""
    cut, work, n = field.memory()

    def need(k):  # one is on its way to a worker, as bytes
        sent = 0 if executor is None else (k + 1) * cut
        return sent + min(k, store.workers if executor else 1) * (cut + work)

    k = next((k for k in range(PENDING, 1, -1) if need(k) <= store.most), 1)
    store.spare(need(k), f"a tile that {n} exposures show, in {1 + store.workers} processes")
    return k


@configured(ManyConfig)
def measure_many(
    images: Sequence[Image],
    libraries: Any,
    frame: MasterFrame,
    *,
    config: ManyConfig,
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
        One for all, or one for each exposure (or callables that return it).

    frame : `~jwst_hpastrom.frame.MasterFrame`
        Its transformations, corrections and zero points are used; its saturated stars are taken over as
        they are.

    {options}

    store : `~jwst_hpastrom.storage.Store`, optional
        Holds the pixels, and ePSFs of each exposure: in memory as far as its budget goes, the rest in files.
        The result is the same.

    executor : `concurrent.futures.Executor`, optional
        Tiles are its tasks; results do not depend on it.

    progress : bool
        Show a progress bar.

    Returns
    -------
    `ManyResult`

    Raises
    ------
    ParameterError
        A tile takes more memory than the store says there is, or parameters do not go together.

    NotEnoughStarsError
        No star is found.

    Notes
    -----
    ``x_rms`` is the scatter of the exposures' own solutions, linearised about the combined one; for stars
    that no single exposure shows it is that of their noise. ``n_found`` counts the exposures that have
    pixels of the star. Galaxies become clumps of stars with the flag EXTENDED. What bright stars put beyond
    the border of the ePSF library is measured from all of them and subtracted (`measure.wings`); stars there
    that are fainter than that light are left out.
    """
    if config.passes < 1:
        raise ParameterError(f"passes={config.passes}", "a pass or more")
    store = store or Store()
    field = Field(images, libraries, frame, config.tile_size, config.pixel_area, store)
    field.pending = _pending(field, store, executor)
    settings = TileSettings(
        threshold=config.threshold, passes=config.passes, fit_box=config.fit_box,
        min_separation=config.min_separation, model_error=config.model_error, sigma=config.exposure_sigma,
        min_exposures=min(config.min_exposures, len(field.pixels)),
    )  # fmt: skip
    found = join_tiles(run_tiles(field, field.cores, settings, executor, progress))
    if found.x.size == 0:
        raise NotEnoughStarsError("no star", "at least one")
    table = _table(field, found, settings.min_exposures, config.fit_box)
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
        table.meta.get("wing_shift"),
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
    own, empirical = empirical_errors(empirical, n_used), empirical / root
    alone = without_position_gain(flux, flux / out.flux_err)
    to_mag = 2.5 / np.log(10) / alone
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
    light = np.bincount(head, alone, minlength=x.size)
    mag = -2.5 * np.log10(np.where(light > 0, light, alone))
    mag_rms = out.flux_rms * to_mag
    shared, tie = _systematic(frame, u, v), _tie_error(frame, u, v)
    ex, ey = (
        combine_errors(e, f, n_used, mag, s) for e, f, s in zip(empirical, (fx, fy), shared, strict=True)
    )
    data = {
        "x": u, "y": v, "xi": xi, "eta": eta, "ra": ra, "dec": dec, "x_rms": rx, "y_rms": ry,
        "x_err": ex, "y_err": ey, "x_err_empirical": own[0], "y_err_empirical": own[1],
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
