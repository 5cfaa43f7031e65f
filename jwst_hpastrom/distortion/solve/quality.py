"""Numbers that tell whether a distortion solution holds."""

import numpy as np
from astropy.table import Table

from jwst_hpastrom.distortion.solve.iterative import reference_variance
from jwst_hpastrom.geometry import robust_sigma

__all__ = ["borrowed_share", "halves_pull", "held_out_pull", "quality_table"]


def borrowed_share(correction):
    """Share of the look-up table's cells without stars of their own; NaN without a table.

    Parameters
    ----------
    correction : `~jwst_hpastrom.distortion.DistortionCorrection`
    """
    count = getattr(correction.table, "count", None)
    return np.nan if count is None else float(np.mean(np.asarray(count) == 0))


def held_out_pull(pairs, dx, dy):
    """Robust width of the held-out stars' residuals over their own and the catalog's errors.

    Parameters
    ----------
    pairs : `~jwst_hpastrom.distortion.Pairs`

    dx, dy : ndarray
        Residuals with the final correction, pixels.

    Returns
    -------
    float
        NaN for fewer than 20 pairs.
    """
    test = ~pairs.fitted
    if test.sum() < 20:
        return np.nan
    extra = reference_variance(pairs)
    pulls = [
        robust_sigma((d / np.sqrt(e**2 + extra))[test]) for d, e in ((dx, pairs.x_err), (dy, pairs.y_err))
    ]
    return float(np.mean(pulls))


def halves_pull(pairs, dx, dy, *, n_cells=8, least=8):
    """How the residual maps of every other exposure and of the rest differ, over the error of that.

    Parameters
    ----------
    pairs, dx, dy
        As of `held_out_pull`.

    n_cells : int
        Cells along the detector's longer side.

    least : int
        Fewest pairs in a cell of either half.

    Returns
    -------
    float
        Root of the reduced χ²: one where they do not differ, NaN for fewer than four exposures.
    """
    number = len(pairs.planes)
    if number < 4:
        return np.nan
    side = max(np.ptp(pairs.x), np.ptp(pairs.y)) / n_cells + 1e-9
    cell = ((pairs.x - pairs.x.min()) // side * n_cells + (pairs.y - pairs.y.min()) // side).astype(int)
    half = pairs.exposure % 2
    pulls = []
    for d in (dx, dy):
        width = robust_sigma(d)
        good = np.isfinite(d) & (np.abs(d - np.median(d)) < 4 * width)
        for c in np.unique(cell[good]):
            parts = [d[good & (cell == c) & (half == h)] for h in (0, 1)]
            if min(p.size for p in parts) >= least:
                error = np.sqrt(sum(p.var(ddof=1) / p.size for p in parts))
                pulls.append((parts[0].mean() - parts[1].mean()) / error)
    if len(pulls) < 8:
        return np.nan
    return float(np.sqrt(np.mean(np.square(pulls))))


def quality_table(solution):
    """Held-out residuals by stage, and in the metadata everything else that tells a solution's quality.

    Parameters
    ----------
    solution : `~jwst_hpastrom.distortion.DistortionSolution`

    Returns
    -------
    `~astropy.table.Table`
        ``PRODUCT_distortion_refine_quality.ecsv``.
    """
    table = Table(solution.stages, copy=True) if solution.stages is not None else Table({"stage": ["none"]})
    correction = solution.correction
    table.meta["method"] = solution.method
    table.meta["pairs"] = len(solution.pairs)
    table.meta["pointing_offset_arcsec"] = [float(np.hypot(*s)) for s in solution.pairs.shift]
    table.meta["held_out_pull"] = held_out_pull(solution.pairs, *solution.residuals)
    table.meta["halves_pull"] = halves_pull(solution.pairs, *solution.residuals)
    table.meta.update(solution.convergence | solution.drift)
    table.meta["borrowed_cells"] = borrowed_share(correction)
    if correction.uncertainty is not None:
        table.meta["error_reach_px"] = correction.uncertainty.reach
    x, y = np.meshgrid(*[np.linspace(0, n - 1, 64) for n in correction.shape[::-1]])
    ex, ey = correction.error(x, y)
    table.meta["stated_error_px"] = float(np.sqrt(np.mean(ex**2 + ey**2) / 2))
    if solution.pixel_scale is not None:
        table.meta.update(solution.pixel_scale.meta)
    table.meta["parameters"] = {
        k: (list(v) if isinstance(v, tuple) else v) for k, v in solution.parameters.items() if k != "progress"
    }
    return table
