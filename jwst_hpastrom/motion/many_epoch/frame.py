"""The epochs in the reference catalog's frame: transformations, what they are held by, and their errors."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from astropy.table import Table

from jwst_hpastrom.motion.gaia_frame.angle_offsets import learn_offsets
from jwst_hpastrom.motion.gaia_frame.first_ties import first_ties
from jwst_hpastrom.motion.gaia_frame.frame_tie import bootstrap_errors, formal_errors
from jwst_hpastrom.motion.gaia_frame.plate_solution import PlateSolution, solve_plates
from jwst_hpastrom.motion.gaia_frame.reference import ReferenceStars, none_agrees
from jwst_hpastrom.motion.gaia_frame.reference_choice import (
    Candidates,
    choose_reference,
    gaia_factors,
    measured,
)
from jwst_hpastrom.motion.gaia_frame.reference_mixture import quality_log_odds

__all__ = ["Realized", "realize"]

#: times that offsets of groups are learned, each time with the solution that the last ones led to
LEARNED = 2


@dataclass(frozen=True)
class Realized:
    """A frame, from `realize`.

    Attributes
    ----------
    ties : list of `~jwst_hpastrom.motion.gaia_frame.frame_tie.EpochTie`
    reference, star
        The reference stars that were kept, and their stars.
    candidates : `~astropy.table.Table`
        All reference stars: differences from the catalog, whether kept.
    position, error : ndarray, shape (2, n_stars, n_epochs)
        On the tangent plane, mas, less the expected offsets of groups; errors of the lists alone.
    transformation : ndarray, shape (2, n_stars, n_epochs)
        Errors of the transformations at the stars, mas.
    plates : `~jwst_hpastrom.motion.gaia_frame.plate_solution.PlateSolution` or None
        Where all epochs have one solution.
    covariance, common : ndarray or None
        Else: the transformations' errors between epochs at every star, and of the stars' mean displacement.
    offsets : `~jwst_hpastrom.motion.gaia_frame.angle_offsets.AngleOffsets` or None
        What epochs of a group share, where it was learned.
    """

    ties: list
    reference: ReferenceStars
    star: np.ndarray
    candidates: Table
    position: np.ndarray
    error: np.ndarray
    transformation: np.ndarray
    plates: PlateSolution | None = None
    covariance: Any = None
    common: Any = None
    offsets: Any = None


def realize(sky, gaia, config, *, rng=None, executor=None, progress=False):
    """Transform all epochs to the frame of the reference stars.

    Parameters
    ----------
    sky : `~jwst_hpastrom.motion.many_epoch.identified.Identified`

    gaia : `~astropy.table.Table`

    config : `~jwst_hpastrom.motion.many_epoch.config.EpochsConfig`
        Resolved.

    rng : `numpy.random.Generator`
        Of the bootstrap.

    executor, progress
        As in `~jwst_hpastrom.motion.fit_epochs`.

    Returns
    -------
    `Realized`
    """
    if config.mixed:
        ties = first_ties(sky.links, *sky.starts, degree=config.plates.degree)
        odds = quality_log_odds(
            gaia[sky.reference.row],
            max_ruwe=config.cuts.max_ruwe,
            max_excess_noise_sig=config.cuts.max_excess_noise_sig,
        )
        return _together(sky, ties, sky.reference, sky.star, config, odds=odds, executor=executor)
    kept, ties, candidates = choose_reference(
        Candidates(sky.reference, sky.star, sky.links, sky.list_error, sky.epochs),
        plates=config.plates, limit=config.rule.reference_sigma, kinematics=config.kinematics,
        group=sky.group, factors=sky.factors, rng=rng, progress=progress,
    )  # fmt: skip
    reference, star = sky.reference.take(kept), sky.star[kept]
    if config.plates.transformation_errors == "joint":
        return _together(sky, ties, reference, star, config, candidates=candidates, executor=executor)
    return _one_by_one(sky, ties, reference, star, candidates, config.plates.transformation_errors)


def _together(sky, ties, reference, star, config, *, candidates=None, odds=None, executor=None):
    """All epochs in one solution; with odds the reference stars are a mixture.

    Where epochs have groups, what offsets these share is learned between a first solution and the last.
    """
    links, offsets = sky.links, None
    settings = {
        "group": sky.group, "regularised_degree": config.plates.regularised_degree, "executor": executor,
        "outlier_sigma": config.kinematics.outlier_sigma, "log_odds": odds,
    }  # fmt: skip
    plates = solve_plates(ties, links, sky.epochs, reference, star, **settings)
    for _ in range(LEARNED if config.kinematics.grouped else 0):
        position, error = measured(links, plates.ties, len(sky.epochs))
        offsets = learn_offsets(sky.epochs, position, error, links.usable, sky.group, sky.brightness())
        if offsets is None:
            break
        plates = solve_plates(
            ties, links, sky.epochs, reference, star, offsets=offsets, n_iterations=2, **settings
        )
    if odds is not None:
        candidates = plates.references
        candidates["star"] = star
        kept = np.asarray(candidates["kept"])
        if not kept.any():
            raise none_agrees(reference)
        reference, star = reference.take(kept), star[kept]
    position, error = measured(links, plates.ties, len(sky.epochs))
    if offsets is not None:
        position = position - offsets.shift
    transformation = plates.epoch_errors(links.x, links.y)
    return Realized(
        plates.ties, reference, star, candidates, position, error, transformation, plates, offsets=offsets
    )


def _one_by_one(sky, ties, reference, star, candidates, errors):
    """Every epoch by itself (H25), with errors by propagation or by bootstrap."""
    links = sky.links
    position, error = measured(links, ties, len(sky.epochs))
    covariance, common = formal_errors(
        ties, links.x, links.y, gaia_factors(reference, sky.epochs), relative=True
    )
    if errors == "bootstrap":
        covariance = bootstrap_errors(ties, links.x, links.y)
    transformation = np.sqrt(np.moveaxis(np.diagonal(covariance, axis1=2, axis2=3), 1, 0))
    return Realized(
        ties, reference, star, candidates, position, error, transformation, None, covariance, common
    )
