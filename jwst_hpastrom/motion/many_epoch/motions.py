"""Star lists of many epochs and Gaia's table become motions in Gaia's frame (H25 §3)."""

import logging
from dataclasses import dataclass
from typing import Any

import numpy as np

from jwst_hpastrom.configuration import configured
from jwst_hpastrom.motion.gaia_frame.frame_quality import FrameBias, frame_bias, frame_covariance
from jwst_hpastrom.motion.gaia_frame.plate_solution import add_frame_errors
from jwst_hpastrom.motion.gaia_frame.reference_choice import compare_with_reference
from jwst_hpastrom.motion.many_epoch.catalog import FEWEST_FOR_MODELS, motion_table
from jwst_hpastrom.motion.many_epoch.config import EpochsConfig
from jwst_hpastrom.motion.many_epoch.epoch_table import EpochMotions
from jwst_hpastrom.motion.many_epoch.few_epochs import inconsistent_few
from jwst_hpastrom.motion.many_epoch.few_epochs.bad_epochs import BadEpochs, average_over_bad_epochs
from jwst_hpastrom.motion.many_epoch.frame import realize
from jwst_hpastrom.motion.many_epoch.identified import check_group_by, identify
from jwst_hpastrom.motion.many_epoch.registration import check_lists
from jwst_hpastrom.motion.star_fits.config import FitMotionsConfig
from jwst_hpastrom.motion.star_fits.models import MODEL_SETS, MotionFits, fit_motions
from jwst_hpastrom.tables import as_catalog, as_star_lists

__all__ = ["EpochMotions", "Fitted", "fit_epochs"]

log = logging.getLogger("stpipe.hpastrom.motion")


@dataclass(frozen=True)
class Fitted:
    """Motions of all stars in a frame.

    Attributes
    ----------
    fits : `~jwst_hpastrom.motion.star_fits.models.MotionFits`
    inconsistent : ndarray of bool
        Stars of few epochs that do not lie on a line within their errors.
    bad : `~jwst_hpastrom.motion.many_epoch.few_epochs.bad_epochs.BadEpochs`
        What stars of few epochs tell of bad measurements.
    error : ndarray, shape (2, n_stars, n_epochs)
        Of the positions, mas; with those of transformations that have no common solution.
    shared : ndarray, shape (n_stars, 2), or None
        Part of the motions' errors that neighbors have in common, mas/yr.
    frame : `~jwst_hpastrom.motion.gaia_frame.frame_quality.FrameCovariance`
        What the frame itself may be off.
    bias : `~jwst_hpastrom.motion.gaia_frame.frame_quality.FrameBias`
    inputs : dict
        Errors, covariances and groups that went into the fits.
    """

    fits: MotionFits
    inconsistent: np.ndarray
    bad: BadEpochs
    error: np.ndarray
    shared: Any
    frame: Any
    bias: FrameBias
    inputs: dict


@configured(EpochsConfig)
def fit_epochs(
    epoch_lists: Any, gaia: Any, *, config, rng: Any = None, executor: Any = None, progress: bool = False
) -> EpochMotions:
    """Make proper motions in Gaia's frame from star lists of many epochs.

    Parameters
    ----------
    epoch_lists : list of `~astropy.table.Table`
        One an epoch: ``x y x_err y_err`` (pixels), ``mag``; meta ``epoch`` (Julian year), and where known
        ``position_angle`` (degrees), ``pixel_scale_mas``, ``x_ref y_ref ra_ref dec_ref``, ``telescope`` or
        ``instrument`` (JWST's parallaxes are seen from L2).

    gaia : `~astropy.table.Table`
        Gaia's columns and units.

    {options}

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
    fewer than five epochs they get a straight line, flagged ``LINEAR_FIT``, as an average over which of the
    epochs may be bad; three or four that are not on a line within their errors are flagged
    ``INCONSISTENT``, and ``AMBIGUOUS`` where the choices lead to motions that no one error describes, or
    fewer than half of the epochs are left; of
    two epochs it is known only what stars with more tell of the share of bad ones
    (``bad_share_of_few_epochs`` in the metadata); rejected epochs are flagged
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
    config = config.resolved()
    gaia = as_catalog(gaia, "Gaia table", "read_gaia")
    lists, epochs = check_lists(as_star_lists(epoch_lists, "read_epoch_lists"))
    check_group_by(lists, config.unknowns.group_by)
    sky = identify(lists, epochs, gaia, config)
    rng = np.random.default_rng(1) if rng is None else rng
    frame = realize(sky, gaia, config, rng=rng, executor=executor, progress=progress)
    fitted = _fit(sky, frame, config.kinematics, executor, progress)
    _log_bias(fitted.bias, np.asarray(frame.candidates["kept"]))
    table = motion_table(sky, frame, fitted, gaia, config.kinematics.models)
    return _result(table, lists, sky, frame, fitted)


def _result(table, lists, sky, frame, fitted):
    """The motions with all that led to them."""
    epochs = sky.epochs
    xi, eta = frame.position
    xi_error, eta_error = fitted.error
    angles = [np.nan if (a := t.meta.get("position_angle")) is None else a for t in lists]
    return EpochMotions(
        table=table,
        epochs=epochs,
        xi=xi,
        eta=eta,
        xi_error=xi_error,
        eta_error=eta_error,
        links=sky.links,
        fits=fitted.fits,
        ties=frame.ties,
        reference=frame.reference,
        bias=fitted.bias,
        references=frame.candidates,
        plane=sky.plane,
        settings=fitted.inputs,
        position_angles=np.array(angles, float),
        shift=None if frame.offsets is None else frame.offsets.shift,
        candidates=sky.reference,
        names=tuple(str(t.meta.get("filename") or f"{e:.4f}") for t, e in zip(lists, epochs, strict=True)),
    )


def _fit(sky, frame, kinematics, executor, progress):
    """Motions of all stars, and the errors that they share."""
    links, epochs, group, error = sky.links, sky.epochs, sky.group, frame.error
    extra, own = frame.covariance, None
    if frame.offsets is not None:  # stars of more epochs tell their own offsets
        own = frame.offsets.own()
        extra = frame.offsets.own(links.usable.sum(1) < FEWEST_FOR_MODELS)
    fits = fit_motions(
        epochs, *frame.position, *error, config=FitMotionsConfig(kinematics=kinematics),
        group=group, factors=sky.factors, use=links.usable, extra_covariance=extra,
        brightness=sky.brightness(), executor=executor, progress=progress,
    )  # fmt: skip
    spread = 0.0 if own is None else frame.offsets.spread[..., None]
    inconsistent = inconsistent_few(fits, epochs, frame.position, np.hypot(error, spread))
    fits, bad = average_over_bad_epochs(
        fits, epochs, frame.position, error, extra=frame.covariance if own is None else own,
        factors=sky.factors, executor=executor,
    )  # fmt: skip
    inputs = {"x_err": error[0], "y_err": error[1], "extra_covariance": extra, "group": group}
    inputs["factors"], shared = sky.factors, None
    if frame.plates is not None:
        fits, shared, drift = add_frame_errors(fits, frame.plates, links, error, epochs, group, frame.offsets)
    else:
        with np.errstate(all="ignore"):
            typical = np.nanmedian(error, axis=1)
        models = kinematics.models
        names = MODEL_SETS[models] if isinstance(models, str) else models
        drift = frame_covariance(frame.common, typical, epochs, group if "group" in names else None)
        error = np.hypot(error, frame.transformation)
    epoch, d, e, ok = compare_with_reference(frame.reference, fits.take(frame.star))
    return Fitted(fits, inconsistent, bad, error, shared, drift, frame_bias(d[ok], e[ok], epoch), inputs)


def _log_bias(bias, kept):
    log.info(
        "%d reference stars of %d; frame bias (%.4f ± %.4f, %.4f ± %.4f) mas/yr, "
        "(%.3f ± %.3f, %.3f ± %.3f) mas at %.3f",
        kept.sum(),
        kept.size,
        *(v for pair in zip(bias.motion, bias.motion_error, strict=True) for v in pair),
        *(v for pair in zip(bias.position, bias.position_error, strict=True) for v in pair),
        bias.epoch,
    )
