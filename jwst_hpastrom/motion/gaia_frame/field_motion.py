"""Two epochs: what the motions of all stars of a field say of the map between the epochs."""

import logging

import numpy as np

from jwst_hpastrom.geometry import polynomial_terms, robust_sigma
from jwst_hpastrom.motion.gaia_frame.plate_stars import designs

__all__ = ["hold_by_motions"]

log = logging.getLogger("stpipe.hpastrom.motion")

#: degrees of freedom of Student's weights of stars about the field's mean motion
FREEDOM = 4.0
#: fewest field stars a term of the map, below which they say too little
STARS_PER_TERM = 5
#: steps of weights, and of the widths of the field's streaming
STEPS, WIDTH_STEPS = 8, 300
#: streaming that is no streaming, and to begin with, mas/yr at the field's edge
LEAST, FIRST = 1e-4, 1.0


def hold_by_motions(normal, right, now, rows, others):
    """Add to the equations that the field's stars stream no more over the field than the catalog needs.

    Parameters
    ----------
    normal, right : ndarray, shape (2, m, m), (2, m)
        Of the transformations' coefficients; added to in place.

    now : `~jwst_hpastrom.motion.gaia_frame.plate_stars.Epochs`
        Of two epochs.

    rows : ndarray of int
        Field stars of both.

    others : tuple of ndarray, shape (2, m, m), (2, m)
        What reference stars and priors add to ``normal`` and ``right``.

    Returns
    -------
    ndarray, shape (2,), or None
        Widths of the streaming, mas/yr at the field's edge: of terms linear in position, and of higher ones.

    Notes
    -----
    A star of two epochs with a free motion holds nothing, so that the map between the epochs has the errors
    of the few reference stars at every star: between bright stars these are as large as their own. Motions
    of a field's stars scatter about a mean that changes slowly over the field. They are normal (with
    Student's weights) about a polynomial in position whose constant is free, whose terms of first order have
    one normal prior, the higher ones another; both widths are what motions and catalog make most likely
    (expectation and maximization over both axes). Where the catalog sees the field rotate or expand, the
    terms are as free as that, and the reference stars hold them as before; else all stars do. The mean
    motion is the catalog's in any case.
    """
    ties, links, epochs, _, fits = now[:5]
    both = rows[fits.used[rows].all(1)]
    design = designs(ties, links.x[both], links.y[both], fits.used[both])
    n_terms, m = design.shape[2], normal.shape[1]
    if both.size < STARS_PER_TERM * n_terms:
        return None
    dt = epochs[1] - epochs[0]
    change = np.concatenate([-design[:, 0], design[:, 1]], 1) / dt
    streaming = design[:, 1]
    full = [_equations(now, both, axis, dt, change, streaming) for axis in (0, 1)]
    order = np.array([sum(t) for t in polynomial_terms(ties[1].degree)])
    kind = np.minimum(order, 2)  # 0 the mean, 1 linear, 2 higher
    widths = _widths(full, normal + others[0], right + others[1], kind)
    precision = _precision(kind, widths)
    for axis, (matrix, side) in enumerate(full):
        inverse = np.linalg.inv(matrix[m:, m:] + np.diag(precision))
        mixed = matrix[:m, m:] @ inverse
        normal[axis] += matrix[:m, :m] - mixed @ matrix[m:, :m]
        right[axis] += side[:m] - mixed @ side[m:]
    log.info("the field streams by %.4f (linear in position), %.4f mas/yr at its edge", *widths)
    return widths


def _precision(kind, widths):
    return np.where(kind > 0, np.r_[1.0, widths][kind] ** -2.0, 0.0)


def _equations(now, rows, axis, dt, change, streaming):
    """Normal equations of the transformations' coefficients and the streaming's, of one axis."""
    position, error = now.position[axis, rows], now.error[axis, rows]
    motion, variance = (position[:, 1] - position[:, 0]) / dt, np.sum(error**2, 1) / dt**2
    mean = np.r_[np.median(motion), np.zeros(streaming.shape[1] - 1)]
    for _ in range(STEPS):
        off = motion - streaming @ mean
        dispersion = max(robust_sigma(off) ** 2 - np.median(variance), 0.0)
        total = variance + dispersion
        weight = (FREEDOM + 1) / (FREEDOM + off**2 / total) / total
        weighted = streaming * weight[:, None]
        mean = np.linalg.lstsq(weighted.T @ streaming, weighted.T @ motion, rcond=None)[0]
    terms = np.concatenate([change, -streaming], 1)
    weighted = terms * weight[:, None]
    return weighted.T @ terms, -weighted.T @ motion


def _widths(full, normal, right, kind):
    """Most likely widths of the streaming's terms, in view of all else that is known."""
    m, widths = normal.shape[1], np.full(2, FIRST)
    whole = []
    for axis, (matrix, side) in enumerate(full):
        matrix, side = matrix.copy(), side.copy()
        matrix[:m, :m] += normal[axis]
        side[:m] += right[axis]
        whole.append((matrix, side))
    for _ in range(WIDTH_STEPS):
        square = np.zeros(kind.size)
        for matrix, side in whole:
            now = matrix.copy()
            now[m:, m:] += np.diag(_precision(kind, widths))
            covariance = np.linalg.inv(now)
            square += (covariance[m:] @ side) ** 2 + np.diag(covariance)[m:]
        new = [np.sqrt(max(np.mean(square[kind == k]) / 2, LEAST**2)) if (kind == k).any() else LEAST
               for k in (1, 2)]  # fmt: skip
        last, widths = widths, np.array(new)
        if np.all(np.abs(widths / last - 1) < 1e-3):
            break
    return widths
