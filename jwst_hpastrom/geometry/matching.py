"""Cross-identification by position: nearest partners, and blind search for offset, rotation and scale."""

from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree

from jwst_hpastrom.errors import NoOverlapError, NotEnoughStarsError
from jwst_hpastrom.geometry._kernels import vote_shifts
from jwst_hpastrom.geometry.transform import LinearTransform, fit_linear

__all__ = ["BlindMatch", "match_blind", "match_nearest"]


def match_nearest(x1, y1, x2, y2, radius):
    """Pair each star with its nearest partner, where the two are each other's nearest.

    Parameters
    ----------
    x1, y1, x2, y2 : ndarray
        Positions of the two lists in one frame; NaN never match.

    radius : float
        Largest distance of a pair.

    Returns
    -------
    i1, i2 : ndarray of int
        Indices of the pairs, i1 rising.

    distance : ndarray
    """
    ok1, ok2 = (
        np.flatnonzero(np.isfinite(x1) & np.isfinite(y1)),
        np.flatnonzero(np.isfinite(x2) & np.isfinite(y2)),
    )
    empty = np.zeros(0, int)
    if ok1.size == 0 or ok2.size == 0:
        return empty, empty, np.zeros(0)
    a = np.c_[np.asarray(x1, float)[ok1], np.asarray(y1, float)[ok1]]
    b = np.c_[np.asarray(x2, float)[ok2], np.asarray(y2, float)[ok2]]
    d12, to2 = cKDTree(b).query(a, distance_upper_bound=radius)
    _, to1 = cKDTree(a).query(b, distance_upper_bound=radius)
    found = np.flatnonzero(np.isfinite(d12))
    mutual = found[to1[to2[found]] == found]
    return ok1[mutual], ok2[to2[mutual]], d12[mutual]


@dataclass(frozen=True)
class BlindMatch:
    """Result of `match_blind`.

    Attributes
    ----------
    transform : `~jwst_hpastrom.geometry.LinearTransform`
        List 1 to list 2.

    i1, i2 : ndarray of int
        Matched pairs.

    rms : float
        Scatter per axis of the pairs, in units of list 2.

    significance : float
        Votes of the best offset in excess of those by chance, over their Poisson error.
    """

    transform: LinearTransform
    i1: np.ndarray
    i2: np.ndarray
    rms: float
    significance: float


def _brightest(x, y, mag, n):
    ok = np.flatnonzero(np.isfinite(x) & np.isfinite(y))
    if mag is not None:
        ok = ok[np.argsort(np.where(np.isfinite(mag[ok]), mag[ok], np.inf), kind="stable")]
    return ok[:n]


def match_blind(
    x1,
    y1,
    x2,
    y2,
    *,
    mag1=None,
    mag2=None,
    max_shift=None,
    max_rotation=1.5,
    scale=1.0,
    scale_tolerance=0.0,
    parity=1,
    radius=None,
    n_bright=300,
    min_stars=6,
    parameters=6,
):
    """Find the transformation between two lists that may be shifted, turned and scaled.

    Offsets of all pairs of bright stars vote, for each trial rotation and scale; the best offset is
    refined with growing numbers of stars and shrinking radii.

    Parameters
    ----------
    x1, y1, x2, y2 : ndarray
        Positions.

    mag1, mag2 : ndarray, optional
        Magnitudes, to choose the brightest stars by; without them, the lists' own order counts.

    max_shift : float, optional
        Largest offset of the lists' centres (as they stand), units of list 2. None: anything that overlaps.

    max_rotation : float
        Largest rotation, degrees; 180 for any.

    scale, scale_tolerance : float
        Units of list 2 per unit of list 1, and its largest relative error.

    parity : {1, -1}
        -1 where the first list is mirrored (x to the other side).

    radius : float, optional
        Final matching radius, units of list 2; by default five times the scatter that the fit itself finds.

    n_bright : int
        Stars of each list that vote.

    min_stars : int
        Fewest pairs allowed.

    parameters : {4, 6}
        Of the final transformation.

    Returns
    -------
    `BlindMatch`

    Raises
    ------
    NotEnoughStarsError
        If a list is too short.

    NoOverlapError
        If no offset stands out from chance.
    """
    x1, y1, x2, y2 = (np.asarray(a, float) for a in (x1, y1, x2, y2))
    mag1 = None if mag1 is None else np.asarray(mag1, float)
    mag2 = None if mag2 is None else np.asarray(mag2, float)
    k1, k2 = _brightest(x1, y1, mag1, n_bright), _brightest(x2, y2, mag2, n_bright)
    if min(k1.size, k2.size) < min_stars:
        raise NotEnoughStarsError(f"lists of {k1.size} and {k2.size} stars", f"{min_stars} stars in each")
    centre = np.array([np.median(x1[k1]), np.median(y1[k1])])
    ax, ay = (x1[k1] - centre[0]) * parity, y1[k1] - centre[1]
    bx, by = x2[k2], y2[k2]
    extent = max(np.ptp(ax), np.ptp(ay)) * scale
    area = max(np.ptp(bx), np.ptp(by), extent)
    # A cell a good deal smaller than the mean separation, a rotation step that moves the edge by a cell.
    cell = max(0.15 * area / np.sqrt(k2.size), 1e-9 * area)
    step = np.rad2deg(cell / (0.5 * extent))
    angles = np.linspace(-max_rotation, max_rotation, 2 * int(np.ceil(max_rotation / step)) + 1)
    s_step = cell / (0.5 * extent)
    n_scale = int(np.ceil(scale_tolerance / s_step))
    scales = scale * (1 + np.linspace(-scale_tolerance, scale_tolerance, 2 * n_scale + 1))
    if max_shift is None:
        x_min, x_max = bx.min() - 0.75 * extent, bx.max() + 0.75 * extent
        y_min, y_max = by.min() - 0.75 * extent, by.max() + 0.75 * extent
    else:
        u0, v0 = centre
        x_min, x_max, y_min, y_max = u0 - max_shift, u0 + max_shift, v0 - max_shift, v0 + max_shift
    x_min, y_min = x_min - cell, y_min - cell
    nx, ny = int((x_max - x_min) / cell) + 3, int((y_max - y_min) / cell) + 3
    counts = np.zeros(nx * ny, np.int64)
    trials = []
    for s in scales:
        for angle in angles:
            c, q = s * np.cos(np.deg2rad(angle)), s * np.sin(np.deg2rad(angle))
            votes, arg = vote_shifts(
                c * ax - q * ay, q * ax + c * ay, bx, by, cell, x_min, y_min, nx, ny, counts
            )
            trials.append((votes, s, angle, arg))
    trials.sort(key=lambda t: -t[0])
    expected = 4 * cell**2 * k1.size * k2.size / area**2
    best = None
    for votes, s, angle, arg in trials[:8]:
        c, q = s * np.cos(np.deg2rad(angle)), s * np.sin(np.deg2rad(angle))
        matrix = np.array([[c, -q], [q, c]]) @ np.diag([parity, 1.0])
        offset = np.array([x_min + (arg % nx + 1) * cell, y_min + (arg // nx + 1) * cell])
        start = LinearTransform(matrix, offset, centre)
        try:
            found = _refine(start, x1, y1, x2, y2, k1, k2, 1.5 * cell, radius, min_stars, parameters)
        except NotEnoughStarsError:
            continue
        if best is None or found[1].size > 1.05 * best[1].size:
            best = (*found, (votes - expected) / np.sqrt(max(expected, 1.0)))
    if best is None:
        raise NoOverlapError(
            f"no offset that stands out ({trials[0][0]} coinciding pairs of bright stars, "
            f"{expected:.0f} expected by chance)",
            f"{min_stars} stars in common",
            "check pointing, scale and field",
        )
    return BlindMatch(*best)


def _chance(x2, y2, n1, radius):
    area = max(np.ptp(x2) * np.ptp(y2), 1e-30)
    return n1 * min(1.0, np.pi * radius**2 * x2.size / area)


def _refine(start, x1, y1, x2, y2, k1, k2, first_radius, radius, min_stars, parameters):
    """Match bright stars, then all, with shrinking radius; refuse what chance explains."""
    t, r = start, first_radius
    for subset, pars in (
        (True, 4),
        (True, 4),
        (False, 4),
        (False, parameters),
        (False, parameters),
        (False, parameters),
    ):
        j1 = k1 if subset else np.flatnonzero(np.isfinite(x1 + y1))
        j2 = k2 if subset else np.flatnonzero(np.isfinite(x2 + y2))
        u, v = t.forward(x1[j1], y1[j1])
        if not subset and radius is not None:
            r = min(r, max(radius, 1e-12))
        i, j, _ = match_nearest(u, v, x2[j2], y2[j2], r)
        if subset and i.size < max(
            min_stars, 1.5 * _chance(x2[j2], y2[j2], j1.size, r) / (1 + _chance(x2[j2], y2[j2], 1, r))
        ):
            raise NotEnoughStarsError(f"{i.size} coincidences", "more than by chance")
        fit = fit_linear(
            x1[j1][i],
            y1[j1][i],
            x2[j2][j],
            y2[j2][j],
            parameters=pars,
            min_stars=max(min_stars, parameters // 2 + 1),
        )
        if not subset or pars == 4:
            t = fit.transform
        # Real pairs crowd round zero, chance ones spread over the circle: shrink to the former.
        r = float(np.clip(6 * fit.rms, 0.02 * first_radius, r))
    u, v = t.forward(x1, y1)
    final = radius if radius is not None else max(5 * fit.rms, 1e-9)
    i, j, _ = match_nearest(u, v, x2, y2, final)
    if i.size < min_stars or i.size < 3 * _chance(x2, y2, x1.size, final) * np.exp(-3):
        raise NotEnoughStarsError(f"{i.size} pairs", f"{min_stars}")
    return t, i, j, fit.rms
