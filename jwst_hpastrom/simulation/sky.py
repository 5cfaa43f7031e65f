"""Stars with motions, and what an earlier epoch knew of them."""

from typing import Any

import numpy as np
from astropy.table import Table
from scipy.spatial import cKDTree

from jwst_hpastrom.geometry import TangentPlane, propagate
from jwst_hpastrom.simulation.camera import SCALE

__all__ = ["first_epoch_catalog", "make_stars", "positions_at"]

#: share, mean motion (mas/yr, East and North) and dispersion of the simulated populations
POPULATIONS = (
    (0.62, (1.88, 0.36), 0.145),  # old
    (0.30, (1.96, 0.28), 0.080),  # young
    (0.08, (1.64, 0.45), 0.045),  # a young group of its own motion
)


def make_stars(config: Any, plane: TangentPlane, rng: np.random.Generator) -> Table:
    """Draw the true stars of a field.

    Parameters
    ----------
    config : `~jwst_hpastrom.simulation.FieldConfig`

    plane : `~jwst_hpastrom.geometry.TangentPlane`

    rng : `~numpy.random.Generator`

    Returns
    -------
    `~astropy.table.Table`
        ``id xi eta`` (arcsec, at the metadata's epoch) ``mag`` (instrumental) ``pmra pmdec``
        (mas/yr) ``population color``.
    """
    half_x, half_y = config.half_field
    share = 4 * half_x * half_y / (config.shape[0] * config.shape[1] * SCALE**2)
    n = max(round(config.n_stars * share), 1)
    xi, eta = rng.uniform(-half_x, half_x, n), rng.uniform(-half_y, half_y, n)
    # a luminosity function that rises as 10**(slope * mag)
    k = config.mag_slope * np.log(10)
    span = np.expm1(k * (config.mag_faint - config.mag_bright))
    mag = config.mag_bright + np.log1p(rng.uniform(0, 1, n) * span) / k
    population = rng.choice(len(POPULATIONS), n, p=[p[0] for p in POPULATIONS])
    motion = rng.normal(0, 1, (n, 2))
    for p, (_, mean, sigma) in enumerate(POPULATIONS):
        motion[population == p] = motion[population == p] * sigma + mean
    color = np.where(population == 0, 0.9 + 0.05 * (mag + 6), 0.02 + 0.09 * (mag + 6))
    color = color + rng.normal(0, 0.03, n)
    if config.cluster_fraction:
        m = int(config.cluster_fraction * n)
        size = 0.12 * min(half_x, half_y)
        xi[:m], eta[:m] = (rng.normal(c, size, m) for c in (0.35 * half_x, -0.3 * half_y))
        motion[:m] = rng.normal((1.87, 0.32), 0.007, (m, 2))
        population[:m] = len(POPULATIONS)
        color[:m] = 0.02 + 0.09 * (mag[:m] + 6) + rng.normal(0, 0.02, m)
    if config.min_separation > 0:
        keep = _thin(xi, eta, mag, config.min_separation * SCALE)
        xi, eta, mag, color, population = (a[keep] for a in (xi, eta, mag, color, population))
        motion = motion[keep]
    return Table(
        {
            "id": np.arange(xi.size),
            "xi": xi,
            "eta": eta,
            "mag": mag,
            "pmra": motion[:, 0],
            "pmdec": motion[:, 1],
            "population": population,
            "color": color,
        },
        meta={"epoch": config.star_epoch or config.epoch, **plane.to_meta()},
    )


def _thin(xi, eta, mag, radius):
    """Indices of stars such that none has a brighter one that was kept within ``radius``."""
    keep = np.ones(xi.size, bool)
    rank = np.argsort(np.argsort(mag))
    for i, j in sorted(
        cKDTree(np.c_[xi, eta]).query_pairs(radius), key=lambda p: min(rank[p[0]], rank[p[1]])
    ):
        bright, faint = (i, j) if rank[i] < rank[j] else (j, i)
        if keep[bright]:
            keep[faint] = False
    return np.flatnonzero(keep)


def positions_at(stars: Table, epoch: float) -> tuple[np.ndarray, np.ndarray]:
    """Sky positions of the stars at an epoch.

    Parameters
    ----------
    stars : `~astropy.table.Table`
        As `make_stars` gives it.

    epoch : float
        Julian year.

    Returns
    -------
    ra, dec : ndarray
        Degrees.
    """
    plane = _plane(stars)
    return plane.to_sky(*_moved(stars, epoch))


def _plane(stars):
    """The tangent plane of the stars' positions."""
    return TangentPlane.from_meta(stars.meta)


def _moved(stars, epoch):
    """Positions on the tangent plane at another epoch, arcsec."""
    columns = (np.asarray(stars[c]) for c in ("xi", "eta", "pmra", "pmdec"))
    return propagate(*columns, epoch - stars.meta["epoch"])


def first_epoch_catalog(stars: Table, config: Any, rng: np.random.Generator) -> Table:
    """What an earlier catalog says: positions, magnitudes and motions with errors.

    Parameters
    ----------
    stars : `~astropy.table.Table`

    config : `~jwst_hpastrom.simulation.FieldConfig`

    rng : `~numpy.random.Generator`

    Returns
    -------
    `~astropy.table.Table`
        ``id ra dec`` (deg) ``ra_error dec_error`` (mas) ``pmra pmdec pmra_error pmdec_error`` (mas/yr)
        ``mag color x y``; meta has the epoch and the tangent plane. ``id`` is a number of its own, not the
        truth's (which is kept in ``stars`` only).
    """
    plane = _plane(stars)
    n = len(stars)
    mag = np.asarray(stars["mag"])
    growth = np.sqrt(1 + 10 ** (0.5 * (mag + 4)))
    position, motion = config.catalog_error_mas * growth, config.catalog_pm_error * growth
    xi, eta = _moved(stars, config.catalog_epoch)
    noise = rng.normal(0, 1, (5, n))
    xi, eta = xi + noise[0] * position / 1e3, eta + noise[1] * position / 1e3
    ra, dec = plane.to_sky(xi, eta)
    x, y = plane.to_pixels(xi, eta)
    listed = np.flatnonzero((mag < config.catalog_faint) & (rng.uniform(size=n) < 0.97))
    listed = rng.permutation(listed)
    table = Table(
        {
            "id": np.arange(listed.size) + 1,
            "ra": ra[listed],
            "dec": dec[listed],
            "ra_error": position[listed],
            "dec_error": position[listed],
            "pmra": (np.asarray(stars["pmra"]) + noise[2] * motion)[listed],
            "pmdec": (np.asarray(stars["pmdec"]) + noise[3] * motion)[listed],
            "pmra_error": motion[listed],
            "pmdec_error": motion[listed],
            "mag": (mag + 25.0 + 0.02 * noise[4])[listed],
            "color": np.asarray(stars["color"])[listed],
            "x": x[listed],
            "y": y[listed],
        },
        meta={"epoch": config.catalog_epoch, **plane.to_meta()},
    )
    units = {"ra": "deg", "dec": "deg", "mag": "mag", "color": "mag", "x": "pix", "y": "pix"}
    for name in table.colnames[3:5]:
        units[name] = "mas"
    for name in table.colnames[5:9]:
        units[name] = "mas / yr"
    for name, unit in units.items():
        table[name].unit = unit
    return table
