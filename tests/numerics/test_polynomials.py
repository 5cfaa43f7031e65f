"""Polynomials of two coordinates against numpy's, and derivatives against differences."""

import numpy as np
from numpy.polynomial.polynomial import polyval2d

from jwst_hpastrom.numerics import polynomial_basis, polynomial_slopes, polynomial_terms
from jwst_hpastrom.numerics.polynomials import cubic_of_inverse


def test_terms_by_rising_order_then_rising_j():
    assert polynomial_terms(2) == [(0, 0), (1, 0), (0, 1), (2, 0), (1, 1), (0, 2)]
    assert polynomial_terms(2, 2) == [(2, 0), (1, 1), (0, 2)]


def test_basis_equals_numpys():
    rng = np.random.default_rng(0)
    p, q = rng.uniform(-1, 1, (2, 4, 7))
    terms = polynomial_terms(5)
    c = rng.normal(size=len(terms))
    square = np.zeros((6, 6))
    square[tuple(np.transpose(terms))] = c
    np.testing.assert_allclose(polynomial_basis(p, q, terms) @ c, polyval2d(p, q, square), atol=1e-13)
    assert polynomial_basis(p, q, []).shape == (4, 7, 0)


def test_slopes_equal_differences():
    rng = np.random.default_rng(1)
    p, q = rng.uniform(-1, 1, (2, 9))
    terms, h = polynomial_terms(4), 1e-6
    by_p, by_q = polynomial_slopes(p, q, terms)
    up, down = polynomial_basis(p + h, q, terms), polynomial_basis(p - h, q, terms)
    np.testing.assert_allclose(by_p, (up - down) / (2 * h), atol=1e-8)
    up, down = polynomial_basis(p, q + h, terms), polynomial_basis(p, q - h, terms)
    np.testing.assert_allclose(by_q, (up - down) / (2 * h), atol=1e-8)


def test_cubic_terms_of_an_inverse():
    rng = np.random.default_rng(0)
    u, v = rng.uniform(-1, 1, (2, 2000))
    forward = np.array([[1.1, 0.2], [-0.3, 0.9]])
    second = rng.normal(0, 1e-3, (2, 3))
    p = forward @ np.stack([u, v]) + second @ np.stack([u * u, u * v, v * v])
    design = np.stack([p[0] ** i * p[1] ** j for i, j in polynomial_terms(5)], -1)
    inverse = np.linalg.lstsq(design, np.stack([u, v], -1), rcond=None)[0].T
    np.testing.assert_allclose(cubic_of_inverse(inverse), inverse[:, 6:10], atol=1e-12)
