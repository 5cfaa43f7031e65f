"""The builder's own master frame: averages over dithered exposures, carried back to every exposure."""

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter, map_coordinates

from jwst_hpastrom.epsf.build.positions.alignment import aligned_again
from jwst_hpastrom.epsf.build.positions.phase_errors import TYPICAL_PHASE_ERROR, hidden_phase_error
from jwst_hpastrom.geometry import IdentityMapping, LinearTransform, fit_linear, group_means, robust_sigma
from jwst_hpastrom.numerics import polynomial_basis, polynomial_terms

__all__ = ["TELL_DISTORTION", "Averager", "Predictions"]

TELL_DISTORTION = 500  # averaged measurements from which on they tell a polynomial of the distortion

DEGREE = 5  # of the polynomial that is learned


@dataclass
class Predictions:
    """Positions and fluxes of all measurements as the other exposures predict them.

    Attributes
    ----------
    x, y, flux : ndarray, shape (n,)
        Predictions in each measurement's own exposure (the fitted values where too few exposures see a star).

    averaged : ndarray of bool
        Whether the prediction rests on an average.

    dx, dy : ndarray
        Fitted minus predicted position, pixels; NaN without an average.

    rms : tuple of float
        Robust scatter of dx and dy.

    transforms : list of `~jwst_hpastrom.geometry.LinearTransform`
        Corrected pixels of each exposure to the master frame.
    """

    x: np.ndarray
    y: np.ndarray
    flux: np.ndarray
    averaged: np.ndarray
    dx: np.ndarray
    dy: np.ndarray
    rms: tuple
    transforms: list


class Averager:
    """Master frame of the builder, with a distortion correction that learns from the residuals.

    Corrected = base(raw) + polynomial(raw) + map(raw). The base is the correction given or, without one, the
    polynomial part of the exposures' approximate plane coordinates. The polynomial (only without a given
    correction) and the map, a local mean of the residuals of all exposures, hold what is left in the
    positions that is fixed to the detector. The map averages many stars at all pixel phases, so that the
    phase errors which the building has to find do not go into it.

    Parameters
    ----------
    exposure, star : ndarray of int, shape (n,)
        Exposure and star number of each measurement; star < 0 takes no part.

    x, y : ndarray, shape (n,)
        Approximate raw positions.

    shape : (int, int)
        Detector shape (ny, nx).

    base : `~jwst_hpastrom.geometry.Mapping`, optional
        Raw to corrected pixels.

    learn_polynomial : bool
        Learn a polynomial of degree 5, too.

    min_exposures : int
        Fewest exposures for an average.

    phase_error : float
        Pixel-phase error to be expected, pixels (see `hidden_phase_error`).
    """

    def __init__(
        self, exposure, star, x, y, shape, *, base=None, learn_polynomial=True, min_exposures=3,
        phase_error=TYPICAL_PHASE_ERROR,
    ):  # fmt: skip
        self.phase_error = phase_error
        self.exposure, self.star, self.shape = np.asarray(exposure), np.asarray(star), shape
        self.base = base or IdentityMapping()
        self.learn_polynomial, self.min_exposures = learn_polynomial, min_exposures
        self.n_exposures, self.n_stars = int(self.exposure.max()) + 1, int(max(self.star.max(), 0)) + 1
        self._x0, self._y0 = np.array(x, float), np.array(y, float)
        self._c0 = self.base.forward(self._x0, self._y0)
        self._jac = self.base.jacobian(self._x0, self._y0)
        self._inv = np.linalg.inv(self._jac)
        self._add = np.zeros((2, x.size))  # polynomial + map at the stars, corrected pixels
        self._mag_map = np.zeros(x.size)
        counts = np.bincount(self.exposure[self.star >= 0], minlength=self.n_exposures)
        self.reference = self._most_central(counts)
        self._transforms, self._kept = None, None  # and the measurements that determine them
        self._design = None  # of the polynomial, which is always of the same places
        order = np.argsort(self.exposure, kind="stable")
        self._rows = np.split(order, np.searchsorted(self.exposure[order], np.arange(1, self.n_exposures)))

    def __getstate__(self):
        """Leave out what takes room and is soon made again."""
        return self.__dict__ | {"_design": None}

    def _most_central(self, counts):
        """Exposure that shares most stars with the others: its corrected frame is the master frame."""
        seen = np.bincount(self.star[self.star >= 0], minlength=self.n_stars)
        shared = np.zeros(self.n_exposures)
        ok = self.star >= 0
        np.add.at(shared, self.exposure[ok], seen[self.star[ok]] - 1.0)
        return int(np.argmax(shared)) if shared.any() else int(np.argmax(counts))

    def _of(self, e, ok):
        """Measurements of an exposure that are ok."""
        return self._rows[e][ok[self._rows[e]]]

    def _corrected(self, x, y):
        dx, dy = x - self._x0, y - self._y0
        u = self._c0[0] + self._jac[:, 0, 0] * dx + self._jac[:, 0, 1] * dy + self._add[0]
        v = self._c0[1] + self._jac[:, 1, 0] * dx + self._jac[:, 1, 1] * dy + self._add[1]
        return u, v

    def _start(self, u, v, ok):
        """First transformations to the reference's frame, one by one, through the stars already placed."""
        mu, mv = np.full(self.n_stars, np.nan), np.full(self.n_stars, np.nan)
        out, known = [None] * self.n_exposures, np.zeros(self.n_exposures, int)
        mine = np.flatnonzero(ok)
        mine = mine[np.argsort(self.star[mine], kind="stable")]
        first = np.searchsorted(self.star[mine], np.arange(self.n_stars + 1))
        e = self.reference
        while True:
            k = self._of(e, ok)
            if e == self.reference:
                out[e] = LinearTransform()
            else:
                s = self.star[k]
                out[e] = fit_linear(u[k], v[k], mu[s], mv[s], parameters=6).transform
            a, b = out[e].forward(u[k], v[k])
            new = np.isnan(mu[self.star[k]])
            mu[self.star[k][new]], mv[self.star[k][new]] = a[new], b[new]
            for s in np.unique(self.star[k][new]):  # measurements of stars that have just been placed
                np.add.at(known, self.exposure[mine[first[s] : first[s + 1]]], 1)
            todo = np.where([t is None for t in out], known, -1)
            e = int(np.argmax(todo))
            if todo[e] < 6:
                return out

    def update(self, x, y, flux, err, *, rounds=2, learn=True):
        """Average all exposures and predict every measurement.

        Parameters
        ----------
        x, y, flux : ndarray, shape (n,)
            Fitted values; NaN where a fit failed.

        err : ndarray, shape (n,)
            Position errors, pixels.

        rounds : int
            Rounds of transform and average.

        learn : bool
            Let polynomial and map learn from the residuals.

        Returns
        -------
        `Predictions`
        """
        ok = (self.star >= 0) & np.isfinite(x + y + flux) & (flux > 0)
        weight = np.where(ok, 1.0 / (np.nan_to_num(err, nan=1.0) ** 2 + 0.003**2), 0.0)
        group = np.where(ok, self.star, -1)
        for r in range(rounds):
            u, v = self._corrected(x, y)
            if self._transforms is None:
                self._transforms = self._start(u, v, ok)
            mean_u, mean_v, seen = self._average(u, v, weight, group)
            self._refit(u, v, mean_u, mean_v, weight, ok & (seen[self.star] >= 2))
            mean_u, mean_v, seen = self._average(u, v, weight, group)
            averaged = ok & (seen[self.star] >= self.min_exposures)
            du, dv = self._residuals(u, v, mean_u, mean_v)
            if learn and r == 0 and averaged.sum() > 100:
                self._learn(du, dv, averaged)
        dx = self._inv[:, 0, 0] * du + self._inv[:, 0, 1] * dv
        dy = self._inv[:, 1, 0] * du + self._inv[:, 1, 1] * dv
        dx, dy = np.where(averaged, dx, np.nan), np.where(averaged, dy, np.nan)
        z = self._fluxes(flux, group, averaged, learn)
        hidden = np.zeros((2, x.size))
        if learn and self._one_orientation():
            hidden[:] = [
                hidden_phase_error(
                    p, d, weight, np.where(averaged, self.star, -1), self.n_stars, self.phase_error
                )
                for p, d in ((x, dx), (y, dy))
            ]
        return Predictions(
            np.where(averaged, x - dx - hidden[0], x),
            np.where(averaged, y - dy - hidden[1], y),
            np.where(averaged, z, flux),
            averaged,
            dx,
            dy,
            (robust_sigma(dx[averaged]), robust_sigma(dy[averaged])),
            list(self._transforms),
        )

    def _one_orientation(self):
        """Whether pixel axes are the same in all exposures, so that phase errors add along them."""
        return all(t is None or np.abs(t.matrix - np.eye(2)).max() < 0.1 for t in self._transforms)

    def _average(self, u, v, weight, group):
        a, b = np.full(u.size, np.nan), np.full(u.size, np.nan)
        for k, t in zip(self._rows, self._transforms, strict=True):
            if t is not None:
                a[k], b[k] = t.forward(u[k], v[k])
        mu = group_means(group, a, weight, self.n_stars, sigma=3.5)
        mv = group_means(group, b, weight, self.n_stars, sigma=3.5)
        return mu.mean, mv.mean, np.minimum(mu.n_used, mv.n_used)

    def _refit(self, u, v, mean_u, mean_v, weight, ok):
        """Fit the transformations: from all pairs the first time, later from those that agreed."""
        self._transforms = list(self._transforms)  # a copy of this object has the old ones
        before, self._kept = self._kept, np.zeros(u.size, bool)
        for e, t in enumerate(self._transforms):
            k = self._of(e, ok)
            if t is None or k.size < 6:
                continue
            s = self.star[k]
            pairs = u[k], v[k], mean_u[s], mean_v[s]
            again = None if before is None else aligned_again(t, *pairs, weight[k], before[k])
            if again is None:
                fit = fit_linear(*pairs, parameters=6, weights=weight[k])
                again = fit.transform, fit.keep
            self._transforms[e], self._kept[k] = again
        # the reference exposure defines the frame
        back = self._transforms[self.reference].inverted()
        self._transforms = [None if t is None else t.then(back) for t in self._transforms]

    def _residuals(self, u, v, mean_u, mean_v):
        du, dv = np.full(u.size, np.nan), np.full(u.size, np.nan)
        for k, t in zip(self._rows, self._transforms, strict=True):
            if t is not None:
                s = np.maximum(self.star[k], 0)
                pu, pv = t.inverted().forward(mean_u[s], mean_v[s])
                du[k], dv[k] = u[k] - pu, v[k] - pv
        return du, dv

    def _learn(self, du, dv, ok):
        limit = 5 * max(robust_sigma(du[ok]), robust_sigma(dv[ok]), 1e-6)
        keep = ok & (np.hypot(du, dv) < limit)
        if self.learn_polynomial and keep.sum() > TELL_DISTORTION:
            pu, pv = self._polynomials(du, dv, keep)
            self._add = self._add - np.stack([pu, pv])
            du, dv = du - pu, dv - pv
        self._add = self._add - np.stack([self._local_mean(d, keep) for d in (du, dv)])

    def _polynomials(self, du, dv, keep):
        """Least-squares polynomials of two values at every measurement."""
        if self._design is None:
            ny, nx = self.shape
            places = 2 * self._x0 / nx - 1, 2 * self._y0 / ny - 1
            self._design = polynomial_basis(*places, polynomial_terms(DEGREE))
        design = self._design[keep]
        return (self._design @ np.linalg.lstsq(design.T @ design, design.T @ np.c_[du, dv][keep])[0]).T

    def _local_mean(self, values, keep, n_near=60):
        """Gaussian local mean over the detector of about n_near values, at every measurement."""
        ny, nx = self.shape
        sigma = max(np.sqrt(n_near * ny * nx / (4 * np.pi * max(keep.sum(), 1))), 20.0)
        if sigma > 0.25 * max(ny, nx):
            return np.full(values.size, values[keep].mean())
        step = sigma / 1.5
        jy, jx = self._y0 / step, self._x0 / step
        shape = (int(ny / step) + 2, int(nx / step) + 2)
        flat = np.round(jy).astype(int) * shape[1] + np.round(jx).astype(int)
        total = np.bincount(flat[keep], values[keep], shape[0] * shape[1]).reshape(shape)
        number = np.bincount(flat[keep], minlength=shape[0] * shape[1]).reshape(shape).astype(float)
        total, number = (gaussian_filter(a, 1.5, mode="constant") for a in (total, number))
        return map_coordinates(total / (number + 0.05), [jy, jx], order=1, mode="nearest")

    def _fluxes(self, flux, group, averaged, learn):
        """Mean fluxes on each exposure's own zero point, with slow variations over the detector."""
        mag = -2.5 * np.log10(np.where(flux > 0, flux, np.nan))
        zero = np.zeros(self.n_exposures)
        ok = group >= 0
        for _ in range(3):
            own = mag - zero[self.exposure] - self._mag_map
            mean = group_means(group, np.where(ok, own, np.nan), ok * 1e4, self.n_stars, sigma=3.5).mean
            diff = np.where(averaged, own - mean[np.maximum(self.star, 0)], np.nan)
            for e in range(self.n_exposures):
                k = self._of(e, averaged)
                if k.size:
                    zero[e] += np.median(diff[k])
            zero -= zero[self.reference]
        if learn and averaged.sum() > 500:
            diff = np.where(averaged, mag - zero[self.exposure] - mean[np.maximum(self.star, 0)], np.nan)
            spread = robust_sigma(diff[averaged])
            keep = averaged & (np.abs(diff - np.nanmedian(diff)) < 4 * spread)
            self._mag_map = self._local_mean(np.nan_to_num(diff), keep, n_near=300)
        return 10 ** (-0.4 * (mean[np.maximum(self.star, 0)] + zero[self.exposure] + self._mag_map))
