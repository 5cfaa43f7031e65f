"""Exposures of several detectors brought to one frame: all transformations from one system of equations.

Detectors of one camera have few stars in common, so that transforming to averages and averaging in turn
(`~jwst_hpastrom.frame.build_master` of one detector) would take very many turns to carry their relative
positions from one to the other. Here the stars' positions are eliminated, the transformations of all
exposures are solved for at once, and their full covariance comes with them. A catalog is a prior on the
stars' positions; where neither it nor a dither bridges a gap, the exposures' WCS is one on the rest.
"""

from dataclasses import dataclass

import numpy as np
from scipy.linalg import cho_factor, cho_solve
from scipy.sparse import csr_array

from jwst_hpastrom._display import Displayed
from jwst_hpastrom.frame.measurements import Measurements
from jwst_hpastrom.geometry import LinearTransform, robust_sigma

__all__ = ["Joined", "MosaicFit", "joined", "shared_area", "solve_mosaic"]

#: a star's largest distance from its catalog position, in units of its error
CLIP = 4.0
#: part of the detector that all exposures share, below which a few stars alone may join them
SHARED = 0.5
#: how far the first transformations may be off: a place by the radius of the match, scale and skew by this
#: part of it, at the detector's edge
LINEAR = 0.1
#: stars whose errors are worked out at a time
CHUNK = 4000


def shared_area(m, transforms):
    """Part of its detector that each exposure shares with each other one, shape (n, n).

    Parameters
    ----------
    m : `~jwst_hpastrom.frame.measurements.Measurements`

    transforms : list of `~jwst_hpastrom.geometry.LinearTransform`
        To the master frame; scales and turns are taken to be alike.

    Returns
    -------
    ndarray
    """
    n = m.n_exposures
    boxes = np.array([[(c[m.of(k)].min(), c[m.of(k)].max()) for c in (m.x, m.y)] for k in range(n)])
    center, size = boxes.mean(2), np.maximum(np.ptp(boxes, axis=2), 1e-9)
    middle = np.array([t.forward(*c) for t, c in zip(transforms, center, strict=True)]).T
    there = np.array([np.transpose(t.inverse(*middle)) for t in transforms])
    return np.prod(np.clip(1 - np.abs(there - center[:, None]) / size[:, None], 0, 1), axis=2)


def joined(m, transforms, radius):
    """`Joined` of exposures of one detector of which some share less than half of it; else None."""
    return Joined(m, transforms, radius) if shared_area(m, transforms).min() < SHARED else None


class Joined:
    """Exposures of one detector that are solved for together.

    The few stars that join two pointings are clipped where the first transformations put them far from each
    other, since most stars of an exposure have no others to disagree with: transformed to averages in turn,
    such exposures stay as they are.

    Parameters
    ----------
    m : `~jwst_hpastrom.frame.measurements.Measurements`

    transforms : list of `~jwst_hpastrom.geometry.LinearTransform`
        First ones.

    radius : float
        Of the match, master pixels.

    Attributes
    ----------
    fit : `MosaicFit` or None
        The last solution.
    """

    fit = None

    def __init__(self, m, transforms, radius):
        self.m, self.first = m, list(transforms)
        self.trust = np.array([[radius], [LINEAR * radius]]) * np.ones(m.n_exposures)

    def held_apart(self, star, averages, transforms, floor):
        """Whether exposures that were transformed in turn are far from where they are together.

        Further than the errors of all parameters: exposures that differ by clipping are 5 to 50 times as far,
        others a tenth.
        """
        found = solve_mosaic(
            self.m, star, averages, transforms, self.first, floor=floor, trust=self.trust, iterations=1
        )
        at = list(zip(found.center, found.half_width, strict=True))
        new, old = (
            np.array([_parameters(t, *c) for t, c in zip(each, at, strict=True)])
            for each in (found.transforms, transforms)
        )
        moved = np.moveaxis(new - old, 1, 0).reshape(2, -1)
        squares = [d @ np.linalg.solve(c, d) for d, c in zip(moved, found.covariance, strict=True)]
        return bool(max(squares) > moved.shape[1])

    def refit(self, star, averages, transforms, floor):
        """Transformations of all exposures from the current averages, and the detections they rest on."""
        self.fit = solve_mosaic(self.m, star, averages, transforms, self.first, floor=floor, trust=self.trust)
        for k, transform in enumerate(self.fit.transforms):
            self.m.apply(k, transform)
        return self.fit.transforms, self.fit.rows


@dataclass(frozen=True, eq=False)
class MosaicFit(Displayed):
    """Transformations of all exposures to the master frame, solved for together.

    Attributes
    ----------
    transforms : list of `~jwst_hpastrom.geometry.LinearTransform`
        Corrected pixels to master pixels.

    covariance : ndarray, shape (2, 3 n_exposures, 3 n_exposures)
        Of offset and slopes (1, p, q) of every exposure, for u and v, master pixels.

    center, half_width : ndarray
        Of the exposures' normalized coordinates p, q = (x - center) / half_width, corrected pixels: shapes
        (n_exposures, 2) and (n_exposures,).

    rows : ndarray of int
        Detections that took part.

    weights : ndarray, shape (2, n)
        Of these, for u and v.

    tie : tuple of ndarray or None
        Of the catalog's stars: one detection of each, u and v residuals (frame minus catalog), weights (two
        arrays).

    shared : ndarray, shape (n_exposures, 6, 6)
        Covariance of offset and slopes of u, then of v, by the error of the exposure's distortion correction:
        the same in all exposures of a detector, and not in ``covariance``.
    """

    transforms: list
    covariance: np.ndarray
    center: np.ndarray
    half_width: np.ndarray
    rows: np.ndarray
    weights: np.ndarray
    tie: tuple | None
    shared: np.ndarray

    def terms(self, k: int, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """(1, p, q) at corrected positions of exposure ``k``, shape (n, 3)."""
        p, q = ((c - c0) / self.half_width[k] for c, c0 in zip((x, y), self.center[k], strict=True))
        return np.stack([np.ones_like(p), p, q], 1)

    def responses(self, m: Measurements, star: np.ndarray, group: np.ndarray) -> np.ndarray:
        """Return what errors that groups of detections have in common do to the parameters.

        Parameters
        ----------
        m : `~jwst_hpastrom.frame.measurements.Measurements`

        star : ndarray of int
            Star of each detection.

        group : ndarray of int
            Of each of ``rows``; negative for none.

        Returns
        -------
        ndarray, shape (2, 3 n_exposures, n_groups)
            Derivatives of offsets and slopes of u and v by the groups' errors along these, without a catalog.
        """
        own, n = star[self.rows], self.rows.size
        known, taken = np.flatnonzero(own >= 0), np.flatnonzero(group >= 0)
        sums = csr_array((np.ones(known.size), (own[known], known)), (int(star.max()) + 1, n))
        groups = csr_array((np.ones(taken.size), (taken, group[taken])), (n, int(group.max()) + 1))
        design, out = _design(m, self.rows, self.center, self.half_width), []
        for covariance, w in zip(self.covariance, self.weights * (own >= 0), strict=True):
            weighted, of_groups = design.multiply(w[:, None]).tocsr(), groups.multiply(w[:, None]).tocsr()
            cross = (sums @ weighted).multiply(1.0 / np.maximum(sums @ w, 1e-300)[:, None])
            out.append(covariance @ (cross.T @ (sums @ of_groups) - design.T @ of_groups).toarray())
        return np.array(out)

    def star_errors(
        self, m: Measurements, star: np.ndarray, used: np.ndarray, n_stars: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Errors that the transformations give to the stars' means.

        Parameters
        ----------
        m : `~jwst_hpastrom.frame.measurements.Measurements`

        star : ndarray of int
            Star of each detection.

        used : ndarray of bool
            Detections that are averaged.

        n_stars : int

        Returns
        -------
        whole, relative : ndarray, shape (2, n_stars)
            Of one six-parameter transformation of all stars, and of what it leaves; master pixels.
        """
        rows = np.flatnonzero(used & (star >= 0))
        count = np.maximum(np.bincount(star[rows], minlength=n_stars), 1)
        design = _design(m, rows, self.center, self.half_width)
        mean = csr_array((1.0 / count[star[rows]], (star[rows], np.arange(rows.size))), (n_stars, rows.size))
        design = (mean @ design).tocsr()
        u, v = (np.bincount(star[rows], c[rows], n_stars) / count for c in (m.u, m.v))
        base = np.linalg.qr(np.c_[np.ones(n_stars), u - u.mean(), v - v.mean()])[0]
        common = (design.T @ base).T
        whole, relative = np.empty((2, 2, n_stars))
        for first in range(0, n_stars, CHUNK):  # of all at once it would be stars by exposures
            some = slice(first, first + CHUNK)
            of_all = base[some] @ common
            for out, f in ((whole, of_all), (relative, design[some].toarray() - of_all)):
                out[:, some] = [np.einsum("ij,ij->i", f @ c, f) for c in self.covariance]
        return np.sqrt(np.maximum(whole, 0.0)), np.sqrt(np.maximum(relative, 0.0))


def _normalized(m):
    """Center and half-width of every exposure's corrected positions."""
    center, half = np.empty((m.n_exposures, 2)), np.empty(m.n_exposures)
    for k in range(m.n_exposures):
        x, y = m.x[m.of(k)], m.y[m.of(k)]
        center[k] = 0.5 * (x.min() + x.max()), 0.5 * (y.min() + y.max())
        half[k] = 0.5 * max(np.ptp(x), np.ptp(y), 1e-9)
    return center, half


def _parameters(transform, center, half):
    """Values at the center and slopes over the half-width, (2, 3)."""
    return np.c_[transform.forward(*center), transform.matrix * half]


def solve_mosaic(m, star, averages, transforms, first, *, floor, trust, catalog=None, iterations=4):
    """Solve for the transformations of all exposures together.

    Parameters
    ----------
    m : `~jwst_hpastrom.frame.measurements.Measurements`
        With u, v of ``transforms``.

    star : ndarray of int
        Star of each detection; negative for none.

    averages
        Current means of the stars, and the measurements used.

    transforms, first : list of `~jwst_hpastrom.geometry.LinearTransform`
        Current ones, and those by the WCS and the first registration, from which the solution may differ by
        about ``trust``.

    floor : float or ndarray, shape (n,)
        Error that every measurement has in common when it is weighted, corrected pixels.

    trust : ndarray, shape (2, n_exposures)
        Deviations of place, and of scale and skew at the detector's edge, of ``first``, master pixels.

    catalog : tuple of ndarray, optional
        star, x, y, x_err, y_err: catalog positions of stars, master pixels.

    iterations : int
        Of solving, clipping, and scaling the errors by what the residuals say.

    Returns
    -------
    `MosaicFit`
    """
    n_stars = averages.n_used.size
    center, half = _normalized(m)
    rows = _detections(m, star, averages.used & (star >= 0), n_stars, catalog)
    own, exposure = star[rows], m.exposure[rows]
    design = _design(m, rows, center, half)
    sums = csr_array((np.ones(rows.size), (own, np.arange(rows.size))), shape=(n_stars, rows.size))
    floor = np.broadcast_to(floor, star.shape)[rows]
    common = floor**2 * np.array([t.scale**2 for t in transforms])[exposure]
    moved = np.array(
        [_parameters(a, c, h) - _parameters(b, c, h)
         for a, b, c, h in zip(first, transforms, center, half, strict=True)]
    )  # fmt: skip
    prior = trust[[0, 1, 1]].T.ravel() ** -2.0
    found, covariance, tie, weights = [], [], [], []
    for axis, (values, variance) in enumerate(((m.u[rows], m.vu[rows]), (m.v[rows], m.vv[rows]))):
        variance = variance + common
        given = None if catalog is None else (catalog[0], catalog[1 + axis], catalog[3 + axis] ** 2)
        solved = _solve_axis(
            design, sums, own, values, variance, given, prior, moved[:, axis].ravel(), iterations
        )
        found.append(solved[0].reshape(-1, 3))
        covariance.append(solved[1])
        tie.append(solved[2])
        weights.append(solved[3])
    new = []
    for k, t in enumerate(transforms):
        step = np.stack([found[0][k], found[1][k]])
        here = _parameters(t, center[k], half[k]) + step
        new.append(LinearTransform(here[:, 1:] / half[k], here[:, 0].copy(), center[k].copy()))
    tie = None if catalog is None else _tie(tie, catalog[0], own, rows, n_stars)
    shared = np.zeros((len(new), 6, 6))
    return MosaicFit(new, np.array(covariance), center, half, rows, np.array(weights), tie, shared)


def _detections(m, star, use, n_stars, catalog):
    """Detections of stars that tie exposures to each other or to the catalog, clean ones where they do."""
    clean = use & m.reference
    use = clean if np.bincount(m.exposure[clean], minlength=m.n_exposures).min() >= 50 else use
    known = np.zeros(n_stars, bool)
    if catalog is not None:
        known[catalog[0]] = True
    rows = np.flatnonzero(use)
    count = np.bincount(star[rows], minlength=n_stars)
    return rows[(count[star[rows]] > 1) | known[star[rows]]]


def _design(m, rows, center, half):
    """Derivatives of detections' places by the offsets and slopes of all exposures, sparse."""
    exposure = m.exposure[rows]
    p, q = ((c[rows] - center[exposure, a]) / half[exposure] for a, c in enumerate((m.x, m.y)))
    columns = (3 * exposure[:, None] + np.arange(3)).ravel()
    return csr_array(
        (np.stack([np.ones_like(p), p, q], 1).ravel(), (np.repeat(np.arange(rows.size), 3), columns)),
        shape=(rows.size, 3 * m.n_exposures),
    )


def _tie(by_axis, stars, own, rows, n_stars):
    """`MosaicFit.tie` of the catalog's stars, from both axes' residuals and weights."""
    detection = np.full(n_stars, -1)
    detection[own] = rows
    detection = detection[stars]
    (u, u_weight), (v, v_weight) = by_axis
    keep = (u_weight > 0) & (v_weight > 0) & (detection >= 0)
    return detection[keep], u[keep], v[keep], (u_weight[keep], v_weight[keep])


def _solve_axis(design, sums, own, values, variance, given, prior, target, iterations):
    """Increments of one coordinate's parameters, covariance, the catalog's residuals and weights, weights."""
    n_stars = sums.shape[0]
    factor, catalog_factor = 1.0, 1.0
    keep = np.ones(values.size, bool)
    taken = None if given is None else np.ones(given[0].size, bool)
    left = residual = None
    for _ in range(iterations):
        w = keep / (factor * variance)
        total = np.bincount(own, w, n_stars)
        side = np.bincount(own, w * values, n_stars)
        if given is not None:
            wc = taken / (catalog_factor * given[2])
            total += np.bincount(given[0], wc, n_stars)
            side += np.bincount(given[0], wc * given[1], n_stars)
        total = np.maximum(total, 1e-300)
        weighted = design.multiply(w[:, None]).tocsr()
        cross = (sums @ weighted).tocsr()
        normal = (design.T @ weighted).toarray() - (cross.T @ cross.multiply(1.0 / total[:, None])).toarray()
        right = -(weighted.T @ values) + cross.T @ (side / total)
        factored = cho_factor(normal + np.diag(prior))
        step = cho_solve(factored, right + prior * target)
        now = values + design @ step
        mean = (side + cross @ step) / total
        left = now - mean[own]
        # leverage: what a measurement contributes to its own star
        share = np.maximum(1.0 - w * 1.0 / total[own], 0.05)
        pull = left / np.sqrt(factor * variance * share)
        several = keep & (share > 0.06)
        if several.sum() > 50:
            factor *= float(np.clip(robust_sigma(pull[several]) ** 2, 0.1, 100.0))
        keep = np.abs(pull) < 5.0
        if given is not None:
            measured = np.bincount(own, w, n_stars)[given[0]]
            alone = np.bincount(own, w * now, n_stars)[given[0]] / np.maximum(measured, 1e-300)
            residual = alone - given[1]
            expected = catalog_factor * given[2] + 1.0 / np.maximum(measured, 1e-300)
            z = np.where(measured > 0, residual, np.nan) / np.sqrt(expected)
            catalog_factor *= float(np.clip(robust_sigma(z) ** 2, 1.0 / catalog_factor, 100.0))
            taken = np.abs(z) < CLIP
    covariance = cho_solve(factored, np.eye(prior.size))
    weights = None if given is None else np.where(taken, 1.0 / expected, 0.0)
    return step, covariance, (residual, weights), w
