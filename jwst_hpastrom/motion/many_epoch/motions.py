"""Star lists of many epochs and Gaia's table become motions in Gaia's frame (H25 §3)."""

import logging
from dataclasses import replace
from numbers import Real

import numpy as np

from jwst_hpastrom.columns import Flag, values
from jwst_hpastrom.errors import NotEnoughStarsError, ParameterError
from jwst_hpastrom.geometry import TangentPlane, sky_middle
from jwst_hpastrom.motion.gaia_frame.first_ties import first_ties
from jwst_hpastrom.motion.gaia_frame.frame_quality import frame_bias, frame_covariance
from jwst_hpastrom.motion.gaia_frame.frame_tie import bootstrap_errors, formal_errors
from jwst_hpastrom.motion.gaia_frame.plate_solution import add_frame_errors, solve_plates
from jwst_hpastrom.motion.gaia_frame.reference import (
    match_reference,
    reference_stars,
    select_gaia,
)
from jwst_hpastrom.motion.gaia_frame.reference_choice import (
    choose_reference,
    compare_with_reference,
    gaia_factors,
    measured,
)
from jwst_hpastrom.motion.gaia_frame.reference_mixture import quality_log_odds
from jwst_hpastrom.motion.many_epoch.common_magnitudes import common_magnitudes
from jwst_hpastrom.motion.many_epoch.epoch_groups import group_epochs
from jwst_hpastrom.motion.many_epoch.epoch_table import EpochMotions, motion_table
from jwst_hpastrom.motion.many_epoch.few_epochs import group_share_of_time, widen_few
from jwst_hpastrom.motion.many_epoch.linking import link_by_name, link_by_position
from jwst_hpastrom.motion.many_epoch.registration import (
    ONE_TIME,
    at_l2,
    check_lists,
    pixel_size,
    register_lists,
)
from jwst_hpastrom.motion.star_fits.models import MODEL_SETS, fit_motions
from jwst_hpastrom.motion.star_fits.parallax import parallax_factors
from jwst_hpastrom.ranges import in_range

__all__ = ["EpochMotions", "fit_epochs"]

log = logging.getLogger("stpipe.hpastrom.motion")

#: share of the epochs' variance between groups from which offsets and motions are hardly told apart
SAME_AS_TIME = 0.7


def _check_group_by(lists, group_by):
    """Raise where no list has what epochs are to be grouped by."""
    known = sorted({str(k) for t in lists for k, v in t.meta.items() if isinstance(v, str | Real)})
    if group_by not in ("none", "position_angle", *known):
        raise ParameterError(
            f"group_by={group_by}",
            f"none, position_angle, or metadata of the lists ({', '.join(known[:20])})",
        )


@in_range
def fit_epochs(
    epoch_lists,
    gaia,
    *,
    models="auto",
    match="position",
    ra_ref=None,
    dec_ref=None,
    pixel_scale_mas=None,
    degree=2,
    regularised_degree=3,
    n_bootstrap=100,
    transformation_errors="model",
    reference_rule="model",
    reference_sigma=5.0,
    bright_limit=None,
    reference_parallax=False,
    reference_radius_mas=30.0,
    params_solved=31,
    allow_duplicated=False,
    min_parallax_over_error=-10.0,
    max_excess_noise_sig=2.0,
    max_ruwe=1.4,
    min_g_mag=13.0,
    group_by="position_angle",
    fit_parallax=False,
    acceleration=False,
    outlier_sigma=5.0,
    probability=0.997,
    group_probability=0.5,
    max_motion=15.0,
    max_mag_difference=1.0,
    fast_motion=200.0,
    fast_false_share=0.2,
    min_epochs=2,
    rng=None,
    executor=None,
    progress=False,
):
    """Make proper motions in Gaia's frame from star lists of many epochs.

    Parameters
    ----------
    epoch_lists : list of `~astropy.table.Table`
        One an epoch: ``x y x_err y_err`` (pixels), ``mag``; meta ``epoch`` (Julian year), and where known
        ``position_angle`` (degrees), ``pixel_scale_mas``, ``x_ref y_ref ra_ref dec_ref``, ``telescope`` or
        ``instrument`` (JWST's parallaxes are seen from L2).

    gaia : `~astropy.table.Table`
        Gaia's columns and units.

    models : {"auto", "h25", "linear"}
        Kinematic models that compete for each star: "linear" the straight line alone; "h25" those of the
        paper; "auto" these and an offset that a group of epochs shares.

    match : {"position", "name"}
        How stars are cross-identified: "position"; "name" where equal names in the lists are one star.

    ra_ref : float, optional
        Right ascension of the tangent point, degrees, by default from the lists, else the middle of the Gaia
        stars.

    dec_ref : float, optional
        Declination of the tangent point, degrees, by default as for the right ascension.

    pixel_scale_mas : float, optional
        Pixel scale of lists that do not say; without it the scale is searched for.

    degree : int
        Degree of the polynomials from pixels to Gaia's frame.

    regularised_degree : int
        With transformation errors "joint": terms above ``degree`` up to this one are fitted with a normal
        prior, as wide as the epochs make likely.

    n_bootstrap : int
        Bootstrap samples of the reference stars.

    transformation_errors : {"model", "joint", "formal", "bootstrap"}
        How the transformations and their errors at the stars are found: "model": as the kinematic models'
        set needs it, bootstrap for h25 and linear, joint for auto; "joint": one solution for all epochs, in
        which all stars hold them together, which leaves only a drift of the frame; "formal": propagated from
        the reference stars' and the lists' errors with their correlation between epochs, less what is common
        to all stars; "bootstrap": over the reference stars, epochs independent (H25).

    reference_rule : {"model", "mixture", "hard"}
        "mixture": every reference star is good, or bad by an unknown factor, with a probability that is found
        together with the frame; "hard": they are cut and rejected one at a time (H25); "model": mixture
        with transformation errors "joint", else hard.

    reference_sigma : float
        With the hard rule: reference stars further than this from Gaia in position or motion go, worst first.

    bright_limit : float, optional
        Reference stars brighter than this in the lists go (H25: 13, against saturation).

    reference_parallax : bool
        Move the reference stars along their parallactic ellipses.

    reference_radius_mas : float
        Largest distance of a Gaia star from its star in the list.

    params_solved : int
        Required ``astrometric_params_solved`` of reference stars, 0 for any.

    allow_duplicated : bool
        Take Gaia stars with ``duplicated_source``.

    min_parallax_over_error : float
        Least ``parallax_over_error`` of reference stars.

    max_excess_noise_sig : float
        Largest ``astrometric_excess_noise_sig`` of reference stars. The mixture has no such cut: larger
        values are evidence that a star is bad
        (`~jwst_hpastrom.motion.gaia_frame.reference_mixture.quality_log_odds`).

    max_ruwe : float
        Limit that the ``ruwe`` of reference stars must be below; in the mixture as above.

    min_g_mag : float
        Limit that the ``phot_g_mean_mag`` of reference stars must be above.

    group_by : str
        Metadata whose equal values share an unknown offset: position_angle (angles within 5 degrees of one
        another), any other key, or none.

    fit_parallax : bool
        Fit a parallax to every star.

    acceleration : bool
        Fit a second-order polynomial to every star.

    outlier_sigma : float
        Measurements further than this many errors from their leave-one-out prediction go, 0 for none.

    probability : float
        A model replaces the straight line if its ELPD is higher by ln(p/(1 − p)).

    group_probability : float
        The group offset replaces the straight line if its ELPD is higher by ln(p/(1 − p)) of this p.

    max_motion : float
        Largest motion relative to the field, mas/yr, in the search for a star in other lists.

    max_mag_difference : float
        Largest difference of a star's magnitude from its mean, in the search for it in other lists.

    fast_motion : float
        Largest motion relative to the field, mas/yr, of stars that a second search looks for among those
        left over; 0 looks for none.

    fast_false_share : float
        Largest share of chance among the stars that the second search takes.

    min_epochs : int
        Stars found in fewer epochs are left out.

    rng : `numpy.random.Generator`, optional
        Of the bootstrap; by default seeded with 1.

    executor : `concurrent.futures.Executor`, optional
        For the stars' fits.

    progress : bool
        Show progress bars.

    Returns
    -------
    `EpochMotions`

    Raises
    ------
    NotEnoughStarsError, NoOverlapError, BadCatalogError, DegenerateSolutionError
        Named by cause, with the list's name where it is one list's.

    Notes
    -----
    Stars with zero or non-finite errors in a list lose that epoch and are flagged ``BAD_ERRORS``; with
    fewer than five epochs they get a weighted straight line, flagged ``LINEAR_FIT``, and where three or
    four are not on it within their errors, wider errors and ``INCONSISTENT``; rejected epochs are flagged
    ``REJECTED_EPOCHS``; stars seen at one time only (within 0.01 years) have no motion and are flagged
    ``ONE_TIME``; stars that only the search for fast ones put together ``FAST``; reference stars
    ``REFERENCE``. ``pmra_rel`` is the motion relative to the mean of the
    reference stars' own motions, the same for all.

    ``*_error`` are the fits' errors, those of the transformations at the star included; ``*_error_total``
    have in addition, in quadrature, what the frame itself may be off, which all stars share
    (``frame_pm_error_mas_yr`` in the metadata). ``*_error_systematic`` is the transformations' part of the
    former ("joint" only), alike for neighbors. With bootstrap transformation errors (H25) ``*_error``
    already hold part of the frame's, as if independent between epochs.
    """
    if transformation_errors == "model":
        transformation_errors = "joint" if models == "auto" else "bootstrap"
    if reference_rule == "model":
        reference_rule = "mixture" if transformation_errors == "joint" else "hard"
    mixed = reference_rule == "mixture"
    if mixed and transformation_errors != "joint":
        raise ParameterError(f"reference_rule=mixture with {transformation_errors} errors", "joint ones")
    rng = np.random.default_rng(1) if rng is None else rng
    lists, epochs = check_lists(list(epoch_lists))
    _check_group_by(lists, group_by)
    keep = select_gaia(
        gaia,
        params_solved=params_solved,
        allow_duplicated=allow_duplicated,
        min_parallax_over_error=min_parallax_over_error,
        max_excess_noise_sig=np.inf if mixed else max_excess_noise_sig,
        max_ruwe=np.inf if mixed and max_ruwe > 1 else max_ruwe,
        min_g_mag=min_g_mag,
    )
    if keep.sum() < 6:
        raise NotEnoughStarsError(
            f"{int(keep.sum())} Gaia stars after the cuts (of {len(gaia)})", "6", "weaken the cuts"
        )
    plane = _tangent_plane(lists, gaia, keep, ra_ref, dec_ref)
    l2 = np.array([at_l2(t.meta) for t in lists])
    reference = reference_stars(gaia, keep, plane, use_parallax=reference_parallax, l2=epochs[l2])

    links, reference, star, pixels, starts = _identify(
        lists, epochs, reference, match=match, pixel_scale_mas=pixel_scale_mas, degree=degree,
        radius_mas=reference_radius_mas, max_motion=max_motion, max_mag_difference=max_mag_difference,
        min_epochs=min_epochs, bright_limit=bright_limit, fast_motion=fast_motion,
        fast_false_share=fast_false_share,
    )  # fmt: skip
    links, one_time = _without_one_time(links, epochs)
    groups = group_epochs(lists, group_by)
    share = group_share_of_time(epochs, groups)
    if share > SAME_AS_TIME:
        log.warning(
            "groups by %s and time coincide (%.0f %% of the epochs' variance lies between groups): offsets "
            "between groups cannot be told from motions: few stars, h25 and parallaxes have too small errors",
            group_by, 100 * share,
        )  # fmt: skip
    factors = parallax_factors(epochs, plane.ra, plane.dec, l2=l2) if fit_parallax else None
    settings = {
        "models": models,
        "group": groups,
        "factors": factors,
        "acceleration": acceleration,
        "outlier_sigma": outlier_sigma,
        "probability": probability,
        "group_probability": group_probability,
    }
    # Errors of the lists in mas, from the approximate registration; the ties need them as weights.
    list_error = np.stack([links.x_err, links.y_err]) * pixels
    formal, odds, plates = transformation_errors != "bootstrap", None, None
    if mixed:
        ties = first_ties(links, *starts, degree=degree)
        odds = quality_log_odds(
            gaia[reference.row], max_ruwe=max_ruwe, max_excess_noise_sig=max_excess_noise_sig
        )
    else:
        kept, ties, candidates = choose_reference(
            reference, star, links, list_error, epochs,
            degree=degree, limit=reference_sigma, n_bootstrap=0 if formal else n_bootstrap, rng=rng,
            progress=progress, **settings,
        )  # fmt: skip
        reference, star = reference.take(kept), star[kept]
    position, error = measured(links, ties, len(epochs))
    if transformation_errors == "joint":
        plates = solve_plates(
            ties, links, epochs, reference, star, group=groups, regularised_degree=regularised_degree,
            outlier_sigma=outlier_sigma, log_odds=odds, executor=executor,
        )  # fmt: skip
    if mixed:
        candidates = plates.references
        candidates["star"] = star
        kept = np.asarray(candidates["kept"])
        reference, star = reference.take(kept), star[kept]
    if plates is not None:
        ties, covariance = plates.ties, None
        position, error = measured(links, ties, len(epochs))
        transformation = plates.epoch_errors(links.x, links.y)
    else:
        gaia_part = gaia_factors(reference, epochs)
        covariance, common = formal_errors(ties, links.x, links.y, gaia_part, relative=True)
        if not formal:
            covariance = bootstrap_errors(ties, links.x, links.y)
        transformation = np.sqrt(np.moveaxis(np.diagonal(covariance, axis1=2, axis2=3), 1, 0))
    fits = fit_motions(
        epochs, position[0], position[1], error[0], error[1],
        use=links.usable, extra_covariance=covariance, executor=executor, progress=progress,
        brightness=_brightness(links), **settings,
    )  # fmt: skip
    fits, inconsistent = widen_few(fits, epochs, position, error)
    inputs = {"x_err": error[0], "y_err": error[1], "extra_covariance": covariance, "group": groups}
    inputs["factors"], shared = factors, None
    if plates is not None:
        fits, shared, frame = add_frame_errors(fits, plates, links, error, epochs, groups)
    else:
        with np.errstate(all="ignore"):
            typical = np.nanmedian(error, axis=1)
        frame = frame_covariance(common, typical, epochs, groups if "group" in MODEL_SETS[models] else None)
        error = np.hypot(error, transformation)
    t_common, d, e, ok = compare_with_reference(reference, fits.take(star))
    bias = frame_bias(d[ok], e[ok], t_common)
    out = motion_table(lists, epochs, links, fits, plane, reference, star, bias, gaia, models, frame, shared)
    out["flags"] = np.where(
        one_time, (out["flags"] & ~int(Flag.BAD_ERRORS)) | int(Flag.ONE_TIME), out["flags"]
    )
    out["flags"] = np.where(inconsistent, out["flags"] | int(Flag.INCONSISTENT), out["flags"])
    out["flags"] = np.where(links.fast, out["flags"] | int(Flag.FAST), out["flags"])
    out.meta["n_fast"] = int(links.fast.sum())
    out.meta["group_share_of_time"] = share
    transformation = np.where(links.index >= 0, transformation, np.nan)
    out.meta["transformation_error_mas"] = [float(v) for v in np.nanmedian(transformation, axis=(0, 1))]
    out.meta["frame_bias_pm_mas_yr"] = [float(v) for v in bias.motion]
    out.meta["frame_bias_pm_error_mas_yr"] = [float(v) for v in bias.motion_error]
    out.meta["frame_bias_position_mas"] = [float(v) for v in bias.position]
    out.meta["frame_bias_position_error_mas"] = [float(v) for v in bias.position_error]
    log.info(
        "%d reference stars of %d; frame bias (%.4f ± %.4f, %.4f ± %.4f) mas/yr, "
        "(%.3f ± %.3f, %.3f ± %.3f) mas at %.3f",
        kept.sum(),
        kept.size,
        *(v for pair in zip(bias.motion, bias.motion_error, strict=True) for v in pair),
        *(v for pair in zip(bias.position, bias.position_error, strict=True) for v in pair),
        bias.epoch,
    )
    return EpochMotions(
        out,
        epochs,
        position[0],
        position[1],
        error[0],
        error[1],
        links,
        fits,
        ties,
        reference,
        bias,
        candidates,
        plane,
        inputs,
        np.array([float(np.nan if (a := t.meta.get("position_angle")) is None else a) for t in lists]),
    )


def _identify(
    lists, epochs, reference, *, match, pixel_scale_mas, degree, radius_mas, max_motion, max_mag_difference,
    min_epochs, bright_limit, fast_motion, fast_false_share,
):  # fmt: skip
    """Every star's entries, the reference stars found, their stars, the lists' pixels in mas, mappings.

    The last are those of the lists to the common frame, and of that to the tangent plane.
    """
    mappings, anchor, _ = register_lists(lists, degree=degree, pixel_scale_mas=pixel_scale_mas)
    table = lists[anchor]
    i, j, to_plane = match_reference(
        reference, epochs[anchor], mappings[anchor],
        values(table, "x"), values(table, "y"), values(table, "mag") if "mag" in table.colnames else None,
        oriented=table.meta.get("position_angle") is not None,
        scaled=bool(table.meta.get("pixel_scale_mas") or pixel_scale_mas),
        degree=degree, radius_mas=radius_mas,
    )  # fmt: skip
    unit = pixel_size(to_plane, table) / pixel_size(mappings[anchor], table)
    if match == "name":
        links = link_by_name(lists)
    else:
        links = link_by_position(
            common_magnitudes(lists, mappings, anchor), epochs, mappings, anchor, unit,
            max_motion=max_motion, max_mag_difference=max_mag_difference, fast_motion=fast_motion,
            fast_false_share=fast_false_share,
        )  # fmt: skip
    links = links.take((links.index >= 0).sum(1) >= min(min_epochs, len(lists)))
    if len(links.index) == 0:
        raise NotEnoughStarsError(f"no star in {min_epochs} epochs", f"stars found in {min_epochs} or more")
    log.info("%d stars in %d or more of %d epochs", len(links.index), min_epochs, len(lists))

    # The star of each reference star is the one that owns the matched entry of the anchor.
    owner = np.full(len(table), -1)
    has = links.index[:, anchor] >= 0
    owner[links.index[has, anchor]] = np.flatnonzero(has)
    star = owner[j]
    reference, star = reference.take(i[star >= 0]), star[star >= 0]
    if bright_limit is not None:
        with np.errstate(invalid="ignore"):
            bright = np.nanmedian(links.mag[star], 1) < bright_limit
        reference, star = reference.take(~bright), star[~bright]
    pixels = np.array([pixel_size(m, t) for m, t in zip(mappings, lists, strict=True)]) * unit
    return links, reference, star, pixels, (mappings, to_plane.parts[-1])


def _brightness(links):
    """Median magnitude of every star, NaN where it has none; None where no list has any."""
    known = np.isfinite(links.mag).any(1)
    if not known.any():
        return None
    out = np.full(known.size, np.nan)
    out[known] = np.nanmedian(links.mag[known], axis=1)
    return out


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


def _tangent_plane(lists, gaia, keep, ra_ref, dec_ref):
    for table in lists:
        ra_ref = table.meta.get("ra_ref") if ra_ref is None else ra_ref
        dec_ref = table.meta.get("dec_ref") if dec_ref is None else dec_ref
    if ra_ref is None or dec_ref is None:
        ra_ref, dec_ref = sky_middle(values(gaia, "ra")[keep], values(gaia, "dec")[keep])
    return TangentPlane(float(ra_ref), float(dec_ref))
