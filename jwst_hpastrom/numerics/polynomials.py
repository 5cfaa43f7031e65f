"""Polynomials of two coordinates: their terms, values of the terms and derivatives."""

from collections.abc import Sequence
from itertools import accumulate, repeat

import numpy as np

__all__ = ["cubic_of_inverse", "polynomial_basis", "polynomial_slopes", "polynomial_terms"]


def polynomial_terms(degree: int, lowest: int = 0) -> list[tuple[int, int]]:
    """Return the exponents (i, j) with lowest <= i + j <= degree, by rising order, then rising j.

    Examples
    --------
    >>> from jwst_hpastrom.numerics import polynomial_terms
    >>> polynomial_terms(2)
    [(0, 0), (1, 0), (0, 1), (2, 0), (1, 1), (0, 2)]
    >>> polynomial_terms(2, lowest=2)
    [(2, 0), (1, 1), (0, 2)]
    """
    return [(n - j, j) for n in range(lowest, degree + 1) for j in range(n + 1)]


def _powers(
    p: np.ndarray, q: np.ndarray, terms: Sequence[tuple[int, int]]
) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """1, p, p² and so on, and the same of q: as products, which take less time than powers."""
    highest = np.max(terms, axis=0)
    first, second = (
        list(accumulate(repeat(c, n), np.multiply, initial=np.ones_like(c)))
        for c, n in zip((p, q), highest, strict=True)
    )
    return first, second


def polynomial_basis(p: np.ndarray, q: np.ndarray, terms: Sequence[tuple[int, int]]) -> np.ndarray:
    """Values of the terms p^i q^j.

    Parameters
    ----------
    p, q : ndarray, shape (...)
        Coordinates, of order one where the terms are to be of one size.

    terms : sequence of (int, int)
        Exponents (i, j).

    Returns
    -------
    ndarray, shape (..., n_terms)

    Examples
    --------
    >>> import numpy as np
    >>> from jwst_hpastrom.numerics import polynomial_basis, polynomial_terms
    >>> polynomial_basis(np.array([2.0]), np.array([3.0]), polynomial_terms(1))
    array([[1., 2., 3.]])
    """
    if not terms:
        return np.zeros((*np.shape(p), 0))
    first, second = _powers(p, q, terms)
    return np.stack([first[i] * second[j] for i, j in terms], -1)


def polynomial_slopes(
    p: np.ndarray, q: np.ndarray, terms: Sequence[tuple[int, int]]
) -> tuple[np.ndarray, np.ndarray]:
    """Derivatives of `polynomial_basis` by p and by q.

    Returns
    -------
    by_p, by_q : ndarray, shape (..., n_terms)

    Examples
    --------
    >>> import numpy as np
    >>> from jwst_hpastrom.numerics import polynomial_slopes, polynomial_terms
    >>> by_p, by_q = polynomial_slopes(np.array([2.0]), np.array([3.0]), polynomial_terms(2))
    >>> by_p
    array([[0., 1., 0., 4., 3., 0.]])
    """
    first, second = _powers(p, q, terms)
    by_p = np.stack([i * first[max(i - 1, 0)] * second[j] for i, j in terms], -1)
    by_q = np.stack([j * first[i] * second[max(j - 1, 0)] for i, j in terms], -1)
    return by_p, by_q


def cubic_of_inverse(coefficients: np.ndarray) -> np.ndarray:
    """Cubic terms of the inverse of a quadratic map, from its terms up to the second order.

    Parameters
    ----------
    coefficients : ndarray, shape (2, 6) or more
        1, p, q, p², pq, q² of u and v, where (p, q) is a polynomial of second degree in (u, v).

    Returns
    -------
    ndarray, shape (2, 4)
        p³, p²q, pq², q³.

    Notes
    -----
    With u = L p + Q(p, p) + C(p, p, p) + …, Q bilinear: C(p, p, p) = 2 Q(p, L⁻¹ Q(p, p)).
    """
    quadratic = coefficients[:, 3:6]
    back = np.linalg.solve(coefficients[:, 1:3], quadratic)  # L⁻¹ Q: its p² , pq and q² by row
    by_p, by_q = (np.pad(back, ((0, 0), pad)) for pad in ((0, 1), (1, 0)))  # times p, times q
    a, b, c = (quadratic[:, k, None] for k in range(3))
    return 2 * a * by_p[0] + b * (by_p[1] + by_q[0]) + 2 * c * by_q[1]
