"""A cluster's members, its mean motion and dispersion."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from astropy.table import Table
from scipy.stats import binom

from jwst_hpastrom._display import Displayed
from jwst_hpastrom.columns import values
from jwst_hpastrom.errors import DegenerateSolutionError, NotEnoughStarsError
from jwst_hpastrom.geometry import clipped_median, robust_sigma
from jwst_hpastrom.kinematics.dispersion import Dispersion
from jwst_hpastrom.kinematics.truncated import fit_truncated
from jwst_hpastrom.ranges import in_range

__all__ = ["BulkMotion", "bulk_motion", "select_members"]

#: expected number of chance clumps as dense, below which a clump is the group
CHANCE = 0.01


@dataclass(frozen=True)
class BulkMotion(Displayed):
    """Mean motion and dispersion of a group of stars.

    Attributes
    ----------
    motion, error : ndarray, shape (2,)
        3σ-clipped median and its standard error, right ascension (times cos dec) and declination, mas/yr.

    dispersion : `~jwst_hpastrom.kinematics.Dispersion`
        Isotropic, of the stars within the limiting radius, freed of the errors and of the cut.

    n : int
        Stars in the mean.
    """

    motion: np.ndarray
    error: np.ndarray
    dispersion: Dispersion
    n: int


@in_range
def select_members(
    table: Table,
    *,
    ra: float,
    dec: float,
    radius: float = 25.0,
    motion: Sequence[float] | np.ndarray | None = None,
    circles: Sequence[tuple[float, float]] = ((-5.5, 0.04), (-3.5, 0.07)),
    cmd: np.ndarray | None = None,
) -> np.ndarray:
    """Choose likely members by position, color-magnitude diagram and motion (L23 §5).

    Parameters
    ----------
    table : `~astropy.table.Table`
        ra, dec, mag, pmra, pmdec.

    ra, dec : float
        Center of the cluster, degrees.

    radius : float
        arcsec.

    motion : sequence of two float, optional
        The cluster's motion, mas/yr; without it no selection by motion.

    circles : sequence of (magnitude, radius)
        Radius (mas/yr) of the circle about ``motion`` against magnitude, linear between the points and
        constant outside.

    cmd : ndarray of bool, optional
        Stars that fit the color-magnitude diagram (`jwst_hpastrom.motion.selection.select_cmd`).

    Returns
    -------
    ndarray of bool

    Examples
    --------
    >>> import numpy as np
    >>> from astropy.table import Table
    >>> from jwst_hpastrom.kinematics import select_members
    >>> table = Table({"ra": [10.0, 10.0, 10.1], "dec": [0.0, 0.0, 0.0], "mag": [-6.0, -6.0, -6.0]})
    >>> table["pmra"], table["pmdec"] = [1.0, 3.0, 1.0], [0.0, 0.0, 0.0]
    >>> select_members(table, ra=10.0, dec=0.0, motion=(1.0, 0.0))
    array([ True, False, False])
    """
    x = (values(table, "ra") - ra + 180.0) % 360.0 - 180.0
    x, y = x * np.cos(np.deg2rad(dec)) * 3600.0, (values(table, "dec") - dec) * 3600.0
    keep = np.hypot(x, y) <= radius
    if cmd is not None:
        keep &= np.asarray(cmd, bool)
    if motion is not None:
        magnitude, limit = np.array(sorted(circles), float).T
        r = np.interp(np.asarray(table["mag"], float), magnitude, limit)
        off = [np.asarray(table[c], float) - m for c, m in zip(("pmra", "pmdec"), motion, strict=True)]
        keep &= np.hypot(*off) <= r
    return keep


@in_range
def bulk_motion(
    table: Table, *, limit: float | None = None, sigma: float = 3.0, min_stars: int = 5
) -> BulkMotion:
    """Mean motion (clipped median) of a group, and the dispersion of the stars close to it.

    Parameters
    ----------
    table : `~astropy.table.Table`
        Stars chosen by position and color: pmra, pmdec and errors, mas/yr.

    limit : float, optional
        Stars within this of the mean motion enter mean and dispersion (L23: 3.5 × 0.026 mas/yr). By default
        3.5 times the width of what is found there, errors included.

    sigma : float
        Clipping.

    min_stars : int
        Fewest stars.

    Returns
    -------
    `BulkMotion`

    Raises
    ------
    NotEnoughStarsError
        Too few stars, or too few about the densest motion.

    DegenerateSolutionError
        ``limit`` is too small for the width of what it holds.

    Notes
    -----
    The median is clipped first within ``limit`` of the densest place, so that field stars do not pull it. The
    dispersion is that of a Gaussian cut at ``limit`` on an even background. Where ``limit`` is less than
    three times the total width, that Gaussian's mean stands in for the median, which a narrow circle
    holds fast.

    Examples
    --------
    >>> import numpy as np
    >>> from astropy.table import Table
    >>> from jwst_hpastrom.kinematics import bulk_motion
    >>> rng = np.random.default_rng(1)
    >>> table = Table({"pmra": rng.normal(1, 0.1, 100), "pmdec": rng.normal(2, 0.1, 100)})
    >>> table["pmra_error"] = table["pmdec_error"] = 0.02
    >>> bulk_motion(table).motion.round(1)
    array([1., 2.])
    """
    v = np.stack([values(table, "pmra"), values(table, "pmdec")])
    e = np.stack([values(table, "pmra_error"), values(table, "pmdec_error")])
    ok = np.all(np.isfinite(v) & np.isfinite(e), axis=0)
    v, e = v[:, ok], e[:, ok]
    if v.shape[1] < min_stars:
        raise NotEnoughStarsError(f"{v.shape[1]} stars with motions", f"{min_stars} for a mean motion")
    if limit is not None:
        return _within(v, e, limit, sigma, min_stars)[0]
    widest = max(np.hypot(*(robust_sigma(c) for c in v)), float(np.median(e)))
    typical = limit = float(np.median(e))
    while limit < 10 * widest:
        limit *= 1.5
        try:
            center, width = _within(v, e, limit, sigma, min_stars, only_width=True)
            r = np.hypot(*(v - center[:, None]))
            inside, both = np.sum(r <= limit), np.sum(r <= 2 * limit)
            # a quarter of the area: of an even field, any of the stars may be the middle of a chance clump
            chance = v.shape[1] * binom.sf(inside - 1, both, 0.25)
            if limit >= 3.0 * width and limit > 3.0 * typical and chance < CHANCE:
                return _within(v, e, 3.5 * width, sigma, min_stars)[0]
        except (DegenerateSolutionError, NotEnoughStarsError):
            continue
    return _within(v, e, limit, sigma, min_stars)[0]


def _within(v, e, limit, sigma, min_stars, only_width=False):
    """Bulk motion of the stars within a limit, and their total width."""
    center = v[:, np.argmax(_neighbors(v, 0.5 * limit))]
    for _ in range(20):
        near = np.hypot(*(v - center[:, None])) <= limit
        found = [clipped_median(a[near], sigma=sigma) for a in v]
        new = np.array([f[0] for f in found])
        if near.sum() < min_stars or np.allclose(new, center, atol=1e-12):
            break
        center = new
    near = np.hypot(*(v - center[:, None])) <= limit
    if near.sum() < min_stars:
        raise NotEnoughStarsError(
            f"{int(near.sum())} stars within {limit:.3f} mas/yr of the densest motion", f"{min_stars}"
        )
    dispersion, width = fit_truncated(v[:, near], e[:, near], center, limit, only_width=only_width)
    if only_width:
        return center, width
    error = np.array([f[1] for f in found])
    if limit < 3.0 * width:
        center, error = dispersion.mean, dispersion.mean_error
    return BulkMotion(center, error, dispersion, int(near.sum())), width


def _neighbors(v, radius):
    from scipy.spatial import cKDTree

    points = v.T
    return cKDTree(points).query_ball_point(points, radius, return_length=True)
