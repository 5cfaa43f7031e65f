"""Numerical methods that several packages need, each written once: they know no astronomy."""

from jwst_hpastrom.numerics.groups import (
    GroupMean,
    bin_index,
    cell_index,
    group_means,
    rows_by_group,
    sort_into_groups,
)
from jwst_hpastrom.numerics.polynomials import polynomial_basis, polynomial_slopes, polynomial_terms
from jwst_hpastrom.numerics.robust import (
    MAD_TO_SIGMA,
    clipped_mean,
    clipped_median,
    median_chi2,
    robust_limits,
    robust_sigma,
    shortest_half,
    sigma_about_zero,
    weighted_median,
)

__all__ = [
    "MAD_TO_SIGMA",
    "GroupMean",
    "bin_index",
    "cell_index",
    "clipped_mean",
    "clipped_median",
    "group_means",
    "median_chi2",
    "polynomial_basis",
    "polynomial_slopes",
    "polynomial_terms",
    "robust_limits",
    "robust_sigma",
    "rows_by_group",
    "shortest_half",
    "sigma_about_zero",
    "sort_into_groups",
    "weighted_median",
]
