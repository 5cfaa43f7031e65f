"""A cluster's motion and dispersion where field stars move almost the same way: two components at once."""

from dataclasses import dataclass

import numpy as np
from astropy.table import Table
from scipy.optimize import brentq
from scipy.special import ndtri

from jwst_hpastrom._display import Displayed
from jwst_hpastrom.errors import DegenerateSolutionError, NotEnoughStarsError
from jwst_hpastrom.geometry import robust_sigma
from jwst_hpastrom.kinematics.dispersion import Dispersion
from jwst_hpastrom.kinematics.members import bulk_motion
from jwst_hpastrom.ranges import in_range

__all__ = ["ClusterMotion", "cluster_motion"]


@dataclass(frozen=True, eq=False)
class ClusterMotion(Displayed):
    """Mean motion, dispersion and members of a cluster.

    Attributes
    ----------
    motion, error : ndarray, shape (2,)
        Mean motion and its standard error, right ascension (times cos dec) and declination, mas/yr.

    dispersion : `~jwst_hpastrom.kinematics.Dispersion`
        Intrinsic, isotropic; ``upper`` is the limit to quote where it is not several errors from zero.

    membership : ndarray
        Probability of each star of the table; zero beyond the radius, NaN without a motion.

    fraction : ndarray
        Members among the stars of each ring, from the center outwards.
    """

    motion: np.ndarray
    error: np.ndarray
    dispersion: Dispersion
    membership: np.ndarray
    fraction: np.ndarray


def _field_density(v, field):
    """Density of the field's motions at v: a kernel for every star, shape (n,)."""
    width = np.array([robust_sigma(c) for c in field]) * field.shape[1] ** (-1 / 6)
    z = (v[:, :, None] - field[:, None, :]) / width[:, None, None]
    return np.mean(np.exp(-0.5 * np.sum(z**2, axis=0)), axis=1) / (2 * np.pi * width.prod())


class _Mixture:
    """Π [f N(v; mean, s² + e²) + (1 - f) field(v)] over the stars, with f of each star's ring."""

    def __init__(self, v, variance, field, ring):
        self.v, self.variance, self.field, self.ring = v, variance, field, ring
        self.n_rings = ring.max() + 1

    def fit(self, s2: float, mean: np.ndarray, f: np.ndarray) -> tuple[float, np.ndarray]:
        """Maximize over mean and fractions for a dispersion; also leaves the memberships."""
        w = 1.0 / (self.variance + s2)
        count = np.bincount(self.ring)
        for _ in range(500):
            d = self.v - mean[:, None]
            cluster = np.sqrt(w[0] * w[1]) / (2 * np.pi) * np.exp(-0.5 * np.sum(d**2 * w, axis=0))
            total = f[self.ring] * cluster + (1 - f[self.ring]) * self.field + 1e-300
            member = f[self.ring] * cluster / total
            new = np.sum(member * w * self.v, axis=1) / np.sum(member * w, axis=1)
            f = np.clip(np.bincount(self.ring, member) / count, 1e-6, 1 - 1e-6)
            done = np.abs(new - mean).max() < 1e-8
            mean = new
            if done:
                break
        self.member, self.fraction = member, f
        # what the stars tell of the parameters together: the sum of the scores' outer products
        scores = np.zeros((2 + self.n_rings, self.v.shape[1]))
        scores[:2] = member * d * w
        scores[2 + self.ring, np.arange(self.ring.size)] = (cluster - self.field) / total
        self.covariance = np.linalg.pinv(scores @ scores.T)
        return float(np.log(total).sum()), mean


@in_range
def cluster_motion(
    table: Table,
    *,
    ra: float,
    dec: float,
    radius: float = 25.0,
    field_radius: float | None = None,
    n_rings: int = 3,
    confidence: float = 0.95,
    min_stars: int = 20,
    most: float | None = None,
) -> ClusterMotion:
    """Fit the motion of a cluster's stars on top of the field's, which is taken from the stars around it.

    Each star within ``radius`` is a member with a probability that depends on its ring about the center and
    on its motion; the field's distribution of motions is that of the stars beyond ``field_radius``, a kernel
    each. A clipped median (`bulk_motion`, L23 §5) is drawn towards the field where the two overlap.

    Parameters
    ----------
    table : `~astropy.table.Table`
        ra, dec (deg), pmra, pmdec and errors (mas/yr) of stars of one kind: alike in color and magnitude.
        Where it has pmra_error_systematic, the stars' median of it goes into the error of the mean.

    ra, dec : float
        Center, degrees.

    radius, field_radius : float
        arcsec; the field begins at twice the radius by default.

    n_rings : int
        Rings of equal numbers of stars with a fraction of members each.

    confidence : float
        Of the one-sided upper limit of the dispersion.

    min_stars : int
        Fewest stars within the radius and in the field.

    most : float, optional
        Largest dispersion looked for, mas/yr; by default the scatter of all motions within the radius.

    Returns
    -------
    `ClusterMotion`

    Raises
    ------
    NotEnoughStarsError

    DegenerateSolutionError
        The likelihood still rises at ``most``.
    """
    r = _distance(table, ra, dec)
    v = np.stack([np.asarray(table[c], float) for c in ("pmra", "pmdec")])
    e = np.stack([np.asarray(table[f"{c}_error"], float) for c in ("pmra", "pmdec")])
    ok = np.all(np.isfinite(v) & np.isfinite(e) & (e > 0), axis=0)
    near = np.flatnonzero(ok & (r <= radius))
    far = ok & (r > (2 * radius if field_radius is None else field_radius))
    if min(near.size, far.sum()) < min_stars:
        raise NotEnoughStarsError(
            f"{near.size} stars within {radius:g} arcsec, {int(far.sum())} around", f"{min_stars} of both"
        )
    ring = np.minimum(np.argsort(np.argsort(r[near])) * n_rings // near.size, n_rings - 1)
    start = bulk_motion(table[near]).motion
    mixture = _Mixture(v[:, near], e[:, near] ** 2, _field_density(v[:, near], v[:, far]), ring)
    half = np.full(n_rings, 0.5)

    typical = float(np.median(e[:, near]))
    most = 2.0 * max(*(robust_sigma(c) for c in v[:, near]), typical) if most is None else most
    sigma, sigma_error, upper = _dispersion(
        lambda s: mixture.fit(s * s, start, half)[0], 0.05 * typical, most, 0.5 * ndtri(confidence) ** 2
    )
    mean = mixture.fit(sigma * sigma, start, half)[1]
    error = _with_systematic(np.sqrt(np.diag(mixture.covariance)[:2]), table[near])
    membership = np.where(ok, 0.0, np.nan)
    membership[near] = mixture.member
    n = round(mixture.member.sum())
    dispersion = Dispersion(mean, error, float(sigma), float(sigma_error), float(upper), n)
    return ClusterMotion(mean, error, dispersion, membership, mixture.fraction)


def _distance(table, ra, dec):
    """Distances of the stars from a place, arcsec."""
    x = ((np.asarray(table["ra"], float) - ra + 180.0) % 360.0 - 180.0) * np.cos(np.deg2rad(dec)) * 3600.0
    return np.hypot(x, (np.asarray(table["dec"], float) - dec) * 3600.0)


def _with_systematic(error, stars):
    """Errors of the mean motion with those that the stars have in common, in quadrature."""
    error = error.copy()
    for k, name in enumerate(("pmra_error_systematic", "pmdec_error_systematic")):
        if name in stars.colnames:
            error[k] = np.hypot(error[k], np.nanmedian(np.asarray(stars[name], float)))
    return error


def _dispersion(profile, least, most, drop):
    """Where the profile likelihood is highest, the error of that, and where it is ``drop`` lower."""
    grid = np.r_[0.0, np.geomspace(least, most, 40)]
    values = np.array([profile(s) for s in grid])
    best = int(values.argmax())
    if best == grid.size - 1:
        raise DegenerateSolutionError(
            f"a dispersion of most={most:.3g} mas/yr or more", "one below", "raise most; is there a cluster?"
        )
    sigma, top = grid[best], values[best]
    step = 0.25 * (grid[min(best + 1, grid.size - 1)] - grid[max(best - 1, 0)])
    if 0 < best < grid.size - 1:
        a = np.array([profile(sigma - step), top, profile(sigma + step)])
        curvature = a[0] - 2 * a[1] + a[2]
        sigma += 0.5 * step * (a[0] - a[2]) / curvature if curvature < 0 else 0.0
        top = max(top, profile(sigma))
        sigma_error = step / np.sqrt(-curvature) if curvature < 0 else np.nan
    else:
        sigma_error = np.nan
    while values[-1] > top - drop and grid[-1] < 20 * most:
        grid = np.r_[grid, 1.3 * grid[-1]]
        values = np.r_[values, profile(grid[-1])]
    beyond = np.flatnonzero((grid > sigma) & (values < top - drop))
    upper = brentq(lambda s: profile(s) - top + drop, sigma, grid[beyond[0]]) if beyond.size else np.nan
    return sigma, sigma_error, upper
