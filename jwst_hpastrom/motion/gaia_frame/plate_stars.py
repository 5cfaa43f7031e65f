"""What stars say of the epochs' transformations: normal equations, star by star."""

from typing import Any, NamedTuple

import numpy as np

from jwst_hpastrom.motion.gaia_frame.reference_terms import ReferenceTerms
from jwst_hpastrom.motion.star_fits.models import MODEL_CODES

__all__ = [
    "best_stars",
    "designs",
    "field_stars",
    "reference_stars_terms",
    "star_weights",
    "time_basis",
    "weighted_inverse",
]

#: a reference star's own position and motion are free: precision of nothing known, 1/mas² and 1/(mas/yr)²
FREE = 1e-6
#: degrees of freedom of Student's distribution that weights stars of too few epochs for a test
FREEDOM = 4.0
#: fewest epochs of stars whose measurements are tested one by one
TESTED = 5


def designs(ties, x, y, use):
    """Polynomial terms of every measurement, (n, n_epochs, n_terms); zero where not used."""
    out = np.zeros((*x.shape, ties[0].coefficients.shape[1]))
    for k, tie in enumerate(ties):
        out[use[:, k], k] = tie.design(x[use[:, k], k], y[use[:, k], k])
    return out


def time_basis(epochs, t0, group, degree=1):
    """Powers of time about t0, then one column a group; (n, n_epochs, n_columns)."""
    dt = epochs[None, :] - t0[:, None]
    columns = [dt**r / max(r, 1) for r in range(degree + 1)]
    columns += [np.broadcast_to(group == g, dt.shape) * 1.0 for g in np.unique(group)]
    return np.stack(columns, -1)


def weighted_inverse(weight, basis, precision):
    """Left inverse (n, m, n_epochs) of a basis with prior precisions, and what remains of the weights."""
    wg = weight[:, :, None] * basis
    normal = np.swapaxes(basis, 1, 2) @ wg + precision
    scale = 1 / np.sqrt(np.maximum(np.diagonal(normal, axis1=1, axis2=2), 1e-300))
    normal = normal * scale[:, :, None] * scale[:, None, :] + 1e-12 * np.eye(normal.shape[-1])
    operator = scale[:, :, None] * np.linalg.solve(normal, scale[:, :, None] * np.swapaxes(wg, 1, 2))
    rest = -wg @ operator
    k = np.arange(weight.shape[1])
    rest[:, k, k] += weight
    return operator, rest


def _diagonal(values, first):
    """Matrices (n, first + m, first + m) with values (n, m) on the diagonal from ``first`` on, else zero."""
    out = np.zeros((len(values), *(2 * [first + values.shape[1]])))
    k = np.arange(first, out.shape[1])
    out[:, k, k] = values
    return out


def _accumulate(normal, right, rest, design, y):
    """Add stars to the normal equations of the coefficients."""
    n_epochs, n_terms = design.shape[1:]
    py = np.einsum("nef,nf->ne", rest, y)
    for e in range(n_epochs):
        a = slice(e * n_terms, (e + 1) * n_terms)
        right[a] -= design[:, e].T @ py[:, e]
        for f in range(e, n_epochs):
            b = slice(f * n_terms, (f + 1) * n_terms)
            block = design[:, e].T @ (rest[:, e, f, None] * design[:, f])
            normal[a, b] += block
            if f > e:
                normal[b, a] += block.T


def star_weights(fits, position, error, epochs):
    """Weights of stars as links between epochs: less for those that are not on a line within their errors.

    Parameters
    ----------
    fits : `~jwst_hpastrom.motion.star_fits.models.MotionFits`

    position, error : ndarray, shape (2, n, n_epochs)
        mas.

    epochs : ndarray

    Returns
    -------
    ndarray, shape (n,)
        Zero where nothing was fitted, and for stars of many epochs that are on no line. Fewer epochs cannot
        say which measurement is wrong: Student's weights, in units of the typical star's chi-square.
    """
    n_used = fits.used.sum(1)
    with np.errstate(invalid="ignore"):
        worst = fits.chi2_loo.max(1)
        usual = worst[n_used >= TESTED]
        limit = 4 * max(1.0, np.nanmedian(usual) if np.isfinite(usual).any() else 1.0)
        out = np.where((n_used >= TESTED) & (worst < limit), 1.0, 0.0)
    few = np.flatnonzero((n_used >= 2) & (n_used < TESTED) & (fits.model >= 0))
    line = np.stack([fits.at(t)[0][few] for t in epochs], -1)  # (few, 2, n_epochs)
    with np.errstate(invalid="ignore"):
        z2 = ((np.moveaxis(position[:, few], 0, 1) - line) / np.moveaxis(error[:, few], 0, 1)) ** 2
    chi2 = np.sum(np.where(fits.used[few][:, None], z2, 0.0), axis=(1, 2))
    dof = 2.0 * n_used[few] - 4.0
    some = dof > 0
    share = chi2[some] / dof[some]
    scale = max(1.0, float(np.median(share))) if some.any() else 1.0
    out[few] = np.where(some, (FREEDOM + dof) / (FREEDOM + chi2 / scale), 1.0)
    return out


def best_stars(links, star, most):
    """Rows of the reference stars, then of the field stars whose mean position is best known."""
    weight = np.where(links.usable, 1.0, 0.0)
    with np.errstate(invalid="ignore", divide="ignore"):
        weight /= np.where(links.usable, links.x_err**2 + links.y_err**2, 1.0)
    rank = np.argsort(-weight.sum(1), kind="stable")
    return np.concatenate([star, rank[~np.isin(rank, star)][:most]])


class Epochs(NamedTuple):
    """All stars at all epochs, as the transformations and fits so far have them."""

    ties: list
    links: Any  # LinkedStars
    epochs: np.ndarray
    group: np.ndarray
    fits: Any  # MotionFits
    position: np.ndarray  # (2, n, n_epochs)
    error: np.ndarray
    spread: Any = None  # (2, n) of the stars' own offsets by group, where it is known


def field_stars(normal, right, rows, share, now):
    """Add stars of free position, motion and group offsets, each times its ``share``, to the equations.

    ``now``: `Epochs`; where it has a spread, offsets are as large as that.
    """
    ties, links, epochs, group, fits, position, error, spread = now
    basis = time_basis(epochs, fits.t0[rows], group)
    design = designs(ties, links.x[rows], links.y[rows], fits.used[rows])
    used = fits.used[rows]
    for axis in (0, 1):
        weight = share[:, None] * np.where(used, np.nan_to_num(error[axis, rows], nan=1.0) ** -2.0, 0.0)
        offset = np.nan_to_num(position[axis, rows] - fits.coefficients[rows, (fits.degree + 1) * axis, None])
        if spread is None:  # the groups' columns add to the constant
            _, rest = weighted_inverse(weight, basis[:, :, 1:], 0.0)
        else:
            # a weight of no epoch, so that a star with one group, or none left, has an inverse
            own = np.repeat(share[:, None] * spread[axis, rows, None] ** -2.0, basis.shape[2] - 2, axis=1)
            _, rest = weighted_inverse(weight, basis, _diagonal(own, 2))
        _accumulate(normal[axis], right[axis], rest, design, np.where(used, offset, 0.0))


def reference_stars_terms(normal, right, reference, star, now):
    """Add the reference stars, as stars of free position and motion; return what Gaia says of these.

    Parameters
    ----------
    normal, right : ndarray, shape (2, m, m), (2, m)
        Added to in place.

    reference, star
        As in `~jwst_hpastrom.motion.gaia_frame.plate_solution.solve_plates`.

    now : `Epochs`

    Returns
    -------
    `~jwst_hpastrom.motion.gaia_frame.reference_terms.ReferenceTerms`
    """
    ties, links, epochs, group, fits, position, error, known = now
    used, n_groups = fits.used[star], np.unique(group).size
    basis = time_basis(epochs, reference.epoch, group)
    design = designs(ties, links.x[star], links.y[star], used)
    gaia = np.stack([np.stack(reference.at(t)[:2]) for t in epochs], -1)
    n, m = star.size, normal.shape[1]
    difference, response = np.zeros((2, n, 2)), np.zeros((2, n, 2, m))
    own, prior = np.zeros((2, n, 2, 2)), np.zeros((2, n, 2, 2))
    for axis in (0, 1):
        sigma = np.nan_to_num(error[axis, star], nan=1.0)
        weight = np.where(used, sigma**-2.0, 0.0)
        spread = np.median(sigma, axis=1) * (1.0 if n_groups > 1 else 1e-4)
        if known is not None:
            spread = known[axis, star]
        has = fits.model[star] == MODEL_CODES["group"]
        spread = np.where(has, np.maximum(np.exp(fits.theta[star, axis, 0]), spread), spread)
        precision = _diagonal(np.repeat(spread[:, None] ** -2.0, n_groups, axis=1), 2)
        precision[:, 0, 0] = precision[:, 1, 1] = FREE
        operator, rest = weighted_inverse(weight, basis, precision)
        y = np.where(used, np.nan_to_num(position[axis, star] - gaia[axis]), 0.0)
        _accumulate(normal[axis], right[axis], rest, design, y)
        difference[axis] = np.einsum("nie,ne->ni", operator[:, :2], y)
        response[axis] = (operator[:, :2, :, None] * design[:, None]).reshape(n, 2, m)
        full = np.swapaxes(basis, 1, 2) @ (weight[:, :, None] * basis) + precision
        own[axis] = np.linalg.inv(full)[:, :2, :2]
        pair = [axis, axis + 2]
        prior[axis] = reference.covariance[:, pair][:, :, pair]
    return ReferenceTerms(difference, response, own, prior)
