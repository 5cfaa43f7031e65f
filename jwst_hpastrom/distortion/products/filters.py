"""Solutions of several filters: their average, and what each differs from it by (L23 §4.5)."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from astropy.table import Table

from jwst_hpastrom.distortion.model.correction import DistortionCorrection
from jwst_hpastrom.distortion.model.parts import PixelMapCorrection, PolynomialCorrection, TableCorrection
from jwst_hpastrom.errors import MixedExposuresError, NotEnoughStarsError

__all__ = ["average_corrections", "filter_differences"]


def average_corrections(corrections: Sequence[DistortionCorrection]) -> DistortionCorrection:
    """Average the solutions of several filters, a proxy for one that does not depend on the filter.

    Parameters
    ----------
    corrections : sequence of `DistortionCorrection`
        Of one detector, with polynomials about one center; a part that only some have is zero in the others.

    Returns
    -------
    `DistortionCorrection`
        Without errors.

    Raises
    ------
    MixedExposuresError
        The parts do not fit each other.

    Examples
    --------
    >>> import numpy as np
    >>> from jwst_hpastrom.distortion import DistortionCorrection, PolynomialCorrection, average_corrections
    >>> parts = [PolynomialCorrection(1, np.array([a, 0.0]), np.zeros(2)) for a in (0.2, 0.4)]
    >>> one, two = map(DistortionCorrection, parts)
    >>> average_corrections([one, two]).polynomial.a.round(6)
    array([0.3, 0. ])
    """
    corrections = list(corrections)
    if not corrections:
        raise NotEnoughStarsError("no distortion solutions", "at least one")
    n = len(corrections)
    layouts = {
        (tuple(c.shape), c.polynomial.degree, tuple(c.polynomial.center), c.polynomial.half_width)
        for c in corrections
        if c.polynomial is not None
    }
    tables = [c.table for c in corrections if c.table is not None]
    maps = [c.pixel_map.data for c in corrections if c.pixel_map is not None]
    if len(layouts) != 1 or len({np.shape(t.dx) for t in tables}) > 1:
        raise MixedExposuresError(
            "distortion solutions with different parts", "one degree, center and number of cells",
            "solve all filters with the same parameters",
        )  # fmt: skip
    polynomials = [c.polynomial for c in corrections if c.polynomial is not None]
    a, b = (sum(getattr(p, k) for p in polynomials) / n for k in "ab")
    first = polynomials[0]
    polynomial = PolynomialCorrection(first.degree, a, b, first.center, first.half_width, first.gauge)
    out = DistortionCorrection(polynomial, shape=corrections[0].shape)
    if tables:
        dx, dy = (np.asarray(sum(np.asarray(getattr(t, k), float) for t in tables) / n) for k in ("dx", "dy"))
        out = replace(out, table=TableCorrection(dx, dy, shape=tables[0].shape))
    if maps:
        out = replace(out, pixel_map=PixelMapCorrection(np.asarray(sum(maps) / n).astype(np.float32)))
    return out


def filter_differences(
    corrections: Mapping[str, DistortionCorrection], *, n_grid: int = 64
) -> tuple[Table, np.ndarray, np.ndarray, dict[str, Any]]:
    """What each filter's solution differs from the average of all by (L23 Fig. 17).

    Parameters
    ----------
    corrections : dict of str to `DistortionCorrection`
        By filter; whatever their parts.
    n_grid : int
        Points along each axis.

    Returns
    -------
    table : `~astropy.table.Table`
        filter, rms_x, rms_y, largest (pixels), and shape_x, shape_y: the RMS without a six-parameter
        transformation, which the exposures' own would absorb.
    x, y : ndarray, shape (n_grid, n_grid)
        Raw positions.
    differences : dict of str to ndarray, shape (2, n_grid, n_grid)
        Filter minus average, pixels.

    Examples
    --------
    >>> import numpy as np
    >>> from jwst_hpastrom.distortion import DistortionCorrection, PolynomialCorrection, filter_differences
    >>> parts = [PolynomialCorrection(1, np.array([a, 0.0]), np.zeros(2)) for a in (0.2, 0.4)]
    >>> one, two = map(DistortionCorrection, parts)
    >>> table, x, y, differences = filter_differences({"F090W": one, "F150W": two}, n_grid=8)
    >>> [round(float(v), 3) for v in table["rms_x"]]
    [0.057, 0.057]
    """
    ny, nx = next(iter(corrections.values())).shape
    x, y = np.meshgrid(*[(np.arange(n_grid) + 0.5) * n / n_grid - 0.5 for n in (nx, ny)])
    deltas = {name: np.stack(c.delta(x, y)) for name, c in corrections.items()}
    base = np.mean(list(deltas.values()), axis=0)
    q, _ = np.linalg.qr(np.stack([np.ones(x.size), x.ravel() / nx, y.ravel() / ny], 1))
    rows, differences = [], {}
    for name, delta in deltas.items():
        d = delta - base
        flat = d.reshape(2, -1)
        shape = flat - (flat @ q) @ q.T
        differences[name] = d
        rms = [float(np.sqrt(np.mean(v**2))) for v in (*flat, *shape)]
        rows.append((name, *rms[:2], float(np.hypot(*flat).max()), *rms[2:]))
    table = Table(rows=rows, names=("filter", "rms_x", "rms_y", "largest", "shape_x", "shape_y"))
    for name in table.colnames[1:]:
        table[name].unit = "pix"
    return table, x, y, differences
