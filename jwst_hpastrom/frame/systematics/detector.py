"""Position errors that belong to places of the detector, as the dithers' residuals show them."""

from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree

from jwst_hpastrom.frame.systematics.profile import Profile
from jwst_hpastrom.geometry import robust_sigma
from jwst_hpastrom.numerics.groups import without_linear

__all__ = ["DetectorErrors", "curvature_error", "detector_errors", "same_places", "shared_weight"]

#: measurements that the detector's pattern is found from: more add nothing; and the fewest degrees of freedom
#: that it is looked for in, three for each of its coefficients
MOST, FEWEST = 60000, 27

#: detector pixels within which an error of the detector's is the same
CORRELATED = 16.0

#: degrees of the polynomial pattern; dithers do not show a lower one
DEGREES = (3, 4)


@dataclass(frozen=True, eq=False)
class DetectorErrors:
    """Position errors that stay at one place of the detector, as dithers show them; master pixels.

    Attributes
    ----------
    smooth : `Profile`
        Error of a star's mean by the smooth part (a polynomial), which dithers do not average.

    local : ndarray, shape (2,)
        Error of one measurement by the part that neighboring stars share; exposures at other places of the
        detector are independent of it.

    limit : bool
        ``smooth`` is an upper limit: its noise is more than that of the stars' means.
    """

    smooth: Profile
    local: np.ndarray
    limit: bool = False


def _unknown():
    return DetectorErrors(Profile(np.zeros(2), np.zeros(1), np.full((2, 1), np.nan)), np.zeros(2))


def _without_means(columns, group, n_groups):
    count = np.bincount(group, minlength=n_groups)
    for c in columns:
        c -= (np.bincount(group, c, minlength=n_groups) / count)[group]


def detector_errors(m, star, averages, together, *, sigma=4.0):
    """Estimate the errors that belong to places of the detector from the residuals of bright stars.

    A polynomial pattern e(x, y) of third and fourth degree shows in a star's residuals as e at one dither
    minus its mean over all; lower degrees look like the exposures' transformations and stay hidden
    (`curvature_error`). What is left of the residuals is compared between stars that are neighbors in one
    exposure, and between exposures that have a star at the same place: noise is not common to them, an error
    of the ePSF or of the distortion is.

    Parameters
    ----------
    m : `~jwst_hpastrom.frame.measurements.Measurements`

    star : ndarray of int
        Star of each detection; negative for none.

    averages
        Means of the stars and the measurements used.

    together : ndarray of bool, shape (n_exposures, n_exposures)
        Which exposures have a star at the same place of the detector (`same_places`).

    sigma : float
        Residuals beyond this are left out.

    Returns
    -------
    `DetectorErrors`
        An upper limit where its noise is more than that of the stars' means; NaN where stars or dithers are
        too few to tell.
    """
    rows = np.flatnonzero(averages.used & m.reference & (star >= 0) & (averages.n_used[star] >= 2))
    variance = m.vu[rows] + m.vv[rows]
    if rows.size > MOST:
        rows = rows[variance <= np.partition(variance, MOST)[MOST]]
    z = np.stack([m.u[rows], m.v[rows]]) - averages.mean[star[rows]].T
    width = np.array([robust_sigma(c) for c in z])[:, None]
    good = np.all(np.abs(z) <= sigma * np.maximum(width, 1e-12), axis=0)
    rows, z = rows[good], z[:, good]
    x, y, exposure = m.x[rows], m.y[rows], m.exposure[rows]
    who, group = np.unique(star[rows], return_inverse=True)
    n_exposures = np.unique(exposure).size
    if rows.size - who.size < 3 * n_exposures + FEWEST:
        return _unknown()
    half = 0.5 * max(np.ptp(x), np.ptp(y))
    p, q = (x - x.mean()) / half, (y - y.mean()) / half
    terms = [p**i * q ** (d - i) for d in DEGREES for i in range(d + 1)]
    shown = [t.copy() for t in terms]
    for _ in range(3):  # the two are not orthogonal: in turn
        _without_means(shown, group, who.size)
        without_linear(shown, exposure, p, q)
    design = np.stack(shown, 1)
    left, size, right = np.linalg.svd(design, full_matrices=False)
    seen = size > 1e-3 * np.sqrt(rows.size)  # combinations that the dithers show at all
    if not seen.any():
        return _unknown()
    back = right[seen].T / size[seen]
    coefficients = back @ (left[:, seen].T @ z.T)
    z = z - (design @ coefficients).T

    # the pattern's mean over each star's dithers, less what the tie to the sky absorbs
    means = np.stack(terms, 1)
    _without_means(means.T, group, who.size)
    means = np.stack(terms, 1) - means
    first = np.unique(group, return_index=True)[1]
    means = means[first]
    u, v = averages.mean[who].T
    base = np.linalg.qr(np.c_[np.ones(who.size), u - u.mean(), v - v.mean()])[0]
    means -= base @ (base.T @ means)
    dof = rows.size - who.size - 3 * n_exposures - seen.sum()
    noise = np.sum((means @ back) ** 2, axis=1)[:, None] * np.sum(z**2, axis=1) / dof
    # where its noise is more than that of means of these measurements the pattern found is an upper limit,
    # noise included: less is not known
    own = 0.5 * (m.vu[rows] + m.vv[rows]) / averages.n_used[star[rows]]
    limit = bool(np.median(noise) > np.median(own))
    smooth = Profile.of(u, v, (means @ coefficients) ** 2 - (0.0 if limit else noise))
    local = np.sqrt(np.maximum(_of_neighbors(x, y, exposure, z), _of_repeats(group, exposure, z, together)))
    return DetectorErrors(smooth, local, limit)


def curvature_error(x, y, dx, dy, weights):
    """Error by a quadratic pattern, which only a catalog can show: dithers take it for transformations.

    Parameters
    ----------
    x, y, dx, dy : ndarray, shape (n,)
        Stars of the catalog in the master frame, and their residuals about the six-parameter tie.

    weights : tuple of ndarray
        1/σ² of dx and dy.

    Returns
    -------
    `Profile`
        Freed of the residuals' noise.
    """
    if x.size < 100:
        return Profile.zero()
    half = 0.5 * max(np.ptp(x), np.ptp(y))
    p, q = (x - x.mean()) / half, (y - y.mean()) / half
    design = np.stack([np.ones(x.size), p, q, p * p, p * q, q * q], 1)
    variance = []
    for d, w in zip((dx, dy), weights, strict=True):
        root = np.sqrt(w)
        basis, r = np.linalg.qr(design * root[:, None])
        c = basis[:, 3:].T @ (d * root)
        noise = robust_sigma(d * root - basis[:, 3:] @ c) ** 2
        own = design @ np.linalg.inv(r)[:, 3:]
        variance.append((own @ c) ** 2 - noise * np.sum(own**2, axis=1))
    return Profile.of(x, y, np.stack(variance, 1))


def _of_neighbors(x, y, exposure, z):
    """Mean product of residuals of neighbors in one exposure, of either axis; zero where negative."""
    total, n = np.zeros(2), 0
    for k in np.unique(exposure):
        s = np.flatnonzero(exposure == k)
        i, j = cKDTree(np.c_[x[s], y[s]]).query_pairs(CORRELATED, output_type="ndarray").reshape(-1, 2).T
        product = z[:, s[i]] * z[:, s[j]]
        total, n = total + product.sum(1), n + i.size
    if n < 100:
        return np.zeros(2)
    return np.maximum(total / n, 0.0)


def _of_repeats(group, exposure, z, together):
    """Mean product of a star's residuals at the same place over that at different places, of either axis."""
    size, n = len(together), group.max() + 1
    there = np.zeros((n, size))
    there[group, exposure] = 1.0
    counts = there.T @ there
    pairs = [np.triu(together, 1), np.triu(~together, 1)]
    if min(counts[p].sum() for p in pairs) < 100:
        return np.zeros(2)
    out = []
    for values in z:
        table = np.zeros((n, size))
        table[group, exposure] = values
        products = table.T @ table
        same, other = (products[p].sum() / counts[p].sum() for p in pairs)
        out.append(max(same - other, 0.0))
    return np.array(out)


def same_places(m, transforms):
    """Which exposures put the sky on the same pixels, (n_exposures, n_exposures) bool."""
    corner = np.array([[m.x.min(), m.x.max()], [m.y.min(), m.y.max()]])
    sky = [t.forward(*corner) for t in transforms]
    at = np.array([[t.inverse(*s) for t in transforms] for s in sky])  # exposure of the sky, detector
    return np.all(np.hypot(*(at - corner).transpose(2, 0, 1, 3)) < CORRELATED, axis=-1)


def shared_weight(m, star, used, together, n_stars):
    """How much more than 1/N the variance of a star's mean holds of a local error of one measurement.

    Zero where all its exposures are at different places of the detector.
    """
    member = np.zeros((n_stars, m.n_exposures), np.float32)
    rows = np.flatnonzero(used)
    member[star[rows], m.exposure[rows]] = 1.0
    n = np.maximum(member.sum(1), 1.0)
    pairs = np.einsum("ij,ij->i", member @ together.astype(np.float32), member)
    return np.maximum(pairs / n**2 - 1.0 / n, 0.0)
