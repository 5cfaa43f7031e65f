"""Who is who in the lists of many epochs: stars, their entries, and which of them Gaia has."""

import logging
from dataclasses import dataclass, replace
from numbers import Real
from typing import Any

import numpy as np

from jwst_hpastrom.columns import values
from jwst_hpastrom.errors import NotEnoughStarsError, ParameterError
from jwst_hpastrom.geometry import TangentPlane, sky_middle
from jwst_hpastrom.motion.gaia_frame.reference import (
    ReferenceStars,
    find_reference,
    reference_stars,
    select_gaia,
)
from jwst_hpastrom.motion.many_epoch.common_magnitudes import common_magnitudes
from jwst_hpastrom.motion.many_epoch.epoch_groups import group_epochs
from jwst_hpastrom.motion.many_epoch.few_epochs import group_share_of_time
from jwst_hpastrom.motion.many_epoch.linking import LinkedStars, link_by_name, link_by_position
from jwst_hpastrom.motion.many_epoch.registration import ONE_TIME, at_l2, pixel_size, register_lists
from jwst_hpastrom.motion.star_fits.parallax import parallax_factors

__all__ = ["Identified", "check_group_by", "identify", "tangent_plane"]

log = logging.getLogger("stpipe.hpastrom.motion")

#: share of the epochs' variance between groups from which offsets and motions are hardly told apart
SAME_AS_TIME = 0.7
#: fewest reference stars that a frame is begun with
FEWEST_REFERENCE = 6


@dataclass(frozen=True)
class Identified:
    """Stars of the lists, before anything is solved.

    Attributes
    ----------
    lists : list of `~astropy.table.Table`
    epochs : ndarray, shape (n_epochs,)
    plane : `~jwst_hpastrom.geometry.TangentPlane`
    links : `~jwst_hpastrom.motion.many_epoch.linking.LinkedStars`
    reference : `~jwst_hpastrom.motion.gaia_frame.reference.ReferenceStars`
        Those found in the lists.
    star : ndarray of int
        Their stars in ``links``.
    list_error : ndarray, shape (2, n_stars, n_epochs)
        Errors of the lists in mas, from the approximate registration.
    starts : tuple
        Mappings of the lists to their common frame, and of that to the tangent plane.
    one_time : ndarray of bool
        Stars whose usable epochs are one time.
    group : ndarray of int, shape (n_epochs,)
    group_share : float
        Share of the variance of the epochs that lies between groups.
    factors : ndarray or None
        Parallax factors, where parallaxes are fitted.
    """

    lists: list
    epochs: np.ndarray
    plane: TangentPlane
    links: LinkedStars
    reference: ReferenceStars
    star: np.ndarray
    list_error: np.ndarray
    starts: tuple
    one_time: np.ndarray
    group: np.ndarray
    group_share: float
    factors: Any

    def brightness(self):
        """Median magnitude of every star, NaN where it has none; None where no list has any."""
        known = np.isfinite(self.links.mag).any(1)
        if not known.any():
            return None
        out = np.full(known.size, np.nan)
        out[known] = np.nanmedian(self.links.mag[known], axis=1)
        return out


def check_group_by(lists, group_by):
    """Raise where no list has what epochs are to be grouped by."""
    known = sorted({str(k) for t in lists for k, v in t.meta.items() if isinstance(v, str | Real)})
    if group_by not in ("none", "position_angle", *known):
        raise ParameterError(
            f"group_by={group_by}",
            f"none, position_angle, or metadata of the lists ({', '.join(known[:20])})",
        )


def identify(lists, epochs, gaia, config):
    """Find the lists' stars and the reference stars among them.

    Parameters
    ----------
    lists, epochs
        From `~jwst_hpastrom.motion.many_epoch.registration.check_lists`.

    gaia : `~astropy.table.Table`

    config : `~jwst_hpastrom.motion.many_epoch.config.EpochsConfig`
        Resolved.

    Returns
    -------
    `Identified`
    """
    keep = select_gaia(gaia, config=config.cuts, mixture=config.mixed)
    if keep.sum() < FEWEST_REFERENCE:
        raise NotEnoughStarsError(
            f"{int(keep.sum())} Gaia stars after the cuts (of {len(gaia)})",
            f"{FEWEST_REFERENCE}",
            "weaken the cuts",
        )
    plane = tangent_plane(lists, gaia, keep, config.linking.ra_ref, config.linking.dec_ref)
    l2 = np.array([at_l2(t.meta) for t in lists])
    reference = reference_stars(gaia, keep, plane, use_parallax=config.rule.reference_parallax, l2=epochs[l2])
    links, reference, star, pixels, starts = _link(lists, epochs, reference, config)
    links, one_time = _without_one_time(links, epochs)
    group = group_epochs(lists, config.unknowns.group_by)
    share = _group_share(epochs, group, config.unknowns.group_by)
    factors = parallax_factors(epochs, plane.ra, plane.dec, l2=l2) if config.unknowns.fit_parallax else None
    list_error = np.stack([links.x_err, links.y_err]) * pixels
    return Identified(
        lists, epochs, plane, links, reference, star, list_error, starts, one_time, group, share, factors
    )


def _group_share(epochs, group, group_by):
    share = group_share_of_time(epochs, group)
    if share > SAME_AS_TIME:
        log.warning(
            "groups by %s and time coincide (%.0f %% of the epochs' variance lies between groups): offsets "
            "between groups cannot be told from motions: few stars, h25 and parallaxes have too small errors",
            group_by, 100 * share,
        )  # fmt: skip
    return share


def _link(lists, epochs, reference, config):
    """Every star's entries, the reference stars found, their stars, the lists' pixels in mas, mappings."""
    rule, linking, degree = config.rule, config.linking, config.plates.degree
    mappings, anchor, _ = register_lists(lists, degree=degree, pixel_scale_mas=linking.pixel_scale_mas)
    table = lists[anchor]
    i, j, to_plane = find_reference(
        reference, epochs[anchor], mappings[anchor],
        values(table, "x"), values(table, "y"), values(table, "mag") if "mag" in table.colnames else None,
        oriented=table.meta.get("position_angle") is not None,
        scaled=bool(table.meta.get("pixel_scale_mas") or linking.pixel_scale_mas),
        degree=degree, radius_mas=rule.reference_radius_mas,
    )  # fmt: skip
    unit = pixel_size(to_plane, table) / pixel_size(mappings[anchor], table)
    if linking.match == "name":
        links = link_by_name(lists)
    else:
        links = link_by_position(
            common_magnitudes(lists, mappings, anchor), epochs, mappings, anchor, unit,
            max_motion=linking.max_motion, max_mag_difference=linking.max_mag_difference,
            fast_motion=config.fast.fast_motion, fast_false_share=config.fast.fast_false_share,
        )  # fmt: skip
    fewest = linking.min_epochs
    links = links.take((links.index >= 0).sum(1) >= min(fewest, len(lists)))
    if len(links.index) == 0:
        raise NotEnoughStarsError(f"no star in {fewest} epochs", f"stars found in {fewest} or more")
    log.info("%d stars in %d or more of %d epochs", len(links.index), fewest, len(lists))
    reference, star = _owners(reference, links, anchor, i, j, len(table), rule.bright_limit)
    pixels = np.array([pixel_size(m, t) for m, t in zip(mappings, lists, strict=True)]) * unit
    return links, reference, star, pixels, (mappings, to_plane.parts[-1])


def _owners(reference, links, anchor, i, j, n_entries, bright_limit):
    """Reference stars and their stars: those that own the matched entries of the anchor."""
    owner = np.full(n_entries, -1)
    has = links.index[:, anchor] >= 0
    owner[links.index[has, anchor]] = np.flatnonzero(has)
    star = owner[j]
    reference, star = reference.take(i[star >= 0]), star[star >= 0]
    if bright_limit is not None:
        with np.errstate(invalid="ignore"):
            bright = np.nanmedian(links.mag[star], 1) < bright_limit
        reference, star = reference.take(~bright), star[~bright]
    return reference, star


def _without_one_time(links, epochs):
    """Links without the measurements of stars whose usable epochs are one time, and which stars these are.

    A line through one time is singular, and one through the two filters of a night has an error so large
    that it spoils what all stars are fitted together with.
    """
    t = np.where(links.usable, epochs, np.nan)
    some = links.usable.any(1)
    span = np.zeros(len(t))
    span[some] = np.nanmax(t[some], 1) - np.nanmin(t[some], 1)
    one_time = some & (span < ONE_TIME)
    if one_time.any():
        log.warning("%d stars have epochs of one time only, and no motion", one_time.sum())
    return replace(links, usable=links.usable & ~one_time[:, None]), one_time


def tangent_plane(lists, gaia, keep, ra_ref=None, dec_ref=None):
    """Tangent plane at the point given, else at the lists', else in the middle of the reference stars."""
    for table in lists:
        ra_ref = table.meta.get("ra_ref") if ra_ref is None else ra_ref
        dec_ref = table.meta.get("dec_ref") if dec_ref is None else dec_ref
    if ra_ref is None or dec_ref is None:
        ra_ref, dec_ref = sky_middle(values(gaia, "ra")[keep], values(gaia, "dec")[keep])
    return TangentPlane(float(ra_ref), float(dec_ref))
