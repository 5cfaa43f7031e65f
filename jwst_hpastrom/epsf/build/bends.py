"""Curvature of the ePSF between the grid points of a library: what bilinear interpolation does not follow."""

import logging
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from jwst_hpastrom.epsf.build.smoothing import recenter, smooth_update
from jwst_hpastrom.epsf.stamps.samples import RINGS, hat_weights, mean_residuals
from jwst_hpastrom.numerics import polynomial_basis, polynomial_terms

__all__ = ["Bends", "find_bends", "spread", "twice_as_fine", "variation_gain"]

log = logging.getLogger("stpipe.hpastrom.epsf")

ZONES = (0, 2, 4, 8, RINGS)  # pixels: borders of the zones of radius that are judged one by one
SIGNIFICANT = 0.25  # correlation of two halves of the stars from which on a bend, or all of them, count
FORBIDDEN = 1e6  # noise over signal of what is none
PLACES = 16  # along each axis of the detector, where grids of different steps are compared
CORE = 2.5  # pixels: what the fits of stars use, and the field positions are judged by


@dataclass(frozen=True, eq=False)
class Bends:
    """What is known of the ePSF's curvature between grid points before it is solved, on a grid twice as fine.

    Attributes
    ----------
    basis : ndarray, shape (n_fine, n_fine)
        Columns: the bilinear functions of the coarse positions, then the hats of the new positions.

    penalty : ndarray, shape (RINGS, n_fine)
        Noise over signal of each function's coefficient, ring by ring: 0 for coarse positions.

    agreement : float
        Correlation of the core's curvature in two halves of the stars.
    """

    basis: np.ndarray
    penalty: np.ndarray
    agreement: float = 0.0

    def __bool__(self):
        return self.agreement > SIGNIFICANT


def twice_as_fine(library):
    """Return the same library with positions halfway between its own.

    Parameters
    ----------
    library : `~jwst_hpastrom.epsf.library.EPSFLibrary`

    Returns
    -------
    `~jwst_hpastrom.epsf.library.EPSFLibrary`
        Bilinear between the old positions as before.
    """
    x, y = (np.sort(np.concatenate([p, 0.5 * (p[1:] + p[:-1])])) for p in (library.x, library.y))
    share = hat_weights((library.x, library.y), *(p.ravel() for p in np.meshgrid(x, y)))
    return replace(library, data=np.tensordot(share, library.data, 1), x=x, y=y, borrowed=None)


def spread(library, side, shape):
    """Return the first ePSF of a library at ``side`` x ``side`` field positions over a detector.

    Parameters
    ----------
    library : `~jwst_hpastrom.epsf.library.EPSFLibrary`

    side : int
        Positions along each axis, corners included; one is the middle.

    shape : (int, int)
        Detector shape (ny, nx).

    Returns
    -------
    `~jwst_hpastrom.epsf.library.EPSFLibrary`
    """
    x, y = (np.linspace(0, n - 1, side) if side > 1 else np.array([(n - 1) / 2]) for n in shape[::-1])
    return replace(library, data=np.repeat(library.data[:1], side * side, 0), x=x, y=y, borrowed=None)


def variation_gain(halves, library, ridge, band_limit, degree=0):
    """Power of the ePSF's variation over the field positions, less that of its noise.

    As in `find_bends`: the mean product of what two halves of the stars add to the same ePSF is the power of
    the signal, a quarter of their mean squared difference that of the noise in their mean. Field positions
    pay where the difference is positive; without them the signal would be the error.

    Parameters
    ----------
    halves : list of `~jwst_hpastrom.epsf.stamps.samples.Samples`
        Residuals about ``library`` of two halves of the stars.

    library : `~jwst_hpastrom.epsf.library.EPSFLibrary`
        ePSFs at all field positions, without the variation in question.

    ridge, band_limit
        As in `find_bends`.

    degree : int
        Of polynomials over the field that follow what they can without free field positions, if not at once:
        their part counts neither as signal nor as noise.

    Returns
    -------
    gain : float
        Mean over the detector and within 2.5 pixels of the center, in units of the squared peak.

    error : float
        Its standard error, from the scatter among field positions.
    """
    found, core = [], _radii(library) < CORE
    middles = [p[0] + np.ptp(p) * (np.arange(PLACES) + 0.5) / PLACES for p in (library.x, library.y)]
    x, y = (p.ravel() for p in np.meshgrid(*middles))
    share = hat_weights((library.x, library.y), x, y)
    u, v = ((p - p.mean()) / np.ptp(p) for p in (x, y))
    base = np.linalg.qr(polynomial_basis(u, v, polynomial_terms(degree, 0)))[0]
    for samples in halves:
        update = mean_residuals(samples, ridge, library.oversampling, damped=False)
        update = _finished(update, library, band_limit)
        there = share @ update[:, core] / library.data.max()
        found.append(there - base @ (base.T @ there))
    a, b = found
    net = (a * b - (a - b) ** 2 / 4).mean(1)
    home = share.argmax(1)
    each = [net[home == k].mean() for k in np.unique(home)]
    return float(net.mean()), float(np.std(each) / np.sqrt(max(len(each) - 1, 1)))


def _finished(update, library, band_limit):
    """Smooth an update and take its shift out: it may be the distortion's, and would be taken out anyway."""
    update = smooth_update(update, library.oversampling, band_limit=band_limit)
    return recenter(library.data + update, library.oversampling)[0] - library.data


def _radii(library):
    """Radius of each grid point, pixels."""
    n = library.data.shape[-1]
    offset = (np.arange(n) - n // 2) / library.oversampling
    return np.hypot(offset[:, None], offset)


def _basis(coarse, fine):
    points = [p.ravel() for p in np.meshgrid(fine.x, fine.y)]
    new = ~(np.isin(points[0], coarse.x) & np.isin(points[1], coarse.y))
    return np.hstack([hat_weights((coarse.x, coarse.y), *points), np.eye(new.size)[:, new]])


def find_bends(halves, coarse, fine, ridge, band_limit):
    """Judge the curvature at each new grid point by a split-half test of the stars.

    The product of two independent estimates is free of their noise: its mean over a zone of radius is the
    bend's power S, half their squared difference the noise N, and a penalty N / S makes the least-squares
    solution the Wiener filter's.

    Parameters
    ----------
    halves : tuple of `~jwst_hpastrom.epsf.stamps.samples.Samples`
        Residuals about ``fine`` of two halves of the stars.

    coarse, fine : `~jwst_hpastrom.epsf.library.EPSFLibrary`
        A library, and the same one `twice_as_fine`.

    ridge : float
        As in `~jwst_hpastrom.epsf.stamps.samples.mean_residuals`.

    band_limit : float or None
        As in `~jwst_hpastrom.epsf.build.smoothing.smooth_update`.

    Returns
    -------
    `Bends`
        False if the bends are not clear.
    """
    n_coarse = len(coarse.data)
    free = Bends(_basis(coarse, fine), np.zeros((RINGS, len(fine.data))))
    bends = []
    for samples in halves:
        update = mean_residuals(samples, ridge, fine.oversampling, free, fine.data)
        update = _finished(update, fine, band_limit)
        bends.append(np.linalg.solve(free.basis, update.reshape(len(update), -1))[n_coarse:])
    radius = _radii(fine).ravel()
    for inner, outer in pairwise(ZONES):
        a, b = (half[:, (radius >= inner) & (radius < outer)] for half in bends)
        signal, noise = (a * b).mean(1), ((a - b) ** 2).mean(1) / 4
        real = signal > SIGNIFICANT * (signal + 2 * noise)
        penalty = np.where(real, noise / np.where(real, signal, 1.0), FORBIDDEN)
        free.penalty[inner:outer, n_coarse:] = np.maximum(penalty, 1e-9)
        if inner == 0:
            agreement = float(signal.sum() / (signal + 2 * noise).sum())
    log.info("split-half test of the curvature between grid points: correlation %.2f", agreement)
    return replace(free, agreement=agreement)
