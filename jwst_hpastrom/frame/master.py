"""The master frame: transform all exposures to one frame, average, and again (L23 §3, §4.4; Methods §3)."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from astropy.table import Table
from tqdm.auto import tqdm

from jwst_hpastrom import plot
from jwst_hpastrom._display import Tabular
from jwst_hpastrom.columns import MASTER, make_table
from jwst_hpastrom.errors import NotEnoughStarsError
from jwst_hpastrom.frame._kernels import average_stars
from jwst_hpastrom.frame.assemble import master_table
from jwst_hpastrom.frame.identify import drop_doubles, identify
from jwst_hpastrom.frame.lists_alone import errors_by_scatter, give_sky, without_sky
from jwst_hpastrom.frame.measurements import collect
from jwst_hpastrom.frame.mosaic import detector_names
from jwst_hpastrom.frame.photometry import zero_points
from jwst_hpastrom.frame.quality import exposure_table
from jwst_hpastrom.frame.registration import choose_plane, first_transforms, through_wcs
from jwst_hpastrom.frame.several_detectors import ErrorsByDetector, SeveralDetectors
from jwst_hpastrom.frame.systematics import SharedErrors
from jwst_hpastrom.frame.tie import tie_to_reference, tie_to_wcs
from jwst_hpastrom.geometry import LinearTransform, Mapping, TangentPlane, fit_linear
from jwst_hpastrom.ranges import in_range

__all__ = ["MasterFrame", "build_master"]

log = logging.getLogger("stpipe.hpastrom.frame")

#: error, detector pixels, that every measurement has in common when it is weighted for a transformation
FLOOR = 0.005


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

    mosaic : `~jwst_hpastrom.frame.mosaic.MosaicFit` or None
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


class _Averages:
    """Clipped means of the measurements, star by star."""

    def __init__(self, m, star, n_stars, sigma, extra=(0.0, 0.0)):
        which = np.flatnonzero(star >= 0)
        which = which[np.argsort(star[which], kind="stable")]
        start = np.searchsorted(star[which], np.arange(n_stars + 1))
        self.mean, self.rms, self.formal, self.expected, self.weight = np.full((5, n_stars, 2), np.nan)
        self.added = np.asarray(extra, float)
        self.n_found, self.n_used = np.diff(start), np.zeros(n_stars, np.int64)
        used = np.zeros(which.size, np.bool_)
        average_stars(
            start, m.u[which], m.v[which], m.vu[which], m.vv[which], self.added, float(sigma),
            self.mean, self.rms, self.formal, self.expected, self.weight, self.n_used, used,
        )  # fmt: skip
        self.used = np.zeros(star.size, bool)
        self.used[which] = used

    def extra(self):
        """Variance that the bright stars' measurements have beyond their own errors, of either axis."""
        rows = np.flatnonzero((self.n_used >= 3) & np.isfinite(self.formal).all(1))
        if rows.size == 0:
            return np.zeros(2)
        single = self.expected[rows] ** 2 * self.n_used[rows, None]
        best = single.sum(1) <= 1.001 * np.quantile(single.sum(1), 0.2)
        rows, single = rows[best], single[best]
        dof = self.n_used[rows, None] - 1
        typical = (1 - 2 / (9 * dof)) ** 3  # median of χ² per degree of freedom
        excess = (self.rms[rows] ** 2 / (typical * single) - 1.0) / self.weight[rows]
        return np.maximum(self.added + np.median(excess, axis=0), 0.0)


def _refit(m, star, averages, k, n_min, parameters):
    """Transformation of exposure ``k`` to the current averages."""
    s = m.of(k)
    g = star[s]
    good = (g >= 0) & (averages.n_used[g] >= n_min)
    clean = good & m.reference[s]
    if clean.sum() >= 50:
        good = clean
    if good.sum() < parameters // 2 + 1:
        raise NotEnoughStarsError(
            f"{int(good.sum())} stars in common with {n_min - 1} or more other exposures",
            f"{parameters // 2 + 1} for a {parameters}-parameter transformation",
            "check overlap and min_exposures",
        )
    x, y, to = m.x[s][good], m.y[s][good], averages.mean[g[good]]
    scale2 = np.nanmedian(m.vu[s][good] / m.vx[s][good])  # squared master pixels per corrected pixel
    weights = (1.0 / (m.vu[s][good] + FLOOR**2 * scale2), 1.0 / (m.vv[s][good] + FLOOR**2 * scale2))
    fit = fit_linear(x, y, to[:, 0], to[:, 1], parameters=parameters, weights=weights)
    return fit.transform, s.start + np.flatnonzero(good)[fit.keep]


def _central(centers):
    """Order of the exposures, from the middle of the dither pattern outwards."""
    middle = 0.5 * (centers.min(0) + centers.max(0))
    return np.argsort(np.hypot(*(centers - middle).T), kind="stable")


@in_range
def build_master(
    star_lists: Sequence[Table],
    *,
    correction: Mapping | Sequence[Mapping] | None = None,
    reference: Table | None = None,
    plane: TangentPlane | None = None,
    min_exposures: int = 3,
    n_iterations: int = 3,
    parameters: int = 6,
    match_radius: float = 40.0,
    sigma: float = 3.0,
    qfit_max: float = 0.1,
    pixel_area: bool = True,
    max_shift: float = 5.0,
    max_rotation: float = 1.0,
    scale_mas: float = 50.0,
    together: bool = False,
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

    min_exposures : int
        Fewest exposures in which a star must be found (fewer only if there are not as many exposures).

    n_iterations : int
        Iterations of transforming and averaging.

    parameters : {4, 6}
        Parameters of the exposures' transformations: 4 (shift, rotation, scale) or 6 (general linear).

    match_radius : float
        Cross-identification radius, mas.

    sigma : float
        Clipping of a star's measurements about their median, in either axis.

    qfit_max : float
        Worst QFIT of a detection that may define a transformation.

    pixel_area : bool
        Correct magnitudes for the pixels' area where a correction is given (Methods §2.7).

    max_shift : float
        Largest pointing error of an exposure's WCS, arcsec.

    max_rotation : float
        Largest rotation error of an exposure's WCS, degrees.

    scale_mas : float
        Master pixel where neither ``plane`` nor ``reference`` gives one, mas.

    together : bool
        Solve for all exposures' transformations at once, as is always done for several detectors: for mosaics
        with little overlap.

    progress : bool
        Show a progress bar.

    Returns
    -------
    `MasterFrame`

    Raises
    ------
    NotEnoughStarsError, NoOverlapError
        If exposures cannot be registered; the error names the exposure.

    Notes
    -----
    ``x_err`` is the error to use: of RMS/√N (``x_err_empirical``) and the fits' propagated errors
    (``x_err_formal``) together (`combine_errors`), and in quadrature ``x_err_systematic``, which the
    exposures share: the larger of the distortion correction's own error and of the pattern that dithers show
    on the detector, and the wings of neighbors that were not subtracted. Few measurements give an upper
    limit. What no dither shows and no correction states is not in it; where there is neither it is NaN.
    """
    star_lists, parameters = list(star_lists), int(parameters)
    if not star_lists:
        raise NotEnoughStarsError("no star list", "at least one")
    names = [str(t.meta.get("filename", f"list {k + 1}")) for k, t in enumerate(star_lists)]
    if len(star_lists) == 1:
        log.warning(
            "%s alone: nothing was repeated, so that no scatter tells of errors, of the pixel phase say; its "
            "stars are flagged FEW_EXPOSURES",
            names[0],
        )
    m, corrections = collect(star_lists, correction, qfit_max=qfit_max, pixel_area=pixel_area)
    nowhere = give_sky(m, names, plane=plane, reference=reference, scale_mas=scale_mas)
    plane = nowhere or choose_plane(plane, reference, m.ra, m.dec, scale_mas)
    epochs = np.array([float(t.meta.get("epoch") or np.nan) for t in star_lists])
    epoch = float(np.nanmean(epochs)) if np.isfinite(epochs).any() else np.nan
    px = 1e3 / plane.scale_mas  # master pixels per arcsec
    radius = match_radius / plane.scale_mas
    n_min = min(min_exposures, m.n_exposures)

    centers = np.array([through_wcs(m, k, plane).transform.offset for k in range(m.n_exposures)])
    order = _central(centers)
    central = int(order[0])
    shown = _bar(n_iterations + 1, progress)
    detectors, which = detector_names(star_lists)
    several, limits = None, {"max_shift": max_shift * px, "max_rotation": max_rotation}
    if together or len(detectors) > 1:
        several = SeveralDetectors(m, detectors, which, epochs, plane, reference, epoch, radius)
        transforms = several.register(order, names=names, **limits)
    else:
        transforms = first_transforms(m, plane, order, names=names, **limits)
    wcs_uv = plane.to_pixels(*plane.from_sky(m.ra, m.dec))
    star, n_stars = identify(m, order, 1.5 * radius)
    shown.update()
    in_transform, extra = np.zeros(m.u.size, bool), np.zeros(2)
    for _ in range(n_iterations):
        averages = _Averages(m, star, n_stars, sigma, extra)
        if m.unstated.any():
            errors_by_scatter(m, star, averages.mean, averages.n_used, transforms)
        in_transform[:] = False
        if several is not None:
            transforms, rows = several.refit(star, averages, transforms, FLOOR)
            in_transform[rows] = True
        for k in range(m.n_exposures if several is None else 0):
            try:
                transforms[k], rows = _refit(m, star, averages, k, min(n_min, 2), parameters)
            except NotEnoughStarsError as error:
                raise error.about(names[k]) from None
            in_transform[rows] = True
            m.apply(k, transforms[k])
        averages = _Averages(m, star, n_stars, sigma, extra)
        extra = averages.extra()
        keep = drop_doubles(averages.mean[:, 0], averages.mean[:, 1], averages.n_used, 0.5 * radius)
        star, n_stars = identify(m, order, radius, *averages.mean[keep].T)
        shown.update()
    averages = _Averages(m, star, n_stars, sigma, extra)
    solid = averages.n_used >= n_min

    # The averages' own frame is that of the central exposure's WCS so far.
    if several is not None and reference is not None:  # it is in the catalog's frame by now
        final, tie_meta, tie, tie_error = LinearTransform(), several.tie_meta(wcs_uv), None, None
    elif reference is not None:
        final, tie_meta, tie, tie_error = tie_to_reference(
            m, star, averages, solid, reference, plane, epoch, max_shift * px, max_rotation
        )
    else:
        final, tie_meta, tie, tie_error = tie_to_wcs(m, wcs_uv)
    transforms = [t.then(final) for t in transforms]
    for k in range(m.n_exposures):
        m.apply(k, transforms[k])

    # Only stars in enough exposures stay; their numbers run by magnitude.
    zero, zero_covariance = zero_points(m, star, n_stars, central)
    solid = np.flatnonzero(averages.n_found >= n_min)
    if solid.size == 0:
        raise NotEnoughStarsError("no star", f"stars found in {n_min} exposures or more", file=names[central])
    renumber = np.full(n_stars, -1)
    renumber[solid] = np.arange(solid.size)
    star = np.where(star >= 0, renumber[star], -1)
    averages = _Averages(m, star, solid.size, sigma, extra)
    meta = {
        "epoch": epoch,
        "filter": str(star_lists[central].meta.get("filter") or ""),
        "instrument": str(star_lists[central].meta.get("instrument") or ""),
        "detector": str(star_lists[central].meta.get("detector") or ""),
        "n_exposures": m.n_exposures,
        "min_exposures": n_min,
        "central_exposure": names[central],
        **plane.to_meta(),
        **tie_meta,
    }
    measured = (m, star, averages, transforms, corrections, meta["filter"])
    if several is not None:
        meta["detectors"] = detectors
        shared = ErrorsByDetector(*measured, several, meta["instrument"])
    else:
        shared = SharedErrors(*measured, tie, meta["instrument"])
    if shared.unknown.any():
        log.warning(
            "x_err_systematic is unknown (NaN): %d stars in %d exposures are too few to tell, and the "
            "distortion correction states no errors; x_err is without it",
            solid.size, m.n_exposures,
        )  # fmt: skip
    for k, c in enumerate("xy"):
        for name in ("smooth", "curvature"):
            profile = shared.curvature if name == "curvature" else shared.detector.smooth
            meta[f"{c}_{name}_error"] = float(np.sqrt(np.mean(profile.error[k] ** 2)))
        meta[f"{c}_local_error"] = float(shared.detector.local[k])
    table, residuals, dmag = master_table(
        m, star, averages, zero, zero_covariance, plane, n_min, min_exposures, in_transform, shared, meta
    )
    if several is not None and reference is not None:
        errors = several.fit.star_errors(m, star, averages.used, len(table))[0]
    else:
        errors = None if tie_error is None else tie_error(table["x"].value, table["y"].value)
    if errors is not None:
        errors = dict(zip(("x_err_tie", "y_err_tie"), errors, strict=True))
        table = make_table(MASTER, {**{c: table[c] for c in table.colnames}, **errors}, table.meta)
    zero_error = np.sqrt(np.diag(zero_covariance))
    exposures = exposure_table(m, star, averages.used, residuals, transforms, zero, zero_error, names, plane)
    if nowhere:
        without_sky(table, exposures, nowhere)
    mine = star >= 0
    measurements = Table(
        {
            "star": star[mine], "exposure": m.exposure[mine], "row": m.row[mine],
            "x": m.x[mine], "y": m.y[mine], "dx": residuals[0][mine], "dy": residuals[1][mine],
            "dmag": dmag[mine], "used": averages.used[mine],
        }
    )  # fmt: skip
    shown.close()
    log.info("master frame: %d stars from %d exposures", len(table), m.n_exposures)
    fit = None if several is None else several.fit
    return MasterFrame(table, transforms, corrections, plane, measurements, exposures, central, fit)


def _bar(total, show):
    return tqdm(total=total, desc="master frame", disable=None if show else True)
