"""From list pixels to Gaia's frame, epoch by epoch, with bootstrapped errors."""

from dataclasses import dataclass

import numpy as np

from jwst_hpastrom.errors import NotEnoughStarsError
from jwst_hpastrom.geometry import polynomial_terms

__all__ = ["EpochTie", "tie_epoch"]


@dataclass(frozen=True)
class EpochTie:
    """Polynomials from one list's pixels to the tangent plane (H25 eq. 1, 2), and their bootstrap samples.

    Attributes
    ----------
    degree : int

    centre, half_width : ndarray, float
        The polynomial's variables are (x − centre)/half_width.

    coefficients : ndarray, shape (2, n_terms)
        mas, for ξ and η.

    samples : ndarray, shape (n_bootstrap, 2, n_terms)
        The same from resampled reference stars.

    residuals : ndarray, shape (n_reference, 2)
        Reference − transformed, mas; NaN where a star was not found.

    n_used : int
    """

    degree: int
    centre: np.ndarray
    half_width: float
    coefficients: np.ndarray
    samples: np.ndarray
    residuals: np.ndarray
    n_used: int

    def design(self, x, y):
        """Powers of the normalised coordinates, shape (n, n_terms)."""
        p, q = (x - self.centre[0]) / self.half_width, (y - self.centre[1]) / self.half_width
        return np.stack([p**i * q**j for i, j in polynomial_terms(self.degree)], -1)

    def apply(self, x, y):
        """Pixels to mas on the tangent plane.

        Returns
        -------
        ndarray, shape (2, n)
        """
        return self.coefficients @ self.design(x, y).T

    def jacobian(self, x, y):
        """Derivatives of (ξ, η) by (x, y), mas per pixel, shape (n, 2, 2)."""
        p, q = (x - self.centre[0]) / self.half_width, (y - self.centre[1]) / self.half_width
        terms = polynomial_terms(self.degree)
        dp = np.stack([i * p ** max(i - 1, 0) * q**j for i, j in terms], -1)
        dq = np.stack([j * p**i * q ** max(j - 1, 0) for i, j in terms], -1)
        by_x, by_y = dp @ self.coefficients.T, dq @ self.coefficients.T
        return np.stack([by_x, by_y], -1) / self.half_width

    def scatter(self, x, y):
        """Deviations of the bootstrap samples at positions, mas, shape (n_bootstrap, 2, n)."""
        deviation = self.samples - self.samples.mean(0)
        return deviation @ self.design(x, y).T

    def errors(self, x, y):
        """σ_trans at positions, mas, shape (2, n)."""
        n = len(self.samples)
        return np.sqrt((self.scatter(x, y) ** 2).sum(0) / max(n - 1, 1))


def _solve(design, values, weights):
    """Weighted least squares for both axes: (2, n_terms)."""
    out = np.empty((2, design.shape[1]))
    for k in (0, 1):
        s = np.sqrt(weights[k])
        out[k] = np.linalg.lstsq(design * s[:, None], values[k] * s, rcond=None)[0]
    return out


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
            if (row > 0).sum() > min(n_terms, n - 1):
                break
        out[k] = row
    return out


def tie_epoch(x, y, xi, eta, weights, counts, *, degree=2):
    """Fit one epoch's polynomials to the reference stars.

    Parameters
    ----------
    x, y : ndarray, shape (n,)
        Pixel positions of the reference stars; NaN where not found.

    xi, eta : ndarray, shape (n,)
        Where they are on the tangent plane at this epoch, mas.

    weights : ndarray, shape (2, n)
        1/σ² per axis, σ² = σ_list² + σ_Gaia².

    counts : ndarray, shape (n_bootstrap, n)
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
    ok = np.isfinite(x + y + xi + eta) & (weights > 0).all(0) & np.isfinite(weights).all(0)
    if ok.sum() < len(terms) + 1:
        raise NotEnoughStarsError(
            f"{int(ok.sum())} reference stars",
            f"{len(terms) + 1} for polynomials of degree {degree}",
            "use a lower degree or weaker cuts",
        )
    low, high = np.array([x[ok].min(), y[ok].min()]), np.array([x[ok].max(), y[ok].max()])
    half = max(float((high - low).max()) / 2, 1e-30)
    tie = EpochTie(degree, (low + high) / 2, half, np.empty(0), np.empty(0), np.empty(0), 0)
    design, values = tie.design(x[ok], y[ok]), np.stack([xi[ok], eta[ok]])
    coefficients = _solve(design, values, weights[:, ok])
    # All samples at once by normal equations in the normalised coordinates (condition number ~1e2).
    samples = np.empty((len(counts), 2, len(terms)))
    local = counts[:, ok]
    # A sample with too few of this epoch's stars keeps a little weight on all.
    thin = (local > 0).sum(1) <= len(terms)
    local = np.where(thin[:, None], local + 1.0, local)
    residual = values - coefficients @ design.T
    for k in (0, 1):
        w = local * weights[k, ok]
        normal = np.einsum("bn,ni,nj->bij", w, design, design, optimize=True)
        right = np.einsum("bn,ni->bi", w * residual[k], design, optimize=True)
        ridge = 1e-12 * np.trace(normal, axis1=1, axis2=2)[:, None, None] * np.eye(len(terms))
        samples[:, k] = coefficients[k] + np.linalg.solve(normal + ridge, right[..., None])[..., 0]
    full = np.full((x.size, 2), np.nan)
    full[ok] = residual.T
    return EpochTie(degree, tie.centre, half, coefficients, samples, full, int(ok.sum()))
