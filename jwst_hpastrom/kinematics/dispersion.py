"""Intrinsic mean and dispersion by maximum likelihood."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.optimize import brentq

from jwst_hpastrom.errors import NotEnoughStarsError
from jwst_hpastrom.numerics import clipped_median
from jwst_hpastrom.ranges import in_range

__all__ = ["Dispersion", "fit_dispersion", "fit_isotropic"]

#: stars below which chance makes one look wrong too often, which narrows the dispersion
FEWEST = 8


@dataclass(frozen=True)
class Dispersion:
    """Mean and intrinsic dispersion, in the units of the motions.

    Attributes
    ----------
    mean, mean_error : float or ndarray
        Mean motion (of each axis), over the dispersions that are possible.

    sigma, sigma_error : float
        Dispersion freed of the errors: median and standard deviation of its posterior. Where the likelihood
        is highest at zero, ``sigma`` is zero and its error NaN: quote ``upper``.

    upper : float
        Upper limit of the dispersion (one-sided, of the confidence asked for).

    n : int
        Stars.
    """

    mean: Any
    mean_error: Any
    sigma: float
    sigma_error: float
    upper: float
    n: int


def _mean(v, var):
    w = 1.0 / var
    return np.sum(w * v, axis=-1) / w.sum(axis=-1)


def _log_likelihood(s, v, e2):
    """Log likelihood of the variance s with the means integrated out; rows of v are axes."""
    var = s + e2
    m = _mean(v, var)[..., None]
    return -0.5 * float(np.sum((v - m) ** 2 / var + np.log(var)) + np.log(np.sum(1.0 / var, axis=1)).sum())


def _slope(s, v, e2):
    var = s + e2
    w = 1.0 / var
    m = _mean(v, var)[..., None]
    trace = np.sum(w) - np.sum(np.sum(w**2, axis=1) / np.sum(w, axis=1))
    return 0.5 * float(np.sum((v - m) ** 2 * w**2) - trace)


class Posterior:
    """Posterior of a dispersion on a grid, with Jeffreys' prior d ln(σ² + e²), e the typical error.

    Parameters
    ----------
    log_likelihood : callable
        Of the variance, nuisance parameters maximized or integrated out.

    peak, start : float
        Variance of the highest likelihood, and a scale to look for the tail at.

    e2 : float
        Typical variance of the errors.
    """

    def __init__(self, log_likelihood, peak, start, e2, n=161):
        top = log_likelihood(peak)

        def log_density(s):
            return log_likelihood(s) - top

        high = 2 * peak + start
        # few stars: a power law, whose far tail has a share of 1e-4 only some decades out
        while log_density(high) > -9.0 and high < 1e6 * (peak + start):
            high *= 2
        low = peak
        while low > 1e-8 * start and log_density(low) > -12.0:
            low = 0.7 * low - 1e-9 * start
        low = max(low, 0.0)
        # even steps of the variable in which the prior is flat
        u = np.linspace(np.log(low + e2), np.log(high + e2), n)
        self.variance = np.maximum(np.exp(u) - e2, 0.0)
        density = np.exp([log_density(s) for s in self.variance])
        share = np.r_[0.0, np.cumsum(0.5 * (density[1:] + density[:-1]))]
        self._cumulative = share / share[-1]
        self.weight = density / density.sum()

    def quantile(self, p: float) -> float:
        """Dispersion at a cumulative probability."""
        return float(np.sqrt(np.interp(p, self._cumulative, self.variance)))

    def mean(self, values: np.ndarray) -> Any:
        """Mean of values given on the grid of variances."""
        return np.tensordot(self.weight, values, 1)

    @property
    def error(self) -> float:
        """Standard deviation of the dispersion."""
        s = np.sqrt(self.variance)
        return float(np.sqrt(max(self.mean(s**2) - self.mean(s) ** 2, 0.0)))


def _fit(v, e, confidence, min_stars, clip):
    """Fit, from the likely good stars on, to those within ``clip`` of their own total widths."""
    v, e = np.atleast_2d(np.asarray(v, float)), np.atleast_2d(np.asarray(e, float))
    known = np.all(np.isfinite(v) & np.isfinite(e) & (e >= 0), axis=0)
    ok = known
    if clip is not None:  # wrong ones widen a fit to all of them, and hide in its width
        likely = known & np.all([clipped_median(np.where(known, row, np.nan))[2] for row in v], axis=0)
        if known.sum() >= FEWEST and likely.sum() >= max(min_stars, 0.5 * known.sum()):
            ok = likely
    for _ in range(50):
        result = _fit_all(v[:, ok], e[:, ok], confidence, min_stars)
        if clip is None:
            break
        width = np.sqrt(result[2] ** 2 + e**2)
        with np.errstate(invalid="ignore", divide="ignore"):
            new = known & np.all(np.abs(v - result[0][:, None]) <= clip * width, axis=0)
        if np.array_equal(new, ok):
            break
        ok = new
    return result


def _fit_all(v, e, confidence, min_stars):
    e2, n = e**2, v.shape[1]
    if n < min_stars:
        raise NotEnoughStarsError(f"{n} stars with motions and errors", f"{min_stars} for a dispersion")
    # Exact zeros in the errors would make the likelihood infinite at zero dispersion.
    spread = float(np.mean(np.var(v, axis=1)))
    e2 = np.maximum(e2, 1e-12 * max(spread, 1e-30))
    high = 4 * spread + 1e-300
    s = brentq(_slope, 0.0, high, args=(v, e2), xtol=1e-14 * high) if _slope(0.0, v, e2) > 0 else 0.0
    typical = float(np.median(e2))
    posterior = Posterior(lambda x: _log_likelihood(x, v, e2), s, s + typical, typical)
    means = np.array([_mean(v, x + e2) for x in posterior.variance])
    own = np.array([1.0 / np.sum(1.0 / (x + e2), axis=1) for x in posterior.variance])
    mean = posterior.mean(means)
    mean_error = np.sqrt(posterior.mean(own + (means - mean) ** 2))
    sigma, error = (posterior.quantile(0.5), posterior.error) if s > 0 else (0.0, np.nan)
    return mean, mean_error, sigma, error, posterior.quantile(confidence), n


@in_range
def fit_dispersion(
    motion: np.ndarray,
    error: np.ndarray,
    *,
    confidence: float = 0.95,
    min_stars: int = 3,
    clip: float | None = 4.0,
) -> Dispersion:
    """Mean and intrinsic dispersion of one axis from Π N(v; mean, σ² + e²).

    Parameters
    ----------
    motion, error : ndarray, shape (n,)
        Motions and their standard errors; NaN are left out.

    confidence : float
        Of the one-sided upper limit.

    min_stars : int
        Fewest stars.

    clip : float or None
        Stars further from the mean than this, in units of √(σ² + e²), are left out, and the fit is
        repeated: blends and wrong pairs have errors that no column tells. None: all stars.

    Returns
    -------
    `Dispersion`

    Notes
    -----
    The mean is integrated out with a flat prior; the dispersion's is Jeffreys', d ln(σ² + e²). The
    likelihood's maximum would be low by 21 % for five stars and by 3 % for thirty.

    What the errors do not contain (systematic errors of either epoch) is part of σ: where σ is not much
    larger than the errors it is an upper limit of the true dispersion.

    Examples
    --------
    >>> import numpy as np
    >>> from jwst_hpastrom.kinematics import fit_dispersion
    >>> rng = np.random.default_rng(1)
    >>> motion = 2.0 + rng.normal(0, 0.3, 400) + rng.normal(0, 0.1, 400)
    >>> found = fit_dispersion(motion, np.full(400, 0.1))
    >>> round(float(found.mean), 2), round(found.sigma, 2), found.n
    (1.97, 0.28, 400)
    """
    mean, mean_error, *rest = _fit(motion, error, confidence, min_stars, clip)
    return Dispersion(float(mean[0]), float(mean_error[0]), *rest)


@in_range
def fit_isotropic(
    pmra: np.ndarray,
    pmdec: np.ndarray,
    pmra_error: np.ndarray,
    pmdec_error: np.ndarray,
    *,
    confidence: float = 0.95,
    min_stars: int = 3,
    clip: float = 4.0,
) -> Dispersion:
    """Mean motion and one dispersion common to both axes.

    Parameters
    ----------
    pmra, pmdec, pmra_error, pmdec_error : ndarray, shape (n,)

    confidence, min_stars, clip
        As `fit_dispersion`.

    Returns
    -------
    `Dispersion`
        ``mean`` and ``mean_error`` have two elements.

    Examples
    --------
    >>> import numpy as np
    >>> from jwst_hpastrom.kinematics import fit_isotropic
    >>> rng = np.random.default_rng(1)
    >>> pmra, pmdec = rng.normal(0, 0.3, (2, 400)) + rng.normal(0, 0.1, (2, 400))
    >>> error = np.full(400, 0.1)
    >>> round(fit_isotropic(pmra, pmdec, error, error).sigma, 2)
    0.29
    """
    return Dispersion(
        *_fit(np.stack([pmra, pmdec]), np.stack([pmra_error, pmdec_error]), confidence, min_stars, clip)
    )
