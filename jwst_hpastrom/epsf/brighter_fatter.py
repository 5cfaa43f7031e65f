"""The brighter-fatter effect: charge in a pixel pushes light into its neighbors.

The boundary between two neighboring pixels moves towards the one that holds more charge, by a distance in
proportion to the difference. While a ramp is read, charge grows from zero, so that its mean is half of what
there is at the end; the light that crosses a boundary is the mean of the two pixels'. To first order the rate
d of a pixel becomes

    d + s (c / 4) Σ (d_k² − d²),

the sum over its four neighbors, with c the charge (DN) that a rate of one leaves at the end of the ramp and s
the shift of a boundary per unit of charge difference (pixels per DN). To second order less charge is where
light was lost: its mean over the ramp is c (d / 6 + d′ / 3), with d′ the rate that the effect leaves. The
effective PSF of a library is that without charge; its ``brighter_fatter`` is s.
"""

import numpy as np
from scipy.spatial import cKDTree

from jwst_hpastrom.numerics import sigma_about_zero, weighted_median

__all__ = [
    "alone", "charge_effect", "shift_from_stamps", "shifted_by_charge", "undo_beside_lost", "without_charge",
]  # fmt: skip

HALF = 2  # pixels: the box around a star that tells the effect
MISFIT_FLOOR = 0.01  # of the model: the ePSF's own errors, as in `samples`
PARTS = 20  # of the stars, for the error of what they tell
SURE = 3.0  # standard errors that pay for a correction
HARDLY = 2.0  # factor of the shift's error: light of unseen neighbors that costs more is taken for none
NEAR, FAINT = 4.0, 0.01  # pixels to neighbors, and share of a star's flux, that spoil what it tells
OUTLIER = 5.0  # robust standard deviations of one star's own shift


def charge_effect(data, charge, bad=None, seen=None):
    """Return what each pixel gains per unit of boundary shift, (c / 4) Σ (d_k² − d²).

    Parameters
    ----------
    data : ndarray, shape (..., ny, nx)
        Rates; all finite.

    charge : float or ndarray, shape (..., ny, nx)
        DN at the ramp's end for a rate of one.

    bad : ndarray of bool, shape (..., ny, nx), optional
        Pixels whose rates mean nothing: no light is moved between them and their neighbors.

    seen : ndarray, shape (..., ny, nx), optional
        Rates that the effect leaves, for the second order.

    Returns
    -------
    ndarray
        Of the data's shape and type.

    Examples
    --------
    >>> charge_effect(np.array([[0.0, 0.0, 0.0], [0.0, 2.0, 0.0], [0.0, 0.0, 0.0]]), 1.0)
    array([[ 0.,  1.,  0.],
           [ 1., -4.,  1.],
           [ 0.,  1.,  0.]])
    """
    out, held = np.zeros_like(data), data if seen is None else (data + 2 * seen) / 3
    for axis in (-1, -2):
        n = data.shape[axis]
        lower, upper = (
            (..., cut) if axis == -1 else (..., cut, slice(None)) for cut in (slice(0, n - 1), slice(1, n))
        )
        moved = (held[upper] - held[lower]) * (data[upper] + data[lower])
        if bad is not None:
            moved[bad[lower] | bad[upper]] = 0
        out[lower] += moved
        out[upper] -= moved
    out *= 0.25 * np.asarray(charge, data.dtype)
    return out


def without_charge(image, shift):
    """Return an image as it would be if charge did not push light into neighbors.

    Parameters
    ----------
    image : `~jwst_hpastrom.epsf.image.Image`

    shift : float
        Shift of a boundary, pixels per DN: ``brighter_fatter`` of a library.

    Returns
    -------
    `~jwst_hpastrom.epsf.image.Image`
        The same one where ``shift`` is 0 or its ``charge`` is not known.
    """
    if not shift or image.charge is None:
        return image
    bad = ~image.good | ~np.isfinite(image.data)
    data = undone(np.where(bad, 0, image.data).astype(np.float32), image.charge, bad, shift)
    return image.with_data(np.where(bad, image.data, data).astype(np.float32))


def undone(data, charge, bad, shift):
    """Rates that became ``data`` by a shift, from two steps of the fixed-point iteration."""
    first = data - np.float32(shift) * charge_effect(data, charge, bad)
    return data - np.float32(shift) * charge_effect(first, charge, bad, data)


def undo_beside_lost(data, residual, weight, level, charge, shift):
    """Take out, in place, the light that pixels without value pushed into their neighbors.

    `without_charge` moves none between the two. Here the stars' models tell what the lost pixels hold.

    Parameters
    ----------
    data, residual : ndarray, shape (ny, nx)
        Values, and those without the stars' models, which are subtracted from lost pixels, too.

    weight : ndarray, shape (ny, nx)
        0 where pixels have no value.

    level : ndarray, shape (ny, nx)
        Sky.

    charge : float, ndarray or None
        Of the `~jwst_hpastrom.epsf.image.Image` as it was given.

    shift : float
        Shift of a boundary, pixels per DN.
    """
    if not shift or charge is None:
        return
    j, i = np.nonzero((weight == 0) & (data - residual > level))
    held = data[j, i] - residual[j, i] + level[j, i]
    charge, gains = np.broadcast_to(charge, data.shape), []
    for dj, di in ((0, 1), (0, -1), (1, 0), (-1, 0)):
        b, a = j + dj, i + di
        inside = (b >= 0) & (a >= 0) & (b < data.shape[0]) & (a < data.shape[1])
        k = np.flatnonzero(inside)[weight[b[inside], a[inside]] > 0]
        at = b[k], a[k]
        gains.append((at, 0.25 * shift * charge[at] * (held[k] ** 2 - data[at] ** 2)))
    for at, gain in gains:
        data[at] -= gain
        residual[at] -= gain


def alone(x, y, flux, n):
    """Whether the first ``n`` of an exposure's stars have no neighbor that spoils what they tell of charge.

    The light of fitted neighbors is left over, or taken away, in part.

    Parameters
    ----------
    x, y, flux : ndarray, shape (m,)
        Of all stars.

    n : int

    Returns
    -------
    ndarray of bool, shape (n,)
    """
    pairs = cKDTree(np.c_[x, y]).query_pairs(NEAR, output_type="ndarray")
    pairs = np.concatenate([pairs, pairs[:, ::-1]])
    star, other = pairs[pairs[:, 0] < n].T
    out = np.ones(n, bool)
    out[star[flux[other] > FAINT * flux[star]]] = False
    return out


def shifted_by_charge(library, x, y, i, j, charge):
    """What stars of flux one gain around them per unit of boundary shift, to first order.

    Parameters
    ----------
    library : `~jwst_hpastrom.epsf.library.EPSFLibrary`

    x, y : ndarray, shape (n,)

    i, j : ndarray of int, shapes (n, 1, k) and (n, k, 1)
        Columns and rows of the pixels, one after the other.

    charge : float or ndarray, shape (ny, nx)
        As in `charge_effect`.

    Returns
    -------
    ndarray, shape (n, k, k)
    """
    a, b = x[:, None, None], y[:, None, None]
    wide_i = np.concatenate([i[..., :1] - 1, i, i[..., -1:] + 1], -1)
    wide_j = np.concatenate([j[:, :1] - 1, j, j[:, -1:] + 1], 1)
    gain = charge_effect(library.evaluate(wide_i - a, wide_j - b, a, b), 1.0)[:, 1:-1, 1:-1]
    return _charge_at(charge, i, j) * gain


def _charge_at(charge, i, j):
    """Charge of pixels, beyond the image that of its border; one for all stays one."""
    if not np.ndim(charge):
        return float(charge)
    ny, nx = charge.shape
    return np.asarray(charge, float)[np.clip(j, 0, ny - 1), np.clip(i, 0, nx - 1)]


def stars_tell(stamps, library, x, y, flux, use, slope, charge):
    """What the bright stars of one exposure tell of the boundaries' shift.

    Parameters
    ----------
    stamps : `~jwst_hpastrom.epsf.stamps.neighbors.Stamps`

    library : `~jwst_hpastrom.epsf.library.EPSFLibrary`

    x, y, flux : ndarray, shape (n,)
        Fitted positions and fluxes.

    use : ndarray of bool, shape (n,)

    slope : float
        Variance per unit of expected level.

    charge : float, ndarray or None
        Of the exposure's `~jwst_hpastrom.epsf.image.Image`.

    Returns
    -------
    matrix : ndarray, shape (n, 3, 3)
        Each star's normal equations for three numbers, position, flux and sky projected out: the shift, a
        share of the same pattern in proportion to the flux, which is the ePSF's own, and one alike for all
        stars, which is light of unseen neighbors; neither is an effect of charge.

    vector : ndarray, shape (n, 3)
    """
    k = np.flatnonzero(use)
    matrix, vector = np.zeros((x.size, 3, 3)), np.zeros((x.size, 3))
    if charge is None or k.size == 0:
        return matrix, vector
    px, py = np.rint(x[k]).astype(int), np.rint(y[k]).astype(int)
    wide = np.arange(-HALF - 1, HALF + 2)
    i, j = np.broadcast_arrays(px[:, None, None] + wide, py[:, None, None] + wide[:, None])
    at = (i - x[k][:, None, None], j - y[k][:, None, None], x[k][:, None, None], y[k][:, None, None])
    psi, by_dx, by_dy = (a.astype(float) for a in library.evaluate(*at, gradient=True))
    inner = (slice(None), slice(1, -1), slice(1, -1))
    f = flux[k][:, None, None]
    c = _charge_at(charge, i[inner], j[inner])
    laplacian = charge_effect(psi, 1.0)[inner]
    rows = k[:, None, None]
    jj, ii = (j - stamps.oy[k][:, None, None])[inner], (i - stamps.ox[k][:, None, None])[inner]
    side = stamps.clean.shape[-1]
    off = (jj < 0) | (ii < 0) | (jj >= side) | (ii >= side)
    jj, ii = np.clip(jj, 0, side - 1), np.clip(ii, 0, side - 1)
    clean, base = stamps.clean[rows, jj, ii].astype(float), stamps.base[rows, jj, ii].astype(float)
    model = f * psi[inner]
    good = np.isfinite(clean) & ~off
    variance = base + slope * np.maximum(model, 0) + (MISFIT_FLOOR * model) ** 2
    root = np.where(good, 1 / np.sqrt(np.maximum(variance, 1e-30)), 0).reshape(k.size, -1)
    residual = np.where(good, clean - model, 0).reshape(k.size, -1) * root
    # stars that fill the box look wider, the fainter the more, where their sky is too low
    own = np.stack([psi[inner], f * by_dx[inner], f * by_dy[inner], np.ones_like(model)], -1)
    own = own.reshape(k.size, -1, 4) * root[..., None]
    typical, common = np.median(flux[k]), np.mean(c)  # of the other columns: only their scale
    powers = c * f * f, common * typical * f, common * typical**2
    shared = np.stack([p * laplacian for p in powers], -1).reshape(k.size, -1, 3)
    shared = shared * root[..., None]
    basis, _ = np.linalg.qr(own)
    shared -= basis @ (basis.transpose(0, 2, 1) @ shared)
    residual -= (basis @ (basis.transpose(0, 2, 1) @ residual[..., None]))[..., 0]
    matrix[k] = shared.transpose(0, 2, 1) @ shared
    vector[k] = (residual[:, None] @ shared)[:, 0]
    whole = good.reshape(k.size, -1).sum(1) >= 15
    matrix[k[~whole]] = vector[k[~whole]] = 0
    return matrix, vector


def shift_from_stamps(matrix, vector, star):
    """Least-squares shift of the boundaries, and its standard error from parts of the stars.

    Parameters
    ----------
    matrix, vector : ndarray, shape (n, 3, 3) and (n, 3)
        From `stars_tell`.

    star : ndarray of int, shape (n,)
        Star that each measurement belongs to; one without a number (< 0) is a star of its own.

    Returns
    -------
    shift, error : float
        Pixels per DN; 0 and infinity where nothing tells.
    """
    rows = np.flatnonzero(matrix[:, 0, 0] > 0)
    if rows.size < 2 * PARTS:
        return 0.0, np.inf
    matrix, vector = matrix[rows], vector[rows]
    part = np.where(star[rows] >= 0, star[rows], rows) % PARTS
    own, weight = vector[:, 0] / matrix[:, 0, 0], matrix[:, 0, 0]
    pull = (own - weighted_median(own, weight)) * np.sqrt(weight)
    keep = np.abs(pull) < OUTLIER * max(sigma_about_zero(pull), 1.0)
    mine = [keep & (part == p) for p in range(PARTS)]
    left, right = (np.array([a[m].sum(0) for m in mine]) for a in (matrix, vector))

    def solve(normal, told):
        scale = np.sqrt(np.diag(normal))
        alike = normal / np.outer(scale, scale)
        return np.linalg.solve(alike, told / scale) / scale if np.linalg.cond(alike) < 1e9 else told * np.nan

    told = []
    for n in (2, 3):
        normal, vectors = left[:, :n, :n], right[:, :n]
        found = solve(normal.sum(0), vectors.sum(0))[0]
        without = [
            solve(normal.sum(0) - a, vectors.sum(0) - b)[0] for a, b in zip(normal, vectors, strict=True)
        ]
        error = np.sqrt((PARTS - 1) * np.var(without))
        told.append((float(found), float(error)) if np.isfinite(found + error) else (0.0, np.inf))
    plain, full = told  # stars of one brightness do not tell light of neighbors
    return full if full[1] < HARDLY * plain[1] else plain
