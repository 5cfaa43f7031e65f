"""Values in groups and cells: where each belongs, the order that sorts them, clipped means."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from scipy import sparse

from jwst_hpastrom.numerics.robust_kernels import clipped_group_means

__all__ = [
    "GroupMean", "bin_index", "cell_index", "group_means", "larger_half", "quadratic_sums",
    "rows_by_group", "sort_into_groups", "without_linear",
]  # fmt: skip

#: groups of which each has a row of all members in memory at once
ROWS = 1000


def quadratic_sums(
    group: np.ndarray, member: np.ndarray, weight: np.ndarray, n_groups: int, matrix: np.ndarray
) -> np.ndarray:
    """Sums of w_i w_j M_ij over all pairs of members in each group, in memory that their numbers do not set.

    Parameters
    ----------
    group, member : ndarray of int, shape (n,)
        Star and exposure of each measurement, say.

    weight : ndarray, shape (n,)

    n_groups : int

    matrix : ndarray, shape (n_members, n_members)

    Returns
    -------
    ndarray, shape (n_groups,)

    Examples
    --------
    >>> import numpy as np
    >>> from jwst_hpastrom.numerics.groups import quadratic_sums
    >>> quadratic_sums(np.array([0, 0, 2]), np.array([0, 1, 1]), np.ones(3), 3, np.eye(2))
    array([2., 0., 1.])
    """
    rows = sparse.csr_array((weight, (group, member)), shape=(n_groups, len(matrix)))
    out = np.empty(n_groups)
    for first in range(0, n_groups, ROWS):
        part = rows[first : first + ROWS]
        out[first : first + ROWS] = np.asarray((part * (part @ matrix)).sum(1)).ravel()
    return out


def cell_index(x: np.ndarray, n: int, length: int) -> np.ndarray:
    """Cell of each position where ``n`` equal cells cover ``length`` pixels.

    Parameters
    ----------
    x : ndarray
        0-based pixels; positions outside belong to the outermost cells.

    n : int
        Number of cells.

    length : int
        Pixels along the axis.

    Returns
    -------
    ndarray of int

    Examples
    --------
    >>> import numpy as np
    >>> from jwst_hpastrom.numerics import cell_index
    >>> cell_index(np.array([0.0, 1023.0, 1024.0, 2047.0]), 4, 2048)
    array([0, 1, 2, 3])
    """
    return np.clip(((x + 0.5) * n / length).astype(int), 0, n - 1)


def bin_index(x: np.ndarray, size: float, n: int) -> np.ndarray:
    """Bin of each value where ``n`` bins of width ``size`` start at zero.

    Parameters
    ----------
    x : ndarray
        Values outside belong to the outermost bins.

    size : float
        Width of a bin.

    n : int
        Number of bins.

    Returns
    -------
    ndarray of int

    Examples
    --------
    >>> import numpy as np
    >>> from jwst_hpastrom.numerics import bin_index
    >>> bin_index(np.array([-1.0, 3.0, 17.0]), 5.0, 3)
    array([0, 0, 2])
    """
    return np.clip((x / size).astype(int), 0, n - 1)


def sort_into_groups(group: np.ndarray, n_groups: int) -> tuple[np.ndarray, np.ndarray]:
    """Sort values by their groups.

    Parameters
    ----------
    group : ndarray of int, shape (n,)
        Group of each value; negative ones come before all groups.

    n_groups : int
        Number of groups.

    Returns
    -------
    order : ndarray of int, shape (n,)
        Sorts the values by group, and keeps their order within one.
    start : ndarray of int, shape (n_groups + 1,)
        Group g has the values ``order[start[g]:start[g + 1]]``.

    Examples
    --------
    >>> import numpy as np
    >>> from jwst_hpastrom.numerics import sort_into_groups
    >>> order, start = sort_into_groups(np.array([1, 0, 1, -1]), 2)
    >>> [order[start[g] : start[g + 1]].tolist() for g in range(2)]
    [[1], [0, 2]]
    """
    order = np.argsort(group, kind="stable")
    return order, np.searchsorted(group[order], np.arange(n_groups + 1))


def rows_by_group(group: np.ndarray, n_groups: int) -> list[np.ndarray]:
    """Indices of the values of each group, rising; negative groups are left out.

    Parameters
    ----------
    group : ndarray of int, shape (n,)

    n_groups : int

    Returns
    -------
    list of ndarray of int

    Examples
    --------
    >>> import numpy as np
    >>> from jwst_hpastrom.numerics import rows_by_group
    >>> [rows.tolist() for rows in rows_by_group(np.array([1, 0, 1, -1]), 2)]
    [[1], [0, 2]]
    """
    order, start = sort_into_groups(group, n_groups)
    return np.split(order[: start[-1]], start[:-1])[1:]


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


def group_means(
    group: np.ndarray,
    values: np.ndarray,
    weights: np.ndarray,
    n_groups: int,
    *,
    sigma: float = 3.0,
    keep: np.ndarray | None = None,
) -> GroupMean:
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

    Examples
    --------
    >>> import numpy as np
    >>> from jwst_hpastrom.numerics import group_means
    >>> star = np.array([0, 0, 1, 1, 1])
    >>> means = group_means(star, np.array([1.0, 3.0, 5.0, 5.0, 5.0]), np.ones(5), 2)
    >>> means.mean, means.n_used
    (array([2., 5.]), array([2, 3]))
    """
    group = np.asarray(group, np.int64)
    order, start = sort_into_groups(group, n_groups)
    values = np.ascontiguousarray(values, float)
    weights = np.ascontiguousarray(weights, float)
    used = np.zeros(group.size, np.bool_)
    out = clipped_group_means(order, start, values, weights, float(sigma), used)
    if keep is not None:
        keep[:] = used
    return GroupMean(*out)


def larger_half(mag: np.ndarray, stated: np.ndarray, n_bins: int = 12) -> np.ndarray:
    """Find the rows whose stated errors are larger than the median of their magnitude.

    Parameters
    ----------
    mag, stated : ndarray, shape (n,)

    n_bins : int
        Bins of magnitude, fewer where there are fewer than 20 stars a bin.

    Returns
    -------
    ndarray of bool

    Examples
    --------
    >>> larger_half(np.array([14.0, 15.0, 15.0, 14.0]), np.array([0.1, 0.3, 0.1, 0.4])).tolist()
    [False, True, False, True]
    """
    out = np.zeros(mag.size, bool)
    for rows in np.array_split(np.argsort(mag, kind="stable"), max(1, min(n_bins, mag.size // 20))):
        out[rows] = stated[rows] > np.median(stated[rows])
    return out


def without_linear(columns: Iterable[np.ndarray], group: np.ndarray, x: np.ndarray, y: np.ndarray) -> None:
    """Take out of columns, in place and group by group, what is linear in x and y.

    Parameters
    ----------
    columns : iterable of ndarray, shape (n,)

    group : ndarray, shape (n,)
        Exposures, say, whose transformations absorb that much.

    x, y : ndarray, shape (n,)

    Examples
    --------
    >>> import numpy as np
    >>> from jwst_hpastrom.numerics.groups import without_linear
    >>> x, y = np.array([0.0, 1.0, 0.0, 1.0]), np.array([0.0, 0.0, 1.0, 1.0])
    >>> left = 3 + 2 * x - y + np.array([0.0, 0.0, 0.0, 4.0])
    >>> without_linear([left], np.zeros(4), x, y)
    >>> left.round(6).tolist()
    [1.0, -1.0, -1.0, 1.0]
    """
    for k in np.unique(group):
        s = group == k
        base = np.linalg.qr(np.c_[np.ones(s.sum()), x[s], y[s]])[0]
        for c in columns:
            c[s] -= base @ (base.T @ c[s])
