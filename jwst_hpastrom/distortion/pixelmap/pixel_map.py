"""The pixel map: at each pixel the clipped median of the nearest residuals of all filters (L23 §4.3)."""

from concurrent.futures import Executor

import numpy as np
from tqdm.auto import tqdm

from jwst_hpastrom.distortion.model.parts import PixelMapCorrection
from jwst_hpastrom.distortion.pixelmap import _kernels
from jwst_hpastrom.errors import NotEnoughStarsError
from jwst_hpastrom.instrument import FRAME
from jwst_hpastrom.numerics import bin_index, sort_into_groups

__all__ = ["build_pixel_map"]


def _rows(y0, y1, nx, data, start, bins, bin_size, k, sigma, block):
    out = np.empty((y1 - y0, nx, 2), np.float32)
    err = np.empty((y1 - y0, nx, 2), np.float32)
    count = np.empty((y1 - y0, nx), np.int16)
    _kernels.map_rows(y0, y1, nx, *data, start, *bins, bin_size, k, sigma, block, out, err, count)
    return y0, out, err, count


def _binned(x, y, dx, dy, shape):
    """Residuals sorted by square bins, where each bin starts, the numbers of bins, and their size."""
    ny, nx = shape
    # about four residuals a bin
    bin_size = float(max(np.sqrt(4.0 * nx * ny / x.size), 1.0))
    n_bin_x, n_bin_y = int(np.ceil(nx / bin_size)), int(np.ceil(ny / bin_size))
    bins = bin_index(y, bin_size, n_bin_y) * n_bin_x + bin_index(x, bin_size, n_bin_x)
    order, start = sort_into_groups(bins, n_bin_x * n_bin_y)
    data = tuple(v[order].astype(np.float32) for v in (x, y, dx, dy))
    return data, start, (n_bin_x, n_bin_y), bin_size


def _parts(tasks, common, executor):
    """The map's rows, task by task, from this process or from the executor's."""
    if executor is None:
        return (_rows(*t, *common) for t in tasks)
    futures = [executor.submit(_rows, *t, *common) for t in tasks]
    return (f.result() for f in futures)


def build_pixel_map(
    x: np.ndarray,
    y: np.ndarray,
    dx: np.ndarray,
    dy: np.ndarray,
    *,
    n_nearest: int = 50,
    sigma: float = 2.5,
    shape: tuple[int, ...] = FRAME,
    rows: int = 128,
    executor: Executor | None = None,
    progress: bool = False,
) -> PixelMapCorrection:
    """Build the pixel map from residuals.

    Parameters
    ----------
    x, y : ndarray, shape (n,)
        Raw positions of the residuals, 0-based pixels.

    dx, dy : ndarray, shape (n,)
        Residuals (reference minus corrected), pixels.

    n_nearest : int
        Residuals taken for each pixel, by distance; equal distances in any order.

    sigma : float
        Clipping about the median in units of 1.4826 MAD.

    shape : tuple of int
        Detector (ny, nx).

    rows : int
        Detector rows per task.

    executor : `concurrent.futures.Executor`, optional
        Runs the tasks; in this process by default.

    progress : bool
        Show a bar.

    Returns
    -------
    `PixelMapCorrection`
        With standard errors (1.2533 scatter/√n) and counts. Neighboring pixels share most of their
        residuals: their errors are correlated.

    Raises
    ------
    NotEnoughStarsError
        If there are fewer than ``n_nearest`` residuals.

    Examples
    --------
    >>> import numpy as np
    >>> from jwst_hpastrom.distortion import build_pixel_map
    >>> x, y = np.random.default_rng(1).uniform(0, 15, (2, 400))
    >>> found = build_pixel_map(x, y, np.full(400, 0.02), np.zeros(400), shape=(16, 16))
    >>> found.data[8, 8].round(3)
    array([0.02, 0.  ], dtype=float32)
    """
    x, y, dx, dy = (np.asarray(v, float) for v in (x, y, dx, dy))
    good = np.isfinite(x + y + dx + dy)
    if good.sum() < n_nearest:
        raise NotEnoughStarsError(f"{good.sum()} residuals for the pixel map", f"{n_nearest}")
    x, y, dx, dy = x[good], y[good], dx[good], dy[good]
    ny, nx = shape
    data, start, n_bins, bin_size = _binned(x, y, dx, dy, shape)
    radius = np.sqrt(n_nearest * nx * ny / (np.pi * x.size))
    block = int(np.clip(radius / 3.0, 2, 12))
    tasks = [(y0, min(y0 + rows, ny)) for y0 in range(0, ny, rows)]
    common = (nx, data, start, n_bins, bin_size, n_nearest, float(sigma), block)
    parts = _parts(tasks, common, executor)
    out = np.empty((ny, nx, 2), np.float32)
    err = np.empty((ny, nx, 2), np.float32)
    count = np.empty((ny, nx), np.int16)
    for y0, o, e, c in tqdm(parts, total=len(tasks), desc="pixel map", disable=None if progress else True):
        out[y0 : y0 + len(o)], err[y0 : y0 + len(o)], count[y0 : y0 + len(o)] = o, e, c
    return PixelMapCorrection(out, err, count)
