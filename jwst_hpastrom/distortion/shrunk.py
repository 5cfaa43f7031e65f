"""Coefficients of one size that is itself unknown: as large as the data make them, and how well they do."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy.special import logsumexp

from jwst_hpastrom.numerics.choices import mixture_moments

__all__ = ["Decomposed", "Shrunk", "averaged", "decomposed", "shrunk_fit", "size_prior"]

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

    evidence : float
        Logarithm of the data's probability density, but for a constant that other terms have, too.
    """

    coefficients: np.ndarray
    covariance: np.ndarray
    structure: float
    held_out: np.ndarray
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
    log, parts = size_prior(STRUCTURES, sizes, least), []
    for j, structure in enumerate(own * STRUCTURES):
        parts.append(decomposed(columns, k, np.sqrt(variance + structure**2), (size * sizes) ** 2))
        log[j] += parts[-1].log
    evidence = float(logsumexp(log))
    weight = np.exp(log - evidence)
    mean, square, held = np.zeros(k + m), np.zeros((k + m, k + m)), np.zeros((2, n))
    for w, part in zip(weight, parts, strict=True):
        if w.sum() < NONE:
            continue
        # what the free parameters are where the terms are none, and what they become for each of them
        back = np.linalg.solve(part.triangle.T, np.c_[part.taken, np.linalg.inv(part.triangle)])
        with_terms = np.concatenate([-back[:, :m], np.eye(m)]).T
        found = (part.shrink * part.along) @ part.turn.T
        each = np.pad(back[:, m], (0, m)) + found @ with_terms
        mean += w @ each
        turned = (part.turn * (w @ part.shrink)) @ part.turn.T
        square += (w[:, None] * each).T @ each + with_terms.T @ turned @ with_terms
        square[:k, :k] += w.sum() * back[:, m + 1 :]
        held += w.sum() * _of_others(columns, part, w / w.sum())
    structure = float(weight.sum(1) @ (own * STRUCTURES) ** 2)
    return Shrunk(mean, square - np.outer(mean, mean), structure, held, evidence)


def averaged(fits, probabilities):
    """Coefficients, covariance and structure of `Shrunk` fits over which of them is right.

    Returns
    -------
    tuple of ndarray, ndarray, float
    """
    found = [f.coefficients for f in fits], [f.covariance for f in fits]
    structure = float(np.dot(probabilities, [f.structure for f in fits]))
    return *mixture_moments(probabilities, *found), structure


def size_prior(structures, sizes, least):
    """Logarithms of the priors of structures and sizes, (n_structures, n_sizes)."""
    prior = np.log(sizes / np.clip(sizes, least, 1.0)) - 0.5 * (BELIEF + 1) * np.log1p(sizes**2 / BELIEF)
    return np.log(structures / (1 + structures**2))[:, None] + prior - logsumexp(prior)


class Decomposed(NamedTuple):
    """Fits at one structure: along ``turn`` terms are independent, each by ``shrink`` of what it would be.

    ``log``: logarithms of the data's densities at each size, without the priors' and powers of 2π.
    """

    root: np.ndarray
    triangle: np.ndarray
    taken: np.ndarray
    turn: np.ndarray
    along: np.ndarray
    shrink: np.ndarray
    log: np.ndarray

    def smoothing(self, columns):
        """Of the free parameters, and of the terms beside them: orthogonal columns; the data beside them."""
        k, m = len(self.triangle), len(self.turn)
        base = np.linalg.solve(self.triangle, (columns[:, :k] / self.root[:, None]).T).T
        rest = columns[:, k:] / self.root[:, None] - base @ self.taken
        return base, rest[:, :m] @ self.turn, rest[:, m]


def decomposed(columns, k, error, squares):
    """Fits of terms beside ``k`` free parameters to data (the last column), of each squared size.

    Returns
    -------
    `Decomposed`
    """
    m, root = columns.shape[1] - k - 1, np.tile(error, 2)
    own_columns = columns / root[:, None]
    products = own_columns.T @ own_columns
    triangle = np.linalg.cholesky(products[:k, :k])
    taken = np.linalg.solve(triangle, products[:k, k:])
    left = products[k:, k:] - taken.T @ taken
    value, turn = np.linalg.eigh(left[:m, :m])
    value, along = np.maximum(value, 0.0), turn.T @ left[:m, m]
    squares = squares[:, None]
    shrink = squares / (1 + squares * value)
    chi2 = left[m, m] - shrink @ along**2
    volume = np.log1p(squares * value).sum(1) + 2 * np.log(np.diag(triangle)).sum()
    log = -0.5 * (chi2 + volume) - np.log(root).sum()
    return Decomposed(root, triangle, taken, turn, along, shrink, log)


def _of_others(columns, part, weight):
    """Each star's residuals (2, n) about what the others say."""
    base, rest, data = part.smoothing(columns)
    n, shrink = data.size // 2, weight @ part.shrink
    # smoothed = (base baseᵀ + seen seenᵀ) data in units of the errors; a star's own 2 x 2 block of it
    q = np.concatenate([base, rest * np.sqrt(shrink)], 1).reshape(2, n, -1)
    x, y = (data - rest @ (shrink * part.along)).reshape(2, n)
    xx, yy, xy = (float(a == b) - np.sum(q[a] * q[b], axis=1) for a, b in ((0, 0), (1, 1), (0, 1)))
    others = np.stack([yy * x - xy * y, xx * y - xy * x]) / np.maximum(xx * yy - xy**2, 1e-12)
    return others * part.root[:n]
