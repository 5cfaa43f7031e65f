"""From relative to absolute motions."""

import logging

import numpy as np

from jwst_hpastrom.errors import NotEnoughStarsError
from jwst_hpastrom.geometry.clipped_fits import Clipping, Pairs, fit_clipped
from jwst_hpastrom.numerics import polynomial_basis, sigma_about_zero
from jwst_hpastrom.numerics.choices import mixture_moments

__all__ = ["zero_point", "zero_point_surface"]

log = logging.getLogger("stpipe.hpastrom.motion")


def _known_or_none(error):
    """Errors as they are; zeros in an axis where none at all is known."""
    error = np.asarray(error, float)
    return np.where(np.isfinite(error).any(-1, keepdims=True), error, 0.0)


def zero_point(relative, error, absolute, absolute_error, *, sigma=3.0, min_stars=3):
    """Weighted mean of (absolute − relative), without those that do not agree.

    Parameters
    ----------
    relative, error, absolute, absolute_error : ndarray, shape (2, n)
        Motions and standard errors in the two axes, mas/yr; NaN where unknown. Stars without an absolute
        error are left out; where an axis has none, all weigh as their relative errors say.

    sigma : float
        Clipping, in either axis drops a star from both.

    min_stars : int
        Fewest stars.

    Returns
    -------
    zero, zero_error : ndarray, shape (2,)
        NaN where there are fewer than ``min_stars``. The error is that of the weights, scaled up where
        the scatter is larger than they say, and holds what the likely choices of wrong stars differ by.

    n : int
        Stars used.
    """
    difference = np.asarray(absolute, float) - np.asarray(relative, float)
    var = np.asarray(error, float) ** 2 + _known_or_none(absolute_error) ** 2
    ok = np.all(np.isfinite(difference) & np.isfinite(var) & (var > 0), axis=0)
    if ok.sum() < min_stars:
        return np.full(2, np.nan), np.full(2, np.nan), int(ok.sum())
    difference, var = difference[:, ok], var[:, ok]
    pairs = Pairs.of(*np.zeros((2, ok.sum())), *difference, tuple(1.0 / var))
    how = Clipping("a zero point", sigma, 20, min_stars, None, n_free=1)
    fit = fit_clipped(_Offset(difference, var), pairs, how)
    if fit.divided:
        log.warning(
            "the %d stars of the zero point are of two kinds, nearly as many of either: it may be the other "
            "one's", ok.sum(),
        )  # fmt: skip

    def square(keep, residuals):
        w = 1.0 / var[:, keep]
        return np.maximum(np.mean(w * residuals[:, keep] ** 2, axis=1), 1.0) / w.sum(axis=1)

    if fit.covariance is not None:
        return fit.transform, np.sqrt(np.diag(fit.covariance)), int(fit.keep.sum())
    choices = [(1 - sum(c[0] for c in fit.others), fit.transform, fit.keep, fit.residuals), *fit.others]
    probability, found, keep, residuals = zip(*choices, strict=True)
    squares = [square(*of) for of in zip(keep, residuals, strict=True)]
    total = mixture_moments(probability, found, squares, about=fit.transform)[1]
    return fit.transform, np.sqrt(total), int(fit.keep.sum())


class _Offset:
    """Weighted means of both axes, and residuals, as `fit_clipped` wants them."""

    def __init__(self, difference, var):
        self.difference, self.weight = difference, 1.0 / var

    def __call__(self, keep):
        w = self.weight[:, keep]
        return self.moved(np.sum(w * self.difference[:, keep], axis=1) / w.sum(axis=1), 0.0)

    def moved(self, zero, by):
        return zero + by, *(self.difference - (zero + by)[:, None])

    def columns(self, _):
        return np.broadcast_to(np.eye(2)[:, None], (2, self.weight.shape[1], 2))


def zero_point_surface(x, y, relative, error, absolute, absolute_error, zero, *, degree=2, sigma=3.0):
    """Polynomial over the field of (absolute − relative) less its zero point.

    Parameters
    ----------
    x, y : ndarray, shape (n,)
        Positions.

    relative, error, absolute, absolute_error : ndarray, shape (2, n)
        As in `zero_point`.

    zero : ndarray, shape (2,)
        Zero point.

    degree : int
        Of the polynomial.

    sigma : float
        Clipping.

    Returns
    -------
    surface, surface_error : ndarray, shape (2, n)
        At every star; the surface has a weighted mean of zero.
    """
    half = max(0.5 * max(np.ptp(x), np.ptp(y)), 1e-300)
    p, q = (x - np.mean(x)) / half, (y - np.mean(y)) / half
    design = polynomial_basis(p, q, [(i, d - i) for d in range(degree + 1) for i in range(d + 1)])
    surface, surface_error = np.empty((2, p.size)), np.empty((2, p.size))
    for k in range(2):
        d = absolute[k] - relative[k] - zero[k]
        var = error[k] ** 2 + _known_or_none(absolute_error[k]) ** 2
        ok = np.isfinite(d) & np.isfinite(var) & (var > 0)
        for _ in range(5):
            if ok.sum() < 10 * design.shape[1]:
                raise NotEnoughStarsError(
                    f"{int(ok.sum())} stars with absolute motions",
                    f"{10 * design.shape[1]} for degree {degree}",
                )
            root = 1.0 / np.sqrt(var[ok])
            basis, r = np.linalg.qr(design[ok] * root[:, None])
            c = np.linalg.solve(r, basis.T @ (d[ok] * root))
            pull = np.abs(d - design @ c) / np.sqrt(np.where(var > 0, var, np.inf))
            new = np.isfinite(d) & (var > 0) & (pull <= sigma * sigma_about_zero(pull[ok]))
            if np.array_equal(new, ok):
                break
            ok = new
        value = design @ c
        surface[k] = value - np.average(value[ok], weights=1.0 / var[ok])
        surface_error[k] = np.linalg.norm(np.linalg.solve(r.T, design.T), axis=0)
    return surface, surface_error
