"""The master frame: transform all exposures to one frame, average, and again (L23 §3, §4.4; Methods §3)."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from astropy.table import Table
from tqdm.auto import tqdm

from jwst_hpastrom import plot
from jwst_hpastrom._display import Tabular
from jwst_hpastrom.columns import epoch_of
from jwst_hpastrom.configuration import configured
from jwst_hpastrom.errors import NotEnoughStarsError
from jwst_hpastrom.frame.assemble import (
    Asked,
    Zeros,
    master_table,
    measurement_table,
    warn_of_limits,
    with_tie_errors,
)
from jwst_hpastrom.frame.averages import Averages, Averaging, average_together
from jwst_hpastrom.frame.config import FrameConfig
from jwst_hpastrom.frame.measurements import collect
from jwst_hpastrom.frame.quality import exposure_table
from jwst_hpastrom.frame.systematics import SharedErrors, Strains
from jwst_hpastrom.frame.transforms.correction_terms import with_corrections
from jwst_hpastrom.frame.transforms.identify import identify
from jwst_hpastrom.frame.transforms.lists_alone import give_sky, without_sky
from jwst_hpastrom.frame.transforms.pointings import detector_names
from jwst_hpastrom.frame.transforms.registration import choose_plane, first_transforms, through_wcs
from jwst_hpastrom.frame.transforms.several_detectors import ErrorsByDetector, SeveralDetectors
from jwst_hpastrom.frame.transforms.tie import facing, tie_to_reference, tie_to_wcs
from jwst_hpastrom.frame.zero_points import zero_points
from jwst_hpastrom.geometry import LinearTransform, Mapping, TangentPlane, check_no_list_twice
from jwst_hpastrom.instrument import INSTRUMENTS, WCS_ERROR
from jwst_hpastrom.storage import Store
from jwst_hpastrom.tables import as_inputs

__all__ = ["MasterFrame", "build_master"]

log = logging.getLogger("stpipe.hpastrom.frame")

#: bytes of memory for each measurement that the work takes at most, beside the columns that are stored
WORK = 250.0


@dataclass(frozen=True, eq=False)
class MasterFrame(Tabular):
    """A master frame.

    Attributes
    ----------
    table : `~astropy.table.Table`
        Columns of `jwst_hpastrom.columns.MASTER`.

    transforms : list of `~jwst_hpastrom.geometry.LinearTransform`
        Corrected pixels of each exposure to master pixels.

    corrections : list of `~jwst_hpastrom.geometry.Mapping`
        Raw to corrected pixels of each exposure.

    plane : `~jwst_hpastrom.geometry.TangentPlane`

    measurements : `~astropy.table.Table`
        A row for every detection of a star of the table: star (row of ``table``), exposure, row (of its
        star list), x, y
        (corrected pixels), dx, dy (measurement minus mean, master pixels), dmag, used.

    exposures : `~astropy.table.Table`
        A row for every exposure: counts, residual RMS, rotation, scale, skew, zero point.

    central : int
        Exposure at the center of the dither pattern.

    mosaic : `~jwst_hpastrom.frame.transforms.mosaic.MosaicFit` or None
        The exposures' transformations with their covariance, where they were solved for together.
    """

    table: Table
    transforms: list
    corrections: list
    plane: TangentPlane
    measurements: Table
    exposures: Table
    central: int
    mosaic: object = None

    def __repr__(self):
        meta = self.table.meta
        return (
            f"<{type(self).__name__} {meta.get('filter', '')}: {len(self.table)} stars from "
            f"{len(self.exposures)} exposures, epoch {meta.get('epoch', float('nan')):.4f}>"
        )

    def plot(self, ax: Any = None) -> Any:
        """Draw the scatter of positions against magnitude, see `jwst_hpastrom.plot.frame_rms`."""
        return plot.frame_rms(self.table, ax)


def _central(centers):
    """Order of the exposures, from the middle of the dither pattern outwards."""
    middle = 0.5 * (centers.min(0) + centers.max(0))
    return np.argsort(np.hypot(*(centers - middle).T), kind="stable")


@configured(FrameConfig)
def build_master(
    star_lists: Sequence[Table],
    *,
    config: FrameConfig,
    correction: Mapping | Sequence[Mapping] | None = None,
    reference: Table | None = None,
    plane: TangentPlane | None = None,
    store: Store | None = None,
    progress: bool = False,
) -> MasterFrame:
    """Average the star lists of dithered exposures into a master frame.

    Exposures are registered to each other by their WCS and a blind search for the rest; then transformations
    to the current averages and clipped averages alternate. The frame is brought to the reference catalog's
    system by a six-parameter transformation, or, without one, to the mean of the exposures' WCS. Lists
    without ra and dec are registered by their stars alone; where none has them, the frame has no ra, dec, xi,
    eta, and its pixels are those of the list with most stars.

    Parameters
    ----------
    star_lists : sequence of `~astropy.table.Table`
        One for each exposure, columns of `jwst_hpastrom.columns.STAR_LIST` (raw pixels; ra, dec through the
        WCS),
        metadata ``filename``, ``epoch``, ``filter``.

    correction : `~jwst_hpastrom.geometry.Mapping` or sequence of them, optional
        Distortion correction, raw to corrected pixels; without one, what the exposures' WCS know of it is
        used.

    reference : `~astropy.table.Table`, optional
        Catalog: ra, dec (deg), optional ra_error, dec_error (mas), pmra, pmdec (mas/yr) and their errors,
        mag; metadata
        ``epoch``. Its motions carry it to the epoch of the exposures.

    plane : `~jwst_hpastrom.geometry.TangentPlane`, optional
        Of the master frame; by default the catalog's own, else one about its (or the exposures') center.

    {options}

    store : `~jwst_hpastrom.storage.Store`, optional
        Has the measurements: in memory as far as its budget goes, the rest in files. The result is the same.

    progress : bool
        Show a progress bar.

    Returns
    -------
    `MasterFrame`

    Raises
    ------
    NotEnoughStarsError, NoOverlapError
        If exposures cannot be registered; the error names the exposure.

    ParameterError
        The work on so many measurements takes more memory than the store says there is.

    Notes
    -----
    ``x_err`` is the error to use: of RMS/√N (``x_err_empirical``) and the fits' propagated errors
    (``x_err_formal``) together (`combine_errors`), and in quadrature ``x_err_systematic``, which the
    exposures share: the larger of the distortion correction's own error (alone, where few reference stars in
    these exposures measured it) and of the pattern that dithers show on the detector, and the wings of
    neighbors that were not subtracted. Quadratic terms are what a catalog shows of them, or, without one, how
    exposures are stretched beside their WCS, else as large as those of third and fourth degree. Where stars
    are too few for it, it is 3 mas, as documented, for JWST's own WCS, NaN for others.

    ``x_err`` is relative to the other stars, a six-parameter map of the frame left free. What that may be off
    is in ``x_err_tie``, which neighbors have in common: of the transformation to the catalog, or, without
    one, of the exposures' pointing (the scatter of their WCS, and 70 mas an axis for guide stars) and of the
    WCS's scale and turn (3 mas over a detector). Errors of absolute positions are both in quadrature.
    """
    star_lists, reference, store = *as_inputs(star_lists, reference), store or Store()
    field = _collected(star_lists, correction, reference, plane, config, store)
    found = _registered(field, star_lists, config, progress)
    tie = _Tie(*_tie(field, found, config))
    frame = _averaged(field, found, tie, star_lists[found.central].meta, config, store)
    log.info("master frame: %d stars from %d exposures", len(frame.table), len(star_lists))
    return frame


class _Field(NamedTuple):
    """What is averaged, and where."""

    m: Any
    names: list
    corrections: list
    #: whether an exposure's distortion is what its WCS knows of it; the plane of lists without sky, or None
    by_wcs: bool
    nowhere: Any
    plane: TangentPlane
    reference: Table | None
    #: of the exposures, and their mean
    epochs: np.ndarray
    epoch: float
    #: exposures that a star needs
    n_min: int


class _Found(NamedTuple):
    """Stars and transformations after the iterations, in the plane of the WCS or of the first list."""

    #: star of each detection, and how many there are
    star: np.ndarray
    n_stars: int
    averages: Averages
    extra: Any
    transforms: list
    #: detections that the transformations are fitted to
    in_transform: np.ndarray
    several: SeveralDetectors | None
    mosaic: Any  # `Joined` or None
    central: int
    wcs_uv: tuple


class _Tie(NamedTuple):
    """Transformation to the catalog's frame, what is known of it, its stars' weights, and its errors."""

    transform: LinearTransform
    meta: dict
    weights: Any
    errors: Any


def _collected(star_lists, correction, reference, plane, config, store):
    """Return the measurements of the lists, checked, and the plane of the frame."""
    if not star_lists:
        raise NotEnoughStarsError("no star list", "at least one")
    check_no_list_twice(star_lists)
    names = [str(t.meta.get("filename", f"list {k + 1}")) for k, t in enumerate(star_lists)]
    if len(star_lists) == 1:
        log.warning(
            "%s alone: nothing was repeated, so that no scatter tells of errors, of the pixel phase say; its "
            "stars are flagged FEW_EXPOSURES", names[0],
        )  # fmt: skip
    rows = sum(map(len, star_lists))
    store.require(WORK * rows, f"the frame of {rows} measurements in {len(star_lists)} exposures")
    m, corrections = collect(
        star_lists, correction, qfit_max=config.qfit_max, pixel_area=config.pixel_area, store=store
    )
    by_wcs = any(c is None for c in (correction if isinstance(correction, list | tuple) else [correction]))
    nowhere = give_sky(m, names, plane=plane, reference=reference, scale_mas=config.scale_mas)
    plane = nowhere or choose_plane(plane, reference, m.ra, m.dec, config.scale_mas)
    n_min = min(config.min_exposures, m.n_exposures)
    return _Field(m, names, corrections, by_wcs, nowhere, plane, reference, *_epochs(star_lists), n_min)


def _averaged(field, found, tie, of_list, config, store):
    """Return the frame of what was registered and tied."""
    m, names, plane, several, central = field.m, field.names, field.plane, found.several, found.central
    transforms = [t.then(tie.transform) for t in found.transforms]
    for k in range(m.n_exposures):
        m.apply(k, transforms[k])

    # Only stars in enough exposures stay; their numbers run by magnitude.
    zeros = Zeros(*zero_points(m, found.star, found.n_stars, central, names=names, calibrated=m.calibrated))
    star, n_stars = _keep(found.star, found.averages, field.n_min, names[central])
    averages = Averages(m, star, n_stars, config.sigma, found.extra)
    meta = _meta(of_list, field, names[central]) | tie.meta
    shared = _shared(field, star, averages, transforms, meta, found, tie.weights, config)
    asked = Asked(plane, field.n_min, config.min_exposures)
    table, residuals, dmag = master_table(m, star, averages, zeros, asked, found.in_transform, shared, meta)
    warn_of_limits(table)
    if several is not None and field.reference is not None:
        table = with_tie_errors(table, several.fit.star_errors(m, star, averages.used, len(table))[0])
    elif tie.errors is not None and not field.nowhere:
        table = with_tie_errors(table, tie.errors(table["x"].value, table["y"].value))
    own = zeros.points, np.sqrt(np.diag(zeros.covariance))
    exposures = exposure_table(m, star, averages.used, residuals, transforms, *own, names, plane)
    if field.nowhere:
        without_sky(table, exposures, field.nowhere)
    measurements = measurement_table(m, star, averages, residuals, dmag, store)
    fit = several and with_corrections(several.fit, m, found.star, field.corrections, several.which)
    return MasterFrame(table, transforms, field.corrections, plane, measurements, exposures, central, fit)


def _epochs(star_lists):
    """Return the exposures' epochs and their mean, NaN where unknown."""
    epochs = np.array([epoch_of(t) for t in star_lists])
    return epochs, float(np.nanmean(epochs)) if np.isfinite(epochs).any() else np.nan


def _registered(field, star_lists, config, progress):
    """Return the stars and transformations that averaging and transforming in turn comes to."""
    m, names, plane = field.m, field.names, field.plane
    shown = tqdm(total=config.n_iterations + 1, desc="master frame", disable=None if progress else True)
    radius, limits = config.match_radius / plane.scale_mas, config.limits(plane)
    centers = np.array([through_wcs(m, k, plane).transform.offset for k in range(m.n_exposures)])
    order = _central(centers)
    detectors, which = detector_names(star_lists)
    several = None
    if config.together or len(detectors) > 1:
        several = SeveralDetectors(
            m, detectors, which, field.epochs, plane, field.reference, field.epoch, radius, field.corrections
        )
        transforms = several.register(order, names=names, **limits)
    else:
        with facing(m, order[0], field.reference, plane, field.epoch, limits):
            transforms = first_transforms(m, plane, order, names=names, **limits)
    wcs_uv = plane.to_pixels(*plane.from_sky(m.ra, m.dec))
    star, n_stars = identify(m, order, 1.5 * radius)
    shown.update()
    settings = Averaging(config.n_iterations, int(config.parameters), config.sigma, radius, field.n_min)
    state, mosaic = average_together(m, order, star, n_stars, several, transforms, names, settings, shown)
    shown.close()
    return _Found(*state, several, mosaic, int(order[0]), wcs_uv)


def _unseen(field, instrument):
    """Return the error, master pixels, of a distortion that only the exposures' WCS know; 0: not known.

    None where a correction is given, or no exposure has a WCS.
    """
    if field.nowhere or not field.by_wcs:
        return None
    return WCS_ERROR / field.plane.scale_mas if instrument.strip().upper() in INSTRUMENTS else 0.0


def _shared(field, star, averages, transforms, meta, found, tie, config):
    """Return the errors that exposures share; their sizes, and the detectors, go into the metadata."""
    several = found.several
    measured = (field.m, star, averages, transforms, field.corrections, meta["filter"])
    if several is not None:
        meta["detectors"] = several.detectors
        shared = ErrorsByDetector(*measured, several, meta["instrument"], field.names)
    else:
        unseen = _unseen(field, meta["instrument"])
        told = unseen is not None and tie is None and found.mosaic is None and int(config.parameters) == 6
        strains = Strains.of(field.m, transforms, found.wcs_uv, field.epochs) if told else None
        shared = SharedErrors(*measured, tie, meta["instrument"], field.names, unseen, strains)
    if found.mosaic is not None:
        shared.add(found.mosaic.fit.star_errors(field.m, star, averages.used, averages.n_used.size)[1])
    if shared.unknown.any():
        log.warning(
            "x_err_systematic is unknown (NaN): %d stars in %d exposures are too few to tell, and the "
            "distortion correction states no errors; x_err is without it",
            averages.n_used.size, field.m.n_exposures,
        )  # fmt: skip
    shared.wing_shift = meta.get("wing_shift")
    meta |= _error_meta(shared)
    return shared


def _tie(field, found, config):
    """Return the parts of `_Tie`.

    The averages' own frame is that of the central exposure's WCS so far, or, where several detectors were
    solved for with the catalog, that of the catalog.
    """
    m, plane, reference, averages = field.m, field.plane, field.reference, found.averages
    if found.several is not None and reference is not None:
        return LinearTransform(), found.several.tie_meta(), None, None
    if reference is not None:
        solid = averages.n_used >= field.n_min
        limits = config.limits(plane).values()
        return tie_to_reference(m, found.star, averages, solid, reference, plane, field.epoch, *limits)
    pointing = found.several and found.several.pointing
    return tie_to_wcs(m, found.wcs_uv, plane.scale_mas, config.pointing_error, pointing)


def _keep(star, averages, n_min, name):
    """Return new numbers of stars found in enough exposures, -1 for all others, and how many there are."""
    solid = np.flatnonzero(averages.n_found >= n_min)
    if solid.size == 0:
        raise NotEnoughStarsError("no star", f"stars found in {n_min} exposures or more", file=name)
    renumber = np.full(averages.n_found.size, -1)
    renumber[solid] = np.arange(solid.size)
    return np.where(star >= 0, renumber[star], -1), solid.size


def _meta(of_list, field, name):
    """Return the metadata of a frame whose central exposure has this list and name."""
    made_with = {key: str(of_list.get(key) or "") for key in ("filter", "instrument", "detector")}
    if np.isfinite(shift := float(of_list.get("wing_shift") or np.nan)):
        made_with["wing_shift"] = shift
    counts = {"n_exposures": field.m.n_exposures, "min_exposures": field.n_min, "central_exposure": name}
    return {"epoch": field.epoch, **made_with, **counts, **field.plane.to_meta()}


def _error_meta(shared):
    """Return the typical sizes of the errors that measurements share."""
    meta = {}
    for k, c in enumerate("xy"):
        for name in ("smooth", "curvature"):
            profile = shared.curvature if name == "curvature" else shared.detector.smooth
            meta[f"{c}_{name}_error"] = float(np.sqrt(np.mean(profile.error[k] ** 2)))
        meta[f"{c}_local_error"] = float(shared.detector.local[k])
    return meta
