"""What reference stars tell of their catalog's columns: signs, axes, units, epochs, other stars."""

from typing import NamedTuple

import numpy as np
from astropy import units as u
from astropy.coordinates import BarycentricMeanEcliptic, Galactic, SkyCoord

from jwst_hpastrom.geometry import robust_sigma
from jwst_hpastrom.numerics import polynomial_basis, polynomial_terms

__all__ = ["named_axes", "north_in", "reference_motions", "stated_errors"]

AXES = ("pmra", "pmdec")
#: fewest stars that correlations are told of, and what explains their differences, which is no chance then
LEAST, ENOUGH = 10, 20
#: cos(dec) above which nobody can tell whether it is in pmra
NEAR_EQUATOR = 0.95
#: drop of chi-square beyond that of chance, 5 sigma; what an angle that was fitted has to be better by than
#: columns that were not; widths at which a star's share of it ends; median absolute normal deviate
CHANCE, FITTED, CLIP, HALF = 25.0, 9.0, 4.0, 0.6745
#: robust widths from which on a motion is outstanding
ODD = 5.0
#: rank correlation from which on motions have something in common
ALIKE = 0.4
#: chi-square by which one of ten hypotheses explains other stars' motions in one of some hundred catalogs
BY_CHANCE = 12.0
#: least width of the differences, stated errors: a bend that follows few stars leaves less
LEAST_WIDTH = 1.0
#: mas/yr that numbers are where they are given in arcsec/yr, degrees/yr, mas a century, seconds of time
UNITS = (1e-3, 1 / 3.6e6, 1e3, 100.0, 1 / 15)
#: least turn of motions that is one, degrees, and errors of it
TURN, TURN_SIGMA = 5.0, 5.0
#: steps of the search for it, degrees
STEPS = (10.0, 2.0, 0.5)
#: stars from which on a frame is thought to be bent linearly, and with the second degree; rounds of its fit
BENT, ROUNDS = (15, 30), 8
#: least share of rows that state an epoch of their own
PART = 0.1
#: degrees within which axes are those of a frame; from which on they could be anything's
SAME_AXES, VAGUE = 1.0, 6.0
FRAMES = {"Galactic": Galactic(), "ecliptic": BarycentricMeanEcliptic()}


def reference_motions(change, motion, cos_dec=1.0, error=0.0, place=None):
    """What reference stars tell of the columns of their catalog.

    Parameters
    ----------
    change : ndarray, shape (n, 2)
        Measured minus catalog's motions, mas/yr.

    motion : ndarray, shape (n, 2)
        Motions measured.

    cos_dec : float
        Of the field's middle.

    error : ndarray, shape (n, 2), (n, 1), or float
        Of these differences, as stated.

    place : ndarray, shape (n, 2), optional
        Of the stars on the sky, in any unit.

    Returns
    -------
    dict
        correlation_pmra, correlation_pmdec, crossed_pmra, crossed_pmdec of ranks with the catalog's; columns,
        what explains the differences far better than motions as they should be: ``exchanged``,
        ``pmra_sign``, ``pmdec_sign``, ``signs``, ``cos_dec`` (missing in pmra), ``cos_dec_twice``, ``units``,
        ``turned`` (by turn_deg, turn_error_deg, from East through North), ``others`` (nothing in common),
        else empty, as for fewer than 20 stars; columns_chi2, by how much. NaN for fewer than ten stars.

    Notes
    -----
    The measured motions are the better known ones: each hypothesis foretells the catalog's from them, and
    what is left, over the stated errors, each star's part bounded, is compared. A factor below one does not
    explain errors, as it would if the catalog's foretold ours. Wrong motions bend the frame that is made of
    them: a polynomial of the place is free in each hypothesis.

    A wrong measured motion looks like that of another star: stars of outstanding motion in one of the two
    lists alone do not count.

    Examples
    --------
    >>> motion = np.random.default_rng(1).normal(0, 1, (60, 2))
    >>> reference_motions(motion - motion[:, ::-1], motion, 0.6, 0.1)["columns"]
    'exchanged'
    """
    names = [f"{kind}_{c}" for kind in ("correlation", "crossed") for c in AXES]
    out = dict.fromkeys((*names, "columns_chi2", "turn_deg", "turn_error_deg"), np.nan) | {"columns": ""}
    ok = np.isfinite(change + motion).all(1)
    if ok.sum() < LEAST:
        return out
    ours, theirs = (a[ok] - np.median(a[ok], axis=0) for a in (motion, motion - change))
    alike = _odd(ours) == _odd(theirs)
    rank = [np.argsort(np.argsort(a, axis=0), axis=0) for a in (ours, theirs)]  # outliers count as one
    table = np.corrcoef(rank[0].T, rank[1].T)[:2, 2:]
    out |= dict(zip(names, map(float, (table[0, 0], table[1, 1], table[0, 1], table[1, 0])), strict=True))
    if alike.sum() < ENOUGH:
        return out
    error = np.broadcast_to(error, change.shape)[ok]
    error = np.where(error > 0, error, max(float(np.median(error)), 1e-9))
    bend = _bend(None if place is None else np.asarray(place)[ok], len(ours))
    stars = _Motions(*(v[alike] for v in (ours, theirs, error, bend)))
    return out | _columns(stars, cos_dec, table)


def _odd(motion):
    """Stars of outstanding motion: in one list alone it is wrong, in whatever columns and units."""
    width = np.maximum([robust_sigma(m) for m in motion.T], 1e-12)
    return np.hypot(*(motion / width).T) > ODD


def _possible(name, common, size):
    """Whether a hypothesis fits correlations and sizes: small numbers are near those of other stars."""
    if name.startswith("units"):
        return common > ALIKE and np.all(np.abs(np.log(size / float(name.split()[1]))) < np.log(2.0))
    return name != "others" or common < ALIKE


class _Motions(NamedTuple):
    """Motions of reference stars about their medians, errors of the differences, a basis of the place."""

    ours: np.ndarray
    theirs: np.ndarray
    error: np.ndarray
    bend: np.ndarray

    def left(self, matrix):
        """What a hypothesis leaves of the catalog's motions, over the errors."""
        left = self.theirs - self.ours @ matrix.T
        for k, d in enumerate(left.T):
            weight = 1 / self.error[:, k]
            for _ in range(ROUNDS):
                w = np.sqrt(weight)
                c = np.linalg.lstsq(self.bend * w[:, None], d * w, rcond=None)[0]
                off = np.abs(d - self.bend @ c)
                # least sum of absolute differences
                weight = 1 / self.error[:, k] / np.maximum(off, 1e-3 * np.median(off) + 1e-12)
            left[:, k] = d - self.bend @ c
        return left / self.error


def _bend(place, n):
    """Basis of what a frame may be bent by: of a lower degree, or constant, for few stars."""
    degree = 0 if place is None else int(np.searchsorted(np.array(BENT), n, side="right"))
    if not degree:
        return np.ones((n, 1))
    u, v = ((c - c.mean()) / max(float(c.std()), 1e-12) for c in place.T)
    return polynomial_basis(u, v, polynomial_terms(degree))


def _columns(stars, cos_dec, correlations):
    """The hypothesis that explains the catalog's motions, and by how much of chi-square it is better."""
    left = {name: stars.left(matrix) for name, matrix in _hypotheses(cos_dec)}
    # an angle by the width of the best of the others
    width = max(min(_width(v) for v in left.values()), LEAST_WIDTH)
    angle = _best_angle(stars, width)
    left["turned"] = stars.left(_turned(angle))
    width = max(min(_width(v) for v in left.values()), LEAST_WIDTH)
    chi2 = {name: _chi2(v, width) for name, v in left.items()}
    spread = _angle_error(stars, width, angle)
    chi2["turned"] += FITTED if abs(angle) > max(TURN, TURN_SIGMA * spread) else np.inf
    common = np.max(np.abs(correlations))
    size = np.median(np.abs(stars.theirs), axis=0) / np.maximum(np.median(np.abs(stars.ours), axis=0), 1e-12)
    told = {k: v for k, v in chi2.items() if _possible(k, common, np.maximum(size, 1e-12))}
    best = min(told, key=lambda name: told[name])
    by_chance = best not in ("same", "others") and not best.startswith("units")
    if by_chance and chi2["others"] < min(chi2[best] + BY_CHANCE, chi2["same"] - CHANCE):
        best = "others"  # of some ten hypotheses one fits other stars' motions by chance
    gain = float(chi2["same"] - chi2[best])
    if best == "same" or not gain > CHANCE:
        return {"columns": "", "columns_chi2": max(gain, 0.0)}
    out = {"columns": "units" if best.startswith("units") else best, "columns_chi2": gain}
    return out | ({"turn_deg": angle, "turn_error_deg": spread} if best == "turned" else {})


def _hypotheses(cos_dec):
    """Matrices by which the catalog's columns are the motions."""
    one = np.eye(2)
    yield "same", one
    yield "exchanged", one[::-1]
    yield "pmra_sign", np.diag([-1.0, 1.0])
    yield "pmdec_sign", np.diag([1.0, -1.0])
    yield "signs", -one
    yield "others", 0 * one
    if 0 < cos_dec < NEAR_EQUATOR:
        yield "cos_dec", np.diag([1 / cos_dec, 1.0])
        yield "cos_dec_twice", np.diag([cos_dec, 1.0])
    for factor in UNITS:
        yield f"units {factor}", factor * one


def _width(left):
    return float(np.median(np.abs(left))) / HALF


def _chi2(left, width):
    return float(np.sum(np.minimum(np.abs(left) / width, CLIP) ** 2))


def _turned(degrees):
    c, s = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
    return np.array([[c, -s], [s, c]])


def _best_angle(stars, width):
    """Angle of the smallest chi-square, degrees."""
    best, reach = 0.0, 180.0
    for step in STEPS:
        angles = best + np.arange(-reach, reach + step / 2, step)
        best, reach = float(min(angles, key=lambda a: _chi2(stars.left(_turned(a)), width))), step
    return (best + 180) % 360 - 180


def _angle_error(stars, width, angle):
    """Standard error of the angle, degrees, by the stars whose motions it explains."""
    slope = stars.ours @ _turned(angle + 90).T / stars.error / width
    good = np.abs(stars.left(_turned(angle))) < CLIP * width
    return float(np.rad2deg(max(np.sum(slope[good] ** 2), 1e-12) ** -0.5))


def north_in(ra, dec):
    """Angle of the axes of other frames at a place, as of motions that `reference_motions` finds turned.

    Parameters
    ----------
    ra, dec : float
        Degrees, ICRS.

    Returns
    -------
    dict
        Degrees by which a motion's components are turned (East through North), by the frame's name.

    Examples
    --------
    >>> {name: round(float(v), 1) for name, v in north_in(266.4, -29.0).items()}
    {'Galactic': -58.6, 'ecliptic': 1.4}
    """
    here = SkyCoord(ra, dec, unit="deg")
    north = here.directional_offset_by(0 * u.deg, 1 * u.arcsec)
    return {
        name: -(here.transform_to(f).position_angle(north.transform_to(f)).wrap_at(180 * u.deg).deg)
        for name, f in FRAMES.items()
    }


def named_axes(angle, ra, dec, given=True, within=SAME_AXES):
    """Name of the frame whose axes are turned by an angle at a place.

    Parameters
    ----------
    angle : float
        Degrees, as in `north_in`.

    ra, dec : float
        Degrees.

    given : bool
        Whether the place is that on the ICRS; else these numbers are taken for the frame's own longitude and
        latitude, as where a catalog has those in its columns ra and dec.

    within : float
        Degrees that the angle may be off by.

    Returns
    -------
    str
        Empty where there is none, and where too much may be off.
    """
    if not within < VAGUE:
        return ""
    for name, frame in FRAMES.items():
        place = SkyCoord(ra, dec, unit="deg", frame="icrs" if given else frame).icrs
        turn = north_in(place.ra.deg, place.dec.deg)[name]
        if abs((angle - turn + 180) % 360 - 180) < within:
            return name
    return ""


def stated_errors(catalog):
    """Median errors that a reference catalog states.

    Parameters
    ----------
    catalog : `~jwst_hpastrom.motion.gaia_frame.reference.ReferenceStars`

    Returns
    -------
    dict
        position_error_mas, motion_error_mas_yr; position_errors_ratio, motion_errors_ratio, along right
        ascension over those along declination; ref_epochs, how many a tenth of the rows state.
    """
    _, n = np.unique(np.round(catalog.epoch, 2), return_counts=True)
    variance = np.diagonal(catalog.covariance, axis1=1, axis2=2)
    position, motion = (float(np.median(np.sqrt(np.mean(variance[:, k : k + 2], axis=1)))) for k in (0, 2))
    ra, dec, pmra, pmdec = np.sqrt(np.median(variance, axis=0))[:4]
    out = {"position_error_mas": position, "motion_error_mas_yr": motion}
    out |= {"position_errors_ratio": float(ra / dec), "motion_errors_ratio": float(pmra / pmdec)}
    return out | {"ref_epochs": int(np.sum(n >= PART * n.sum()))}
