"""Mappings, transformations, matching and tangent planes, on plain arrays."""

from jwst_hpastrom.geometry.mapping import CompositeMapping, IdentityMapping, Mapping
from jwst_hpastrom.geometry.matching import BlindMatch, BlindSearch, match_blind, match_nearest
from jwst_hpastrom.geometry.repeated import check_no_list_twice
from jwst_hpastrom.geometry.shift_vote import match_few, match_shift
from jwst_hpastrom.geometry.sky_coords import as_qtable, sky_coords
from jwst_hpastrom.geometry.tangent import (
    TangentPlane,
    fill_motions,
    likely_motions,
    propagate,
    sky_axes,
    sky_middle,
)
from jwst_hpastrom.geometry.transform import LinearTransform, PolynomialTransform
from jwst_hpastrom.geometry.transform_fits import TransformFit, fit_linear, fit_polynomial
from jwst_hpastrom.numerics import (
    GroupMean,
    clipped_mean,
    clipped_median,
    group_means,
    polynomial_terms,
    robust_sigma,
)

__all__ = [
    "BlindMatch",
    "BlindSearch",
    "CompositeMapping",
    "GroupMean",
    "IdentityMapping",
    "LinearTransform",
    "Mapping",
    "PolynomialTransform",
    "TangentPlane",
    "TransformFit",
    "as_qtable",
    "check_no_list_twice",
    "clipped_mean",
    "clipped_median",
    "fill_motions",
    "fit_linear",
    "fit_polynomial",
    "group_means",
    "likely_motions",
    "match_blind",
    "match_few",
    "match_nearest",
    "match_shift",
    "polynomial_terms",
    "propagate",
    "robust_sigma",
    "sky_axes",
    "sky_coords",
    "sky_middle",
]
