"""Robust scatter, clipped mean and median."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import ndtri

from jwst_hpastrom.numerics.choices import mixture_moments
from jwst_hpastrom.numerics.likely_values import FEWEST, likely_values

__all__ = [
    "MAD_TO_SIGMA",
    "clipped_mean",
    "clipped_median",
    "median_chi2",
    "robust_limits",
    "robust_sigma",
    "shortest_half",
    "sigma_about_zero",
    "weighted_median",
]

#: standard deviation over median absolute deviation of a normal distribution, 1/Φ⁻¹(3/4)
MAD_TO_SIGMA = 1.4826
#: values below which choices of good ones are weighed: iterated clipping narrows to few that agree by chance
FEW = 50


def robust_sigma(values: ArrayLike, axis: int | None = None) -> Any:
    """Return 1.4826 times the median absolute deviation, NaN ignored.

    Parameters
    ----------
    values : array-like
        Sample.

    axis : int, optional
        Axis to reduce; all by default.

    Examples
    --------
    >>> import numpy as np
    >>> from jwst_hpastrom.numerics import robust_sigma
    >>> sample = np.random.default_rng(1).normal(0, 2, 10000)
    >>> sample[:500] = 1e3
    >>> round(float(robust_sigma(sample)), 1), round(float(np.std(sample)))
    (2.1, 218)
    """
    values = np.asarray(values, float)
    if values.size == 0:
        return np.nan
    middle = np.nanmedian(values, axis=axis, keepdims=True)
    return MAD_TO_SIGMA * np.nanmedian(np.abs(values - middle), axis=axis)


def sigma_about_zero(values: ArrayLike, axis: int | None = None) -> Any:
    """Return 1.4826 times the median absolute value: the scatter of residuals about zero.

    Parameters
    ----------
    values : array-like
        Sample, no NaN.

    axis : int, optional
        Axis to reduce; all by default.

    Examples
    --------
    >>> import numpy as np
    >>> from jwst_hpastrom.numerics import sigma_about_zero
    >>> round(float(sigma_about_zero(np.array([1.0, 1.0, -1.0, 5.0]))), 4)
    1.4826
    """
    return MAD_TO_SIGMA * np.median(np.abs(values), axis=axis)


def shortest_half(values: ArrayLike, share: float = 0.5) -> tuple[float, float]:
    """Middle of the shortest half of a sample, and the standard deviation that its width would be of.

    The other values may be anywhere, even all on one side (Rousseeuw and Leroy 1987, Robust Regression and
    Outlier Detection, section 4.3); of good ones alone it is less precise than median and `robust_sigma`.

    Parameters
    ----------
    values : array-like
        Sample, no NaN, not empty.

    share : float
        Of the sample, where it is not a half.

    Examples
    --------
    >>> import numpy as np
    >>> from jwst_hpastrom.numerics import robust_sigma, shortest_half
    >>> sample = np.random.default_rng(1).normal(0, 1, 10000)
    >>> sample[:4500] += 20
    >>> middle, sigma = shortest_half(sample)
    >>> bool(abs(middle) < 0.1), bool(2 < sigma < 3), bool(robust_sigma(sample) > 3.5)
    (True, True, True)
    """
    values = np.sort(np.asarray(values, float))
    n = min(int(share * values.size) + 1, values.size)
    width = values[n - 1 :] - values[: values.size - n + 1]
    first = int(width.argmin())
    sigma = 0.5 * float(width[first]) / float(ndtri(0.5 + 0.5 * share))
    return 0.5 * (values[first] + values[first + n - 1]), sigma


def median_chi2(dof: Any) -> Any:
    """Median of χ² over its degrees of freedom (Wilson and Hilferty 1931): few ones' is well below the mean.

    Parameters
    ----------
    dof : array-like
        Degrees of freedom, from 1 on.

    Returns
    -------
    float or ndarray

    Examples
    --------
    >>> from jwst_hpastrom.numerics import median_chi2
    >>> round(median_chi2(2), 2), round(median_chi2(100), 2)
    (0.7, 0.99)
    """
    return (1 - 2 / (9 * dof)) ** 3


def _clip(values, finite, sigma, max_iterations):
    keep = finite
    for _ in range(max_iterations):
        middle = np.median(values[keep])
        spread = robust_sigma(values[keep])
        new = finite & (np.abs(values - middle) <= sigma * spread)
        if spread == 0 or np.array_equal(new, keep):
            break
        keep = new
    return keep


def _few(values, weights, finite, sigma):
    """Return choices of good values: probabilities, means, medians, variances; and the likeliest one."""
    v, w = values[finite], None if weights is None else weights[finite]
    n = v.size
    if n < FEWEST or robust_sigma(v) == 0:
        mean = np.average(v, weights=w)
        # Student's distribution is as much wider
        spread = np.sum((v - mean) ** 2) / max(n - 3, 0.5) if n > 1 else np.nan
        variance = spread / n if w is None else 1 / w.sum()
        return np.ones(1), np.r_[mean], np.r_[np.median(v)], np.r_[variance], finite
    found = likely_values(v, w, sigma=sigma)
    keep = finite.copy()
    keep[finite] = found.best
    v = v[found.order]
    middle = 0.5 * (v[(found.first + found.last - 1) // 2] + v[(found.first + found.last) // 2])
    return found.probability, found.mean, middle, found.variance, keep


def clipped_mean(
    values: ArrayLike, weights: ArrayLike | None = None, *, sigma: float = 3.0, max_iterations: int = 10
) -> tuple[float, float, np.ndarray]:
    """(Weighted) mean without outliers, by iterated clipping; of fewer than 50 values, by the evidence.

    Few values agree by chance. So all choices of good ones are weighed
    (`~jwst_hpastrom.numerics.likely_values.likely_values`), and the error holds which they are.

    Parameters
    ----------
    values : array-like
        Sample; NaN are left out.

    weights : array-like, optional
        1/σ² of each value.

    sigma : float
        Clipping limit about the median, in units of 1.4826 MAD; few values may be wrong beyond it.

    max_iterations : int
        Bound on the clipping iterations.

    Returns
    -------
    mean, error : float
        The mean, and its standard error: from the weights where given, else scatter/√N, wider by Student's
        distribution. Few values that scatter more than their weights tell have a larger one.

    keep : ndarray of bool
        The values used, or most probably good.

    Examples
    --------
    >>> from jwst_hpastrom.numerics import clipped_mean
    >>> mean, error, keep = clipped_mean([1.0, 1.1, 0.9, 1.0, 9.0])
    >>> round(mean, 2), keep
    (1.0, array([ True,  True,  True,  True, False]))
    """
    values = np.asarray(values, float)
    weights = None if weights is None else np.broadcast_to(np.asarray(weights, float), values.shape)
    finite = np.isfinite(values)
    if weights is not None:
        finite &= (weights > 0) & np.isfinite(weights)
    n = finite.sum()
    if n == 0:
        return np.nan, np.nan, finite
    if n < FEW:
        probability, mean, _, variance, keep = _few(values, weights, finite, sigma)
        mean, variance = mixture_moments(probability, mean, variance)
        return float(mean), float(np.sqrt(variance)), keep
    keep = _clip(values, finite, sigma, max_iterations)
    if weights is None:
        return values[keep].mean(), np.std(values[keep], ddof=1) / np.sqrt(keep.sum()), keep
    w = weights[keep]
    return np.sum(w * values[keep]) / w.sum(), w.sum() ** -0.5, keep


def clipped_median(
    values: ArrayLike, *, sigma: float = 3.0, max_iterations: int = 10
) -> tuple[float, float, np.ndarray]:
    """Median without outliers, found as by `clipped_mean`.

    Returns
    -------
    median, error : float
        The median and its standard error, 1.2533 scatter/√N.

    keep : ndarray of bool
        The values used, or most probably good.

    Examples
    --------
    >>> from jwst_hpastrom.numerics import clipped_median
    >>> median, error, keep = clipped_median([1.0, 1.1, 0.9, 1.0, 9.0])
    >>> round(median, 2), int(keep.sum())
    (1.0, 4)
    """
    values = np.asarray(values, float)
    finite = np.isfinite(values)
    n = finite.sum()
    if n == 0:
        return np.nan, np.nan, finite
    if n < FEW:
        probability, _, middle, variance, keep = _few(values, None, finite, sigma)
        middle, variance = mixture_moments(probability, middle, 1.2533**2 * variance)
        return float(middle), float(np.sqrt(variance)), keep
    keep = _clip(values, finite, sigma, max_iterations)
    return np.median(values[keep]), 1.2533 * np.std(values[keep], ddof=1) / np.sqrt(keep.sum()), keep


def weighted_median(values: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Weighted median along the first axis, NaN left out; 0 where there is nothing else.

    Examples
    --------
    >>> import numpy as np
    >>> from jwst_hpastrom.numerics import weighted_median
    >>> float(weighted_median(np.array([1.0, 2.0, 9.0]), np.array([1.0, 1.0, 5.0])))
    9.0
    """
    order = np.argsort(values, axis=0)  # NaN last
    values = np.take_along_axis(values, order, 0)
    share = np.cumsum(np.where(np.isfinite(values), weight[order], 0.0), axis=0)
    middle = np.argmax(share >= 0.5 * share[-1], axis=0)
    return np.nan_to_num(np.take_along_axis(values, middle[None], 0)[0])


def robust_limits(values: ArrayLike, *, sigma: float, floor: float) -> tuple[float, float] | None:
    """Limits about the median that leave far outliers out; None without a finite value.

    Parameters
    ----------
    values : array-like
        Sample; what is not finite is left out.

    sigma : float
        Half the range, in units of 1.4826 MAD.

    floor : float
        Least half range.

    Examples
    --------
    >>> from jwst_hpastrom.numerics import robust_limits
    >>> low, high = robust_limits([1.0, 2.0, 3.0, 4.0, 5.0, 900.0], sigma=3.0, floor=0.1)
    >>> round(low, 2), round(high, 2)
    (-3.17, 10.17)
    """
    values = np.asarray(values)
    values = values[np.isfinite(values)]
    if values.size == 0:
        return None
    middle = float(np.median(values))
    half = max(sigma * float(sigma_about_zero(values - middle)), floor)
    return middle - half, middle + half
