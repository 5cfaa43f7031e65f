"""Clipped means of the measurements, star by star, and the transformations that bring exposures to them."""

from typing import NamedTuple

import numpy as np

from jwst_hpastrom.errors import NotEnoughStarsError
from jwst_hpastrom.frame._kernels import Detected, Mean, average_stars
from jwst_hpastrom.frame.systematics.spread import expected_variance
from jwst_hpastrom.frame.transforms.identify import drop_doubles, identify
from jwst_hpastrom.frame.transforms.lists_alone import errors_by_scatter
from jwst_hpastrom.frame.transforms.mosaic import joined
from jwst_hpastrom.geometry import fit_linear
from jwst_hpastrom.numerics import median_chi2

__all__ = ["FLOOR", "Averages", "Averaging", "average", "average_together"]

#: error, detector pixels, that every measurement has in common when it is weighted for a transformation
FLOOR = 0.005
#: standard error of a median over that of a mean, of normal deviates
MEDIAN_ERROR = 1.25


class Averages:
    """Clipped means of the measurements, star by star."""

    def __init__(self, m, star, n_stars, sigma, extra=(0.0, 0.0)):
        which = np.flatnonzero(star >= 0)
        which = which[np.argsort(star[which], kind="stable")]
        start = np.searchsorted(star[which], np.arange(n_stars + 1))
        self.mean, self.rms, self.formal, self.expected, self.weight = np.full((5, n_stars, 2), np.nan)
        self.added = np.asarray(extra, float)
        self.n_found, self.n_used = np.diff(start), np.zeros(n_stars, np.int64)
        used = np.zeros(which.size, np.bool_)
        detected = Detected(start, m.u[which], m.v[which], m.vu[which], m.vv[which])
        out = Mean(self.mean, self.rms, self.formal, self.expected, self.weight, self.n_used, used)
        average_stars(detected, self.added, float(sigma), out)
        self.used = np.zeros(star.size, bool)
        self.used[which] = used

    def extra(self):
        """Variance that the bright stars' measurements are expected to have beyond their own, of either axis.

        Where one exposure is far deeper than the others their noise hides as much as its own errors are.
        """
        rows = np.flatnonzero((self.n_used >= 3) & np.isfinite(self.formal).all(1))
        if rows.size == 0:
            return np.zeros(2)
        single = self.expected[rows] ** 2 * self.n_used[rows, None]
        best = single.sum(1) <= 1.001 * np.quantile(single.sum(1), 0.2)
        rows, single = rows[best], single[best]
        dof = self.n_used[rows, None] - 1
        excess = (self.rms[rows] ** 2 / (median_chi2(dof) * single) - 1.0) / self.weight[rows]
        noise = MEDIAN_ERROR * np.median(np.sqrt(2 / dof) / self.weight[rows], axis=0) / np.sqrt(rows.size)
        own = np.sqrt(np.median(self.formal[rows] ** 2, axis=0))
        found = self.added + np.median(excess, axis=0)
        return np.array([expected_variance(*of) for of in zip(found, noise, own, strict=True)])


def refit_one(m, star, averages, k, n_min, parameters):
    """Transformation of exposure ``k`` to the current averages."""
    s = m.of(k)
    g = star[s]
    good = (g >= 0) & (averages.n_used[g] >= n_min)
    clean = good & m.reference[s]
    if clean.sum() >= 50:
        good = clean
    if good.sum() < parameters // 2 + 1:
        raise NotEnoughStarsError(
            f"{int(good.sum())} stars in common with {n_min - 1} or more other exposures",
            f"{parameters // 2 + 1} for a {parameters}-parameter transformation",
            "check overlap and min_exposures",
        )
    x, y, to = m.x[s][good], m.y[s][good], averages.mean[g[good]]
    scale2 = np.nanmedian(m.vu[s][good] / m.vx[s][good])  # squared master pixels per corrected pixel
    weights = (1.0 / (m.vu[s][good] + FLOOR**2 * scale2), 1.0 / (m.vv[s][good] + FLOOR**2 * scale2))
    fit = fit_linear(x, y, to[:, 0], to[:, 1], parameters=parameters, weights=weights)
    return fit.transform, s.start + np.flatnonzero(good)[fit.keep]


class Averaging(NamedTuple):
    """How measurements become averages; lengths in master pixels."""

    n_iterations: int
    parameters: int
    sigma: float
    radius: float
    n_min: int


def average(m, order, star, n_stars, several, transforms, names, settings, shown):
    """Transform the exposures to the averages and average again, in turn; stars are identified anew."""
    in_transform, extra = np.zeros(m.u.size, bool), np.zeros(2)
    sigma, radius = settings.sigma, settings.radius
    for _ in range(settings.n_iterations):
        averages = Averages(m, star, n_stars, sigma, extra)
        if m.unstated.any():
            errors_by_scatter(m, star, averages.mean, averages.n_used, transforms)
        in_transform[:] = False
        if several is not None:
            transforms, rows = several.refit(star, averages, transforms, FLOOR)
            in_transform[rows] = True
        for k in range(m.n_exposures if several is None else 0):
            try:
                transforms[k], rows = refit_one(
                    m, star, averages, k, min(settings.n_min, 2), settings.parameters
                )
            except NotEnoughStarsError as error:
                raise error.about(names[k]) from None
            in_transform[rows] = True
            m.apply(k, transforms[k])
        averages = Averages(m, star, n_stars, sigma, extra)
        extra = averages.extra()
        keep = drop_doubles(averages.mean[:, 0], averages.mean[:, 1], averages.n_used, 0.5 * radius)
        star, n_stars = identify(m, order, radius, *averages.mean[keep].T)
        shown.update()
    return star, n_stars, Averages(m, star, n_stars, sigma, extra), extra, transforms, in_transform


def average_together(m, order, star, n_stars, several, transforms, names, settings, shown):
    """What `average` returns, and `Joined` where a mosaic's exposures were solved for together, or None.

    They are where clipping holds them apart: there what few stars leave unknown of their places is large.
    """
    mosaic = joined(m, transforms, settings.radius) if several is None else None
    state = average(m, order, star, n_stars, several, transforms, names, settings, shown)
    if mosaic is None:
        return state, None
    star, n_stars, averages, _, transforms, _ = state
    if not mosaic.held_apart(star, averages, transforms, FLOOR):
        return state, None
    return average(m, order, star, n_stars, mosaic, transforms, names, settings, shown), mosaic
