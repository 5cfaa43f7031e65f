"""Choices of which values are wrong, of which one is right: their probabilities, and averages over them."""

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import gammaln

__all__ = [
    "FACTORS",
    "LEAST",
    "RIGHT",
    "WRONG",
    "log_kinds",
    "log_shares",
    "mixture_moments",
    "probabilities",
]

#: wrong values are off by any size from the limit on, each factor e as likely as the next, up to this many
FACTORS = 7.0
#: numbers that the share of wrong values is believed to be known from, bad and good: a fifth, of five values
WRONG, RIGHT = 1.0, 4.0
#: probability below which a choice is left out
LEAST = 1e-3


def log_shares(good: ArrayLike, wrong: ArrayLike, *, right: float = RIGHT) -> np.ndarray:
    """Logarithm of the probability that so many are good and wrong, over all shares, but for a constant.

    Parameters
    ----------
    good, wrong : array-like of int

    right : float
        Good values that the share is believed to be known from.

    Examples
    --------
    >>> from jwst_hpastrom.numerics.choices import log_shares
    >>> log_shares([10, 9, 8], [0, 1, 2]).round(2)
    array([-2.64, -5.2 , -7.  ])
    """
    good, wrong = np.asarray(good, float), np.asarray(wrong, float)
    return gammaln(wrong + WRONG) + gammaln(good + right) - gammaln(good + wrong + WRONG + right)


def log_kinds(alike: ArrayLike, stray: ArrayLike) -> np.ndarray:
    """Logarithm of the probability that so many wrong values are off alike, and so many stray.

    Examples
    --------
    >>> from jwst_hpastrom.numerics.choices import log_kinds
    >>> log_kinds([0, 1, 2], [2, 1, 0]).round(2)
    array([-1.1 , -1.79, -1.1 ])
    """
    alike, stray = np.asarray(alike, float), np.asarray(stray, float)
    return gammaln(alike + 1.0) + gammaln(stray + 1.0) - gammaln(alike + stray + 2.0)


def probabilities(log: np.ndarray, least: float = 0.0) -> np.ndarray:
    """Probabilities of choices from the logarithms of their evidence.

    Parameters
    ----------
    log : ndarray

    least : float
        Those below are zero.

    Examples
    --------
    >>> import numpy as np
    >>> from jwst_hpastrom.numerics.choices import probabilities
    >>> probabilities(np.log([6.0, 2.0, 0.01]), 0.1)
    array([0.75, 0.25, 0.  ])
    """
    p = np.exp(log - np.max(log))
    p /= p.sum()
    p[p < least] = 0.0
    return p / p.sum()


def mixture_moments(
    probability: ArrayLike, value: ArrayLike, variance: ArrayLike, about: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Mean of what is one of several, and its variance: theirs, and what they differ by.

    Parameters
    ----------
    probability : array-like, shape (k,)

    value : array-like, shape (k, ...)

    variance : array-like, shape (k, ...) or, of vectors, covariances (k, m, m)

    about : ndarray, optional
        What the variance counts about, in place of the mean.

    Examples
    --------
    >>> from jwst_hpastrom.numerics.choices import mixture_moments
    >>> mean, variance = mixture_moments([0.5, 0.5], [0.0, 2.0], [1.0, 1.0])
    >>> float(mean), float(variance)
    (1.0, 2.0)
    """
    p, value, variance = (np.asarray(a, float) for a in (probability, value, variance))
    mean = np.tensordot(p, value, 1)
    off = value - (mean if about is None else about)
    between = off[..., :, None] * off[..., None, :] if variance.ndim > value.ndim else off**2
    return mean, np.tensordot(p, variance + between, 1)
