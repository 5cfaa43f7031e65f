"""Cross-identification by position: nearest partners, and blind search for offset, rotation and scale."""

from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree
from scipy.stats import poisson

from jwst_hpastrom._display import Displayed
from jwst_hpastrom.configuration import Configuration, configuration, configured, parameter
from jwst_hpastrom.errors import NoOverlapError, NotEnoughStarsError
from jwst_hpastrom.geometry._kernels import Cells, nearest_in_cells, vote_shifts
from jwst_hpastrom.geometry.few_stars import FEW, find_few
from jwst_hpastrom.geometry.transform import LinearTransform
from jwst_hpastrom.geometry.transform_fits import fit_linear, fit_trial

__all__ = ["BlindMatch", "BlindSearch", "match_blind", "match_nearest"]


#: largest rotation, degrees, of lists whose orientation counts as known
KNOWN_ANGLE = 10.0


def match_nearest(
    x1: np.ndarray, y1: np.ndarray, x2: np.ndarray, y2: np.ndarray, radius: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
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

    Examples
    --------
    >>> import numpy as np
    >>> from jwst_hpastrom.geometry import match_nearest
    >>> x, y = np.array([0.0, 10.0, 50.0]), np.zeros(3)
    >>> i, j, distance = match_nearest(x, y, np.array([10.3, 0.1]), np.zeros(2), radius=1.0)
    >>> i.tolist(), j.tolist(), distance.round(2).tolist()
    ([0, 1], [1, 0], [0.1, 0.3])
    """
    ok1, ok2 = (
        np.flatnonzero(np.isfinite(x1) & np.isfinite(y1)),
        np.flatnonzero(np.isfinite(x2) & np.isfinite(y2)),
    )
    empty = np.zeros(0, int)
    if ok1.size == 0 or ok2.size == 0:
        return empty, empty, np.zeros(0)
    a = [np.ascontiguousarray(np.asarray(c, float)[ok1]) for c in (x1, y1)]
    b = [np.ascontiguousarray(np.asarray(c, float)[ok2]) for c in (x2, y2)]
    to2, distance = _nearest(a[0], a[1], b[0], b[1], float(radius))
    to1, _ = _nearest(b[0], b[1], a[0], a[1], float(radius))
    found = np.flatnonzero(to2 >= 0)
    mutual = found[to1[to2[found]] == found]
    return ok1[mutual], ok2[to2[mutual]], distance[mutual]


def _nearest(x1, y1, x2, y2, radius):
    x0, y0 = x2.min(), y2.min()
    width, height = float(np.ptp(x2)), float(np.ptp(y2))
    # a star or so in every cell, cells no smaller than the radius
    cell = max(radius, np.sqrt(width * height / x2.size), 1e-3 * max(width, height), 1e-300)
    nx, ny = int(width / cell) + 1, int(height / cell) + 1
    where = np.minimum(((y2 - y0) / cell).astype(np.int64), ny - 1) * nx
    where += np.minimum(((x2 - x0) / cell).astype(np.int64), nx - 1)
    order = np.argsort(where, kind="stable")
    start = np.searchsorted(where[order], np.arange(nx * ny + 1))
    index, distance = np.empty(x1.size, np.int64), np.empty(x1.size)
    cells = Cells(order, start, x0, y0, cell, nx, ny)
    nearest_in_cells(x1, y1, x2, y2, cells, radius, index, distance)
    return index, distance


@dataclass(frozen=True)
class BlindMatch(Displayed):
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
        Coinciding bright stars in excess of those by chance, over their Poisson error.
    """

    transform: LinearTransform
    i1: np.ndarray
    i2: np.ndarray
    rms: float
    significance: float


@configuration
class BlindSearch(Configuration):
    """What `match_blind` looks for."""

    max_shift: float | None = parameter(
        default=None, kind="float, optional", checked=False,
        text="""Largest offset of the lists' centers (as they stand), units of list 2. None: anything that
        overlaps.""",
    )  # fmt: skip
    max_rotation: float = parameter(
        default=1.5, kind="float", checked=False,
        text="Largest rotation, degrees; 180 for any.",
    )  # fmt: skip
    scale: float = parameter(default=1.0, kind="float", text="Units of list 2 per unit of list 1.")
    scale_tolerance: float = parameter(default=0.0, kind="float", text="Largest relative error of the scale.")
    parity: int = parameter(
        default=1, kind="{1, -1}",
        text="-1 where the first list is mirrored (x to the other side).",
    )  # fmt: skip
    radius: float | None = parameter(
        default=None, kind="float, optional",
        text="""Final matching radius, units of list 2; by default the one at which a star has a chance
        partner in one case in a hundred, but five times the scatter of the fit at least and twenty
        times at most.""",
    )  # fmt: skip
    n_bright: int = parameter(
        default=400, kind="int",
        text="""Stars of each list that vote (first a quarter, in the end four times as many, until it is
        decided).""",
    )  # fmt: skip
    min_stars: int = parameter(default=6, kind="int", text="Fewest pairs allowed.")
    parameters: int = parameter(default=6, kind="{4, 6}", text="Of the final transformation.")

    @property
    def aligned_within(self) -> float | None:
        """Largest offset of lists whose axes are nearly the same; None of others."""
        return self.max_shift if self.max_rotation < KNOWN_ANGLE and self.parity > 0 else None


@configured(BlindSearch)
def match_blind(
    x1: np.ndarray,
    y1: np.ndarray,
    x2: np.ndarray,
    y2: np.ndarray,
    *,
    config: BlindSearch,
    mag1: np.ndarray | None = None,
    mag2: np.ndarray | None = None,
) -> BlindMatch:
    """Find the transformation between two lists that may be shifted, turned and scaled.

    Offsets of all pairs of bright stars vote, for each trial rotation and scale; the best offsets are
    refined with shrinking radii, and the best of them is accepted if chance (estimated from the pairs just
    outside the radius, times the number of trials) would give it in less than one case in 10⁴. A list of at
    most 30 stars that gives no such offset is laid on the other pair by pair, where the rotation is known to
    ten degrees (`~jwst_hpastrom.geometry.few_stars.find_few`).

    Parameters
    ----------
    x1, y1, x2, y2 : ndarray
        Positions.

    mag1, mag2 : ndarray, optional
        Magnitudes, to choose the brightest stars by; without them, the lists' own order counts.

    {options}

    Returns
    -------
    `BlindMatch`

    Raises
    ------
    NotEnoughStarsError
        If a list is too short.

    NoOverlapError
        If no offset stands out from chance.

    Examples
    --------
    >>> import numpy as np
    >>> from jwst_hpastrom.geometry import match_blind
    >>> x, y = np.random.default_rng(1).uniform(0, 500, (2, 100))
    >>> found = match_blind(x, y, x + 12.0, y - 7.0, max_shift=50.0, radius=1.0)
    >>> len(found.i1), [round(float(v), 3) for v in found.transform.forward(0.0, 0.0)]
    (100, [12.0, -7.0])
    """
    x1, y1, x2, y2 = (np.asarray(a, float) for a in (x1, y1, x2, y2))
    k1, k2 = _overlap(x1 * config.parity, y1, x2, y2, config.scale, config.aligned_within)
    if min(k1.size, k2.size) < config.min_stars:
        raise NotEnoughStarsError(
            f"lists of {k1.size} and {k2.size} stars", f"{config.min_stars} stars in each"
        )
    best, tried = _search_bright((x1, y1, mag1, k1), (x2, y2, mag2, k2), config)
    few = None
    if best is None or best.log_p > np.log(1e-4 / tried):
        few = _few((x1[k1], y1[k1]), (x2[k2], y2[k2]), config)
    if few is not None:
        best = few
    elif best is None or best.log_p > np.log(1e-4 / tried):
        seen = (
            "no"
            if best is None
            else f"at best {best.n} coinciding bright stars, {best.chance:.1f} by chance, so no"
        )
        raise NoOverlapError(
            f"{seen} offset that stands out from chance",
            f"{config.min_stars} stars in common",
            "do both lists show the same field, at this scale and orientation, x and y not exchanged, no "
            "image flipped, and are their entries stars?",
        )
    return _refine_all(best, x1, y1, x2, y2, config, few is not None)


def _search_bright(first, second, search):
    """Best match of the bright stars of two lists (x, y, mag, rows), and how many places were tried."""
    (x1, y1, mag1, k1), (x2, y2, mag2, k2) = first, second
    min_stars, n_bright = search.min_stars, search.n_bright
    best, tried = None, 0
    # A few decide quickly where they can; lists of different depth or color share few of their brightest.
    for n in (max(n_bright // 4, min_stars), n_bright, 4 * n_bright):
        b1, b2 = _brightest(k1, mag1, n), _brightest(k2, mag2, n)
        starts, n_cells = _vote(x1[b1], y1[b1], x2[b2], y2[b2], search)
        tried += n_cells
        for start, first_radius in starts:
            found = _refine_bright(start, x1[b1], y1[b1], x2[b2], y2[b2], first_radius, min_stars)
            if found is not None and (best is None or found.log_p < best.log_p):
                best = found
                if best.log_p < -50.0 - np.log(tried):
                    break
        if best is not None and best.log_p < np.log(1e-4 / tried):
            break
        if max(k1.size, k2.size) <= n or (n >= n_bright and min(b1.size, b2.size) < n):
            break
    return best, tried


def _few(xy1, xy2, search):
    """The place of a few stars in a list of nearly known orientation, or None."""
    swap = xy2[0].size < xy1[0].size
    short, long = (c[0] + 1j * c[1] for c in ((xy2, xy1) if swap else (xy1, xy2)))
    fewest = max(search.min_stars, 5)
    unknown = search.max_rotation > KNOWN_ANGLE or search.parity < 0
    if short.size > FEW or short.size < fewest or unknown:
        return None
    found = find_few(
        short, long, scale=1 / search.scale if swap else search.scale, scale_tolerance=search.scale_tolerance,
        max_rotation=search.max_rotation, max_shift=search.max_shift, min_stars=fewest,
    )  # fmt: skip
    if found is None or found[-1] > np.log(1e-4):
        return None
    z, offset, radius, n, chance, log_p = found
    if swap:
        z, offset, radius = 1 / z, -offset / z, radius / abs(z)
    matrix = np.array([[z.real, -z.imag], [z.imag, z.real]])
    t = LinearTransform(matrix, np.array([offset.real, offset.imag]), np.zeros(2))
    return _BrightMatch(t, radius, n, chance, log_p)


def _overlap(x1, y1, x2, y2, scale, max_shift):
    """Rows of either list that may have a partner in the other, when the two are almost aligned."""
    k1, k2 = np.flatnonzero(np.isfinite(x1 + y1)), np.flatnonzero(np.isfinite(x2 + y2))
    if max_shift is None or k1.size == 0 or k2.size == 0 or scale != 1.0:
        return k1, k2
    pad = max_shift + 0.02 * max(np.ptp(x1[k1]), np.ptp(y1[k1]))

    def inside(k, x, y, other_x, other_y):
        ok = (x[k] > other_x.min() - pad) & (x[k] < other_x.max() + pad)
        return k[ok & (y[k] > other_y.min() - pad) & (y[k] < other_y.max() + pad)]

    return inside(k1, x1, y1, x2[k2], y2[k2]), inside(k2, x2, y2, x1[k1], y1[k1])


def _brightest(rows, mag, n):
    if mag is None:
        return rows[:n]
    mag = np.asarray(mag, float)[rows]
    return rows[np.argsort(np.where(np.isfinite(mag), mag, np.inf), kind="stable")[:n]]


def _vote(x1, y1, x2, y2, search):
    """Trial transformations with the most coinciding pairs, each with the radius to begin with."""
    max_shift, max_rotation, parity = search.max_shift, search.max_rotation, search.parity
    scale, scale_tolerance = search.scale, search.scale_tolerance
    center = np.array([np.median(x1), np.median(y1)])
    ax, ay = (x1 - center[0]) * parity, y1 - center[1]
    extent = max(np.ptp(ax), np.ptp(ay)) * scale
    area = max(np.ptp(x2), np.ptp(y2), extent, 1e-30)
    # A cell a good deal smaller than the mean separation, and a rotation step that moves the edge by a cell.
    cell = 0.15 * area / np.sqrt(x2.size)
    if max_shift is not None:
        cell = min(cell, max(max_shift / 4, 1e-3 * area))
    step = cell / max(0.5 * extent, cell)
    n_angle = int(np.ceil(np.deg2rad(max_rotation) / step))
    n_scale = int(np.ceil(scale_tolerance / step))
    angles = np.deg2rad(np.linspace(-max_rotation, max_rotation, 2 * n_angle + 1))
    scales = scale * (1 + np.linspace(-scale_tolerance, scale_tolerance, 2 * n_scale + 1))
    if max_shift is None:
        low = np.array([x2.min(), y2.min()]) - 0.75 * extent - cell
        high = np.array([x2.max(), y2.max()]) + 0.75 * extent
    else:
        low, high = center - max_shift - cell, center + max_shift
    nx, ny = (int(n) + 3 for n in (high - low) / cell)
    counts = np.zeros((ny, nx), np.int32)
    ax, ay, bx, by = ax / cell, ay / cell, (x2 - low[0]) / cell, (y2 - low[1]) / cell
    trials = []
    for s in scales:
        for angle in angles:
            c, q = s * np.cos(angle), s * np.sin(angle)
            trials.append((*vote_shifts(c * ax - q * ay, q * ax + c * ay, bx, by, counts), c, q))
    trials.sort(key=lambda t: -t[0])
    starts = []
    for _, column, row, c, q in trials[:12]:
        matrix = np.array([[c, -q], [q, c]]) @ np.diag([parity, 1.0])
        offset = low + (np.array([column, row]) + 1) * cell
        starts.append((LinearTransform(matrix, offset, center), 1.5 * cell))
    return starts, nx * ny * len(trials)


@dataclass(frozen=True)
class _BrightMatch:
    transform: LinearTransform
    radius: float
    n: int
    chance: float
    log_p: float  # of as many coincidences by chance


def _refine_bright(start, x1, y1, x2, y2, first_radius, min_stars):
    """Shrink the radius round a trial; keep the one at which chance explains the coincidences least."""
    tree = cKDTree(np.c_[x2, y2])
    t, r, best = start, first_radius, None
    for _ in range(12):
        u, v = t.forward(x1, y1)
        for _ in range(2):
            i, j, _d = match_nearest(u, v, x2, y2, r)
            if i.size < max(min_stars, 3):
                return best
            try:
                t, rms = fit_trial(x1[i], y1[i], x2[j], y2[j])
            except NotEnoughStarsError:
                return best
            u, v = t.forward(x1, y1)
        points = np.c_[u, v]
        n = match_nearest(u, v, x2, y2, r)[0].size
        ring = tree.query_ball_point(points, 4 * r, return_length=True).sum()
        ring -= tree.query_ball_point(points, 2 * r, return_length=True).sum()
        chance = (ring + 1.0) / 12.0
        log_p = float(poisson.logsf(n - 3, chance))  # two pairs fix a similarity: they prove nothing
        if n >= min_stars and (best is None or log_p <= best.log_p):
            best = _BrightMatch(t, r, n, chance, log_p)
        smaller = np.clip(5 * rms, 0.3 * r, 0.7 * r)
        if 5 * rms > 0.9 * r and best is not None and log_p > best.log_p + 20:
            break
        r = float(smaller)
        if r < 1e-9 * first_radius:
            break
    return best


def _chance_radius(x2, y2, share=0.01):
    """Radius within which this share of stars has a partner by chance."""
    ok = np.isfinite(x2 + y2)
    density = ok.sum() / max(np.ptp(x2[ok]) * np.ptp(y2[ok]), 1e-300)
    return float(np.sqrt(share / np.pi / density))


def _refine_all(best, x1, y1, x2, y2, search, few):
    """From bright stars to all."""
    radius, min_stars, parameters = search.radius, search.min_stars, search.parameters
    t, chance = best.transform, _chance_radius(x2, y2)
    if few:  # one pair by chance would bend the fit: only what lies as close as the pairs that were found
        chance = min(chance, 3 * best.radius)
    r = max(best.radius, chance) if radius is None else max(radius, min(best.radius, 2 * radius))
    need = max(min_stars, parameters // 2 + 1)
    for _ in range(3):
        i, j, _ = match_nearest(*t.forward(x1, y1), x2, y2, r)
        fit = fit_linear(
            x1[i], y1[i], x2[j], y2[j], parameters=parameters if i.size >= need else 4, min_stars=3
        )
        t = fit.transform
        r = radius if radius is not None else float(np.clip(chance, 5 * fit.rms, 20 * fit.rms + 1e-12))
    i, j, _ = match_nearest(*t.forward(x1, y1), x2, y2, r)
    if i.size < min_stars:
        raise NotEnoughStarsError(f"{i.size} pairs", f"{min_stars}")
    return BlindMatch(t, i, j, fit.rms, (best.n - best.chance) / np.sqrt(max(best.chance, 1.0)))
