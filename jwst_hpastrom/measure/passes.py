"""A tile from bright to faint: find, fit, subtract, in all exposures at once."""

from typing import NamedTuple

import numpy as np

from jwst_hpastrom.measure.blends import error_inflation, resolve_blends
from jwst_hpastrom.measure.bundles import Combined
from jwst_hpastrom.measure.tile import Tile

__all__ = ["Found", "join_tiles", "measure_tile"]

FAINTER = 4.0  # the threshold falls by this from pass to pass


class Found(NamedTuple):
    """Stars of the core of a tile, or of all tiles; arrays of shape (n,)."""

    x: np.ndarray  # common frame
    y: np.ndarray
    flux: np.ndarray  # common scale
    combined: Combined  # corrections are applied already; errors are those with close neighbors unknown
    inflation: np.ndarray  # (3, n), the factors of `error_inflation`


def join_tiles(results):
    """Put together what `~jwst_hpastrom.measure.many.run_tiles` yields."""
    x, y, flux, combined, inflation = zip(*(found for _, found in results), strict=True)
    together = Combined(*(np.concatenate(c) for c in zip(*combined, strict=True)))
    return Found(*map(np.concatenate, (x, y, flux)), together, np.concatenate(inflation, axis=1))


def measure_tile(stack, settings, known=None):
    """Find and measure the stars of a tile.

    Parameters
    ----------
    stack : `~jwst_hpastrom.measure.stack.Stack`

    settings : `TileSettings`

    known : tuple of ndarray, optional
        x, y, flux of stars that are there (of the tile and its halo), to start from.

    Returns
    -------
    `Found`
    """
    tile = Tile(stack, settings)
    if known is not None and known[0].size:
        tile.start_from(*known)
    thresholds = [settings.threshold * FAINTER**k for k in range(settings.passes - 1, -1, -1)]
    for k, threshold in enumerate([*thresholds, settings.threshold]):
        # bright stars show in a few exposures; what is missed by them shows later
        every = (
            min(4, tile.data.shape[0] // settings.min_exposures) if threshold > 10 * settings.threshold else 1
        )
        new = tile.find(threshold, max(every, 1), k)
        if new:
            tile.sweep(1, free=False, fresh=True)
            tile.sweep(3, fresh=True)
            tile.fresh[:] = False
        if tile.x.size:
            tile.prune(tile.solve(), 0.8 * settings.threshold)
        tile.update_background()
    for last in (False, True):
        if tile.x.size == 0:
            break
        if not last:
            tile.refresh()
            tile.expect_light()
        tile.sweep(6)
        good = tile.prune(tile.solve(), settings.threshold)
        if not last and tile.x.size:
            resolve_blends(tile, good)
    out = tile.solve()
    inflation = error_inflation(tile).T if tile.x.size else np.empty((3, 0))
    out = out._replace(
        flux_err=out.flux_err * inflation[0], x_err=out.x_err * inflation[1], y_err=out.y_err * inflation[2]
    )
    x, y, flux = (v + np.nan_to_num(d) for v, d in ((tile.x, out.x), (tile.y, out.y), (tile.flux, out.flux)))
    a, b, c, d = stack.core
    core = (x >= a) & (x < b) & (y >= c) & (y < d) & (out.n_used > 0)
    core &= out.n_found >= settings.min_exposures
    return Found(x[core], y[core], flux[core], Combined(*(v[core] for v in out)), inflation[:, core])
