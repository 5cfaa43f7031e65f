"""Star lists of many epochs: what they must hold, and mappings from their pixels to one frame."""

import logging

import numpy as np

from jwst_hpastrom.columns import epoch_of, values
from jwst_hpastrom.errors import BadCatalogError, DegenerateSolutionError, NoOverlapError, NotEnoughStarsError
from jwst_hpastrom.geometry import (
    CompositeMapping,
    LinearTransform,
    fit_polynomial,
    match_blind,
    match_nearest,
)
from jwst_hpastrom.geometry.repeated import check_no_list_twice
from jwst_hpastrom.instrument import INSTRUMENTS

__all__ = ["ONE_TIME", "at_l2", "check_lists", "list_to_sky", "pixel_size", "register_lists"]

#: years within which epochs are one time
ONE_TIME = 0.01

JWST_INSTRUMENTS = {*INSTRUMENTS, "NIRSPEC"}  # whose lists may be given

log = logging.getLogger("stpipe.hpastrom.motion")


def check_lists(lists):
    """Sort star lists by epoch and refuse what no motion can be made from.

    Parameters
    ----------
    lists : list of `~astropy.table.Table`
        Columns ``x y x_err y_err`` (pixels), optionally ``mag``; meta ``epoch`` (Julian year).

    Returns
    -------
    lists : list of `~astropy.table.Table`
        By rising epoch.

    epochs : ndarray
    """
    if len(lists) < 2:
        raise NotEnoughStarsError(
            f"{len(lists)} epoch", "at least two epochs", "add star lists of other epochs"
        )
    epochs = []
    for k, table in enumerate(lists):
        name = table.meta.get("filename", f"list {k + 1}")
        missing = [c for c in ("x", "y", "x_err", "y_err") if c not in table.colnames]
        if missing:
            raise BadCatalogError(
                f"no column {', '.join(missing)}", "x y x_err y_err (pixels)", "rename the columns", name
            )
        if len(table) == 0:
            raise BadCatalogError("an empty list", "at least one star", "", name)
        epochs.append(epoch_of(table, name))
        if not np.isfinite(epochs[-1]):
            raise BadCatalogError("no epoch", "meta['epoch'], a Julian year", "give epochs=", name)
    check_no_list_twice(lists)
    epochs = np.array(epochs)
    order = np.argsort(epochs, kind="stable")
    if np.any(order != np.arange(order.size)):
        log.info("the lists were not in the order of their epochs: sorted")
    if np.ptp(epochs) < ONE_TIME:
        raise DegenerateSolutionError(
            f"all {epochs.size} lists at epoch {epochs[0]:.4f}",
            "epochs that differ",
            "check the lists' epochs",
        )
    return [lists[k] for k in order], epochs[order]


def at_l2(meta):
    """Whether a list's metadata say that it was observed by JWST, from L2.

    Parameters
    ----------
    meta : mapping
        ``telescope`` (or ``telescop``), else ``instrument`` (or ``instrume``), in any case.

    Returns
    -------
    bool
    """
    lower = {str(k).lower(): str(v).strip().upper() for k, v in meta.items()}
    telescope = lower.get("telescope") or lower.get("telescop")
    if telescope:
        return telescope == "JWST"
    return (lower.get("instrument") or lower.get("instrume")) in JWST_INSTRUMENTS


def list_to_sky(meta, pixel_scale_mas=None):
    """Transformation from a list's pixels to mas (East, North), as far as its metadata tell.

    Parameters
    ----------
    meta : mapping
        ``position_angle`` (degrees East of North of +y, x to the right: at 0, x = −East),
        ``pixel_scale_mas``, ``x_ref y_ref`` (pixels of the origin).

    pixel_scale_mas : float, optional
        Where the metadata have none.

    Returns
    -------
    `~jwst_hpastrom.geometry.LinearTransform`
        With angle 0, scale 1, and origin 0 where unknown.
    """
    a = np.deg2rad(float(meta.get("position_angle") or 0.0))
    s = float(meta.get("pixel_scale_mas") or pixel_scale_mas or 1.0)
    matrix = s * np.array([[-np.cos(a), np.sin(a)], [np.sin(a), np.cos(a)]])
    center = np.array([float(meta.get("x_ref") or 0.0), float(meta.get("y_ref") or 0.0)])
    return LinearTransform(matrix, np.zeros(2), center)


def pixel_size(mapping, table):
    """Size of a list's pixel in the frame that a mapping leads to, at the middle of its stars.

    Parameters
    ----------
    mapping : `~jwst_hpastrom.geometry.Mapping`

    table : `~astropy.table.Table`

    Returns
    -------
    float
    """
    middle = np.nanmedian(values(table, "x")), np.nanmedian(values(table, "y"))
    return float(np.sqrt(abs(np.linalg.det(mapping.jacobian(*middle)))))


def _refined(start, x, y, u, v, degree, rounds=4):
    """Polynomial from (x, y) to (u, v), starting with a linear transformation and its pairs."""
    mapping = start.transform
    i, j = start.i1, start.i2
    for _ in range(rounds):
        fit = fit_polynomial(x[i], y[i], u[j], v[j], degree, sigma=4.0)
        mapping = fit.transform
        i, j, _ = match_nearest(*mapping.forward(x, y), u, v, max(5 * fit.rms, 1e-9))
    return mapping, fit.rms


def _blind(a, b, mag_a, mag_b, turn, scale_tolerance, scale=1.0, n_bright=300):
    return match_blind(
        a[0],
        a[1],
        b[0],
        b[1],
        mag1=mag_a,
        mag2=mag_b,
        max_rotation=turn,
        scale=scale,
        scale_tolerance=scale_tolerance,
        n_bright=n_bright,
        parameters=6,
    )


def register_lists(lists, *, degree=2, pixel_scale_mas=None):
    """Find mappings from the pixels of every list to a common frame that moves with the stars.

    Parameters
    ----------
    lists : list of `~astropy.table.Table`
        See `check_lists`; meta as in `list_to_sky`.

    degree : int
        Degree of the polynomials.

    pixel_scale_mas : float, optional
        Pixel scale where the metadata have none.

    Returns
    -------
    mappings : list of `~jwst_hpastrom.geometry.Mapping`
        Pixels to the common frame: mas about East and North where the anchor's metadata tell position angle
        and scale, else turned and in pixels.

    anchor : int
        The list that defines the frame.

    rms : ndarray
        Scatter per axis of each list's stars about the anchor's, units of the frame.

    Raises
    ------
    NoOverlapError
        A list has no stars in common with the anchor.
    """
    anchor = int(np.argmax([len(t) for t in lists]))
    first = [list_to_sky(t.meta, pixel_scale_mas) for t in lists]
    known = [t.meta.get("position_angle") is not None for t in lists]
    xy = [(values(t, "x"), values(t, "y")) for t in lists]
    uv = [f.forward(*p) for f, p in zip(first, xy, strict=True)]
    mag = [values(t, "mag") if "mag" in t.colnames else None for t in lists]
    mappings, rms = [], np.zeros(len(lists))
    for k, table in enumerate(lists):
        if k == anchor:
            mappings.append(first[k])
            continue
        name = table.meta.get("filename", f"list {k + 1}")
        both = known[k] and known[anchor]
        found = None
        for turn in (3.0, 180.0) if both else (180.0,):
            try:
                found = _blind(uv[k], uv[anchor], mag[k], mag[anchor], turn, 0.02)
                break
            except (NoOverlapError, NotEnoughStarsError) as err:
                problem = err
        if found is None:
            raise NoOverlapError(
                problem.found, problem.needed, "check the list and its metadata", name
            ) from problem
        mapping, rms[k] = _refined(found, *uv[k], *uv[anchor], degree)
        mappings.append(CompositeMapping((first[k], mapping)))
        log.info(
            "%s: turned by %.3f deg, %.4g rms against the anchor", name, found.transform.rotation, rms[k]
        )
    return mappings, anchor, rms
