"""Clipped averages."""

from dataclasses import dataclass

import numpy as np

from jwst_hpastrom.geometry._kernels import clipped_group_means

__all__ = ["GroupMean", "clipped_mean", "clipped_median", "group_means", "robust_sigma"]


def robust_sigma(values, axis=None):
    """Return 1.4826 times the median absolute deviation, NaN ignored.

    Parameters
    ----------
    values : array-like
        Sample.

    axis : int, optional
        Axis to reduce; all by default.
    """
    values = np.asarray(values, float)
    if values.size == 0:
        return np.nan
    middle = np.nanmedian(values, axis=axis, keepdims=True)
    return 1.4826 * np.nanmedian(np.abs(values - middle), axis=axis)


def _clip(values, sigma, max_iterations):
    keep = np.isfinite(values)
    for _ in range(max_iterations):
        if keep.sum() < 3:
            break
        middle = np.median(values[keep])
        spread = robust_sigma(values[keep])
        new = np.isfinite(values) & (np.abs(values - middle) <= sigma * spread)
        if spread == 0 or np.array_equal(new, keep):
            break
        keep = new
    return keep


def clipped_mean(values, weights=None, *, sigma=3.0, max_iterations=10):
    """Iteratively clipped (weighted) mean.

    Parameters
    ----------
    values : array-like
        Sample; NaN are left out.

    weights : array-like, optional
        1/σ² of each value.

    sigma : float
        Clipping limit about the median, in units of 1.4826 MAD.

    max_iterations : int
        Bound on the clipping iterations.

    Returns
    -------
    mean, error : float
        The mean, and its standard error: from the weights where given, else scatter/√N.

    keep : ndarray of bool
        The values used.
    """
    values = np.asarray(values, float)
    keep = _clip(values, sigma, max_iterations)
    n = keep.sum()
    if n == 0:
        return np.nan, np.nan, keep
    if weights is None:
        spread = np.std(values[keep], ddof=1) if n > 1 else np.nan
        return values[keep].mean(), spread / np.sqrt(n), keep
    w = np.asarray(weights, float)[keep]
    return np.sum(w * values[keep]) / w.sum(), w.sum() ** -0.5, keep


def clipped_median(values, *, sigma=3.0, max_iterations=10):
    """Iteratively clipped median.

    Returns
    -------
    median, error : float
        The median and its standard error, 1.2533 scatter/√N.

    keep : ndarray of bool
        The values used.
    """
    values = np.asarray(values, float)
    keep = _clip(values, sigma, max_iterations)
    n = keep.sum()
    if n == 0:
        return np.nan, np.nan, keep
    spread = np.std(values[keep], ddof=1) if n > 1 else np.nan
    return np.median(values[keep]), 1.2533 * spread / np.sqrt(n), keep


@dataclass(frozen=True)
class GroupMean:
    """Clipped means of grouped values; every field has shape (n_groups,).

    Attributes
    ----------
    mean : ndarray
        Weighted mean of the values kept.

    rms : ndarray
        Scatter of the values kept about their mean, weighted as the mean is, with n - 1: rms/√n is the mean's
        standard error.

    formal : ndarray
        Standard error from the weights, (Σ w)^-1/2.

    n_found, n_used : ndarray of int
        Values in the group, and values kept.
    """

    mean: np.ndarray
    rms: np.ndarray
    formal: np.ndarray
    n_found: np.ndarray
    n_used: np.ndarray


def group_means(group, values, weights, n_groups, *, sigma=3.0, keep=None):
    """σ-clipped weighted mean of the values of each group (each star).

    Parameters
    ----------
    group : ndarray of int, shape (n,)
        Group of each value, 0 <= group < n_groups; negative values are left out.

    values, weights : ndarray, shape (n,)
        Values and their 1/σ².

    n_groups : int
        Number of groups.

    sigma : float
        Clipping about the group's median; the scale is the larger of 1.4826 MAD and the median error.

    keep : ndarray of bool, shape (n,), optional
        Filled with the values that were used.

    Returns
    -------
    `GroupMean`
    """
    group = np.asarray(group, np.int64)
    order = np.argsort(group, kind="stable")
    sorted_group = group[order]
    start = np.searchsorted(sorted_group, np.arange(n_groups + 1))
    values = np.ascontiguousarray(values, float)
    weights = np.ascontiguousarray(weights, float)
    used = np.zeros(group.size, np.bool_)
    out = clipped_group_means(order, start, values, weights, float(sigma), used)
    if keep is not None:
        keep[:] = used
    return GroupMean(*out)
