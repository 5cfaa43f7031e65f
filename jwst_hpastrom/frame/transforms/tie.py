"""The linear transformation that carries a master frame to the sky."""

import logging
from contextlib import contextmanager

import numpy as np

from jwst_hpastrom.columns import epsf_cause, row_epochs, values
from jwst_hpastrom.errors import BadCatalogError, HPAstromError, NoOverlapError, OrientationError
from jwst_hpastrom.frame.transforms.registration import align
from jwst_hpastrom.geometry import (
    LinearTransform,
    fill_motions,
    fit_linear,
    match_nearest,
    propagate,
    sky_axes,
)
from jwst_hpastrom.instrument import WCS_ERROR

__all__ = [
    "carried_off", "facing", "reference_positions", "tie_to_reference", "tie_to_wcs", "years_without_motions",
]  # fmt: skip

log = logging.getLogger("stpipe.hpastrom.frame")

#: mas within which few stars agree on one offset: what is left of rotation and distortion, too
FEW_RADIUS = 100.0
#: known motions that tell those of the others, and years in which unknown ones are small
FEWEST_MOTIONS, SHORT = 5, 0.5
#: times that the scatter of pointings and what they tell of the frame's scale are found from each other
ROUNDS = 20


def reference_positions(reference, plane, epoch):
    """Positions of a catalog at an epoch, through its own motions; unknown ones are the others' mean.

    Parameters
    ----------
    reference : `~astropy.table.Table`
        ra, dec, optional pmra, pmdec and errors; column ``ref_epoch`` or metadata ``epoch``.

    plane : `~jwst_hpastrom.geometry.TangentPlane`

    epoch : float
        Julian year that every row is carried to from its own; None: the positions as they are.

    Returns
    -------
    x, y : ndarray
        Pixels of ``plane``.

    x_err, y_err : ndarray
        Standard errors, pixels; NaN where unknown.

    Raises
    ------
    BadCatalogError
        No positions, or motions without an epoch.
    """
    missing = [c for c in ("ra", "dec") if c not in reference.colnames]
    if missing:
        raise BadCatalogError(f"no column {', '.join(missing)}", "ra and dec in the reference catalog")
    xi, eta = plane.from_sky(values(reference, "ra"), values(reference, "dec"))
    pm = values(reference, "pmra"), values(reference, "pmdec")
    dt = 0.0
    if epoch is not None:
        dt = epoch - row_epochs(reference)
        moves = np.isfinite(xi + pm[0] + pm[1])
        if not np.isfinite(dt[moves]).all():
            whose = np.isfinite(epoch)
            raise BadCatalogError(
                "motions without an epoch" if whose else "exposures without an epoch",
                "the Julian year of the positions",
                "add metadata epoch or a column ref_epoch" if whose else "metadata epoch in the star lists",
                reference.meta.get("catalog", "reference catalog") if whose else None,
            )
        dt = np.nan_to_num(dt)
    errors = tuple(values(reference, c) for c in ("ra_error", "dec_error", "pmra_error", "pmdec_error"))
    pm, pm_errors = fill_motions(pm, errors[2:], fewest=FEWEST_MOTIONS)
    moves = np.isfinite(xi + eta)
    turned = np.full((2, xi.size), np.nan)  # East and North turn over the field with the meridians
    axes = sky_axes(plane, xi[moves], eta[moves])
    turned[:, moves] = np.einsum("nij,jn->in", axes, np.stack(pm)[:, moves])
    pm, errors = turned, (*errors[:2], *pm_errors)
    xi, eta, ex, ey = propagate(xi, eta, *pm, dt, errors=errors)
    return (*plane.to_pixels(xi, eta), ex / plane.scale_mas, ey / plane.scale_mas)


@contextmanager
def facing(m, k, reference, plane, epoch, limits):
    """Blame orientation where exposures do not fit each other, and one is mirrored or turned.

    The dithers of images that were flipped are reversed: by them alone each looks like a wrong pointing.

    Parameters
    ----------
    m : `~jwst_hpastrom.frame.measurements.Measurements`

    k : int
        The exposure, whose u and v are those of its WCS.

    reference, plane, epoch
        As of `reference_positions`; no catalog, no blame.

    limits : dict
        ``max_shift`` and ``max_rotation`` of the exposures.

    Raises
    ------
    OrientationError
    """
    try:
        yield
    except NoOverlapError as error:
        if reference is None or isinstance(error, OrientationError):
            raise
        x, y, *_ = reference_positions(reference, plane, epoch)
        ok, s = np.isfinite(x + y), m.of(k)
        try:
            align(m.u[s], m.v[s], m.mag[s], x[ok], y[ok], values(reference, "mag")[ok], **limits)
        except OrientationError as turned:
            raise turned.about("exposures against the reference catalog") from None
        except HPAstromError:
            pass
        raise


def years_without_motions(reference, epoch):
    """Metadata, and a warning, of a catalog of another epoch without motions that would carry it to ours.

    Returns
    -------
    dict
        ``tie_years_without_motions``; empty where the motions are known, or the epochs near.
    """
    known = np.isfinite(values(reference, "pmra") + values(reference, "pmdec"))
    years = np.nan if epoch is None else float(np.nanmedian(epoch - row_epochs(reference)))
    if known.sum() >= FEWEST_MOTIONS or not abs(years) > SHORT:
        return {}
    log.warning(
        "the reference catalog states no motions: the frame is where its stars were in %.1f, %.1f years "
        "from the exposures; their mean motion is in no error (x_err_tie)",
        epoch - years, abs(years),
    )  # fmt: skip
    return {"tie_years_without_motions": years}


def carried_off(u, v, mag, reference, plane, epoch, **limits):
    """Raise where a catalog's positions fit as they stand, and not where its motions carry them.

    Parameters
    ----------
    u, v, mag : ndarray
        Stars, pixels of ``plane``, that have no star in common with the catalog at their epoch.

    reference, plane, epoch
        As of `reference_positions`.

    **limits
        Of `~jwst_hpastrom.frame.transforms.registration.align`.

    Raises
    ------
    BadCatalogError
    """
    if epoch is None or not np.isfinite(values(reference, "pmra")).any():
        return
    x, y, *_ = reference_positions(reference, plane, None)
    ok = np.isfinite(x + y)
    try:
        align(u, v, mag, x[ok], y[ok], values(reference, "mag")[ok], **limits)
    except HPAstromError:
        return
    of = float(np.nanmedian(row_epochs(reference)))
    raise BadCatalogError(
        f"stars that fit as they stand, but not where {epoch - of:.1f} years of their motions carry them",
        f"motions in mas/yr, and the epochs of the catalog ({of:.1f}) and the exposures ({epoch:.1f})",
        "check the unit of pmra and pmdec, and both epochs",
        reference.meta.get("catalog", "reference catalog"),
    )  # fmt: skip


def tie_to_reference(m, star, averages, solid, reference, plane, epoch, max_shift, max_rotation):
    """Six-parameter transformation of the averages to a reference catalog.

    Returns
    -------
    transform : `~jwst_hpastrom.geometry.LinearTransform`

    meta : dict
        Number of stars and scatter of the tie, for the table's metadata.

    residuals : tuple of ndarray
        Positions of the stars used, residuals (frame minus catalog), and their weights in either axis.

    error : callable
        Standard errors (2, n) that the tie gives to frame positions (x, y), master pixels.
    """
    x, y, ex, ey = reference_positions(reference, plane, epoch)
    u, v = averages.mean[solid].T
    count = np.bincount(star[star >= 0], minlength=solid.size)
    mag = np.bincount(star[star >= 0], weights=m.mag[star >= 0], minlength=solid.size)[solid] / count[solid]
    mag_to = values(reference, "mag")
    ok = np.flatnonzero(np.isfinite(x + y))
    x, y, ex, ey, mag_to = x[ok], y[ok], ex[ok], ey[ok], mag_to[ok]
    limits = {"max_shift": 1.5 * max_shift, "max_rotation": 1.5 * max_rotation}
    try:
        found = align(u, v, mag, x, y, mag_to, few_radius=FEW_RADIUS / plane.scale_mas, **limits)
    except OrientationError as error:
        raise error.about("reference catalog") from None
    except HPAstromError as error:
        carried_off(u, v, mag, reference, plane, epoch, **limits)
        raise type(error)(
            error.found,
            error.needed,
            epsf_cause(m.mag, m.qfit)
            or "check that the reference catalog covers the field; if the pointing is off by more, give a "
            "larger max_shift",
            "reference catalog",
        ) from None
    t = found.transform
    fu, fv = averages.formal[solid].T
    # The typical error stands in where the catalog gives none; it is also the floor of the weights.
    floor = np.nanmedian(np.r_[ex, ey]) if np.isfinite(np.r_[ex, ey]).any() else max(found.rms, 1e-3)
    ex, ey = np.where(ex > 0, ex, floor), np.where(ey > 0, ey, floor)
    radius = float(np.clip(6 * found.rms, 0.2, 2.0))
    fit = None
    for _ in range(3):
        i, j, _ = match_nearest(*t.forward(u, v), x, y, radius)
        w = tuple(1.0 / (e[j] ** 2 + f[i] ** 2 + (0.1 * floor) ** 2) for e, f in ((ex, fu), (ey, fv)))
        fit = fit_linear(u[i], v[i], x[j], y[j], parameters=6 if i.size >= 6 else 4, weights=w)
        t = fit.transform
    if fit.divided:
        log.warning(
            "the frame's %d pairs with the catalog are of two kinds, which differ by far more than their "
            "errors and are nearly as many; %d are taken for right: check the catalog",
            i.size, fit.n_used,
        )  # fmt: skip
    i, j = i[fit.keep], j[fit.keep]
    at = t.forward(u[i], v[i])
    residuals = (*at, at[0] - x[j], at[1] - y[j], tuple(a[fit.keep] for a in w))
    return (
        t,
        {
            "tied_to": "reference",
            "n_tie": fit.n_used,
            "tie_rms_mas": fit.rms * plane.scale_mas,
            "tie_rotation_deg": t.rotation,
            "tie_scale": t.scale,
        }
        | years_without_motions(reference, epoch),
        residuals,
        lambda x, y: np.sqrt(fit.variance(*t.inverted().forward(x, y))),
    )


def tie_to_wcs(m, wcs_uv, scale_mas, pointing_error, pointing=None):
    """Six-parameter transformation of the frame to the mean of the exposures' WCS.

    Scale and turn are those within the pointings. A pointing's own error moves its stars together: it lies
    between the means of those that reach farther to one side, and would tilt the frame. What the pointings'
    places tell of scale and turn counts as far as their scatter lets them.

    Parameters
    ----------
    m : `~jwst_hpastrom.frame.measurements.Measurements`

    wcs_uv : tuple of ndarray
        Places of the detections by their WCS, master pixels; NaN for none.

    scale_mas : float

    pointing_error : float
        Of guide stars, mas an axis, which exposures of a visit share.

    pointing : ndarray of int, shape (n_exposures,), optional
        Exposures of one number share their pointing's error; by default each has its own.

    Returns
    -------
    transform, meta, residuals, error
        As `tie_to_reference`; no residuals. The error is that of the pointings' mean (their scatter over the
        root of their number, and ``pointing_error``), the same for all stars, and of scale and turn.
    """
    own, wcs = np.stack([m.u, m.v], 1), np.stack(wcs_uv, 1)
    known = np.isfinite(wcs).all(1)
    of = m.exposure[known] if pointing is None else np.asarray(pointing)[m.exposure[known]]
    of, count = np.unique(of, return_inverse=True, return_counts=True)[1:]
    middle, there = (
        np.stack([np.bincount(of, c) / count for c in places[known].T], 1) for places in (own, wcs)
    )
    inner = own[known] - middle[of]
    fit = fit_linear(*inner.T, *(wcs[known] - there[of]).T, parameters=6)
    linear, center = fit.transform.matrix, middle.mean(axis=0)
    believed = WCS_ERROR / scale_mas / np.sqrt(max(np.mean(np.sum(inner**2, axis=1)), 1e-300))
    prior = pointing_error / scale_mas
    change, covariance, scatter = _between(middle - center, there - middle @ linear.T, believed, prior)
    transform = LinearTransform(linear + change, there.mean(axis=0), center)
    place = np.hypot(scatter / np.sqrt(count.size), prior)

    def error(x, y):
        away = np.stack(transform.inverted().forward(x, y), 1) - center
        return np.sqrt(place[:, None] ** 2 + np.einsum("ni,ij,nj->n", away, covariance, away))

    meta = {
        "tied_to": "exposure WCS",
        "n_tie": fit.n_used,
        "pointing_error_mas": [*map(float, place * scale_mas)],
    }
    return transform, meta, None, error


def _between(middle, rest, believed, prior):
    """What pointings at ``middle`` (n, 2), off by ``rest`` (n, 2), tell of a linear map that is nearly right.

    Parameters
    ----------
    middle, rest : ndarray, shape (n, 2)
        The former about their mean.

    believed : float
        Standard deviation of the map's error before, of each of its four numbers.

    prior : float
        Standard deviation of the pointings' errors, which counts as one measurement of it.

    Returns
    -------
    change : ndarray, shape (2, 2)
        To be added to the map.

    covariance : ndarray, shape (2, 2)
        Of either row of the map.

    scatter : ndarray, shape (2,)
        Of the pointings' errors, of either axis.
    """
    n, rest = len(rest), rest - rest.mean(axis=0)
    change, covariance, taken = np.zeros((2, 2)), believed**2 * np.eye(2), 0.0
    if n < 2:
        return change, covariance, np.zeros(2)
    for _ in range(ROUNDS):
        left = rest - middle @ change.T
        variance = (np.sum(left**2) + prior**2) / (2 * (n - 1 - taken) + 1)
        normal = middle.T @ middle / max(variance, 1e-300)
        covariance = np.linalg.inv(normal + np.eye(2) / believed**2)
        change = (covariance @ middle.T @ rest / max(variance, 1e-300)).T
        taken = np.trace(covariance @ normal)
    left = rest - middle @ change.T
    return change, covariance, np.sqrt(np.sum(left**2, axis=0) / (n - 1))
