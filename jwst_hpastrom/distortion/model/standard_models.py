"""A correction as standard astropy models, so that nobody needs this package to read it."""

import numpy as np
from astropy.modeling.models import AffineTransformation2D, Identity, Polynomial2D, Scale, Tabular2D
from astropy.modeling.models import Mapping as AxisMapping

from jwst_hpastrom.numerics import polynomial_basis, polynomial_terms

__all__ = ["find_pixel_tables", "quantized", "standard_model"]


def standard_model(polynomial=None, table=None, pixel_map=None):
    """Return raw -> corrected pixels; the inverse makes two passes over the same tables.

    Parameters
    ----------
    polynomial : `~jwst_hpastrom.distortion.PolynomialCorrection`, optional
    table : `~jwst_hpastrom.distortion.TableCorrection`, optional
    pixel_map : `~jwst_hpastrom.distortion.PixelMapCorrection`, optional

    Returns
    -------
    `~astropy.modeling.Model`
    """
    if polynomial is None:
        fx, fy = Polynomial2D(1, c1_0=1.0), Polynomial2D(1, c0_1=1.0)
        back = Identity(2)
    else:
        fx, fy = _polynomial_forward(polynomial)
        back = _polynomial_inverse(polynomial)
    minus = None
    if table is not None:
        tx, ty = _table_models(table)
        fx, fy = fx + tx, fy + ty
        minus = [tx | Scale(-1.0), ty | Scale(-1.0)]
    if pixel_map is not None:
        tables, quantum = quantized(pixel_map.data)
        px, py = _pixel_models(tables, quantum)
        fx, fy = fx + px, fy + py
        m = _pixel_models(tables, -quantum)
        minus = m if minus is None else [a + b for a, b in zip(minus, m, strict=True)]
    model = AxisMapping((0, 1, 0, 1)) | fx & fy
    inverse = back
    if minus is not None:
        fine = AxisMapping((0, 1, 0, 1)) | minus[0] & minus[1]
        add = Polynomial2D(1, c1_0=1.0, c0_1=1.0)
        for _ in range(2):
            inverse = (
                AxisMapping((0, 1, 0, 1)) | Identity(2) & (inverse | fine) | AxisMapping((0, 2, 1, 3))
                | add & add | back
            )  # fmt: skip
    model.inverse = inverse
    return model


def _normalization(polynomial):
    half = polynomial.half_width
    return AffineTransformation2D(np.eye(2) / half, -np.asarray(polynomial.center, float) / half)


def _polynomial2d(degree, terms, values):
    return Polynomial2D(degree, **{f"c{i}_{j}": float(v) for (i, j), v in zip(terms, values, strict=True)})


def _polynomial_forward(part):
    """Two models raw -> corrected x and y, behind one normalization."""
    terms = polynomial_terms(max(part.degree, 1))
    models = []
    for axis, c in enumerate((part.a, part.b)):
        values = np.r_[float(part.center[axis]), c]
        values[1 + axis] += part.half_width
        models.append(_normalization(part) | _polynomial2d(max(part.degree, 1), terms, values))
    return models


def _polynomial_inverse(part, n=80, margin=0.04, tolerance=3e-5):
    """Polynomial fitted to exact inverses over the detector and a margin, of the degree that it takes."""
    half = part.half_width
    nodes = (1 + margin) * half * np.cos(np.pi * (np.arange(n) + 0.5) / n)
    x, y = (c.ravel() for c in np.meshgrid(nodes + part.center[0], nodes + part.center[1]))
    u, v = part.forward(x, y)
    p, q = (u - part.center[0]) / half, (v - part.center[1]) / half
    for degree in (7, 9, 11, 13):
        terms = polynomial_terms(degree)
        design = polynomial_basis(p, q, terms)
        fits = [np.linalg.lstsq(design, t, rcond=None)[0] for t in (x, y)]
        if max(np.abs(design @ c - t).max() for c, t in zip(fits, (x, y), strict=True)) < tolerance:
            break
    parts = [_polynomial2d(degree, terms, c) for c in fits]
    return _normalization(part) | AxisMapping((0, 1, 0, 1)) | parts[0] & parts[1]


def _tabular(points, table):
    # lists: arrays of points do not survive assign_wcs; no fill value: the outer half pixel is extrapolated
    return Tabular2D(points=points, lookup_table=table, bounds_error=False, fill_value=None)


def _table_models(part):
    # one node of slope zero beyond each edge: extrapolation then keeps the edge's value
    points = tuple([n[0] - 1.0, *n.tolist(), n[-1] + 1.0] for n in part.nodes)
    return [_tabular(points, np.pad(np.asarray(t, float), 1, mode="edge").T) for t in (part.dx, part.dy)]


def quantized(data):
    """A pixel map as int16 tables ([x, y] order, edges doubled) and their quantum in pixels."""
    quantum = max(float(np.abs(data).max()) / 32700.0, 1e-7)
    tables = [
        np.round(np.pad(data[..., k].astype(float), 1, mode="edge").T / quantum).astype(np.int16)
        for k in (0, 1)
    ]
    return tables, quantum


def _pixel_models(tables, factor):
    points = tuple([float(v) for v in range(-1, n - 1)] for n in tables[0].shape)
    return [_tabular(points, t) | Scale(factor) for t in tables]


def find_pixel_tables(model, shape):
    """Return the pixel map in a model that `standard_model` made, or None where there is none.

    Parameters
    ----------
    model : `~astropy.modeling.Model`
    shape : tuple of int
        Detector (ny, nx).

    Returns
    -------
    ndarray of float32, shape (ny, nx, 2), or None
    """
    found = []
    leaves = [model[k] for k in range(model.n_submodels)] if model.n_submodels > 1 else [model]
    for k, leaf in enumerate(leaves[:-1]):
        table = getattr(leaf, "lookup_table", None)
        if table is not None and table.shape == (shape[1] + 2, shape[0] + 2):
            factor = leaves[k + 1]
            if isinstance(factor, Scale):
                found.append(np.asarray(table[1:-1, 1:-1], float).T * float(factor.factor.value))
    return np.stack(found[:2], -1).astype(np.float32) if len(found) >= 2 else None
