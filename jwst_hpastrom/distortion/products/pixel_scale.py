"""Pixel scale and skew at the detector's reference point, velocity aberration taken out (L23 §4.6)."""

from collections.abc import Sequence

import numpy as np
from astropy.table import Table

from jwst_hpastrom.distortion.model.correction import DistortionCorrection
from jwst_hpastrom.distortion.solve.pairs import Pairs
from jwst_hpastrom.geometry.transform import LinearTransform
from jwst_hpastrom.numerics import polynomial_basis, polynomial_terms, robust_sigma

__all__ = ["pixel_scale", "pixel_scale_history", "smooth_area"]

BLOCK = 1 << 14  # pairs whose terms are in memory at once


def _terms(x, y, center, half, degree):
    p, q = (x - center[0]) / half, (y - center[1]) / half
    return polynomial_basis(p, q, polynomial_terms(degree))


def smooth_area(correction: DistortionCorrection, *, degree: int = 5, n_grid: int = 128) -> float:
    """Return |∂corrected/∂raw| at the reference point, of the polynomial that fits the whole correction best.

    The derivative of the correction itself at one pixel carries the slope of the finest structure there
    (6e-4 for 0.03 px with a period of 310 px); the smooth polynomial's does not, and no gauge or split into
    parts changes it but for the similarity that the transformations take out again.

    Parameters
    ----------
    correction : `DistortionCorrection`

    degree : int
        Degree of the polynomial.

    n_grid : int
        Points along each axis of the uniform grid that is fitted.

    Returns
    -------
    float
    """
    return float(abs(np.linalg.det(_smooth_jacobian(correction, degree, n_grid))))


def _smooth_jacobian(correction, degree=5, n_grid=128):
    ny, nx = correction.shape
    center, half = _reference(correction)
    # cell centers of a uniform grid, so that edges and middle count alike
    x, y = (c.ravel() for c in np.meshgrid(*[(np.arange(n_grid) + 0.5) * n / n_grid - 0.5 for n in (nx, ny)]))
    design = _terms(x, y, center, half, degree)
    u, v = (np.linalg.lstsq(design, d, rcond=None)[0] for d in correction.delta(x, y))
    return np.eye(2) + np.array([u[1:3], v[1:3]]) / half


def shear(jacobian):
    """What a linear transformation has beside scale and rotation.

    Parameters
    ----------
    jacobian : ndarray, shape (2, 2)

    Returns
    -------
    skew, stretch : float
        ½(∂u/∂y + ∂v/∂x): half the angle, radians, by which the axes are not perpendicular;
        ½(∂u/∂x − ∂v/∂y): half the relative difference of the axes' scales.
    """
    j = np.asarray(jacobian, float)
    return float(0.5 * (j[0, 1] + j[1, 0])), float(0.5 * (j[0, 0] - j[1, 1]))


def _reference(correction):
    ny, nx = correction.shape
    polynomial = correction.polynomial
    if polynomial is not None:
        return np.asarray(polynomial.center, float), float(polynomial.half_width)
    return np.array([nx / 2 - 1.0, ny / 2 - 1.0]), max(nx, ny) / 2.0


def _clustered_errors(pairs, dx, dy, correction, weights, degree):
    """Errors of relative scale, skew and stretch at the reference point; stars count once."""
    center, half = _reference(correction)
    blocks = [slice(k, k + BLOCK) for k in range(0, len(pairs), BLOCK)]
    normal = 0.0
    for k in blocks:
        design = _terms(pairs.x[k], pairs.y[k], center, half, degree)
        normal = normal + design.T @ (design * weights[k, None])
    inverse = np.linalg.inv(normal)
    # derivatives of δx and δy as linear functions of all residuals
    score = np.zeros((2, 2, pairs.held_out.size))
    for k in blocks:
        design = _terms(pairs.x[k], pairs.y[k], center, half, degree)
        for a, d in enumerate((dx, dy)):
            for b in (0, 1):
                np.add.at(score[a, b], pairs.star[k], weights[k] * (design @ inverse[1 + b] / half) * d[k])
    parts = score[0, 0] + score[1, 1], score[0, 1] + score[1, 0], score[0, 0] - score[1, 1]
    return [float(np.sqrt(np.sum((0.5 * p) ** 2))) for p in parts]


def _slopes(pairs, rows, dx, dy):
    """What one exposure's residuals add to the Jacobian of the correction."""
    design = np.stack([np.ones(pairs.x[rows].size), pairs.x[rows], pairs.y[rows]], 1)
    design[:, 1:] -= design[:, 1:].mean(0)
    return np.stack([np.linalg.lstsq(design, d[rows], rcond=None)[0][1:] for d in (dx, dy)])


def pixel_scale(
    pairs: Pairs,
    correction: DistortionCorrection,
    transforms: list[LinearTransform],
    dx: np.ndarray,
    dy: np.ndarray,
    *,
    degree: int = 5,
) -> Table:
    """Measure the pixel scale of each exposure and its mean.

    Parameters
    ----------
    pairs : `~jwst_hpastrom.distortion.Pairs`

    correction : `DistortionCorrection`

    transforms : list of `~jwst_hpastrom.geometry.LinearTransform`
        Ideal plane (arcsec) to corrected pixels, four parameters.

    dx, dy : ndarray
        Residuals of the pairs, pixels.

    degree : int
        Of the polynomial whose derivative counts, see `smooth_area`.

    Returns
    -------
    `~astropy.table.Table`
        One row an exposure: filename, epoch, va_scale, pixel_scale (mas per pixel on the sky, VA_SCALE
        divided out), pixel_scale_ideal (the same in the official ideal frame, where V2 is an angle about a
        pole), pixel_scale_error (of this exposure against the others); skew, stretch (see `shear`) and
        shear_error, of both against the others. Its meta has the weighted means pixel_scale and
        pixel_scale_ideal, and pixel_scale_error, which the reference's stars dominate; skew, skew_error,
        stretch, stretch_error.
    """
    jacobian = _smooth_jacobian(correction, degree)
    area = abs(np.linalg.det(jacobian))
    rows = []
    weights, fitted = np.zeros(len(pairs)), pairs.fitted
    for e, (meta, plane, t) in enumerate(zip(pairs.metas, pairs.planes, transforms, strict=True)):
        good = pairs.by_exposure[e]
        good = good[fitted[good]]
        sx, sy = (robust_sigma(r[good]) for r in (dx, dy))
        good = good[(np.abs(dx[good]) < 4 * sx) & (np.abs(dy[good]) < 4 * sy)]
        weights[good] = 2.0 / (sx**2 + sy**2)
        va = float(meta.get("va_scale") or 1.0)
        ideal = 1e3 * np.sqrt(area) / t.scale / va
        r2 = (pairs.x[good] - pairs.x[good].mean()) ** 2 + (pairs.y[good] - pairs.y[good].mean()) ** 2
        error = ideal * np.sqrt(0.5 * (sx**2 + sy**2) / max(np.sum(r2), 1e-30))
        rows.append((str(meta.get("filename") or e), float(meta.get("epoch") or np.nan), va,
                     ideal * np.sqrt(plane.sky_area), ideal, error,
                     *shear(jacobian + _slopes(pairs, good, dx, dy)), error / ideal))  # fmt: skip
    names = ("filename", "epoch", "va_scale", "pixel_scale", "pixel_scale_ideal", "pixel_scale_error")
    table = Table(rows=rows, names=(*names, "skew", "stretch", "shear_error"))
    for name in names[3:]:
        table[name].unit = "mas / pix"
    w = 1.0 / np.asarray(table["pixel_scale_error"]) ** 2
    common, *common_shear = _clustered_errors(pairs, dx, dy, correction, weights, degree)
    scatter = np.std(table["pixel_scale"], ddof=1) / np.sqrt(len(table)) if len(table) > 1 else 0.0
    for name in ("pixel_scale", "pixel_scale_ideal"):
        table.meta[name] = float(np.average(table[name], weights=w))
    table.meta["pixel_scale_error"] = float(np.hypot(common * table.meta["pixel_scale"], scatter))
    for name, error in zip(("skew", "stretch"), common_shear, strict=True):
        spread = np.std(table[name], ddof=1) / np.sqrt(len(table)) if len(table) > 1 else 0.0
        table.meta[name] = float(np.average(table[name], weights=w))
        table.meta[f"{name}_error"] = float(np.hypot(error, spread))
    table.meta["filter"] = str(pairs.metas[0].get("filter") or "")
    return table


def pixel_scale_history(tables: Sequence[Table]) -> tuple[Table, Table]:
    """Pixel scales of several fields and filters: weighted means (L23 Table 1) and their course in time.

    Parameters
    ----------
    tables : sequence of `~astropy.table.Table`
        As `pixel_scale` returns them.

    Returns
    -------
    summary : `~astropy.table.Table`
        A row per filter: filter, n_exposures, pixel_scale and pixel_scale_error (mas per pixel; of the
        exposures against each other), pixel_scale_total_error (with the reference catalog's).
    history : `~astropy.table.Table`
        A row per exposure in the order of time: filter, epoch, pixel_scale, pixel_scale_error, relative (to
        the filter's mean).
    """
    rows, history = [], []
    by_filter: dict[str, list[Table]] = {}
    for t in tables:
        by_filter.setdefault(str(t.meta.get("filter") or "?"), []).append(t)
    for name in sorted(by_filter):
        scale, error, epoch = (
            np.concatenate([np.asarray(t[c], float) for t in by_filter[name]])
            for c in ("pixel_scale", "pixel_scale_error", "epoch")
        )
        w = 1.0 / error**2
        mean, own = float(np.average(scale, weights=w)), float(w.sum() ** -0.5)
        # several fields have their own reference stars: their errors average down
        common = np.array([float(t.meta["pixel_scale_error"]) for t in by_filter[name]])
        rows.append((name, scale.size, mean, own, float(np.hypot(own, np.sum(common**-2.0) ** -0.5))))
        history += [(name, *v, v[1] / mean) for v in zip(epoch, scale, error, strict=True)]
    names = ("filter", "n_exposures", "pixel_scale", "pixel_scale_error", "pixel_scale_total_error")
    summary = Table(rows=rows, names=names)
    out = Table(rows=history, names=("filter", "epoch", "pixel_scale", "pixel_scale_error", "relative"))
    for table, columns in ((summary, names[2:]), (out, ("pixel_scale", "pixel_scale_error"))):
        for c in columns:
            table[c].unit = "mas / pix"
    out["epoch"].unit = "yr"
    out.sort("epoch")
    return summary, out
