"""Coefficients of one size that is itself unknown: as large as the data make them, and how well they do."""

from dataclasses import dataclass

import numpy as np
from scipy.special import logsumexp

__all__ = ["Shrunk", "shrunk_fit"]

#: tried: sizes of coefficients over the documented one, and structures over the stars' own errors
SIZES, STRUCTURES = np.geomspace(0.01, 100.0, 41), np.geomspace(0.03, 100.0, 36)
#: degrees of freedom of the documented size, which is therefore perhaps a few times as large
BELIEF = 4.0
#: probabilities of structures that are left out
NONE = 1e-6


@dataclass(frozen=True, eq=False)
class Shrunk:
    """Result of `shrunk_fit`.

    Attributes
    ----------
    coefficients : ndarray, shape (k + m,)
        Expected ones, of the free parameters and of the terms.

    covariance : ndarray, shape (k + m, k + m)

    structure : float
        Expected variance of what the terms do not follow.

    held_out : ndarray, shape (2, n)
        Each star's residuals about what the others say, at the sizes that all of them say.

    misfit : ndarray, shape (n,)
        Their squares over their variances: χ² of two degrees of freedom.

    spare : float
        Degrees of freedom that parameters and terms leave of the data.

    evidence : float
        Logarithm of the data's probability density, but for a constant that other terms have, too.
    """

    coefficients: np.ndarray
    covariance: np.ndarray
    structure: float
    held_out: np.ndarray
    misfit: np.ndarray
    spare: float
    evidence: float


def shrunk_fit(free, terms, data, variance, size, least=1.0):
    """Fit terms whose coefficients are normal, of one unknown size, beside free parameters.

    The size, and the structure, an error that neither terms nor the stars' own errors explain, are averaged
    over what likelihood and priors leave of them: the size is half-t about a documented one, the structure
    half-Cauchy about the stars' own errors (Gelman 2006, Bayesian Analysis 1, 515).

    Parameters
    ----------
    free, terms : ndarray, shape (2, n, k), (2, n, m)
        Columns of the free parameters and of the terms, for both coordinates of n stars.

    data : ndarray, shape (2, n)

    variance : ndarray, shape (n,)
        The stars' own, per axis.

    size : float
        Documented size of the coefficients.

    least : float
        Share of it from which on sizes up to it are as likely, each decade as the next.

    Returns
    -------
    `Shrunk`

    Examples
    --------
    >>> import numpy as np
    >>> from jwst_hpastrom.distortion.shrunk import shrunk_fit
    >>> x = np.linspace(-1, 1, 40)
    >>> free, terms = np.ones((2, 40, 1)), np.stack([x, x])[:, :, None]
    >>> found = shrunk_fit(free, terms, 3 * terms[:, :, 0], np.full(40, 0.01), size=1.0)
    >>> bool(2.9 < found.coefficients[1] < 3.0)
    True
    """
    n, k, m = variance.size, free.shape[2], terms.shape[2]
    columns = np.concatenate([free, terms, data[:, :, None]], axis=2).reshape(2 * n, -1)
    own, sizes = np.sqrt(np.median(variance)), SIZES if m else SIZES[:1]
    prior = np.log(sizes / np.clip(sizes, least, 1.0)) - 0.5 * (BELIEF + 1) * np.log1p(sizes**2 / BELIEF)
    prior = np.log(STRUCTURES / (1 + STRUCTURES**2))[:, None] + prior - logsumexp(prior)
    squares = (size * sizes[:, None]) ** 2
    log, parts = np.empty(prior.shape), []
    for j, structure in enumerate(own * STRUCTURES):
        root = np.tile(np.sqrt(variance + structure**2), 2)
        own_columns = columns / root[:, None]
        products = own_columns.T @ own_columns
        triangle = np.linalg.cholesky(products[:k, :k])
        taken = np.linalg.solve(triangle, products[:k, k:])
        left = products[k:, k:] - taken.T @ taken
        value, turn = np.linalg.eigh(left[:m, :m])
        value, along = np.maximum(value, 0.0), turn.T @ left[:m, m]
        shrink = squares / (1 + squares * value)
        chi2 = left[m, m] - shrink @ along**2
        volume = np.log1p(squares * value).sum(1) + 2 * np.log(np.diag(triangle)).sum()
        log[j] = prior[j] - 0.5 * (chi2 + volume) - np.log(root).sum()
        parts.append((root, triangle, taken, turn, along, shrink))
    evidence = float(logsumexp(log))
    weight = np.exp(log - evidence)
    mean, square = np.zeros(k + m), np.zeros((k + m, k + m))
    held, misfit, spare = np.zeros((2, n)), np.zeros(n), 0.0
    for w, part in zip(weight, parts, strict=True):
        if w.sum() < NONE:
            continue
        _, triangle, taken, turn, along, shrink = part
        # what the free parameters are where the terms are none, and what they become for each of them
        back = np.linalg.solve(triangle.T, np.c_[taken, np.linalg.inv(triangle)])
        with_terms = np.concatenate([-back[:, :m], np.eye(m)]).T
        found = (shrink * along) @ turn.T
        each = np.pad(back[:, m], (0, m)) + found @ with_terms
        mean += w @ each
        square += (w[:, None] * each).T @ each + with_terms.T @ (turn * (w @ shrink)) @ turn.T @ with_terms
        square[:k, :k] += w.sum() * back[:, m + 1 :]
        others, squared, left = _of_others(columns, part, w @ shrink / w.sum(), w @ found / w.sum())
        held += w.sum() * others
        misfit += w.sum() * squared
        spare += w.sum() * left
    structure = float(weight.sum(1) @ (own * STRUCTURES) ** 2)
    return Shrunk(mean, square - np.outer(mean, mean), structure, held, misfit, float(spare), evidence)


def _of_others(columns, part, shrink, found):
    """Each star's residuals (2, n) about what the others say, squares over variances, and `spare`."""
    root, triangle, taken, turn, _, _ = part
    k, m, n = len(triangle), len(turn), root.size // 2
    # smoothed = (base baseᵀ + seen seenᵀ) data in units of the errors; a star's own 2 x 2 block of it
    base = np.linalg.solve(triangle, (columns[:, :k] / root[:, None]).T).T
    rest = columns[:, k:] / root[:, None] - base @ taken
    seen = rest[:, :m] @ turn * np.sqrt(shrink)
    rest = rest[:, m] - rest[:, :m] @ found
    q, (x, y) = np.concatenate([base, seen], 1).reshape(2, n, -1), rest.reshape(2, n)
    xx, yy, xy = (float(a == b) - np.sum(q[a] * q[b], axis=1) for a, b in ((0, 0), (1, 1), (0, 1)))
    others = np.stack([yy * x - xy * y, xx * y - xy * x]) / np.maximum(xx * yy - xy**2, 1e-12)
    return others * root[:n], others[0] * x + others[1] * y, np.sum(xx + yy)
