"""From list pixels to Gaia's frame, epoch by epoch, with the errors of the transformations."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from jwst_hpastrom._display import Displayed
from jwst_hpastrom.errors import NotEnoughStarsError
from jwst_hpastrom.numerics import polynomial_basis, polynomial_slopes, polynomial_terms

__all__ = ["EpochTie", "bootstrap_errors", "formal_errors", "resamples", "tie_epoch"]


@dataclass(frozen=True)
class EpochTie(Displayed):
    """Polynomials from one list's pixels to the tangent plane (H25 eq. 1, 2).

    Attributes
    ----------
    degree : int

    center, half_width : ndarray, float
        The polynomial's variables are (x − center)/half_width.

    coefficients : ndarray, shape (2, n_terms)
        mas, for ξ and η.

    response : ndarray, shape (2, n_terms, n_reference)
        Derivative of the coefficients by the reference stars' positions; zero where a star took no part.

    residuals : ndarray, shape (2, n_reference)
        Reference − transformed, mas; NaN where a star was not found.

    variance : ndarray, shape (2, n_reference)
        Of the reference stars' list positions, mas².

    leverage : ndarray, shape (2, n_reference)
        Derivative of a star's transformed position by its own reference position.

    samples : ndarray, shape (n_bootstrap, 2, n_terms)
        Coefficients from resampled reference stars.

    n_used : int
    """

    degree: int
    center: np.ndarray
    half_width: float
    coefficients: Any = None
    response: Any = None
    residuals: Any = None
    variance: Any = None
    leverage: Any = None
    samples: Any = None
    n_used: int = 0

    def design(self, x: Any, y: Any) -> np.ndarray:
        """Powers of the normalized coordinates, shape (n, n_terms)."""
        p, q = (x - self.center[0]) / self.half_width, (y - self.center[1]) / self.half_width
        return polynomial_basis(p, q, polynomial_terms(self.degree))

    def apply(self, x: Any, y: Any) -> np.ndarray:
        """Pixels to mas on the tangent plane, shape (2, n)."""
        return self.coefficients @ self.design(x, y).T

    def jacobian(self, x: Any, y: Any) -> np.ndarray:
        """Derivatives of (ξ, η) by (x, y), mas per pixel, shape (n, 2, 2)."""
        p, q = (x - self.center[0]) / self.half_width, (y - self.center[1]) / self.half_width
        dp, dq = polynomial_slopes(p, q, polynomial_terms(self.degree))
        return np.stack([dp @ self.coefficients.T, dq @ self.coefficients.T], -1) / self.half_width


def resamples(n, count, n_terms, rng):
    """Bootstrap multiplicities, each with enough distinct stars for the polynomial.

    Parameters
    ----------
    n : int
        Reference stars.

    count : int
        Samples.

    n_terms : int
        Of the polynomial.

    rng : `numpy.random.Generator`

    Returns
    -------
    ndarray, shape (count, n)
    """
    out = np.zeros((count, n))
    for k in range(count):
        while True:
            row = np.bincount(rng.integers(0, n, n), minlength=n)
            if (row > 0).sum() > min(n_terms, n - 2):
                break
        out[k] = row
    return out


def tie_epoch(x, y, target, weights, variance, *, counts=None, degree=2):
    """Fit one epoch's polynomials to the reference stars by weighted least squares.

    Parameters
    ----------
    x, y : ndarray, shape (n,)
        Pixel positions of the reference stars; NaN where not found.

    target : ndarray, shape (2, n)
        Where they are on the tangent plane at this epoch, mas.

    weights : ndarray, shape (2, n)
        1/σ² per axis, σ² = σ_list² + σ_Gaia²; a star with zero weight takes no part but has a residual.

    variance : ndarray, shape (2, n)
        σ_list², mas².

    counts : ndarray, shape (n_bootstrap, n), optional
        Multiplicities of the stars in each bootstrap sample (`resamples`): the same for all epochs, so that
        what a reference star does to one epoch it does to the others.

    degree : int
        Of the polynomials.

    Returns
    -------
    `EpochTie`

    Raises
    ------
    NotEnoughStarsError
        Fewer reference stars than terms plus one.
    """
    terms = polynomial_terms(degree)
    seen = np.isfinite(x + y + target.sum(0))
    ok = seen & (weights > 0).all(0) & np.isfinite(weights).all(0)
    if ok.sum() < len(terms) + 1:
        raise NotEnoughStarsError(
            f"{int(ok.sum())} reference stars",
            f"{len(terms) + 1} for polynomials of degree {degree}",
            "use a lower degree or weaker cuts",
        )
    low, high = np.array([x[ok].min(), y[ok].min()]), np.array([x[ok].max(), y[ok].max()])
    frame = EpochTie(degree, (low + high) / 2, max(float((high - low).max()) / 2, 1e-30))
    design = frame.design(x[ok], y[ok])
    response = np.zeros((2, len(terms), x.size))
    for k in (0, 1):
        s = np.sqrt(weights[k, ok])
        response[k][:, ok] = np.linalg.pinv(design * s[:, None]) * s
    coefficients = np.einsum("ktn,kn->kt", response[..., ok], target[:, ok])
    everywhere = np.zeros((x.size, len(terms)))
    everywhere[seen] = frame.design(x[seen], y[seen])
    residuals = np.where(seen, target - coefficients @ everywhere.T, np.nan)
    leverage = np.einsum("nt,ktn->kn", everywhere, response)
    samples = np.zeros((0, 2, len(terms)))
    if counts is not None:
        samples = _resampled(counts[:, ok], design, residuals[:, ok], weights[:, ok], coefficients)
    return EpochTie(
        degree,
        frame.center,
        frame.half_width,
        coefficients,
        response,
        residuals,
        np.where(ok, variance, 0.0),
        leverage,
        samples,
        int(ok.sum()),
    )


def _resampled(counts, design, residuals, weights, coefficients):
    """All bootstrap samples at once by normal equations in the normalized coordinates."""
    n_terms = design.shape[1]
    # A sample with too few of this epoch's stars keeps some weight on all.
    thin = (counts > 0).sum(1) <= n_terms
    counts = np.where(thin[:, None], counts + 1.0, counts)
    samples = np.empty((len(counts), 2, n_terms))
    for k in (0, 1):
        w = counts * weights[k]
        normal = np.einsum("bn,ni,nj->bij", w, design, design, optimize=True)
        right = np.einsum("bn,ni->bi", w * residuals[k], design, optimize=True)
        ridge = 1e-12 * np.trace(normal, axis1=1, axis2=2)[:, None, None] * np.eye(n_terms)
        samples[:, k] = coefficients[k] + np.linalg.solve(normal + ridge, right[..., None])[..., 0]
    return samples


def bootstrap_errors(ties, x, y):
    """Bootstrap errors of the transformations at stars, the epochs taken as independent (H25 §3.1).

    Parameters
    ----------
    ties : list of `EpochTie`

    x, y : ndarray, shape (n, n_epochs)
        Pixel positions; NaN where a star was not found.

    Returns
    -------
    ndarray, shape (n, 2, n_epochs, n_epochs)
        Diagonal in the epochs, mas².
    """
    n, n_epochs = x.shape
    out = np.zeros((n, 2, n_epochs, n_epochs))
    for k, tie in enumerate(ties):
        ok = np.isfinite(x[:, k] + y[:, k])
        deviation = tie.samples - tie.samples.mean(0)
        for axis in (0, 1):
            value = tie.design(x[ok, k], y[ok, k]) @ deviation[:, axis].T
            out[ok, axis, k, k] = (value**2).sum(1) / max(len(deviation) - 1, 1)
    return out


def formal_errors(ties, x, y, factors, *, own=None, relative=False):
    """Errors of the transformations at stars, propagated from the reference stars and the lists.

    Parameters
    ----------
    ties : list of `EpochTie`

    x, y : ndarray, shape (n, n_epochs)
        Pixel positions; NaN where a star was not found.

    factors : ndarray, shape (n_reference, 2, n_epochs, 2)
        Per reference star, axis and epoch the two factors whose products are the covariance of its propagated
        position between epochs (`gaia_factors`).

    own : ndarray of int, shape (n,), optional
        Reference star of each star (-1: none), whose errors are to be those of transformations without
        itself.

    relative : bool
        Leave out what all stars have in common: the frame's own error.

    Returns
    -------
    covariance : ndarray, shape (n, 2, n_epochs, n_epochs)
        mas², with the correlation between epochs.

    common : ndarray, shape (2, n_epochs, n_epochs)
        Covariance of the stars' mean displacement.
    """
    n, n_epochs = x.shape
    out, common = np.zeros((n, 2, n_epochs, n_epochs)), np.zeros((2, n_epochs, n_epochs))
    finite = np.isfinite(x + y)
    designs = []
    for k, tie in enumerate(ties):
        design = np.zeros((n, tie.response.shape[1]))
        design[finite[:, k]] = tie.design(x[finite[:, k], k], y[finite[:, k], k])
        designs.append(design)
    # Mean displacement of the stars of each epoch: derivative by every reference position.
    mean = [
        np.einsum("t,ktr->kr", d[f].mean(0) if f.any() else np.zeros(d.shape[1]), tie.response)
        for d, f, tie in zip(designs, finite.T, ties, strict=True)
    ]
    stack = np.stack([a[:, :, None] * np.moveaxis(factors[:, :, k], 0, 1) for k, a in enumerate(mean)], 1)
    stack = stack.reshape(2, n_epochs, -1)
    common += stack @ np.swapaxes(stack, 1, 2)
    for k, (a, tie) in enumerate(zip(mean, ties, strict=True)):
        common[:, k, k] += (a**2 * tie.variance).sum(1)
    diagonal = np.arange(n_epochs)
    for first in range(0, n, 1000):
        s = slice(first, min(first + 1000, n))
        size = s.stop - first
        parts, independent = [], np.zeros((size, 2, n_epochs))
        for k, tie in enumerate(ties):
            a = np.einsum("nt,ktr->knr", designs[k][s], tie.response)
            if own is not None:
                rows = np.flatnonzero(own[s] >= 0)
                stars = own[s][rows]
                a[:, rows] /= (1 - tie.leverage[:, stars])[..., None]
                a[:, rows, stars] = 0.0
            if relative:
                a = (a - mean[k][:, None, :]) * finite[s, k][:, None]
            independent[:, :, k] = np.einsum("knr,kr->nk", a**2, tie.variance)
            b = np.einsum("knr,rkc->nkrc", a, factors[:, :, k])
            parts.append(b.reshape(size, 2, -1))
        stack = np.stack(parts, 2)  # star, axis, epoch, (reference star, factor)
        out[s] = stack @ np.swapaxes(stack, 2, 3)
        out[s][:, :, diagonal, diagonal] += independent
    return out, common
