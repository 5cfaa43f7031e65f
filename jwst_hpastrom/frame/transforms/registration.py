"""First transformations of the exposures to the master frame."""

import logging

import numpy as np

from jwst_hpastrom.columns import epsf_cause, values
from jwst_hpastrom.errors import HPAstromError, NoOverlapError, NotEnoughStarsError, OrientationError
from jwst_hpastrom.frame.transforms.mosaic import SHARED, shared_area
from jwst_hpastrom.geometry import TangentPlane, fit_linear, match_blind, match_few, sky_middle

__all__ = ["align", "choose_plane", "first_transforms", "through_wcs"]

log = logging.getLogger("stpipe.hpastrom.frame")

#: parts of the largest offset within which one is looked for, until it stands out from chance: lists of small
#: subarrays have a handful of stars in common, and most WCS are right to a part of what is allowed for
NARROWER = (1.0, 0.3, 0.1, 0.03)
#: stars that tell whether a list is mirrored or turned, where it does not fit as it is
ORIENTING = 100
#: times the largest offset that is looked at then
FARTHER = 4.0


def choose_plane(plane, reference, ra, dec, scale_mas):
    """Return the master frame's tangent plane.

    Parameters
    ----------
    plane : `~jwst_hpastrom.geometry.TangentPlane` or None
        Taken as it is.

    reference : `~astropy.table.Table` or None
        Its own tangent plane where its metadata give one, else a plane about its center.

    ra, dec : ndarray
        Stars' positions, degrees: their center is the tangent point where there is nothing else.

    scale_mas : float
        Pixel size of a new plane.
    """
    if plane is not None:
        return plane
    if reference is not None:
        own = TangentPlane.from_meta(reference.meta)
        if own is not None:
            return own
        ra, dec = values(reference, "ra"), values(reference, "dec")
    ok = np.isfinite(ra) & np.isfinite(dec)
    if not ok.any():
        raise NotEnoughStarsError(
            "star lists without ra and dec", "an exposure WCS, a reference catalog or a plane"
        )
    rough = TangentPlane(*sky_middle(ra, dec))
    xi, eta = rough.from_sky(ra[ok], dec[ok])
    a, d = rough.to_sky(0.5 * (xi.min() + xi.max()), 0.5 * (eta.min() + eta.max()))
    return TangentPlane(float(a), float(d), scale_mas)


def through_wcs(m, k, plane):
    """Transformation of exposure ``k`` to the master frame as its WCS has it, and the scatter about it.

    Returns
    -------
    `~jwst_hpastrom.geometry.TransformFit`
    """
    s = m.of(k)
    u, v = plane.to_pixels(*plane.from_sky(m.ra[s], m.dec[s]))
    return fit_linear(m.x[s], m.y[s], u, v, parameters=6)


def align(u, v, mag, x, y, mag_to, *, max_shift, max_rotation, n_bright=400, few_radius=None):
    """Find the small transformation that carries one list to another of the same approximate frame.

    Parameters
    ----------
    u, v, mag : ndarray
        List to be moved: approximate master pixels.

    x, y, mag_to : ndarray
        List to be matched.

    max_shift : float
        Pixels.

    max_rotation : float
        Degrees.

    n_bright : int
        Stars of each list that vote.

    few_radius : float, optional
        Where one list may be short: the radius within which its stars agree on an offset, pixels.

    Returns
    -------
    `~jwst_hpastrom.geometry.BlindMatch`
        With indices into the full lists.

    Raises
    ------
    OrientationError
        The lists have stars in common, but one is mirrored, or turned by more.

    NoOverlapError, NotEnoughStarsError
        They have none, or too few.
    """
    pad = max_shift
    i = np.flatnonzero((u > x.min() - pad) & (u < x.max() + pad) & (v > y.min() - pad) & (v < y.max() + pad))
    if i.size < 4:
        i = np.arange(u.size)
    j = np.flatnonzero((x > u.min() - pad) & (x < u.max() + pad) & (y > v.min() - pad) & (y < v.max() + pad))
    if j.size < 4:
        j = np.arange(x.size)
    blind = {"mag1": mag[i], "mag2": mag_to[j], "max_rotation": max_rotation, "n_bright": n_bright}
    blind |= {"min_stars": 4, "parameters": 4}
    try:
        if few_radius is None:
            found = _narrowing(u[i], v[i], x[j], y[j], max_shift, **blind)
        else:
            found = match_few(u[i], v[i], x[j], y[j], max_shift=max_shift, radius=few_radius, **blind)
    except NoOverlapError as error:
        raise _explained(error, (u[i], v[i], mag[i]), (x[j], y[j], mag_to[j]), max_shift) from None
    return type(found)(found.transform, i[found.i1], j[found.i2], found.rms, found.significance)


def _explained(error, first, second, max_shift):
    """Return the error, or one that says how the first list (x, y, mag) is moved, mirrored or turned."""
    do = (
        "was the image flipped, turned or transposed after its WCS was made, x and y exchanged, or an axis "
        "of the catalog reversed?"
    )
    for parity, rotation, shift in (
        (1, 0.0, FARTHER * max_shift),
        (-1, 180.0, max_shift),
        (1, 180.0, max_shift),
    ):
        try:
            t = match_blind(
                *first[:2], *second[:2], mag1=first[2], mag2=second[2], parity=parity, max_rotation=rotation,
                max_shift=shift, n_bright=ORIENTING, parameters=4,
            ).transform  # fmt: skip
        except HPAstromError:
            continue
        if not rotation:
            away = np.hypot(
                *(np.median(a) - np.median(b) for a, b in zip(t.forward(*first[:2]), first, strict=False))
            )
            return NoOverlapError(
                f"the same stars {away:.0f} pixels away", f"{max_shift:.0f} pixels at most",
                f"{do} A wrong guide star needs a larger max_shift",
            )  # fmt: skip
        how = "mirrored" if parity < 0 else f"turned by {abs(t.rotation):.0f} degrees"
        return OrientationError(f"the same stars {how}", "an image as its WCS says", do)
    return error


def _narrowing(u, v, x, y, max_shift, **kwargs):
    """`match_blind` in smaller and smaller circles; the error is that of the widest."""
    wide = None
    for part in NARROWER:
        try:
            return match_blind(u, v, x, y, max_shift=part * max_shift, **kwargs)
        except NoOverlapError as error:
            wide = wide or error
    raise wide


def _in_turn(shared, order):
    """Exposures in the order given, but those first that share much with an earlier one, or the most.

    The tiles of a mosaic are as far from its middle as each other: the next one may only share a corner.
    """
    waiting, done = list(order), []
    while waiting:
        most = [shared[k, done].max(initial=0.0) for k in waiting]
        n = next((i for i, part in enumerate(most) if part >= SHARED), int(np.argmax(most)))
        done.append(waiting.pop(n))
    return done


def first_transforms(m, plane, order, *, max_shift, max_rotation, names):
    """Transform all exposures to the frame of the first in ``order``, whose WCS is taken as right.

    Parameters
    ----------
    m : `~jwst_hpastrom.frame.measurements.Measurements`
        Its u, v are filled.

    plane : `~jwst_hpastrom.geometry.TangentPlane`

    order : sequence of int
        Exposures, central one first.

    max_shift : float
        Largest error of a WCS, master pixels.

    max_rotation : float
        Largest error of its orientation, degrees.

    names : list of str
        Names of the exposures for messages.

    Returns
    -------
    list of `~jwst_hpastrom.geometry.LinearTransform`
    """
    transforms = [through_wcs(m, k, plane).transform for k in range(m.n_exposures)]
    x, y, mag = (np.zeros(0) for _ in range(3))
    limits = {"max_shift": max_shift * 1.5, "max_rotation": max_rotation * 1.5}
    turn = _in_turn(shared_area(m, transforms), order)
    for n, k in enumerate(turn):
        m.apply(k, transforms[k])
        s = m.of(k)
        u, v = m.u[s], m.v[s]
        if x.size:
            try:
                found = align(u, v, m.mag[s], x, y, mag, **limits)
            except HPAstromError as error:
                # two that agree with each other are not both wrong
                wrong = turn[0] if n == 1 and _agrees(m, k, turn[2:], transforms, limits) else k
                cause = epsf_cause(m.mag[m.of(wrong)], m.qfit[m.of(wrong)])
                raise error.because(cause).about(names[wrong]) from None
            transforms[k] = transforms[k].then(found.transform)
            log.debug("%s: moved by %s, %d pairs", names[k], found.transform.offset, found.i1.size)
            m.apply(k, transforms[k])
            u, v = m.u[s], m.v[s]
            new = np.ones(u.size, bool)
            new[found.i1] = False
        else:
            new = np.ones(u.size, bool)
        x, y, mag = np.r_[x, u[new]], np.r_[y, v[new]], np.r_[mag, m.mag[s][new]]
    return transforms


def _agrees(m, k, others, transforms, limits):
    """Whether the stars of an exposure are those of one of some others."""
    s = m.of(k)
    for other in others:
        m.apply(other, transforms[other])
        o = m.of(other)
        try:
            align(m.u[o], m.v[o], m.mag[o], m.u[s], m.v[s], m.mag[s], **limits)
        except HPAstromError:
            continue
        return True
    return False
