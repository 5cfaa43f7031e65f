"""L23 §5 in one go: populations, their groups and dispersions, and a cluster, from a table of motions."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from astropy.table import Table
from scipy.spatial import cKDTree

from jwst_hpastrom import plot
from jwst_hpastrom._display import Displayed
from jwst_hpastrom.columns import BRIGHT
from jwst_hpastrom.errors import BadCatalogError, NotEnoughStarsError
from jwst_hpastrom.geometry import robust_sigma
from jwst_hpastrom.kinematics.cluster import ClusterMotion, cluster_motion
from jwst_hpastrom.kinematics.dispersion import Dispersion, fit_isotropic
from jwst_hpastrom.kinematics.members import select_members
from jwst_hpastrom.kinematics.populations import ProjectedGroups, fit_projected_groups, project
from jwst_hpastrom.kinematics.velocities import to_km_s
from jwst_hpastrom.motion.selection import select_cmd, well_measured

__all__ = ["Study", "color_split", "densest_place", "study_field"]

MOTIONS = ("pmra", "pmdec", "pmra_error", "pmdec_error")


@dataclass(frozen=True, eq=False)
class Study(Displayed):
    """Result of `study_field`; what the stars do not allow is None.

    Attributes
    ----------
    motions : `~astropy.table.Table`
        The table studied.

    split : float
        Color between the young (blue) and the old (red) population.

    good, old, young : ndarray of bool
        Well-measured stars, and the two populations among the bright of them.

    old_dispersion, young_dispersion : `~jwst_hpastrom.kinematics.Dispersion` or None

    center : tuple of float or None
        Of the cluster, degrees.

    cluster : `~jwst_hpastrom.kinematics.ClusterMotion` or None
        Its ``membership`` is that of the rows ``cluster_rows``.

    cluster_rows, members : ndarray of int, ndarray of bool
        Rows that the cluster was sought among; its likely members of all magnitudes (L23 Fig. 25).

    groups : `~jwst_hpastrom.kinematics.ProjectedGroups` or None
        Of the young stars.

    along : ndarray
        Motions of the young stars along the groups' axis, mas/yr.

    origin : tuple of float
        Zero of that axis, mas/yr.

    summary : `~astropy.table.Table`
        quantity, value, error, unit.
    """

    motions: Table
    split: float
    good: np.ndarray
    old: np.ndarray
    young: np.ndarray
    old_dispersion: Dispersion | None
    young_dispersion: Dispersion | None
    center: tuple | None
    cluster: ClusterMotion | None
    cluster_rows: np.ndarray
    members: np.ndarray
    groups: ProjectedGroups | None
    along: np.ndarray
    origin: tuple
    summary: Table

    def __repr__(self):
        found = [n for n in ("cluster", "groups") if getattr(self, n) is not None]
        return (
            f"<{type(self).__name__}: {len(self.motions)} stars, {int(self.old.sum())} old and "
            f"{int(self.young.sum())} young ones{''.join(f', {n}' for n in found)}>"
        )

    def plot(self, ax: Any = None) -> Any:
        """Draw the vector-point diagram, see `jwst_hpastrom.plot.motion_diagram`."""
        return plot.motion_diagram(self.motions, ax)


def color_split(color: np.ndarray, n_bins: int = 64) -> float:
    """Return the color that divides a sample in two with the least scatter within either (Otsu 1979).

    Examples
    --------
    >>> import numpy as np
    >>> from jwst_hpastrom.kinematics import color_split
    >>> color = np.concatenate([np.full(50, 0.2), np.full(50, 1.4)])
    >>> 0.2 < color_split(color) < 1.4
    True
    """
    color = np.asarray(color, float)
    color = color[np.isfinite(color)]
    if color.size < 10:
        raise NotEnoughStarsError(f"{color.size} stars with colors", "10 to divide them")
    low, high = np.quantile(color, [0.005, 0.995])
    counts, edges = np.histogram(color, n_bins, (low, high))
    middle = 0.5 * (edges[1:] + edges[:-1])
    n, total = np.cumsum(counts)[:-1], np.cumsum(counts * middle)[:-1]
    rest = counts.sum() - n
    with np.errstate(invalid="ignore", divide="ignore"):
        between = n * rest * (total / n - ((counts * middle).sum() - total) / rest) ** 2
    best = np.flatnonzero(between >= np.nanmax(between) * (1 - 1e-9))
    return float(np.mean(edges[1:-1][best]))


def densest_place(ra: np.ndarray, dec: np.ndarray, radius: float = 10.0) -> tuple[float, float] | None:
    """Return the place (ra, dec in degrees) with the most stars within ``radius`` arcsec.

    Examples
    --------
    >>> import numpy as np
    >>> from jwst_hpastrom.kinematics import densest_place
    >>> ra = np.concatenate([np.full(30, 10.0), np.linspace(9.9, 10.1, 20)])
    >>> [round(float(v), 3) for v in densest_place(ra, np.zeros(50), radius=5.0)]
    [10.0, 0.0]
    """
    ra, dec = np.asarray(ra, float), np.asarray(dec, float)
    squeeze = np.cos(np.deg2rad(np.median(dec)))
    points = np.c_[(ra - ra[0] + 180.0) % 360.0 - 180.0, dec] * [3600.0 * squeeze, 3600.0]
    tree = cKDTree(points)
    near = tree.query_ball_point(points, radius)
    best = max(near, key=len)
    for _ in range(5):
        middle = points[best].mean(axis=0)
        best = tree.query_ball_point(middle, radius)
    return float(ra[0] + middle[0] / 3600.0 / squeeze), float(middle[1] / 3600.0)


def study_field(
    motions: Table,
    *,
    rng: np.random.Generator,
    split: float | None = None,
    bright: tuple[float, ...] = BRIGHT,
    center: tuple[float, ...] | None = None,
    radius: float = 25.0,
    n_groups: int = 3,
    n_realizations: int = 1000,
    distance_kpc: float | None = None,
    distance_error: float | None = 0.0,
) -> Study:
    """Study the kinematics of a field as L23 §5 does.

    Parameters
    ----------
    motions : `~astropy.table.Table`
        Motions with columns mag and color (`~jwst_hpastrom.motion.two_epoch_motions`).

    rng : `numpy.random.Generator`
        Of the noise realizations.

    split : float, optional
        Color between the populations; by default the one that divides the bright stars best.

    bright : tuple of float
        Magnitudes of the stars with the best motions.

    center : tuple of float or 'densest', optional
        Of the cluster, degrees; 'densest' is the densest place of the young stars. By default no cluster is
        looked for.

    radius : float
        Of the cluster, arcsec.

    n_groups, n_realizations : int
        See `fit_projected_groups`.

    distance_kpc, distance_error : float, optional
        For velocities in km/s; without a distance all is in mas/yr.

    Returns
    -------
    `Study`

    Raises
    ------
    BadCatalogError
        If the table has no colors.
    """
    if "color" not in motions.colnames:
        raise BadCatalogError("motions without colors", "a column color", "combine two filters")
    mag, color = (np.asarray(motions[c], float) for c in ("mag", "color"))
    good = well_measured(motions)
    in_range = good & select_cmd(mag, mag_range=bright) & np.isfinite(color)
    split = color_split(color[in_range]) if split is None else float(split)
    old, young = in_range & (color > split), in_range & (color <= split)

    def dispersion(rows):
        return fit_isotropic(*(motions[c][rows] for c in MOTIONS)) if rows.sum() >= 10 else None

    blue = np.flatnonzero(good & (color <= split) & (mag >= bright[0] - 1.5) & (mag <= bright[1] + 0.5))
    cluster, place = _cluster(motions[blue], center, radius)
    members = np.zeros(len(motions), bool)
    if cluster is not None and place is not None:
        members = good & select_members(
            motions, ra=place[0], dec=place[1], radius=radius, motion=cluster.motion
        )

    groups, along, origin = _groups(motions[young], cluster, rng, n_groups, n_realizations)
    found = dispersion(old), dispersion(young)
    rows = _summary(split, *found, cluster, groups, distance_kpc, distance_error)
    return Study(
        motions, split, good, old, young, *found, place, cluster, blue, members, groups, along, origin, rows
    )


def _cluster(stars, center, radius):
    """The cluster's motion and place; None where there is none, or too few stars."""
    cluster, place = None, None if center == "densest" else center
    try:
        if center == "densest" and len(stars):
            place = densest_place(stars["ra"], stars["dec"])
        if place is not None:
            cluster = cluster_motion(stars, ra=place[0], dec=place[1], radius=radius)
    except NotEnoughStarsError:
        pass
    return cluster, place


def _groups(stars, cluster, rng, n_groups, n_realizations):
    """Groups of motions along the axis of the largest scatter, and that axis; None of too few stars."""
    if len(stars) < 30 * n_groups:
        return None, np.zeros(0), (0.0, 0.0)
    along, error, angle, origin, start = _axis(stars, cluster, n_groups)
    groups = fit_projected_groups(
        along, error, rng=rng, n_groups=n_groups, n_realizations=n_realizations, start=start, angle=angle
    )
    return groups, along, origin


def _axis(stars, cluster, n_groups):
    """Motions along the direction in which they scatter most, and where the search for groups starts."""
    v = np.stack([np.asarray(stars[c], float) for c in MOTIONS[:2]])
    middle = np.median(v, axis=1)
    keep = np.all(np.abs(v - middle[:, None]) < [[6 * robust_sigma(c)] for c in v], axis=0)
    axis = np.linalg.eigh(np.cov(v[:, keep]))[1][:, -1]
    axis *= np.sign(axis[0])
    angle = float(np.rad2deg(np.arctan2(axis[1], axis[0])))
    origin = tuple(cluster.motion if cluster is not None else middle)
    along, error = project(*(stars[c] for c in MOTIONS), angle=angle, origin=origin)
    start = None
    if cluster is not None and n_groups == 3:  # the cluster's place in the histogram is known
        share = min(max(2.0 * cluster.dispersion.n / len(stars) / 3.0, 0.02), 0.5)
        width = float(np.hypot(np.sqrt(2) * np.median(error), cluster.dispersion.sigma))
        low, high = np.quantile(along, [0.06, 0.6])
        start = [(0.12, low, 2 * width), (share, 0.0, width), (0.88 - share, high, robust_sigma(along))]
    return along, error, angle, origin, start


def _summary(split, old, young, cluster, groups, distance_kpc, distance_error):
    rows = [("color between the populations", split, np.nan, "mag")]
    for name, d in (("old", old), ("young", young)):
        if d is not None:
            rows += [
                (f"{name} stars", float(d.n), np.nan, ""),
                (f"{name}: pmra", float(d.mean[0]), float(d.mean_error[0]), "mas/yr"),
                (f"{name}: pmdec", float(d.mean[1]), float(d.mean_error[1]), "mas/yr"),
                (f"{name}: dispersion", d.sigma, d.sigma_error, "mas/yr"),
            ]
            if distance_kpc is not None:
                v = to_km_s(d.sigma, distance_kpc, motion_error=d.sigma_error, distance_error=distance_error)
                rows.append((f"{name}: dispersion", *v, "km/s"))
    if cluster is not None:
        d = cluster.dispersion
        rows += [
            ("cluster: pmra", float(cluster.motion[0]), float(cluster.error[0]), "mas/yr"),
            ("cluster: pmdec", float(cluster.motion[1]), float(cluster.error[1]), "mas/yr"),
            ("cluster: dispersion", d.sigma, d.sigma_error, "mas/yr"),
            ("cluster: dispersion, upper limit (95 %)", d.upper, np.nan, "mas/yr"),
        ]
        if distance_kpc is not None:
            upper = to_km_s(d.upper, distance_kpc)[0]
            rows.append(("cluster: dispersion, upper limit (95 %)", upper, np.nan, "km/s"))
    if groups is not None:
        for k in range(groups.fraction.size):
            rows += [
                (f"group {k + 1}: fraction", groups.fraction[k], groups.fraction_error[k], ""),
                (f"group {k + 1}: place on the axis", groups.mean[k], groups.mean_error[k], "mas/yr"),
                (f"group {k + 1}: dispersion", groups.sigma[k], groups.sigma_error[k], "mas/yr"),
            ]
    table = Table(rows=rows, names=("quantity", "value", "error", "unit"), dtype=(str, float, float, str))
    for name in ("value", "error"):
        table[name].info.format = ".5g"
    return table
